"""The workflow of one sweep."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import SweepingActivities
    from domain.maintenance.ports import SweepReport
    from workflows.limits import SWEEP


@workflow.defn(name="Sweep")
class SweepWorkflow:
    """Runs one sweep. Started by the Schedule ``segue-sweep``, never two at once; 11 events."""

    @workflow.run
    async def run(self) -> SweepReport:
        """Run the sweep activity; return its counts."""
        return await workflow.execute_activity_method(
            SweepingActivities.sweep, **SWEEP, summary="sweep"
        )
