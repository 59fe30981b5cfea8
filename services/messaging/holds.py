"""Releasing what is held: senders, and enrollments that wait for a person."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from uuid import UUID

from domain.messaging.interpreting import PersonDecision
from domain.platform.rules import SendingRules
from domain.statuses.enrollments import HeldReason
from services.enrollments.finishing import Finishing
from services.enrollments.selection import EnrollmentResult
from services.messaging.applying import learn
from services.platform import audit
from storage.enrollments import enrollments, next_step, timeline
from storage.messaging import attempts, holds, sending
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError, lock_numbers_of


class Decision(StrEnum):
    """What a person decides about a held enrollment."""

    RETRY = "retry"
    TREAT_AS_SENT = "treat_as_sent"
    FINISH = "finish"


_EVIDENCE = {
    Decision.RETRY: PersonDecision.SEND_AGAIN,
    Decision.TREAT_AS_SENT: PersonDecision.TREAT_AS_SENT,
}


class Holds:
    """Lets held senders and enrollments go on."""

    def __init__(self, database: Database, rules: SendingRules, finishing: Finishing) -> None:
        self._database = database
        self._rules = rules
        self._finishing = finishing

    async def release_sender(self, sender_id: UUID, user_id: UUID) -> int:
        """Take a sender off hold by hand; return how many enrollments waited for it.

        They may go on from the commit, after which the first page is woken.
        """
        async with self._database.transaction() as tx:
            waited = await holds.count_waiting(tx, sender_id)
            await holds.end_hold(tx, sender_id)
            await audit.record(
                tx, "sender.release", "sender", [sender_id], user_id=user_id, released=waited
            )
        return waited

    async def release(
        self, enrollment_ids: Sequence[UUID], decision: Decision | str, user_id: UUID
    ) -> list[EnrollmentResult]:
        """Release held enrollments as a person decided; results in the order asked.

        ``released``, ``finished``, ``not_held``, ``already_final``, ``not_found``,
        ``outcome_known`` where ``treat_as_sent`` is asked of a text that is known not to have been
        sent, or ``consent_missing``: it stays held until that is on record.
        """
        decision = Decision(decision)
        return [await self._release(one, decision, user_id) for one in enrollment_ids]

    async def _release(
        self, enrollment_id: UUID, decision: Decision, user_id: UUID
    ) -> EnrollmentResult:
        released: EnrollmentResult | None = None
        while released is None:
            under_way: dict[UUID, list[UUID]] = {}
            with suppress(MovedError):
                async with self._database.transaction() as tx:
                    released = await self.release_in(
                        tx, enrollment_id, decision, user_id, under_way
                    )
        found = await self._finishing.last_texts(under_way)
        return replace(released, last_text=found.get(enrollment_id, released.last_text))

    async def release_in(
        self,
        tx: Transaction,
        enrollment_id: UUID,
        decision: Decision,
        user_id: UUID,
        under_way: dict[UUID, list[UUID]],
    ) -> EnrollmentResult:
        """Release one in a transaction of the caller's.

        Takes its numbers' locks, so one at a time. If it is finished, its attempts without an
        outcome go into ``under_way``; see ``Finishing.last_texts``.

        Raises:
            MovedError: Its contact has got another number meanwhile.
        """
        await lock_numbers_of(tx, enrollment_id)
        await next_step.lock(tx, enrollment_id)
        await holds.lock_sender_of(tx, enrollment_id)
        row = await sending.lock_step(tx, enrollment_id, self._rules.workspace_zone)
        if row is None:
            return EnrollmentResult(enrollment_id, "not_found")
        if row.status.is_final:
            return EnrollmentResult(enrollment_id, "already_final")
        if row.held_reason is None:
            return EnrollmentResult(enrollment_id, "not_held")
        if decision is not Decision.FINISH:
            return await self._go_on(tx, row, decision, user_id)
        return await self._finishing.finish(tx, enrollment_id, user_id, under_way)

    async def _go_on(
        self, tx: Transaction, row: sending.StepRow, decision: Decision, user_id: UUID
    ) -> EnrollmentResult:
        now = row.read_at
        last = row.last_attempt
        is_unknown = last is not None and not last.outcome.is_known
        unknown = row.held_reason is HeldReason.OUTCOME_UNKNOWN and is_unknown
        if decision is Decision.TREAT_AS_SENT and not unknown:
            return EnrollmentResult(row.id, "outcome_known")
        if row.held_reason is HeldReason.CONSENT_MISSING and row.consent_missing:
            return EnrollmentResult(row.id, "consent_missing")
        chosen = decision.value
        await timeline.note(tx, [row.id], "released", at=now, user_id=user_id, decision=chosen)
        await audit.record(
            tx, "enrollment.release", "enrollment", [row.id], user_id=user_id, decision=chosen
        )
        probing = row.held_reason is HeldReason.SENDER_ON_HOLD
        await enrollments.release(tx, row.id, probing=probing)
        if unknown and last is not None:
            loaded = await attempts.load(tx, last.id)
            await learn(tx, loaded, _EVIDENCE[decision], self._rules)
        return EnrollmentResult(row.id, "released")
