"""Delivery reports: stored once, applied in any order."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from domain.messaging.inbound import StatusReport
from domain.platform.rules import SendingRules
from services.messaging.applying import learn, learn_of_texts
from services.platform.group_commit import GroupCommit, GroupLimits
from storage.messaging import attempts, inbound
from storage.messaging.attempts import Loaded
from storage.platform.database import Database, Transaction, is_lock_timeout, is_unavailable
from storage.platform.locks import limit_waits

LOCK_PATIENCE = timedelta(milliseconds=500)
"""How long reports that share a transaction wait for a lock; then each goes alone. One that does
waits as long, and again after others have had their turn."""

_logger = logging.getLogger(__name__)


class StatusCallbacks:
    """Stores the provider's delivery reports, and applies them.

    Reports that come in at the same time share a transaction; one that changes more than the text
    it is on goes alone, as it takes locks of its own.

    Args:
        database: Where the rows are.
        rules: What a report leads to.
        limits: How many reports are taken on.
    """

    def __init__(
        self, database: Database, rules: SendingRules, limits: GroupLimits | None = None
    ) -> None:
        self._database = database
        self._rules = rules
        self._group = GroupCommit(
            self._apply_together,
            self._apply_alone,
            lambda one: one.sid,
            limits,
            is_busy=is_lock_timeout,
        )

    @property
    def is_full(self) -> bool:
        """Whether ``receive`` would refuse."""
        return self._group.is_full

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return self._group.is_idle

    async def receive(self, report: StatusReport) -> None:
        """Keep a report and apply it; the same report again changes nothing.

        Raises:
            FullError: Too many are waiting: nothing is kept.
            Exception: PostgreSQL is away (``database.is_unavailable``): nothing is kept.
        """
        await self._group.do(report)

    async def _apply_together(self, reports: Sequence[StatusReport]) -> Sequence[StatusReport]:
        try:
            return await self.apply_together(reports)
        except Exception as error:
            if is_unavailable(error):
                raise
            _logger.warning(
                "status reports go alone",
                extra={"reports": len(reports), "error": type(error).__name__},
            )
            return reports

    async def _apply_alone(self, report: StatusReport) -> None:
        try:
            await self.apply(report, at_most=LOCK_PATIENCE)
        except Exception as error:
            if is_unavailable(error) or is_lock_timeout(error):
                raise
            _logger.exception("status report kept, not applied", extra={"sid": report.sid})
            async with self._database.transaction() as tx:
                await inbound.keep_report(tx, report)

    async def apply_together(self, reports: Sequence[StatusReport]) -> Sequence[StatusReport]:
        """Apply reports in one transaction; return those that must go alone, of which none is kept.

        These are reports whose number somebody else holds, that change more than the text they are
        on, or that are on the same text as one before them.
        """
        async with self._database.transaction() as tx:
            found = await attempts.load_free(tx, reports, patience=LOCK_PATIENCE)
            pairs = list[tuple[Loaded, StatusReport]]()
            unknown, left = list[StatusReport](), list[StatusReport]()
            texts = set[UUID]()
            for report, loaded in zip(reports, found, strict=True):
                if loaded is None:
                    unknown.append(_anonymous(report))
                elif loaded == "taken" or loaded[0].message_id in texts:
                    left.append(report)
                else:
                    texts.add(loaded[0].message_id)
                    pairs.append((loaded, report))
            left += await learn_of_texts(tx, pairs, self._rules)
            aside = {one.sid for one in left}
            applied = [report for _, report in pairs if report.sid not in aside]
            await inbound.keep_applied_reports(tx, unknown + applied)
            return left

    async def apply(self, report: StatusReport, *, at_most: timedelta | None = None) -> bool:
        """Apply a report in one transaction; False if that was done before.

        Args:
            report: What the provider says.
            at_most: How long to wait for a lock; None to wait for as long as it takes.

        Raises:
            Exception: It took longer (``database.is_lock_timeout``): nothing is kept.
        """
        async with self._database.transaction() as tx:
            if at_most is not None:
                await limit_waits(tx, at_most)
            found = await _attempt_of(tx, report)
            kept = report if found is not None else _anonymous(report)
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


def _anonymous(report: StatusReport) -> StatusReport:
    """Leave the numbers out of a report on no text of ours, perhaps an erased contact's."""
    return replace(report, from_phone=None, payload={})


async def _attempt_of(tx: Transaction, report: StatusReport) -> Loaded | None:
    """Lock and read the attempt of a report: by our id in its address, else by the provider's."""
    if report.attempt_id is not None:
        found = await attempts.load(tx, report.attempt_id)
        if found is not None:
            return found
    attempt_id = await attempts.attempt_with_sid(tx, report.sid)
    return await attempts.load(tx, attempt_id) if attempt_id is not None else None
