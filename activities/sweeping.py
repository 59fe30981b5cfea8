"""The every-minute sweep as an activity."""

import asyncio
from datetime import timedelta

from temporalio import activity

from domain.maintenance.ports import Sweeper, SweepReport

HEARTBEAT = timedelta(seconds=5)
"""How often a sweep says that it is alive; a small part of its heartbeat timeout."""


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

        Idempotency: every part looks at the rows again. Time limit: 5 minutes, 30 s without a
        heartbeat. No failure is final; the next minute's sweep does what this one could not.
        """
        beating = asyncio.create_task(_beat())
        try:
            return await self._sweeper.sweep()
        finally:
            beating.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT.total_seconds())
