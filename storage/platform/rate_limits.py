"""Queries about the counts of rate limits."""

from datetime import timedelta

from storage.platform.database import Transaction


async def take(
    tx: Transaction, key: str, cost: int, most: int, window: timedelta
) -> timedelta | None:
    """Count in the present window; return how long it still lasts if that is too many."""
    seconds = window.total_seconds()
    sql = """
        INSERT INTO rate_counts AS counted (key, window_start, count)
        SELECT :key, to_timestamp(
            floor(extract(epoch FROM clock_timestamp()) / :seconds) * :seconds
        ), :cost
        WHERE :cost <= :most
        ON CONFLICT (key, window_start) DO UPDATE
        SET count = counted.count + excluded.count
        WHERE counted.count + excluded.count <= :most
    """
    if await tx.count(sql, key=key, seconds=seconds, cost=cost, most=most):
        return None
    sql = """
        SELECT CAST(:seconds AS numeric)
        - mod(extract(epoch FROM clock_timestamp()), CAST(:seconds AS numeric))
    """
    return timedelta(seconds=await tx.value(float, sql, seconds=seconds) or 0)


async def forget(tx: Transaction, age: timedelta) -> None:
    """Remove counts of windows that began this long ago."""
    await tx.run("DELETE FROM rate_counts WHERE window_start < now() - :age", age=age)
