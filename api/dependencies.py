"""What routes ask for: the use cases, the caller, a role, a scope."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Request, params
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.request_log import ACTOR
from api.same_origin import require_same_origin
from domain.statuses.access import Role, TokenScope
from services.access.users import Caller, ForbiddenError, MissingScopeError, UserDetails
from services.factory import Services
from services.platform.audit import Actor, set_actor
from settings import ApiSettings

SESSION_COOKIE = "segue_session"
DEVICE_COOKIE = "segue_device"

POLL_HEADER = "Segue-Poll"
"""Marks what a page asks by itself, with nobody at it."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, description="A token made by an admin: `sgt_...`")


def cookie_name(name: str, settings: ApiSettings) -> str:
    """Name a cookie so that, over HTTPS, no other host of our domain can set it.

    Browsers take ``__Host-`` from the host itself alone, over HTTPS, for all of its paths (RFC
    6265bis, section 4.1.3.2).
    """
    return f"__Host-{name}" if settings.is_https else name


class _SessionCookie(APIKeyCookie):
    """The session's cookie, by the name that it has here."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Give it, if a request has it."""
        return request.cookies.get(cookie_name(SESSION_COOKIE, _settings(request)))


_cookie = _SessionCookie(
    name=f"__Host-{SESSION_COOKIE}",
    scheme_name="APIKeyCookie",
    auto_error=False,
    description=(
        "A browser's session, begun by `POST /api/session`."
        f" Where `PUBLIC_BASE_URL` is plain HTTP, it is called `{SESSION_COOKIE}`."
    ),
)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _settings(request: HTTPConnection) -> ApiSettings:
    settings: ApiSettings = request.app.state.settings
    return settings


ServicesDep = Annotated[Services, Depends(_services)]
"""Every use case."""

SettingsDep = Annotated[ApiSettings, Depends(_settings)]
"""The settings of this process."""


def address_of(request: Request) -> str | None:
    """Tell where a request comes from, as far as the server believes the proxies before it."""
    return request.client.host if request.client else None


_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_Cookie = Annotated[str | None, Depends(_cookie)]


async def shows_credentials(request: Request) -> bool:
    """Whether a request comes with a token or a session, good or not."""
    return bool(await _bearer(request) or await _cookie(request))


async def authenticate(request: Request) -> Caller:
    """Tell who calls, by token or session.

    Raises:
        NotSignedInError: Neither is shown, or it is not good.
        CrossSiteError: A session is to change something, and not from our own pages.
    """
    return await _caller_of(request, await _bearer(request), await _cookie(request))


async def _caller_of(request: Request, credentials: _Bearer, cookie: _Cookie) -> Caller:
    services = _services(request)
    if credentials is not None or cookie is None:
        token = credentials.credentials if credentials else None
        return _named(request, await services.users.authenticate(token))
    in_use = POLL_HEADER not in request.headers
    caller = _named(request, await services.sessions.authenticate(cookie, in_use=in_use))
    if request.method not in _READING:
        require_same_origin(request, _settings(request).public_base_url)
    return caller


def _named(request: Request, caller: Caller) -> Caller:
    """Name a caller to the audit log and the request log."""
    actor = Actor(caller.user.id, caller.token_id, address_of(request))
    setattr(request.state, ACTOR, actor)
    # Async dependencies run in the request's own context, which the route shares.
    set_actor(actor)
    return caller


def actor_of(request: Request) -> Actor:
    """Tell who a request is from, as far as that was found out yet."""
    known: Actor | None = getattr(request.state, ACTOR, None)
    return known or Actor(address=address_of(request))


CurrentCaller = Annotated[Caller, Depends(_caller_of)]
"""Who calls and how they proved it; asked for once per request however often it is needed."""


async def _current_user(caller: CurrentCaller) -> UserDetails:
    return caller.user


CurrentUser = Annotated[UserDetails, Depends(_current_user)]
"""Who calls."""


async def require_admin(user: CurrentUser) -> None:
    """Let only admins through, whose token has the scope ``admin``."""
    if user.role is not Role.ADMIN:
        raise ForbiddenError(Role.ADMIN)


async def _sends() -> None:
    """Mark a route; ``authorize`` reads the mark."""


async def _own_account() -> None:
    """Mark a route; ``authorize`` reads the mark."""


AdminOnly = Depends(require_admin)
"""For a route's or router's ``dependencies``: takes an admin, and the scope ``admin``."""

Sends = Depends(_sends)
"""For a route's or router's ``dependencies``: texts may go out, so it takes the scope ``send``."""

OwnAccount = Depends(_own_account)
"""For a route's ``dependencies``: about the caller alone; every role, the scope ``admin``."""

_SCOPES = {
    AdminOnly.dependency: TokenScope.ADMIN,
    Sends.dependency: TokenScope.SEND,
    OwnAccount.dependency: TokenScope.ADMIN,
}


def needed_scope(dependencies: Sequence[params.Depends], method: str) -> TokenScope:
    """Tell what scope a route takes: as it is marked, else as its method says."""
    for one in dependencies:
        if one.dependency in _SCOPES:
            return _SCOPES[one.dependency]
    return TokenScope.READ if method in _READING else TokenScope.WRITE


def needed_role(dependencies: Sequence[params.Depends], method: str) -> Role:
    """Tell the least role that a route takes."""
    marks = {one.dependency for one in dependencies}
    if AdminOnly.dependency in marks:
        return Role.ADMIN
    if method in _READING or OwnAccount.dependency in marks:
        return Role.VIEWER
    return Role.MEMBER


async def authorize(request: Request, caller: CurrentCaller) -> None:
    """Let through who may do what a route does; stands before every route of the API.

    Raises:
        ForbiddenError: The role is too weak.
        MissingScopeError: The token was not made for it.
    """
    route: Any = request.scope["route"]
    role = needed_role(route.dependencies, request.method)
    if not reaches(caller.user.role, role):
        raise ForbiddenError(role)
    scope = needed_scope(route.dependencies, request.method)
    if scope not in caller.scopes:
        raise MissingScopeError(scope)


def reaches(role: Role, needed: Role) -> bool:
    """Whether a role is that one or a stronger one."""
    ranks = list(Role)
    return ranks.index(role) >= ranks.index(needed)
