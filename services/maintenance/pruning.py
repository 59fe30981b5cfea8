"""Removing what nothing needs any more, a bounded number at a time."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from storage.access import sessions, sign_in_delays
from storage.event_webhooks import events
from storage.jobs import jobs
from storage.maintenance import sweep
from storage.messaging import backfill
from storage.platform import rate_limits
from storage.platform.database import Database, Transaction

KEYS_KEPT = timedelta(hours=24)
COUNTS_KEPT = timedelta(days=2)
"""How long counts of limited things, and sessions that are over, are kept; more than a window."""

EVENTS_KEPT = timedelta(days=30)
"""How long events are kept with their deliveries, whether or not those came about."""

REPORTS_KEPT = timedelta(days=30)
"""How long the provider's reports are kept once applied: longer than it repeats or sends any."""

STATES_SOUGHT = timedelta(days=30)
"""How long it is asked how a text ended: far longer than until it is due for the last time."""

AT_MOST = timedelta(seconds=10)
"""The most that one sweep takes for it; the next one goes on."""

_ROWS_AT_ONCE = 5_000
_JOBS_AT_ONCE = 5  # of up to a hundred thousand rows each


class Pruning:
    """Removes what is old, in transactions of their own; what is left comes the next time.

    Messages, attempts, timelines, suppressions and the audit log stay: they are the record.

    Args:
        database: Where it is.
        jobs_kept: How long jobs that have ended are kept with their results.
    """

    def __init__(self, database: Database, *, jobs_kept: timedelta) -> None:
        self._database = database
        self._jobs_kept = jobs_kept

    async def prune(self) -> int:
        """Remove what is old, until nothing is left or it takes too long; answers how much."""
        ends = time.monotonic() + AT_MOST.total_seconds()
        async with self._database.transaction() as tx:
            await sweep.forget_keys(tx, KEYS_KEPT)
            await rate_limits.forget(tx, COUNTS_KEPT)
            await sign_in_delays.forget(tx, COUNTS_KEPT)
            await sessions.forget(tx, COUNTS_KEPT)
            await backfill.forget_erased(tx, COUNTS_KEPT)
        left = list(self._batches())
        removed = 0
        while left:
            for batch in tuple(left):  # in turns, so that none keeps the others from theirs
                async with self._database.transaction() as tx:
                    count = await batch(tx)
                removed += count
                if not count:
                    left.remove(batch)
            if time.monotonic() > ends:
                break
        return removed

    def _batches(self) -> Sequence[Callable[[Transaction], Awaitable[int]]]:
        """Name what is removed batch by batch; each answers how much it was."""
        return (
            lambda tx: events.forget(tx, EVENTS_KEPT, _ROWS_AT_ONCE),
            lambda tx: jobs.forget(tx, self._jobs_kept, _JOBS_AT_ONCE),
            lambda tx: sweep.forget_reports(tx, REPORTS_KEPT, _ROWS_AT_ONCE),
            lambda tx: backfill.stop_looking(tx, STATES_SOUGHT, _ROWS_AT_ONCE),
        )
