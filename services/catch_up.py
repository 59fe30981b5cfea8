"""What the provider told us while we were away, fetched and applied as if it had come."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.absence import LIST_SKEW
from domain.inbound import InboundText, StatusReport
from domain.ports import Gateway, ListedMessage, ListedText, ProviderUnavailableError
from domain.rules import SendingRules
from services import proof
from services.callbacks import Callbacks
from services.inbound import Inbound
from storage import catch_up as rows
from storage import outcomes
from storage.database import Database

_logger = logging.getLogger(__name__)

OVERLAP = timedelta(hours=1)
"""How much of what was looked through is looked through again: a text may get listed late."""

PAGES = 25
LOOK_UPS = 100
SECOND_LOOKS = 20
AT_MOST = timedelta(minutes=1)
"""The most that one sweep fetches of each kind; the next one goes on."""

LOOK_UP_AT = (1, 6, 24, 72, 216, 432)
"""At which multiples of the first age a text without a final state is looked up: from 10 minutes to
three days. The provider gives up a text after 10 hours; later ``sent`` is the last word where a
carrier reports nothing."""

PERSISTENCE = 3
"""After so many failures in a row a list is begun anew, and a photo not to be had is given up."""

_RETRY_SECONDS = 2


class CatchUp:
    """Fetches what webhooks did not bring.

    Args:
        database: Where the rows are.
        gateway: The provider.
        inbound: Keeps and applies texts.
        callbacks: Applies status reports.
        rules: The timings.
    """

    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        inbound: Inbound,
        callbacks: Callbacks,
        rules: SendingRules,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._inbound = inbound
        self._callbacks = callbacks
        self._rules = rules
        self._ages = [rules.look_up_after * multiple for multiple in LOOK_UP_AT]
        self._missed = asyncio.Event()

    def missed(self) -> None:
        """Have texts looked for soon: we were away, or a webhook failed."""
        self._missed.set()

    async def run(self) -> None:
        """Note in the database, once it is there, that texts were missed; runs until cancelled."""
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                async with self._database.transaction() as tx:
                    await rows.missed(tx)
            except Exception as error:  # noqa: BLE001 - a background task's top
                _logger.warning("missed texts not noted", extra={"error": type(error).__name__})
                self._missed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def fetch_texts(self) -> int:
        """Fetch the texts whose webhook never came and apply them; answers how many there were.

        They are kept first, a page at a time, and then applied in the provider's order, as texts
        are whose effects failed; until then nothing is sent to their numbers.
        """
        async with self._database.transaction() as tx:
            progress = await rows.progress(tx)
        if progress.is_backing_off:
            return 0
        until = progress.reading_until or self._due_until(progress)
        if until is None:
            return 0
        since = min(progress.fetched_until, until) - OVERLAP
        started, page, fetched = time.monotonic(), progress.page, 0
        try:
            for _ in range(PAGES):
                found = await self._gateway.list_inbound(since, until, page)
                fetched += await self._keep(found.texts, progress)
                page = found.more
                async with self._database.transaction() as tx:
                    await rows.read(tx, until, page)
                if page is None or time.monotonic() - started > AT_MOST.total_seconds():
                    break
        except ProviderUnavailableError:
            await self._back_off(progress, "inbound texts")
        while await self._inbound.apply_kept():
            pass
        if fetched:
            _logger.warning("fetched texts whose webhook never came", extra={"texts": fetched})
        return fetched

    def _due_until(self, progress: rows.Progress) -> datetime | None:
        """Until when texts are to be fetched now; None if it is not time yet.

        The youngest are left to their webhooks, which say more: one may carry an ``OptOutType``.
        """
        until, done = progress.read_at - self._rules.webhooks_first, progress.fetched_until
        missed = progress.missed_until is not None and done < min(progress.missed_until, until)
        return until if missed or until - done >= self._rules.catch_up_every else None

    async def _keep(self, texts: Sequence[ListedText], progress: rows.Progress) -> int:
        """Keep those that did not come, oldest first; answers how many."""
        async with self._database.transaction() as tx:
            known = await rows.known_texts(tx, [text.sid for text in texts])
        new = [text for text in texts if text.sid not in known]
        for text in sorted(new, key=lambda text: text.sent_at):
            pictures = await self._pictures(text, progress.failures)
            await self._inbound.keep(_as_it_came(text, pictures, progress.read_at))
        return len(new)

    async def _pictures(self, text: ListedText, failures: int) -> Sequence[str]:
        """Find a text's pictures; a STOP does not wait for a photo for ever."""
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
        """Look up texts stuck before a final state; answers of how many it was news."""
        async with self._database.transaction() as tx:
            progress = await rows.progress(tx)
            stuck = await rows.unfinished(tx, self._ages, LOOK_UPS)
        if progress.is_backing_off:
            return 0
        started, news, answered, in_vain = time.monotonic(), 0, 0, 0
        for text in stuck:
            if time.monotonic() - started > AT_MOST.total_seconds():
                break
            try:
                message = await self._gateway.message(text.sid)
            except ProviderUnavailableError:
                in_vain += 1
                if in_vain > 1:
                    break
                continue  # one may be in trouble alone, and the others do not wait for it
            answered += 1
            if message is not None and message.status is not text.status:
                news += 1
                await self._callbacks.receive(_as_it_was_reported(text.attempt_id, message))
            ages = sum(age <= text.age for age in self._ages)
            async with self._database.transaction() as tx:
                await rows.looked_up(tx, text.attempt_id, ages if message else len(LOOK_UP_AT))
        if in_vain > 1 or (in_vain and not answered):
            await self._back_off(progress, "states of texts")
        return news

    async def look_for_absent(self) -> int:
        """Look once more for texts declared absent a while ago; answers how many are there.

        Nothing can be done about a text that was sent twice but to tell of it.
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
                await self._callbacks.receive(_as_it_was_reported(text.attempt_id, found))
            async with self._database.transaction() as tx:
                await rows.looked_up(tx, text.attempt_id, 1)
        return there

    async def _lost_one(
        self, attempt_id: UUID, listed: Sequence[ListedMessage]
    ) -> ListedMessage | None:
        """Find an absent attempt's text among those that were created at its time."""
        async with self._database.transaction() as tx:
            row = await outcomes.load(tx, attempt_id)
            if row is None:
                return None
            in_time = [one for one in listed if one.created_at <= row.call_before + LIST_SKEW]
            return await proof.the_one(tx, row, await proof.unclaimed(tx, row, in_time))

    async def _back_off(self, progress: rows.Progress, what: str) -> None:
        """Ask nothing for a while, longer each time, but no longer than if all were well."""
        wait = min(timedelta(minutes=2**progress.failures), self._rules.catch_up_every)
        _logger.warning("the provider does not tell %s; next try in %s", what, wait)
        async with self._database.transaction() as tx:
            afresh = progress.failures + 1 >= PERSISTENCE
            await rows.failed(tx, wait, afresh=afresh)


def _as_it_came(text: ListedText, pictures: Sequence[str], now: datetime) -> InboundText:
    """The text as its webhook would have told it.

    The provider dates it in whole seconds, downwards. It is taken for the end of its second: it may
    answer a text of ours of the same second.
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
    """A message's state as its status callback would have told it."""
    return StatusReport(
        sid=message.sid,
        status=message.status.value,
        error_code=message.error_code,
        attempt_id=attempt_id,
        from_phone=message.from_phone,
    )
