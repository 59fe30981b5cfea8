"""What the send path needs from outside: ports and the values they exchange."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from domain.messaging.deadline import Deadline
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus

_Text = TypeVar("_Text")


@dataclass(frozen=True)
class SendRequest:
    """A call to the provider that has been committed and may now be made, once.

    Attributes:
        attempt_id: Goes into the status-callback URL.
        to: Recipient, E.164.
        from_phone: None with a Messaging Service.
        validity_seconds: How long the provider may go on trying, 1 to 36,000.
        deadline: After it the call must not begin.
        due_at: When the text was due as the last plan said, to measure how late it goes, UTC.
    """

    attempt_id: UUID
    to: str
    from_phone: str | None
    messaging_service_sid: str | None
    body: str
    media_urls: Sequence[str]
    validity_seconds: int
    deadline: Deadline
    due_at: datetime | None = None


@dataclass(frozen=True)
class Canary:
    """A text that the provider accepted, which a list must show as it was sent to prove anything.

    It was created later than ``list_from``.
    """

    sid: str
    to: str
    body: str
    sender_id: UUID
    list_from: datetime


@dataclass(frozen=True)
class NeedsReconciliation:
    """An earlier attempt whose outcome must be proven before anything else is sent.

    Attributes:
        to: Recipient, E.164: the provider's list is asked for texts to it.
        list_from: Texts created before this moment cannot be the one.
        wait: Before this much time has passed the provider's list proves nothing; may be zero.
        read_at: Now, by the ledger's clock: a list counts from here.
        canary: What the list must show; None if there is no such text, or too early to ask.
    """

    attempt_id: UUID
    to: str
    list_from: datetime
    wait: timedelta
    read_at: datetime
    canary: Canary | None = None


@dataclass(frozen=True)
class LineTypeNeeded:
    """The line type of a contact's number, in E.164, must be looked up before its first text."""

    contact_id: UUID
    phone: str


Preparation = EnrollmentState | NeedsReconciliation | LineTypeNeeded
"""What is next: send, wait or nothing, as a state says, or find something out first."""


NextAction = Preparation | SendRequest
"""The answer to asking to send: make this call, or what is next if it may not be made now."""


@dataclass(frozen=True)
class Accepted:
    """The provider has the message.

    Attributes:
        status: The provider's first word on it.
        from_phone: The number it goes out from, once chosen.
        is_intact: Whether the provider shows recipient and text as they were handed over.
    """

    sid: str
    status: MessageStatus
    from_phone: str | None = None
    is_intact: bool = True


@dataclass(frozen=True)
class Refused:
    """The provider refused the message: nothing was sent; HTTP status 0 without a connection."""

    http_status: int
    code: int | None


@dataclass(frozen=True)
class OutcomeUnknown:
    """The call ended without an answer that says whether the message exists.

    Attributes:
        late: The answer that may still come; None if the call is over.
    """

    http_status: int | None = None
    code: int | None = None
    late: "Awaitable[SendResult] | None" = field(default=None, compare=False)


@dataclass(frozen=True)
class NotCalled:
    """The deadline passed before the call began: nothing left this process."""


SendResult = Accepted | Refused | OutcomeUnknown | NotCalled


@dataclass(frozen=True)
class ListedMessage:
    """An outbound message in the provider's list.

    Attributes:
        body: Empty if redacted.
        status: The provider's last word on it.
        created_at: UTC.
        from_phone: The number it went out from, once chosen.
        to: Recipient, as the provider shows it: the last digits may be redacted.
    """

    sid: str
    body: str
    status: MessageStatus
    created_at: datetime
    error_code: int | None = None
    from_phone: str | None = None
    to: str = ""


class CanaryState(StrEnum):
    """How a list shows its canary."""

    INTACT = "intact"
    ALTERED = "altered"
    MISSING = "missing"
    NONE = "none"


@dataclass(frozen=True)
class Listing:
    """What the provider's list shows of the texts to an attempt's number.

    Attributes:
        asked_at: The ledger's time, no later than the list was asked for.
        texts: Outbound texts to the number.
        canary: How the known text is shown; `NONE` if there was none to look for.
        canary_sender: Whose that text is.
    """

    asked_at: datetime
    texts: Sequence[ListedMessage]
    canary: CanaryState
    canary_sender: UUID | None = None


