"""Conversations: everyone who was texted or wrote, what was said with them, and answering."""

from collections.abc import Sequence as Many
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.responses import Response

from api.dependencies import Sends
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.forms import NO_ERRORS, FormErrors, FormFields
from api.pages.page import Page, PageDep
from api.paging import Cursor, Cursors, FilterQuery
from domain.platform.errors import InvalidFieldError, SegueError
from domain.platform.paging import Page as Listed
from services.enrollments.enrollment_list import SEARCH_LENGTH
from services.messaging.conversations import Conversation, ConversationText, ListedConversation
from services.messaging.unknown_numbers import UnknownNumber, UnknownTexts
from storage.messaging.conversations import ConversationFilter

router = APIRouter()

TEXTS_CHANGED = "texts-changed"
"""What the browser is told when a text was written, for the conversation to load anew."""

_SORT = "-created_at"
_CURSORS = Cursors("conversations", {"created_at": datetime})
_TEXT_CURSORS = Cursors("texts", {"created_at": datetime})
_ROWS = 50
_TEXTS = 50
_TEXTS_MOST = 200
_SENDERS_MOST = 200
_ONLY_WORDS = (
    (ConversationFilter.ALL, "All"),
    (ConversationFilter.UNANSWERED, "Unanswered"),
    (ConversationFilter.OPTED_OUT, "Opted out"),
    ("unknown", "Unknown numbers"),
)


class TalksQuery(PlaceQuery):
    """What the address says of the list.

    Attributes:
        only: Which conversations; or the numbers that texted us and are no contact's.
        open: Whose conversation is beside the list, when the list alone is asked for.
        number: The first text of the number whose texts are beside it instead.
    """

    search: Annotated[str, Field(max_length=SEARCH_LENGTH)] = ""
    only: ConversationFilter | Literal["unknown"] = ConversationFilter.ALL
    open: UUID | None = None
    number: UUID | None = None


class TextsQuery(FilterQuery):
    """What the browser shows of a conversation when it asks what is new.

    Attributes:
        first: The first text of those that change by themselves.
        refusal: Why the reply box takes no text, if it does not.
    """

    first: UUID | None = None
    refusal: Annotated[str, Field(max_length=50)] = ""


class EarlierQuery(FilterQuery):
    """Where the part of a conversation ends that is asked for."""

    before: Cursor = None


class ReplyFields(FormFields):
    """A reply; ``message_id`` makes it go once however often it is sent."""

    message_id: UUID = Field(default_factory=uuid4)
    body: str = ""
    sender_id: str = ""


@router.get("/conversations")
async def show_conversations(page: PageDep, query: Annotated[TalksQuery, Query()]) -> Response:
    """Show the list, nobody's conversation beside it; asked again for what has changed."""
    listed = await _listed(page, query)
    if not page.wants_part:
        return page.render("conversations/conversations.html", talk=None, **listed)
    response = page.part("conversations/_list.html", **listed)
    if page.request.headers.get("hx-trigger") == "talk-filters":
        response.headers["HX-Replace-Url"] = _addresses(page, query).of()
    return response


@router.get("/conversations/unknown/{message_id}")
async def show_unknown_number(
    page: PageDep, message_id: UUID, query: Annotated[TalksQuery, Query()]
) -> Response:
    """Show what came from a number that is no contact's; once it is one's, their conversation."""
    found = await page.services.unknown_numbers.get(message_id, limit=_TEXTS)
    if found.contact_id is not None:
        return page.redirect(page.path_to("show_conversation", contact_id=found.contact_id))
    query = query.model_copy(update={"number": message_id})
    thread = _number(page, message_id, found)
    if page.wants_part:
        back = _addresses(page, query, beside=False).here
        return page.part("conversations/_unknown_thread.html", back=back, **thread)
    listed = await _listed(page, query)
    return page.render("conversations/conversations.html", talk=None, **listed, **thread)


@router.get("/conversations/unknown/{message_id}/texts")
async def show_texts_of_number(
    page: PageDep, message_id: UUID, query: Annotated[TextsQuery, Query()]
) -> Response:
    """Show the latest texts of a number, from the first one on that the browser shows."""
    found = await page.services.unknown_numbers.get(message_id, limit=_TEXTS_MOST)
    if found.contact_id is not None:
        return page.redirect(page.path_to("show_conversation", contact_id=found.contact_id))
    return page.part("conversations/_texts.html", texts=_since(found.texts, query.first))


@router.get("/conversations/unknown/{message_id}/earlier")
async def show_earlier_texts_of_number(
    page: PageDep, message_id: UUID, query: Annotated[EarlierQuery, Query()]
) -> Response:
    """Show a page of what came from a number before."""
    before = _TEXT_CURSORS.within(message_id).read(query.before, _SORT)
    found = await page.services.unknown_numbers.get(message_id, before=before, limit=_TEXTS)
    return page.part("conversations/_earlier.html", **_number(page, message_id, found))


@router.get("/conversations/{contact_id}")
async def show_conversation(
    page: PageDep, contact_id: UUID, query: Annotated[TalksQuery, Query()]
) -> Response:
    """Show what was said with a contact, beside the list; htmx, which has the list, gets that."""
    query = query.model_copy(update={"open": contact_id})
    talk = await page.services.conversations.get(contact_id, limit=_TEXTS)
    thread = {**await _reply_box(page, talk), **_thread(page, talk)}
    if page.wants_part:
        back = _addresses(page, query, beside=False).here
        return page.part("conversations/_thread.html", back=back, **thread)
    listed = await _listed(page, query)
    return page.render("conversations/conversations.html", **listed, **thread)


