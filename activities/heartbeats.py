"""Heartbeats of an activity that takes long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

_BEATS = 4
"""Heartbeats per heartbeat timeout."""


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Send heartbeats while the block runs, several within the activity's heartbeat timeout."""
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
