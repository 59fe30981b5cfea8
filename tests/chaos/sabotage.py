"""Break the protocol on purpose, to show that the judge notices."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Any
from unittest.mock import patch
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import services.messaging.sending
from domain.messaging import absence
from domain.messaging.attempts import Attempt
from domain.messaging.deadline import Deadline
from domain.messaging.ports import Ledger as LedgerPort
from domain.messaging.ports import (
    ListedMessage,
    Listing,
    NeedsReconciliation,
    NextAction,
    NotCalled,
    OutcomeUnknown,
    Preparation,
    SendRequest,
    SendResult,
)
from domain.platform.rules import SendingRules
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from services.messaging.sending import Sending
from storage.messaging import sending
from storage.platform import database
from storage.platform.database import Database, Pools, Transaction


class Sabotage(StrEnum):
    """The part of the protocol that is left out."""

    ROW_AFTER_CALL = "row-after-call"
    NO_EVIDENCE = "no-evidence"
    NO_LOCKS = "no-locks"
    EXACT_BODY = "exact-body"
    MONOTONIC_CLOCK = "monotonic-clock"
    ASSUMED_ISOLATION = "assumed-isolation"
    LATE_ROWS = "late-rows"


class Forwarding:
    """A ledger that forwards to another."""

    def __init__(self, ledger: LedgerPort) -> None:
        self._ledger = ledger

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        return await self._ledger.open_step(enrollment_id)

    async def decide_step(self, enrollment_id: UUID) -> Preparation:
        return await self._ledger.decide_step(enrollment_id)

    async def decide_message(self, message_id: UUID) -> Preparation:
        return await self._ledger.decide_message(message_id)

    async def open_message(self, message_id: UUID) -> NextAction:
        return await self._ledger.open_message(message_id)

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        return await self._ledger.record_answer(attempt_id, answer)

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> NextAction:
        return await self._ledger.record_listing(attempt_id, listing)

    async def record_line_type(self, contact_id: UUID, line_type: LineType | None) -> None:
        await self._ledger.record_line_type(contact_id, line_type)

    async def close_enrollment(self, enrollment_id: UUID) -> EnrollmentState:
        return await self._ledger.close_enrollment(enrollment_id)


class _Forgetful(Database):
    """A database that rolls back every transaction."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with super().transaction() as tx:
            yield tx
            await tx.rollback()


class RowAfterCall(Forwarding):
    """Decides to send, and records the attempt only after the answer."""

    def __init__(self, ledger: LedgerPort, database: Database, rules: SendingRules) -> None:
        super().__init__(ledger)
        url = database.engine.url.render_as_string(hide_password=False)
        self._deciding = Sending(Pools.one(_Forgetful(url)), rules)
        self._of: dict[UUID, UUID] = {}

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        next_action = await self._deciding.open_step(enrollment_id)
        if not isinstance(next_action, SendRequest):
            return await super().open_step(enrollment_id)
        self._of[next_action.attempt_id] = enrollment_id
        return next_action

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        next_action = await super().open_step(self._of.pop(attempt_id))
        if isinstance(next_action, SendRequest):
            return await super().record_answer(next_action.attempt_id, answer)
        return next_action


class NoEvidence(Forwarding):
    """Treats an unknown outcome as not sent."""

    async def decide_step(self, enrollment_id: UUID) -> Preparation:
        decision = await super().decide_step(enrollment_id)
        if isinstance(decision, NeedsReconciliation):
            await super().record_answer(decision.attempt_id, NotCalled())
            return await super().decide_step(enrollment_id)
        return decision

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        blind = NotCalled() if isinstance(answer, OutcomeUnknown) else answer
        return await super().record_answer(attempt_id, blind)


@contextmanager
def without(sabotage: Sabotage | None) -> Iterator[None]:
    """Leave out the part that a sabotage names, if it is not in the ledger."""
    match sabotage:
        case Sabotage.NO_LOCKS:
            with _without_locks():
                yield
        case Sabotage.EXACT_BODY:
            with _by_exact_body():
                yield
        case Sabotage.MONOTONIC_CLOCK:
            with patch.object(Deadline, "is_late", property(_is_late_by_monotonic_clock)):
                yield
        case Sabotage.ASSUMED_ISOLATION:
            with _isolated_by_default():
                yield
        case Sabotage.LATE_ROWS:
            with _with_late_rows():
                yield
        case Sabotage.ROW_AFTER_CALL | Sabotage.NO_EVIDENCE | None:
            yield


def _is_late_by_monotonic_clock(deadline: Deadline) -> bool:
    """Use only the clock that stops while the machine is suspended."""
    return deadline.clocks.monotonic() > deadline.moments[0]


@contextmanager
def _by_exact_body() -> Iterator[None]:
    """Take whatever the list does not show word for word for absent, and trust every list."""
    unclaimed = absence.unclaimed

    def word_for_word(
        attempt: Attempt, texts: Sequence[ListedMessage], claimed: frozenset[str]
    ) -> list[ListedMessage]:
        return [one for one in unclaimed(attempt, texts, claimed) if one.body == attempt.body]

    with (
        patch.object(absence, "unclaimed", word_for_word),
        patch.object(absence, "proves_absence", lambda *_: True),
    ):
        yield


@contextmanager
def _without_locks() -> Iterator[None]:
    """Open attempts without locking the number or the row."""
    statement = sending._LOCK_STEP
    for lock in ("pg_advisory_xact_lock(hashtextextended(c.phone, 0))", "FOR UPDATE OF e"):
        assert lock in statement
        statement = statement.replace(lock, "1" if lock.startswith("pg_") else "")
    # The scenario takes a while on a busy machine.
    with patch.object(sending, "_LOCK_STEP", statement), _with_late_rows():
        yield


@contextmanager
def _with_late_rows() -> Iterator[None]:
    """Open attempts however late it is."""
    with patch.object(services.messaging.sending, "_refuse_if_late", lambda _: None):
        yield


@contextmanager
def _isolated_by_default() -> Iterator[None]:
    """Begin transactions with the database's default isolation level."""

    def assuming(url: str, *, isolation_level: str, **options: Any) -> AsyncEngine:
        assert isolation_level
        return create_async_engine(url, **options)

    with patch.object(database, "create_async_engine", assuming):
        yield


def sabotaged(
    sabotage: Sabotage | None, ledger: LedgerPort, database: Database, rules: SendingRules
) -> LedgerPort:
    """Replace the part of the ledger that a sabotage names, if it is in there."""
    match sabotage:
        case Sabotage.ROW_AFTER_CALL:
            return RowAfterCall(ledger, database, rules)
        case Sabotage.NO_EVIDENCE:
            return NoEvidence(ledger)
        case (
            Sabotage.NO_LOCKS
            | Sabotage.EXACT_BODY
            | Sabotage.MONOTONIC_CLOCK
            | Sabotage.ASSUMED_ISOLATION
            | Sabotage.LATE_ROWS
            | None
        ):
            return ledger
