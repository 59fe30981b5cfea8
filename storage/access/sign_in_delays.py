"""Queries about wrong tries in one span of time, those under way included."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from storage.platform.database import Transaction


class Tries(NamedTuple):
    """Tries of one kind: how many went wrong or are under way, and when the next may begin."""

    wrong: int = 0
    next_at: datetime | None = None


async def lock(
    tx: Transaction, keys: Sequence[str], window: timedelta
) -> tuple[datetime, Mapping[str, Tries]]:
    """Lock counts, in one order for all callers; return the time of locking, and each count.

    A span of ``window`` begins with the first try after the end of the one before.
    """
    ordered = sorted(keys)
    added = (
        "INSERT INTO wrong_tries (key) SELECT unnest(CAST(:keys AS text[])) ON CONFLICT DO NOTHING"
    )
    await tx.run(added, keys=ordered)
    sql = """
        SELECT key, wrong, next_at, since FROM wrong_tries
        WHERE key = ANY(:keys) ORDER BY key FOR UPDATE
    """
    found = (await tx.run(sql, keys=ordered)).all()
    now: datetime = (await tx.run("SELECT clock_timestamp()")).scalar_one()
    kept = {row.key: Tries(row.wrong, row.next_at) for row in found if row.since > now - window}
    return now, {key: kept.get(key, Tries()) for key in ordered}


async def write(
    tx: Transaction, tries: Mapping[str, Tries], now: datetime, window: timedelta
) -> None:
    """Write counts, in the current span or a new one."""
    sql = """
        INSERT INTO wrong_tries AS kept (key, wrong, next_at, since)
        SELECT key, wrong, next_at, :now FROM unnest(
            CAST(:keys AS text[]), CAST(:wrong AS int[]), CAST(:next AS timestamptz[])
        ) AS given(key, wrong, next_at)
        ON CONFLICT (key) DO UPDATE
        SET wrong = excluded.wrong, next_at = excluded.next_at,
            since = CASE WHEN kept.since > :now - CAST(:window AS interval)
                THEN kept.since ELSE excluded.since END
    """
    await tx.run(
        sql,
        keys=list(tries),
        wrong=[one.wrong for one in tries.values()],
        next=[one.next_at for one in tries.values()],
        now=now,
        window=window,
    )


async def forget(tx: Transaction, age: timedelta) -> None:
    """Remove spans that began this long ago."""
    await tx.run("DELETE FROM wrong_tries WHERE since < now() - :age", age=age)
