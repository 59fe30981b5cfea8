"""Work in the background as an activity: some rows of a job at a time."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.heartbeats import heartbeats
from domain.jobs.ports import JobProgress, JobRunner


@dataclass(frozen=True)
class RunChunk:
    """Which job to go on with."""

    job_id: str


class JobActivities:
    """Acts on rows."""

    def __init__(self, runner: JobRunner) -> None:
        self._runner = runner

    @activity.defn(name="run_job_chunk")
    async def run_job_chunk(self, request: RunChunk) -> JobProgress:
        """Act on a job's next rows, for a few seconds.

        Idempotency: a row's result is written with the act, so a repeated chunk takes other rows.
        Time limit: 30 s, and 6 s without a heartbeat, so that other workers soon take the
        rows of one that died. No failure is final; a fault of ours ends the job on its tenth try.
        """
        async with heartbeats():
            return await self._runner.run_chunk(UUID(request.job_id), tries=activity.info().attempt)
