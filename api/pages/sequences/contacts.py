"""A sequence > Contacts: its enrollments with filters, and the words for their states."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import OwnAccount
from api.enrollments import CONTACTS_CURSORS
from api.pages.addresses import Addresses, PlaceQuery, as_view
from api.pages.forms import FormFields
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, own_path
from api.pages.sequences.display import (
    MOST_COLUMNS,
    NAME,
    Density,
    Display,
    every_column,
)
from api.pages.sequences.frame import OPEN_STATES, render_tab
from api.pages.sequences.report_chips import report_chips
from api.pages.values import in_words
from api.paging import InQuery
from api.schemas.enrollments import EnrollmentFilter, EnrollmentSort
from domain.access.preferences import Preference
from domain.sequences.timing import ContactClock
from services.enrollments.enrollment_list import EnrollmentPage
from storage.contacts.fields import FieldDetails

router = APIRouter()

ROWS = 50
"""How many enrollments a page shows."""

_BODY_LENGTH = 40
_FIRST_SORT: EnrollmentSort = "-enrolled_at"


class TabQuery(EnrollmentFilter, PlaceQuery):
    """Query of the tab; ``columns`` and ``density`` go before what the user chose for good."""

    sort: EnrollmentSort = _FIRST_SORT
    columns: Annotated[str, Field(max_length=2000)] = ""
    density: Density | None = None


class DisplayForm(FormFields):
    """Columns and density as chosen; ``back`` is the address of the list that one sees."""

    columns: list[str] = Field(default_factory=list)
    density: str = Density.COMPACT
    back: str = ""


@router.get("/sequences/{sequence_id}/contacts")
async def show_sequence_contacts(
    page: PageDep, sequence_id: UUID, query: InQuery[TabQuery]
) -> Response:
    """Show the enrollments; the page asks again every few seconds."""
    kept = await page.services.preferences.get(page.user.id, Preference.SEQUENCE_CONTACTS)
    display = Display.of(kept, columns=query.columns, density=query.density)
    tab = await _read(page, sequence_id, query, count=True, fields=display.has_fields)
    next_cursor = CONTACTS_CURSORS.within(sequence_id).write(tab.page.next, query.sort)
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    lacking = any(one.missing_fields for one in tab.page.items)
    needs_fields = display.has_fields or lacking or not page.wants_part
    own = await page.services.fields.all() if needs_fields else []
    columns = display.columns(own)
    shown: dict[str, Any] = {
        "query": query,
        "first_sort": _FIRST_SORT,
        "filtered": query.wanted() != EnrollmentFilter().wanted(),
        "people": tab.page.items,
        "by_status": tab.by_status,
        "held": tab.held,
        "matching": tab.matching,
        "address": Addresses(path, query, next_cursor, first_sort=_FIRST_SORT),
        "zones": _zones(page, tab),
        "heads": [NAME, *columns],
        "columns": columns,
        "density": display.density,
        "field_labels": {one.key: one.label for one in own},
        "in_words": in_words,
        "shown_query": _as_view(query, display),
        "enroll_path": page.path_to("show_enroll", sequence_id=sequence_id)
        if tab.state in OPEN_STATES
        else None,
    }
    if page.wants_part:
        return page.part("sequences/_people.html", **shown)
    sequence = await page.services.sequences.get(sequence_id, counted=False)
    choices = await _choices(page, sequence_id, own)
    chips = await report_chips(page, query, shown["address"])
    return await render_tab(
        page, sequence, "sequences/contacts.html", **shown, **choices, report_chips=chips
    )


@router.post("/sequences/{sequence_id}/contacts/display", dependencies=[OwnAccount])
async def choose_display(page: PageDep, sequence_id: UUID, form: InForm[DisplayForm]) -> Response:
    """Keep which columns the user wants, and how close rows are; lead back to the list."""
    known = {column.name for column in every_column(await page.services.fields.all())}
    wanted = [name for name in dict.fromkeys(form.columns) if name in known][:MOST_COLUMNS]
    dense = form.density if form.density in set(Density) else Density.COMPACT
    value = {"columns": wanted, "density": dense}
    await page.services.preferences.put(page.user.id, Preference.SEQUENCE_CONTACTS, value)
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    return page.redirect(own_path(form.back, otherwise=path))


@router.get("/sequences/{sequence_id}/contacts/live")
async def show_live_states(page: PageDep, sequence_id: UUID, query: InQuery[TabQuery]) -> Response:
    """Query the workflows of the enrollments on a page."""
    tab = await _read(page, sequence_id, query, live=True)
    return page.part("sequences/_live.html", people=tab.page.items)


async def _read(
    page: Page,
    sequence_id: UUID,
    query: TabQuery,
    *,
    live: bool = False,
    count: bool = False,
    fields: bool = False,
) -> EnrollmentPage:
    return await page.services.enrollment_list.page(
        sequence_id,
        query.wanted(),
        sort=query.sort,
        after=CONTACTS_CURSORS.within(sequence_id).read(query.cursor, query.sort),
        limit=ROWS,
        live=live,
        count=count,
        fields=fields,
    )


def _as_view(query: TabQuery, display: Display) -> str:
    return as_view(query, **{"columns": None, "density": None, **display.as_parameters()})


async def _choices(page: Page, sequence_id: UUID, own: Sequence[FieldDetails]) -> dict[str, Any]:
    """Return the options of the filters, which are outside the part that htmx asks for."""
    found = await page.services.pickers.filters(sequence_id)
    steps = [
        (one.step, f"{one.step}: {_short(one.body)}" if one.step else "None yet")
        for one in found.steps
    ]
    return {
        "step_options": steps,
        "reason_options": list(LABELS.wait_reasons.items()),
        "user_options": [(one.id, one.name) for one in found.users],
        "group_options": [(one.id, one.name) for one in found.groups],
        "own": own,
        "every_column": every_column(own),
    }


def _short(body: str | None) -> str:
    words = " ".join((body or "no longer in the sequence").split())
    return words if len(words) <= _BODY_LENGTH else f"{words[: _BODY_LENGTH - 1]}…"


def _zones(page: Page, tab: EnrollmentPage) -> dict[UUID, str | None]:
    """Return the time zone that each next text goes by; None for the workspace's."""
    return {
        one.enrollment_id: ContactClock.of(
            time_zone=one.time_zone, phone=one.contact.phone, workspace=page.clock.zone
        ).wall_zone.key
        if one.next_send_at
        else None
        for one in tab.page.items
    }
