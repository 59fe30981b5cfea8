"""Hands outbox entries to Temporal: after each commit that wrote some, and again by the sweep."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from storage.platform import outbox, pacing, starting, traces
from storage.platform.database import Database, Transaction
from storage.platform.outbox import Entry, OutboxKind
from storage.tables.platform import ParkedReason
from workflows.client import (
    DEFAULT_RATE,
    EnrollmentClient,
    TemporalRefusedError,
    TemporalUnavailableError,
)

_logger = logging.getLogger(__name__)

PAGE = 100
"""Entries delivered in one transaction, side by side; of one subject only the oldest."""

MOST_BROKEN_TRIES = 10
"""How often an entry may fail in our own code, which a deploy may fix, before it is parked."""

_MOST_BACKOFF = timedelta(minutes=1)

_PAUSE_SECONDS = 0.05
"""Between two drains, so that one serves many commits under load."""

_YIELD_SECONDS, _LONGEST_YIELD_SECONDS = 0.01, 1.0
"""How often to look whether the process is free, and how long to wait for that."""

_Fate = Literal["taken", "later"] | ParkedReason
"""An entry is with Temporal, tried again later, or parked for a person."""


class Outbox:
    """Drains the outbox table into Temporal."""

    def __init__(self, database: Database, temporal: EnrollmentClient) -> None:
        self._database = database
        self._temporal = temporal
        self._notified = asyncio.Event()
        self._slots = asyncio.Semaphore(20)

    def notify(self) -> None:
        """Wake the background drainer; each commit that wrote entries does."""
        self._notified.set()

    async def pace_all(self) -> None:
        """Ask for every sender to be paced by its rate, where this Temporal server differs.

        Raises:
            TemporalUnavailableError: Retryable.
        """
        async with self._database.transaction() as tx:
            rates = await pacing.texts_per_second(tx)
        wrong = await self._temporal.mispaced(rates)
        # Those without a weight first, because they make room for others.
        wrong = sorted(wrong, key=lambda one: rates.get(one, DEFAULT_RATE) != DEFAULT_RATE)
        async with self._database.transaction() as tx:
            await outbox.add_paces(tx, wrong)

    async def run(self, *, is_free: Callable[[], bool] = lambda: True) -> None:
        """Drain when notified, and every 15 s; runs until canceled.

        Before each page it waits until the process is free of more urgent work, but never longer
        than a second.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await self._notified.wait()
            self._notified.clear()
            try:
                await _until(is_free)
                while await self._drain_page():
                    await _until(is_free)
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - a background task's top
                _logger.warning("outbox not drained", extra={"error": type(error).__name__})
                await asyncio.sleep(1)

    async def sweep(self) -> int:
        """Unpark what an older build could not deliver, then drain."""
        async with self._database.transaction() as tx:
            await outbox.unpark_known(tx)
        return await self.drain()

    async def drain(self) -> int:
        """Deliver every due entry; return how many Temporal took.

        One that fails does not block others: it is postponed, or parked if retrying cannot help.
        """
        delivered = 0
        while fates := await self._drain_page():
            delivered += sum(fate == "taken" for fate in fates)
        return delivered

    async def _drain_page(self) -> Sequence[_Fate]:
        """Deliver the first due entries; return what became of each, nothing if none got on."""
        async with self._database.transaction() as tx:
            entries = await outbox.take(tx, PAGE)
            fates = await self._deliver_page(tx, entries) if entries else []
            return () if all(fate == "later" for fate in fates) else fates

    async def _deliver_page(self, tx: Transaction, entries: Sequence[Entry]) -> list[_Fate]:
        """Deliver entries side by side, and record the result of each."""
        facts = starting.Facts(
            await starting.new_enrollments(tx, _subjects(entries, OutboxKind.START_ENROLLMENT)),
            await starting.message_senders(tx, _subjects(entries, OutboxKind.START_MESSAGE)),
        )
        senders = _subjects(entries, OutboxKind.PACE_SENDER)
        rates = await pacing.texts_per_second(tx, senders) if senders else {}
        alike = await outbox.same_wakes(tx, _subjects(entries, OutboxKind.WAKE_EVENTS))
        paced = asyncio.ensure_future(
            self._pace({one: rates.get(one, DEFAULT_RATE) for one in senders})
        )
        fates = await asyncio.gather(*(self._deliver(entry, facts, paced) for entry in entries))
        await paced
        taken = {one.id for one, fate in zip(entries, fates, strict=True) if fate == "taken"}
        woken = {one.subject_id for one in entries if one.id in taken}
        covered = [entry_id for entry_id, endpoint_id in alike if endpoint_id in woken]
        await outbox.remove(tx, [*taken, *covered])
        for entry, fate in zip(entries, fates, strict=True):
            if fate == "later":
                backoff = min(timedelta(seconds=2 ** min(entry.tries, 6)), _MOST_BACKOFF)
                await outbox.postpone(tx, entry.id, backoff)
            elif isinstance(fate, ParkedReason):
                about = {"entry": entry.id, "subject": str(entry.subject_id), "reason": fate.value}
                _logger.error("an outbox entry is parked", extra=about)
                await outbox.park(tx, entry.id, fate)
        return fates

    async def _deliver(
        self, entry: Entry, facts: starting.Facts, paced: Awaitable[Mapping[UUID, _Fate]]
    ) -> _Fate:
        """Deliver one entry; all senders of a page are paced by one call."""
        if entry.kind is None:
            return ParkedReason.UNKNOWN_KIND
        if entry.kind is OutboxKind.PACE_SENDER:
            return (await paced)[entry.subject_id]
        about = {"kind": entry.kind, "tries": entry.tries}
        try:
            async with self._slots:
                with traces.resumed(entry.traceparent):
                    await self._hand_over(entry.kind, entry, facts)
        except TemporalUnavailableError as error:
            _logger.warning("Temporal did not take an entry", extra={**about, "error": str(error)})
            return "later"
        except TemporalRefusedError as error:
            _logger.warning("Temporal refused an entry", extra={**about, "error": str(error)})
            return ParkedReason.REFUSED
        except Exception:
            _logger.exception("an entry could not be handed over", extra=about)
            return "later" if entry.tries < MOST_BROKEN_TRIES else ParkedReason.BROKEN
        return "taken"

    async def _pace(self, rates: Mapping[UUID, float]) -> Mapping[UUID, _Fate]:
        """Pace senders in one call; if Temporal refuses, as many of them as it takes.

        The server persists these calls one by one, 0.1 s each as measured: a call for every sender,
        when a worker starts, delayed starts and signals.
        """
        if not rates:
            return {}
        try:
            await self._temporal.pace_senders(rates)
        except TemporalUnavailableError as error:
            _logger.warning("Temporal did not pace senders", extra={"error": str(error)})
            return dict.fromkeys(rates, "later")
        except TemporalRefusedError as error:
            if len(rates) == 1:
                _logger.warning("Temporal refused to pace a sender", extra={"error": str(error)})
                return dict.fromkeys(rates, ParkedReason.REFUSED)
            senders, middle = list(rates), len(rates) // 2
            halves = (senders[:middle], senders[middle:])
            first, second = [await self._pace({one: rates[one] for one in half}) for half in halves]
            return {**first, **second}
        except Exception:
            _logger.exception("senders could not be paced")
            return dict.fromkeys(rates, "later")
        return dict.fromkeys(rates, "taken")

    async def _hand_over(self, kind: OutboxKind, entry: Entry, facts: starting.Facts) -> None:
        match kind:
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
            case OutboxKind.WAKE_EVENTS:
                await self._temporal.wake_events(entry.subject_id)
            case OutboxKind.PACE_SENDER:
                pass  # ``_pace`` does


async def _until(is_free: Callable[[], bool]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_YIELD_SECONDS):
            while not is_free():  # noqa: ASYNC110 - many things make it free, and none tells
                await asyncio.sleep(_YIELD_SECONDS)


def _subjects(entries: Sequence[Entry], kind: OutboxKind) -> list[UUID]:
    return [entry.subject_id for entry in entries if entry.kind is kind]
