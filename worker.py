"""Entry point: the Temporal worker, for workflows, sends and the sweep."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import uvloop
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.events import EventActivities
from activities.failures import PlainFailures
from activities.jobs import JobActivities
from activities.sending import SendingActivities
from activities.sweeping import SweepingActivities
from observability import logs, metrics
from observability.garbage import spare_what_is_loaded
from observability.metering import MeteredDeliverer, MeteredGateway, MeteredSweeper
from observability.sdk import sdk_runtime
from observability.serving import MetricsAddressError, metrics_served
from observability.tracing import Traces
from services.factory import ServiceConfig, Services, gateway_of
from services.messaging.backfill import LISTS_AT_ONCE, SIDE_BY_SIDE
from settings import WorkerSettings, WorkerSize
from storage.platform.database import Database, Pools
from workflows.client import (
    RPC_TIMEOUT,
    EnrollmentClient,
    TemporalRefusedError,
    TemporalUnavailableError,
    connect_to_temporal,
    leave,
)
from workflows.enrollment import EnrollmentWorkflow
from workflows.events import EventDeliveryWorkflow
from workflows.jobs import JobWorkflow
from workflows.limits import DEPLOYMENT, ENROLLMENT_QUEUE, EVENT_QUEUE, QUESTION_QUEUE, SEND_QUEUE
from workflows.one_off import OneOffMessageWorkflow
from workflows.set_up import current_build, ensure_search_attributes, make_current
from workflows.sweep import SweepWorkflow

_logger = logging.getLogger("worker")
_T = TypeVar("_T")

WORKFLOWS: Sequence[type] = (
    EnrollmentWorkflow,
    OneOffMessageWorkflow,
    SweepWorkflow,
    JobWorkflow,
    EventDeliveryWorkflow,
)
"""Every workflow this worker runs; replay tests use the same list."""

_WAIT_SECONDS = 2
_VERSION_SECONDS = 60
_HEARTBEATS_APART = timedelta(seconds=1)


class TooManyConnectionsError(Exception):
    """The settings want more connections than PostgreSQL allows."""


def build_workers(
    client: Client,
    services: Services,
    *,
    drain: timedelta,
    build_id: str = "",
    traces: Traces | None = None,
    size: WorkerSize | None = None,
) -> list[Worker]:
    """Make the workers of a process: one each for sends, questions and events, one for the rest.

    So neither many questions nor slow endpoints take a send's slot, and decisions and closes, which
    are local activities, have slots apart from jobs and the sweep.

    ``drain`` is how long running activities may take to finish at the end: longer than a send. An
    empty ``build_id`` makes unversioned workers. Workflows are pinned to no build: they continue on
    the current one, and `patched` tells old from new.
    """
    size = size or WorkerSize()
    deployment = WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )
    sending = SendingActivities(
        services.sending, MeteredGateway(services.gateway, traces or Traces())
    )
    sweeping = SweepingActivities(MeteredSweeper(services.sweep))
    events = EventActivities(MeteredDeliverer(services.deliveries))
    jobs = JobActivities(services.jobs)
    worker = partial(
        Worker,
        client,
        interceptors=[PlainFailures()],
        graceful_shutdown_timeout=drain,
        deployment_config=deployment if build_id else None,
        max_concurrent_activity_task_polls=size.activity_pollers,
    )
    return [
        worker(
            task_queue=ENROLLMENT_QUEUE,
            workflows=WORKFLOWS,
            activities=[
                sending.decide_step,
                sending.decide_message,
                sending.look,
                sending.close_enrollment,
                sweeping.sweep,
                jobs.run_job_chunk,
            ],
            max_concurrent_activities=size.background_at_once,
            max_concurrent_local_activities=size.decisions_at_once,
            max_concurrent_workflow_tasks=size.workflow_tasks_at_once,
            max_concurrent_workflow_task_polls=size.workflow_pollers,
            max_cached_workflows=size.cached_workflows,
            max_heartbeat_throttle_interval=_HEARTBEATS_APART,
        ),
        worker(
            task_queue=SEND_QUEUE,
            activities=[sending.send_step, sending.send_message],
            max_concurrent_activities=size.sends_at_once,
        ),
        worker(
            task_queue=QUESTION_QUEUE,
            activities=[sending.resolve_step, sending.resolve_message],
            max_concurrent_activities=size.questions_at_once,
        ),
        worker(
            task_queue=EVENT_QUEUE,
            activities=[events.deliver_events],
            max_concurrent_activities=size.endpoints_at_once,
        ),
    ]


async def connect(settings: WorkerSettings, traces: Traces) -> Client:
    """Connect to Temporal; wait for it and our namespace as long as it takes."""
    namespace = settings.temporal_namespace
    runtime = sdk_runtime(settings.sdk_metrics_address)
    while True:
        try:
            client = await connect_to_temporal(
                settings.temporal_address,
                namespace,
                runtime=runtime,
                interceptors=traces.interceptors(),
            )
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), timeout=RPC_TIMEOUT
            )
        except (RPCError, RuntimeError):
            _logger.warning(
                "waiting for Temporal at %s, namespace %s", settings.temporal_address, namespace
            )
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            return client


async def run(settings: WorkerSettings) -> None:
    """Work until SIGTERM or SIGINT, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    traces = Traces.to(settings.otel_exporter_otlp_endpoint, service="segue-worker")
    client = await _unless(stop, connect(settings, traces))
    if client is None:
        return
    gateway = gateway_of(
        settings,
        # Sends, questions, and the sweep's look-ups or lists.
        max_concurrent=settings.sends_at_once
        + settings.questions_at_once
        + max(LISTS_AT_ONCE, SIDE_BY_SIDE),
    )
    pools = _pools(settings, traces)
    services = Services(
        pools.rest,
        EnrollmentClient(client, page_base_url=settings.public_base_url),
        gateway,
        ServiceConfig.of(settings),
        pools=pools,
    )
    background: list[asyncio.Task[None]] = []
    try:
        if not await _unless(stop, _database_is_there(services)):
            return
        await _connections_fit(services, settings)
        background += [
            asyncio.create_task(services.outbox.run()),
            asyncio.create_task(services.waking.run()),
            asyncio.create_task(_prepare(client, services)),
            asyncio.create_task(_watch_version(client, settings.segue_build_id)),
        ]
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                metrics_served(settings.metrics_address, services.health)
            )
            workers = build_workers(
                client,
                services,
                drain=settings.drain,
                build_id=settings.segue_build_id,
                traces=traces,
                size=settings,
            )
            for worker in workers:
                await stack.enter_async_context(worker)
            spare_what_is_loaded()
            _logger.info("working")
            await stop.wait()
            _logger.info("draining")
            # Side by side: one drain after another would outlast the container's grace period.
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await gateway.aclose()
        await pools.close()
        await traces.aclose()


