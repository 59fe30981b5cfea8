"""What the sweep looks for."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from storage.platform.database import Transaction


async def overdue(tx: Transaction, by: timedelta, limit: int) -> list[UUID]:
    """Some active enrollments whose next event was due this long ago.

    Picked at random: with more of them than the limit, a long queue at one sender hides no lost
    workflow for ever.
    """
    rows = await tx.execute(
        text(
            """
            SELECT id FROM enrollments
            WHERE status = 'active' AND coalesce(next_send_at, reply_until) < now() - :by
            ORDER BY random() LIMIT :limit
            """
        ),
        {"by": by, "limit": limit},
    )
    return [row.id for row in rows]


async def left_in_archived(tx: Transaction, age: timedelta, limit: int) -> list[UUID]:
    """Active enrollments of sequences that were archived this long ago, in the order of locks.

    A sequence is archived without any, or has those it has finished after that.
    """
    rows = await tx.execute(
        text(
            """
            SELECT e.id FROM sequences q JOIN enrollments e ON e.sequence_id = q.id
            WHERE q.state = 'archived' AND q.updated_at < now() - :age AND e.status = 'active'
            ORDER BY e.id LIMIT :limit
            """
        ),
        {"age": age, "limit": limit},
    )
    return [row.id for row in rows]


async def lost_messages(tx: Transaction, by: timedelta, limit: int) -> list[UUID]:
    """Some one-off texts that should have gone this long ago and have not."""
    rows = await tx.execute(
        text(
            """
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
        ),
        {"by": by, "limit": limit},
    )
    return [row.id for row in rows]


async def orphan_attempts(
    tx: Transaction, from_age: timedelta, to_age: timedelta, limit: int
) -> list[UUID]:
    """Unsettled attempts of some age that no workflow looks after: their enrollment is final.

    By chance, so that those nobody can settle keep no other from being looked at.
    """
    rows = await tx.execute(
        text(
            """
            SELECT a.id FROM attempts a
            JOIN messages m ON m.id = a.message_id
            JOIN enrollments e ON e.id = m.enrollment_id
            WHERE a.outcome IN ('open', 'unknown') AND m.step IS NOT NULL
            AND e.status <> 'active'
            AND a.started_at BETWEEN now() - :to_age AND now() - :from_age
            ORDER BY random() LIMIT :limit
            """
        ),
        {"from_age": from_age, "to_age": to_age, "limit": limit},
    )
    return [row.id for row in rows]


async def forget_keys(tx: Transaction, age: timedelta) -> None:
    """Drop idempotency keys that are too old to be repeated."""
    await tx.execute(
        text("DELETE FROM idempotency_keys WHERE created_at < now() - :age"), {"age": age}
    )


async def forget_reports(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove those of the provider's oldest reports that were applied this long ago; how many."""
    rows = await tx.execute(
        text(
            """
            DELETE FROM status_events WHERE id IN (
                SELECT id FROM (
                    SELECT id, applied_at FROM status_events WHERE applied_at IS NOT NULL
                    ORDER BY id LIMIT :limit
                ) oldest
                WHERE applied_at < now() - CAST(:age AS interval)
            )
            RETURNING id
            """
        ),
        {"age": age, "limit": limit},
    )
    return len(rows.all())
