"""Routes of users, their tokens and their sessions."""

from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import (
    AdminOnly,
    CurrentCaller,
    CurrentUser,
    OwnAccount,
    ServicesDep,
    SettingsDep,
)
from api.idempotency import Once, OnceDep
from api.paging import Cursors, PageQuery, listing
from api.schemas.access import (
    MadeToken,
    MadeUser,
    NewPassword,
    NewSetUpLink,
    NewToken,
    NewUser,
    OpenSession,
    SetUpLink,
    Token,
    User,
    UserChanges,
)
from api.schemas.base import Listing
from api.session import take_cookie
from services.access import set_up_links
from services.access.tokens import TokenFields
from services.access.users import Caller, UserChange
from services.factory import Services
from settings import ApiSettings

router = APIRouter(tags=["users"])

_SORT = "created_at"
_NEWEST_FIRST = "-created_at"
_USERS = Cursors("users", {"created_at": datetime})
_TOKENS = Cursors("tokens", {"created_at": datetime})
_SESSIONS = Cursors("sessions", {"created_at": datetime})


@router.get("/me")
async def get_me(user: CurrentUser) -> User:
    """Say whose token this is."""
    return User.model_validate(user)


@router.put("/me/password", status_code=204, dependencies=[OwnAccount])
async def change_own_password(
    body: NewPassword,
    response: Response,
    services: ServicesDep,
    settings: SettingsDep,
    user: CurrentUser,
) -> None:
    """Give yourself another password. All your sessions end, this one too.

    Your tokens stay unless you ask for their end (`revoke_tokens`), the one you use now too:
    whoever knew your password may have made some.

    422 `wrong_password` if the present one is not right, `invalid_password` if the new one is too
    short or easy to guess; 429 `too_many_requests` after too many attempts.
    """
    await services.own_password.change(
        user.id,
        current=body.current_password,
        new=body.new_password,
        revoke_tokens=body.revoke_tokens,
    )
    take_cookie(response, settings)


@router.get("/me/sessions")
async def list_own_sessions(
    query: Annotated[PageQuery, Query()], services: ServicesDep, caller: CurrentCaller
) -> Listing[OpenSession]:
    """List the sessions you are signed in with at browsers, the newest first."""
    cursors = _SESSIONS.within(caller.user.id)
    after = cursors.read(query.cursor, _NEWEST_FIRST)
    page = await services.sessions.of_caller(caller, after=after, limit=query.limit)
    return listing(page, OpenSession, cursors.write(page.next, _NEWEST_FIRST))


@router.delete("/me/sessions", status_code=204, dependencies=[OwnAccount])
async def end_other_sessions(services: ServicesDep, caller: CurrentCaller) -> None:
    """Sign out everywhere else: end all your sessions but the one you use now."""
    await services.sessions.end_others(caller)


@router.delete("/me/sessions/{session_id}", status_code=204, dependencies=[OwnAccount])
async def end_own_session(session_id: UUID, services: ServicesDep, caller: CurrentCaller) -> None:
    """End a session of yours, if you like the one you use now; once more does no harm."""
    await services.sessions.end(caller, session_id)


@router.post("/me/tokens", status_code=201, response_model=MadeToken, dependencies=[OwnAccount])
async def create_own_token(
    body: NewToken, services: ServicesDep, caller: CurrentCaller, once: OnceDep
) -> Response:
    """Make a token for yourself. It is shown in this answer and never again.

    It may do what you may, as far as its scopes go. In a session this takes your password: 422
    `wrong_password`, 429 `too_many_requests`. With a token it can do no more than that one and no
    longer: 422 `exceeds_token`.
    """
    return await _make(services, caller, caller.user.id, body, once)


@router.get("/me/tokens")
async def list_own_tokens(
    query: Annotated[PageQuery, Query()], services: ServicesDep, user: CurrentUser
) -> Listing[Token]:
    """List your tokens, expired ones too, the newest first; not those that are revoked."""
    return await _tokens(services, user.id, query)


@router.delete("/me/tokens/{token_id}", status_code=204, dependencies=[OwnAccount])
async def revoke_own_token(token_id: UUID, services: ServicesDep, user: CurrentUser) -> None:
    """Make a token of yours useless from now on; once more does no harm."""
    await services.tokens.revoke(user.id, token_id)


