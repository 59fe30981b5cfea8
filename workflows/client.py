"""Typed facade to Temporal: ids, search attributes, data converter, every call."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isclose
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.taskqueue.v1 import RateLimit, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import (
    Client,
    Interceptor,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionStatus,
)
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from domain.statuses.enrollment_state import NewEnrollment
from workflows.enrollment import EnrollmentWorkflow
from workflows.events import EventDeliveryWorkflow
from workflows.jobs import JobWorkflow
from workflows.limits import (
    ENROLLMENT_QUEUE,
    EVENT_QUEUE,
    PERSON_PRIORITY,
    QUESTION_QUEUE,
    SEND_QUEUE,
    STEP_PRIORITY,
    SWEEP_PRIORITY,
)
from workflows.messages import (
    Ended,
    Progress,
    StartEnrollment,
    StartEventDelivery,
    StartJob,
    StartMessage,
)
from workflows.one_off import OneOffMessageWorkflow
from workflows.sweep import SweepWorkflow

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")
_Request = TypeVar("_Request")

DATA_CONVERTER = pydantic_data_converter
"""The one converter of client, worker, tests and replay."""

SEQUENCE_ATTRIBUTE = SearchAttributeKey.for_keyword("SegueSequence")
ENROLLED_BY_ATTRIBUTE = SearchAttributeKey.for_keyword("SegueEnrolledBy")

SWEEP_SCHEDULE = "segue-sweep"
RPC_TIMEOUT = timedelta(seconds=5)
"""How long one call to Temporal may take."""

POLL_TIME = timedelta(seconds=75)
"""A live worker polls again within this time: the server ends a poll after 60 s."""

_WAITING_IN = (
    (ENROLLMENT_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
    (ENROLLMENT_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (SEND_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (QUESTION_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    (EVENT_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
)


async def connect_to_temporal(
    address: str,
    namespace: str,
    *,
    lazy: bool = False,
    runtime: Runtime | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """Connect to Temporal at ``host:port``; TLS and API key come from the SDK's own variables.

    A ``lazy`` client connects at its first call, which a worker's may not. The interceptors are for
    every call, and for the workers of this client.

    Raises:
        RuntimeError: Temporal does not answer; the same call may succeed later.
    """
    config = ClientConfig.load_client_connect_config()
    config["target_host"] = address
    config["namespace"] = namespace
    return await Client.connect(
        **config,
        data_converter=DATA_CONVERTER,
        lazy=lazy,
        runtime=runtime,
        interceptors=interceptors,
    )


def leave() -> NoReturn:
    """Exit with 0 at once, from a process that talked to Temporal.

    The SDK's threads may outlive the interpreter and abort the process, which then reports a
    failure for work that succeeded (temporalio/sdk-python#300, open, 2026-11).
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def enrollment_workflow_id(enrollment_id: UUID | str) -> str:
    """Build the id of an enrollment's workflow."""
    return f"enrollment/{enrollment_id}"


def message_workflow_id(message_id: UUID | str) -> str:
    """Build the id of a one-off text's workflow."""
    return f"message/{message_id}"


def job_workflow_id(job_id: UUID | str) -> str:
    """Build the id of a job's workflow."""
    return f"job/{job_id}"


def events_workflow_id(endpoint_id: UUID | str) -> str:
    """Build the id of the workflow that delivers events to an endpoint."""
    return f"events/{endpoint_id}"


class TemporalUnavailableError(Exception):
    """Temporal did not answer; the same call may succeed later."""


class TemporalRefusedError(Exception):
    """Temporal refused the call and would refuse it again."""


_REFUSALS = frozenset(
    {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.OUT_OF_RANGE, RPCStatusCode.UNIMPLEMENTED}
)
"""Final refusals. A refused credential is not one: an operator may fix it."""


DEFAULT_RATE = 1.0
"""Texts per second of a sender without a weight of its own; the unit of the weights."""

_LEAST_WEIGHT, _MOST_WEIGHT = 0.001, 1000.0
"""The fairness weights that the server accepts."""


@dataclass(frozen=True)
class LiveState:
    """What an enrollment's workflow reports, as ``Progress`` does.

    If it did not answer, the state is empty and ``unavailable`` says why: ``not_running``,
    ``timeout`` or ``error``.
    """

    state: str = ""
    step: int = 0
    next_due_at: datetime | None = None
    unavailable: str | None = None


@dataclass(frozen=True)
class Backlog:
    """Tasks that wait in a queue for a worker.

    Their kind is ``workflow`` or ``activity``, their number is approximate, and their age is that
    of the oldest.
    """

    queue: str
    kind: str
    tasks: int
    age: timedelta


class EnrollmentClient:
    """Starts, signals and queries the workflows.

    Every method but ``ready`` and ``progress`` raises ``TemporalUnavailableError`` if Temporal does
    not answer; the same call may succeed later. Starting a workflow that is open does nothing.

    Args:
        client: A connected client with ``DATA_CONVERTER``.
        page_base_url: Where enrollments' pages are, for links in Temporal's Web UI.
    """

    def __init__(self, client: Client, *, page_base_url: str) -> None:
        self._client = client
        self._page_base_url = page_base_url.rstrip("/")

    async def ready(self) -> bool:
        """Return whether Temporal answers now."""
        try:
            async with asyncio.timeout(2):
                return await self._client.service_client.check_health(timeout=timedelta(seconds=2))
        except (RPCError, RuntimeError, TimeoutError):  # RuntimeError: as in _reach
            return False

    async def start_enrollment(self, new: NewEnrollment) -> None:
        """Start an enrollment's workflow."""
        page = f"{self._page_base_url}/enrollments/{new.enrollment_id}"
        await self._start(
            EnrollmentWorkflow.run,
            StartEnrollment(str(new.enrollment_id), new.standing, page),
            enrollment_workflow_id(new.enrollment_id),
            f"{new.standing.step_count} steps",
            static_details=f"[enrollment]({page})",
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(SEQUENCE_ATTRIBUTE, str(new.sequence_id)),
                    SearchAttributePair(ENROLLED_BY_ATTRIBUTE, str(new.enrolled_by)),
                ]
            ),
            # A thousand enrollments at once take turns with other sequences.
            priority=Priority(priority_key=STEP_PRIORITY, fairness_key=str(new.sequence_id)),
        )

    async def start_message(self, message_id: UUID, sender_id: UUID | None) -> None:
        """Start a one-off text's workflow."""
        await self._start(
            OneOffMessageWorkflow.run,
            StartMessage(str(message_id), str(sender_id or "")),
            message_workflow_id(message_id),
            "one-off text",
            priority=Priority(priority_key=PERSON_PRIORITY),
        )

    async def start_job(self, job_id: UUID) -> None:
        """Start a job's workflow."""
        await self._start(
            JobWorkflow.run,
            StartJob(str(job_id)),
            job_workflow_id(job_id),
            "work in the background",
        )

    async def wake_events(self, endpoint_id: UUID) -> None:
        """Start the deliveries to an endpoint, or wake them if they run."""
        await self._start(
            EventDeliveryWorkflow.run,
            StartEventDelivery(str(endpoint_id)),
            events_workflow_id(endpoint_id),
            "deliveries to an event endpoint",
            start_signal="events_waiting",
        )

    async def _start(
        self,
        run: Callable[[Any, _Request], Awaitable[object]],
        request: _Request,
        workflow_id: str,
        summary: str,
        *,
        static_details: str | None = None,
        search_attributes: TypedSearchAttributes | None = None,
        priority: Priority = Priority.default,
        start_signal: str | None = None,
    ) -> None:
        await _reach(
            self._client.start_workflow(
                run,
                request,
                id=workflow_id,
                task_queue=ENROLLMENT_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=summary,
                static_details=static_details,
                search_attributes=search_attributes,
                priority=priority,
                start_signal=start_signal,
                rpc_timeout=RPC_TIMEOUT,
            )
        )

    async def signal_enrollment(self, enrollment_id: UUID, signal: str, status: str | None) -> None:
        """Signal an enrollment's workflow; do nothing if it is closed or unknown."""
        handle = self._client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
        try:
            await _reach(handle.signal(signal, Ended(status), rpc_timeout=RPC_TIMEOUT))
        except _NoSuchWorkflowError:
            return

    async def pace_senders(self, texts_per_second: Mapping[UUID, float]) -> None:
        """Set how many texts per second each sender may send, as fairness weights on the server.

        The weight's unit is one text per second, the default limit of every key. The server keeps
        at most 1,000 weights, so a sender of the default rate gets none.

        Raises:
            TemporalRefusedError: Too many weights; none of these was set.
        """
        weights = {str(sender_id): _weight(rate) for sender_id, rate in texts_per_second.items()}
        request = UpdateTaskQueueConfigRequest(
            namespace=self._client.namespace,
            identity=self._client.identity,
            task_queue=SEND_QUEUE,
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            set_fairness_weight_overrides={
                key: weight for key, weight in weights.items() if weight != DEFAULT_RATE
            },
            unset_fairness_weight_overrides=[
                key for key, weight in weights.items() if weight == DEFAULT_RATE
            ],
        )
        request.update_fairness_key_rate_limit_default.rate_limit.CopyFrom(
            RateLimit(requests_per_second=DEFAULT_RATE)
        )
        request.update_fairness_key_rate_limit_default.reason = "one text per second per weight"
        await _reach(
            self._client.workflow_service.update_task_queue_config(request, timeout=RPC_TIMEOUT)
        )

    async def mispaced(self, texts_per_second: Mapping[UUID, float]) -> Sequence[UUID]:
        """Find the senders whose weight on the server differs, removed senders included.

        Takes the rates of all senders.
        """
        described = await self._describe(
            SEND_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, report_config=True
        )
        if not described.config.HasField("fairness_keys_rate_limit_default"):
            return list(texts_per_second)  # a new server has no limits yet
        wanted = {str(sender_id): _weight(rate) for sender_id, rate in texts_per_second.items()}
        there = described.config.fairness_weight_overrides
        return [
            UUID(key)
            for key in wanted.keys() | there.keys()
            if not isclose(
                wanted.get(key, DEFAULT_RATE),
                there.get(key, DEFAULT_RATE),
                rel_tol=1e-6,  # the server keeps 32 bits of it
            )
        ]

    async def backlogs(self) -> Sequence[Backlog]:
        """Count the tasks that wait in each queue."""
        return await asyncio.gather(*(self._backlog(*one) for one in _WAITING_IN))

    async def _backlog(self, queue: str, kind: TaskQueueType.ValueType) -> Backlog:
        stats = (await self._describe(queue, kind, report_stats=True)).stats
        name = TaskQueueType.Name(kind).removeprefix("TASK_QUEUE_TYPE_").lower()
        age = stats.approximate_backlog_age.ToTimedelta()
        return Backlog(queue, name, stats.approximate_backlog_count, age)

    async def is_open(self, enrollment_id: UUID) -> bool:
        """Return whether an enrollment's workflow is running."""
        handle = self._client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
        try:
            description = await _reach(handle.describe(rpc_timeout=RPC_TIMEOUT))
        except _NoSuchWorkflowError:
            return False
        return description.status == WorkflowExecutionStatus.RUNNING

    async def worker_polls(self) -> bool:
        """Return whether a worker polled within ``POLL_TIME``."""
        answer = await self._describe(ENROLLMENT_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)
        latest = max(
            (poller.last_access_time.ToDatetime(UTC) for poller in answer.pollers),
            default=datetime.min.replace(tzinfo=UTC),
        )
        return datetime.now(UTC) - latest < POLL_TIME

    async def _describe(
        self,
        queue: str,
        kind: TaskQueueType.ValueType,
        *,
        report_config: bool = False,
        report_stats: bool = False,
    ) -> DescribeTaskQueueResponse:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=kind,
            report_config=report_config,
            report_stats=report_stats,
        )
        service = self._client.workflow_service
        return await _reach(service.describe_task_queue(request, timeout=RPC_TIMEOUT))

    async def progress(
        self, enrollment_ids: Sequence[UUID], *, deadline: timedelta
    ) -> Mapping[UUID, LiveState]:
        """Query workflows concurrently under one deadline; never raises."""
        asked = await asyncio.gather(
            *(self._progress_of(enrollment_id, deadline) for enrollment_id in enrollment_ids)
        )
        return dict(zip(enrollment_ids, asked, strict=True))

    async def _progress_of(self, enrollment_id: UUID, deadline: timedelta) -> LiveState:
        handle = self._client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                progress: Progress = await handle.query(
                    EnrollmentWorkflow.progress, rpc_timeout=deadline
                )
        except (RPCError, RuntimeError, TimeoutError) as error:  # RuntimeError: as in _reach
            missing = isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND
            return LiveState(unavailable="not_running" if missing else "timeout")
        except Exception as error:  # noqa: BLE001 - the live column may fail, the page may not
            _logger.warning("live state failed", extra={"error": type(error).__name__})
            return LiveState(unavailable="error")
        return LiveState(progress.state, progress.step, progress.next_due_at)

    async def ensure_sweep(self, *, every: timedelta = timedelta(minutes=1)) -> None:
        """Create the Schedule that runs the sweep, or update the existing one.

        A Schedule that an operator has paused stays paused.
        """
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                SweepWorkflow.run,
                id="sweep",
                task_queue=ENROLLMENT_QUEUE,
                execution_timeout=timedelta(minutes=10),
                priority=Priority(priority_key=SWEEP_PRIORITY),
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
        )

        def renewed(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(replace(schedule, state=found.description.schedule.state))

        try:
            await _reach(
                self._client.create_schedule(SWEEP_SCHEDULE, schedule, rpc_timeout=RPC_TIMEOUT)
            )
        except ScheduleAlreadyRunningError:
            handle = self._client.get_schedule_handle(SWEEP_SCHEDULE)
            await _reach(handle.update(renewed, rpc_timeout=RPC_TIMEOUT))


def _weight(rate: float) -> float:
    return min(_MOST_WEIGHT, max(_LEAST_WEIGHT, rate))


class _NoSuchWorkflowError(TemporalUnavailableError):
    """The workflow is closed or was never started."""


async def _reach(call: Awaitable[_T]) -> _T:
    """Make a call and translate Temporal's status codes.

    Raises:
        TemporalUnavailableError: Temporal or our namespace is unavailable, or it is too busy.
        TemporalRefusedError: A final refusal.
        _NoSuchWorkflowError: There is no such open workflow.
    """
    try:
        return await call
    except RPCError as error:
        if error.status in _REFUSALS:
            raise TemporalRefusedError(f"{error.status.name}, {error.message}") from None
        if error.status == RPCStatusCode.NOT_FOUND and not namespace_is_missing(error):
            raise _NoSuchWorkflowError from None
        raise TemporalUnavailableError(error.status.name) from None
    except RuntimeError:  # a lazy client's first call could not connect
        raise TemporalUnavailableError("UNAVAILABLE") from None


def namespace_is_missing(error: RPCError) -> bool:
    """Return whether the error is that our namespace does not exist."""
    return any(
        detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details
    )
