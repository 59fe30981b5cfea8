"""What each kind of job does to its rows, through the use cases that do it to a few."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.statuses.jobs import JobKind
from services.enrollments.enrolling import Enrolling
from services.enrollments.finishing import Endings, MarkedFinished
from services.enrollments.pausing import Pausing
from services.jobs.bulk_actions import Batch
from services.jobs.jobs import Act, JobTask
from services.messaging.holds import Decision, Holds, Released
from storage.jobs.jobs import OpenRow, Outcome
from storage.platform.database import Transaction


@dataclass(frozen=True)
class EnrollmentActs:
    """Acts on enrollments and contacts by their ids."""

    batch: Batch
    endings: Endings
    enrolling: Enrolling
    holds: Holds
    pausing: Pausing

    def by_kind(self) -> Mapping[JobKind, Act]:
        """Give each kind its act; what takes locks of single numbers takes one row at a time."""
        return {
            JobKind.ENROLL: Act(500, self._enroll),
            JobKind.ADD_TO_GROUP: Act(1000, self._add_to_group),
            JobKind.MARK_FINISHED: Act(50, self._mark_finished),
            JobKind.RELEASE: Act(1, self._release),
            JobKind.PAUSE: Act(200, self._pause),
            JobKind.RESUME: Act(200, self._resume),
        }

    async def _enroll(self, tx: Transaction, task: JobTask, rows: Many[OpenRow]) -> list[Outcome]:
        sequence_id = UUID(task.params["sequence_id"])
        positions = _positions(rows)
        answer = await self.enrolling.enroll_in(tx, sequence_id, task.user_id, list(positions))
        return [
            Outcome(
                positions[one.contact_id],
                "enrolled",
                {"enrollment_id": str(one.id), "status": one.status.value},
            )
            for one in answer.enrolled
        ] + [Outcome(positions[one.contact_id], one.code.value) for one in answer.skipped]

    async def _add_to_group(
        self, tx: Transaction, task: JobTask, rows: Many[OpenRow]
    ) -> list[Outcome]:
        group_id = UUID(task.params["group_id"])
        positions = _positions(rows)
        added = await self.batch.add_to_group_in(tx, list(positions), group_id, task.user_id)
        return [
            Outcome(position, added.get(enrollment_id, "not_found"))
            for enrollment_id, position in positions.items()
        ]

    async def _mark_finished(
        self, tx: Transaction, task: JobTask, rows: Many[OpenRow]
    ) -> list[Outcome]:
        under_way: dict[UUID, list[UUID]] = {}
        outcomes = []
        # In the order in which a reply or an opt-out takes its rows, so that neither waits for
        # the other in a ring.
        for enrollment_id, position in sorted(_positions(rows).items()):
            done = await self.endings.finish_in(tx, enrollment_id, task.user_id, under_way)
            outcomes.append(_finished(position, done, under_way))
        return outcomes

    async def _release(self, tx: Transaction, task: JobTask, rows: Many[OpenRow]) -> list[Outcome]:
        decision = Decision(task.params["decision"])
        under_way: dict[UUID, list[UUID]] = {}
        outcomes = []
        for enrollment_id, position in _positions(rows).items():
            done = await self.holds.release_in(tx, enrollment_id, decision, task.user_id, under_way)
            outcomes.append(_finished(position, done, under_way))
        return outcomes

    async def _pause(self, tx: Transaction, task: JobTask, rows: Many[OpenRow]) -> list[Outcome]:
        positions = _positions(rows)
        done = await self.pausing.pause_in(tx, list(positions), task.user_id)
        return [Outcome(positions[one.enrollment_id], one.result) for one in done]

    async def _resume(self, tx: Transaction, task: JobTask, rows: Many[OpenRow]) -> list[Outcome]:
        positions = _positions(rows)
        done = await self.pausing.resume_in(tx, list(positions), task.user_id)
        return [Outcome(positions[one.enrollment_id], one.result) for one in done]


def _positions(rows: Many[OpenRow]) -> dict[UUID, int]:
    return {row.subject_id: row.position for row in rows if row.subject_id is not None}


def _finished(
    position: int, done: MarkedFinished | Released, under_way: Mapping[UUID, Many[UUID]]
) -> Outcome:
    """Say what it came to; where a text was under way, which, until its fate is known."""
    attempts = under_way.get(done.enrollment_id)
    if attempts is not None:
        return Outcome(position, done.result, {"attempts": [str(one) for one in attempts]})
    last_text = {"last_text": done.last_text.value} if done.last_text is not None else {}
    return Outcome(position, done.result, last_text)
