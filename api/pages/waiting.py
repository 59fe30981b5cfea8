"""What waits for a person: the numbers beside the menu's entries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.contacts.names import called
from domain.platform.phones import readable
from domain.statuses.messaging import ConversationState
from services.factory import Services
from services.maintenance.frames import Frame
from services.messaging.inbox import WAIT_MOST
from storage.messaging.inbox import ConversationFilter
from storage.messaging.waiting import WaitingCounts

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
    """

    template: str
    count: int

    @property
    def text(self) -> str:
        """The number as it is shown."""
        return shown(self.count)


def shown(count: int) -> str:
    """Write a number that was counted up to one more than is shown."""
    return str(count) if count <= MOST else f"{MOST}+"


async def counted(services: Services, user_id: UUID) -> WaitingCounts:
    """Count what waits for a user, up to one more than is shown."""
    return await services.inbox.count_waiting(user_id, most=MOST + 1)


async def framed(services: Services, user_id: UUID) -> Frame:
    """Read what is around a user's page, with what waits counted as ``counted`` does."""
    return await services.frames.of(user_id, most=MOST + 1)


def menu_counts(waiting: WaitingCounts) -> Mapping[str, MenuCount]:
    """Give the menu's numbers, by the page that answers with one alone."""
    replies = MenuCount("conversations/_count.html", waiting.replies)
    reviews = MenuCount("reviews/_count.html", waiting.reviews)
    return {"count_conversations": replies, "count_reviews": reviews}


async def latest(services: Services, user_id: UUID) -> Latest | None:
    """Name the latest who wrote and needs a reply of the user's."""
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
