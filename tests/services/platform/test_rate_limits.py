"""Rate limits: concurrent calls, and where one time window ends and the next begins."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import text

from services.platform import rate_limits
from services.platform.rate_limits import TooManyRequestsError
from storage.platform import rate_limits as rows
from storage.platform.database import Database

DAY = timedelta(days=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def takes(database: Database, key: str, cost: int, most: int) -> bool:
    try:
        await rate_limits.take(database, key, cost, most, DAY)
    except TooManyRequestsError:
        return False
    return True


async def counted(database: Database) -> int:
    async with database.transaction() as tx:
        found: int = (
            await tx.execute(text("SELECT coalesce(sum(count), 0) FROM rate_counts"))
        ).scalar_one()
        return found


async def test_calls_pass_up_to_the_limit(database: Database) -> None:
    assert [await takes(database, "a", 2, 5) for _ in range(3)] == [True, True, False]
    assert await takes(database, "a", 1, 5)
    assert not await takes(database, "a", 1, 5)
    assert await takes(database, "b", 5, 5)
    assert not await takes(database, "c", 6, 5)
    assert await counted(database) == 10


async def test_refusal_says_how_long_to_wait(database: Database) -> None:
    await rate_limits.take(database, "a", 1, 1, DAY)

    with pytest.raises(TooManyRequestsError) as refused:
        await rate_limits.take(database, "a", 1, 1, DAY)

    assert refused.value.code == "too_many_requests"
    assert timedelta() < refused.value.retry_after <= DAY
    assert 1 <= refused.value.retry_after_seconds <= 86_400


async def test_concurrent_calls_do_not_exceed_the_limit(
    database: Database, database_url: str
) -> None:
    other = Database(database_url)  # as in another process

    taken = await asyncio.gather(
        *(takes(place, "a", 1, 7) for place in (database, other) for _ in range(15))
    )

    await other.close()
    assert sum(taken) == 7
    assert await counted(database) == 7


async def test_new_window_starts_at_zero(database: Database) -> None:
    window = timedelta(seconds=0.4)
    with pytest.raises(TooManyRequestsError) as refused:  # noqa: PT012 - whichever crosses a border
        for _ in range(4):
            await rate_limits.take(database, "a", 1, 1, window)

    await asyncio.sleep(refused.value.retry_after.total_seconds() + 0.01)

    await rate_limits.take(database, "a", 1, 1, window)


async def test_rolled_back_call_is_not_counted(database: Database) -> None:
    with pytest.raises(ValueError, match="undone"):  # noqa: PT012 - the block is the transaction
        async with database.transaction() as tx:
            await rate_limits.take(tx, "a", 3, 3, DAY)
            raise ValueError("undone")

    assert await takes(database, "a", 3, 3)


async def test_old_counts_are_deleted(database: Database) -> None:
    await rate_limits.take(database, "new", 1, 1, DAY)
    async with database.transaction() as tx:
        await tx.execute(
            text("INSERT INTO rate_counts VALUES ('old', now() - interval '3 days', 1)")
        )

    async with database.transaction() as tx:
        await rows.forget(tx, timedelta(days=2))

    async with database.transaction() as tx:
        keys = (await tx.execute(text("SELECT key FROM rate_counts"))).scalars().all()
    assert keys == ["new"]
