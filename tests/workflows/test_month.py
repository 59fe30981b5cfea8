"""A month in minutes: 24 enrollments, a deploy, a DST change, a pause."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.sending import CloseEnrollment, SendStep
from domain.sequences.timing import ContactClock, ongoing_due
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, Need
from tests.workflows import histories
from tests.workflows.changed import PATCH, ChangedEnrollmentWorkflow
from tests.workflows.earlier import EarlierEnrollmentWorkflow
from tests.workflows.plays import SENDER, Clock, eventually
from workflows.client import DATA_CONVERTER
from workflows.enrollment import EnrollmentWorkflow
from workflows.limits import ENROLLMENT_QUEUE, SEND_QUEUE
from workflows.messages import Ended, EnrollmentResult, StartEnrollment

BEFORE, AFTER = 16, 8
"""Enrolled before the deploy, and after it."""

ZONES = ("America/New_York", "America/Los_Angeles", "America/Phoenix", "Europe/Berlin")
"""Two change to or from DST on the day, one never does, one does on another day."""

HALF_PAST_NINE = time(9, 30)
A_DAY = timedelta(days=1)
GAPS = (timedelta(0), 7 * A_DAY, 7 * A_DAY, 7 * A_DAY, 9 * A_DAY)
"""Between texts: the first at once, then at 09:30; the last a month after the first."""


@dataclass
class Row:
    """One enrollment: the contact's clock, when the next text is due, when texts were sent."""

    clock: ContactClock
    due_at: datetime
    sent_at: list[datetime] = field(default_factory=list)


@dataclass
class Month:
    """Rows in memory with the product's timing, and a provider that accepts every text.

    Attributes:
        paused: While true, nothing is sent.
        blocked: The enrollments that asked meanwhile.
    """

    clock: Clock
    rows: dict[str, Row] = field(default_factory=dict)
    paused: bool = False
    blocked: set[str] = field(default_factory=set)

    @activity.defn(name="decide_step")
    async def decide_step(self, request: SendStep) -> EnrollmentState:
        now = await self.clock()
        row = self.rows[request.enrollment_id]
        if self.paused:
            self.blocked.add(request.enrollment_id)
            return self._state(row, EnrollmentPhase.PAUSED, None)
        waits = self._state(row, EnrollmentPhase.WAITING, row.due_at)
        if now < row.due_at - timedelta(seconds=1):
            return waits
        return replace(waits, needs=Need.SEND)

    @activity.defn(name="send_step")
    async def send_step(self, request: SendStep) -> EnrollmentState:
        now = await self.clock()
        row = self.rows[request.enrollment_id]
        row.sent_at.append(now)
        if len(row.sent_at) == len(GAPS):
            row.due_at = now + A_DAY
            return self._state(row, EnrollmentPhase.AWAITING_REPLY, row.due_at)
        gap = GAPS[len(row.sent_at)]
        row.due_at = ongoing_due(now, gap, HALF_PAST_NINE, row.clock)
        return self._state(row, EnrollmentPhase.WAITING, row.due_at)

    @activity.defn(name="close_enrollment")
    async def close_enrollment(self, request: CloseEnrollment) -> EnrollmentState:
        row = self.rows[request.enrollment_id]
        return self._state(row, "ended", None, status=EnrollmentStatus.FINISHED_NO_RESPONSE)

    def _state(
        self,
        row: Row,
        doing: str,
        due_at: datetime | None,
        status: EnrollmentStatus = EnrollmentStatus.ACTIVE,
    ) -> EnrollmentState:
        step = len(row.sent_at)
        return EnrollmentState(doing, status, due_at, step, len(GAPS), str(SENDER))

    async def enroll(
        self, environment: WorkflowEnvironment, count: int
    ) -> list[WorkflowHandle[Any, EnrollmentResult]]:
        """Start workflows of contacts in all zones, first texts at once."""
        now = await self.clock()
        handles = []
        for number in range(count):
            enrollment_id = str(uuid4())
            clock = ContactClock((ZONES[number % len(ZONES)],), ZONES[0])
            row = self.rows[enrollment_id] = Row(clock, now)
            handles.append(
                await environment.client.start_workflow(
                    EnrollmentWorkflow.run,
                    StartEnrollment(enrollment_id, self._state(row, EnrollmentPhase.WAITING, now)),
                    id=f"enrollment/{enrollment_id}",
                    task_queue=ENROLLMENT_QUEUE,
                    execution_timeout=timedelta(days=400),
                )
            )
        return handles

    @asynccontextmanager
    async def worker(
        self, environment: WorkflowEnvironment, kind: type[EnrollmentWorkflow]
    ) -> AsyncIterator[None]:
        """Run the worker of a release.

        The first release caches nothing: on this server, time stands still while a task waits
        for the worker that had the workflow before. Without a cache no local activity lives long
        enough.
        """
        workflows = Worker(
            environment.client,
            task_queue=ENROLLMENT_QUEUE,
            workflows=[kind],
            activities=[self.decide_step, self.close_enrollment],
            max_cached_workflows=0 if kind is EarlierEnrollmentWorkflow else BEFORE + AFTER,
        )
        sends = Worker(environment.client, task_queue=SEND_QUEUE, activities=[self.send_step])
        async with workflows, sends:
            yield

    async def all_sent(self, count: int) -> None:
        async def is_so() -> bool:
            return all(len(row.sent_at) == count for row in self.rows.values())

        await eventually(is_so)


