"""Queries of the sweep."""

from datetime import timedelta
from uuid import UUID

from storage.platform.database import Transaction


async def overdue(tx: Transaction, by: timedelta, limit: int) -> list[UUID]:
    """Pick active enrollments whose next event was due this long ago.

    At random, so that a long queue at one sender cannot hide a lost workflow forever.
    """
    sql = """
        SELECT id FROM enrollments
        WHERE status = 'active' AND coalesce(next_send_at, reply_until) < now() - :by
        ORDER BY random() LIMIT :limit
    """
    return await tx.column(sql, by=by, limit=limit)


async def left_in_archived(tx: Transaction, age: timedelta, limit: int) -> list[UUID]:
    """List active enrollments of sequences that were archived this long ago, in lock order."""
    sql = """
        SELECT e.id FROM sequences q JOIN enrollments e ON e.sequence_id = q.id
        WHERE q.state = 'archived' AND q.updated_at < now() - :age AND e.status = 'active'
        ORDER BY e.id LIMIT :limit
    """
    return await tx.column(sql, age=age, limit=limit)


async def lost_messages(tx: Transaction, by: timedelta, limit: int) -> list[UUID]:
    """Pick one-off texts that were due this long ago and were not sent."""
    sql = """
        SELECT id FROM messages
        WHERE direction = 'outbound' AND step IS NULL
        AND (status IN ('pending', 'sending', 'unknown') OR next_try_at IS NOT NULL)
        AND coalesce(next_try_at, created_at) < now() - :by
        AND NOT EXISTS (
            SELECT 1 FROM attempts a
            WHERE a.message_id = messages.id AND a.outcome = 'assumed_sent'
        )
        ORDER BY random() LIMIT :limit
    """
    return await tx.column(sql, by=by, limit=limit)


async def unreconciled_attempts(
    tx: Transaction, from_age: timedelta, to_age: timedelta, limit: int
) -> list[UUID]:
    """Pick attempts of this age that need reconciliation and whose enrollment is final.

    At random, so that those which cannot be reconciled do not hide the others.
    """
    sql = """
        SELECT a.id FROM attempts a
        JOIN messages m ON m.id = a.message_id
        JOIN enrollments e ON e.id = m.enrollment_id
        WHERE a.outcome IN ('open', 'unknown') AND m.step IS NOT NULL
        AND e.status <> 'active'
        AND a.started_at BETWEEN now() - :to_age AND now() - :from_age
        ORDER BY random() LIMIT :limit
    """
    return await tx.column(sql, from_age=from_age, to_age=to_age, limit=limit)


async def forget_keys(tx: Transaction, age: timedelta) -> None:
    """Delete idempotency keys that are too old to be used again."""
    sql = "DELETE FROM idempotency_keys WHERE created_at < now() - :age"
    await tx.run(sql, age=age)


async def forget_reports(tx: Transaction, age: timedelta, limit: int) -> int:
    """Delete the oldest delivery reports if they were applied this long ago, and count them."""
    sql = """
        DELETE FROM status_events WHERE id IN (
            SELECT id FROM (
                SELECT id, applied_at FROM status_events WHERE applied_at IS NOT NULL
                ORDER BY id LIMIT :limit
            ) oldest
            WHERE applied_at < now() - CAST(:age AS interval)
        )
    """
    return await tx.count(sql, age=age, limit=limit)
