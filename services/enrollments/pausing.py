"""Pausing single enrollments, and letting them go on with what was left of their delay."""

from collections.abc import Sequence
from uuid import UUID

from domain.enrollments.rescheduling import resumed_due
from domain.platform.rules import SendingRules
from domain.sequences.timing import next_slot
from services.enrollments.selection import EnrollmentResult, ResultCode, checked
from services.platform import audit
from storage.enrollments import pauses, waiting_steps
from storage.enrollments.waiting_steps import RescheduledStep, WaitingStep
from storage.platform import workspace
from storage.platform.database import Database, Transaction


class Pausing:
    """Pauses and resumes enrollments by a person's hand; the reply window runs on."""

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules

    async def pause(
        self, enrollment_ids: Sequence[UUID], user_id: UUID, *, within: Transaction | None = None
    ) -> list[EnrollmentResult]:
        """Pause enrollments until they are resumed; results in the order asked.

        ``paused``, ``already_paused``, ``awaiting_reply`` (every step was sent, so there is nothing
        to pause), ``already_final`` or ``not_found``. It holds from the commit on: at most a text
        that was under way is still sent.
        """
        checked(enrollment_ids)
        async with self._database.within(within) as tx:
            found = {row.id: row for row in await waiting_steps.lock(tx, enrollment_ids)}
            results = {one: _pausable(found.get(one)) for one in enrollment_ids}
            chosen = [one for one, result in results.items() if result == "paused"]
            if chosen:
                await pauses.pause(tx, chosen, user_id)
                await audit.record(tx, "enrollment.pause", "enrollment", chosen, user_id=user_id)
        return [EnrollmentResult(one, results[one]) for one in enrollment_ids]

    async def resume(
        self, enrollment_ids: Sequence[UUID], user_id: UUID, *, within: Transaction | None = None
    ) -> list[EnrollmentResult]:
        """Resume paused enrollments; results in the order asked.

        ``resumed``, ``not_paused``, ``already_final`` or ``not_found``.
        """
        checked(enrollment_ids)
        async with self._database.within(within) as tx:
            zone = await workspace.zone(tx, self._rules.workspace_zone)
            found = {row.id: row for row in await waiting_steps.lock(tx, enrollment_ids)}
            results = {one: _resumable(found.get(one)) for one in enrollment_ids}
            chosen = [one for one, result in results.items() if result == "resumed"]
            if chosen:
                await pauses.resume(tx, [_moved(found[one], zone) for one in chosen], user_id)
                await audit.record(tx, "enrollment.resume", "enrollment", chosen, user_id=user_id)
        return [EnrollmentResult(one, results[one]) for one in enrollment_ids]


def _pausable(row: WaitingStep | None) -> ResultCode:
    if row is None:
        return "not_found"
    if row.status.is_final:
        return "already_final"
    if row.paused_at is not None:
        return "already_paused"
    return "awaiting_reply" if row.all_sent else "paused"


def _resumable(row: WaitingStep | None) -> ResultCode:
    if row is None:
        return "not_found"
    if row.status.is_final:
        return "already_final"
    return "resumed" if row.paused_at is not None else "not_paused"


def _moved(row: WaitingStep, zone: str) -> RescheduledStep:
    clock = row.clock(zone)
    due_at, now = row.due_at, row.read_at
    if due_at is not None and row.paused_at is not None:
        # A text that was under way when it was paused began the delay later.
        stood_from = max(row.paused_at, row.last_sent_at or row.paused_at)
        due_at = resumed_due(
            due_at, stood_from, now, at_time=row.at_time, send_at=row.send_at, clock=clock
        )
    return RescheduledStep(row.id, due_at, next_slot(max(due_at or now, now), row.hours, clock).at)