@router.get("/conversations/{contact_id}/texts")
async def show_texts(
    page: PageDep, contact_id: UUID, query: Annotated[TextsQuery, Query()]
) -> Response:
    """Show the latest texts, from the first one on that the browser shows."""
    talk = await page.services.conversations.get(contact_id, limit=_TEXTS_MOST)
    context: dict[str, Any] = {"talk": talk, "texts": _since(talk.texts, query.first)}
    if (talk.reply.refusal or "") == query.refusal:
        return page.part("conversations/_texts.html", **context)
    context |= await _reply_box(page, talk)
    return page.part("conversations/_texts_and_reply.html", **context)


@router.get("/conversations/{contact_id}/earlier")
async def show_earlier_texts(
    page: PageDep, contact_id: UUID, query: Annotated[EarlierQuery, Query()]
) -> Response:
    """Show a page of what was said before."""
    before = _TEXT_CURSORS.within(contact_id).read(query.before, _SORT)
    talk = await page.services.conversations.get(contact_id, before=before, limit=_TEXTS)
    return page.part("conversations/_earlier.html", **_thread(page, talk))


@router.post("/conversations/{contact_id}/reply", dependencies=[Sends])
async def send_reply(
    page: PageDep, contact_id: UUID, form: Annotated[ReplyFields, Form()]
) -> Response:
    """Text a contact; the reply box comes back empty, or with what was typed and what is wrong."""
    errors = NO_ERRORS
    try:
        await page.services.conversations.reply(
            form.message_id,
            contact_id,
            form.body,
            page.user.id,
            sender_id=_sender(form),
        )
    except SegueError as error:
        errors = FormErrors.of(error)
    talk = await page.services.conversations.get(contact_id, limit=1)
    box = await _reply_box(page, talk, form if errors else None)
    events = [] if errors else [TEXTS_CHANGED]
    return page.part("conversations/_reply.html", errors=errors, events=events, **box)


async def _listed(page: Page, query: TalksQuery) -> dict[str, Any]:
    after = _CURSORS.read(query.cursor, _SORT)
    found: Listed[ListedConversation] | Listed[UnknownNumber]
    if query.only == "unknown":
        found = await page.services.unknown_numbers.page(
            search=query.search, after=after, limit=_ROWS
        )
    else:
        found = await page.services.conversations.page(
            search=query.search, only=query.only, after=after, limit=_ROWS
        )
    address = _addresses(page, query)
    return {
        "query": query,
        "talks": found.items,
        "only_words": _ONLY_WORDS,
        "address_beside": lambda **beside: _addresses(page, query.model_copy(update=beside)).here,
        "back": _addresses(page, query, beside=False).here,
        "previous": address.previous,
        "following": address.following(_CURSORS.write(found.next, _SORT)),
    }


def _addresses(page: Page, query: TalksQuery, *, beside: bool = True) -> Addresses:
    """Give the addresses of the list, with what is beside it or with nobody's conversation."""
    if beside and query.number:
        path = page.path_to("show_unknown_number", message_id=query.number)
    elif beside and query.open:
        path = page.path_to("show_conversation", contact_id=query.open)
    else:
        path = page.path_to("show_conversations")
    return Addresses(path, query.model_copy(update={"open": None, "number": None}))


def _thread(page: Page, talk: Conversation) -> dict[str, Any]:
    earlier = page.path_to("show_earlier_texts", contact_id=talk.contact.id)
    cursor = _TEXT_CURSORS.within(talk.contact.id).write(talk.earlier, _SORT)
    return {"talk": talk, "texts": talk.texts, "earlier": _before(earlier, cursor)}


def _number(page: Page, message_id: UUID, found: UnknownTexts) -> dict[str, Any]:
    earlier = page.path_to("show_earlier_texts_of_number", message_id=message_id)
    cursor = _TEXT_CURSORS.within(message_id).write(found.earlier, _SORT)
    return {
        "number": found,
        "message_id": message_id,
        "texts": found.texts,
        "earlier": _before(earlier, cursor),
    }


def _before(path: str, cursor: str | None) -> str | None:
    """Give the address of the texts before a place; None if there are none."""
    return f"{path}?{urlencode({'before': cursor})}" if cursor else None


def _since(texts: Many[ConversationText], first: UUID | None) -> Many[ConversationText]:
    """Leave out what came before a text; nothing if it is not among them."""
    places = [at for at, text in enumerate(texts) if text.id == first]
    return texts[places[0] :] if places else texts


async def _reply_box(
    page: Page, talk: Conversation, form: ReplyFields | None = None
) -> dict[str, Any]:
    """Read what the reply box shows; without a sender the contact knows, which there are."""
    senders = []
    if talk.reply.sender is None and talk.reply.refusal is None:
        senders = list((await page.services.senders.find(limit=_SENDERS_MOST)).items)
    return {"talk": talk, "form": form or ReplyFields(), "senders": senders}


def _sender(form: ReplyFields) -> UUID | None:
    if not form.sender_id:
        return None
    try:
        return UUID(form.sender_id)
    except ValueError:
        raise InvalidFieldError("sender_id", "is no sender; choose one of the list") from None
