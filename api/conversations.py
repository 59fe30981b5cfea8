"""Routes of the inbox: conversations, whose they are, and texts of unknown numbers."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter

from api.dependencies import CurrentUser, ServicesDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.messaging import (
    Conversation,
    ConversationChanges,
    ConversationQuery,
    Message,
    UnknownNumber,
    UnknownNumberChange,
    UnknownNumberQuery,
)
from domain.platform.paging import Page, Position

router = APIRouter(tags=["conversations"])

_CURSORS = Cursors("conversations", "-created_at", {"created_at": datetime})
_NUMBER_CURSORS = Cursors("unknown-numbers", "-created_at", {"created_at": datetime})
_TEXT_CURSORS = Cursors("texts", "-created_at", {"created_at": datetime})


@router.get("/conversations")
async def list_conversations(
    query: InQuery[ConversationQuery], services: ServicesDep, user: CurrentUser
) -> Listing[Conversation]:
    """List the conversations with contacts by their last text, the latest first: the inbox.

    A user's inbox is `owner=me&owner=none`: what has no owner is everyone's. With
    `state=needs_reply` alone, the list goes by the text that waits for a reply, which is
    `last_message` then, whatever a sequence has sent since.
    """
    find = partial(services.inbox.page, query.wanted(user.id))
    return await _CURSORS.listing(Conversation, query, find)


@router.get("/contacts/{contact_id}/conversation")
async def get_conversation(contact_id: UUID, services: ServicesDep) -> Conversation:
    """Return how the conversation with a contact stands; its texts have a list of their own."""
    return Conversation.model_validate(await services.inbox.get(contact_id))


@router.patch("/contacts/{contact_id}/conversation")
async def change_conversation(
    contact_id: UUID, body: ConversationChanges, services: ServicesDep
) -> Conversation:
    """Give a contact an owner, or mark the conversation done or snoozed until the contact writes.

    422 `unknown_user` for an owner who cannot sign in, `computed_state` for `needs_reply` while the
    last word is not theirs and for `snoozed` without `snoozed_until`, `in_the_past` or
    `too_far_ahead` for a `snoozed_until` that is not within the coming year, `unknown_message` for
    a `last_message_id` of another conversation.
    """
    changed = await services.inbox.change(contact_id, body.as_changes())
    return Conversation.model_validate(changed)


@router.get("/unknown-numbers")
async def list_unknown_numbers(
    query: InQuery[UnknownNumberQuery], services: ServicesDep
) -> Listing[UnknownNumber]:
    """List numbers that have texted you and are no contact's, by their last text.

    To answer one, add its phone with `POST /api/contacts`: its texts are the contact's then.
    """
    find = partial(services.unknown_numbers.page, search=query.search, states=query.state)
    return await _NUMBER_CURSORS.listing(UnknownNumber, query, find)


@router.patch("/unknown-numbers/{message_id}")
async def change_unknown_number(
    message_id: UUID, body: UnknownNumberChange, services: ServicesDep
) -> UnknownNumber:
    """Mark a number that is no contact's done, until a text comes that asks for an answer again.

    It is named by any text from it. 409 `is_contact` once a contact has the number: then the
    contact's conversation is to be changed. 422 `unknown_message` for a `last_message_id` of
    another number.
    """
    numbers = services.unknown_numbers
    changed = (
        await numbers.dismiss(message_id, last_id=body.last_message_id)
        if body.state == "done"
        else await numbers.reopen(message_id)
    )
    return UnknownNumber.model_validate(changed)


@router.get("/unknown-numbers/{message_id}/messages")
async def list_messages_of_unknown_number(
    message_id: UUID, query: InQuery[PageQuery], services: ServicesDep
) -> Listing[Message]:
    """List the texts from a number that is no contact's, the latest first.

    It is named by any text from it. Empty once a contact has the number: then
    `GET /api/messages/{message_id}` names the contact.
    """

    async def find(*, after: Position | None, limit: int) -> Page[Message]:
        found = await services.unknown_numbers.get(message_id, before=after, limit=limit)
        return Page([Message.of(text) for text in reversed(found.texts)], found.earlier)

    return await _TEXT_CURSORS.within(message_id).listing(Message, query, find)
