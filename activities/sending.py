"""The send path: decide, find out what must be known, call the provider, record its answer."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.messaging.absence import list_texts
from domain.messaging.ports import (
    Accepted,
    LateError,
    Ledger,
    LineTypeNeeded,
    NeedsReconciliation,
    NextAction,
    OutcomeUnknown,
    Preparation,
    ProviderUnavailableError,
    Refused,
    SendingGateway,
    SendRequest,
    SendResult,
)
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, Need

_logger = logging.getLogger(__name__)

RECORD_RETRY = timedelta(milliseconds=200)
"""First pause between two tries to record an answer; doubles up to two seconds."""

LOOK_AGAIN = timedelta(seconds=10)
"""How often an unknown outcome is looked at again."""

LATE_RETRY = timedelta(seconds=2)
"""The shortest wait of a send that came too late to start; the longest is twice that."""

RECORD_GIVE_UP = timedelta(minutes=5)
"""After this long an answer that cannot be recorded is left to be reconciled."""


@dataclass(frozen=True)
class SendStep:
    """Which enrollment's next step to send."""

    enrollment_id: str


@dataclass(frozen=True)
class SendMessage:
    """Which one-off text to send."""

    message_id: str


@dataclass(frozen=True)
class CloseEnrollment:
    """Which enrollment to close when its reply window has passed."""

    enrollment_id: str


