"""Routes of users and their tokens."""

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import (
    SESSION_COOKIE,
    AdminOnly,
    CurrentCaller,
    CurrentUser,
    OwnAccount,
    ServicesDep,
)
from api.idempotency import Once, OnceDep
from api.paging import Cursors, PageQuery, listing
from api.schemas import (
    Listing,
    MadeToken,
    NewPassword,
    NewToken,
    NewUser,
    Token,
    User,
    UserChanges,
)
from services.factory import Services
from services.users import UserChange

router = APIRouter(tags=["users"])

_SORT = "created_at"
_NEWEST_FIRST = "-created_at"
_USERS = Cursors("users", {"created_at": datetime})
_TOKENS = Cursors("tokens", {"created_at": datetime})


@router.get("/me")
async def get_me(user: CurrentUser) -> User:
    """Say whose token this is."""
    return User.model_validate(user)


@router.put("/me/password", status_code=204, dependencies=[OwnAccount])
async def change_own_password(
    body: NewPassword, response: Response, services: ServicesDep, user: CurrentUser
) -> None:
    """Give yourself another password. All your sessions end, this one too; your tokens stay.

    Whoever may know your password may have made a token: see `GET /api/me/tokens`, and revoke
    what you do not know.

    422 `wrong_password` if the present one is not right; 429 `too_many_requests` after too many
    attempts.
    """
    await services.sessions.change_password(
        user.id, current=body.current_password, new=body.new_password
    )
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.post("/me/tokens", status_code=201, response_model=MadeToken, dependencies=[OwnAccount])
async def create_own_token(
    body: NewToken, services: ServicesDep, caller: CurrentCaller, once: OnceDep
) -> Response:
    """Make a token for yourself. It is shown in this answer and never again.

    It may do what you may, as far as its scopes go.
    """
    return await _make(services, caller.user.id, body, once)


@router.get("/me/tokens")
async def list_own_tokens(
    query: Annotated[PageQuery, Query()], services: ServicesDep, user: CurrentUser
) -> Listing[Token]:
    """List your tokens, revoked and expired ones too, the newest first."""
    return await _tokens(services, user.id, query)


@router.delete("/me/tokens/{token_id}", status_code=204, dependencies=[OwnAccount])
async def revoke_own_token(token_id: UUID, services: ServicesDep, user: CurrentUser) -> None:
    """Make a token of yours useless from now on; once more does no harm."""
    await services.users.revoke_token(user.id, token_id)


@router.post("/users", status_code=201, response_model=User, dependencies=[AdminOnly])
async def create_user(body: NewUser, services: ServicesDep, once: OnceDep) -> Response:
    """Add a user. 409 `email_taken` if the address is in use, in whatever case."""

    async def create() -> User:
        user = await services.users.create(
            email=body.email, role=body.role, name=body.name, password=body.password
        )
        return User.model_validate(user)

    return await once.answer(create)


@router.get("/users", dependencies=[AdminOnly])
async def list_users(query: Annotated[PageQuery, Query()], services: ServicesDep) -> Listing[User]:
    """List users in the order they were made."""
    after = _USERS.read(query.cursor, _SORT)
    page = await services.users.find(after=after, limit=query.limit)
    return listing(page, User, _USERS.write(page.next, _SORT))


@router.get("/users/{user_id}", dependencies=[AdminOnly])
async def get_user(user_id: UUID, services: ServicesDep) -> User:
    """Give one user."""
    return User.model_validate(await services.users.get(user_id))


@router.patch("/users/{user_id}", dependencies=[AdminOnly])
async def change_user(user_id: UUID, body: UserChanges, services: ServicesDep) -> User:
    """Change what is given.

    Another role or password, or disabling somebody, ends their sessions at once. Their tokens stay,
    and do what their role may, but those of a disabled user do not work. 409 `last_admin` if nobody
    would be left who can manage users.
    """
    change = cast("UserChange", body.model_dump(exclude_unset=True))
    return User.model_validate(await services.users.change(user_id, change))


@router.post(
    "/users/{user_id}/tokens",
    status_code=201,
    response_model=MadeToken,
    dependencies=[AdminOnly],
)
async def create_token(
    user_id: UUID, body: NewToken, services: ServicesDep, once: OnceDep
) -> Response:
    """Make a token. It is shown in this answer and never again."""
    return await _make(services, user_id, body, once)


@router.get("/users/{user_id}/tokens", dependencies=[AdminOnly])
async def list_tokens(
    user_id: UUID, query: Annotated[PageQuery, Query()], services: ServicesDep
) -> Listing[Token]:
    """List a user's tokens, revoked and expired ones too, the newest first."""
    return await _tokens(services, user_id, query)


@router.delete("/users/{user_id}/tokens/{token_id}", status_code=204, dependencies=[AdminOnly])
async def revoke_token(user_id: UUID, token_id: UUID, services: ServicesDep) -> None:
    """Make a token useless from now on; once more does no harm."""
    await services.users.revoke_token(user_id, token_id)


async def _make(services: Services, user_id: UUID, body: NewToken, once: Once) -> Response:
    async def make() -> MadeToken:
        made = await services.users.create_token(
            user_id, name=body.name, expires_at=body.expires_at, scopes=body.scopes
        )
        return MadeToken(token=made.token, **vars(made.details))

    return await once.answer_with_secret("token", make)


async def _tokens(services: Services, user_id: UUID, query: PageQuery) -> Listing[Token]:
    cursors = _TOKENS.within(user_id)
    after = cursors.read(query.cursor, _NEWEST_FIRST)
    page = await services.users.tokens_of(user_id, after=after, limit=query.limit)
    return listing(page, Token, cursors.write(page.next, _NEWEST_FIRST))
