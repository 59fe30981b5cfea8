"""Routes of users, their tokens and their sessions."""

from datetime import datetime
from functools import partial
from typing import Any, cast
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import (
    AdminOnly,
    CurrentCaller,
    CurrentUser,
    OwnAccount,
    ServicesDep,
    SettingsDep,
)
from api.idempotency import Once, OnceDep
from api.paging import Cursors, InQuery, PageQuery
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
from services.access.users import Caller
from services.factory import Services
from settings import ApiSettings

router = APIRouter(tags=["users"])

USER_CURSORS = Cursors("users", "created_at", {"created_at": datetime})
TOKEN_CURSORS = Cursors("tokens", "-created_at", {"created_at": datetime})
_SESSIONS = Cursors("sessions", "-created_at", {"created_at": datetime})


@router.get("/me")
async def get_me(user: CurrentUser) -> User:
    """Return the user who makes the request."""
    return User.model_validate(user)


@router.put("/me/password", status_code=204, dependencies=[OwnAccount])
async def change_own_password(
    body: NewPassword,
    response: Response,
    services: ServicesDep,
    settings: SettingsDep,
    user: CurrentUser,
) -> None:
    """Change your password. All your sessions end, this one too.

    Your tokens stay unless you revoke them (`revoke_tokens`), the one you use now included:
    someone who knew your password may have created some.

    422 `wrong_password` if the current one is wrong, `invalid_password` if the new one is too
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
    query: InQuery[PageQuery], services: ServicesDep, caller: CurrentCaller
) -> Listing[OpenSession]:
    """List your browser sessions, newest first."""
    find = partial(services.sessions.of_caller, caller)
    return await _SESSIONS.within(caller.user.id).listing(OpenSession, query, find)


@router.delete("/me/sessions", status_code=204, dependencies=[OwnAccount])
async def end_other_sessions(services: ServicesDep, caller: CurrentCaller) -> None:
    """Sign out everywhere else: end all your sessions but the one you use now."""
    await services.sessions.end_others(caller)


@router.delete("/me/sessions/{session_id}", status_code=204, dependencies=[OwnAccount])
async def end_own_session(session_id: UUID, services: ServicesDep, caller: CurrentCaller) -> None:
    """End one of your sessions, even the one you use now; repeating it is harmless."""
    await services.sessions.end(caller, session_id)


@router.post("/me/tokens", status_code=201, response_model=MadeToken, dependencies=[OwnAccount])
async def create_own_token(
    body: NewToken, services: ServicesDep, caller: CurrentCaller, once: OnceDep
) -> Response:
    """Create a token for yourself. Only this answer shows it.

    It can do what you can, within its scopes. In a session this takes your password: 422
    `wrong_password`, 429 `too_many_requests`. With a token, the new one can neither do more nor
    live longer: 422 `exceeds_token`.
    """
    return await _make(services, caller, caller.user.id, body, once)


@router.get("/me/tokens")
async def list_own_tokens(
    query: InQuery[PageQuery], services: ServicesDep, user: CurrentUser
) -> Listing[Token]:
    """List your tokens, newest first: expired ones too, but not revoked ones."""
    return await _tokens(services, user.id, query)


@router.get("/me/tokens/{token_id}")
async def get_own_token(token_id: UUID, services: ServicesDep, user: CurrentUser) -> Token:
    """Return one of your tokens, a revoked one too."""
    return Token.model_validate(await services.tokens.get(user.id, token_id))


@router.delete("/me/tokens/{token_id}", status_code=204, dependencies=[OwnAccount])
async def revoke_own_token(token_id: UUID, services: ServicesDep, user: CurrentUser) -> None:
    """Revoke one of your tokens; repeating it is harmless."""
    await services.tokens.revoke(user.id, token_id)


@router.post("/users", status_code=201, response_model=MadeUser, dependencies=[AdminOnly])
async def create_user(
    body: NewUser, services: ServicesDep, settings: SettingsDep, once: OnceDep
) -> Response:
    """Add a user; the answer has a link on which they set their password, once.

    Give the link to them alone; it works for 72 hours. A user who only uses tokens does not need
    it. 409 `email_taken` if the address is in use, upper or lower case.
    """

    async def create() -> MadeUser:
        user, link = await services.set_up_links.invite(
            email=body.email, role=body.role, name=body.name
        )
        return MadeUser(**vars(user), **_told(link, settings))

    return await once.answer_with_secret("set_up_url", create)


@router.get("/users", dependencies=[AdminOnly])
async def list_users(query: InQuery[PageQuery], services: ServicesDep) -> Listing[User]:
    """List users, oldest first."""
    return await USER_CURSORS.listing(User, query, services.users.find)


@router.get("/users/{user_id}", dependencies=[AdminOnly])
async def get_user(user_id: UUID, services: ServicesDep) -> User:
    """Return one user."""
    return User.model_validate(await services.users.get(user_id))


@router.patch("/users/{user_id}", dependencies=[AdminOnly])
async def change_user(user_id: UUID, body: UserChanges, services: ServicesDep) -> User:
    """Change only the given fields.

    A new role, or disabling a user, ends their sessions at once. Their tokens stay, within the new
    role, but those of a disabled user do not work. 409 `last_admin` if no admin would be left.
    """
    return User.model_validate(await services.users.change(user_id, body.as_changes()))


@router.post(
    "/users/{user_id}/set-up-links",
    status_code=201,
    response_model=SetUpLink,
    dependencies=[AdminOnly],
)
async def create_set_up_link(
    user_id: UUID, body: NewSetUpLink, services: ServicesDep, settings: SettingsDep, once: OnceDep
) -> Response:
    """Create a link on which a user sets a new password, once, within 72 hours.

    Their current password, their sessions and any earlier link end at once; with `revoke_tokens`
    their tokens too. 409 `user_disabled`.
    """

    async def make() -> SetUpLink:
        link = await services.set_up_links.replace_password(
            user_id, revoke_tokens=body.revoke_tokens
        )
        return SetUpLink(**_told(link, settings))

    return await once.into(f"/api/users/{user_id}").answer_with_secret("set_up_url", make)


@router.post(
    "/users/{user_id}/tokens", status_code=201, response_model=MadeToken, dependencies=[AdminOnly]
)
async def create_token(
    user_id: UUID, body: NewToken, services: ServicesDep, caller: CurrentCaller, once: OnceDep
) -> Response:
    """Create a token for a user. Only this answer shows it.

    In a session this takes your own password; with a token, the new one can neither do more nor
    live longer. Refusals are those of `POST /api/me/tokens`.
    """
    return await _make(services, caller, user_id, body, once)


@router.get("/users/{user_id}/tokens", dependencies=[AdminOnly])
async def list_tokens(
    user_id: UUID, query: InQuery[PageQuery], services: ServicesDep
) -> Listing[Token]:
    """List a user's tokens, newest first: expired ones too, but not revoked ones."""
    return await _tokens(services, user_id, query)


@router.get("/users/{user_id}/tokens/{token_id}", dependencies=[AdminOnly])
async def get_token(user_id: UUID, token_id: UUID, services: ServicesDep) -> Token:
    """Return one of a user's tokens, a revoked one too."""
    return Token.model_validate(await services.tokens.get(user_id, token_id))


@router.delete("/users/{user_id}/tokens/{token_id}", status_code=204, dependencies=[AdminOnly])
async def revoke_token(user_id: UUID, token_id: UUID, services: ServicesDep) -> None:
    """Revoke one of a user's tokens; repeating it is harmless."""
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

    return await once.answer_with_secret("token", make)


def _told(link: set_up_links.SetUpLink, settings: ApiSettings) -> dict[str, Any]:
    url = f"{settings.public_base_url}{set_up_links.set_up_path(link.token)}"
    return {"set_up_url": url, "set_up_expires_at": link.expires_at}


async def _tokens(services: Services, user_id: UUID, query: PageQuery) -> Listing[Token]:
    find = partial(services.tokens.of_user, user_id)
    return await TOKEN_CURSORS.within(user_id).listing(Token, query, find)
