"""The inbox: the list of conversations, and how many need a reply."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.pages import waiting
from api.pages.addresses import Addresses, PlaceQuery, as_view, listed
from api.pages.labels import LABELS
from api.pages.page import Page, PageDep, own_path
from api.paging import Cursors, Find, InQuery, Search
from domain.messaging.snoozing import snooze_offers
from domain.statuses.messaging import ConversationState
from services.messaging.inbox import WAIT_MOST
from storage.messaging.inbox import ConversationFilter

router = APIRouter()

_CURSORS = Cursors("conversations", "-created_at", {"created_at": datetime})


class Only(StrEnum):
    """Which conversations the list shows, or the numbers that are no contact's."""

    NEEDS_REPLY = "needs_reply"
    SNOOZED = "snoozed"
    OPEN = "open"
    DONE = "done"
    ALL = "all"
    OPTED_OUT = "opted_out"
    UNKNOWN = "unknown"


class Inbox(StrEnum):
    """Whose conversations the list shows, besides those of one user."""

    MINE = "mine"
    ME = "me"
    NOBODY = "none"
    EVERYBODY = "all"


_FILTERS_MOST = 500
_MANY = {"sequence", "group", "trail"}
_STATES = {Only(state.value): state for state in ConversationState}


class TalksQuery(PlaceQuery):
    """Query of the list.

    Attributes:
        owner: Whose; a user's own come with those of nobody unless asked otherwise.
        open: The contact whose conversation is shown beside the list.
        number: The first text of the number that is shown beside the list instead.
    """

    search: Search = ""
    only: Only = Only.NEEDS_REPLY
    owner: Inbox | UUID = Inbox.MINE
    sequence: list[UUID] = Field(default_factory=list, max_length=50)
    group: list[UUID] = Field(default_factory=list, max_length=50)
    open: UUID | None = None
    number: UUID | None = None

    @classmethod
    def shown_on(cls, page: Page) -> Self:
        """Read what the page shows from its address; as the inbox opens if that says nothing."""
        here = urlsplit(own_path(page.request.headers.get("hx-current-url")))
        try:
            given = parse_qs(here.query, max_num_fields=_FILTERS_MOST)
            return cls.model_validate(
                {name: some if name in _MANY else some[-1] for name, some in given.items()}
            )
        except ValueError:
            return cls()

    @property
    def tells_of_numbers(self) -> bool:
        """Whether numbers that are no contact's, which are nobody's, would be among these."""
        others = isinstance(self.owner, UUID) or self.owner is Inbox.ME
        narrowed = self.search or self.sequence or self.group
        return self.only is Only.NEEDS_REPLY and not (others or narrowed)

    def wanted(self, user_id: UUID) -> ConversationFilter:
        """Hand the filters to the use case; a user's inbox has what is nobody's too."""
        mine = self.owner in {Inbox.MINE, Inbox.ME}
        named = [self.owner] if isinstance(self.owner, UUID) else []
        return ConversationFilter(
            states=[_STATES[self.only]] if self.only in _STATES else [],
            owners=[user_id] if mine else named,
            nobodys=self.owner in {Inbox.MINE, Inbox.NOBODY},
            opted_out=self.only is Only.OPTED_OUT,
            sequences=self.sequence,
            groups=self.group,
            search=self.search,
            age=WAIT_MOST if self.only is Only.NEEDS_REPLY else None,
        )


@router.get("/conversations")
async def show_conversations(page: PageDep, query: InQuery[TalksQuery]) -> Response:
    """Show the list without a conversation beside it; htmx gets the list alone."""
    context = await _listed(page, query)
    if not page.wants_part:
        context |= await _choices(page, query)
        return page.render("conversations/conversations.html", talk=None, **context)
    response = page.part("conversations/_list.html", **context)
    if page.request.headers.get("hx-trigger") == "filters":
        response.headers["HX-Replace-Url"] = Addresses(*_place(page, query)).of()
    return response


@router.get("/conversations/count")
async def count_conversations(page: PageDep) -> Response:
    """Count what needs a reply in the user's inbox, for the menu; name the latest who wrote."""
    shown = await page.menu_count("count_conversations")
    last = await waiting.latest(page.services, page.user.id) if shown.count else None
    return page.part(shown.template, shown=shown, latest=last)


async def beside(page: Page, query: TalksQuery, part: str, thread: Mapping[str, Any]) -> Response:
    """Show texts beside the list; htmx gets them alone."""
    if page.wants_part:
        return page.part(part, back=back_to(page, query), **thread)
    context = {**await _listed(page, query), **await _choices(page, query), **thread}
    return page.render("conversations/conversations.html", **context)


async def _listed(page: Page, query: TalksQuery) -> dict[str, Any]:
    services = page.services
    find: Find[Any] = partial(services.inbox.page_by_reply, query.wanted(page.user.id))
    if query.only is Only.UNKNOWN:
        # Those that are done are found by their digits.
        states = [] if query.search else [ConversationState.NEEDS_REPLY, ConversationState.OPEN]
        find = partial(services.unknown_numbers.page, search=query.search, states=states)
    path, place = _place(page, query)
    talks, addresses = await listed(path, place, _CURSORS, find)
    numbers = 0
    if query.tells_of_numbers:
        numbers = (await page.count_waiting()).numbers
    return {
        "query": query,
        "talks": talks,
        "numbers": numbers,
        "numbers_shown": waiting.shown(numbers),
        "address_beside": lambda **beside: address_beside(page, query.model_copy(update=beside)),
        "everywhere": address_beside(
            page, TalksQuery(search=query.search, only=Only.ALL, owner=Inbox.EVERYBODY)
        ),
        "back": back_to(page, query),
        "address": addresses,
        "shown_query": as_view(query, open=None, number=None),
    }


async def _choices(page: Page, query: TalksQuery) -> dict[str, Any]:
    """Return what the list can be narrowed by, and when what is ticked may come back."""
    whose = query.owner if isinstance(query.owner, UUID) else None
    sequences = await page.services.pickers.used_sequences()
    return {
        "only_words": LABELS.conversations.items(),
        "owner_options": [*LABELS.inboxes.items(), *await page.owner_options(whose)],
        "sequence_options": [(str(one.id), one.name) for one in sequences],
        "group_options": await page.group_options(),
        "snoozes": snooze_offers(page.now, page.clock.zone),
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


def address_beside(page: Page, query: TalksQuery) -> str:
    """Return the address of the list with what its query shows beside it."""
    return Addresses(*_place(page, query)).here


def back_to(page: Page, query: TalksQuery) -> str:
    """Return the address of the list with nothing beside it."""
    return address_beside(page, query.model_copy(update={"open": None, "number": None}))
