"""The Job workflow runs chunks until the row says that the job has ended."""

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from uuid import UUID, uuid4

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.failures import PlainFailures
from activities.jobs import JobActivities
from domain.jobs.ports import JobProgress
from domain.messaging.ports import Gateway
from domain.platform.rules import SendingRules
from domain.statuses.jobs import JobKind, JobState
from services.factory import ServiceConfig, Services
from services.jobs import jobs as jobs_module
from services.jobs.jobs import Jobs
from storage.enrollments.list_filter import ListFilter
from tests.workflows.plays import PATIENCE, Stage
from tests.worlds import World, small_world
from worker import WORKFLOWS
from workflows.client import job_workflow_id
from workflows.limits import ENROLLMENT_QUEUE


class DyingRunner:
    """Runs chunks but fails some, in the middle or after the commit.

    Attributes:
        fates: For each call: ``killed``, ``answer_lost`` or nothing.
        met: What happened to the calls so far.
    """

    def __init__(self, jobs: Jobs, fates: list[str]) -> None:
        self._jobs = jobs
        self.fates = deque(fates)
        self.met: list[str] = []

    async def run_chunk(self, job_id: UUID, *, tries: int = 1) -> JobProgress:
        fate = self.fates.popleft() if self.fates else ""
        self.met.append(fate)
        chunk = asyncio.create_task(self._jobs.run_chunk(job_id, tries=tries))
        if fate == "killed":
            await asyncio.sleep(0.05)
            chunk.cancel()
            await asyncio.wait([chunk])
        progress = None if chunk.cancelled() else await chunk
        if fate or progress is None:
            raise ConnectionAbortedError
        return progress


@asynccontextmanager
async def working(stage: Stage, runner: DyingRunner) -> AsyncIterator[None]:
    async with Worker(
        stage.client,
        task_queue=ENROLLMENT_QUEUE,
        workflows=WORKFLOWS,
        activities=[JobActivities(runner).run_job_chunk],
        interceptors=[PlainFailures()],
    ):
        yield


async def start(stage: Stage, job_id: UUID) -> WorkflowHandle[object, str]:
    await stage.temporal.start_job(job_id)
    handle = stage.client.get_workflow_handle(job_workflow_id(job_id), result_type=str)
    stage.watch(handle)
    return cast("WorkflowHandle[object, str]", handle)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
def services(world: World, stage: Stage) -> Services:
    return Services(
        world.database, stage.temporal, cast("Gateway", object()), ServiceConfig(SendingRules())
    )


async def test_rows_are_handled_once_although_the_worker_dies(
    world: World, services: Services, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker of a bulk action is killed twice in the middle of a chunk."""
    monkeypatch.setattr(jobs_module, "CHUNK_SECONDS", 0.2)
    sequence, count = await world.active(), 400
    await services.enrolling.enroll(
        sequence.id, world.user_id, contact_ids=await world.contacts(count)
    )
    job = await services.jobs.start_bulk_action(
        sequence.id, JobKind.MARK_FINISHED, ListFilter(), world.user_id
    )
    handle = await start(stage, job.id)
    dying = DyingRunner(services.jobs, ["killed", "", "answer_lost", "killed"])
    async with working(stage, dying), asyncio.timeout(PATIENCE):
        assert await handle.result() == JobState.DONE
    assert dying.met[:4] == ["killed", "", "answer_lost", "killed"]
    ended = await services.jobs.get(job.id)
    assert (ended.state, ended.done, ended.counts) == (
        JobState.DONE,
        count,
        {"finished": count},
    )
    acted = Counter(
        row.subject_id
        for row in await world.rows(
            "SELECT subject_id FROM audit_log WHERE action = 'enrollment.finish'"
        )
    )
    assert (len(acted), set(acted.values())) == (count, {1})


async def test_job_without_free_rows_waits_and_asks_again(
    skipping: WorkflowEnvironment, fast: Stage
) -> None:
    fast.script.chunks += [
        JobProgress("running", more=True, acted=0, done=1, total=2),
        JobProgress("running", more=True, acted=0, done=1, total=2),
        JobProgress("canceled", more=False, done=2, total=2),
    ]
    handle = await start(fast, uuid4())
    async with fast.workers():
        assert await handle.result() == "canceled"
    times = [at for _, at in fast.script.calls]
    assert len(times) == 3
    assert all((later - one).total_seconds() >= 1 for one, later in itertools.pairwise(times))
    assert skipping.supports_time_skipping


async def test_open_job_is_not_started_twice(stage: Stage) -> None:
    stage.script.chunks.append(JobProgress("done", more=False, total=0))
    job_id = uuid4()
    first = await start(stage, job_id)
    again = await start(stage, job_id)
    async with stage.workers(), asyncio.timeout(PATIENCE):
        assert [await first.result(), await again.result()] == ["done", "done"]
    assert stage.script.called == ["run_job_chunk"]
