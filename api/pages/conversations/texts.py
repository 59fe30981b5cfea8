"""What was said with somebody: a page of texts, the notes between them, pictures."""

from collections.abc import Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from api import attachments
from api.pages.addresses import address
from api.pages.page import PageDep, PageEvent
from api.paging import Cursor, Cursors, FilterQuery
from domain.statuses.messaging import TextKind
from services.contacts.notes import Note
from services.messaging.conversations import Conversation, ConversationText
from services.messaging.unknown_numbers import UnknownTexts

router = APIRouter()

CURSORS = Cursors("texts", "-created_at", {"created_at": datetime})
"""The cursors of what was said, within whom it was said with."""

TEXTS = 50
"""Texts of a page."""

TEXTS_MOST = 200
"""Most texts that load by themselves."""


class TextsQuery(FilterQuery):
    """The state of a conversation in the browser, when it asks for what is new.

    Attributes:
        first: The first text of those that reload by themselves.
        refusal: Why the reply box takes no text; empty if it does.
    """

    first: UUID | None = None
    refusal: Annotated[str, Field(max_length=50)] = ""


class EarlierQuery(FilterQuery):
    """Where a page of earlier texts ends."""

    before: Cursor = None


@dataclass(frozen=True)
class Line:
    """One line of what was said: a text, or a note beside it. ``at`` is what it is dated."""

    at: datetime
    text: ConversationText | None = None
    note: Note | None = None


@router.get("/conversations/texts/{message_id}/pictures/{number}")
async def show_inbound_picture(
    page: PageDep, message_id: UUID, number: Annotated[int, Path(ge=1, le=attachments.MOST)]
) -> Response:
    """Show a picture that came with a text, or have any other file saved."""
    return await attachments.served(page.services.attachments, message_id, number)


@router.post("/conversations/texts/{message_id}/cancel")
async def cancel_text(page: PageDep, message_id: UUID) -> Response:
    """Cancel a text that waits for its time."""
    await page.services.conversations.cancel(message_id)
    return page.done("Text canceled.", event=PageEvent.TEXTS_CHANGED)


@router.post("/conversations/texts/{message_id}/human")
async def set_text_human(page: PageDep, message_id: UUID) -> Response:
    """Note that a person wrote a text; its effects as a reply happen now."""
    await page.services.kind_corrections.correct(message_id, TextKind.HUMAN, user_id=page.user.id)
    return page.done("Counted as a reply.", event=PageEvent.TEXTS_CHANGED)


def shown(
    owner_id: UUID, said: Conversation | UnknownTexts, path: str, notes: Many[Note] = ()
) -> dict[str, Any]:
    """Return what templates show of a page of texts: its lines, and where the page before is."""
    cursor = CURSORS.within(owner_id).write(said.earlier)
    return {
        "lines": list(lines(said.texts, notes)),
        "first": said.texts[0].id if said.texts else None,
        "earlier": address(path, before=cursor) if cursor else None,
    }


def lines(texts: Many[ConversationText], notes: Many[Note]) -> Iterator[Line]:
    """Put notes between texts, each where it was written."""
    left = list(notes)
    for text in texts:
        while left and left[0].created_at < text.created_at:
            note = left.pop(0)
            yield Line(note.created_at, note=note)
        yield Line(text.at, text=text)
    for note in left:
        yield Line(note.created_at, note=note)


def since(texts: Many[ConversationText], first: UUID | None) -> Many[ConversationText]:
    """Leave out the texts before one; keep all if it is not among them."""
    start = next((at for at, text in enumerate(texts) if text.id == first), 0)
    return texts[start:]
