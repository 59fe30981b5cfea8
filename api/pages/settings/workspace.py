"""Settings > Workspace: the time zone, and the 12- or 24-hour clock."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.forms import FormFields
from api.pages.menu import SETTINGS
from api.pages.page import InForm, PageDep
from api.pages.times import TIME_ZONES
from domain.platform.errors import InvalidFieldError
from services.maintenance.workspace import HourCycle

router = APIRouter()

_TEMPLATE = "settings/workspace.html"
_CYCLES: Mapping[str, HourCycle] = {"12": 12, "24": 24}
_ZONES = [("", "Server default"), *TIME_ZONES]


class WorkspaceFields(FormFields):
    """Settings of the workspace; an empty time zone means the server's."""

    time_zone: str = ""
    hour_cycle: str = ""

    def cycle(self) -> HourCycle:
        """Return the hours of the clock.

        Raises:
            InvalidFieldError: They are neither 12 nor 24.
        """
        if self.hour_cycle not in _CYCLES:
            raise InvalidFieldError("hour_cycle", "must be 12 or 24", code="unknown_value")
        return _CYCLES[self.hour_cycle]


@router.get("/settings")
async def show_settings(page: PageDep) -> Response:
    """Redirect to the first tab."""
    return page.redirect(SETTINGS[0].path)


@router.get("/settings/workspace")
async def show_workspace(page: PageDep) -> Response:
    """Show the workspace's settings."""
    now = await page.services.workspace.get()
    form = WorkspaceFields(time_zone=now.time_zone or "", hour_cycle=str(now.hour_cycle))
    return page.render(_TEMPLATE, form=form, zones=_ZONES)


@router.post("/settings/workspace", dependencies=[AdminOnly])
async def change_workspace(page: PageDep, form: InForm[WorkspaceFields]) -> Response:
    """Change the workspace's settings."""
    with page.refusing():
        await page.services.workspace.change(
            {"time_zone": form.time_zone.strip() or None, "hour_cycle": form.cycle()}, page.user.id
        )
        return page.redirect_to("show_workspace", "Workspace saved.")
    return page.render(_TEMPLATE, form=form, zones=_ZONES)
