"""Hands outbox entries to Temporal: at once when kicked, and again by the sweep."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from storage import outbox, starting
from storage.database import Database
from storage.outbox import Entry, OutboxKind
from workflows.client import EnrollmentClient, TemporalUnavailableError

_logger = logging.getLogger(__name__)

PAGE = 100
"""Entries handed over in one transaction, side by side."""

_MOST_BACKOFF = timedelta(minutes=1)


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
                subjects = [
                    list(group)
                    for _, group in groupby(
                        sorted(entries, key=lambda entry: (str(entry.subject_id), entry.id)),
                        key=attrgetter("subject_id"),
                    )
                ]
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
                facts = starting.Facts(new, messages, paces)
                done = await asyncio.gather(*(self._deliver(group, facts) for group in subjects))
                taken = [entry_id for ids in done for entry_id in ids]
                await outbox.remove(tx, taken)
                left = [entry for entry in entries if entry.id not in set(taken)]
                for entry in left:
                    backoff = min(timedelta(seconds=2 ** min(entry.tries, 6)), _MOST_BACKOFF)
                    await outbox.postpone(tx, [entry.id], backoff)
                delivered += len(taken)
                if not taken:
                    return delivered

    async def _deliver(self, entries: Sequence[Entry], facts: starting.Facts) -> list[int]:
        """Hand over one subject's entries in order; stops at the first that Temporal refused."""
        taken: list[int] = []
        for entry in entries:
            try:
                async with self._slots:
                    await self._hand_over(entry, facts)
            except TemporalUnavailableError as error:
                _logger.warning(
                    "Temporal did not take an entry",
                    extra={"kind": entry.kind, "tries": entry.tries, "error": str(error)},
                )
                return taken
            taken.append(entry.id)
        return taken

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
            case OutboxKind.PACE_SENDER:
                if entry.subject_id in facts.paces:
                    await self._temporal.pace_sender(
                        entry.subject_id, facts.paces[entry.subject_id]
                    )
