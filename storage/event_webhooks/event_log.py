"""Reading events again, in the order of their numbers, skipping none that commits late.

A number is taken when an event is written and seen by others once its transaction commits: there
may be a gap that is filled later. Behind a gap nothing is read until it is known that it stays one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.event_webhooks.events import EventType
from storage.platform.database import Transaction


@dataclass(frozen=True)
class LoggedEvent:
    """An event.

    Attributes:
        number: Ascending; without meaning to others.
        id: What endpoints know it by.
    """

    number: int
    id: UUID
    type: str
    timestamp: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Stretch:
    """The numbers behind one.

    Attributes:
        count: How many events there are, as far as they were looked at.
        last: The last one's number; None if there is none.
        last_before_gap: The last one's before the first gap.
    """

    count: int
    last: int | None
    last_before_gap: int | None


async def number_of(tx: Transaction, event_id: UUID) -> int | None:
    """Read an event's number; None if there is none with this id."""
    sql = "SELECT id FROM events WHERE event_id = :event_id"
    return await tx.value(int, sql, event_id=event_id)


async def id_of(tx: Transaction, number: int) -> UUID | None:
    """Read the id of the event with a number."""
    return await tx.value(UUID, "SELECT event_id FROM events WHERE id = :id", id=number)


async def stretch(tx: Transaction, after: int, most: int) -> Stretch:
    """Look at the numbers of the next events behind one, at most so many."""
    sql = """
        SELECT count(*) AS count, max(id) AS last,
            max(id) FILTER (WHERE id - place = :after) AS last_before_gap
        FROM (
            SELECT id, row_number() OVER (ORDER BY id) AS place FROM events
            WHERE id > :after ORDER BY id LIMIT :most
        ) next
    """
    found = await tx.one(Stretch, sql, after=after, most=most)
    assert found is not None  # noqa: S101 - it counts
    return found


async def between(
    tx: Transaction, after: int, last: int, types: Sequence[EventType], limit: int
) -> list[LoggedEvent]:
    """Read events behind a number, up to another one, of any of these types; none means all.

    Tests are for the endpoint that was tested alone.
    """
    sql = """
        SELECT id AS number, event_id AS id, type, occurred_at AS timestamp, data FROM events
        WHERE id > :after AND id <= :last AND type <> :ping
        AND (CAST(:types AS text[]) = '{}' OR type = ANY(CAST(:types AS text[])))
        ORDER BY events.id LIMIT :limit
    """
    asked = {"after": after, "last": last, "ping": EventType.TEST_PING, "limit": limit}
    return await tx.rows(LoggedEvent, sql, **asked, types=types)


_NOW = "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
_OLDEST = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"


async def own_number(tx: Transaction) -> int:
    """Number this transaction: every one that has written an event by now has a lower number."""
    return await tx.value(int, f"SELECT {_NOW}") or 0


async def has_ended(tx: Transaction, number: int) -> bool:
    """Tell whether every transaction below a number has ended, for those who read afterwards."""
    return await tx.value(bool, f"SELECT {_OLDEST} >= :number", number=number) or False
