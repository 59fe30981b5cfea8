"""Watch what transactions wait for, so that a test can order them."""

import asyncio
from typing import Any

from sqlalchemy import text

from storage.platform.database import Database
from tests.kits.sending import until

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def until_blocked(database: Database, transactions: int = 1) -> None:
    """Wait until this many transactions wait for a lock."""

    async def blocked() -> bool:
        return await _blocked(database) >= transactions

    await until(blocked)


async def until_done_or_blocked(
    database: Database, task: asyncio.Task[Any], *, others: int = 0
) -> None:
    """Wait until a task is over, or waits for a lock besides this many others."""

    async def done_or_blocked() -> bool:
        return task.done() or await _blocked(database) > others

    await until(done_or_blocked)


async def _blocked(database: Database) -> int:
    """Count the transactions that wait for a lock."""
    async with database.transaction() as tx:
        return int((await tx.execute(_WAITING)).scalar_one())
