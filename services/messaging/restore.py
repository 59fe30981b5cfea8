"""After a restore: hold enrollments that the provider may have texted since the backup."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.messaging.ports import ListedMessage, SentLists
from domain.platform.errors import SegueError
from domain.statuses.messaging import MessageStatus
from storage.enrollments import enrollments
from storage.messaging import restore
from storage.platform.database import Database
from storage.platform.locks import lock_numbers

MARGIN = timedelta(hours=1)
"""How long before the last text that the backup knows the provider's list is read from: the clocks
of the two need not agree."""

_NEVER_SENT = frozenset({MessageStatus.FAILED, MessageStatus.CANCELED})

_REDACTED = "X"
"""What the provider puts in place of the last digits of a number that is redacted."""


class NothingRestoredError(SegueError):
    """The database tells of no moment to begin at."""

    code = "nothing_restored"

    def __init__(self) -> None:
        super().__init__(
            "there is nothing in this database that says when its backup was made;"
            " give the moment with --since"
        )


@dataclass(frozen=True)
class Reconciled:
    """Counts of what was found and done.

    Attributes:
        since: From when on the provider's list was read, UTC.
        texts: Outbound texts in it that may have gone out.
        unknown: Those of them that no row knows.
        held: Enrollments that were held.
        one_offs: One-off texts that were canceled.
        jobs: Jobs that were canceled.
        unexplained: Unknown texts that no active enrollment with a step left explains.
    """

    since: datetime
    texts: int
    unknown: int
    held: int
    one_offs: int
    jobs: int
    unexplained: Sequence[ListedMessage]


class Reconciling:
    """Compares the provider's list with restored rows, before any worker starts.

    ``say`` gets a line at a time about the progress: ids and counts, nothing personal.
    """

    def __init__(self, database: Database, provider: SentLists, say: Callable[[str], None]) -> None:
        self._database = database
        self._provider = provider
        self._say = say

    async def run(self, since: datetime | None = None) -> Reconciled:
        """Hold every enrollment whose next text may be one that the rows do not know.

        Each number has a transaction of its own, so this may be interrupted and run again: what
        one run has recorded, the next one knows. ``since`` is when the backup was made; if left
        out, when the last text that the rows know went out.

        Raises:
            NothingRestoredError: There is no such moment.
            ProviderUnavailableError: The provider's list could not be had; none was held yet.
        """
        async with self._database.transaction() as tx:
            known = since or await restore.last_known(tx)
            numbers = await restore.own_numbers(tx)
        if known is None:
            raise NothingRestoredError
        begin = known - MARGIN
        texts = 0
        unknown: dict[str, ListedMessage] = {}
        for number in numbers:
            async for found in self._pages(begin, number):
                texts += len(found)
                async with self._database.transaction() as tx:
                    sids = await restore.known_sids(tx, [text.sid for text in found])
                unknown |= {text.sid: text for text in found if text.sid not in sids}
                self._say(f"read {texts} texts, {len(unknown)} of them unknown")
        by_number: dict[str, list[ListedMessage]] = defaultdict(list)
        in_order = sorted(unknown.values(), key=lambda text: (text.created_at, text.sid))
        for text in in_order:
            for phone in await self._numbers_of(text):
                by_number[phone].append(text)
        held, one_offs = 0, 0
        explained: set[str] = set()
        for phone, sent in by_number.items():
            sids, more_held, canceled = await self._hold(phone, sent)
            explained |= sids
            held, one_offs = held + more_held, one_offs + canceled
        async with self._database.transaction() as tx:
            jobs = await restore.cancel_jobs(tx)
        unexplained = [text for text in in_order if text.sid not in explained]
        return Reconciled(begin, texts, len(unknown), held, one_offs, jobs, unexplained)

    async def _pages(
        self, since: datetime, number: str | None
    ) -> AsyncIterator[Sequence[ListedMessage]]:
        """Read a list to its end; texts that the provider says never went out are left out."""
        page: str | None = None
        while True:
            found = await self._provider.list_sent(since, page, from_phone=number)
            yield [text for text in found.texts if text.status not in _NEVER_SENT]
            page = found.more
            if page is None:
                return

    async def _numbers_of(self, text: ListedMessage) -> Sequence[str]:
        """Tell to which of our contacts' numbers a text may have gone."""
        if not text.to.endswith(_REDACTED):
            return [text.to]
        async with self._database.transaction() as tx:
            return await restore.numbers_like(tx, text.to.rstrip(_REDACTED))

    async def _hold(self, phone: str, sent: Sequence[ListedMessage]) -> tuple[set[str], int, int]:
        """Hold the enrollments of a number; return what explains which texts, and how many."""
        explained: set[str] = set()
        held = 0
        async with self._database.transaction() as tx:
            await lock_numbers(tx, [phone])
            canceled = await restore.cancel_one_offs(tx, phone)
            for one in await restore.lock_enrollments(tx, phone):
                own = [text for text in sent if _may_be_from(text, one.sender_phone)]
                if not own:
                    continue
                steps = range(one.position, one.step_count + 1)
                for step, text in zip(steps, own, strict=False):
                    await restore.assume_attempt(tx, one, step, phone, text)
                sids = [text.sid for text in own]
                await enrollments.hold_restored(tx, one.id, sids, at=one.read_at)
                explained |= set(sids)
                held += 1
                self._say(f"held {one.id}, step {one.position} on: {' '.join(sids)}")
        return explained, held, canceled


def _may_be_from(text: ListedMessage, sender_phone: str | None) -> bool:
    """Whether a sender may have sent it: the numbers of a Messaging Service are not known."""
    return sender_phone is None or text.from_phone in {None, sender_phone}
