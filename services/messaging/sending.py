"""What the send path's activities ask of the rows: decide, open an attempt, record its outcome."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.enrollments.next_event import NextEvent
from domain.messaging import deciding
from domain.messaging.absence import ListEvidence, provable_from
from domain.messaging.deadline import Deadline
from domain.messaging.deciding import decide, decide_one_off
from domain.messaging.ports import (
    LateError,
    LineTypeNeeded,
    Listing,
    NeedsReconciliation,
    NextAction,
    Preparation,
    SendRequest,
    SendResult,
)
from domain.platform.provider_errors import explain
from domain.platform.rules import EARLY_TOLERANCE, SendingRules
from domain.sequences.texts import render
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason, Need
from domain.statuses.messaging import CancelReason, MessageStatus
from services.messaging import reconciliation
from services.messaging.applying import GONE, learn
from storage.enrollments import enrollments, next_step, one_offs, skips, waits
from storage.event_webhooks import events
from storage.messaging import attempts, holds, sending
from storage.messaging.sending import MessageRow, StepRow
from storage.platform.database import Pools, Transaction


class Sending:
    """Implements ``domain.messaging.ports.Ledger`` on PostgreSQL.

    An attempt is opened by one transaction that locks, checks everything again, and commits to a
    call. What is learned about it is recorded by another one.
    """

    def __init__(self, pools: Pools, rules: SendingRules) -> None:
        self._pools = pools
        self._rules = rules

    async def decide_step(self, enrollment_id: UUID) -> Preparation:
        """Say what the enrollment needs next, and write down where it stands; begins no text."""
        async with self._pools.decisions.transaction() as tx:
            row = await sending.read_step(tx, enrollment_id, self._rules.workspace_zone)
            if row is None:
                return GONE
            decision = self._decide(row)
            if not _changes_the_row(decision, row):
                return await self._answer(tx, row, decision)
        probes = await self._may_probe(row, decision)
        async with self._pools.decisions.transaction() as tx:
            row = await self._lock(tx, enrollment_id)
            if row is None:
                return GONE
            if probes:
                row = replace(row, probing=True)
            decision = self._decide(row)
            if isinstance(decision, deciding.Go):
                await enrollments.schedule(tx, row.id, row.read_at, probing=row.probing)
            return await self._answer(tx, row, decision)

    async def decide_message(self, message_id: UUID) -> Preparation:
        """Say what a one-off text needs next; begins nothing."""
        async with self._pools.decisions.transaction() as tx:
            row = await sending.lock_message(tx, message_id)
            if row is None:
                return GONE
            decision = decide_one_off(row, row.read_at)
            if isinstance(decision, deciding.Go):
                return _state(row, EnrollmentPhase.WAITING, needs=Need.SEND)
            return await self._write_obstacle_of_message(tx, row, decision)

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        """Ask to send the enrollment's next step.

        Everything that bears on it is read again under the locks of its number and row. A
        ``SendRequest`` is committed: its attempt is ``open`` until its answer is recorded.
        """
        deadline = Deadline.within(self._rules.call_before)
        async with self._pools.sends.transaction() as tx:
            row = await self._lock(tx, enrollment_id)
            if row is None:
                return GONE
            decision = self._decide(row)
            if not isinstance(decision, deciding.Go):
                return await self._write_obstacle(tx, row, decision)
            _refuse_if_late(deadline)
            return await self._go(tx, row, decision, deadline)

    async def open_message(self, message_id: UUID) -> NextAction:
        """Ask to send a one-off text: bound by suppression, not by the window."""
        deadline = Deadline.within(self._rules.call_before)
        async with self._pools.sends.transaction() as tx:
            row = await sending.lock_message(tx, message_id)
            if row is None:
                return GONE
            decision = decide_one_off(row, row.read_at)
            if not isinstance(decision, deciding.Go):
                return await self._write_obstacle_of_message(tx, row, decision)
            _refuse_if_late(deadline)
            if row.sender_on_hold and not await self._claim_probe(tx, row):
                return _state(row, EnrollmentPhase.HELD)
            attempt_id = await sending.open_attempt_at_message(
                tx, row, call_before=self._rules.call_before
            )
            return _request(row, attempt_id, row.body, decision, deadline, row.due_at)

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        """Record the answer to a call and all that follows from it.

        An attempt whose outcome is known by now (a callback was faster) keeps it.
        """
        async with self._pools.sends.transaction() as tx:
            return await learn(tx, await attempts.load(tx, attempt_id), answer, self._rules)

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> NextAction:
        """Weigh the provider's list as evidence about an attempt; None if it could not be had."""
        async with self._pools.rest.transaction() as tx:
            loaded = await attempts.load(tx, attempt_id)
            return await learn(tx, loaded, ListEvidence(listing), self._rules)

    async def ask(self, attempt_id: UUID) -> NeedsReconciliation | None:
        """Say what must be proven about an attempt; None if that is done, or it is too early."""
        async with self._pools.rest.transaction() as tx:
            loaded = await attempts.load(tx, attempt_id)
            if loaded is None or loaded[0].outcome.is_known:
                return None
            attempt, now = loaded
            if provable_from(attempt, self._rules) > now:
                return None
            return await reconciliation.question(tx, attempt, now, now, self._rules)

    async def record_line_type(self, contact_id: UUID, line_type: LineType | None) -> None:
        """Record a looked-up line type; a failed look-up counts as ``unknown``."""
        async with self._pools.rest.transaction() as tx:
            await sending.set_line_type(tx, contact_id, line_type or LineType.UNKNOWN)

    async def close_enrollment(self, enrollment_id: UUID) -> EnrollmentState:
        """End an enrollment as ``finished_no_response`` if its reply window has passed."""
        async with self._pools.decisions.transaction() as tx:
            row = await self._lock(tx, enrollment_id)
            if row is None:
                return GONE
            match self._decide(row):
                case deciding.Close():
                    status = EnrollmentStatus.FINISHED_NO_RESPONSE
                    await enrollments.end(tx, [row.id], status, signal=None)
                    return _state(row, "ended", status=status)
                case deciding.AwaitReply(until):
                    return _state(row, EnrollmentPhase.AWAITING_REPLY, due_at=until)
                case _:
                    doing, due_at = row.phase or "ended", row.next_send_at
                    return _state(row, doing, due_at=due_at, held_reason=row.held_reason)

    def _decide(self, row: StepRow) -> deciding.Decision:
        return decide(row, row.read_at, self._rules)

    async def _lock(self, tx: Transaction, enrollment_id: UUID) -> StepRow | None:
        row = await sending.lock_step(tx, enrollment_id, self._rules.workspace_zone)
        if row is not None and row.due_at is not None and row.due_at != row.stored_due_at:
            await waits.set_due(tx, row.id, row.due_at)
        return row

    async def _may_probe(self, row: StepRow, decision: deciding.Decision) -> bool:
        """Claim the sender on hold that an enrollment waits for, if it may be tried now.

        In a transaction of its own: who holds a sender's row must not wait for a number.
        """
        if decision != deciding.Held(HeldReason.SENDER_ON_HOLD) or not _is_probe_due(row):
            return False
        async with self._pools.decisions.transaction() as tx:
            return await self._claim_probe(tx, row)

    async def _claim_probe(self, tx: Transaction, row: StepRow | MessageRow) -> bool:
        return await holds.claim_probe(tx, row.sender_id, self._rules.probe_interval)

    async def _answer(
        self, tx: Transaction, row: StepRow, decision: deciding.Decision
    ) -> Preparation:
        """Say what was decided; what stands in the way is written down as well."""
        if isinstance(decision, deciding.Go):
            return _state(row, EnrollmentPhase.WAITING, due_at=row.read_at, needs=Need.SEND)
        return await self._write_obstacle(tx, row, decision)

    async def _write_obstacle(
        self, tx: Transaction, row: StepRow, decision: deciding.Obstacle
    ) -> Preparation:
        """Write down what stands in the way and say it to the workflow."""
        match decision:
            case deciding.Over():
                return _state(row, "ended")
            case deciding.EndAs(status):
                ended = await enrollments.end(tx, [row.id], status, signal=None)
                return _state(row, "ended", status=ended.get(row.id, row.status))
            case deciding.Later():
                return await self._later(tx, row, decision)
            case deciding.Skip(missed):
                return await self._skip(tx, row, missed)
            case deciding.AwaitReply() | deciding.Close():
                await enrollments.await_reply(tx, row.id)
                over_at = row.reply_until or row.read_at
                due_at = over_at if isinstance(decision, deciding.Close) else decision.until
                return _state(row, EnrollmentPhase.AWAITING_REPLY, due_at=due_at)
            case deciding.Paused():
                await enrollments.wait_for_sequence(tx, row.id, at=row.read_at)
                return _state(row, EnrollmentPhase.PAUSED)
            case deciding.Held():
                reason, missing = decision.reason, decision.missing
                await enrollments.hold(tx, row.id, reason, at=row.read_at, missing=missing)
                return _state(row, EnrollmentPhase.HELD, held_reason=reason)
            case deciding.Reconcile():
                return await self._question(tx, row)
            case deciding.LookUp():
                return LineTypeNeeded(row.contact_id, row.phone)

    async def _go(
        self, tx: Transaction, row: StepRow, decision: deciding.Go, deadline: Deadline
    ) -> SendRequest:
        body = render(row.body or "", row.values)
        attempt_id = await sending.open_attempt_at_step(
            tx,
            row,
            body=body,
            call_before=self._rules.call_before,
            rule_packs=decision.packs,
        )
        return _request(row, attempt_id, body, decision, deadline, row.next_send_at)

    async def _later(
        self, tx: Transaction, row: StepRow, decision: deciding.Later
    ) -> EnrollmentState:
        if decision.reasons:
            await waits.postpone(tx, row.id, decision.at, decision.reasons, at=row.read_at)
        else:
            await enrollments.schedule(tx, row.id, decision.at)
        return _state(row, EnrollmentPhase.WAITING, due_at=decision.at)

    async def _skip(self, tx: Transaction, row: StepRow, missed: datetime) -> EnrollmentState:
        """Move past a step that is not sent any more; the workflow then asks about the next.

        After the last one the reply window runs from now on. Where no text went there is nothing
        to reply to, and a reply that is remembered ends it: then it ends at once.
        """
        step = await next_step.find(tx, row.id, start=row.position + 1, reached=row.step)
        ends_as = None
        if step.position <= row.step_count:
            following = step.due(missed, row.read_at, self._rules.workspace_zone)
        else:
            reply_window = timedelta(seconds=step.reply_window_seconds)
            following = NextEvent(step.position, reply_until=row.read_at + reply_window)
            if row.replied_at is not None:
                ends_as = EnrollmentStatus.FINISHED_RESPONDED
            elif row.nothing_sent:
                ends_as = EnrollmentStatus.FINISHED_NO_RESPONSE
        await skips.skip_step(tx, row.id, row.position, following, missed=missed, at=row.read_at)
        if ends_as is not None:
            await enrollments.end(tx, [row.id], ends_as, signal=None)
            return _state(row, "ended", status=ends_as)
        if following.reply_until is not None:
            return _state(row, EnrollmentPhase.AWAITING_REPLY, due_at=following.reply_until)
        return _state(row, EnrollmentPhase.WAITING, due_at=following.next_send_at)

    async def _write_obstacle_of_message(
        self, tx: Transaction, row: MessageRow, decision: deciding.OneOffObstacle
    ) -> Preparation:
        """Write down what stands in a one-off text's way and say it to the workflow."""
        match decision:
            case deciding.Over():
                return _state(row, "ended")
            case deciding.Cancel():
                reason = CancelReason.ENROLLMENT_ENDED  # unless it has one
                await one_offs.cancel(tx, "m.id = :id", reason, id=row.id)
                return _state(row, "ended", status=MessageStatus.CANCELED)
            case deciding.Refuse(code):
                await sending.refuse_message(tx, row.id, code)
                await events.message_failed(tx, row.id, error_code=code, meaning=explain(code))
                return _state(row, "ended", status=MessageStatus.REFUSED)
            case deciding.Later(at):
                return _state(row, EnrollmentPhase.WAITING, due_at=at)
            case deciding.Held():
                return _state(row, EnrollmentPhase.HELD)
            case deciding.Reconcile():
                return await self._question(tx, row)

    async def _question(self, tx: Transaction, row: StepRow | MessageRow) -> Preparation:
        """Say what must be proven about the latest attempt, and when a list can prove it."""
        last = row.last_attempt
        assert last is not None  # noqa: S101 - what Reconcile is about
        at = provable_from(last, self._rules)
        return await reconciliation.question(tx, last, at, row.read_at, self._rules)


