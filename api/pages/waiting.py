"""What waits for a person: the numbers beside the menu's entries."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain.contacts.names import called
from domain.platform.phones import readable
from domain.statuses.messaging import ConversationState
from services.factory import Services
from services.messaging.inbox import WAIT_MOST
from storage.messaging.inbox import ConversationFilter

MOST = 99
"""The highest number that is shown."""


class Latest(NamedTuple):
    """The latest who wrote; ``page`` and ``parameters`` lead to the texts."""

    at: datetime
    who: str
    page: str
    parameters: Mapping[str, UUID]


@dataclass(frozen=True)
class MenuCount:
    """How much waits, counted up to one more than is shown; how a menu says so.

    Attributes:
        template: The part of a page that says it.
        latest: Who wrote last, where that is told.
    """

    template: str
    count: int
    latest: Latest | None = None
    most: int = MOST


async def replies(services: Services, user_id: UUID) -> MenuCount:
    """Count what needs a reply in a user's inbox, and name the latest who wrote."""
    count = await services.inbox.count_needing_reply(user_id, most=MOST + 1)
    latest = await _latest(services, user_id) if count else None
    return MenuCount("conversations/_count.html", count, latest)


async def reviews(services: Services, user_id: UUID) -> MenuCount:  # noqa: ARG001 - everybody's
    """Count the open reviews."""
    return MenuCount("reviews/_count.html", await services.reviews.count_open(most=MOST + 1))


COUNTS: Mapping[str, Callable[[Services, UUID], Awaitable[MenuCount]]] = MappingProxyType(
    {"count_conversations": replies, "count_reviews": reviews}
)
"""What counts, by the page that answers with it alone."""


async def _latest(services: Services, user_id: UUID) -> Latest | None:
    waits = [ConversationState.NEEDS_REPLY]
    wanted = ConversationFilter(states=waits, owners=[user_id], nobodys=True, age=WAIT_MOST)
    talks = (await services.inbox.page_by_reply(wanted, limit=1)).items
    numbers = (await services.unknown_numbers.page(states=waits, limit=1)).items
    found = [
        *(
            Latest(
                one.at,
                called(one.contact.name, one.contact.phone),
                "show_conversation",
                {"contact_id": one.contact.id},
            )
            for one in talks
        ),
        *(
            Latest(one.at, readable(one.phone), "show_unknown_number", {"message_id": one.id})
            for one in numbers
        ),
    ]
    return max(found, key=lambda one: one.at, default=None)
