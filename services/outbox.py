"""Hands outbox entries to Temporal: at once when kicked, and again by the sweep."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from storage import outbox, starting, traces
from storage.database import Database
from storage.outbox import Entry, OutboxKind
from workflows.client import EnrollmentClient, TemporalUnavailableError

_logger = logging.getLogger(__name__)

PAGE = 100
"""Entries handed over in one transaction, side by side; of one subject only the oldest."""

_MOST_BACKOFF = timedelta(minutes=1)

_BREATH_SECONDS = 0.05
"""Between two drains: under load, one serves the kicks of many."""


class Outbox:
    """Drains the outbox table.

    Args:
        database: Where the entries are.
        temporal: Where they go.
    """

    def __init__(self, database: Database, temporal: EnrollmentClient) -> None:
        self._database = database
        self._temporal = temporal
        self._kicked = asyncio.Event()
        self._slots = asyncio.Semaphore(20)

    def kick(self) -> None:
        """Have the background drainer look now; call it after the commit."""
        self._kicked.set()

    async def pace_all(self) -> None:
        """Have every sender paced as its rate says, on whichever server this is."""
        async with self._database.transaction() as tx:
            await outbox.add_all_paces(tx)
        self.kick()

    async def run(self) -> None:
        """Drain whenever kicked, and once a while without; runs until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await self._kicked.wait()
            self._kicked.clear()
            try:
                await self.drain()
                await asyncio.sleep(_BREATH_SECONDS)
            except Exception as error:  # noqa: BLE001 - a background task's top
                _logger.warning("outbox not drained", extra={"error": type(error).__name__})
                await asyncio.sleep(1)

    async def drain(self) -> int:
        """Hand over every entry that is due; answers how many Temporal took."""
        delivered = 0
        while True:
            async with self._database.transaction() as tx:
                entries = await outbox.take(tx, PAGE)
                if not entries:
                    return delivered
                new = await starting.new_enrollments(
                    tx,
                    [e.subject_id for e in entries if e.kind is OutboxKind.START_ENROLLMENT],
                )
                messages = await starting.message_senders(
                    tx, [e.subject_id for e in entries if e.kind is OutboxKind.START_MESSAGE]
                )
                paces = await starting.paces(
                    tx, [e.subject_id for e in entries if e.kind is OutboxKind.PACE_SENDER]
                )
                wakes = {e.id: e.subject_id for e in entries if e.kind is OutboxKind.WAKE_EVENTS}
                alike = await outbox.same_wakes(tx, list(wakes.values()))
                facts = starting.Facts(new, messages)
                pacing = asyncio.ensure_future(self._pace(paces))
                took = await asyncio.gather(
                    *(
                        pacing
                        if entry.kind is OutboxKind.PACE_SENDER
                        else self._deliver(entry, facts)
                        for entry in entries
                    )
                )
                await pacing
                taken = [entry.id for entry, done in zip(entries, took, strict=True) if done]
                woken = {wakes[entry_id] for entry_id in taken if entry_id in wakes}
                covered = [one for one, endpoint_id in alike if endpoint_id in woken]
                await outbox.remove(tx, [*taken, *covered])
                for entry, done in zip(entries, took, strict=True):
                    if not done:
                        backoff = min(timedelta(seconds=2 ** min(entry.tries, 6)), _MOST_BACKOFF)
                        await outbox.postpone(tx, [entry.id], backoff)
                delivered += len(taken)
                if not taken:
                    return delivered

    async def _deliver(self, entry: Entry, facts: starting.Facts) -> bool:
        """Hand over one entry; False if Temporal did not take it."""
        try:
            async with self._slots:
                with traces.resumed(entry.traceparent):
                    await self._hand_over(entry, facts)
        except TemporalUnavailableError as error:
            _logger.warning(
                "Temporal did not take an entry",
                extra={"kind": entry.kind, "tries": entry.tries, "error": str(error)},
            )
            return False
        return True

    async def _pace(self, paces: Mapping[UUID, float]) -> bool:
        """Pace senders in one call; False if Temporal did not take it.

        The server writes each such call down one after the other, 0.1 s each where it was measured:
        a call for every sender, as a worker starts, held up what was to be started and signalled.
        """
        try:
            if paces:
                await self._temporal.pace_senders(paces)
        except TemporalUnavailableError as error:
            _logger.warning("Temporal did not pace senders", extra={"error": str(error)})
            return False
        return True

    async def _hand_over(self, entry: Entry, facts: starting.Facts) -> None:
        match entry.kind:
            case OutboxKind.START_ENROLLMENT:
                if entry.subject_id in facts.enrollments:
                    await self._temporal.start_enrollment(facts.enrollments[entry.subject_id])
            case OutboxKind.SIGNAL_ENROLLMENT:
                await self._temporal.signal_enrollment(
                    entry.subject_id, entry.payload["signal"], entry.payload["status"]
                )
            case OutboxKind.START_MESSAGE:
                if entry.subject_id in facts.messages:
                    await self._temporal.start_message(
                        entry.subject_id, facts.messages[entry.subject_id]
                    )
            case OutboxKind.START_JOB:
                await self._temporal.start_job(entry.subject_id)
            case OutboxKind.PACE_SENDER:
                pass  # all of a page are paced by one call
            case OutboxKind.WAKE_EVENTS:
                await self._temporal.wake_events(entry.subject_id)
