"""A fake of the sending activities that answers by a script, and workflows to run on it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.events import DeliverEvents
from activities.failures import PlainFailures
from activities.jobs import RunChunk
from activities.sending import CloseEnrollment, SendMessage, SendStep
from domain.event_webhooks.events import EventsRound
from domain.jobs.ports import JobProgress
from domain.maintenance.ports import SweepReport
from domain.statuses.enrollment_state import EnrollmentState, NewEnrollment
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, Need
from tests.kits.polling import pauses
from worker import WORKFLOWS
from workflows.client import EnrollmentClient
from workflows.enrollment import EnrollmentWorkflow
from workflows.limits import ENROLLMENT_QUEUE, EVENT_QUEUE, QUESTION_QUEUE, SEND_QUEUE
from workflows.messages import Ended, EnrollmentResult, Progress, StartEnrollment

PATIENCE = 40
"""Seconds after which a play counts as stuck."""

PHONE = "+12125550187"
NAME = "Rosalind"
BODY = "Hi Rosalind, are you still interested?"
"""Texts that must never be in a history."""

Clock = Callable[[], Awaitable[datetime]]
ActivityAnswer = Callable[[], Awaitable[EnrollmentState]]

SENDER = UUID("5e9e1d00-0000-4000-8000-000000000001")
STEPS = 3


async def wall_clock() -> datetime:
    return datetime.now(UTC)


class ProviderError(Exception):
    """An error as providers and databases raise it, with a number and a text in it."""

    def __init__(self) -> None:
        super().__init__(f"cannot send {BODY!r} to {PHONE}")


@dataclass
class Script:
    """Answers of the sending activities, in order; further calls are `overrun`.

    Decisions have answers of their own; without one the row decides to send.

    Attributes:
        clock: The server's time.
        calls: Each activity that ran, by name, and when; only scripted decisions.
        overrun: The activities called without an answer left.
        rounds: How long after each round of deliveries the next is due; None: nothing is left.
        chunks: What the chunks of a job answer.
        senders: By enrollment, if it is not the default one.
    """

    clock: Clock = wall_clock
    calls: list[tuple[str, datetime]] = field(default_factory=list)
    overrun: list[str] = field(default_factory=list)
    rounds: deque[timedelta | None] = field(default_factory=deque)
    chunks: deque[JobProgress | Exception] = field(default_factory=deque)
    _answers: deque[ActivityAnswer] = field(default_factory=deque)
    _decisions: deque[ActivityAnswer] = field(default_factory=deque)
    senders: dict[str, UUID] = field(default_factory=dict)
    _step: int = 0

    @property
    def called(self) -> list[str]:
        return [name for name, _ in self.calls]

    def then(self, *answers: ActivityAnswer) -> None:
        self._answers.extend(answers)

    def decides(self, *answers: ActivityAnswer) -> None:
        self._decisions.extend(answers)

    @property
    def is_played(self) -> bool:
        """Return whether all answers were given and none was missing."""
        return not (self._answers or self._decisions or self.overrun)

    def state(
        self,
        doing: str,
        step: int = 0,
        *,
        after: timedelta | None = None,
        held_reason: str | None = None,
        needs: Need | None = None,
    ) -> ActivityAnswer:
        """Answer with a state; `after` is the time from then to the next event."""

        async def answer() -> EnrollmentState:
            return EnrollmentState(
                doing=doing,
                status=EnrollmentStatus.ACTIVE,
                due_at=None if after is None else await self.clock() + after,
                step=step,
                step_count=STEPS,
                sender_id=str(SENDER),
                held_reason=held_reason,
                needs=needs,
            )

        return answer

    def sends(self, step: int) -> ActivityAnswer:
        return self.state(EnrollmentPhase.WAITING, step, after=timedelta(), needs=Need.SEND)

    def asks(self, needs: Need) -> ActivityAnswer:
        """Answer with a need and nothing else."""

        async def answer() -> EnrollmentState:
            return EnrollmentState(EnrollmentPhase.SENDING, EnrollmentStatus.ACTIVE, needs=needs)

        return answer

    def waits(self, step: int, after: timedelta) -> ActivityAnswer:
        return self.state(EnrollmentPhase.WAITING, step, after=after)

    def awaits_reply(self, after: timedelta) -> ActivityAnswer:
        return self.state(EnrollmentPhase.AWAITING_REPLY, STEPS, after=after)

    @activity.defn(name="decide_step")
    async def decide_step(self, request: SendStep) -> EnrollmentState:
        UUID(request.enrollment_id)
        sender = self.senders.get(request.enrollment_id, SENDER)
        return replace(await self._decide("decide_step"), sender_id=str(sender))

    @activity.defn(name="decide_message")
    async def decide_message(self, request: SendMessage) -> EnrollmentState:
        UUID(request.message_id)
        return await self._decide("decide_message")

    @activity.defn(name="resolve_step")
    async def resolve_step(self, request: SendStep) -> EnrollmentState:
        UUID(request.enrollment_id)
        return await self._play("resolve_step")

    @activity.defn(name="resolve_message")
    async def resolve_message(self, request: SendMessage) -> EnrollmentState:
        UUID(request.message_id)
        return await self._play("resolve_message")

    @activity.defn(name="send_step")
    async def send_step(self, request: SendStep) -> EnrollmentState:
        UUID(request.enrollment_id)
        return await self._play("send_step")

    @activity.defn(name="look")
    async def look(self, request: SendStep) -> EnrollmentState:
        UUID(request.enrollment_id)
        return await self._play("look")

    @activity.defn(name="send_message")
    async def send_message(self, request: SendMessage) -> EnrollmentState:
        UUID(request.message_id)
        return await self._play("send_message")

    @activity.defn(name="close_enrollment")
    async def close_enrollment(self, request: CloseEnrollment) -> EnrollmentState:
        UUID(request.enrollment_id)
        return await self._play(_with_kind("close_enrollment"))

    @activity.defn(name="sweep")
    async def sweep(self) -> SweepReport:
        self.calls.append(("sweep", await self.clock()))
        return SweepReport(delivered=2)

    @activity.defn(name="deliver_events")
    async def deliver_events(self, request: DeliverEvents) -> EventsRound:
        UUID(request.endpoint_id)
        now = await self.clock()
        self.calls.append(("deliver_events", now))
        after = self.rounds.popleft() if self.rounds else None
        return EventsRound(delivered=1, next_at=None if after is None else now + after)

    @activity.defn(name="run_job_chunk")
    async def run_job_chunk(self, request: RunChunk) -> JobProgress:
        UUID(request.job_id)
        self.calls.append(("run_job_chunk", await self.clock()))
        answer = self.chunks.popleft()
        if isinstance(answer, Exception):
            raise answer from ProviderError()
        return answer

    async def _play(self, name: str) -> EnrollmentState:
        self.calls.append((name, await self.clock()))
        if not self._answers:
            self.overrun.append(name)
            raise AssertionError
        state = await self._answers.popleft()()
        self._step = max(self._step, state.step)
        return state

    async def _decide(self, name: str) -> EnrollmentState:
        if not self._decisions:
            return await self.sends(self._step)()
        self.calls.append((_with_kind(name), await self.clock()))
        return await self._decisions.popleft()()


def _with_kind(name: str) -> str:
    """Return an activity's name, marked if it is a local activity."""
    return f"{name} locally" if activity.info().is_local else name


