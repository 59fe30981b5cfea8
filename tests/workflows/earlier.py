"""The enrollment as builds had it that knew no decisions, in a module for the sandbox."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.enrollment import EnrollmentWorkflow
    from workflows.messages import EnrollmentResult, StartEnrollment


@workflow.defn(name="Enrollment")
class EarlierEnrollmentWorkflow(EnrollmentWorkflow):
    """Sends whatever is due, and leaves it to the send to find out whether it may."""

    @workflow.init
    def __init__(self, start: StartEnrollment) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: StartEnrollment) -> EnrollmentResult:
        return await super().run(start)

    def _decides_first(self) -> bool:
        return False
