"""The enrollment's workflow of a later release, in a module for the sandbox."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.enrollment import EnrollmentWorkflow
    from workflows.messages import EnrollmentResult, StartEnrollment

PATCH = "sleeps before acting"


@workflow.defn(name="Enrollment")
class ChangedEnrollmentWorkflow(EnrollmentWorkflow):
    """Sets one more timer before it acts, in runs that start with this release."""

    @workflow.init
    def __init__(self, start: StartEnrollment) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: StartEnrollment) -> EnrollmentResult:
        return await super().run(start)

    async def _act(self) -> None:
        if workflow.patched(PATCH):
            await workflow.sleep(1, summary=PATCH)
        await super()._act()
