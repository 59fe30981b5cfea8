"""Enrollments whose next text is postponed, and why; a part of ``enrollments``."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from domain.platform.moments import written
from domain.sequences.departures import Reason
from storage.enrollments import timeline
from storage.event_webhooks import events
from storage.platform.database import Transaction


def codes(reasons: Sequence[Reason]) -> str:
    """Write what postpones a text as ``waits_for`` does."""
    return " ".join(dict.fromkeys(one.code for one in reasons))


async def note(
    tx: Transaction,
    enrollment_ids: Sequence[UUID],
    until: datetime,
    reasons: Sequence[Reason],
    *,
    at: datetime,
) -> None:
    """Keep in the timeline that a text was postponed, and why."""
    why = [asdict(one) for one in reasons]
    because = reasons[-1].code
    await timeline.note(
        tx, enrollment_ids, "waits", at=at, because=because, until=written(until), reasons=why
    )


async def set_due(tx: Transaction, enrollment_id: UUID, due_at: datetime) -> None:
    """Write when the next step of an active enrollment is due, as the date says that it goes by."""
    sql = "UPDATE enrollments SET due_at = :due_at WHERE id = :id AND status = 'active'"
    await tx.run(sql, id=enrollment_id, due_at=due_at)


_POSTPONE = """
    UPDATE enrollments e SET activity = 'waiting', held_reason = NULL, held_code = NULL,
        next_send_at = :until, probing = false, waits_for = :waits_for
    FROM (
        SELECT id, held_reason AS held_for, next_send_at, waits_for FROM enrollments
        WHERE id = :id AND status = 'active' FOR NO KEY UPDATE
    ) was
    WHERE e.id = was.id
    RETURNING was.held_for, (was.next_send_at, was.waits_for)
        IS DISTINCT FROM (e.next_send_at, e.waits_for) AS is_news
"""


async def postpone(
    tx: Transaction,
    enrollment_id: UUID,
    until: datetime,
    reasons: Sequence[Reason],
    *,
    at: datetime,
) -> None:
    """Let an active enrollment wait for a moment because of something; the timeline keeps it once.

    It is told again if the moment or a reason is another.
    """
    asked = {"id": enrollment_id, "until": until, "waits_for": codes(reasons)}
    row = (await tx.run(_POSTPONE, **asked)).one_or_none()
    if row is None:
        return
    await events.enrollments_released(tx, {enrollment_id: row.held_for} if row.held_for else {})
    if row.is_news:
        await note(tx, [enrollment_id], until, reasons, at=at)
