"""Deleting old rows, a bounded number at a time."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from storage.access import sessions, sign_in_delays
from storage.event_webhooks import endpoints, events
from storage.jobs import jobs
from storage.maintenance import sweep
from storage.messaging import backfill
from storage.platform import rate_limits
from storage.platform.database import Database, Transaction
from storage.sequences import media

KEYS_KEPT = timedelta(hours=24)
COUNTS_KEPT = timedelta(days=2)
"""How long rate-limit counts and ended sessions are kept; longer than any window."""

EVENTS_KEPT = timedelta(days=30)
"""How long events and their deliveries are kept, delivered or not."""

REPORTS_KEPT = timedelta(days=30)
"""How long applied delivery reports are kept; longer than the provider sends any."""

STATES_SOUGHT = timedelta(days=30)
"""How long the provider is asked for a text's final state; far longer than any retry."""

PICTURES_KEPT = timedelta(days=1)
"""How long a picture is kept that no text names: time to write the text."""

AT_MOST = timedelta(seconds=10)
"""Time limit within one sweep; the next one continues."""

_ROWS_AT_ONCE = 5_000
_PICTURES_AT_ONCE = 500
_JOBS_AT_ONCE = 5  # of up to a hundred thousand rows each


class Pruning:
    """Deletes old rows, each batch in its own transaction.

    Messages, attempts, timelines, suppressions and the audit log are kept: they are the record.
    """

    def __init__(self, database: Database, *, jobs_kept: timedelta) -> None:
        self._database = database
        self._jobs_kept = jobs_kept

    async def prune(self) -> int:
        """Delete until nothing is left or time is up, and count the rows."""
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
            for batch in tuple(left):  # in turns, so that none delays the others
                async with self._database.transaction() as tx:
                    count = await batch(tx)
                removed += count
                if not count:
                    left.remove(batch)
            if time.monotonic() > ends:
                break
        return removed

    def _batches(self) -> Sequence[Callable[[Transaction], Awaitable[int]]]:
        """List what is deleted in batches; each counts its rows."""
        return (
            lambda tx: events.forget(tx, EVENTS_KEPT, _ROWS_AT_ONCE),
            lambda tx: endpoints.forget_removed(tx, _ROWS_AT_ONCE),
            lambda tx: jobs.forget(tx, self._jobs_kept, _JOBS_AT_ONCE),
            lambda tx: sweep.forget_reports(tx, REPORTS_KEPT, _ROWS_AT_ONCE),
            lambda tx: backfill.stop_looking(tx, STATES_SOUGHT, _ROWS_AT_ONCE),
            lambda tx: media.forget(tx, PICTURES_KEPT, _PICTURES_AT_ONCE),
        )
