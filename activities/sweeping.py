"""The every-minute sweep as an activity."""

from temporalio import activity

from domain.ports import Sweeper, SweepReport


class SweepingActivities:
    """Repeats what was not acknowledged.

    Args:
        sweeper: The use case behind it.
    """

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper

    @activity.defn(name="sweep")
    async def sweep(self) -> SweepReport:
        """Run one sweep.

        Idempotency: every part looks at the rows again. Time limit: 5 minutes. No failure is
        final; the next minute's sweep does what this one could not.
        """
        return await self._sweeper.sweep()
