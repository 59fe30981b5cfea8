"""Senders on hold, and waking the enrollments that wait for something."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from storage import outbox
from storage.database import Transaction


async def hold_sender(
    tx: Transaction,
    sender_id: UUID,
    *,
    code: int | None,
    from_report: bool,
    now: datetime,
    probe_at: datetime,
) -> None:
    """Put a sender on hold, or keep it there; the first reason stands, the next probe moves."""
    await tx.execute(
        text(
            """
            UPDATE senders SET held_at = coalesce(held_at, :now),
                hold_code = CASE WHEN held_at IS NULL THEN :code ELSE hold_code END,
                hold_from_report = :from_report OR (held_at IS NOT NULL AND hold_from_report),
                next_probe_at = :probe_at
            WHERE id = :id
            """
        ),
        {
            "id": sender_id,
            "code": code,
            "from_report": from_report,
            "now": now,
            "probe_at": probe_at,
        },
    )


async def release_sender(tx: Transaction, sender_id: UUID) -> int:
    """Take a sender off hold and wake every enrollment that waits for it; answers how many.

    The exclusive lock waits for sends that are just finding the sender on hold.
    """
    await tx.execute(text("SELECT 1 FROM senders WHERE id = :id FOR UPDATE"), {"id": sender_id})
    await tx.execute(
        text(
            """
            UPDATE senders SET held_at = NULL, hold_code = NULL, hold_from_report = false,
                next_probe_at = NULL
            WHERE id = :id
            """
        ),
        {"id": sender_id},
    )
    return await _wake(
        tx,
        """
        e.held_reason = 'sender_on_hold' AND e.sequence_id IN (
            SELECT id FROM sequences WHERE sender_id = :id
        )
        """,
        {"id": sender_id},
    )


async def wake_sequence(tx: Transaction, sequence_id: UUID) -> int:
    """Wake the enrollments that were found to be due while their sequence was paused."""
    return await _wake(
        tx,
        "e.sequence_id = :id AND e.activity = 'paused' AND e.paused_at IS NULL",
        {"id": sequence_id},
    )


async def wake_for_settings(
    tx: Transaction,
    sequence_id: UUID,
    *,
    reply_window_changed: bool,
    send_window_changed: bool,
    sender_changed: bool,
) -> int:
    """Have changed settings of a sequence take effect at once; answers how many were woken.

    A new reply window counts from the last text. A new send window matters to those the old one
    keeps waiting; a narrower one is looked at when a text would go.
    """
    woken = 0
    if reply_window_changed:
        await tx.execute(
            text(
                """
                WITH locked AS (
                    SELECT id FROM enrollments WHERE sequence_id = :id
                    AND activity = 'awaiting_reply' AND last_sent_at IS NOT NULL
                    ORDER BY id FOR NO KEY UPDATE
                )
                UPDATE enrollments e SET reply_until =
                    e.last_sent_at + make_interval(secs => q.reply_window_seconds)
                FROM sequences q, locked
                WHERE e.id = locked.id AND q.id = e.sequence_id
                """
            ),
            {"id": sequence_id},
        )
        await _signal(
            tx, "e.sequence_id = :id AND e.activity = 'awaiting_reply'", {"id": sequence_id}
        )
    if send_window_changed:
        await _signal(tx, "e.sequence_id = :id AND e.activity = 'waiting'", {"id": sequence_id})
    if sender_changed:
        woken += await _wake(
            tx,
            "e.sequence_id = :id AND e.held_reason = 'sender_on_hold'",
            {"id": sequence_id},
        )
    return woken


async def wake_enrollment(tx: Transaction, enrollment_id: UUID, *, probing: bool = False) -> bool:
    """Wake one that is held, or whose sequence was paused; never one that a person paused.

    ``probing`` lets it try a sender on hold.
    """
    woken = await _wake(
        tx,
        "e.id = :id AND (e.activity = 'held' OR (e.activity = 'paused' AND e.paused_at IS NULL))",
        {"id": enrollment_id},
    )
    if woken and probing:
        await tx.execute(
            text("UPDATE enrollments SET probing = true WHERE id = :id"), {"id": enrollment_id}
        )
    return woken > 0


async def due_probes(tx: Transaction, interval: timedelta, limit: int) -> list[list[UUID]]:
    """Claim the senders on hold that may be tried now; answers some waiting enrollments of each."""
    rows = await tx.execute(
        text(
            """
            WITH due AS (
                UPDATE senders SET next_probe_at = now() + :interval
                WHERE held_at IS NOT NULL AND next_probe_at <= now()
                RETURNING id
            )
            SELECT array_agg(waiting.id) AS ids
            FROM due CROSS JOIN LATERAL (
                SELECT e.id FROM sequences q JOIN enrollments e ON e.sequence_id = q.id
                WHERE q.sender_id = due.id AND q.state = 'active'
                AND e.held_reason = 'sender_on_hold'
                ORDER BY random() LIMIT :limit
            ) waiting
            GROUP BY due.id
            """
        ),
        {"interval": interval, "limit": limit},
    )
    return [row.ids for row in rows]


async def claim_probe(tx: Transaction, sender_id: UUID, interval: timedelta) -> bool:
    """Claim the probe of a sender on hold for a one-off text; False if it is not due."""
    claimed = await tx.execute(
        text(
            """
            UPDATE senders SET next_probe_at = now() + :interval
            WHERE id = :id AND held_at IS NOT NULL AND next_probe_at <= now()
            RETURNING id
            """
        ),
        {"id": sender_id, "interval": interval},
    )
    return claimed.first() is not None


async def _wake(tx: Transaction, which: str, values: dict[str, object]) -> int:
    """Set enrollments that wait for something to waiting, and ask their workflows to look."""
    rows = await tx.execute(
        text(
            f"""
            WITH locked AS (
                SELECT e.id FROM enrollments e WHERE e.status = 'active' AND {which}
                ORDER BY e.id FOR NO KEY UPDATE
            )
            UPDATE enrollments SET activity = 'waiting', held_reason = NULL, held_code = NULL,
                next_send_at = clock_timestamp()
            FROM locked WHERE enrollments.id = locked.id
            RETURNING enrollments.id
            """  # noqa: S608 - conditions written in this module
        ),
        values,
    )
    ids = [row.id for row in rows]
    await outbox.add_signals(tx, ids, "reconsider")
    return len(ids)


async def _signal(tx: Transaction, which: str, values: dict[str, object]) -> None:
    rows = await tx.execute(
        text(f"SELECT e.id FROM enrollments e WHERE e.status = 'active' AND {which}"),  # noqa: S608
        values,
    )
    await outbox.add_signals(tx, [row.id for row in rows], "reconsider")
