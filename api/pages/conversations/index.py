"""The inbox: the list of conversations, and how many need a reply."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.addresses import Addresses, PlaceQuery, as_view, listed
from api.pages.labels import LABELS
from api.pages.page import Page, PageDep
from api.paging import Cursors, Find, InQuery, Search
from domain.statuses.messaging import ConversationState
from services.messaging.inbox import WAIT_MOST
from storage.messaging.inbox import ConversationFilter

router = APIRouter()

_CURSORS = Cursors("conversations", "-created_at", {"created_at": datetime})

COUNT_MOST = 99
"""The highest number that the badge shows."""


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
            age=WAIT_MOST if self.only is Only.NEEDS_REPLY else None,
        )


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
    """Count what needs a reply in the user's inbox, for the menu; name the latest who wrote."""
    inbox = page.services.inbox
    count = await inbox.count_needing_reply(page.user.id, most=COUNT_MOST + 1)
    wanted = TalksQuery().wanted(page.user.id)
    latest = (await inbox.page_by_reply(wanted, limit=1)).items if count else []
    return page.part("conversations/_count.html", count=count, most=COUNT_MOST, latest=latest)


async def beside(page: Page, query: TalksQuery, part: str, thread: Mapping[str, Any]) -> Response:
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
        else partial(services.inbox.page_by_reply, query.wanted(page.user.id))
    )
    path, place = _place(page, query)
    talks, addresses = await listed(path, place, _CURSORS, find)
    return {
        "query": query,
        "talks": talks,
        "only_words": LABELS.conversations.items(),
        "owner_options": [
            *LABELS.inboxes.items(),
            *await page.owner_options(),
        ],
        "address_beside": lambda **beside: _address(page, query.model_copy(update=beside)),
        "everywhere": _address(
            page, TalksQuery(search=query.search, only=Only.ALL, owner=Inbox.EVERYBODY)
        ),
        "back": _back(page, query),
        "address": addresses,
        "shown_query": as_view(query, open=None, number=None),
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
