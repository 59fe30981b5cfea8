"""Whether Temporal and a worker are there, for a banner: asked now and then, never waited for."""

import asyncio
import time
from collections.abc import Sequence
from enum import StrEnum

from workflows.client import EnrollmentClient, TemporalUnavailableError

_KNOWN_SECONDS = 5.0


class Part(StrEnum):
    """What may be away while lists go on working."""

    TEMPORAL = "temporal"
    WORKER = "worker"


class Presence:
    """Knows what is away, as of some seconds ago.

    Args:
        temporal: Is asked.
    """

    def __init__(self, temporal: EnrollmentClient) -> None:
        self._temporal = temporal
        self._away: Sequence[Part] = ()
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    def away(self) -> Sequence[Part]:
        """Give what was away when last asked, and ask again if that is some seconds ago.

        The first answer, before anything was asked, is that all is there: no page waits for it.
        """
        is_old = self._asked_at is None or time.monotonic() - self._asked_at > _KNOWN_SECONDS
        if is_old and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())
        return self._away

    async def _ask(self) -> None:
        try:
            self._away = () if await self._temporal.worker_polls() else (Part.WORKER,)
        except TemporalUnavailableError:
            self._away = (Part.TEMPORAL,)
        self._asked_at = time.monotonic()