@dataclass(frozen=True)
class ListedText:
    """A text that someone sent us, as the provider's list shows it.

    Attributes:
        messaging_service_sid: The Messaging Service it came through; the list may leave it out.
        body: The text; empty with a photo alone.
        pictures: How many there are; `Gateway.pictures` tells where.
        sent_at: When, UTC; the provider says it in whole seconds.
    """

    sid: str
    phone: str
    to: str
    messaging_service_sid: str | None
    body: str
    pictures: int
    sent_at: datetime


@dataclass(frozen=True)
class ListPage(Generic[_Text]):
    """A page of a list of texts; ``more`` is where the list goes on, None at its end."""

    texts: Sequence[_Text]
    more: str | None = None


@dataclass(frozen=True)
class Attachment:
    """A picture or another file of an inbound text; ``content_type`` is what the provider says."""

    content: bytes
    content_type: str


class LateError(Exception):
    """Asking to send took so long that the call could not begin in time any more."""


class ProviderUnavailableError(Exception):
    """A question to the provider (list, look-up) got no usable answer; ask again later."""


class SendingGateway(Protocol):
    """What sending needs of the text-message provider."""

    async def create(self, call: SendRequest) -> SendResult:
        """Hand one message to the provider, never after the call's deadline, never twice."""
        ...

    async def list_outbound(self, to: str, since: datetime) -> Sequence[ListedMessage]:
        """List outbound messages to a number created since a moment, newest first.

        Raises:
            ProviderUnavailableError: The list could not be had, which proves nothing.
        """
        ...

    async def line_type(self, phone: str) -> LineType:
        """Look up what kind of line a number is; ``unknown`` if the provider cannot say.

        Raises:
            ProviderUnavailableError: The look-up failed.
        """
        ...


class Gateway(SendingGateway, Protocol):
    """The text-message provider."""

    async def list_inbound(
        self, since: datetime, until: datetime, page: str | None = None, *, to: str | None = None
    ) -> ListPage[ListedText]:
        """List a page of the texts that came to us, or to one of our numbers, between two moments.

        The second that ``since`` falls in is included; ``page`` is ``more`` of the page before.

        Raises:
            ProviderUnavailableError: The page could not be had.
        """
        ...

    async def pictures(self, sid: str) -> Sequence[str]:
        """Fetch the addresses of an inbound text's pictures.

        Raises:
            ProviderUnavailableError: They could not be had.
        """
        ...

    async def attachment(self, url: str) -> Attachment | None:
        """Fetch a file by one of these addresses, from nowhere but the provider.

        None if it is no address of the provider's, or what it has there is gone or too large.

        Raises:
            ProviderUnavailableError: It could not be had.
        """
        ...

    async def message(self, sid: str) -> ListedMessage | None:
        """Fetch one outbound message; None if the provider does not have it any more.

        Raises:
            ProviderUnavailableError: It could not be had.
        """
        ...


class SentLists(Protocol):
    """What went out, for whoever compares it with restored rows."""

    async def list_sent(
        self, since: datetime, page: str | None = None, *, from_phone: str | None = None
    ) -> ListPage[ListedMessage]:
        """List a page of the outbound texts, or those of one number, created since a moment.

        The newest first; ``page`` is ``more`` of the page before.

        Raises:
            ProviderUnavailableError: The page could not be had.
        """
        ...


class Ledger(Protocol):
    """The rows that decide whether a text may start and how an enrollment ended."""

    async def decide_step(self, enrollment_id: UUID) -> Preparation:
        """Say what the enrollment needs next, and begin no text."""
        ...

    async def decide_message(self, message_id: UUID) -> Preparation:
        """Say what a one-off text needs next, and begin nothing."""
        ...

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        """Ask to send the enrollment's next step.

        Raises:
            LateError: Nothing was begun; asking again later may do.
        """
        ...

    async def open_message(self, message_id: UUID) -> NextAction:
        """Ask to send a one-off text. Raises as `open_step` does."""
        ...

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        """Record what the provider said and all that follows from it; return what is next."""
        ...

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> NextAction:
        """Weigh the provider's list as evidence about an attempt; None if it could not be had."""
        ...

    async def record_line_type(self, contact_id: UUID, line_type: LineType | None) -> None:
        """Record a number's line type; None if the look-up failed."""
        ...

    async def close_enrollment(self, enrollment_id: UUID) -> EnrollmentState:
        """End the enrollment if its reply window has passed."""
        ...
