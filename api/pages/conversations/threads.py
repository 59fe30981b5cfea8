"""One conversation beside the list: its texts and notes, its head, the reply box."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.conversations import texts
from api.pages.conversations.handling import handling, may_delete, when_sent
from api.pages.conversations.index import TalksQuery, beside
from api.pages.conversations.replying import reply_box
from api.pages.conversations.texts import EarlierQuery, TextsQuery
from api.pages.page import Page, PageDep
from api.paging import InQuery
from services.messaging.conversations import Conversation

router = APIRouter()


@router.get("/conversations/{contact_id}")
async def show_conversation(
    page: PageDep, contact_id: UUID, query: InQuery[TalksQuery]
) -> Response:
    """Show a conversation beside the list; htmx gets the conversation alone."""
    query = query.model_copy(update={"open": contact_id})
    shown = await thread(page, contact_id)
    return await beside(page, query, "conversations/_thread.html", shown)


@router.get("/conversations/{contact_id}/texts")
async def show_texts(page: PageDep, contact_id: UUID, query: InQuery[TextsQuery]) -> Response:
    """Show the latest texts, from the first one in the browser on."""
    talk = await page.services.conversations.get(contact_id, limit=texts.TEXTS_MOST)
    said = texts.since(talk.texts, query.first)
    is_all = talk.earlier is None and len(said) == len(talk.texts)
    start = None if is_all or not said else said[0].created_at
    notes = await page.services.notes.between(contact_id, start, None)
    context: dict[str, Any] = {
        "talk": talk,
        "lines": list(texts.lines(said, notes)),
        "may_delete": may_delete(page),
        **await _when_sent(page, talk),
    }
    if (talk.reply.refusal or "") == query.refusal:
        return page.part("conversations/_texts.html", **context)
    context |= await reply_box(page, talk)
    return page.part("conversations/_texts_and_reply.html", **context)


@router.get("/conversations/{contact_id}/earlier")
async def show_earlier_texts(
    page: PageDep, contact_id: UUID, query: InQuery[EarlierQuery]
) -> Response:
    """Show an earlier page of a conversation."""
    before = texts.CURSORS.within(contact_id).read(query.before)
    talk = await page.services.conversations.get(contact_id, before=before, limit=texts.TEXTS)
    end = before.value if before is not None and isinstance(before.value, datetime) else None
    return page.part("conversations/_earlier.html", **await _said(page, talk, before=end))


async def thread(page: Page, contact_id: UUID) -> dict[str, Any]:
    """Return what is shown of a conversation: its texts, its head, the reply box."""
    talk = await page.services.conversations.get(contact_id, limit=texts.TEXTS)
    return {
        **await reply_box(page, talk),
        **await _said(page, talk),
        **await handling(page, contact_id),
    }


async def _said(
    page: Page, talk: Conversation, *, before: datetime | None = None
) -> dict[str, Any]:
    """Return a page of texts, and the notes from its first text to the one that follows it."""
    contact_id = talk.contact.id
    start = talk.texts[0].created_at if talk.earlier is not None and talk.texts else None
    notes = await page.services.notes.between(contact_id, start, before)
    path = page.path_to("show_earlier_texts", contact_id=contact_id)
    return {
        "talk": talk,
        "may_delete": may_delete(page),
        **await _when_sent(page, talk),
        **texts.shown(contact_id, talk, path, notes),
    }


async def _when_sent(page: Page, talk: Conversation) -> dict[str, Any]:
    """Return how the texts say when they go; nothing if none waits for its time."""
    if not any(text.is_scheduled for text in talk.texts):
        return {}
    return {"when_sent": await when_sent(page, talk.contact)}
