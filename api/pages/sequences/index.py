"""The list of sequences: duplicating, activating, pausing and archiving them."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import Sends
from api.pages.addresses import PlaceQuery, listed
from api.pages.page import Page, PageDep, own_path
from api.pages.rendering import status_bar
from api.pages.sequences.frame import STATE_TONES
from api.paging import InQuery
from api.sequences import SEQUENCE_CURSORS
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceState
from storage.sequences.sequences import SequenceRecord

router = APIRouter()

_ROWS = 30
_SHOWN = [state for state in SequenceState if state is not SequenceState.ARCHIVED]
"""The states that the list shows unless others are asked for."""


class ListQuery(PlaceQuery):
    """Query of the list."""

    search: str = Field(default="", max_length=200)
    state: list[SequenceState] = Field(default_factory=list, max_length=10)


@router.get("/sequences")
async def show_sequences(page: PageDep, query: InQuery[ListQuery]) -> Response:
    """Show the sequences, newest first; the page asks again every few seconds."""
    path = page.path_to("show_sequences")
    states = query.state or _SHOWN
    find = partial(page.services.sequence_list.page, states=states, search=query.search)
    sequences, address = await listed(path, query, SEQUENCE_CURSORS, find, rows=_ROWS)
    return page.render(
        "sequences/index.html",
        part="sequences/_sequences.html",
        query=query,
        first_steps=None
        if page.wants_part
        else await page.services.onboarding.first_steps(page.user.id),
        filtered=bool(query.search or query.state),
        sequences=sequences,
        bars={one.id: status_bar(one.counts.items()) for one in sequences},
        states=list(SequenceState),
        state_tones=STATE_TONES,
        address=address,
        **({} if page.wants_part else {"sender_options": await page.sender_options()}),
    )


@router.post("/sequences/{sequence_id}/duplicate")
async def duplicate_sequence(page: PageDep, sequence_id: UUID) -> Response:
    """Create a draft with the same settings and texts and redirect to its steps."""
    made = await page.services.duplicating.duplicate(sequence_id, page.user.id)
    words = f"“{made.name}” is a draft to change."
    return page.redirect_to("show_steps", words, sequence_id=made.id)


@router.post("/sequences/{sequence_id}/activate", dependencies=[Sends])
async def activate_sequence(page: PageDep, sequence_id: UUID) -> Response:
    """Open a draft for enrolling and sending."""
    return await _moved(page, sequence_id, page.services.sequences.activate, "activated")


@router.post("/sequences/{sequence_id}/pause")
async def pause_sequence(page: PageDep, sequence_id: UUID) -> Response:
    """Send nothing until the sequence is resumed."""
    words = "paused. Nothing is sent until you resume it"
    return await _moved(page, sequence_id, page.services.sequences.pause, words)


@router.post("/sequences/{sequence_id}/resume", dependencies=[Sends])
async def resume_sequence(page: PageDep, sequence_id: UUID) -> Response:
    """Send again."""
    words = "resumed. Overdue texts go out one at a time"
    return await _moved(page, sequence_id, page.services.sequences.resume, words)


@router.get("/sequences/{sequence_id}/archive")
async def ask_archive(page: PageDep, sequence_id: UUID) -> Response:
    """Show a dialog that says what archiving does."""
    sequence = await page.services.sequences.get(sequence_id)
    active = sequence.counts.get(EnrollmentStatus.ACTIVE, 0)
    return page.part("sequences/_archive.html", sequence=sequence, active=active)


@router.post("/sequences/{sequence_id}/archive")
async def archive_sequence(page: PageDep, sequence_id: UUID) -> Response:
    """Archive a sequence and finish its active enrollments; the dialog asked before."""
    archive = partial(page.services.archiving.archive, user_id=page.user.id, finish_active=True)
    return await _moved(page, sequence_id, archive, "archived")


async def _moved(
    page: Page, sequence_id: UUID, move: Callable[[UUID], Awaitable[SequenceRecord]], words: str
) -> Response:
    moved = await move(sequence_id)
    path = page.path_to("show_sequence_contacts", sequence_id=sequence_id)
    return page.redirect(
        own_path(page.request.headers.get("referer"), otherwise=path), f"“{moved.name}” {words}."
    )
