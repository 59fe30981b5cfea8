"""Pausing single enrollments, and letting them go on."""

from collections.abc import Sequence
from uuid import UUID

from domain.statuses.enrollments import PauseReason
from storage.enrollments import timeline
from storage.enrollments.enrollments import MOMENTS, RELEASED, go_on, moments, reconsider
from storage.enrollments.waiting_steps import RescheduledStep
from storage.event_webhooks import events
from storage.platform.database import Transaction

PAUSE = f"""
    UPDATE enrollments e SET paused_at = coalesce(paused_at, clock_timestamp()),
        paused_reason = :reason, replied_at = coalesce(e.replied_at, asked.replied),
        activity = CASE WHEN stays THEN activity ELSE 'paused' END,
        held_reason = CASE WHEN stays THEN held_reason END,
        held_code = CASE WHEN stays THEN held_code END,
        next_send_at = CASE WHEN activity = 'sending' THEN next_send_at END,
        probing = false
    FROM (
        SELECT id AS chosen, held_reason AS held_for, came.replied, activity = 'sending'
            OR held_reason IN ('outcome_unknown', 'destination_not_allowed') AS stays
        FROM enrollments JOIN unnest(
            CAST(:ids AS uuid[]), CAST(:replied AS timestamptz[])
        ) AS came(id, replied) USING (id)
        WHERE status = 'active' AND position <= step_count AND (
            paused_at IS NULL
            OR (CAST(:reason AS text) = 'replied' AND paused_reason IS DISTINCT FROM 'replied')
        )
    ) AS asked
    WHERE e.id = chosen {RELEASED}
"""  # noqa: S608 - built from constants
"""SQL: pause locked enrollments that have steps left, at a reply or not; for ``go_on``."""

_RESUME = f"""
    UPDATE enrollments e SET paused_at = NULL, paused_reason = NULL, due_at = m.due,
        next_send_at = CASE WHEN activity = 'paused' THEN m.next_at ELSE next_send_at END,
        waits_for = '',
        activity = CASE WHEN activity = 'paused' THEN 'waiting' ELSE activity END
    FROM {MOMENTS} AS m(id, due, next_at)
    WHERE e.id = m.id AND e.status = 'active' AND e.paused_at IS NOT NULL
    RETURNING e.id
"""  # noqa: S608 - built from constants


async def pause(tx: Transaction, enrollment_ids: Sequence[UUID], user_id: UUID) -> None:
    """Pause locked enrollments that have steps left and are not paused yet.

    A text that is under way goes on, and one that only a person can decide about stays held.
    """
    asked = {"ids": enrollment_ids, "replied": [None] * len(enrollment_ids)}
    paused = await go_on(tx, PAUSE, **asked, reason=PauseReason.BY_HAND)
    await timeline.note(tx, paused, "paused", user_id=user_id)
    await events.enrollments_paused(tx, paused)


async def resume(tx: Transaction, steps: Sequence[RescheduledStep], user_id: UUID) -> None:
    """Let locked enrollments go on that were paused; what is under way or held stays so."""
    resumed = sorted(await tx.column(_RESUME, **moments(steps)))
    await timeline.note(tx, resumed, "resumed", user_id=user_id)
    await events.enrollments_resumed(tx, resumed)
    await reconsider(tx, resumed)
