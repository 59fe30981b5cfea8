"""Writing down what the provider said: the third step of the protocol, and the proofs."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.ports import (
    Accepted,
    Answer,
    ListedMessage,
    NotCalled,
    Opening,
    OutcomeUnknown,
    Refused,
    Standing,
    Unsettled,
)
from domain.progress import FAILURES
from domain.provider_errors import Effect, classify_answer, explain
from domain.rules import SendingRules
from domain.statuses import AttemptOutcome, EnrollmentStatus, MessageStatus
from services.consequences import (
    Learned,
    accepted,
    as_it_stands,
    failed,
    hold_unknown,
    proven,
    reported,
    send_again_at,
)
from services.sending import LIST_SKEW
from storage import endings, events, outcomes
from storage.database import Database, Transaction
from storage.outcomes import AttemptRow

UNSETTLED = frozenset({AttemptOutcome.OPEN, AttemptOutcome.UNKNOWN})


class Outcomes:
    """Records answers and weighs proofs, each in one transaction under the number's lock.

    Args:
        database: Where the rows are.
        rules: The timings.
    """

    def __init__(self, database: Database, rules: SendingRules) -> None:
        self._database = database
        self._rules = rules

    async def record_answer(self, attempt_id: UUID, answer: Answer) -> Opening:
        """Write down the answer to a call and all that follows from it.

        An attempt whose outcome is known by now (a callback was faster) keeps it.
        """
        async with self._database.transaction() as tx:
            row = await outcomes.load(tx, attempt_id)
            if row is None:
                return Standing(doing="ended", status="gone")
            learned = Learned(row.read_at)
            match answer:
                case Accepted():
                    return await accepted(
                        tx,
                        row,
                        self._rules,
                        proven(row),
                        sid=answer.sid,
                        status=answer.status,
                        from_phone=answer.from_phone,
                    )
                case Refused():
                    return await self._refused(tx, row, answer, learned)
                case OutcomeUnknown():
                    return await self._unknown(tx, row, answer.http_status, answer.code)
                case NotCalled():
                    return await self._not_sent(tx, row, learned, timedelta(0))

    async def record_listing(
        self, attempt_id: UUID, listed: Sequence[ListedMessage] | None
    ) -> Opening:
        """Weigh the provider's list as proof about an attempt.

        A text to the number with the attempt's body, created since the attempt, whose id no other
        attempt has, is the one, unless it may as well be that of another unsettled attempt. Absent
        is what two lists, ``absence_second_list`` apart, do not hold. A list that could not be had
        proves nothing; after ``settle_give_up`` a person decides, unless the enrollment is over.

        Args:
            attempt_id: The attempt.
            listed: Outbound texts to its number; None if the list could not be had.
        """
        async with self._database.transaction() as tx:
            row = await outcomes.load(tx, attempt_id)
            if row is None:
                return Standing(doing="ended", status="gone")
            learned = Learned(row.read_at)
            if row.outcome not in UNSETTLED:
                return Standing(doing="settled", status=row.outcome)
            if listed is None:
                return await self._no_proof(tx, row, learned)
            alike = await _alike(tx, row, listed)
            if not alike:
                return await self._absent(tx, row, learned)
            if len(alike) <= await outcomes.rivals(tx, row):
                return await self._no_proof(tx, row, learned)
            return await self._found(tx, row, alike[0], learned)

    async def close_enrollment(self, enrollment_id: UUID) -> Standing:
        """End an enrollment whose reply window has passed as ``finished_no_response``.

        An inbound text that is not applied yet keeps it open a little longer.
        """
        async with self._database.transaction() as tx:
            standing = await endings.lock_closing(tx, enrollment_id)
            if standing.doing != "closing":
                return standing
            status = EnrollmentStatus.FINISHED_NO_RESPONSE
            await endings.end(tx, enrollment_id, status)
            return Standing(
                doing="ended",
                status=status,
                step=standing.step,
                step_count=standing.step_count,
                sender_id=standing.sender_id,
            )

    async def _refused(
        self, tx: Transaction, row: AttemptRow, answer: Refused, learned: Learned
    ) -> Opening:
        if row.outcome not in UNSETTLED:
            return as_it_stands(row)
        if answer.http_status == 0:
            return await self._not_sent(tx, row, learned, self._rules.retry_short)
        error = classify_answer(answer.http_status, answer.code)
        if error.effect is Effect.UNKNOWN:
            return await self._unknown(tx, row, answer.http_status, answer.code)
        return await failed(tx, row, self._rules, learned, error, http_status=answer.http_status)

    async def _unknown(
        self, tx: Transaction, row: AttemptRow, http_status: int | None, code: int | None
    ) -> Opening:
        """Nothing is known, unless a callback was faster: come back for proof."""
        if row.outcome not in UNSETTLED:
            return as_it_stands(row)
        await outcomes.set_attempt(
            tx,
            row.attempt_id,
            outcome=AttemptOutcome.UNKNOWN.value,
            http_status=http_status,
            error_code=code,
        )
        await outcomes.set_message(tx, row.message_id, status=MessageStatus.UNKNOWN.value)
        return self._unsettled(row, row.call_before + self._rules.absence_first_list)

    async def _not_sent(
        self, tx: Transaction, row: AttemptRow, learned: Learned, wait: timedelta
    ) -> Standing:
        """The call never left this process: the text is tried again, uncounted."""
        if row.outcome not in UNSETTLED:
            return as_it_stands(row)
        await outcomes.set_attempt(
            tx, row.attempt_id, outcome=AttemptOutcome.ABSENT.value, answered_at=learned.now
        )
        await outcomes.set_message(tx, row.message_id, status=MessageStatus.PENDING.value)
        return await send_again_at(tx, row, learned, learned.now + wait, tries=row.failed_tries)

    async def _no_proof(self, tx: Transaction, row: AttemptRow, learned: Learned) -> Opening:
        is_orphan = row.step is not None and row.status is not None and row.status.is_final
        if not is_orphan and learned.now - row.started_at > self._rules.settle_give_up:
            return await hold_unknown(tx, row, learned)
        return self._unsettled(row, learned.now + self._rules.absence_second_list)

    async def _found(
        self, tx: Transaction, row: AttemptRow, found: ListedMessage, learned: Learned
    ) -> Opening:
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
        return Standing(doing="settled", status=AttemptOutcome.ACCEPTED)

    async def _absent(self, tx: Transaction, row: AttemptRow, learned: Learned) -> Opening:
        """One list without it is a hint, two are proof."""
        if row.absent_once_at is None:
            await outcomes.set_attempt(tx, row.attempt_id, absent_once_at=learned.now)
            return self._unsettled(row, learned.now + self._rules.absence_second_list)
        if learned.now - row.absent_once_at < self._rules.absence_second_list:
            return self._unsettled(row, row.absent_once_at + self._rules.absence_second_list)
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
            await endings.end(tx, row.enrollment_id, EnrollmentStatus.FAILED)
        return Standing(doing="settled", status=AttemptOutcome.ABSENT)

    def _unsettled(self, row: AttemptRow, not_before: datetime) -> Unsettled:
        wait = not_before - row.read_at
        return Unsettled(row.attempt_id, row.phone, row.started_at - LIST_SKEW, wait)


async def _alike(
    tx: Transaction, row: AttemptRow, listed: Sequence[ListedMessage]
) -> list[ListedMessage]:
    """The listed texts that may be this attempt's, the nearest in time first."""
    alike = [
        message
        for message in listed
        if message.body.strip() == row.body.strip()
        and message.created_at >= row.started_at - LIST_SKEW
    ]
    taken = await outcomes.sids_taken(tx, [message.sid for message in alike], row.attempt_id)
    free = [message for message in alike if message.sid not in taken]
    return sorted(free, key=lambda message: abs(message.created_at - row.started_at))
