"""A sample of refused attempts for the audit log: who tries what, and how often."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

from services.access.sign_in_delays import network_of
from services.platform import audit
from services.platform.audit import Actor
from storage.platform.database import UNAVAILABLE_ERRORS, Database

_WINDOW = timedelta(hours=1).total_seconds()
_EACH = 10
"""How many of one kind, by one user or network address, are written in an hour; after them only the
100th, the 1,000th and so on."""

_POWERS = frozenset(10**digits for digits in range(2, 12))

_ALL = 1_000
"""Most that one process writes in an hour, however many addresses try."""

_CALLERS = 10_000
"""How many callers are counted apart; beyond that the one that was quiet longest is forgotten."""

_logger = logging.getLogger(__name__)


@dataclass
class _Count:
    """A count, and when its hour began."""

    since: float
    seen: int = 0


class Refusals:
    """Audits a bounded sample of refused attempts, however hard somebody tries.

    Counts are kept in this process's memory: a flood costs the database only its sample.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()
        self._written = _Count(clock())

    async def note(
        self,
        actor: Actor,
        action: str,
        *,
        user_ids: Sequence[UUID] = (),
        detail: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Audit a refused attempt if it belongs to the sample; without the database, not at all.

        ``user_ids`` are those whom it would have been as, or for. The hour's count is added to the
        detail, codes only, from the second attempt on.
        """
        seen = self._count(actor, action)
        if not self._is_of_the_sample(seen):
            return
        counted = {**detail, "count": seen} if seen > 1 else {**detail}
        try:
            with audit.acting(actor):
                async with self._database.transaction() as tx:
                    await audit.record(
                        tx, action, "user" if user_ids else None, user_ids, **counted
                    )
        except UNAVAILABLE_ERRORS:
            _logger.warning("a refused attempt is not in the audit log", extra={"action": action})

    def _count(self, actor: Actor, action: str) -> int:
        """Count an attempt; return the caller's refusals of this kind in this hour."""
        who = str(actor.user_id or "") or network_of(actor.address)
        now = self._clock()
        count = self._counts.pop((action, who), None)
        if count is None or now - count.since >= _WINDOW:
            count = _Count(now)
        count.seen += 1
        self._counts[action, who] = count
        if len(self._counts) > _CALLERS:
            self._counts.popitem(last=False)
        return count.seen

    def _is_of_the_sample(self, seen: int) -> bool:
        if seen > _EACH and seen not in _POWERS:
            return False
        now = self._clock()
        if now - self._written.since >= _WINDOW:
            self._written = _Count(now)
        self._written.seen += 1
        if self._written.seen == _ALL + 1:
            _logger.warning("the audit log takes no more refused attempts in this hour")
        return self._written.seen <= _ALL
