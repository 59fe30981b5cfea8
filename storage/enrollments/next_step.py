"""Which text of an enrollment comes next, and what times it."""

from uuid import UUID

from domain.enrollments.next_step import NextStep
from storage.contacts.contacts import WHEREABOUTS
from storage.platform.database import Transaction
from storage.platform.locks import SHARE_SEQUENCE
from storage.platform.rows import made
from storage.platform.workspace import HOLD_ZONE, ZONE_SQL
from storage.sequences.sequences import hours_sql

_FIND = f"""
    SELECT coalesce(t.position, e.step_count + 1) AS position, t.delay_seconds, t.at_time,
        t.send_at, t.anchor_key, t.anchor_offset_seconds, {WHEREABOUTS}, {hours_sql()} AS hours,
        q.reply_window_seconds,
        {ZONE_SQL} AS workspace_zone
    FROM enrollments e
    JOIN contacts c ON c.id = e.contact_id
    JOIN sequences q ON q.id = e.sequence_id
    LEFT JOIN LATERAL (
        SELECT s.* FROM steps s
        WHERE s.version_id = e.version_id AND s.position >= :start AND (
            s.position > :reached OR NOT EXISTS (
                SELECT 1 FROM messages m JOIN attempts a ON a.message_id = m.id
                WHERE m.enrollment_id = e.id AND m.step = s.position AND m.pass = e.pass
                AND a.outcome IN ('accepted', 'assumed_sent') AND NOT a.reported_failed
            )
        )
        ORDER BY s.position LIMIT 1
    ) t ON true
    WHERE e.id = :id
"""  # noqa: S608 - built from constants


_LOCK = f"""
    SELECT {HOLD_ZONE}, {SHARE_SEQUENCE.format(id="sequence_id")} FROM enrollments WHERE id = :id
"""  # noqa: S608 - built from constants


async def lock(tx: Transaction, enrollment_id: UUID) -> None:
    """Lock what times an enrollment's next step, before any enrollment is locked."""
    await tx.run(_LOCK, id=enrollment_id)


async def find(tx: Transaction, enrollment_id: UUID, *, start: int, reached: int) -> NextStep:
    """Find the next step without an accepted text, from position ``start`` on, after ``lock``.

    Steps up to ``reached`` may have been accepted already.
    """
    found = await tx.run(_FIND, id=enrollment_id, start=start, reached=reached)
    return made(NextStep, found.mappings().one())
