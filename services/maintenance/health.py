"""The deployment's health: figures for its metrics, and what a banner says is away."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from storage.maintenance import health
from storage.maintenance.health import Counts
from storage.platform.database import Database, is_unavailable
from workflows.client import Backlog, EnrollmentClient, TemporalUnavailableError

PATIENCE_SECONDS = 5.0
"""Time limit of either part; Prometheus gives up a scrape that takes longer."""

_FRESH_SECONDS = 5.0


@dataclass(frozen=True)
class HealthReport:
    """The deployment's health now: rows and task queues; None of what does not answer."""

    counts: Counts | None
    backlogs: Sequence[Backlog] | None


class Health:
    """Reads the deployment's health."""

    def __init__(self, database: Database, temporal: EnrollmentClient) -> None:
        self._database = database
        self._temporal = temporal

    async def read(self) -> HealthReport:
        """Ask PostgreSQL and Temporal in parallel."""
        counts, backlogs = await asyncio.gather(self._counts(), self._backlogs())
        return HealthReport(counts, backlogs)

    async def _counts(self) -> Counts | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._database.transaction() as tx:
                return await health.read(tx)
        except Exception as error:
            if isinstance(error, TimeoutError) or is_unavailable(error):
                return None
            raise

    async def _backlogs(self) -> Sequence[Backlog] | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._temporal.backlogs()
        except (TemporalUnavailableError, TimeoutError):
            return None


class Part(StrEnum):
    """What may be away while lists still work."""

    TEMPORAL = "temporal"
    WORKER = "worker"


class Availability:
    """Remembers for a few seconds whether Temporal and a worker are there."""

    def __init__(self, temporal: EnrollmentClient) -> None:
        self._temporal = temporal
        self._away: Sequence[Part] = ()
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    def away(self) -> Sequence[Part]:
        """Give what was away when last asked, and ask again in the background if that is old.

        Before the first answer nothing is away: no page waits for it.
        """
        is_old = time.monotonic() - self._asked_at > _FRESH_SECONDS
        if is_old and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        return self._away

    async def _ask(self) -> None:
        try:
            self._away = () if await self._temporal.worker_polls() else (Part.WORKER,)
        except TemporalUnavailableError:
            self._away = (Part.TEMPORAL,)
        self._asked_at = time.monotonic()