async def days(environment: WorkflowEnvironment, count: int) -> None:
    """Let days pass one by one: a busy machine needs time for the events of each."""
    for _ in range(count):
        await environment.sleep(A_DAY)


def next_clock_change(after: datetime, zone: str) -> datetime:
    """Return the first noon after the next clock change of a zone."""
    noon = datetime.combine(after.astimezone(ZoneInfo(zone)).date(), time(12), ZoneInfo(zone))
    while (noon + A_DAY).utcoffset() == noon.utcoffset():
        noon += A_DAY
    return (noon + A_DAY).astimezone(UTC)


@pytest.mark.timeout(180)
async def test_month_of_texts_arrives_once_at_half_past_nine(skipping: WorkflowEnvironment) -> None:
    """Each contact gets every text once, at 09:30 by their own clock."""
    month = Month(skipping.get_current_time)
    change = next_clock_change(await month.clock() + 10 * A_DAY, ZONES[0])
    await skipping.sleep(change - 10 * A_DAY - await month.clock())

    async with month.worker(skipping, EarlierEnrollmentWorkflow):
        old = await month.enroll(skipping, BEFORE)
        await month.all_sent(1)
        await days(skipping, 8)
        await month.all_sent(2)
    recorded = [await handle.fetch_history() for handle in old]

    replayer = Replayer(workflows=[ChangedEnrollmentWorkflow], data_converter=DATA_CONVERTER)
    await replayer.replay_workflows(_iterate(recorded))
    async with month.worker(skipping, ChangedEnrollmentWorkflow):
        await days(skipping, 4)
        new = await month.enroll(skipping, AFTER)
        await days(skipping, 1)
        month.paused = True
        await days(skipping, 7)
        blocked = set(month.blocked)
        month.paused = False
        resumed_at = await month.clock()
        await asyncio.gather(*(one.signal("reconsider", Ended()) for one in (*old, *new)))
        await days(skipping, 35)
        results = [await one.result() for one in (*old, *new)]

    assert {result.status for result in results} == {EnrollmentStatus.FINISHED_NO_RESPONSE}
    assert blocked == set(month.rows), "every enrollment had a text due during the pause"
    for row in month.rows.values():
        assert len(row.sent_at) == len(GAPS)
        assert _at_other_times(row, resumed_at) == []
    offsets = {
        at.astimezone(row.clock.wall_zone).utcoffset()
        for row in month.rows.values()
        for at in row.sent_at
        if row.clock.zones == (ZONES[0],)
    }
    assert len(offsets) == 2, "texts were sent before and after the clock change"
    patched = [await _is_patched(handle) for handle in (*old, *new)]
    assert patched == [False] * BEFORE + [True] * AFTER


def _at_other_times(row: Row, resumed_at: datetime) -> list[datetime]:
    """List the texts sent at another time than 09:30, except the first and the overdue one."""
    return [
        at
        for at in row.sent_at[1:]
        if abs(at - _half_past_nine(at, row)) > timedelta(minutes=5)
        and abs(at - resumed_at) > timedelta(minutes=5)
    ]


def _half_past_nine(at: datetime, row: Row) -> datetime:
    zone = row.clock.wall_zone
    return datetime.combine(at.astimezone(zone).date(), HALF_PAST_NINE, zone)


async def _is_patched(handle: WorkflowHandle[Any, EnrollmentResult]) -> bool:
    return PATCH in histories.patches((await handle.fetch_history()).events)


async def _iterate(recorded: list[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in recorded:
        yield history