async def _unless(stop: asyncio.Event, coming: Coroutine[Any, Any, _T]) -> _T | None:
    """Await something; None if the process has to stop first."""
    stopping = asyncio.create_task(stop.wait())
    task = asyncio.create_task(coming)
    await asyncio.wait({stopping, task}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return await task
    task.cancel()
    return None


def _pools(settings: WorkerSettings, traces: Traces) -> Pools:
    """Make the pools; a send waits for a connection for less time than it has to begin."""
    database = partial(Database, settings.database_url, around=traces.transaction)
    short = settings.call_before.total_seconds() / 2
    rest = database(connections=settings.other_connections)
    return Pools(
        sends=database(connections=settings.sends_at_once, pool_timeout=short),
        decisions=database(connections=settings.decisions_at_once, pool_timeout=short),
        webhooks=rest,
        rest=rest,
    )


async def _connections_fit(services: Services, size: WorkerSize) -> None:
    """Check that PostgreSQL allows the connections of this process.

    Raises:
        TooManyConnectionsError: It allows fewer, even for this process alone.
    """
    allowed = await services.connections_allowed()
    if size.connections > allowed:
        raise TooManyConnectionsError(
            "SENDS_AT_ONCE, DECISIONS_AT_ONCE and OTHER_CONNECTIONS want"
            f" {size.connections} connections together, and PostgreSQL allows {allowed}:"
            " lower them, or raise its max_connections"
        )


async def _database_is_there(services: Services) -> bool:
    """Wait for PostgreSQL as long as it takes."""
    while not await services.database_ready():
        _logger.warning("waiting for PostgreSQL")
        await asyncio.sleep(_WAIT_SECONDS)
    return True


async def _prepare(client: Client, services: Services) -> None:
    """Register our search attributes, the sweep and the senders' pace; retry until it works.

    Temporal starts no enrollment without the attributes, which the set-up adds too.
    """
    while True:
        try:
            try:
                await ensure_search_attributes(client)
            except TemporalRefusedError as error:  # made elsewhere, as in Temporal Cloud
                _logger.warning("could not verify the search attributes: %s", error)
            await services.temporal.ensure_sweep()
            await services.outbox.pace_all()
        except Exception as error:  # noqa: BLE001 - a background task's top
            _logger.warning("no sweep is scheduled yet: %s", type(error).__name__)
            await asyncio.sleep(_WAIT_SECONDS)
        else:
            return


async def _watch_version(client: Client, build_id: str) -> None:
    """Warn while another build is current: this one's workers then get nothing to do.

    If there is no current build, this one becomes it: the first versioned worker needs no set-up.
    Later builds never do so by themselves: an old one that restarts would take over, or one that
    still drains would undo a return to unversioned workers.
    """
    while True:
        try:
            current = await current_build(client)
            if current is None and build_id:
                await make_current(client, build_id)
                current = build_id
        except (TemporalUnavailableError, TemporalRefusedError) as error:
            _logger.warning("could not fetch the current build: %s", error)
        else:
            is_ours = (current or "") == build_id
            metrics.CURRENT_BUILD.labels(build_id).set(is_ours)
            if not is_ours:
                _logger.warning(
                    "build %s is current, and this is %s: it gets no work;"
                    " `python -m manage set-up` with its SEGUE_BUILD_ID makes it current",
                    current or "of no version",
                    build_id or "of no version",
                )
        await asyncio.sleep(_VERSION_SECONDS)


def main() -> None:
    """Run the worker with the environment's settings."""
    settings = WorkerSettings.load()
    logs.set_up(settings.log_level, settings.log_format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except (MetricsAddressError, TooManyConnectionsError) as error:
        raise SystemExit(str(error)) from None
    leave()


if __name__ == "__main__":
    main()
