"""Settings > Workspace: the time zone, the 12- or 24-hour clock, and the consent texts take."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.forms import FormFields, chosen
from api.pages.labels import LABELS
from api.pages.menu import SETTINGS
from api.pages.page import InForm, Page, PageDep
from api.pages.times import TIME_ZONES
from domain.platform.errors import InvalidFieldError
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose
from services.maintenance.workspace import HourCycle

router = APIRouter()

_CYCLES: Mapping[str, HourCycle] = {"12": 12, "24": 24}
_ZONES = [("", "Server default"), *TIME_ZONES]


class WorkspaceFields(FormFields):
    """Settings of the workspace; an empty time zone means the server's."""

    time_zone: str = ""
    hour_cycle: str = ""
    transactional: str = ConsentNeeded.NONE
    informational: str = ConsentNeeded.NONE
    marketing: str = ConsentNeeded.NONE

    def cycle(self) -> HourCycle:
        """Return the hours of the clock.

        Raises:
            InvalidFieldError: They are neither 12 nor 24.
        """
        if self.hour_cycle not in _CYCLES:
            raise InvalidFieldError("hour_cycle", "must be 12 or 24", code="unknown_value")
        return _CYCLES[self.hour_cycle]

    def consent(self) -> dict[Purpose, ConsentNeeded]:
        """Return the consent that texts take, by purpose.

        Raises:
            InvalidFieldError: There is no such one.
        """
        return {one: chosen(ConsentNeeded, getattr(self, one), field=one) for one in Purpose}


@router.get("/settings")
async def show_settings(page: PageDep) -> Response:
    """Redirect to the first tab."""
    return page.redirect(SETTINGS[0].path)


@router.get("/settings/workspace")
async def show_workspace(page: PageDep) -> Response:
    """Show the workspace's settings."""
    now = await page.services.workspace.get()
    form = WorkspaceFields(
        time_zone=now.time_zone or "", hour_cycle=str(now.hour_cycle), **now.require_consent
    )
    return await _render(page, form)


@router.post("/settings/workspace", dependencies=[AdminOnly])
async def change_workspace(page: PageDep, form: InForm[WorkspaceFields]) -> Response:
    """Change the workspace's settings."""
    with page.refusing():
        await page.services.workspace.change(
            {
                "time_zone": form.time_zone.strip() or None,
                "hour_cycle": form.cycle(),
                "require_consent": form.consent(),
            },
            page.user.id,
        )
        return page.redirect_to("show_workspace", "Workspace saved.")
    return await _render(page, form)


async def _render(page: Page, form: WorkspaceFields) -> Response:
    return page.render(
        "settings/workspace.html",
        form=form,
        zones=_ZONES,
        purposes=[(one.value, LABELS.consent_for[one], getattr(form, one)) for one in Purpose],
        proof_keys=await page.services.proof_keys.known(),
        needs=[(one.value, words) for one, words in LABELS.consent_needed.items()],
    )
