"""Senders on hold, and letting one enrollment go on."""

from datetime import datetime, timedelta
from uuid import UUID

from domain.messaging.interpreting import SEEN_AGAIN
from storage.platform import wakes
from storage.platform.database import Transaction
from storage.platform.locks import SHARE_SENDER
from storage.platform.wakes import WakeKind

_DUE = """
    SELECT id FROM senders WHERE {which} AND held_at IS NOT NULL AND next_probe_at <= now()
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""


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
    sql = """
        UPDATE senders SET held_at = coalesce(held_at, :now),
            hold_code = CASE WHEN held_at IS NULL THEN :code ELSE hold_code END,
            hold_from_report = :from_report OR (held_at IS NOT NULL AND hold_from_report),
            next_probe_at = :probe_at
        WHERE id = :id
    """
    await tx.run(sql, id=sender_id, code=code, from_report=from_report, now=now, probe_at=probe_at)


async def end_hold(tx: Transaction, sender_id: UUID, *, proven_at: datetime | None = None) -> None:
    """Take a sender off hold, and ask for those who wait for it to be woken.

    There may be a hundred thousand of them: ``services.enrollments.waking`` wakes them,
    after the commit. Given ``proven_at``, only if it was put on hold before then.
    """
    sql = """
        UPDATE senders SET held_at = NULL, hold_code = NULL, hold_from_report = false,
            next_probe_at = NULL
        WHERE id = :id AND held_at < coalesce(CAST(:proven_at AS timestamptz), 'infinity')
    """
    if await tx.count(sql, id=sender_id, proven_at=proven_at):
        # A text that proves the sender works waits for nobody it frees.
        await wakes.add(tx, WakeKind.OFF_HOLD, [sender_id], at_once=proven_at is None)


async def note_shown(tx: Transaction, sender_id: UUID, *, shows_texts: bool) -> None:
    """Note whether the provider shows a sender's texts as they were handed over, once a day."""
    sql = """
        UPDATE senders SET shows_texts = :shows_texts, shows_texts_at = clock_timestamp()
        WHERE id = :id AND (
            shows_texts IS DISTINCT FROM :shows_texts OR shows_texts_at IS NULL
            OR shows_texts_at < clock_timestamp() - :seen_again
        )
    """
    await tx.run(sql, id=sender_id, shows_texts=shows_texts, seen_again=SEEN_AGAIN)


async def lock_sender(tx: Transaction, sender_id: UUID) -> None:
    """Keep a sender's hold as it is; before any enrollment is locked."""
    await tx.run("SELECT FROM senders WHERE id = :id FOR NO KEY UPDATE", id=sender_id)


async def lock_sender_of(tx: Transaction, enrollment_id: UUID) -> None:
    """Share and lock the sender of an enrollment whose sequence is kept as it is."""
    sql = f"""
        WITH shared AS MATERIALIZED (
            SELECT q.sender_id, {SHARE_SENDER.format(id="q.sender_id")}
            FROM enrollments e JOIN sequences q ON q.id = e.sequence_id WHERE e.id = :id
        )
        SELECT FROM shared JOIN senders n ON n.id = shared.sender_id FOR NO KEY UPDATE OF n
    """  # noqa: S608 - built from constants
    await tx.run(sql, id=enrollment_id)


async def count_waiting(tx: Transaction, sender_id: UUID) -> int:
    """Count the enrollments that wait for a sender to come off hold."""
    sql = """
        SELECT count(*) FROM sequences q JOIN enrollments e ON e.sequence_id = q.id
        WHERE q.sender_id = :id AND e.blocked AND e.held_reason = 'sender_on_hold'
    """
    return await tx.value(int, sql, id=sender_id) or 0


async def due_probes(tx: Transaction, interval: timedelta, limit: int) -> list[list[UUID]]:
    """Claim the senders on hold that may be tried now; return some waiting enrollments of each."""
    sql = f"""
        WITH due AS (
            UPDATE senders SET next_probe_at = now() + :interval
            WHERE id IN ({_DUE.format(which="true")}) RETURNING id
        )
        SELECT array_agg(waiting.id) AS ids
        FROM due CROSS JOIN LATERAL (
            SELECT e.id FROM sequences q JOIN enrollments e ON e.sequence_id = q.id
            WHERE q.sender_id = due.id AND q.state = 'active'
            AND e.blocked AND e.held_reason = 'sender_on_hold'
            ORDER BY random() LIMIT :limit
        ) waiting
        GROUP BY due.id
    """  # noqa: S608 - built from constants
    return await tx.column(sql, interval=interval, limit=limit)


async def claim_probe(tx: Transaction, sender_id: UUID, interval: timedelta) -> bool:
    """Claim the probe of a sender on hold for a text that could go; False if it is not due.

    Nor is it while somebody else has the sender's row: whoever asks may hold an enrollment, and
    must not wait for a row that is locked before those.
    """
    sql = f"""
        UPDATE senders SET next_probe_at = now() + :interval
        WHERE id IN ({_DUE.format(which="id = :id")})
    """  # noqa: S608 - built from constants
    return await tx.count(sql, id=sender_id, interval=interval) > 0