class SendingActivities:
    """The activities of enrollments and one-off texts.

    Args:
        look_again: How often an attempt of unknown outcome is read again: a status callback may
            prove it long before the provider's list can.
    """

    def __init__(
        self, ledger: Ledger, gateway: SendingGateway, *, look_again: timedelta = LOOK_AGAIN
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._look_again = look_again
        self._listening: set[asyncio.Task[None]] = set()

    @activity.defn(name="decide_step")
    async def decide_step(self, request: SendStep) -> EnrollmentState:
        """Say what the enrollment needs next, or what to wait for.

        Idempotency key: none, it begins no text. Time limit: 2 s as a local activity, 10 s as a
        regular one. No failure is final.
        """
        return _told(await self._ledger.decide_step(UUID(request.enrollment_id)))

    @activity.defn(name="look")
    async def look(self, request: SendStep) -> EnrollmentState:
        """Decide, for enrollments that asked before they knew ``decide_step``."""
        return await self.decide_step(request)

    @activity.defn(name="decide_message")
    async def decide_message(self, request: SendMessage) -> EnrollmentState:
        """Say what a one-off text needs next. Key, limits and failures: as ``decide_step``."""
        return _told(await self._ledger.decide_message(UUID(request.message_id)))

    @activity.defn(name="resolve_step")
    async def resolve_step(self, request: SendStep) -> EnrollmentState:
        """Find out what must be known before the enrollment's next step, then decide.

        That is the outcome of an earlier attempt, by the provider's list, or the line type of the
        number. Idempotency key: the attempt whose outcome is recorded once. Time limit: 30 s from
        start to close, no maximum of attempts.

        Raises:
            ApplicationError: ``outcome_unknown``; retryable, with the delay after which the
                provider's list may prove more.
        """
        return await self._resolve(self._ledger.decide_step, UUID(request.enrollment_id))

    @activity.defn(name="resolve_message")
    async def resolve_message(self, request: SendMessage) -> EnrollmentState:
        """Find out what became of a one-off text, then decide. All else: as ``resolve_step``."""
        return await self._resolve(self._ledger.decide_message, UUID(request.message_id))

    @activity.defn(name="send_step")
    async def send_step(self, request: SendStep) -> EnrollmentState:
        """Send the enrollment's next step, and say what it needs or waits for next.

        Everything is checked again under locks; if something has come in the way since it was
        decided, that is answered. Idempotency key: the attempt's row, one live per message (never
        twice). Time limit: 30 s from start to close, no maximum of attempts; the bounds are counted
        on the row.

        Raises:
            ApplicationError: ``late``; retryable, with a delay: the call could not have begun in
                time, so nothing was written.
        """
        return await self._send(self._ledger.open_step, UUID(request.enrollment_id))

    @activity.defn(name="send_message")
    async def send_message(self, request: SendMessage) -> EnrollmentState:
        """Send a one-off text, bound by suppression but by no window.

        Idempotency key, time limit and errors: as ``send_step``.
        """
        return await self._send(self._ledger.open_message, UUID(request.message_id))

    @activity.defn(name="close_enrollment")
    async def close_enrollment(self, request: CloseEnrollment) -> EnrollmentState:
        """End an enrollment whose reply window has passed.

        Idempotency key: the row's own status. Time limit: 2 s as a local activity, 10 s as a
        regular one. No failure is final.
        """
        return await self._ledger.close_enrollment(UUID(request.enrollment_id))

    async def _send(
        self, ask: Callable[[UUID], Awaitable[NextAction]], subject_id: UUID
    ) -> EnrollmentState:
        """Ask to send, make the call if there is one, and say what comes next."""
        try:
            next_action = await ask(subject_id)
        except LateError:
            raise _late() from None
        while isinstance(next_action, SendRequest):
            # The answer is recorded even if the activity is canceled meanwhile.
            next_action = await asyncio.shield(self._call(next_action))
        return _told(next_action)

    async def _resolve(
        self, decide: Callable[[UUID], Awaitable[Preparation]], subject_id: UUID
    ) -> EnrollmentState:
        """Decide, and find out what that needs, until nothing is left to find out."""
        while True:
            match await decide(subject_id):
                case EnrollmentState() as state:
                    return state
                case NeedsReconciliation() as question:
                    await self._reconcile(question)
                case LineTypeNeeded() as question:
                    try:
                        line_type = await self._gateway.line_type(question.phone)
                    except ProviderUnavailableError:
                        line_type = None
                    await self._ledger.record_line_type(question.contact_id, line_type)

    async def _reconcile(self, question: NeedsReconciliation) -> None:
        """Fetch the provider's list for an earlier attempt, or come back when it may prove more.

        After a list that proved nothing it comes back no sooner than the next one may: the row
        does not remember that list, and each costs the provider as much as a text.
        """
        if question.wait > timedelta(0):
            raise _come_back(min(question.wait, self._look_again))
        while question.wait <= timedelta(0):
            listing = await list_texts(self._gateway, question)
            weighed = await self._ledger.record_listing(question.attempt_id, listing)
            if not isinstance(weighed, NeedsReconciliation):
                return
            question = weighed
        raise _come_back(question.wait)

    async def _call(self, call: SendRequest) -> NextAction:
        answer = await self._gateway.create(call)
        if isinstance(answer, OutcomeUnknown) and answer.late is not None:
            listening = asyncio.create_task(self._record_late(call.attempt_id, answer.late))
            self._listening.add(listening)
            listening.add_done_callback(self._listening.discard)
        return await self._record(call.attempt_id, answer)

    async def _record_late(self, attempt_id: UUID, coming: Awaitable[SendResult]) -> None:
        """Record an answer that comes after the call has given up its slot.

        If it cannot be recorded, the attempt is reconciled like any other of unknown outcome.
        """
        answer = await coming
        if isinstance(answer, Accepted | Refused):
            await self._record(attempt_id, answer)

    async def _record(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        pause = RECORD_RETRY
        give_up = time.monotonic() + RECORD_GIVE_UP.total_seconds()
        while True:
            try:
                return await self._ledger.record_answer(attempt_id, answer)
            except Exception as error:
                if time.monotonic() > give_up:
                    raise
                _logger.warning(
                    "the provider's answer is not recorded yet",
                    extra={"attempt_id": str(attempt_id), "error": type(error).__name__},
                )
                await asyncio.sleep(pause.total_seconds())
                pause = min(pause * 2, timedelta(seconds=2))


def _told(decision: Preparation) -> EnrollmentState:
    """Return a decision in the form that workflows know.

    A build that knows no needs asks to send again when that is due.
    """
    match decision:
        case EnrollmentState():
            return decision
        case NeedsReconciliation():
            need = Need.RECONCILE
        case LineTypeNeeded():
            need = Need.LOOK_UP
    return EnrollmentState(
        doing=EnrollmentPhase.SENDING,
        status=EnrollmentStatus.ACTIVE,
        due_at=datetime.now(UTC) + LOOK_AGAIN,
        needs=need,
    )


def _late() -> ApplicationError:
    """Make the retry of a late send, after a random delay: late sends come in crowds."""
    return ApplicationError(
        "it is too late to begin",
        type="late",
        next_retry_delay=LATE_RETRY * random.uniform(1, 2),  # noqa: S311 - no secret
        category=ApplicationErrorCategory.BENIGN,
    )


def _come_back(delay: timedelta) -> ApplicationError:
    """Make the retry that waits without holding a slot."""
    return ApplicationError(
        "the provider's answer is being reconciled",
        type="outcome_unknown",
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )
