"""A sequence > Contacts: its enrollments with filters, and the words for their states."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.enrollments import CONTACTS_CURSORS
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.page import Page, PageDep
from api.pages.sequences.frame import OPEN_STATES, render_tab
from api.pages.sequences.report_chips import report_chips
from api.paging import InQuery
from api.schemas.enrollments import EnrollmentFilter, EnrollmentSort
from domain.sequences.timing import ContactClock
from services.enrollments.enrollment_list import EnrollmentPage

router = APIRouter()

ROWS = 50
"""How many enrollments a page shows."""

_BODY_LENGTH = 40
_FIRST_SORT: EnrollmentSort = "-enrolled_at"


class TabQuery(EnrollmentFilter, PlaceQuery):
    """Query of the tab."""

    sort: EnrollmentSort = _FIRST_SORT


@router.get("/sequences/{sequence_id}/contacts")
async def show_sequence_contacts(
    page: PageDep, sequence_id: UUID, query: InQuery[TabQuery]
) -> Response:
    """Show the enrollments; the page asks again every few seconds."""
    tab = await _read(page, sequence_id, query, count=True)
    next_cursor = CONTACTS_CURSORS.within(sequence_id).write(tab.page.next, query.sort)
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    shown: dict[str, Any] = {
        "query": query,
        "first_sort": _FIRST_SORT,
        "filtered": query.wanted() != EnrollmentFilter().wanted(),
        "people": tab.page.items,
        "counts": tab.counts,
        "matching": tab.matching,
        "address": Addresses(path, query, next_cursor, first_sort=_FIRST_SORT),
        "zones": _zones(page, tab),
        "enroll_path": page.path_to("show_enroll", sequence_id=sequence_id)
        if tab.state in OPEN_STATES
        else None,
    }
    if page.wants_part:
        return page.part("sequences/_people.html", **shown)
    sequence = await page.services.sequences.get(sequence_id, counted=False)
    choices = await _choices(page, sequence_id)
    chips = await report_chips(page, query, shown["address"])
    return await render_tab(
        page, sequence, "sequences/contacts.html", **shown, **choices, report_chips=chips
    )


@router.get("/sequences/{sequence_id}/contacts/live")
async def show_live_states(page: PageDep, sequence_id: UUID, query: InQuery[TabQuery]) -> Response:
    """Query the workflows of the enrollments on a page."""
    tab = await _read(page, sequence_id, query, live=True)
    return page.part("sequences/_live.html", people=tab.page.items)


async def _read(
    page: Page, sequence_id: UUID, query: TabQuery, *, live: bool = False, count: bool = False
) -> EnrollmentPage:
    return await page.services.enrollment_list.page(
        sequence_id,
        query.wanted(),
        sort=query.sort,
        after=CONTACTS_CURSORS.within(sequence_id).read(query.cursor, query.sort),
        limit=ROWS,
        live=live,
        count=count,
    )


async def _choices(page: Page, sequence_id: UUID) -> dict[str, Any]:
    """Return the options of the filters, which are outside the part that htmx asks for."""
    found = await page.services.pickers.filters(sequence_id)
    steps = [
        (one.step, f"{one.step}: {_short(one.body)}" if one.step else "0: no text yet")
        for one in found.steps
    ]
    return {
        "step_options": steps,
        "user_options": [(one.id, one.name) for one in found.users],
        "group_options": [(one.id, one.name) for one in found.groups],
        "own": await page.services.fields.all(),
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