@router.post("/users", status_code=201, response_model=MadeUser, dependencies=[AdminOnly])
async def create_user(
    body: NewUser, services: ServicesDep, settings: SettingsDep, once: OnceDep
) -> Response:
    """Add a user; the answer has the link on which they set their password, once.

    Hand the link to them alone: it works for 72 hours. Whoever only uses tokens leaves it be. 409
    `email_taken` if the address is in use, in whatever case.
    """

    async def create() -> MadeUser:
        user, link = await services.set_up_links.invite(
            email=body.email, role=body.role, name=body.name
        )
        return MadeUser(**vars(user), **_told(link, settings))

    return await once.answer_with_secret(MadeUser, "set_up_url", create)


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

    Another role, or disabling somebody, ends their sessions at once. Their tokens stay, and do what
    their role may, but those of a disabled user do not work. 409 `last_admin` if nobody would be
    left who can manage users.
    """
    change = cast("UserChange", body.model_dump(exclude_unset=True))
    return User.model_validate(await services.users.change(user_id, change))


@router.post(
    "/users/{user_id}/set-up-links",
    status_code=201,
    response_model=SetUpLink,
    dependencies=[AdminOnly],
)
async def create_set_up_link(
    user_id: UUID,
    body: NewSetUpLink,
    services: ServicesDep,
    settings: SettingsDep,
    once: OnceDep,
) -> Response:
    """Make a link on which a user sets another password, once, within 72 hours.

    Their present password, their sessions and any link made before end at once; with
    `revoke_tokens` their tokens as well. 409 `user_disabled` if they are disabled.
    """

    async def make() -> SetUpLink:
        link = await services.set_up_links.replace_password(
            user_id, revoke_tokens=body.revoke_tokens
        )
        return SetUpLink(**_told(link, settings))

    return await once.answer_with_secret(SetUpLink, "set_up_url", make)


@router.post(
    "/users/{user_id}/tokens",
    status_code=201,
    response_model=MadeToken,
    dependencies=[AdminOnly],
)
async def create_token(
    user_id: UUID, body: NewToken, services: ServicesDep, caller: CurrentCaller, once: OnceDep
) -> Response:
    """Make a token for somebody. It is shown in this answer and never again.

    In a session this takes your own password; with a token it can do no more than that one and no
    longer. Refusals are those of `POST /api/me/tokens`.
    """
    return await _make(services, caller, user_id, body, once)


@router.get("/users/{user_id}/tokens", dependencies=[AdminOnly])
async def list_tokens(
    user_id: UUID, query: Annotated[PageQuery, Query()], services: ServicesDep
) -> Listing[Token]:
    """List a user's tokens, expired ones too, the newest first; not those that are revoked."""
    return await _tokens(services, user_id, query)


@router.delete("/users/{user_id}/tokens/{token_id}", status_code=204, dependencies=[AdminOnly])
async def revoke_token(user_id: UUID, token_id: UUID, services: ServicesDep) -> None:
    """Make a token useless from now on; once more does no harm."""
    await services.tokens.revoke(user_id, token_id)


async def _make(
    services: Services, caller: Caller, user_id: UUID, body: NewToken, once: Once
) -> Response:
    async def make() -> MadeToken:
        wanted = body.model_dump(exclude_unset=True, exclude={"password"})
        made = await services.tokens.grant(
            caller, user_id, cast("TokenFields", wanted), password=body.password
        )
        return MadeToken(token=made.token, **vars(made.details))

    return await once.answer_with_secret(MadeToken, "token", make)


def _told(link: set_up_links.SetUpLink, settings: ApiSettings) -> dict[str, Any]:
    url = f"{settings.public_base_url}{set_up_links.set_up_path(link.token)}"
    return {"set_up_url": url, "set_up_expires_at": link.expires_at}


async def _tokens(services: Services, user_id: UUID, query: PageQuery) -> Listing[Token]:
    cursors = _TOKENS.within(user_id)
    after = cursors.read(query.cursor, _NEWEST_FIRST)
    page = await services.tokens.of_user(user_id, after=after, limit=query.limit)
    return listing(page, Token, cursors.write(page.next, _NEWEST_FIRST))
