"""Statuses of enrollments, with their labels, and the phases of an active one."""

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
    """How a status is shown to people: the badge's text, and a sentence."""

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
        "Finished, no response", "Every step was sent, the reply window passed, and no one replied."
    ),
    EnrollmentStatus.FINISHED_STOPPED: StatusWords(
        "Finished, stopped", "A user marked it finished before the last text."
    ),
    EnrollmentStatus.FAILED: StatusWords(
        "Failed", "The provider returned a failed response for a message of the sequence."
    ),
    EnrollmentStatus.OPTED_OUT: StatusWords(
        "Opted Out", "The contact asked to opt out during the sequence."
    ),
    EnrollmentStatus.OMITTED_OPTED_OUT: StatusWords(
        "Omitted Opted Out", "They never received a message because they had already opted out."
    ),
    EnrollmentStatus.OMITTED_LANDLINE: StatusWords(
        "Omitted Landline", "Nothing was ever delivered: the number is a landline."
    ),
}


class EnrollmentPhase(StrEnum):
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
    sent. ``opted_out``: it was the last step sent to a contact who opted out. ``skipped``: it was
    not sent because its time was past.
    """

    DUE = "due"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    REPLIED = "replied"
    OPTED_OUT = "opted_out"
    SKIPPED = "skipped"


class WaitReason(StrEnum):
    """What postpones the next text of an enrollment that waits, beyond the step's own timing.

    ``retry``: it failed for a passing reason. ``spacing``: the text before went out a short while
    ago. ``window``: its send window. ``pack``: the law, by a rule pack. ``holiday``: one on which
    that closes the day. ``cap``: the most texts to one person in 24 hours.
    """

    RETRY = "retry"
    SPACING = "spacing"
    WINDOW = "window"
    PACK = "pack"
    HOLIDAY = "holiday"
    CAP = "cap"


class PauseReason(StrEnum):
    """Why an enrollment alone is paused: a person paused it, or its contact replied."""

    BY_HAND = "by_hand"
    REPLIED = "replied"


class HeldReason(StrEnum):
    """Why an active enrollment is held.

    A person must act, its sender must work again, what its next text says must be filled in, or
    the consent that it takes must be on record.
    """

    OUTCOME_UNKNOWN = "outcome_unknown"
    SENDER_ON_HOLD = "sender_on_hold"
    DESTINATION_NOT_ALLOWED = "destination_not_allowed"
    MISSING_DATA = "missing_data"
    CONSENT_MISSING = "consent_missing"
