"""Skipping a step: the transition past one that is not sent any more."""

from datetime import datetime
from uuid import UUID

from domain.enrollments.next_event import NextEvent
from domain.platform.moments import written
from storage.enrollments import timeline, waits
from storage.enrollments.enrollments import RELEASED, WAS, go_on
from storage.platform.database import Transaction

_SKIP = f"""
    WITH given_up AS (
        UPDATE messages SET next_try_at = NULL
        WHERE enrollment_id = :id AND step = :step AND next_try_at IS NOT NULL
    )
    UPDATE enrollments e SET position = :position, due_at = :due_at, next_send_at = :next_send_at,
        reply_until = :reply_until, waits_for = :waits_for, skipped = skipped || :step_as_json,
        activity = CASE
            WHEN CAST(:reply_until AS timestamptz) IS NULL THEN 'waiting' ELSE 'awaiting_reply'
        END,
        held_reason = NULL, held_code = NULL, probing = false
    {WAS}
    WHERE e.id = was.id AND status = 'active' AND position = :step
    {RELEASED}
"""  # noqa: S608 - built from constants


async def skip_step(
    tx: Transaction,
    enrollment_id: UUID,
    step: int,
    following: NextEvent,
    *,
    missed: datetime,
    at: datetime,
) -> None:
    """Move past a step that would have gone at ``missed``; its enrollment is locked.

    ``following`` is what it waits for next.
    """
    moved = await go_on(
        tx,
        _SKIP,
        id=enrollment_id,
        step=step,
        step_as_json=str(step),
        position=following.position,
        due_at=following.due_at,
        next_send_at=following.next_send_at,
        reply_until=following.reply_until,
        waits_for=waits.codes(following.reasons),
    )
    await timeline.note(tx, moved, "skipped", at=at, step=step, missed=written(missed))
