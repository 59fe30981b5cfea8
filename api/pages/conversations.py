"""Conversations: the list, one conversation beside it, replying, whose it is."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from datetime import datetime
from enum import StrEnum
from functools import partial
from mimetypes import guess_extension
from typing import Annotated, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from api import problems
from api.dependencies import Sends
from api.pages.addresses import Addresses, PlaceQuery, address, listed
from api.pages.forms import FormFields, chosen_id
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.paging import Cursor, Cursors, FilterQuery, Find, InQuery, Search
from domain.messaging.ports import ProviderUnavailableError
from domain.platform.errors import InvalidFieldError
from domain.sequences.pictures import type_of
from domain.statuses.messaging import ConversationState, TextKind
from services.messaging.conversations import Conversation, ConversationText
from services.messaging.inbox import ConversationChange
from services.messaging.unknown_numbers import UnknownTexts
from storage.messaging.conversations import ConversationFilter

router = APIRouter()

_CURSORS = Cursors("conversations", "-created_at", {"created_at": datetime})
_TEXT_CURSORS = Cursors("texts", "-created_at", {"created_at": datetime})
_TEXTS = 50
_TEXTS_MOST = 200
_PICTURES_MOST = 100

COUNT_MOST = 99
"""The highest number that the badge shows."""


class Only(StrEnum):
    """Which conversations the list shows, or the numbers that are no contact's."""

    ALL = "all"
    NEEDS_REPLY = "needs_reply"
    OPEN = "open"
    DONE = "done"
    OPTED_OUT = "opted_out"
    UNKNOWN = "unknown"


class Inbox(StrEnum):
    """Whose conversations the list shows, besides those of one user."""

    MINE = "mine"
    ME = "me"
    NOBODY = "none"


_STATES = {Only(state.value): state for state in ConversationState}


class TalksQuery(PlaceQuery):
    """Query of the list.

    Attributes:
        owner: Whose; None for everybody's.
        open: The contact whose conversation is shown beside the list.
        number: The first text of the number that is shown beside the list instead.
    """

    search: Search = ""
    only: Only = Only.ALL
    owner: Inbox | UUID | None = None
    open: UUID | None = None
    number: UUID | None = None

    def wanted(self, user_id: UUID) -> ConversationFilter:
        """Hand the filters to the use case; a user's inbox has what is nobody's too."""
        mine = self.owner in {Inbox.MINE, Inbox.ME}
        named = [self.owner] if isinstance(self.owner, UUID) else []
        return ConversationFilter(
            states=[_STATES[self.only]] if self.only in _STATES else [],
            owners=[user_id] if mine else named,
            nobodys=self.owner in {Inbox.MINE, Inbox.NOBODY},
            opted_out=self.only is Only.OPTED_OUT,
            search=self.search,
        )


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


class ReplyFields(FormFields):
    """A reply; ``message_id`` keeps it from being sent twice.

    Attributes:
        media: Addresses of pictures, one a line.
        send_at: A date and time on the workspace's clock, as browsers write them; empty for now.
    """

    message_id: UUID = Field(default_factory=uuid4)
    body: str = ""
    sender_id: str = ""
    media: str = ""
    send_at: str = ""

    @property
    def media_urls(self) -> tuple[str, ...]:
        """The addresses without blank lines."""
        return tuple(line.strip() for line in self.media.splitlines() if line.strip())

    def moment(self, zone: str) -> datetime | None:
        """Read when it is to go, on the clock of a zone.

        Raises:
            InvalidFieldError: It is no date and time.
        """
        if not self.send_at.strip():
            return None
        try:
            written = datetime.fromisoformat(self.send_at.strip())
        except ValueError:
            raise InvalidFieldError("send_at", "is not a date and time; choose one") from None
        return written.replace(tzinfo=ZoneInfo(zone))


class HandlingFields(FormFields):
    """What to change of a conversation: its owner, empty for nobody, or its state."""

    owner_id: str | None = None
    state: ConversationState | None = None


@router.get("/conversations")
async def show_conversations(page: PageDep, query: InQuery[TalksQuery]) -> Response:
    """Show the list without a conversation beside it; htmx gets the list alone."""
    context = await _listed(page, query)
    if not page.wants_part:
        return page.render("conversations/conversations.html", talk=None, **context)
    response = page.part("conversations/_list.html", **context)
    if page.request.headers.get("hx-trigger") == "talk-filters":
        response.headers["HX-Replace-Url"] = Addresses(*_place(page, query)).of()
    return response


@router.get("/conversations/count")
async def count_conversations(page: PageDep) -> Response:
    """Count what needs a reply in the user's inbox, for the menu."""
    count = await page.services.inbox.count_needing_reply(page.user.id, most=COUNT_MOST + 1)
    return page.part("conversations/_count.html", count=count, most=COUNT_MOST)


