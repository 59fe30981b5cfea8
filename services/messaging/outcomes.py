"""Writing down what the provider said: the third step of the protocol, and the proofs."""

from datetime import datetime, timedelta
from uuid import UUID

from domain.messaging.ports import (
    Accepted,
    CanaryState,
    ListedMessage,
    Listing,
    NeedsReconciliation,
    NextAction,
    NotCalled,
    OutcomeUnknown,
    Refused,
    SendResult,
)
from domain.platform.provider_errors import Effect, classify_answer, explain
from domain.platform.rules import SendingRules
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import FAILURES
from services.messaging import reconciliation
from services.messaging.consequences import (
    Learned,
    accepted,
    as_it_stands,
    failed,
    hold_unknown,
    proven,
    send_again_at,
)
from services.messaging.delivery_reports import expect, reported, tell_if_doubled
from storage.enrollments import enrollments, finishing
from storage.event_webhooks import events
from storage.messaging import outcomes
from storage.messaging.outcomes import AttemptRow
from storage.platform.database import Database, Transaction

_LATE_WAIT = timedelta(seconds=2)
"""How long a text waits whose call came too late: at once, the next may come too late as well."""


class Outcomes:
    """Records answers and weighs proofs, each in one transaction under the number's lock.

    Args:
        database: Where the rows are.
        rules: The timings.
    """

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        """Write down the answer to a call and all that follows from it.

        An attempt whose outcome is known by now (a callback was faster) keeps it.
        """
        async with self._database.transaction() as tx:
            row = await outcomes.load(tx, attempt_id)
            if row is None:
                return EnrollmentState(doing="ended", status="gone")
            learned = Learned(row.read_at)
            match answer:
                case Accepted():
                    await outcomes.note_sender(tx, row, shows_texts=answer.is_intact)
                    next_action = await accepted(
                        tx,
                        row,
                        self._rules,
                        proven(row),
                        sid=answer.sid,
                        status=answer.status,
                        from_phone=answer.from_phone,
                    )
                    await tell_if_doubled(tx, row)
                    return next_action
                case Refused():
                    return await self._refused(tx, row, answer, learned)
                case OutcomeUnknown():
                    return await self._unknown(tx, row, answer.http_status, answer.code)
                case NotCalled():
                    return await self._not_sent(tx, row, learned, _LATE_WAIT)

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> NextAction:
        """Weigh the provider's list as proof about an attempt.

        A text to the number that may be the attempt's, created since the attempt, whose id no other
        attempt has, is the one, unless it may as well be that of another unsettled attempt. Absent
        is an attempt since which two lists, ``absence_second_list`` apart, hold no text of any
        wording without an attempt of its own. A list that could not be had, or that does not show a
        known text as it was sent, proves nothing; after ``settle_give_up`` a person decides, unless
        the enrollment is over.

        Args:
            attempt_id: The attempt.
            listing: What the provider shows; None if the list could not be had.
        """
        async with self._database.transaction() as tx:
            row = await outcomes.load(tx, attempt_id)
            if row is None:
                return EnrollmentState(doing="ended", status="gone")
            learned = Learned(row.read_at)
            if row.outcome.is_known:
                return EnrollmentState(doing="settled", status=row.outcome)
            if listing is None:
                return await self._no_proof(tx, row, learned)
            unclaimed = await reconciliation.unclaimed(tx, row, listing.texts)
            found = await reconciliation.the_one(tx, row, unclaimed)
            if found is not None:  # its contact comes before its sender
                await expect(tx, row, found.status, found.error_code)
            is_of_sender = listing.canary_sender == row.sender_id
            if listing.canary is CanaryState.ALTERED and is_of_sender:
                await outcomes.note_sender(tx, row, shows_texts=False)
            if found is not None:
                return await self._found(tx, row, found, learned)
            if unclaimed or not reconciliation.proves_absence(row, listing):
                return await self._no_proof(tx, row, learned)
            return await self._absent(tx, row, learned, listing.asked_at)

    async def ask(self, attempt_id: UUID) -> NeedsReconciliation | None:
        """Say what must be proven about an attempt; None if that is done, or it is too early."""
        async with self._database.transaction() as tx:
            row = await outcomes.load(tx, attempt_id)
            if row is None or row.outcome.is_known:
                return None
            question = await self._question(tx, row)
        return question if question.wait <= timedelta(0) else None

    async def _question(
        self, tx: Transaction, row: AttemptRow, not_before: datetime | None = None
    ) -> NeedsReconciliation:
        return await reconciliation.question(
            tx,
            row.attempt_id,
            row,
            self._rules,
            phone=row.phone,
            sender_id=row.sender_id,
            now=row.read_at,
            not_before=not_before,
        )

    async def close_enrollment(self, enrollment_id: UUID) -> EnrollmentState:
        """End an enrollment whose reply window has passed as ``finished_no_response``.

        An inbound text that is not applied yet keeps it open a little longer.
        """
        async with self._database.transaction() as tx:
            standing = await finishing.lock_closing(tx, enrollment_id)
            if standing.doing != "closing":
                return standing
            status = EnrollmentStatus.FINISHED_NO_RESPONSE
            await enrollments.end(tx, [enrollment_id], status, signal=None)
            return EnrollmentState(
                doing="ended",
                status=status,
                step=standing.step,
                step_count=standing.step_count,
                sender_id=standing.sender_id,
            )

    async def _refused(
        self, tx: Transaction, row: AttemptRow, answer: Refused, learned: Learned
    ) -> NextAction:
        if row.outcome.is_known:
            return as_it_stands(row)
        if answer.http_status == 0:
            return await self._not_sent(tx, row, learned, self._rules.retry_short)
        error = classify_answer(answer.http_status, answer.code)
        if error.effect is Effect.UNKNOWN:
            return await self._unknown(tx, row, answer.http_status, answer.code)
        return await failed(tx, row, self._rules, learned, error, http_status=answer.http_status)

    async def _unknown(
        self, tx: Transaction, row: AttemptRow, http_status: int | None, code: int | None
    ) -> NextAction:
        """Nothing is known, unless a callback was faster: come back for proof."""
        if row.outcome.is_known:
            return as_it_stands(row)
        await outcomes.set_attempt(
            tx,
            row.attempt_id,
            outcome=AttemptOutcome.UNKNOWN.value,
            http_status=http_status,
            error_code=code,
        )
        await outcomes.set_message(tx, row.message_id, status=MessageStatus.UNKNOWN.value)
        return await self._question(tx, row)

    async def _not_sent(
        self, tx: Transaction, row: AttemptRow, learned: Learned, wait: timedelta
    ) -> EnrollmentState:
        """The call never left this process: the text is tried again, uncounted."""
        if row.outcome.is_known:
            return as_it_stands(row)
        await outcomes.set_attempt(
            tx, row.attempt_id, outcome=AttemptOutcome.ABSENT.value, answered_at=learned.now
        )
        await outcomes.set_message(tx, row.message_id, status=MessageStatus.PENDING.value)
        return await send_again_at(tx, row, learned, learned.now + wait, tries=row.failed_tries)

    async def _no_proof(self, tx: Transaction, row: AttemptRow, learned: Learned) -> NextAction:
        is_orphan = row.step is not None and row.status is not None and row.status.is_final
        if not is_orphan and learned.now - row.started_at > self._rules.settle_give_up:
            return await hold_unknown(tx, row, learned)
        again_at = learned.now + self._rules.absence_second_list
        return await self._question(tx, row, again_at)

    async def _found(
        self, tx: Transaction, row: AttemptRow, found: ListedMessage, learned: Learned
    ) -> NextAction:
        standing = await accepted(
            tx,
            row,
            self._rules,
            learned,
            sid=found.sid,
            status=MessageStatus.ACCEPTED if found.status in FAILURES else found.status,
            from_phone=found.from_phone,
        )
        if found.status not in FAILURES:
            await tell_if_doubled(tx, row)
            return standing
        fresh = await outcomes.load(tx, row.attempt_id)
        if fresh is not None:
            await reported(
                tx,
                fresh,
                self._rules,
                Learned(learned.now, by_report=True),
                status=found.status,
                code=found.error_code,
            )
        return EnrollmentState(doing="settled", status=AttemptOutcome.ACCEPTED)

    async def _absent(
        self, tx: Transaction, row: AttemptRow, learned: Learned, asked_at: datetime
    ) -> NextAction:
        """One list without it is a hint, two are proof.

        The first counts from when it is written down, which is later than it was asked for, the
        second from when it was asked for: whoever asks may be stopped in between for any time.
        """
        if asked_at < reconciliation.provable_from(row, self._rules):
            return await self._question(tx, row)
        if row.absent_once_at is None:
            await outcomes.set_attempt(tx, row.attempt_id, absent_once_at=learned.now)
            again_at = learned.now + self._rules.absence_second_list
            return await self._question(tx, row, again_at)
        await outcomes.set_attempt(
            tx, row.attempt_id, outcome=AttemptOutcome.ABSENT.value, answered_at=learned.now
        )
        await outcomes.set_message(tx, row.message_id, status=MessageStatus.PENDING.value)
        tries = row.failed_tries + 1
        if tries < self._rules.max_attempts:
            return await send_again_at(tx, row, learned, learned.now, tries=tries)
        await outcomes.set_message(
            tx, row.message_id, status=MessageStatus.FAILED.value, failed_tries=tries
        )
        await events.message_failed(tx, row.message_id, error_code=None, meaning=explain(None))
        if row.step is not None and row.enrollment_id is not None:
            await enrollments.end(tx, [row.enrollment_id], EnrollmentStatus.FAILED, signal=None)
        return EnrollmentState(doing="settled", status=AttemptOutcome.ABSENT)
