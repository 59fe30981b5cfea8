"""How each kind of job on enrollments and contacts acts on its rows."""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from domain.statuses.jobs import JobKind
from services.enrollments.enrolling import Chosen, Enrolling
from services.enrollments.finishing import Finishing
from services.enrollments.pausing import Pausing
from services.enrollments.selection import EnrollmentResult
from services.jobs.bulk_actions import BulkActions
from services.jobs.jobs import Handler
from services.messaging.holds import Decision, Holds
from storage.jobs.jobs import VARIABLES, JobDetails, OpenRow, RowResult
from storage.platform.database import Transaction


@dataclass(frozen=True)
class EnrollmentHandlers:
    """Acts on rows through the use cases that act on a few enrollments."""

    bulk_actions: BulkActions
    finishing: Finishing
    enrolling: Enrolling
    holds: Holds
    pausing: Pausing

    def by_kind(self) -> Mapping[JobKind, Handler]:
        """Give the handlers; one that locks numbers takes a single row at a time."""
        return {
            JobKind.ENROLL: Handler(500, self._enroll),
            JobKind.ADD_TO_GROUP: Handler(1000, self._add_to_group),
            JobKind.MARK_FINISHED: Handler(50, self._mark_finished),
            JobKind.RELEASE: Handler(1, self._release),
            JobKind.PAUSE: Handler(200, partial(_act, self.pausing.pause)),
            JobKind.RESUME: Handler(200, partial(_act, self.pausing.resume)),
        }

    async def _enroll(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        positions: dict[UUID | None, int] = {row.subject_id: row.position for row in rows}
        asked = [Chosen(row.subject_id, variables=row.detail.get(VARIABLES, {})) for row in rows]
        sequence_id = UUID(job.params["sequence_id"])
        answer = await self.enrolling.enroll_chosen(tx, sequence_id, job.user_id, asked)
        return [
            RowResult(
                positions[one.contact_id],
                "enrolled",
                {"enrollment_id": str(one.id), "status": one.status.value},
            )
            for one in answer.enrolled
        ] + [RowResult(positions[one.contact_id], one.code.value) for one in answer.skipped]

    async def _add_to_group(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        group_id = UUID(job.params["group_id"])
        add = partial(self.bulk_actions.add_to_group, group_id=group_id)
        return await _act(add, tx, job, rows)

    async def _mark_finished(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        under_way: dict[UUID, list[UUID]] = {}
        results = []
        # In the order in which replies and opt-outs lock the rows, so that there is no deadlock.
        for enrollment_id, position in sorted(_positions(rows).items()):
            done = await self.finishing.finish(tx, enrollment_id, job.user_id, under_way)
            results.append(_finished(position, done, under_way))
        return results

    async def _release(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        decision = Decision(job.params["decision"])
        under_way: dict[UUID, list[UUID]] = {}
        results = []
        for enrollment_id, position in _positions(rows).items():
            done = await self.holds.release_in(tx, enrollment_id, decision, job.user_id, under_way)
            results.append(_finished(position, done, under_way))
        return results


def _positions(rows: Many[OpenRow]) -> dict[UUID, int]:
    return {row.subject_id: row.position for row in rows if row.subject_id is not None}


async def _act(
    action: Callable[..., Awaitable[list[EnrollmentResult]]],
    tx: Transaction,
    job: JobDetails,
    rows: Many[OpenRow],
) -> list[RowResult]:
    positions = _positions(rows)
    done = await action(list(positions), user_id=job.user_id, within=tx)
    return [RowResult(positions[one.enrollment_id], one.result) for one in done]


def _finished(
    position: int, done: EnrollmentResult, under_way: Mapping[UUID, Many[UUID]]
) -> RowResult:
    """Give the result, with the attempts under way until their outcome is known."""
    attempts = under_way.get(done.enrollment_id)
    if attempts is not None:
        return RowResult(position, done.result, {"attempts": [str(one) for one in attempts]})
    last_text = {"last_text": done.last_text.value} if done.last_text is not None else {}
    return RowResult(position, done.result, last_text)
