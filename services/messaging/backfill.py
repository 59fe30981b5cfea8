"""Fetch what webhooks did not bring, and apply it as if they had."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.messaging.absence import LIST_SKEW, find_text, unclaimed
from domain.messaging.inbound import InboundText, StatusReport
from domain.messaging.ports import (
    Gateway,
    ListedMessage,
    ListedText,
    ListPage,
    ProviderUnavailableError,
)
from domain.platform.rules import SendingRules
from services.messaging.inbound import Inbound
from services.messaging.status_callbacks import StatusCallbacks
from storage.messaging import attempts
from storage.messaging import backfill as rows
from storage.platform.database import Database

_logger = logging.getLogger(__name__)

OVERLAP = timedelta(hours=1)
"""How much of what was looked through is looked through again: a text may get listed late."""

LISTS_AT_ONCE = 4
"""Lists of inbound texts that are read side by side; the gateway has a thread for each."""

LOOK_UPS = 500
"""How many texts are read at a time to be looked up, until none is left or it takes too long."""

KEPT_TOGETHER = 50
"""Texts that are kept in one transaction, which holds the locks of their numbers."""

SIDE_BY_SIDE = 16
"""Look-ups under way at the same time. Where each takes 160 ms they are a hundred a second, twice
what fifty texts a second need while no report comes through at all."""

_WRITES_SIDE_BY_SIDE = 4
"""Of these, how many are written down at the same time: sends need the connections."""

SECOND_LOOKS = 20
AT_MOST = timedelta(minutes=1)
"""How long one sweep fetches of each kind; the next one goes on."""

LOOK_UP_AT = (1, 6, 24, 72, 216, 432)
"""At which multiples of the first age a text without a final state is looked up: from 10 minutes to
three days. The provider gives up a text after 10 hours; later ``sent`` is the last word where a
carrier reports nothing."""

PERSISTENCE = 3
"""After so many failures in a row a list is begun anew, and a photo not to be had is given up."""

_IN_VAIN = 2
"""After so many questions in vain, and none that was answered, the provider is left alone."""

_NOTE_SECONDS = 2
"""Between two notes of missed texts: in a burst many are refused."""


@dataclass
class _Round:
    """What one sweep does about inbound texts.

    Attributes:
        lists: Those that are due and not begun, the one furthest behind first.
        ends_at: By the monotonic clock: no page is asked for later.
        seen: The ids of texts being kept: the account's list has those of numbers of ours too.
    """

    lists: deque[rows.TextList]
    ends_at: float
    seen: set[str] = field(default_factory=set)
    fetched: int = 0
    answered: int = 0
    in_vain: int = 0

    @property
    def is_over(self) -> bool:
        in_trouble = self.in_vain >= _IN_VAIN and not self.answered
        return in_trouble or time.monotonic() > self.ends_at


class Backfill:
    """Fetches what webhooks did not bring."""

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        inbound: Inbound,
        status_callbacks: StatusCallbacks,
        rules: SendingRules,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._inbound = inbound
        self._status_callbacks = status_callbacks
        self._rules = rules
        self._ages = [rules.look_up_after * multiple for multiple in LOOK_UP_AT]
        self._missed = asyncio.Event()
        self._writes = asyncio.Semaphore(_WRITES_SIDE_BY_SIDE)

    def missed(self) -> None:
        """Fetch texts soon: we were away, or a webhook failed."""
        self._missed.set()

    async def run(self) -> None:
        """Note in the database, once it is there, that texts were missed; runs until canceled."""
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                async with self._database.transaction() as tx:
                    await rows.missed(tx)
            except Exception as error:  # noqa: BLE001 - a background task's top
                _logger.warning("missed texts not noted", extra={"error": type(error).__name__})
                self._missed.set()
            await asyncio.sleep(_NOTE_SECONDS)

    async def fetch_texts(self) -> int:
        """Fetch the texts whose webhook never came and apply them; return how many there were.

        Each number of ours has a list of its own, which outbound texts do not fill; numbers of a
        Messaging Service, which are not known, share the account's. Texts are kept first, a page at
        a time, and then applied in the provider's order, as texts are whose effects failed; until
        then nothing is sent to their numbers. A list that is not at its end when the time of a
        sweep is over goes on there with the next.
        """
        async with self._database.transaction() as tx:
            missed_until = (await rows.progress(tx)).missed_until
            lists = await rows.text_lists(tx)
        due = [
            one
            for one in lists
            if not one.is_backing_off and self._due_until(one, missed_until) is not None
        ]
        round_ = _Round(deque(due), time.monotonic() + AT_MOST.total_seconds())
        async with asyncio.TaskGroup() as reading:
            for _ in range(LISTS_AT_ONCE):
                reading.create_task(self._read_lists(round_, missed_until))
        async with self._database.transaction() as tx:
            await rows.all_read(tx)
        while await self._inbound.apply_kept():
            pass
        if round_.fetched:
            _logger.warning(
                "fetched texts whose webhook never came", extra={"texts": round_.fetched}
            )
        return round_.fetched

    async def fetch_all_texts(self) -> int:
        """Fetch texts until every list was read to its end; return how many there were.

        Raises:
            ProviderUnavailableError: A list could not be had; what was fetched has its effect.
        """
        fetched = 0
        while True:
            fetched += await self.fetch_texts()
            async with self._database.transaction() as tx:
                missed_until = (await rows.progress(tx)).missed_until
                lists = await rows.text_lists(tx)
            left = [one for one in lists if self._due_until(one, missed_until) is not None]
            if not left:
                return fetched
            if any(one.is_backing_off for one in left):
                raise ProviderUnavailableError("inbound texts are not fetched to their end")

    async def _read_lists(self, round_: _Round, missed_until: datetime | None) -> None:
        """Read one list after the other, each to its end, as long as there is time."""
        while round_.lists and not round_.is_over:
            one: rows.TextList | None = round_.lists.popleft()
            while one is not None and not round_.is_over:
                until = self._due_until(one, missed_until)
                one = None if until is None else await self._read_page(one, until, round_)

    async def _read_page(
        self, one: rows.TextList, until: datetime, round_: _Round
    ) -> rows.TextList | None:
        """Read the next page of a list; None if there is none to be had now."""
        since = min(one.fetched_until, until) - OVERLAP
        page: ListPage[ListedText] | None = None
        try:
            page = await self._gateway.list_inbound(since, until, one.page, to=one.phone)
            kept = await self._keep(page.texts, one, round_.seen)
        except ProviderUnavailableError:
            round_.in_vain += 1
            wait = self._wait(one.failures, "inbound texts")
            # A page of which only a picture is missing is asked for again: begun anew, the pages
            # before it would reset its count of failures each time.
            afresh = page is None and one.failures + 1 >= PERSISTENCE
            async with self._database.transaction() as tx:
                await rows.list_failed(tx, one, wait, afresh=afresh)
            return None
        round_.fetched += kept
        round_.answered += 1
        async with self._database.transaction() as tx:
            read = await rows.read(tx, one, until, page.more)
        return read if page.more is not None else None

    def _due_until(self, one: rows.TextList, missed_until: datetime | None) -> datetime | None:
        """Return until when a list is to be read now; None if it is not time yet.

        The youngest are left to their webhooks, which say more: one may carry an ``OptOutType``.
        One that was read up to a moment that has not come is read again from now: the database's
        clock went back.
        """
        if one.reading_until is not None:
            return one.reading_until
        until, done = one.read_at - self._rules.webhooks_first, one.fetched_until
        missed = missed_until is not None and done < min(missed_until, until)
        return until if missed or abs(until - done) >= self._rules.catch_up_every else None

    async def _keep(self, texts: Sequence[ListedText], one: rows.TextList, seen: set[str]) -> int:
        """Keep those that did not come, oldest first; return how many."""
        async with self._database.transaction() as tx:
            known = await rows.known_texts(tx, [text.sid for text in texts])
        new = [text for text in texts if text.sid not in known | seen]
        seen |= {text.sid for text in new}
        came = list[InboundText]()
        try:
            for text in sorted(new, key=lambda text: text.sent_at):
                pictures = await self._pictures(text, one.failures)
                came.append(_as_it_came(text, pictures, one.read_at))
        finally:
            for start in range(0, len(came), KEPT_TOGETHER):
                await self._inbound.keep(came[start : start + KEPT_TOGETHER])
        return len(new)

    async def _pictures(self, text: ListedText, failures: int) -> Sequence[str]:
        """Find a text's pictures; a STOP does not wait for a photo forever."""
        if not text.pictures:
            return ()
        try:
            return await self._gateway.pictures(text.sid)
        except ProviderUnavailableError:
            if failures < PERSISTENCE:
                raise
            _logger.warning("text kept without its pictures", extra={"sid": text.sid})
            return ()

    async def fetch_reports(self) -> int:
        """Look up texts stuck before a final state; return for how many that was news."""
        async with self._database.transaction() as tx:
            progress = await rows.progress(tx)
        if progress.is_backing_off:
            return 0
        ends, news, asked = time.monotonic() + AT_MOST.total_seconds(), 0, set[UUID]()
        while True:
            async with self._database.transaction() as tx:
                found = await rows.unfinished(tx, self._ages, LOOK_UPS)
            stuck = [text for text in found if text.attempt_id not in asked]
            for group in _grouped(stuck):
                asked |= {text.attempt_id for text in group}
                answers = await asyncio.gather(*map(self._look_up, group))
                news += sum(answer is True for answer in answers)
                in_vain = answers.count(None)
                # One may be in trouble alone, and the others do not wait for it.
                if in_vain > len(group) - in_vain:
                    wait = self._wait(progress.failures, "states of texts")
                    async with self._database.transaction() as tx:
                        await rows.failed(tx, wait)
                    return news
                if time.monotonic() > ends:
                    return news
            if not stuck or len(found) < LOOK_UPS:
                return news

    async def _look_up(self, text: rows.Unfinished) -> bool | None:
        """Ask how one text ended; return whether it was news, None if it could not be asked."""
        try:
            message = await self._gateway.message(text.sid)
        except ProviderUnavailableError:
            return None
        is_news = message is not None and message.status is not text.status
        ages = sum(age <= text.age for age in self._ages)
        async with self._writes:
            if message is not None and is_news:
                await self._status_callbacks.receive(_as_it_was_reported(text.attempt_id, message))
            async with self._database.transaction() as tx:
                await rows.looked_up(tx, text.attempt_id, ages if message else len(LOOK_UP_AT))
        return is_news

    async def look_for_absent(self) -> int:
        """Look once more for texts declared absent a while ago; return how many are there.

        Nothing can be done about a text that was sent twice except to report it.
        """
        there = 0
        async with self._database.transaction() as tx:
            progress = await rows.progress(tx)
            absent = await rows.absent(tx, self._rules.look_up_after, SECOND_LOOKS)
        if progress.is_backing_off:
            return 0
        for text in absent:
            try:
                listed = await self._gateway.list_outbound(text.phone, text.list_from)
            except ProviderUnavailableError:
                break  # the next sweep asks again
            found = await self._lost_one(text.attempt_id, listed)
            if found is not None:
                there += 1
                await self._status_callbacks.receive(_as_it_was_reported(text.attempt_id, found))
            async with self._database.transaction() as tx:
                await rows.looked_up(tx, text.attempt_id, 1)
        return there

    async def _lost_one(
        self, attempt_id: UUID, listed: Sequence[ListedMessage]
    ) -> ListedMessage | None:
        """Find an absent attempt's text among those that were created at its time."""
        async with self._database.transaction() as tx:
            loaded = await attempts.load(tx, attempt_id)
            if loaded is None:
                return None
            attempt, _ = loaded
            until = attempt.call_before + LIST_SKEW
            in_time = [one for one in listed if one.created_at <= until]
            claimed = await attempts.claimed(tx, [one.sid for one in in_time], attempt.id)
            texts = unclaimed(attempt, in_time, claimed)
            return find_text(attempt, texts, await attempts.rivals(tx, attempt))

    def _wait(self, failures: int, what: str) -> timedelta:
        """Return how long to ask nothing: longer each time, at most the usual distance."""
        wait = min(timedelta(minutes=2**failures), self._rules.catch_up_every)
        _logger.warning("could not fetch %s from the provider; next try in %s", what, wait)
        return wait


def _grouped(texts: Sequence[rows.Unfinished]) -> Iterator[Sequence[rows.Unfinished]]:
    for start in range(0, len(texts), SIDE_BY_SIDE):
        yield texts[start : start + SIDE_BY_SIDE]


def _as_it_came(text: ListedText, pictures: Sequence[str], now: datetime) -> InboundText:
    """Write a text as its webhook would have.

    The provider dates it in whole seconds, rounded down. It counts from the end of its second: it
    may answer a text of ours of the same second.
    """
    end_of_second = text.sent_at.replace(microsecond=999_999)
    return InboundText(
        sid=text.sid,
        phone=text.phone,
        to=text.to,
        messaging_service_sid=text.messaging_service_sid,
        body=text.body,
        media_urls=tuple(pictures),
        opt_out_type=None,
        occurred_at=min(end_of_second, now),
        payload={"DateSent": text.sent_at.isoformat()},
        fetched=True,
    )


def _as_it_was_reported(attempt_id: UUID, message: ListedMessage) -> StatusReport:
    """Write a message's state as its status callback would have."""
    return StatusReport(
        sid=message.sid,
        status=message.status.value,
        error_code=message.error_code,
        attempt_id=attempt_id,
        from_phone=message.from_phone,
    )