@router.get("/conversations/unknown/{message_id}")
async def show_unknown_number(
    page: PageDep, message_id: UUID, query: InQuery[TalksQuery]
) -> Response:
    """Show the texts of a number that is no contact's; redirect once it is."""
    found = await page.services.unknown_numbers.get(message_id, limit=_TEXTS)
    if found.contact_id is not None:
        return page.redirect_to("show_conversation", contact_id=found.contact_id)
    query = query.model_copy(update={"number": message_id})
    thread = {"talk": None, **_number(page, message_id, found)}
    return await _beside(page, query, "conversations/_unknown_thread.html", thread)


@router.get("/conversations/unknown/{message_id}/texts")
async def show_texts_of_number(
    page: PageDep, message_id: UUID, query: InQuery[TextsQuery]
) -> Response:
    """Show the latest texts of a number, from the first one in the browser on."""
    found = await page.services.unknown_numbers.get(message_id, limit=_TEXTS_MOST)
    if found.contact_id is not None:
        return page.redirect_to("show_conversation", contact_id=found.contact_id)
    return page.part("conversations/_texts.html", texts=_since(found.texts, query.first))


@router.get("/conversations/unknown/{message_id}/earlier")
async def show_earlier_texts_of_number(
    page: PageDep, message_id: UUID, query: InQuery[EarlierQuery]
) -> Response:
    """Show an earlier page of a number's texts."""
    before = _TEXT_CURSORS.within(message_id).read(query.before)
    found = await page.services.unknown_numbers.get(message_id, before=before, limit=_TEXTS)
    return page.part("conversations/_earlier.html", **_number(page, message_id, found))


@router.get("/conversations/{contact_id}")
async def show_conversation(
    page: PageDep, contact_id: UUID, query: InQuery[TalksQuery]
) -> Response:
    """Show a conversation beside the list; htmx gets the conversation alone."""
    query = query.model_copy(update={"open": contact_id})
    talk = await page.services.conversations.get(contact_id, limit=_TEXTS)
    handling = await _handling(page, contact_id)
    thread = {**await _reply_box(page, talk), **_thread(page, talk), **handling}
    return await _beside(page, query, "conversations/_thread.html", thread)


@router.get("/conversations/{contact_id}/texts")
async def show_texts(page: PageDep, contact_id: UUID, query: InQuery[TextsQuery]) -> Response:
    """Show the latest texts, from the first one in the browser on."""
    talk = await page.services.conversations.get(contact_id, limit=_TEXTS_MOST)
    context: dict[str, Any] = {"talk": talk, "texts": _since(talk.texts, query.first)}
    if (talk.reply.refusal or "") == query.refusal:
        return page.part("conversations/_texts.html", **context)
    context |= await _reply_box(page, talk)
    return page.part("conversations/_texts_and_reply.html", **context)


@router.get("/conversations/{contact_id}/earlier")
async def show_earlier_texts(
    page: PageDep, contact_id: UUID, query: InQuery[EarlierQuery]
) -> Response:
    """Show an earlier page of a conversation."""
    before = _TEXT_CURSORS.within(contact_id).read(query.before)
    talk = await page.services.conversations.get(contact_id, before=before, limit=_TEXTS)
    return page.part("conversations/_earlier.html", **_thread(page, talk))


@router.get("/conversations/{contact_id}/handling")
async def show_handling(page: PageDep, contact_id: UUID) -> Response:
    """Show whose a conversation is and whether it is done."""
    return page.part("conversations/_handling.html", **await _handling(page, contact_id))


@router.post("/conversations/{contact_id}/handling")
async def change_handling(
    page: PageDep, contact_id: UUID, form: InForm[HandlingFields]
) -> Response:
    """Give a contact an owner, or mark the conversation done or open."""
    change: ConversationChange = {}
    if form.owner_id is not None:
        given = form.owner_id
        change["owner_id"] = chosen_id(given, field="owner_id") if given else None
    if form.state is not None:
        change["state"] = form.state
    await page.services.inbox.change(contact_id, change)
    handling = await _handling(page, contact_id)
    event = PageEvent.TEXTS_CHANGED
    return page.part("conversations/_handling.html", event=event, **handling)


@router.post("/conversations/{contact_id}/reply", dependencies=[Sends])
async def send_reply(page: PageDep, contact_id: UUID, form: InForm[ReplyFields]) -> Response:
    """Text a contact, now or later; show the reply box empty, or as typed with its errors."""
    lines = {f"media_urls.{index}": "media" for index in range(len(form.media_urls))}
    with page.refusing(media_urls="media", **lines):
        await page.services.conversations.reply(
            form.message_id,
            contact_id,
            form.body,
            page.user.id,
            sender_id=chosen_id(form.sender_id, field="sender_id") if form.sender_id else None,
            media_urls=form.media_urls,
            send_at=form.moment(page.clock.zone),
        )
    talk = await page.services.conversations.get(contact_id, limit=1)
    box = await _reply_box(page, talk, form if page.errors else None)
    event = None if page.errors else PageEvent.TEXTS_CHANGED
    return page.part("conversations/_reply.html", event=event, **box)


