"""Texts from numbers that are no contact's, beside the list."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.conversations import texts
from api.pages.conversations.index import TalksQuery, beside
from api.pages.conversations.texts import EarlierQuery, TextsQuery
from api.pages.page import Page, PageDep
from api.paging import InQuery
from services.messaging.unknown_numbers import UnknownTexts

router = APIRouter()


@router.get("/conversations/unknown/{message_id}")
async def show_unknown_number(
    page: PageDep, message_id: UUID, query: InQuery[TalksQuery]
) -> Response:
    """Show the texts of a number that is no contact's; redirect once it is."""
    shown = await number_thread(page, message_id)
    if (contact_id := shown["number"].contact_id) is not None:
        return page.redirect_to("show_conversation", contact_id=contact_id)
    query = query.model_copy(update={"number": message_id})
    return await beside(page, query, "conversations/_unknown_thread.html", shown)


@router.get("/conversations/unknown/{message_id}/texts")
async def show_texts_of_number(
    page: PageDep, message_id: UUID, query: InQuery[TextsQuery]
) -> Response:
    """Show the latest texts of a number, from the first one in the browser on."""
    found = await page.services.unknown_numbers.get(message_id, limit=texts.TEXTS_MOST)
    if found.contact_id is not None:
        return page.redirect_to("show_conversation", contact_id=found.contact_id)
    lines = list(texts.lines(texts.since(found.texts, query.first), ()))
    return page.part("conversations/_texts.html", lines=lines)


@router.get("/conversations/unknown/{message_id}/earlier")
async def show_earlier_texts_of_number(
    page: PageDep, message_id: UUID, query: InQuery[EarlierQuery]
) -> Response:
    """Show an earlier page of a number's texts."""
    before = texts.CURSORS.within(message_id).read(query.before)
    found = await page.services.unknown_numbers.get(message_id, before=before, limit=texts.TEXTS)
    return page.part("conversations/_earlier.html", **_number(page, message_id, found))


async def number_thread(page: Page, message_id: UUID) -> dict[str, Any]:
    """Return what is shown of a number: its latest texts, and how it stands."""
    found = await page.services.unknown_numbers.get(message_id, limit=texts.TEXTS)
    return {"talk": None, **_number(page, message_id, found)}


def _number(page: Page, message_id: UUID, found: UnknownTexts) -> dict[str, Any]:
    path = page.path_to("show_earlier_texts_of_number", message_id=message_id)
    return {"number": found, "message_id": message_id, **texts.shown(message_id, found, path)}