def _request(
    row: StepRow | MessageRow,
    attempt_id: UUID,
    body: str,
    decision: deciding.Go,
    deadline: Deadline,
    due_at: datetime | None,
) -> SendRequest:
    return SendRequest(
        attempt_id=attempt_id,
        to=row.phone,
        from_phone=row.sender_phone,
        messaging_service_sid=row.messaging_service_sid,
        body=body,
        media_urls=row.media_urls,
        validity_seconds=decision.validity_seconds,
        deadline=deadline,
        due_at=due_at,
    )


def _refuse_if_late(deadline: Deadline) -> None:
    """Insert no attempt whose call could not begin in time: it would only be written off."""
    if deadline.is_late:
        raise LateError


def _state(
    row: StepRow | MessageRow,
    doing: str,
    *,
    due_at: datetime | None = None,
    status: str | None = None,
    held_reason: HeldReason | None = None,
    needs: Need | None = None,
) -> EnrollmentState:
    """Say where an enrollment or a one-off text stands."""
    step, step_count = (row.step, row.step_count) if isinstance(row, StepRow) else (0, 0)
    return EnrollmentState(
        doing=doing,
        status=status or row.status,
        due_at=due_at,
        step=step,
        step_count=step_count,
        sender_id=str(row.sender_id),
        held_reason=held_reason,
        needs=needs,
    )


def _changes_the_row(decision: deciding.Decision, row: StepRow) -> bool:
    """Whether what was decided is written down, or proven: then it is decided under locks."""
    match decision:
        case deciding.LookUp() | deciding.Over():
            return False
        case deciding.Go():
            return not _is_shown_as_due(row)
        case _:
            return True


def _is_shown_as_due(row: StepRow) -> bool:
    """Whether the row says already that its text is about to go."""
    return (
        row.phase == EnrollmentPhase.WAITING
        and row.next_send_at is not None
        and row.next_send_at <= row.read_at + EARLY_TOLERANCE
    )


def _is_probe_due(row: StepRow | MessageRow) -> bool:
    """Whether the sender, if it is on hold, may be tried now."""
    return row.next_probe_at is not None and row.next_probe_at <= row.read_at
