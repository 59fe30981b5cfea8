"""The every-minute sweep that repeats what was not acknowledged."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import SweepingActivities
    from domain.maintenance.ports import SweepReport
    from workflows.limits import SWEEP


@workflow.defn(name="Sweep")
class SweepWorkflow:
    """One sweep. Started by the Schedule ``segue-sweep``, never two at once. 11 events."""

    @workflow.run
    async def run(self) -> SweepReport:
        """Run the sweep activity; answers its counts."""
        return await workflow.execute_activity_method(
            SweepingActivities.sweep,
            start_to_close_timeout=SWEEP.start_to_close,
            heartbeat_timeout=SWEEP.heartbeat,
            retry_policy=SWEEP.retry,
            summary="sweep",
        )
