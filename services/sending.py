"""Asking to send: the first transaction of the protocol "never twice, never after"."""

import json
from datetime import datetime
from uuid import UUID

from domain import deciding
from domain.deadline import Deadline
from domain.deciding import StepFacts, decide
from domain.ports import Call, LineTypeNeeded, Opening, Standing, Unsettled
from domain.provider_errors import explain
from domain.rules import SendingRules
from domain.statuses import (
    Activity,
    AttemptOutcome,
    EnrollmentStatus,
    HeldReason,
    LineType,
    MessageStatus,
    SequenceState,
)
from domain.texts import merge_values, render
from domain.timing import ContactClock, SendWindow, validity_seconds
from services import proof
from storage import endings, events, holds, sending
from storage.database import Database, Transaction
from storage.sending import LastAttempt, MessageRow, StepRow

_UNREMARKABLE = frozenset({"delay", "inbound"})
"""Waits that an enrollment's timeline need not tell: as planned, or for seconds."""
_UNSETTLED = frozenset({"open", "unknown"})
_UNFINISHED = frozenset({MessageStatus.PENDING, MessageStatus.SENDING, MessageStatus.UNKNOWN})


class Sending:
    """Opens attempts: one transaction that locks, checks everything again, and commits to a call.

    Args:
        database: Where the rows are.
        rules: The timings.
    """

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules

    async def open_step(self, enrollment_id: UUID) -> Opening:
        """Ask to send the enrollment's next step.

        Everything that bears on it is read again under the locks of its number and row. A ``Call``
        is committed: its attempt stands as ``open`` until its answer is recorded.
        """
        deadline = Deadline.within(self._rules.call_before)
        async with self._database.transaction() as tx:
            row = await sending.lock_step(tx, enrollment_id)
            if row is None:
                return Standing(doing="ended", status="gone")
            return await self._obey(tx, row, await self._decide(tx, row), deadline)

    async def look(self, enrollment_id: UUID) -> Standing:
        """Say where the enrollment stands now, and write it down; a text that may go is due."""
        async with self._database.transaction() as tx:
            row = await sending.lock_step(tx, enrollment_id)
            if row is None:
                return Standing(doing="ended", status="gone")
            verdict = await self._decide(tx, row)
            if isinstance(verdict, deciding.Go | deciding.Settle | deciding.LookUp):
                if isinstance(verdict, deciding.Go) and not row.probing:
                    await sending.stand(tx, row.id, Activity.WAITING, next_send_at=row.read_at)
                return _standing(row, Activity.WAITING, due_at=row.read_at)
            in_vain = Deadline.within(self._rules.call_before)
            standing = await self._obey(tx, row, verdict, in_vain)
            assert isinstance(standing, Standing)  # noqa: S101 - what all other verdicts come to
            return standing

    async def open_message(self, message_id: UUID) -> Opening:
        """Ask to send a one-off text: bound by suppression and section 5, not by the window."""
        deadline = Deadline.within(self._rules.call_before)
        async with self._database.transaction() as tx:
            row = await sending.lock_message(tx, message_id)
            if row is None:
                return Standing(doing="ended", status="gone")
            waits = await self._message_waits(tx, row)
            if waits is not None:
                return waits
            attempt_id = await sending.open_attempt_at_message(
                tx, row, call_before=self._rules.call_before
            )
            return Call(
                attempt_id=attempt_id,
                to=row.phone,
                from_phone=row.sender_phone,
                messaging_service_sid=row.messaging_service_sid,
                body=row.body,
                media_urls=row.media_urls,
                validity_seconds=validity_seconds(row.read_at, None),
                deadline=deadline,
                due_at=row.due_at,
            )

    async def _decide(self, tx: Transaction, row: StepRow) -> deciding.Verdict:
        nothing_sent = row.step == 0 and not await self._sent(tx, row)
        return decide(_facts(row, self._rules, nothing_sent=nothing_sent), row.read_at, self._rules)

    async def _sent(self, tx: Transaction, row: StepRow) -> bool:
        return row.last_attempt is not None and await sending.anything_sent(tx, row.id)

    async def _message_waits(self, tx: Transaction, row: MessageRow) -> Opening | None:
        """What keeps a one-off text from going now, None if nothing does."""
        last = row.last_attempt
        if last is not None and last.outcome in _UNSETTLED:
            return await self._unsettled(tx, row, last)
        given_up = last is not None and last.outcome is AttemptOutcome.ASSUMED_SENT
        if given_up or (row.status not in _UNFINISHED and row.next_try_at is None):
            return Standing(doing="ended", status=row.status)
        if row.overtaken:
            await sending.settle_message(tx, row.id, MessageStatus.CANCELED, error_code=None)
            return Standing(doing="ended", status=MessageStatus.CANCELED)
        if row.suppressed or row.line_type is LineType.LANDLINE:
            code = 21610 if row.suppressed else 21614
            await sending.settle_message(tx, row.id, MessageStatus.REFUSED, error_code=code)
            await events.message_failed(tx, row.id, error_code=code, meaning=explain(code))
            return Standing(doing="ended", status=MessageStatus.REFUSED)
        wait = Standing(doing=Activity.WAITING, status=row.status, sender_id=str(row.sender_id))
        if row.next_try_at is not None and row.next_try_at > row.read_at + deciding.EARLY_TOLERANCE:
            return _until(wait, row.next_try_at)
        if row.inbound_pending:
            return _until(wait, row.read_at + deciding.INBOUND_WAIT)
        if row.sender_held_at is not None and not await holds.claim_probe(
            tx, row.sender_id, self._rules.probe_interval
        ):
            return Standing(doing=Activity.HELD, status=row.status, sender_id=str(row.sender_id))
        return None

    async def _obey(
        self,
        tx: Transaction,
        row: StepRow,
        verdict: deciding.Verdict,
        deadline: Deadline,
    ) -> Opening:
        """Write down what was decided and say it to the workflow."""
        match verdict:
            case deciding.Over():
                return _standing(row, "ended")
            case deciding.EndAs():
                return await self._end_before_text(tx, row, verdict.because)
            case deciding.Later():
                return await self._later(tx, row, verdict)
            case deciding.AwaitReply():
                await sending.stand(tx, row.id, Activity.AWAITING_REPLY)
                return _standing(row, Activity.AWAITING_REPLY, due_at=verdict.until)
            case deciding.Paused():
                return await self._blocked(tx, row, Activity.PAUSED, None)
            case deciding.Held():
                return await self._blocked(tx, row, Activity.HELD, verdict.reason)
            case deciding.Settle():
                assert row.last_attempt is not None  # noqa: S101 - what Settle means
                return await self._unsettled(tx, row, row.last_attempt)
            case deciding.LookUp():
                return LineTypeNeeded(row.contact_id, row.phone)
            case deciding.Go():
                return await self._go(tx, row, verdict, deadline)

    async def _go(
        self, tx: Transaction, row: StepRow, verdict: deciding.Go, deadline: Deadline
    ) -> Call:
        body = render(row.body or "", merge_values(row.first_name, row.last_name, row.phone))
        attempt_id = await sending.open_attempt_at_step(
            tx,
            row,
            body=body,
            media_urls=json.dumps(list(row.media_urls)),
            call_before=self._rules.call_before,
        )
        return Call(
            attempt_id=attempt_id,
            to=row.phone,
            from_phone=row.sender_phone,
            messaging_service_sid=row.messaging_service_sid,
            body=body,
            media_urls=row.media_urls,
            validity_seconds=verdict.validity_seconds,
            deadline=deadline,
            due_at=row.next_send_at,
        )

    async def _end_before_text(self, tx: Transaction, row: StepRow, because: str) -> Standing:
        """End as opted out or landline, omitted if nothing was ever sent."""
        if because == "landline":
            status = EnrollmentStatus.OMITTED_LANDLINE
        elif await sending.anything_sent(tx, row.id):
            status = EnrollmentStatus.OPTED_OUT
        else:
            status = EnrollmentStatus.OMITTED_OPTED_OUT
        await endings.end(tx, row.id, status)
        return _standing(row, "ended", status=status)

    async def _later(self, tx: Transaction, row: StepRow, verdict: deciding.Later) -> Standing:
        await sending.stand(tx, row.id, Activity.WAITING, next_send_at=verdict.at)
        if verdict.because not in _UNREMARKABLE and verdict.at != row.next_send_at:
            until = verdict.at.isoformat()
            await endings.note(
                tx, row.id, "waits", at=row.read_at, because=verdict.because, until=until
            )
        return _standing(row, Activity.WAITING, due_at=verdict.at)

    async def _blocked(
        self,
        tx: Transaction,
        row: StepRow,
        activity: Activity,
        reason: HeldReason | None,
    ) -> Standing:
        await sending.block(tx, row.id, activity, reason)
        if row.activity != activity or row.held_reason != reason:
            await endings.note(
                tx, row.id, "blocked", at=row.read_at, because=reason.value if reason else "paused"
            )
            if reason is not None:
                await events.enrollment_held(tx, row.id)
        return _standing(row, activity, held_reason=reason)

    async def _unsettled(
        self, tx: Transaction, row: StepRow | MessageRow, last: LastAttempt
    ) -> Unsettled:
        """What must be proven about an attempt, and when the provider's list can prove it."""
        return await proof.question(
            tx,
            last.id,
            last,
            self._rules,
            phone=row.phone,
            sender_id=row.sender_id,
            now=row.read_at,
        )


