"""Status reports: kept once, applied in any order."""

import logging
from dataclasses import replace

from domain.messaging.inbound import StatusReport
from domain.platform.rules import SendingRules
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import FAILURES, from_provider
from services.messaging.consequences import DELIVERY_REPORTED, Learned, accepted, proven
from services.messaging.delivery_reports import expect, reported, tell_if_doubled
from storage.messaging import inbound, outcomes
from storage.messaging.outcomes import AttemptRow
from storage.platform.database import Database, Transaction, is_unavailable

_logger = logging.getLogger(__name__)


class Callbacks:
    """Takes the provider's reports on messages it has.

    Args:
        database: Where the rows are.
        rules: The timings.
    """

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules

    async def receive(self, report: StatusReport) -> None:
        """Keep a report and apply it; the same report again changes nothing.

        Raises:
            Exception: PostgreSQL is away (``database.is_unavailable``): nothing is kept.
        """
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
            row = await _attempt_of(tx, report)
            # What is about nobody's text, perhaps an erased contact's, is kept without numbers.
            kept = report if row is not None else replace(report, from_phone=None, payload={})
            report_id = await inbound.keep_report(tx, kept)
            if report_id is None:
                return False
            if row is not None:
                await self._apply_to(tx, row, report)
            await inbound.report_applied(tx, report_id)
            return True

    async def apply_kept(self, limit: int = 500) -> int:
        """Apply reports that were kept without their effects; answers how many.

        Of so many at a time; where none of them can be applied, the next ones are looked at too.
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

    async def _apply_to(self, tx: Transaction, row: AttemptRow, report: StatusReport) -> None:
        """Proof first (any report proves that the message exists), then what it says."""
        before = row
        status = from_provider(report.status)
        now = row.read_at
        if row.outcome is not AttemptOutcome.ACCEPTED:
            await expect(tx, row, status, report.error_code)
            await accepted(
                tx,
                row,
                self._rules,
                proven(row),
                sid=report.sid,
                status=MessageStatus.ACCEPTED if status in FAILURES else status,
                from_phone=report.from_phone,
            )
            fresh = await outcomes.load(tx, row.attempt_id)
            assert fresh is not None  # noqa: S101 - it was there a statement ago
            row = fresh
        elif report.from_phone is not None:
            await outcomes.set_attempt(tx, row.attempt_id, from_phone=report.from_phone)
            row = replace(row, sender_phone=report.from_phone)
        await reported(
            tx,
            row,
            self._rules,
            Learned(now, by_report=True, signal=DELIVERY_REPORTED),
            status=status,
            code=report.error_code,
        )
        await tell_if_doubled(tx, before)


async def _attempt_of(tx: Transaction, report: StatusReport) -> AttemptRow | None:
    """The attempt a report is about, locked: by our id in its address, else by the provider's."""
    if report.attempt_id is not None:
        row = await outcomes.load(tx, report.attempt_id)
        if row is not None:
            return row
    attempt_id = await outcomes.attempt_with_sid(tx, report.sid)
    return await outcomes.load(tx, attempt_id) if attempt_id is not None else None
