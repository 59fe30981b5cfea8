"""What routes depend on: the use cases, the caller, a role, a scope."""

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
"""Marks what a page asks by itself, which keeps no session alive."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, description="An API token: `sgt_...`")


def cookie_name(name: str, settings: ApiSettings) -> str:
    """Name a cookie so that, over HTTPS, no other host of our domain can set it.

    Browsers accept ``__Host-`` only from the host itself, over HTTPS, for all its paths (RFC
    6265bis, section 4.1.3.2).
    """
    return f"__Host-{name}" if settings.is_https else name


class _SessionCookie(APIKeyCookie):
    """The session's cookie, by its name here."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        """Read it; None if the request has none."""
        return request.cookies.get(cookie_name(SESSION_COOKIE, settings_of(request)))


_cookie = _SessionCookie(
    name=f"__Host-{SESSION_COOKIE}",
    scheme_name="APIKeyCookie",
    auto_error=False,
    description=(
        "A browser's session, begun by `POST /api/session`."
        f" Where `PUBLIC_BASE_URL` is plain HTTP, it is called `{SESSION_COOKIE}`."
    ),
)


def services_of(request: Request) -> Services:
    """Return every use case."""
    services: Services = request.app.state.services
    return services


def settings_of(request: HTTPConnection) -> ApiSettings:
    """Return the settings of this process."""
    settings: ApiSettings = request.app.state.settings
    return settings


# Coroutines, though they wait for nothing: FastAPI runs functions in threads, two hops a request.
async def _services_of(request: Request) -> Services:
    return services_of(request)


async def _settings_of(request: Request) -> ApiSettings:
    return settings_of(request)


ServicesDep = Annotated[Services, Depends(_services_of)]
"""Every use case."""

SettingsDep = Annotated[ApiSettings, Depends(_settings_of)]
"""The settings of this process."""


def address_of(request: Request) -> str | None:
    """Read a request's network address, as far as the server trusts the proxies before it."""
    return request.client.host if request.client else None


_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_Cookie = Annotated[str | None, Depends(_cookie)]


async def shows_credentials(request: Request) -> bool:
    """Tell whether a request has a token or a session, valid or not."""
    return bool(await _bearer(request) or await _cookie(request))


async def authenticate(request: Request) -> Caller:
    """Identify the caller by token or session.

    Raises:
        NotSignedInError: There is none, or it is not valid.
        CrossSiteError: With a session, a change that does not come from our own pages.
    """
    return await _caller_of(request, await _bearer(request), await _cookie(request))


async def _caller_of(request: Request, credentials: _Bearer, cookie: _Cookie) -> Caller:
    services = services_of(request)
    if credentials is not None or cookie is None:
        token = credentials.credentials if credentials else None
        return _named(request, await services.users.authenticate(token))
    in_use = POLL_HEADER not in request.headers
    caller = _named(request, await services.sessions.authenticate(cookie, in_use=in_use))
    if request.method not in _READING:
        require_same_origin(request, settings_of(request).public_base_url)
    return caller


def _named(request: Request, caller: Caller) -> Caller:
    """Tell the audit log and the request log who calls."""
    actor = Actor(caller.user.id, caller.token_id, address_of(request))
    setattr(request.state, ACTOR, actor)
    # Async dependencies run in the context of the request, as its route does.
    set_actor(actor)
    return caller


def actor_of(request: Request) -> Actor:
    """Tell who a request is from, as far as that is known yet."""
    known: Actor | None = getattr(request.state, ACTOR, None)
    return known or Actor(address=address_of(request))


CurrentCaller = Annotated[Caller, Depends(_caller_of)]
"""Who calls and how they proved it; FastAPI finds out once per request."""


async def _current_user(caller: CurrentCaller) -> UserDetails:
    return caller.user


CurrentUser = Annotated[UserDetails, Depends(_current_user)]
"""Who calls."""


async def require_admin(user: CurrentUser) -> None:
    """Require an admin, and a token with the scope ``admin``."""
    if user.role is not Role.ADMIN:
        raise ForbiddenError(Role.ADMIN)


async def _sends() -> None:
    """Mark a route; ``authorize`` reads the mark."""


async def _members_only() -> None:
    """Mark a route; ``authorize`` reads the mark."""


async def _own_account() -> None:
    """Mark a route; ``authorize`` reads the mark."""


AdminOnly = Depends(require_admin)
"""For a route's or router's ``dependencies``: requires an admin, and the scope ``admin``."""

Sends = Depends(_sends)
"""For a route's or router's ``dependencies``: texts may go out; requires the scope ``send``."""

MembersOnly = Depends(_members_only)
"""For a route's ``dependencies``: a ``GET`` that leads to a change, so it is not for viewers."""

OwnAccount = Depends(_own_account)
"""For a route's ``dependencies``: the caller's own account; every role, the scope ``admin``."""

_SCOPES = {
    AdminOnly.dependency: TokenScope.ADMIN,
    Sends.dependency: TokenScope.SEND,
    OwnAccount.dependency: TokenScope.ADMIN,
}


def needed_scope(dependencies: Sequence[params.Depends], method: str) -> TokenScope:
    """Tell which scope a route requires: by its mark, else by its method."""
    for one in dependencies:
        if one.dependency in _SCOPES:
            return _SCOPES[one.dependency]
    return TokenScope.READ if method in _READING else TokenScope.WRITE


def needed_role(dependencies: Sequence[params.Depends], method: str) -> Role:
    """Tell the least role that a route requires."""
    marks = {one.dependency for one in dependencies}
    if AdminOnly.dependency in marks:
        return Role.ADMIN
    if MembersOnly.dependency in marks:
        return Role.MEMBER
    if method in _READING or OwnAccount.dependency in marks:
        return Role.VIEWER
    return Role.MEMBER


async def authorize(request: Request, caller: CurrentCaller) -> None:
    """Require the route's role and scope of the caller; guards every route of the API.

    Raises:
        ForbiddenError: The role is too weak.
        MissingScopeError: The token lacks the scope.
    """
    route: Any = request.scope["route"]
    role = needed_role(route.dependencies, request.method)
    if not reaches(caller.user.role, role):
        raise ForbiddenError(role)
    scope = needed_scope(route.dependencies, request.method)
    if scope not in caller.scopes:
        raise MissingScopeError(scope)


def reaches(role: Role, needed: Role) -> bool:
    """Tell whether a role is at least the needed one."""
    ranks = list(Role)
    return ranks.index(role) >= ranks.index(needed)
