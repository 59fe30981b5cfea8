"""Delivery reports: stored once, applied in any order."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from domain.messaging.inbound import StatusReport
from domain.platform.rules import SendingRules
from services.messaging.applying import learn
from services.platform.group_commit import GroupCommit, GroupLimits
from storage.messaging import attempts, inbound
from storage.messaging.attempts import Loaded
from storage.platform.database import Database, Transaction, is_unavailable

LIMITS = GroupLimits(together=1, at_once=6)
"""Each report has a transaction of its own: what it locks depends on what it says."""

_logger = logging.getLogger(__name__)


class StatusCallbacks:
    """Stores the provider's delivery reports, and applies them; ``limits`` of how many at once."""

    def __init__(
        self, database: Database, rules: SendingRules, limits: GroupLimits | None = None
    ) -> None:
        self._database = database
        self._rules = rules
        self._queue = GroupCommit(self._receive, self._alone, lambda one: one.sid, limits or LIMITS)

    @property
    def is_full(self) -> bool:
        """Whether ``receive`` would refuse."""
        return self._queue.is_full

    async def receive(self, report: StatusReport) -> None:
        """Keep a report and apply it; the same report again changes nothing.

        Raises:
            FullError: Too many are waiting: nothing is kept.
            Exception: PostgreSQL is away (``database.is_unavailable``): nothing is kept.
        """
        await self._queue.do(report)

    async def _receive(self, reports: Sequence[StatusReport]) -> Sequence[StatusReport]:
        for report in reports:
            await self._alone(report)
        return ()

    async def _alone(self, report: StatusReport) -> None:
        try:
            await self.apply(report)
        except Exception as error:
            if is_unavailable(error):
                raise
            _logger.exception("status report kept, not applied", extra={"sid": report.sid})
            async with self._database.transaction() as tx:
                await inbound.keep_report(tx, report)

    async def apply(self, report: StatusReport) -> bool:
        """Apply a report in one transaction; False if that was done before."""
        async with self._database.transaction() as tx:
            found = await _attempt_of(tx, report)
            # A report on no text of ours, perhaps an erased contact's, is kept without numbers.
            kept = report if found is not None else replace(report, from_phone=None, payload={})
            report_id = await inbound.keep_report(tx, kept)
            if report_id is None:
                return False
            if found is not None:
                await learn(tx, found, report, self._rules)
            await inbound.report_applied(tx, report_id)
            return True

    async def apply_kept(self, limit: int = 500) -> int:
        """Apply reports that were kept without their effects, ``limit`` at a time; return how many.

        If none of them can be applied, the next ones are tried too.
        """
        applied, last = 0, 0
        while not applied:
            async with self._database.transaction() as tx:
                kept = await inbound.unapplied_reports(tx, limit, last)
            if not kept:
                return 0
            last = kept[-1].id
            for one in kept:
                try:
                    applied += await self.apply(one.report)
                except Exception as error:
                    if is_unavailable(error):
                        raise
                    _logger.exception(
                        "status report still not applied", extra={"sid": one.report.sid}
                    )
        return applied


async def _attempt_of(tx: Transaction, report: StatusReport) -> Loaded | None:
    """Lock and read the attempt of a report: by our id in its address, else by the provider's."""
    if report.attempt_id is not None:
        found = await attempts.load(tx, report.attempt_id)
        if found is not None:
            return found
    attempt_id = await attempts.attempt_with_sid(tx, report.sid)
    return await attempts.load(tx, attempt_id) if attempt_id is not None else None
