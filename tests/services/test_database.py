"""The database as a source of transactions."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from storage.database import IDLE_IN_TRANSACTION, Database, is_unavailable


async def test_a_transaction_that_stands_still_loses_its_locks(database_url: str) -> None:
    """A worker that is frozen, or whose machine is gone, must not stop the others."""
    frozen, other = Database(database_url, idle=timedelta(seconds=0.3)), Database(database_url)
    lock = text("SELECT pg_advisory_xact_lock(1)")

    async def stand_still() -> None:
        async with frozen.transaction() as tx:
            await tx.execute(lock)
            await asyncio.sleep(1.5)
            await tx.execute(text("SELECT 1"))

    standing = asyncio.create_task(stand_still())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(1), other.transaction() as tx:
        await tx.execute(lock)
    with pytest.raises(Exception, match="idle") as lost:
        await standing
    assert is_unavailable(lost.value)
    async with frozen.transaction() as tx:
        assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
    await frozen.close()
    await other.close()


async def test_every_session_has_the_limit(database_url: str) -> None:
    database = Database(database_url)
    async with database.transaction() as tx:
        shown = await tx.execute(text("SHOW idle_in_transaction_session_timeout"))
        assert shown.scalar_one() == "1min"
    assert timedelta(seconds=30) < IDLE_IN_TRANSACTION
    await database.close()
