"""Settings > Workspace: the time zone, the clock, the law that binds, the consent texts take."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import UTC, date, datetime

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.forms import FormFields, chosen
from api.pages.labels import LABELS
from api.pages.menu import SETTINGS
from api.pages.page import InForm, Page, PageDep
from api.pages.times import TIME_ZONES, Clock
from domain.platform.errors import InvalidFieldError
from domain.sequences.rule_packs import PACKS
from domain.sequences.timing import DAYS
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose
from services.maintenance.workspace import HourCycle, WorkspaceDetails, WorkspaceFields

router = APIRouter()

_CYCLES: Mapping[str, HourCycle] = {"12": 12, "24": 24}
_ZONES = [("", "Server default"), *TIME_ZONES]


class WorkspaceForm(FormFields):
    """Settings of the workspace; an empty time zone means the server's.

    ``rule_packs`` count only from a form that ``shows_packs``: one without any chosen names none.
    """

    time_zone: str = ""
    hour_cycle: str = ""
    transactional: str = ConsentNeeded.NONE
    informational: str = ConsentNeeded.NONE
    marketing: str = ConsentNeeded.NONE
    shows_packs: bool = False
    rule_packs: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, now: WorkspaceDetails) -> "WorkspaceForm":
        """Fill the form."""
        return cls(
            time_zone=now.time_zone or "",
            hour_cycle=str(now.hour_cycle),
            **{purpose.value: one for purpose, one in now.require_consent.items()},
            rule_packs=list(PACKS if now.rule_packs is None else now.rule_packs),
        )

    def changes(self) -> WorkspaceFields:
        """Return the settings; all packs stand for those of later releases too.

        Raises:
            InvalidFieldError: The hours of the clock, or a consent, are none that there are.
        """
        given: WorkspaceFields = {
            "time_zone": self.time_zone.strip() or None,
            "hour_cycle": self.cycle(),
            "require_consent": self.consent(),
        }
        if self.shows_packs:
            chosen_packs = set(self.rule_packs)
            given["rule_packs"] = None if chosen_packs == set(PACKS) else sorted(chosen_packs)
        return given

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
    return await _render(page, WorkspaceForm.of(await page.services.workspace.get()))


@router.post("/settings/workspace", dependencies=[AdminOnly])
async def change_workspace(page: PageDep, form: InForm[WorkspaceForm]) -> Response:
    """Change the workspace's settings."""
    with page.refusing():
        await page.services.workspace.change(form.changes(), page.user.id)
        return page.redirect_to("show_workspace", "Workspace saved.")
    return await _render(page, form)


@dataclass(frozen=True)
class Law:
    """A rule pack in words: the hours that it leaves marketing texts, or ``None``."""

    id: str
    place: str
    weekdays: str
    saturday: str
    sunday: str
    holidays: str
    note: str
    sources: tuple[str, ...]


def _laws(clock: Clock, day: date) -> list[Law]:
    """Describe the packs as they hold on a day: the federal one first, then by name."""
    found = []
    for pack in sorted(PACKS.values(), key=lambda one: (one.id != "us", one.name)):
        version = pack.on(day) or pack.versions[-1]
        window = version.hours.get(Purpose.MARKETING)
        open_on = window.dump() if window else {}
        week = ["Any hour" if not window else _hours(clock, open_on.get(one)) for one in DAYS]
        found.append(
            Law(
                pack.id,
                pack.name,
                " or ".join(dict.fromkeys(week[:5])),
                week[5],
                week[6],
                "None" if version.closed_on_holidays else "As on other days",
                version.note.replace("\n", " ").strip(),
                version.sources,
            )
        )
    return found


def _hours(clock: Clock, hours: Many[str] | None) -> str:
    """Write the hours of a day, or that there are none."""
    if hours is None:
        return "None"
    ends = (datetime(2000, 1, 1, int(at[:2]) % 24, int(at[3:]), tzinfo=UTC) for at in hours)
    return " to ".join(clock.time_of(at, "UTC") for at in ends)


async def _render(page: Page, form: WorkspaceForm) -> Response:
    return page.render(
        "settings/workspace.html",
        form=form,
        zones=_ZONES,
        laws=_laws(page.clock, page.now.date()),
        purposes=[(one.value, LABELS.consent_for[one], getattr(form, one)) for one in Purpose],
        needs=[(one.value, words) for one, words in LABELS.consent_needed.items()],
        proof_keys=await page.services.proof_keys.known(),
    )
