"""How a deployment stands, for those who watch it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from storage.maintenance import health
from storage.maintenance.health import Counts
from storage.platform.database import Database, is_unavailable
from workflows.client import Backlog, EnrollmentClient, TemporalUnavailableError

PATIENCE = timedelta(seconds=5)
"""How long either part may take; a scrape that waits longer is given up by Prometheus."""


@dataclass(frozen=True)
class VitalSigns:
    """How a deployment stands now.

    Attributes:
        counts: What the rows say; None if PostgreSQL does not answer.
        backlogs: What waits in Temporal's task queues; None if Temporal does not answer.
    """

    counts: Counts | None
    backlogs: Sequence[Backlog] | None


class Vitals:
    """Reads how the deployment stands.

    Args:
        database: Where the rows are.
        temporal: Where the workflows are.
    """

    def __init__(self, database: Database, temporal: EnrollmentClient) -> None:
        self._database = database
        self._temporal = temporal

    async def read(self) -> VitalSigns:
        """Ask both parts side by side."""
        counts, backlogs = await asyncio.gather(self._counts(), self._backlogs())
        return VitalSigns(counts, backlogs)

    async def _counts(self) -> Counts | None:
        try:
            async with (
                asyncio.timeout(PATIENCE.total_seconds()),
                self._database.transaction() as tx,
            ):
                return await health.read(tx)
        except Exception as error:
            if isinstance(error, TimeoutError) or is_unavailable(error):
                return None
            raise

    async def _backlogs(self) -> Sequence[Backlog] | None:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return await self._temporal.backlogs()
        except (TemporalUnavailableError, TimeoutError):
            return None
