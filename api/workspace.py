"""Routes of the workspace's settings."""

from typing import cast

from fastapi import APIRouter

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.schemas.platform import WorkspaceChanges, WorkspaceSettings
from services.maintenance.workspace import WorkspaceFields

router = APIRouter(prefix="/settings", tags=["settings"])


@router.get("")
async def get_settings(services: ServicesDep) -> WorkspaceSettings:
    """Give the workspace's settings."""
    return WorkspaceSettings.model_validate(await services.workspace.get())


@router.patch("", dependencies=[AdminOnly])
async def change_settings(
    body: WorkspaceChanges, services: ServicesDep, user: CurrentUser
) -> WorkspaceSettings:
    """Change what is given.

    The time zone holds at once, also for steps that wait: it is the clock of contacts whose own
    zone cannot be told, and decides where a number allows several. Null gives it back to the
    setting `WORKSPACE_TIME_ZONE`.
    """
    fields = cast("WorkspaceFields", body.model_dump(exclude_unset=True))
    return WorkspaceSettings.model_validate(await services.workspace.change(fields, user.id))
