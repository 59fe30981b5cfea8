"""A month in minutes: 200 enrollments, a deploy of changed code, a DST change, a pause."""

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

BEFORE, AFTER = 160, 40
"""Enrolled before the deploy, and after it."""

ZONES = ("America/New_York", "America/Los_Angeles", "America/Phoenix", "Europe/Berlin")
"""Two that change their clocks on the day, one that never does, one that does two weeks later."""

HALF_PAST_NINE = time(9, 30)
A_DAY = timedelta(days=1)
GAPS = (timedelta(0), 7 * A_DAY, 7 * A_DAY, 7 * A_DAY, 9 * A_DAY)
"""From text to text: the first at once, then at 09:30; the last a month after the first."""


@dataclass
class Course:
    """One contact's way: the clock on their wall, when each text went, when the next is due."""

    clock: ContactClock
    due_at: datetime
    sent_at: list[datetime] = field(default_factory=list)


@dataclass
class Month:
    """The rows in memory, by the product's own timing; and a provider that takes every text.

    Attributes:
        paused: While true, nothing is sent.
        blocked: Who asked meanwhile.
    """

    clock: Clock
    courses: dict[str, Course] = field(default_factory=dict)
    paused: bool = False
    blocked: set[str] = field(default_factory=set)

    @activity.defn(name="decide_step")
    async def decide_step(self, request: SendStep) -> EnrollmentState:
        now = await self.clock()
        course = self.courses[request.enrollment_id]
        if self.paused:
            self.blocked.add(request.enrollment_id)
            return self._standing(course, EnrollmentPhase.PAUSED, None)
        waits = self._standing(course, EnrollmentPhase.WAITING, course.due_at)
        if now < course.due_at - timedelta(seconds=1):
            return waits
        return replace(waits, needs=Need.SEND)

    @activity.defn(name="send_step")
    async def send_step(self, request: SendStep) -> EnrollmentState:
        now = await self.clock()
        course = self.courses[request.enrollment_id]
        course.sent_at.append(now)
        if len(course.sent_at) == len(GAPS):
            course.due_at = now + A_DAY
            return self._standing(course, EnrollmentPhase.AWAITING_REPLY, course.due_at)
        gap = GAPS[len(course.sent_at)]
        course.due_at = ongoing_due(now, gap, HALF_PAST_NINE, course.clock)
        return self._standing(course, EnrollmentPhase.WAITING, course.due_at)

    @activity.defn(name="close_enrollment")
    async def close_enrollment(self, request: CloseEnrollment) -> EnrollmentState:
        course = self.courses[request.enrollment_id]
        return self._standing(course, "ended", None, status=EnrollmentStatus.FINISHED_NO_RESPONSE)

    def _standing(
        self,
        course: Course,
        doing: str,
        due_at: datetime | None,
        status: EnrollmentStatus = EnrollmentStatus.ACTIVE,
    ) -> EnrollmentState:
        step = len(course.sent_at)
        return EnrollmentState(doing, status, due_at, step, len(GAPS), str(SENDER))

    async def enroll(
        self, environment: WorkflowEnvironment, count: int
    ) -> list[WorkflowHandle[Any, EnrollmentResult]]:
        """Start workflows of contacts all over the zones, first texts at once."""
        now = await self.clock()
        handles = []
        for number in range(count):
            enrollment_id = str(uuid4())
            clock = ContactClock((ZONES[number % len(ZONES)],), ZONES[0])
            course = self.courses[enrollment_id] = Course(clock, now)
            handles.append(
                await environment.client.start_workflow(
                    EnrollmentWorkflow.run,
                    StartEnrollment(
                        enrollment_id, self._standing(course, EnrollmentPhase.WAITING, now)
                    ),
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
        """A release's worker.

        The first caches nothing: on this server, time stands still while a task waits for the
        worker that had the workflow before. Without a cache no local activity lives long enough.
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
            return all(len(course.sent_at) == count for course in self.courses.values())

        await eventually(is_so)


async def days(environment: WorkflowEnvironment, count: int) -> None:
    """Let days pass one by one: a busy machine needs a while for what happens in each."""
    for _ in range(count):
        await environment.sleep(A_DAY)


def next_clock_change(after: datetime, zone: str) -> datetime:
    """The next noon before which the clocks of a zone were changed."""
    noon = datetime.combine(after.astimezone(ZoneInfo(zone)).date(), time(12), ZoneInfo(zone))
    while (noon + A_DAY).utcoffset() == noon.utcoffset():
        noon += A_DAY
    return (noon + A_DAY).astimezone(UTC)


@pytest.mark.timeout(180)
async def test_a_month_in_minutes(skipping: WorkflowEnvironment) -> None:
    """Nobody is lost, nobody doubled, everybody texted at 09:30 on their own wall."""
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
    await replayer.replay_workflows(_each(recorded))
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
    assert blocked == set(month.courses), "everybody's text came due in the pause"
    for course in month.courses.values():
        assert len(course.sent_at) == len(GAPS)
        assert _off_time(course, resumed_at) == []
    offsets = {
        at.astimezone(course.clock.wall_zone).utcoffset()
        for course in month.courses.values()
        for at in course.sent_at
        if course.clock.zones == (ZONES[0],)
    }
    assert len(offsets) == 2, "texts went on both sides of the change"
    patched = [await _is_patched(handle) for handle in (*old, *new)]
    assert patched == [False] * BEFORE + [True] * AFTER


def _off_time(course: Course, resumed_at: datetime) -> list[datetime]:
    """Texts that went at another time than 09:30, but for the first and the overdue one."""
    return [
        at
        for at in course.sent_at[1:]
        if abs(at - _half_past_nine(at, course)) > timedelta(minutes=5)
        and abs(at - resumed_at) > timedelta(minutes=5)
    ]


def _half_past_nine(at: datetime, course: Course) -> datetime:
    zone = course.clock.wall_zone
    return datetime.combine(at.astimezone(zone).date(), HALF_PAST_NINE, zone)


async def _is_patched(handle: WorkflowHandle[Any, EnrollmentResult]) -> bool:
    return PATCH in histories.patches((await handle.fetch_history()).events)


async def _each(recorded: list[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    for history in recorded:
        yield history
