"""What routes ask for: the use cases, the caller, a role."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from domain.statuses import Role
from services.factory import Services
from services.users import ForbiddenError, UserDetails
from settings import ApiSettings

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, description="A token made by an admin: `sgt_...`")


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _settings(request: Request) -> ApiSettings:
    settings: ApiSettings = request.app.state.settings
    return settings


ServicesDep = Annotated[Services, Depends(_services)]
"""Every use case."""

SettingsDep = Annotated[ApiSettings, Depends(_settings)]
"""The settings of this process."""


async def _current_user(
    services: ServicesDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> UserDetails:
    return await services.users.authenticate(credentials.credentials if credentials else None)


CurrentUser = Annotated[UserDetails, Depends(_current_user)]
"""Who calls; asked for once per request however often it is needed."""


async def authorize(request: Request, user: CurrentUser) -> None:
    """Let signed-in users through, viewers only to read; stands before every route of the API."""
    if user.role is Role.VIEWER and request.method not in _READING:
        raise ForbiddenError(Role.MEMBER)


async def require_admin(user: CurrentUser) -> None:
    """Let only admins through."""
    if user.role is not Role.ADMIN:
        raise ForbiddenError(Role.ADMIN)


AdminOnly = Depends(require_admin)
"""For a route's or router's ``dependencies``."""
