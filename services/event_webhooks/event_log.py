"""The events of the last 30 days, read again by whoever was away."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.event_webhooks.events import EventType
from domain.platform.errors import GoneError
from storage.event_webhooks import event_log
from storage.event_webhooks.event_log import LoggedEvent
from storage.platform.database import Database, Transaction

_LOOKED_THROUGH = 5_000
"""So many events are looked through at once for those of some types."""

_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class EventsRead:
    """A page of events.

    Attributes:
        items: In the order in which they happened to each subject.
        last_id: The last event that was looked at, of whatever type, to go on from; the one that
            was asked with if there is none behind it.
        more: Whether there are more behind it now.
    """

    items: Sequence[LoggedEvent]
    last_id: UUID | None
    more: bool


class EventLog:
    """Reads events in the order of their numbers.

    Args:
        database: Where they are.
        patience: Seconds to wait for transactions that may yet commit an event before others.
    """

    def __init__(self, database: Database, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._database = database
        self._patience = patience

    async def read(
        self, *, after: UUID | None = None, types: Sequence[EventType] = (), limit: int = 50
    ) -> EventsRead:
        """Read the next events behind one, the oldest first; no ``types`` means all.

        None is skipped: behind a number that a running transaction may have taken, nothing is
        given until that has ended.

        Raises:
            GoneError: ``event_not_kept``: there is no such event, or not any more.
        """
        most = _LOOKED_THROUGH if types else limit + 1
        async with self._database.transaction() as tx:
            number = await position(tx, after)
            found = await event_log.stretch(tx, number, most)
        last = found.last_before_gap
        if found.last != last and await self.settled():
            # What was written since may leave gaps of its own.
            last = found.last
        if last is None:
            return EventsRead((), after, more=False)
        async with self._database.transaction() as tx:
            items = await event_log.between(tx, number, last, types, limit + 1)
            if len(items) > limit:
                return EventsRead(items[:limit], items[limit - 1].id, more=True)
            last_id = await event_log.id_of(tx, last)
        return EventsRead(items, last_id, more=found.count == most and last == found.last)

    async def settled(self) -> bool:
        """Wait until whoever has written an event by now has ended; False if that takes long."""
        async with self._database.transaction() as tx:
            number = await event_log.own_number(tx)
        ends = time.monotonic() + self._patience
        while True:
            async with self._database.transaction() as tx:
                if await event_log.has_ended(tx, number):
                    return True
            if time.monotonic() >= ends:
                return False
            await asyncio.sleep(_PAUSE_SECONDS)


async def position(tx: Transaction, after: UUID | None) -> int:
    """Find the number behind which to read: an event's, or the beginning.

    Raises:
        GoneError: ``event_not_kept``.
    """
    if after is None:
        return 0
    number = await event_log.number_of(tx, after)
    if number is None:
        raise GoneError(
            "event_not_kept",
            "the event named by after is not here, or no longer: events are kept for 30 days; read"
            " what you mirror anew, then the events without after",
        )
    return number
