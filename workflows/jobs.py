"""The workflow of one job."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs import JobActivities, RunChunk
    from domain.jobs.ports import JobProgress
    from workflows.limits import JOB
    from workflows.messages import StartJob

IDLE_WAIT = timedelta(seconds=1)
"""How long to wait when other workers have all rows left, or a last text is under way."""


@workflow.defn(name="Job")
class JobWorkflow:
    """Runs a job chunk by chunk.

    Id: ``job/<uuid>``. Started by the outbox. No signals: a job is canceled in its row. Ends when
    the row says that the job has ended. History: 5 events and 6 per chunk of some seconds; it
    continues as new when the server suggests it.
    """

    @workflow.run
    async def run(self, start: StartJob) -> str:
        """Run chunk after chunk; return the job's final state, a ``JobState`` code."""
        while True:
            progress: JobProgress = await workflow.execute_activity_method(
                JobActivities.run_job_chunk, RunChunk(start.job_id), **JOB, summary="rows"
            )
            if not progress.more:
                return progress.state
            workflow.set_current_details(f"{progress.done} of {progress.total} rows")
            if not progress.acted:
                await workflow.sleep(IDLE_WAIT, summary="rows in other hands")
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)