@router.get("/conversations/texts/{message_id}/pictures/{number}")
async def show_inbound_picture(
    page: PageDep, message_id: UUID, number: Annotated[int, Path(ge=1, le=_PICTURES_MOST)]
) -> Response:
    """Show a picture that came with a text, or have any other file saved."""
    try:
        found = await page.services.attachments.get(message_id, number)
    except ProviderUnavailableError:
        return problems.unavailable(
            "provider_unavailable", "the provider does not answer; try again soon"
        ).response()
    kind = type_of(found.content)
    if kind:
        return Response(found.content, media_type=kind)
    ending = guess_extension(found.content_type.partition(";")[0].strip()) or ""
    name = f'attachment; filename="file-{number}{ending}"'
    return Response(
        found.content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": name},
    )


@router.post("/conversations/texts/{message_id}/cancel")
async def cancel_text(page: PageDep, message_id: UUID) -> Response:
    """Cancel a text that waits for its time."""
    await page.services.conversations.cancel(message_id)
    return page.done("Text canceled.", event=PageEvent.TEXTS_CHANGED)


@router.post("/conversations/texts/{message_id}/human")
async def set_text_human(page: PageDep, message_id: UUID) -> Response:
    """Note that a person wrote a text; its effects as a reply happen now."""
    await page.services.text_kinds.correct(message_id, TextKind.HUMAN, user_id=page.user.id)
    return page.done("Counted as a reply.", event=PageEvent.TEXTS_CHANGED)


async def _beside(page: Page, query: TalksQuery, part: str, thread: Mapping[str, Any]) -> Response:
    """Show texts beside the list; htmx gets them alone."""
    if page.wants_part:
        return page.part(part, back=_back(page, query), **thread)
    context = await _listed(page, query)
    return page.render("conversations/conversations.html", **context, **thread)


async def _listed(page: Page, query: TalksQuery) -> dict[str, Any]:
    services = page.services
    find: Find[Any] = (
        partial(services.unknown_numbers.page, search=query.search)
        if query.only is Only.UNKNOWN
        else partial(services.inbox.page, query.wanted(page.user.id))
    )
    path, place = _place(page, query)
    talks, addresses = await listed(path, place, _CURSORS, find)
    return {
        "query": query,
        "talks": talks,
        "only_words": LABELS.conversations.items(),
        "owner_options": [
            *LABELS.inboxes.items(),
            *((str(one.id), one.name) for one in await services.inbox.owners()),
        ],
        "address_beside": lambda **beside: _address(page, query.model_copy(update=beside)),
        "back": _back(page, query),
        "address": addresses,
    }


def _place(page: Page, query: TalksQuery) -> tuple[str, TalksQuery]:
    """Return the path of what is shown, and the query of the list alone."""
    if query.number:
        path = page.path_to("show_unknown_number", message_id=query.number)
    elif query.open:
        path = page.path_to("show_conversation", contact_id=query.open)
    else:
        path = page.path_to("show_conversations")
    return path, query.model_copy(update={"open": None, "number": None})


def _address(page: Page, query: TalksQuery) -> str:
    return Addresses(*_place(page, query)).here


def _back(page: Page, query: TalksQuery) -> str:
    """Return the address of the list with nothing beside it."""
    return _address(page, query.model_copy(update={"open": None, "number": None}))


async def _handling(page: Page, contact_id: UUID) -> dict[str, Any]:
    """Return what the head of a conversation shows: whose it is, and whether it is done."""
    handling = await page.services.inbox.get(contact_id)
    owners = await page.services.inbox.owners()
    if handling.owner is not None and handling.owner not in owners:
        owners = [*owners, handling.owner]  # disabled by now
    return {"handling": handling, "owners": [(str(one.id), one.name) for one in owners]}


def _thread(page: Page, talk: Conversation) -> dict[str, Any]:
    path = page.path_to("show_earlier_texts", contact_id=talk.contact.id)
    return {"talk": talk, **_texts(talk.contact.id, talk, path)}


def _number(page: Page, message_id: UUID, found: UnknownTexts) -> dict[str, Any]:
    path = page.path_to("show_earlier_texts_of_number", message_id=message_id)
    return {"number": found, "message_id": message_id, **_texts(message_id, found, path)}


def _texts(owner_id: UUID, shown: Conversation | UnknownTexts, path: str) -> dict[str, Any]:
    cursor = _TEXT_CURSORS.within(owner_id).write(shown.earlier)
    return {"texts": shown.texts, "earlier": address(path, before=cursor) if cursor else None}


def _since(texts: Many[ConversationText], first: UUID | None) -> Many[ConversationText]:
    """Leave out the texts before one; keep all if it is not among them."""
    start = next((at for at, text in enumerate(texts) if text.id == first), 0)
    return texts[start:]


async def _reply_box(
    page: Page, talk: Conversation, form: ReplyFields | None = None
) -> dict[str, Any]:
    """Return what the reply box shows: the senders too, if the contact knows none."""
    asks_sender = talk.reply.sender is None and talk.reply.refusal is None
    senders = await page.sender_options() if asks_sender else []
    return {"talk": talk, "form": form or ReplyFields(), "sender_options": senders}
