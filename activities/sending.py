"""The send path: ask the ledger, call the provider, write down what it said."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.absence import list_texts
from domain.ports import (
    Accepted,
    Answer,
    Call,
    Ledger,
    LineTypeNeeded,
    Opening,
    OutcomeUnknown,
    ProviderUnavailableError,
    Refused,
    SendingGateway,
    Standing,
    Unsettled,
)

_logger = logging.getLogger(__name__)

RECORD_RETRY = timedelta(milliseconds=200)
"""First pause between two tries to write down an answer; doubles up to two seconds."""

LOOK_AGAIN = timedelta(seconds=10)

RECORD_GIVE_UP = timedelta(minutes=5)
"""After this long an answer that cannot be written down is left to be proven again."""


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
        ledger: The rows that decide.
        gateway: The provider.
        look_again: How often an attempt that is being settled is looked at for a proof by
            callback, which may come long before the provider's list can prove anything.
    """

    def __init__(
        self, ledger: Ledger, gateway: SendingGateway, *, look_again: timedelta = LOOK_AGAIN
    ) -> None:
        self._ledger = ledger
        self._gateway = gateway
        self._look_again = look_again
        self._listening: set[asyncio.Task[None]] = set()

    @activity.defn(name="send_step")
    async def send_step(self, request: SendStep) -> Standing:
        """Send the enrollment's next step if it is due, and say what to wait for next.

        Idempotency key: the attempt's row, one live per message (DESIGN section 5). Time limit:
        30 s from start to close, no maximum of attempts; the bounds are counted on the row.

        Raises:
            ApplicationError: ``outcome_unknown``; retryable, with the delay after which the
                provider's list may prove more.
        """
        return await self._send(self._ledger.open_step, UUID(request.enrollment_id))

    @activity.defn(name="look")
    async def look(self, request: SendStep) -> Standing:
        """Say where the enrollment stands now: for one that is not due, and not paced as sends are.

        Idempotency key: none, it begins no text. Time limit: 10 s. No failure is final.
        """
        return await self._ledger.look(UUID(request.enrollment_id))

    @activity.defn(name="send_message")
    async def send_message(self, request: SendMessage) -> Standing:
        """Send a one-off text, bound by suppression and section 5 but by no window.

        Idempotency key, time limit and errors: as ``send_step``.
        """
        return await self._send(self._ledger.open_message, UUID(request.message_id))

    @activity.defn(name="close_enrollment")
    async def close_enrollment(self, request: CloseEnrollment) -> Standing:
        """End an enrollment whose reply window has passed.

        Idempotency key: the row's own status. Time limit: 2 s as a local activity, 10 s as a
        regular one. No failure is final.
        """
        return await self._ledger.close_enrollment(UUID(request.enrollment_id))

    async def _send(self, ask: Callable[[UUID], Awaitable[Opening]], subject_id: UUID) -> Standing:
        """Ask to send, do what that needs, and ask again until there is nothing to do now."""
        opening = await ask(subject_id)
        while True:
            match opening:
                case Standing():
                    return opening
                case Unsettled() | LineTypeNeeded():
                    await self._find_out(opening)
                    opening = await ask(subject_id)
                case Call():
                    opening = await self._call(opening)

    async def _find_out(self, question: Unsettled | LineTypeNeeded) -> None:
        """Ask the provider what must be known before the next text."""
        match question:
            case Unsettled():
                await self._settle(question)
            case LineTypeNeeded():
                try:
                    line_type = await self._gateway.line_type(question.phone)
                except ProviderUnavailableError:
                    line_type = None
                await self._ledger.record_line_type(question.contact_id, line_type)

    async def _settle(self, unsettled: Unsettled) -> None:
        """Look for proof about an earlier attempt, or come back when there can be some."""
        while True:
            if unsettled.wait > timedelta(0):
                raise _come_back(min(unsettled.wait, self._look_again))
            listing = await list_texts(self._gateway, unsettled)
            weighed = await self._ledger.record_listing(unsettled.attempt_id, listing)
            if not isinstance(weighed, Unsettled):
                return
            unsettled = weighed

    async def _call(self, call: Call) -> Opening:
        """Make the call and write down its answer, whatever happens to the worker's slot."""
        return await asyncio.shield(self._call_and_record(call))

    async def _call_and_record(self, call: Call) -> Opening:
        answer = await self._gateway.create(call)
        if isinstance(answer, OutcomeUnknown) and answer.late is not None:
            listening = asyncio.create_task(self._record_late(call.attempt_id, answer.late))
            self._listening.add(listening)
            listening.add_done_callback(self._listening.discard)
        return await self._record(call.attempt_id, answer)

    async def _record_late(self, attempt_id: UUID, coming: Awaitable[Answer]) -> None:
        """Write down an answer that says what became of a call whose slot is free already.

        If it cannot be written down, the attempt is settled like any other of unknown outcome.
        """
        answer = await coming
        if isinstance(answer, Accepted | Refused):
            await self._record(attempt_id, answer)

    async def _record(self, attempt_id: UUID, answer: Answer) -> Opening:
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


def _come_back(delay: timedelta) -> ApplicationError:
    """The retry that waits without holding a slot."""
    return ApplicationError(
        "the provider's answer is being settled",
        type="outcome_unknown",
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )
