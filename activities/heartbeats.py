"""Heartbeats of an activity that takes long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

_BEATS = 4
"""How many heartbeats fit into the time that one may be away."""


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Say that the activity is alive, some times within its heartbeat timeout."""
    beating = asyncio.create_task(_beat())
    try:
        yield
    finally:
        beating.cancel()


async def _beat() -> None:
    timeout = activity.info().heartbeat_timeout
    while timeout:
        await asyncio.sleep(timeout.total_seconds() / _BEATS)
        activity.heartbeat()
