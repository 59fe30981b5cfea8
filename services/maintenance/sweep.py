"""The sweep of every minute: retries what was not acknowledged, restarts what was lost."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from domain.maintenance.ports import SweepReport
from domain.messaging.absence import list_texts
from domain.messaging.ports import Gateway, NeedsReconciliation
from domain.platform.rules import SendingRules
from domain.sequences.timing import next_slot
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from services.enrollments.waking import Waking
from services.maintenance.pruning import Pruning
from services.maintenance.workspace import WorkspaceSettings
from services.messaging.backfill import Backfill
from services.messaging.inbound import Inbound
from services.messaging.sending import Sending
from services.messaging.status_callbacks import StatusCallbacks
from services.platform.outbox import Outbox
from services.suppression.second_reader import SecondReader
from storage.enrollments import enrollment_counts, enrollments, waiting_steps
from storage.enrollments.waiting_steps import WaitingStep
from storage.event_webhooks import deliveries
from storage.jobs import jobs
from storage.maintenance import sweep
from storage.messaging import holds, unknown_numbers
from storage.platform import outbox, workspace
from storage.platform.database import Database
from workflows.client import EnrollmentClient, TemporalUnavailableError

_logger = logging.getLogger(__name__)

OVERDUE = timedelta(minutes=10)
"""An enrollment whose next event is this long past is checked for its workflow."""

UPLOAD_ABANDONED = timedelta(minutes=15)
"""An upload that got no row for this long was interrupted."""

FILES_KEPT = timedelta(days=1)
"""How long a file whose columns a person matches waits for that person."""

CLAIMED = timedelta(hours=1)
"""Age of a text that may have come while its number was being imported; a sweep may be late."""

PROBES_LOOKED_AT = 100
"""Number of enrollments waiting for a sender among which one with an open window is picked."""

RESTARTS = 500
FINISHES = 500
RECONCILED = 20
RECONCILED_FOR = timedelta(days=30)
"""How long an attempt of an ended enrollment is reconciled; then it stays unknown, unless the
provider reports on it."""

EVENTS_OVERDUE = timedelta(minutes=2)

COUNTS_FOLDED = 50_000
"""Number of changes of counts that are folded at once."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Implements ``domain.maintenance.ports.Sweeper`` by other use cases."""

    database: Database
    temporal: EnrollmentClient
    gateway: Gateway
    rules: SendingRules
    outbox: Outbox
    inbound: Inbound
    status_callbacks: StatusCallbacks
    backfill: Backfill
    pruning: Pruning
    sending: Sending
    waking: Waking
    workspace: WorkspaceSettings
    second_reader: SecondReader | None = None

    async def sweep(self) -> SweepReport:
        """Run every part; one that fails does not stop the others."""
        failures: list[str] = []

        async def part(name: str, run: Callable[[], Awaitable[int]]) -> int:
            try:
                return await run()
            except Exception as error:
                _logger.exception("a part of the sweep failed", extra={"part": name})
                failures.append(f"{name}: {type(error).__name__}")
                return 0

        inbound_applied = await part("inbound", self.inbound.apply_kept)
        reports_applied = await part("reports", self.status_callbacks.apply_kept)
        probes = await part("probes", self._probe)
        await part("forgotten", self.waking.mend)
        restarted = await part("restart", self._restart_lost)
        await part("archived", self._finish_archived)
        await part("numbers", self._claim_texts)
        reconciled = await part("reconciliation", self._reconcile)
        await part("jobs", self._mend_jobs)
        await part("zone", self.workspace.move_steps)
        await part("events", self._mend_events)
        await part("counts", self._fold_counts)
        delivered = await part("outbox", self.outbox.sweep)
        # Near the end, as the provider may be slow; its effects drain the outbox themselves.
        texts_fetched = await part("texts", self.backfill.fetch_texts)
        reports_fetched = await part("states", self.backfill.fetch_reports)
        await part("absent", self.backfill.look_for_absent)
        await part("pruning", self.pruning.prune)
        second_read = 0
        if self.second_reader is not None:  # last, as it may be slow
            second_read = await part("second reader", self.second_reader.read)
        return SweepReport(
            delivered=delivered,
            restarted=restarted,
            inbound_applied=inbound_applied,
            reports_applied=reports_applied,
            probes=probes,
            settled=reconciled,
            texts_fetched=texts_fetched,
            reports_fetched=reports_fetched,
            second_read=second_read,
            failures=failures,
        )

    async def _probe(self) -> int:
        """Let each sender on hold try one waiting text whose send window is open."""
        async with self.database.transaction() as tx:
            zone = await workspace.zone(tx, self.rules.workspace_zone)
            some = await holds.due_probes(tx, self.rules.probe_interval, PROBES_LOOKED_AT)
            rows = await waiting_steps.read(tx, [one for ids in some for one in ids])
            may_go = {row.id for row in rows if _may_go(row, zone)}
            open_ones = ([one for one in ids if one in may_go] for ids in some)
            chosen = [ids[0] for ids in open_ones if ids]
        woken = 0
        for enrollment_id in chosen:
            # Locked one at a time, and skipped if it was woken meanwhile.
            async with self.database.transaction() as tx:
                woken += await enrollments.release(tx, enrollment_id, probing=True)
        return woken

    async def _restart_lost(self) -> int:
        """Start the workflows of overdue enrollments that are not open; never close one."""
        async with self.database.transaction() as tx:
            overdue = await sweep.overdue(tx, OVERDUE, RESTARTS)
        lost = []
        for enrollment_id in overdue:
            try:
                if not await self.temporal.is_open(enrollment_id):
                    lost.append(enrollment_id)
            except TemporalUnavailableError:
                break
        async with self.database.transaction() as tx:
            await outbox.add_starts(tx, lost)
            # Starting an open one changes nothing, so Temporal need not be asked.
            await outbox.add_message_starts(tx, await sweep.lost_messages(tx, OVERDUE, RESTARTS))
        return len(lost)

    async def _finish_archived(self) -> int:
        """Finish enrollments that an interrupted archiving left active."""
        async with self.database.transaction() as tx:
            left = await sweep.left_in_archived(tx, OVERDUE, FINISHES)
            status = EnrollmentStatus.FINISHED_STOPPED
            await enrollments.end(tx, left, status, signal="mark_finished")
        return len(left)

    async def _claim_texts(self) -> int:
        """Attach texts that came from numbers while they were being imported."""
        async with self.database.transaction() as tx:
            return await unknown_numbers.claim_recent(tx, CLAIMED)

    async def _mend_jobs(self) -> int:
        """Restart lost jobs and delete interrupted uploads."""
        async with self.database.transaction() as tx:
            # Starting an open one changes nothing, so Temporal need not be asked.
            lost = await jobs.lost(tx, OVERDUE, RESTARTS)
            await outbox.add_job_starts(tx, lost)
            await jobs.discard_abandoned(tx, UPLOAD_ABANDONED, waiting=FILES_KEPT)
        return len(lost)

    async def _reconcile(self) -> int:
        """Reconcile attempts whose enrollment ended while they were under way."""
        async with self.database.transaction() as tx:
            attempts = await sweep.unreconciled_attempts(
                tx,
                self.rules.call_before + self.rules.absence_first_list,
                RECONCILED_FOR,
                RECONCILED,
            )
        reconciled = 0
        for attempt_id in attempts:
            question = await self.sending.ask(attempt_id)
            if question is None:
                continue
            listing = await list_texts(self.gateway, question)
            if listing is None:
                break  # the provider does not answer; more questions would only delay the sweep
            weighed = await self.sending.record_listing(attempt_id, listing)
            reconciled += not isinstance(weighed, NeedsReconciliation)
        return reconciled

    async def _fold_counts(self) -> int:
        """Fold what enrollments did to the counts of their sequences since the last sweep."""
        folded, found = 0, COUNTS_FOLDED
        while found == COUNTS_FOLDED:
            async with self.database.transaction() as tx:
                found = await enrollment_counts.fold(tx, COUNTS_FOLDED)
            folded += found
        return folded

    async def _mend_events(self) -> int:
        """Restart deliveries that are overdue."""
        async with self.database.transaction() as tx:
            forgotten = await deliveries.forgotten(tx, EVENTS_OVERDUE)
            await outbox.add_event_wakes(tx, forgotten)
        return len(forgotten)


def _may_go(row: WaitingStep, zone: str) -> bool:
    """Tell whether an enrollment waits for its sender and its window is open."""
    slot = next_slot(row.read_at, row.hours, row.clock(zone))
    return row.activity is EnrollmentPhase.HELD and slot.at <= row.read_at
