"""Removing what nothing needs any more, a bounded number at a time."""

from datetime import timedelta

from storage import catch_up, events, jobs, rates, sessions, sweeping, tries
from storage.database import Database

KEYS_KEPT = timedelta(hours=24)
COUNTS_KEPT = timedelta(days=2)
"""How long counts of limited things, and sessions that are over, are kept; more than a window."""

EVENTS_KEPT = timedelta(days=30)
"""How long events are kept with their deliveries, whether or not those came about."""

REPORTS_KEPT = timedelta(days=30)
"""How long the provider's reports are kept once applied: longer than it repeats or sends any."""

_ROWS_AT_ONCE = 10_000
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
        """Remove some of everything; answers how many events, jobs and reports."""
        async with self._database.transaction() as tx:
            await sweeping.forget_keys(tx, KEYS_KEPT)
            await rates.forget(tx, COUNTS_KEPT)
            await tries.forget(tx, COUNTS_KEPT)
            await sessions.forget(tx, COUNTS_KEPT)
            await catch_up.forget_erased(tx, COUNTS_KEPT)
        async with self._database.transaction() as tx:
            removed = await events.forget(tx, EVENTS_KEPT, _ROWS_AT_ONCE)
        async with self._database.transaction() as tx:
            removed += await jobs.forget(tx, self._jobs_kept, _JOBS_AT_ONCE)
        async with self._database.transaction() as tx:
            removed += await sweeping.forget_reports(tx, REPORTS_KEPT, _ROWS_AT_ONCE)
        return removed
