"""Routes of texts: with a contact, one, writing, canceling, correcting."""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Path, Response

from api import attachments
from api.dependencies import CurrentUser, Sends, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery
from api.schemas.base import Listing
from api.schemas.messaging import KindChange, Message, MessageQuery, NewMessage, SignedProof
from domain.platform.paging import Page, Position
from storage.platform.database import Transaction

router = APIRouter(tags=["messages"])

CURSORS = Cursors("messages", "-created_at", {"created_at": datetime})
"""The cursors of a conversation's texts, within its contact."""


@router.get("/contacts/{contact_id}/messages")
async def list_messages(
    contact_id: UUID, query: InQuery[MessageQuery], services: ServicesDep
) -> Listing[Message]:
    """List the texts to and from a contact, the latest first unless `sort` says otherwise."""

    async def find(*, after: Position | None, limit: int) -> Page[Message]:
        found = await services.conversations.texts(
            contact_id, sort=query.sort, after=after, limit=limit
        )
        return found.showing(Message.of)

    return await CURSORS.within(contact_id).listing(Message, query, find)


@router.get("/messages/{message_id}/proof")
async def get_proof(message_id: UUID, services: ServicesDep) -> SignedProof:
    """Return all that is known of one text of yours, signed, to keep or to hand over.

    What it said, to whom and when; the consent that it went under, the opt-outs of the number and
    whether any stood at each attempt, on which clock it was timed, who enrolled them, each attempt
    and what the provider reported. `python -m manage verify-proof FILE` checks it without this
    site. 409 `not_outbound` of a text that came in.
    """
    return SignedProof.model_validate(await services.proofs.of(message_id))


@router.post(
    "/contacts/{contact_id}/messages",
    status_code=201,
    response_model=Message,
    dependencies=[Sends],
)
async def create_message(
    contact_id: UUID, body: NewMessage, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Text a contact, now or later, whether they are enrolled or not.

    The send window does not apply; opt-outs and landlines are always respected: 409 `opted_out`
    or `landline`. With `send_at` it is `scheduled` until then and can be canceled; 422
    `in_the_past` or `too_far_ahead`. Watch its `status`, or the events `message.sent`,
    `message.delivered`, `message.failed` and `message.canceled`. `Location` is its address.
    """
    asked = body.model_dump()

    async def write(tx: Transaction) -> Message:
        reply = partial(services.conversations.reply, uuid4(), contact_id)
        message_id = await reply(user_id=user.id, within=tx, **asked)
        return Message.of(await services.conversations.text(message_id, within=tx))

    return await once.into("/api/messages").answer_within(write)


@router.get("/messages/{message_id}")
async def get_message(message_id: UUID, services: ServicesDep) -> Message:
    """Return one text."""
    return Message.of(await services.conversations.text(message_id))


@router.get(
    "/messages/{message_id}/media/{number}",
    response_class=Response,
    responses={
        200: {
            "description": "The file; what is not a JPEG, PNG or GIF comes as an attachment.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        }
    },
)
async def get_inbound_media(
    message_id: UUID,
    number: Annotated[int, Path(ge=1, le=attachments.MOST)],
    services: ServicesDep,
) -> Response:
    """Return a file that came with a text, by its place in the text's `media_urls`, from 1.

    Those addresses are the provider's and need its password. 404 if the text has no such file, or
    the provider no longer has it; 503 `provider_unavailable`.
    """
    return await attachments.served(services.attachments, message_id, number)


@router.post("/messages/{message_id}/cancel", response_model=Message)
async def cancel_message(message_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Cancel a text that waits to be sent, such as a scheduled one; once answered, it never goes.

    Canceling it again changes nothing. 409 `not_waiting` once it is under way or went, and for a
    text of a step or of the contact.
    """

    async def cancel() -> Message:
        return Message.of(await services.conversations.cancel(message_id))

    return await once.answer(cancel, repeatable=True)


@router.post("/messages/{message_id}/kind", response_model=Message)
async def set_message_kind(
    message_id: UUID, body: KindChange, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Mark a text that was taken for a reaction or an automatic reply as a person's.

    What a reply does happens now, once: it ends or pauses the active enrollments that had texted
    this number from that sender before it, and those that finished without a response have a late
    reply. Repeating it changes nothing. 409 `only_to_human` for any other kind, `not_inbound` for
    a text of ours.
    """

    async def correct() -> Message:
        await services.kind_corrections.correct(message_id, body.kind, user_id=user.id)
        return Message.of(await services.conversations.text(message_id))

    return await once.answer(correct, repeatable=True)
