"""Routes of texts."""

from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.schemas.messaging import KindChange, Message

router = APIRouter(prefix="/messages", tags=["messages"])


@router.post("/{message_id}/kind", response_model=Message)
async def set_message_kind(
    message_id: UUID, body: KindChange, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Say that a person wrote a text that was taken for a reaction or an automatic reply.

    What a reply does happens now, once: it ends or pauses the active enrollments that had texted
    this number from that sender before it, and those that finished without a response have a late
    reply. Repeating it changes nothing. 409 `only_to_human` for any other kind, `not_inbound` for
    a text of ours.
    """
    return await once.answer(
        lambda: services.text_kinds.correct(message_id, body.kind, user_id=user.id),
        repeatable=True,
    )
