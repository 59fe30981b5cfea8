"""Routes of sequences and their states."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, Sends, ServicesDep
from api.etags import TAGGED, IfMatchDep, tagged
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery
from api.schemas.base import Listing
from api.schemas.sequences import (
    Archiving,
    NewSequence,
    Overview,
    Preview,
    PreviewRequest,
    Sequence,
    SequenceChanges,
    SequenceEdition,
    SequenceQuery,
    SequenceSummary,
)
from services.enrollments.previews import StepText
from storage.sequences.sequences import SequenceRecord

router = APIRouter(prefix="/sequences", tags=["sequences"])

SEQUENCE_CURSORS = Cursors("sequences", "-created_at", {"created_at": datetime})


@router.post("", status_code=201, response_model=Sequence)
async def create_sequence(
    body: NewSequence, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Create a sequence. A 422 names everything that is wrong, and nothing is stored."""
    return await once.answer(lambda: services.sequences.create(body.draft(), user.id))


@router.get("")
async def list_sequences(
    query: InQuery[SequenceQuery], services: ServicesDep
) -> Listing[SequenceSummary]:
    """List sequences without their steps, newest first."""
    find = partial(services.sequences.page, states=query.state, search=query.search)
    return await SEQUENCE_CURSORS.listing(SequenceSummary, query, find)


@router.get("/{sequence_id}", responses={200: TAGGED})
async def get_sequence(sequence_id: UUID, services: ServicesDep, response: Response) -> Sequence:
    """Return one sequence with its current steps.

    Its `ETag` tells what people change: an enrollment that is counted leaves it as it is.
    """
    return _shown(response, await services.sequences.get(sequence_id))


@router.patch("/{sequence_id}", responses={200: TAGGED})
async def change_sequence(
    sequence_id: UUID,
    body: SequenceChanges,
    services: ServicesDep,
    user: CurrentUser,
    if_match: IfMatchDep,
    response: Response,
) -> Sequence:
    """Change only the given fields.

    Changed steps become the next version, for contacts enrolled from now on; everything else
    applies to all enrollments at once. 409 `sequence_archived`. 422 `unwritten_text` of a step
    that could not be activated with, unless the sequence is a draft.
    """
    changed = await services.sequences.change(
        sequence_id, body.change(), user.id, only_if=if_match.on(SequenceEdition)
    )
    return _shown(response, changed)


@router.post("/{sequence_id}/activate", response_model=Sequence, dependencies=[Sends])
async def activate_sequence(sequence_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Open a draft for enrolling and sending.

    409 `invalid_transition` names its state, `step_unwritten` the `step` whose text still is the
    greeting that new sequences begin with, or has a blank of a template, such as `[company]`.
    """
    return await once.answer(lambda: services.sequences.activate(sequence_id), repeatable=True)


@router.post("/{sequence_id}/pause", response_model=Sequence)
async def pause_sequence(sequence_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Send nothing until it is resumed; enrollments stay active. 409 `invalid_transition`."""
    return await once.answer(lambda: services.sequences.pause(sequence_id), repeatable=True)


@router.post("/{sequence_id}/resume", response_model=Sequence, dependencies=[Sends])
async def resume_sequence(sequence_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Resume a sequence; overdue texts go out one at a time. 409 `invalid_transition`."""
    return await once.answer(lambda: services.sequences.resume(sequence_id), repeatable=True)


@router.post("/{sequence_id}/archive", response_model=Sequence)
async def archive_sequence(
    sequence_id: UUID,
    services: ServicesDep,
    user: CurrentUser,
    once: OnceDep,
    body: Archiving | None = None,
) -> Response:
    """Archive a sequence for good.

    409 `active_enrollments` with their `count`, unless `finish_active` marks them finished.
    """
    finish_active = body is not None and body.finish_active
    return await once.answer(
        lambda: services.archiving.archive(sequence_id, user.id, finish_active=finish_active),
        repeatable=True,
    )


@router.post("/{sequence_id}/duplicate", status_code=201, response_model=Sequence)
async def duplicate_sequence(
    sequence_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Copy a sequence's settings and current steps to a draft, "Copy of ...".

    `Location` is its address.
    """
    return await once.into("/api/sequences").answer(
        lambda: services.duplicating.duplicate(sequence_id, user.id)
    )


@router.get("/{sequence_id}/overview")
async def get_overview(sequence_id: UUID, services: ServicesDep) -> Overview:
    """Return the figures of a sequence: statuses, funnel, replies, texts of the next 24 hours."""
    return Overview.model_validate(await services.overview.get(sequence_id))


@router.post("/{sequence_id}/preview", response_model=Preview)
async def preview_steps(
    sequence_id: UUID, services: ServicesDep, once: OnceDep, body: PreviewRequest | None = None
) -> Response:
    """Return the steps, or other texts, as a contact would get them, with their sizes."""
    asked = body or PreviewRequest()
    texts = None
    if asked.steps is not None:
        texts = [StepText(one.body, tuple(one.media_urls)) for one in asked.steps]

    async def preview() -> dict[str, object]:
        found = services.previews.steps(sequence_id, texts, contact_id=asked.contact_id)
        return {"steps": await found}

    return await once.answer(preview, repeatable=True)


def _shown(response: Response, sequence: SequenceRecord) -> Sequence:
    """Show a sequence, and its ``ETag``."""
    tagged(response, SequenceEdition.model_validate(sequence))
    return Sequence.model_validate(sequence)