def _facts(row: StepRow, rules: SendingRules, *, nothing_sent: bool) -> StepFacts:
    return StepFacts(
        status=row.status,
        sequence_state=SequenceState(row.sequence_state),
        paused=row.paused,
        held_reason=row.held_reason,
        probing=row.probing,
        position=row.position,
        step_count=row.step_count,
        due_at=row.due_at,
        next_try_at=row.next_try_at,
        last_sent_at=row.last_sent_at,
        gap=row.gap,
        reply_until=row.reply_until,
        last_outcome=row.last_attempt.outcome if row.last_attempt else None,
        nothing_sent=nothing_sent,
        suppressed=row.suppressed,
        inbound_pending=row.inbound_pending,
        line_type=row.line_type,
        sender_on_hold=row.sender_held_at is not None,
        clock=ContactClock.of(
            time_zone=row.time_zone,
            phone=row.phone,
            workspace=row.workspace_zone or rules.workspace_zone,
        ),
        window=SendWindow.parse(row.send_window) if row.send_window is not None else None,
    )


def _standing(
    row: StepRow,
    doing: str,
    *,
    due_at: datetime | None = None,
    status: EnrollmentStatus | None = None,
    held_reason: HeldReason | None = None,
) -> Standing:
    return Standing(
        doing=str(doing),
        status=(status or row.status).value,
        due_at=due_at,
        step=row.step,
        step_count=row.step_count,
        sender_id=str(row.sender_id),
        held_reason=held_reason.value if held_reason else None,
    )


def _until(standing: Standing, due_at: datetime) -> Standing:
    return Standing(
        doing=standing.doing, status=standing.status, due_at=due_at, sender_id=standing.sender_id
    )
