"""The every-minute sweep as an activity."""

from temporalio import activity

from activities.heartbeats import heartbeats
from domain.maintenance.ports import Sweeper, SweepReport


class SweepingActivities:
    """Repeats what was not acknowledged."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper

    @activity.defn(name="sweep")
    async def sweep(self) -> SweepReport:
        """Run one sweep.

        Idempotency: every part looks at the rows again. Time limit: 5 minutes, 30 s without a
        heartbeat. No failure is final; the next minute's sweep does what this one could not.
        """
        async with heartbeats():
            return await self._sweeper.sweep()
