"""Queries about tries that went wrong in one span of time, those under way among them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text

from storage.platform.database import Transaction


class Tries(NamedTuple):
    """How tries of one kind stand.

    Attributes:
        wrong: How many went wrong or are under way.
        next_at: Before when none may begin; None if that was never said.
    """

    wrong: int = 0
    next_at: datetime | None = None


async def lock(
    tx: Transaction, keys: Sequence[str], window: timedelta
) -> tuple[datetime, Mapping[str, Tries]]:
    """Lock how tries stand until the transaction ends.

    Args:
        tx: The transaction.
        keys: Which; every caller's are locked in the same order.
        window: How long a span is; one begins with the first try after the last one's end.

    Returns:
        The moment they were locked at, and how each stands.
    """
    ordered = sorted(keys)
    await tx.execute(
        text(
            "INSERT INTO wrong_tries (key) SELECT unnest(CAST(:keys AS text[]))"
            " ON CONFLICT (key) DO NOTHING"
        ),
        {"keys": ordered},
    )
    rows = await tx.execute(
        text(
            "SELECT key, wrong, next_at, since FROM wrong_tries"
            " WHERE key = ANY(:keys) ORDER BY key FOR UPDATE"
        ),
        {"keys": ordered},
    )
    found = rows.all()
    now: datetime = (await tx.execute(text("SELECT clock_timestamp()"))).scalar_one()
    kept = {row.key: Tries(row.wrong, row.next_at) for row in found if row.since > now - window}
    return now, {key: kept.get(key, Tries()) for key in ordered}


async def write(
    tx: Transaction, tries: Mapping[str, Tries], now: datetime, window: timedelta
) -> None:
    """Write down how tries stand now, in the span under way or else one that begins."""
    await tx.execute(
        text(
            """
            INSERT INTO wrong_tries AS kept (key, wrong, next_at, since)
            SELECT key, wrong, next_at, :now FROM unnest(
                CAST(:keys AS text[]), CAST(:wrong AS int[]), CAST(:next AS timestamptz[])
            ) AS given(key, wrong, next_at)
            ON CONFLICT (key) DO UPDATE
            SET wrong = excluded.wrong, next_at = excluded.next_at,
                since = CASE WHEN kept.since > :now - CAST(:window AS interval)
                    THEN kept.since ELSE excluded.since END
            """
        ),
        {
            "keys": list(tries),
            "wrong": [one.wrong for one in tries.values()],
            "next": [one.next_at for one in tries.values()],
            "now": now,
            "window": window,
        },
    )


async def forget(tx: Transaction, age: timedelta) -> None:
    """Drop spans that began this long ago."""
    await tx.execute(text("DELETE FROM wrong_tries WHERE since < now() - :age"), {"age": age})
