"""Deliveries of events to endpoints: what is due, in which order, with which result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.event_webhooks.events import DeliveryState, EventType
from storage.platform.database import Transaction


@dataclass(frozen=True)
class DueDelivery:
    """An event to be sent now.

    Attributes:
        number: Ascending in the order of events.
        event_id: What the endpoint knows it by.
        tries: This one included.
    """

    number: int
    event_id: UUID
    type: str
    occurred_at: datetime
    data: Mapping[str, Any]
    tries: int


_CLAIM = """
    WITH chosen AS MATERIALIZED (
        SELECT d.event_id FROM event_deliveries d
        JOIN event_endpoints p ON p.id = d.endpoint_id AND p.disabled_at IS NULL
        WHERE d.endpoint_id = :endpoint_id AND d.delivered_at IS NULL AND d.given_up_at IS NULL
        AND d.next_try_at <= clock_timestamp()
        AND coalesce(p.rests_until <= clock_timestamp(), true)
        AND NOT EXISTS (
            SELECT FROM event_deliveries f
            WHERE f.endpoint_id = d.endpoint_id AND f.subject_id = d.subject_id
            AND f.event_id < d.event_id AND f.delivered_at IS NULL AND f.given_up_at IS NULL
        )
        ORDER BY d.next_try_at, d.event_id LIMIT :limit
        FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE event_deliveries d SET tries = d.tries + 1, last_tried_at = clock_timestamp(),
        next_try_at = clock_timestamp() + :claim
    FROM chosen c JOIN events e ON e.id = c.event_id
    WHERE d.endpoint_id = :endpoint_id AND d.event_id = c.event_id
    RETURNING d.event_id AS number, e.event_id, e.type, e.occurred_at, e.data, d.tries
"""


async def claim(
    tx: Transaction, endpoint_id: UUID, limit: int, claim: timedelta
) -> list[DueDelivery]:
    """Take due events, of each subject only the first that is pending.

    Nobody else gets them until they are recorded or ``claim`` has passed.
    """
    due = await tx.rows(DueDelivery, _CLAIM, endpoint_id=endpoint_id, limit=limit, claim=claim)
    return sorted(due, key=lambda one: one.number)


async def delivered(tx: Transaction, endpoint_id: UUID, number: int, status: int) -> None:
    """Note that an endpoint acknowledged an event."""
    sql = """
        UPDATE event_deliveries SET delivered_at = clock_timestamp(), given_up_at = NULL,
            last_status = :status, last_error = NULL
        WHERE endpoint_id = :endpoint_id AND event_id = :number
    """
    await tx.run(sql, endpoint_id=endpoint_id, number=number, status=status)


async def failed(
    tx: Transaction,
    endpoint_id: UUID,
    number: int,
    *,
    status: int | None,
    error: str,
    wait: timedelta = timedelta(0),
    give_up: timedelta | None = None,
) -> None:
    """Record a failed try, and try again after ``wait``, unless it waits for ``give_up`` by then.

    That is counted from when the event was to be sent, which may be long after it happened; None
    gives it up never.
    """
    sql = """
        UPDATE event_deliveries SET last_status = :status, last_error = :error,
            next_try_at = clock_timestamp() + :wait,
            given_up_at = CASE
                WHEN clock_timestamp() + :wait - queued_at > CAST(:give_up AS interval)
                THEN clock_timestamp()
            END
        WHERE endpoint_id = :endpoint_id AND event_id = :number AND delivered_at IS NULL
    """
    await tx.run(
        sql,
        endpoint_id=endpoint_id,
        number=number,
        status=status,
        error=error,
        wait=wait,
        give_up=give_up,
    )


async def rest(tx: Transaction, endpoint_id: UUID, wait: timedelta) -> None:
    """Send nothing to an endpoint for a while, as it asked."""
    sql = "UPDATE event_endpoints SET rests_until = clock_timestamp() + :wait WHERE id = :id"
    await tx.run(sql, id=endpoint_id, wait=wait)


async def next_due(tx: Transaction, endpoint_id: UUID, pause: timedelta) -> datetime | None:
    """Compute when the next event may be tried, after a pause; None if nothing is pending."""
    sql = """
        SELECT CASE WHEN count(*) > 0 THEN greatest(
            min(next_try_at), clock_timestamp() + :pause,
            (SELECT rests_until FROM event_endpoints WHERE id = :endpoint_id)
        ) END FROM (
            SELECT DISTINCT ON (subject_id) next_try_at FROM event_deliveries
            WHERE endpoint_id = :endpoint_id AND delivered_at IS NULL AND given_up_at IS NULL
            ORDER BY subject_id, event_id
        ) first
    """
    return await tx.value(datetime, sql, endpoint_id=endpoint_id, pause=pause)


async def forgotten(tx: Transaction, since: timedelta) -> list[UUID]:
    """List endpoints with events overdue by this much: nobody seems to deliver them."""
    sql = """
        SELECT p.id FROM event_endpoints p
        WHERE p.disabled_at IS NULL AND coalesce(p.rests_until < now() - :since, true) AND EXISTS (
            SELECT FROM event_deliveries d
            WHERE d.endpoint_id = p.id AND d.delivered_at IS NULL AND d.given_up_at IS NULL
            AND d.next_try_at < now() - :since AND NOT EXISTS (
                SELECT FROM event_deliveries f
                WHERE f.endpoint_id = d.endpoint_id AND f.subject_id = d.subject_id
                AND f.event_id < d.event_id
                AND f.delivered_at IS NULL AND f.given_up_at IS NULL
            )
        )
    """
    return await tx.column(sql, since=since)


@dataclass(frozen=True)
class DeliveryRecord:
    """A delivery as the log shows it."""

    number: int
    event_id: UUID
    type: str
    subject_id: UUID
    data: Mapping[str, Any]
    occurred_at: datetime
    state: DeliveryState
    tries: int
    next_try_at: datetime | None
    last_tried_at: datetime | None
    last_status: int | None
    last_error: str | None
    delivered_at: datetime | None
    given_up_at: datetime | None


_LOG = """
    SELECT d.event_id AS number, e.event_id, e.type, e.subject_id, e.data, e.occurred_at,
        CASE WHEN d.delivered_at IS NOT NULL THEN 'delivered'
            WHEN d.given_up_at IS NOT NULL THEN 'given_up' ELSE 'pending' END AS state,
        CASE WHEN d.delivered_at IS NULL AND d.given_up_at IS NULL THEN d.next_try_at END
            AS next_try_at,
        d.tries, d.last_tried_at, d.last_status, d.last_error, d.delivered_at, d.given_up_at
    FROM event_deliveries d JOIN events e ON e.id = d.event_id
    WHERE d.endpoint_id = :endpoint_id
"""

_IN_STATE = {
    None: "true",
    DeliveryState.PENDING: "d.delivered_at IS NULL AND d.given_up_at IS NULL",
    DeliveryState.DELIVERED: "d.delivered_at IS NOT NULL",
    DeliveryState.GIVEN_UP: "d.given_up_at IS NOT NULL",
}


async def log(
    tx: Transaction,
    endpoint_id: UUID,
    *,
    state: DeliveryState | None,
    before: int | None,
    limit: int,
) -> list[DeliveryRecord]:
    """List an endpoint's deliveries, the latest event first; ``before`` is a number."""
    sql = f"""
        {_LOG} AND {_IN_STATE[state]}
        AND (CAST(:before AS bigint) IS NULL OR d.event_id < :before)
        ORDER BY d.event_id DESC LIMIT :limit
    """
    return await tx.rows(DeliveryRecord, sql, endpoint_id=endpoint_id, before=before, limit=limit)


async def one(tx: Transaction, endpoint_id: UUID, event_id: UUID) -> DeliveryRecord | None:
    """Read the delivery of one event to an endpoint."""
    sql = f"{_LOG} AND e.event_id = :event_id"
    return await tx.one(DeliveryRecord, sql, endpoint_id=endpoint_id, event_id=event_id)


async def send_again(tx: Transaction, endpoint_id: UUID, number: int) -> None:
    """Deliver an event again, or at once, before any later one of its subject."""
    sql = """
        UPDATE event_deliveries SET delivered_at = NULL, given_up_at = NULL, tries = 0,
            next_try_at = now(), queued_at = now()
        WHERE endpoint_id = :endpoint_id AND event_id = :number
    """
    await tx.run(sql, endpoint_id=endpoint_id, number=number)


@dataclass(frozen=True)
class Replayed:
    """Events that are to be sent again.

    Attributes:
        queued: How many.
        last_id: The last of them; None for none.
    """

    queued: int
    last_id: UUID | None


async def replay(
    tx: Transaction, endpoint_id: UUID, *, after: int, types: Sequence[str], limit: int
) -> Replayed:
    """Send an endpoint the events behind a number, of any of these types; none means all.

    Those that it has acknowledged are sent again; those that wait stay as they are.
    """
    sql = """
        WITH chosen AS MATERIALIZED (
            SELECT id, event_id, subject_id FROM events
            WHERE id > :after AND type <> :ping
            AND (CAST(:types AS text[]) = '{}' OR type = ANY(CAST(:types AS text[])))
            ORDER BY id LIMIT :limit
        ), queued AS (
            INSERT INTO event_deliveries AS d (endpoint_id, event_id, subject_id)
            SELECT :endpoint_id, id, subject_id FROM chosen
            ON CONFLICT (endpoint_id, event_id) DO UPDATE SET delivered_at = NULL,
                given_up_at = NULL, tries = 0, next_try_at = now(), queued_at = now()
            WHERE d.delivered_at IS NOT NULL OR d.given_up_at IS NOT NULL
        )
        SELECT count(*) AS queued, (SELECT event_id FROM chosen ORDER BY id DESC LIMIT 1) AS last_id
        FROM chosen
    """
    asked = {"endpoint_id": endpoint_id, "after": after, "types": types, "limit": limit}
    found = await tx.one(Replayed, sql, **asked, ping=EventType.TEST_PING)
    assert found is not None  # noqa: S101 - it counts
    return found


async def try_all_now(tx: Transaction, endpoint_id: UUID) -> None:
    """Try every pending event at once, even if the endpoint asked for a rest."""
    await tx.run("UPDATE event_endpoints SET rests_until = NULL WHERE id = :id", id=endpoint_id)
    sql = """
        UPDATE event_deliveries SET next_try_at = now()
        WHERE endpoint_id = :endpoint_id AND delivered_at IS NULL AND given_up_at IS NULL
        AND next_try_at > now()
    """
    await tx.run(sql, endpoint_id=endpoint_id)
