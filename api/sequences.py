"""Routes of sequences and their states."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import CurrentUser, Sends, ServicesDep
from api.idempotency import Once, OnceDep
from api.paging import Cursors, listing
from api.schemas.base import Listing
from api.schemas.sequences import (
    Archiving,
    NewSequence,
    Sequence,
    SequenceChanges,
    SequenceQuery,
    SequenceSummary,
)
from storage.sequences.sequences import SequenceRecord

router = APIRouter(prefix="/sequences", tags=["sequences"])

_SORT = "-created_at"
SEQUENCE_CURSORS = Cursors("sequences", {"created_at": datetime})
"""The cursors of the list of sequences."""


@router.post("", status_code=201, response_model=Sequence)
async def create_sequence(
    body: NewSequence, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Write a sequence. A 422 names everything that is wrong, and nothing is written."""
    return await once.answer(Sequence, lambda: services.sequences.create(body.draft(), user.id))


@router.get("")
async def list_sequences(
    query: Annotated[SequenceQuery, Query()], services: ServicesDep
) -> Listing[SequenceSummary]:
    """List sequences without their steps, newest first."""
    page = await services.sequences.page(
        states=query.state,
        search=query.search,
        after=SEQUENCE_CURSORS.read(query.cursor, _SORT),
        limit=query.limit,
    )
    return listing(page, SequenceSummary, SEQUENCE_CURSORS.write(page.next, _SORT))


@router.get("/{sequence_id}")
async def get_sequence(sequence_id: UUID, services: ServicesDep) -> Sequence:
    """Give one sequence with its current steps."""
    return Sequence.model_validate(await services.sequences.get(sequence_id))


@router.patch("/{sequence_id}")
async def change_sequence(
    sequence_id: UUID, body: SequenceChanges, services: ServicesDep, user: CurrentUser
) -> Sequence:
    """Change what is given.

    Different steps become the next version, for whoever is enrolled from now on; everything else
    holds at once for everyone. 409 `sequence_archived`.
    """
    return Sequence.model_validate(
        await services.sequences.change(sequence_id, body.change(), user.id)
    )


@router.post("/{sequence_id}/activate", response_model=Sequence, dependencies=[Sends])
async def activate_sequence(sequence_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Open a draft for enrolling and sending. 409 `invalid_transition` names its state."""
    return await _moved(once, lambda: services.sequences.activate(sequence_id))


@router.post("/{sequence_id}/pause", response_model=Sequence)
async def pause_sequence(sequence_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Send nothing until it is resumed; nobody is lost. 409 `invalid_transition`."""
    return await _moved(once, lambda: services.sequences.pause(sequence_id))


@router.post("/{sequence_id}/resume", response_model=Sequence, dependencies=[Sends])
async def resume_sequence(sequence_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Send again; what is overdue goes out one at a time. 409 `invalid_transition`."""
    return await _moved(once, lambda: services.sequences.resume(sequence_id))


@router.post("/{sequence_id}/archive", response_model=Sequence)
async def archive_sequence(
    sequence_id: UUID,
    services: ServicesDep,
    user: CurrentUser,
    once: OnceDep,
    body: Archiving | None = None,
) -> Response:
    """Close a sequence for good.

    409 `active_enrollments` with their `count`, unless `finish_active` says to finish them.
    """
    finish_active = body is not None and body.finish_active
    return await _moved(
        once,
        lambda: services.archiving.archive(sequence_id, user.id, finish_active=finish_active),
    )


async def _moved(once: Once, move: Callable[[], Awaitable[SequenceRecord]]) -> Response:
    return await once.answer(Sequence, move, status_code=200, repeatable=True)