def ends(status: EnrollmentStatus | str, step: int = STEPS) -> ActivityAnswer:
    async def answer() -> EnrollmentState:
        return EnrollmentState("ended", str(status), step=step, step_count=STEPS)

    return answer


def fails(error: Exception | None = None, *, times: int = 1) -> list[ActivityAnswer]:
    """Fail with an error, by default one whose text and cause hold personal data."""

    async def answer() -> EnrollmentState:
        raise error or RuntimeError(f"{NAME}: {BODY} to {PHONE}") from ProviderError()

    return [answer] * times


@dataclass
class Gate:
    """An answer that is not given before the gate is opened."""

    answer: ActivityAnswer
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> EnrollmentState:
        self.reached.set()
        await self.opened.wait()
        return await self.answer()

    async def wait_reached(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.reached.wait()


class Play:
    """One enrollment's workflow.

    Args:
        handle: The workflow.
        script: The answers of its activities.
    """

    def __init__(self, handle: WorkflowHandle[Any, EnrollmentResult], script: Script) -> None:
        self.handle = handle
        self.script = script

    async def signal(self, name: str, status: EnrollmentStatus | None = None) -> None:
        await self.handle.signal(name, Ended(status))

    async def progress(self) -> Progress:
        return await self.handle.query(
            EnrollmentWorkflow.progress, rpc_timeout=timedelta(seconds=10)
        )

    async def until(self, state: str, step: int | None = None) -> Progress:
        """Wait until the workflow reports a state."""

        async def is_so() -> bool:
            progress = await self.progress()
            return progress.state == state and step in {None, progress.step}

        await eventually(is_so)
        return await self.progress()

    async def until_called(self, count: int) -> None:
        async def is_so() -> bool:
            return len(self.script.calls) >= count

        await eventually(is_so)

    async def until_event(self, kind: str, count: int = 1) -> None:
        """Wait until the history has so many events of a kind."""

        async def is_so() -> bool:
            return [event_name(event) for event in await self.events()].count(kind) >= count

        await eventually(is_so)

    async def ends_as(self, status: EnrollmentStatus) -> None:
        async with asyncio.timeout(PATIENCE):
            assert (await self.handle.result()).status == status
        assert self.script.is_played

    async def events(self) -> Sequence[HistoryEvent]:
        return (await self.handle.fetch_history()).events


async def eventually(is_so: Callable[[], Awaitable[object]], *, patience: float = PATIENCE) -> None:
    """Poll until a condition holds."""
    async with asyncio.timeout(patience):
        for pause in pauses(0.04, 0.2):
            if await is_so():
                return
            await asyncio.sleep(pause)


def event_name(event: HistoryEvent) -> str:
    """Return the name of the field with an event's attributes, such as `timer_started`."""
    return (event.WhichOneof("attributes") or "").removesuffix("_event_attributes")


@dataclass
class Stage:
    """A server and the workers to run plays on it."""

    client: Client
    script: Script
    _handles: list[WorkflowHandle[Any, Any]] = field(default_factory=list)

    @property
    def temporal(self) -> EnrollmentClient:
        return EnrollmentClient(self.client, page_base_url="http://segue.test")

    @asynccontextmanager
    async def workers(
        self,
        *,
        sends: bool = True,
        others: bool = True,
        workflows: Sequence[type] = WORKFLOWS,
    ) -> AsyncIterator[None]:
        script = self.script
        async with AsyncExitStack() as stack:
            if others:
                await stack.enter_async_context(
                    Worker(
                        self.client,
                        task_queue=ENROLLMENT_QUEUE,
                        workflows=workflows,
                        activities=[
                            script.decide_step,
                            script.decide_message,
                            script.look,
                            script.close_enrollment,
                            script.sweep,
                            script.run_job_chunk,
                        ],
                        interceptors=[PlainFailures()],
                    )
                )
                await stack.enter_async_context(self.question_worker())
            if sends:
                await stack.enter_async_context(self.send_worker())
            yield

    def question_worker(self) -> Worker:
        return Worker(
            self.client,
            task_queue=QUESTION_QUEUE,
            activities=[self.script.resolve_step, self.script.resolve_message],
            interceptors=[PlainFailures()],
        )

    def event_worker(self) -> Worker:
        return Worker(
            self.client,
            task_queue=EVENT_QUEUE,
            activities=[self.script.deliver_events],
            interceptors=[PlainFailures()],
        )

    def send_worker(self, slots: int = 20) -> Worker:
        return Worker(
            self.client,
            task_queue=SEND_QUEUE,
            activities=[self.script.send_step, self.script.send_message],
            interceptors=[PlainFailures()],
            max_concurrent_activities=slots,
        )

    async def play(self, *, after: timedelta = timedelta(), sender_id: UUID = SENDER) -> Play:
        """Start an enrollment whose first text is due after a delay."""
        enrollment_id = uuid4()
        self.script.senders[str(enrollment_id)] = sender_id
        handle = await self.client.start_workflow(
            EnrollmentWorkflow.run,
            StartEnrollment(
                str(enrollment_id),
                await self.first_state(after, sender_id),
                f"http://segue.test/enrollments/{enrollment_id}",
            ),
            id=f"enrollment/{enrollment_id}",
            task_queue=ENROLLMENT_QUEUE,
            execution_timeout=timedelta(days=400),
        )
        self._handles.append(handle)
        return Play(handle, self.script)

    async def play_as_enrolled(self, *, after: timedelta = timedelta()) -> Play:
        """Start an enrollment through the client, as the outbox does."""
        new = NewEnrollment(uuid4(), uuid4(), uuid4(), await self.first_state(after))
        await self.temporal.start_enrollment(new)
        handle = self.client.get_workflow_handle(
            f"enrollment/{new.enrollment_id}", result_type=EnrollmentResult
        )
        self._handles.append(handle)
        return Play(handle, self.script)

    async def first_state(self, after: timedelta, sender_id: UUID = SENDER) -> EnrollmentState:
        return EnrollmentState(
            doing=EnrollmentPhase.WAITING,
            status=EnrollmentStatus.ACTIVE,
            due_at=await self.script.clock() + after,
            step=0,
            step_count=STEPS,
            sender_id=str(sender_id),
        )

    def watch(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Terminate a workflow at the end of the test that started it."""
        self._handles.append(handle)

    async def clear(self) -> None:
        """Terminate what a test left open, so that no other test's workers get its tasks."""
        for handle in self._handles:
            try:
                await handle.terminate()
            except RPCError:
                continue
