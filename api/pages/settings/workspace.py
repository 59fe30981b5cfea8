"""Settings > Workspace: the time zone, the 12- or 24-hour clock, the law that binds."""

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.forms import FormFields
from api.pages.menu import SETTINGS
from api.pages.page import InForm, Page, PageDep
from api.pages.times import TIME_ZONES
from domain.platform.errors import InvalidFieldError
from domain.sequences.rule_packs import PACKS
from services.maintenance.workspace import HourCycle, WorkspaceDetails, WorkspaceFields

router = APIRouter()

_TEMPLATE = "settings/workspace.html"
_CYCLES: Mapping[str, HourCycle] = {"12": 12, "24": 24}
_ZONES = [("", "Server default"), *TIME_ZONES]


class WorkspaceForm(FormFields):
    """Settings of the workspace; an empty time zone means the server's.

    ``rule_packs`` count only from a form that ``shows_packs``: one without any chosen names none.
    """

    time_zone: str = ""
    hour_cycle: str = ""
    shows_packs: bool = False
    rule_packs: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, now: WorkspaceDetails) -> "WorkspaceForm":
        """Fill the form."""
        return cls(
            time_zone=now.time_zone or "",
            hour_cycle=str(now.hour_cycle),
            rule_packs=list(PACKS if now.rule_packs is None else now.rule_packs),
        )

    def changes(self) -> WorkspaceFields:
        """Return the settings; all packs stand for those of later releases too.

        Raises:
            InvalidFieldError: The hours of the clock are neither 12 nor 24.
        """
        given: WorkspaceFields = {
            "time_zone": self.time_zone.strip() or None,
            "hour_cycle": self.cycle(),
        }
        if self.shows_packs:
            chosen = set(self.rule_packs)
            given["rule_packs"] = None if chosen == set(PACKS) else sorted(chosen)
        return given

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
    return _render(page, WorkspaceForm.of(await page.services.workspace.get()))


@router.post("/settings/workspace", dependencies=[AdminOnly])
async def change_workspace(page: PageDep, form: InForm[WorkspaceForm]) -> Response:
    """Change the workspace's settings."""
    with page.refusing():
        await page.services.workspace.change(form.changes(), page.user.id)
        return page.redirect_to("show_workspace", "Workspace saved.")
    return _render(page, form)


def _render(page: Page, form: WorkspaceForm) -> Response:
    packs = [(one.id, one.name, one.versions[-1].note) for one in PACKS.values()]
    return page.render(_TEMPLATE, form=form, zones=_ZONES, packs=packs)
