"""The enrollment as a later build might have it."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.enrollment import EnrollmentWorkflow
    from workflows.messages import EnrollmentResult, StartEnrollment


@workflow.defn(name="Enrollment")
class NextEnrollmentWorkflow(EnrollmentWorkflow):
    """Sleeps before it acts, which enrollments that have acted already must not be told."""

    @workflow.init
    def __init__(self, start: StartEnrollment) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: StartEnrollment) -> EnrollmentResult:
        return await super().run(start)

    async def _act(self) -> None:
        # Named by the step: `patched` answers the same for one name throughout a run.
        if workflow.patched(f"sleeps-before-step-{self._state.step + 1}"):
            await workflow.sleep(timedelta(milliseconds=1))
        await super()._act()
