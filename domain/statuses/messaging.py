"""States of messages and of attempts."""

from datetime import datetime
from enum import StrEnum


class Direction(StrEnum):
    """Which way a message went."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class TextKind(StrEnum):
    """What an inbound text is.

    ``human``: a person wrote it, or nothing proves otherwise. ``reaction``: a phone tells of a
    reaction to one of our texts. ``auto_reply``: a phone, a desk or a carrier answered by itself.
    """

    HUMAN = "human"
    REACTION = "reaction"
    AUTO_REPLY = "auto_reply"


TEST_MARK = "[Test] "
"""How a text begins that a user sends to see how it arrives, for whoever reads it or of it."""


class MessageStatus(StrEnum):
    """Where an outbound message is, in the provider's words and five of our own.

    ``pending``: to be sent; no attempt yet, or the last one was absent or written off. ``sending``:
    an attempt is open. ``unknown``: an attempt got no answer and is being reconciled. ``refused``:
    the provider refused the last attempt. ``canceled`` and the rest are Twilio's. Inbound messages
    are ``received``. A ``pending`` text that was written to be sent later is shown as
    ``scheduled``; see ``shown_status``.
    """

    PENDING = "pending"
    SENDING = "sending"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    CANCELED = "canceled"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"
    READ = "read"
    RECEIVED = "received"


MESSAGE_LABELS: dict[MessageStatus, str] = {
    MessageStatus.PENDING: "Waiting to be sent",
    MessageStatus.SENDING: "Sending",
    MessageStatus.UNKNOWN: "Not confirmed",
    MessageStatus.REFUSED: "Rejected",
    MessageStatus.ACCEPTED: "Queued",
    MessageStatus.SCHEDULED: "Scheduled",
    MessageStatus.QUEUED: "Queued",
    MessageStatus.SENT: "Sent",
    MessageStatus.FAILED: "Not sent",
    MessageStatus.CANCELED: "Canceled",
    MessageStatus.UNDELIVERED: "Not delivered",
    MessageStatus.DELIVERED: "Delivered",
    MessageStatus.READ: "Read",
    MessageStatus.RECEIVED: "Received",
}


def shown_status(
    status: MessageStatus, send_at: datetime | None, next_try_at: datetime | None
) -> MessageStatus:
    """Give the status to show: a text that waits for the time it was written for is scheduled."""
    is_scheduled = status is MessageStatus.PENDING and None is not send_at == next_try_at
    return MessageStatus.SCHEDULED if is_scheduled else status


class CancelReason(StrEnum):
    """Why a one-off text was canceled before it went.

    ``by_hand``: a person canceled it. ``enrollment_ended``: the enrollment that it was written from
    is over. ``opted_out``: its number was suppressed. ``restored``: the database was restored from
    a backup, and it may have gone already.
    """

    BY_HAND = "by_hand"
    ENROLLMENT_ENDED = "enrollment_ended"
    OPTED_OUT = "opted_out"
    RESTORED = "restored"


class ConversationState(StrEnum):
    """How a conversation with a contact stands.

    ``needs_reply``: the last word is theirs. ``done``: a person said so, and the contact has not
    written since. ``snoozed``: the same, until a moment to come. ``open``: none of these.
    """

    NEEDS_REPLY = "needs_reply"
    OPEN = "open"
    SNOOZED = "snoozed"
    DONE = "done"


class AttemptOutcome(StrEnum):
    """What is known about one call to the provider.

    ``open``: the call may still be under way. ``unknown``: it ended without a usable answer.
    ``accepted``: the provider has the message. ``refused``: the provider said no, so nothing was
    sent. ``absent``: proven not to be at the provider. ``assumed_sent`` and ``written_off``: a
    person decided about an unknown one (treat as sent; send again).
    """

    OPEN = "open"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ABSENT = "absent"
    ASSUMED_SENT = "assumed_sent"
    WRITTEN_OFF = "written_off"

    @property
    def is_known(self) -> bool:
        """Whether nothing needs to be proven about the attempt any more."""
        return self not in {AttemptOutcome.OPEN, AttemptOutcome.UNKNOWN}


class LastText(StrEnum):
    """What became of a text that was under way when its enrollment was marked finished."""

    NONE = "none"
    SENT = "sent"
    UNKNOWN = "unknown"
