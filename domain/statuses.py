"""The words Segue keeps about sequences, enrollments and messages, each with its label."""

from dataclasses import dataclass
from enum import StrEnum


class EnrollmentStatus(StrEnum):
    """How an enrollment stands; every value but ``active`` is final and never changes."""

    ACTIVE = "active"
    FINISHED_RESPONDED = "finished_responded"
    FINISHED_NO_RESPONSE = "finished_no_response"
    FINISHED_STOPPED = "finished_stopped"
    FAILED = "failed"
    OPTED_OUT = "opted_out"
    OMITTED_OPTED_OUT = "omitted_opted_out"
    OMITTED_LANDLINE = "omitted_landline"

    @property
    def is_final(self) -> bool:
        """Whether nothing can happen to the enrollment any more."""
        return self is not EnrollmentStatus.ACTIVE


@dataclass(frozen=True)
class StatusWords:
    """How a status is shown to people.

    Attributes:
        label: The badge's text.
        meaning: A sentence.
    """

    label: str
    meaning: str


STATUS_WORDS: dict[EnrollmentStatus, StatusWords] = {
    EnrollmentStatus.ACTIVE: StatusWords(
        "Active", "The enrollment is receiving messages and has not completed the sequence."
    ),
    EnrollmentStatus.FINISHED_RESPONDED: StatusWords(
        "Finished, responded", "The contact replied, and the sequence is completed for them."
    ),
    EnrollmentStatus.FINISHED_NO_RESPONSE: StatusWords(
        "Finished, no response", "Every step went out, the reply window passed, nobody replied."
    ),
    EnrollmentStatus.FINISHED_STOPPED: StatusWords(
        "Finished, stopped", "A user marked it finished before it completed."
    ),
    EnrollmentStatus.FAILED: StatusWords(
        "Failed", "The provider returned a failed response for a message of the sequence."
    ),
    EnrollmentStatus.OPTED_OUT: StatusWords(
        "Opted Out", "The contact asked to opt out during the sequence."
    ),
    EnrollmentStatus.OMITTED_OPTED_OUT: StatusWords(
        "Omitted Opted Out", "They never received a message: they had opted out already."
    ),
    EnrollmentStatus.OMITTED_LANDLINE: StatusWords(
        "Omitted Landline", "Nothing was ever delivered: the number is a landline."
    ),
}


class Activity(StrEnum):
    """What an active enrollment is doing; detail, not a status."""

    WAITING = "waiting"
    SENDING = "sending"
    AWAITING_REPLY = "awaiting_reply"
    PAUSED = "paused"
    HELD = "held"


class Need(StrEnum):
    """What an enrollment or a one-off text needs at once.

    ``send``: its text may go. ``reconcile``: the outcome of an earlier attempt must be proven
    first. ``look_up``: the line type of the number must be looked up first.
    """

    SEND = "send"
    RECONCILE = "reconcile"
    LOOK_UP = "look_up"


class StepOutcome(StrEnum):
    """What became of one step of an enrollment; several may be true of one step.

    ``due``: the active enrollment waits at it. ``sent``: its text was *sent*. ``delivered``: its
    text was *delivered*. ``failed``: the enrollment is over and the step's text failed for good,
    other than by an opt-out. ``replied``: the contact's first reply came when it was the last step
    sent. ``opted_out``: it was the last step sent to a contact who opted out.
    """

    DUE = "due"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REPLIED = "replied"
    OPTED_OUT = "opted_out"


class SequenceState(StrEnum):
    """Whether a sequence may be enrolled into and may send."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class SequenceKind(StrEnum):
    """How a sequence's steps are timed."""

    ONGOING = "ongoing"
    SCHEDULED = "scheduled"


class ReplyPolicy(StrEnum):
    """What a reply does to an enrollment."""

    FINISH = "finish"
    CONTINUE = "continue"


class LineType(StrEnum):
    """What kind of line a number is; the values are Twilio Lookup v2's."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    TOLL_FREE = "tollFree"
    FIXED_VOIP = "fixedVoip"
    NON_FIXED_VOIP = "nonFixedVoip"
    PERSONAL = "personal"
    PREMIUM = "premium"
    VOICEMAIL = "voicemail"
    SHARED_COST = "sharedCost"
    UAN = "uan"
    PAGER = "pager"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Which way a message went."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageStatus(StrEnum):
    """Where an outbound message is, in the provider's words and five of our own.

    ``pending``: written, no attempt yet. ``sending``: an attempt is open. ``unknown``: an attempt
    got no answer and is being settled. ``refused``: the provider refused the last attempt.
    ``canceled`` and the rest are Twilio's. Inbound messages are ``received``.
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
    MessageStatus.SENDING: "Being sent",
    MessageStatus.UNKNOWN: "Not known whether it went out",
    MessageStatus.REFUSED: "Refused",
    MessageStatus.ACCEPTED: "Handed over",
    MessageStatus.SCHEDULED: "Handed over",
    MessageStatus.QUEUED: "Handed over",
    MessageStatus.SENT: "Sent",
    MessageStatus.FAILED: "Not sent",
    MessageStatus.CANCELED: "Canceled",
    MessageStatus.UNDELIVERED: "Not delivered",
    MessageStatus.DELIVERED: "Delivered",
    MessageStatus.READ: "Read",
    MessageStatus.RECEIVED: "Received",
}


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


class HeldReason(StrEnum):
    """Why an active enrollment waits for a person."""

    OUTCOME_UNKNOWN = "outcome_unknown"
    SENDER_ON_HOLD = "sender_on_hold"
    DESTINATION_NOT_ALLOWED = "destination_not_allowed"


class OptOutSource(StrEnum):
    """How a number came to be suppressed."""

    KEYWORD = "keyword"
    PLAIN_WISH = "plain_wish"
    PROVIDER_ERROR = "provider_error"
    BY_HAND = "by_hand"


class TextMeaning(StrEnum):
    """What an inbound text asks for: in a keyword, or for no more texts in plain words."""

    OPT_OUT = "opt_out"
    PLAIN_WISH = "plain_wish"
    OPT_IN = "opt_in"
    HELP = "help"


class ReviewDecision(StrEnum):
    """What a person says a text meant that the rules were unsure about."""

    OPT_OUT = "opt_out"
    NOT_AN_OPT_OUT = "not_an_opt_out"


class Role(StrEnum):
    """What a user may do: viewers read, members work, admins also manage."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"


class LastText(StrEnum):
    """Whether a text was under way when its enrollment was marked finished, and its fate."""

    NONE = "none"
    SENT = "sent"
    UNKNOWN = "unknown"


class JobKind(StrEnum):
    """What work in the background does."""

    IMPORT_CONTACTS = "import_contacts"
    IMPORT_SUPPRESSIONS = "import_suppressions"
    ENROL = "enrol"
    MARK_FINISHED = "mark_finished"
    ADD_TO_GROUP = "add_to_group"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"


class JobState(StrEnum):
    """Where work in the background stands; the last three are final.

    ``receiving``: its rows are being uploaded, or are all here and nobody has said yet that the
    work may begin. ``canceling``: rows under way are finished.
    """

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    DONE = "done"
    CANCELED = "canceled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing is done any more."""
        return self in {JobState.DONE, JobState.CANCELED, JobState.FAILED}


class TokenScope(StrEnum):
    """What an API token may be used for, as far as its user may.

    ``write`` changes what is kept, ``send`` enrols and writes texts, ``admin`` manages users,
    senders, tokens and event endpoints.
    """

    READ = "read"
    WRITE = "write"
    SEND = "send"
    ADMIN = "admin"
