"""A sequence > Contacts: its enrollments with filters, and the words for their states."""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.enrollments import CONTACTS_CURSORS
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.page import Page, PageDep
from api.pages.sequences.frame import render_tab
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
    # Concurrently: either query may have to read the whole sequence.
    tab, counted = await asyncio.gather(
        _read(page, sequence_id, query), _count(page, sequence_id, query)
    )
    next_cursor = CONTACTS_CURSORS.within(sequence_id).write(tab.page.next, query.sort)
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    return await render_tab(
        page,
        await page.services.sequences.get(sequence_id, counted=False),
        "sequences/contacts.html",
        part="sequences/_people.html",
        query=query,
        first_sort=_FIRST_SORT,
        filtered=query.wanted() != EnrollmentFilter().wanted(),
        people=tab.page.items,
        counts=tab.counts,
        matching=sum(tab.counts[status] for status in set(query.status) or tab.counts)
        if counted is None
        else counted,
        address=Addresses(path, query, next_cursor, first_sort=_FIRST_SORT),
        zones=_zones(page, tab),
        enroll_path=page.path_to("show_enroll", sequence_id=sequence_id),
        **await _choices(page, sequence_id),
    )


@router.get("/sequences/{sequence_id}/contacts/live")
async def show_live_states(page: PageDep, sequence_id: UUID, query: InQuery[TabQuery]) -> Response:
    """Query the workflows of the enrollments on a page."""
    tab = await _read(page, sequence_id, query, live=True)
    return page.part("sequences/_live.html", people=tab.page.items)


async def _read(
    page: Page, sequence_id: UUID, query: TabQuery, *, live: bool = False
) -> EnrollmentPage:
    return await page.services.enrollment_list.page(
        sequence_id,
        query.wanted(),
        sort=query.sort,
        after=CONTACTS_CURSORS.within(sequence_id).read(query.cursor, query.sort),
        limit=ROWS,
        live=live,
    )


async def _choices(page: Page, sequence_id: UUID) -> dict[str, Any]:
    """Return the options of the filters; htmx, which has them, gets none."""
    if page.wants_part:
        return {}
    found = await page.services.pickers.filters(sequence_id)
    steps = [
        (one.step, f"{one.step}: {_short(one.body)}" if one.step else "0: no text yet")
        for one in found.steps
    ]
    return {
        "step_options": steps,
        "user_options": [(one.id, one.name) for one in found.users],
        "group_options": [(one.id, one.name) for one in found.groups],
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


async def _count(page: Page, sequence_id: UUID, query: TabQuery) -> int | None:
    """Count the matching enrollments; None if the counts by status give the answer."""
    wanted = query.wanted()
    if wanted == EnrollmentFilter(status=query.status).wanted():
        return None
    return await page.services.enrollment_list.count(sequence_id, wanted)
