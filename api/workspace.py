"""Routes of the workspace's settings."""

from fastapi import APIRouter

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.schemas.platform import WorkspaceChanges, WorkspaceSettings

router = APIRouter(prefix="/settings", tags=["settings"])


@router.get("")
async def get_settings(services: ServicesDep) -> WorkspaceSettings:
    """Return the workspace's settings."""
    return WorkspaceSettings.model_validate(await services.workspace.get())


@router.patch("", dependencies=[AdminOnly])
async def change_settings(
    body: WorkspaceChanges, services: ServicesDep, user: CurrentUser
) -> WorkspaceSettings:
    """Change only the given fields.

    The time zone applies at once, to waiting steps too: it is the clock of contacts whose own zone
    is unknown, and decides between several that a number allows. Null goes back to the setting
    `WORKSPACE_TIME_ZONE`. `require_consent` holds enrollments whose contact has not agreed
    (`held_reason: consent_missing`) until they have, or until it is no longer asked for. Above
    `texts_per_day`, texts of sequences wait until the oldest of the last 24 hours is a day old
    (`waits_for: cap`); one-offs count, and go all the same.
    """
    changed = await services.workspace.change(body.as_changes(), user.id)
    return WorkspaceSettings.model_validate(changed)
