"""States, kinds, purposes and reply policies of sequences."""

from enum import StrEnum


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
    PAUSE = "pause"


class CountsAsReply(StrEnum):
    """Which texts count as replies: what people write, or reactions and automatic answers too."""

    HUMAN = "human"
    ANY = "any"


class LatePolicy(StrEnum):
    """What becomes of a step that cannot go at its time: after an outage, a pause, for a cap.

    ``send``: it goes as soon as it may. ``expire``: it may still go for some hours, then it is
    skipped. ``skip``: it is skipped at once.
    """

    SEND = "send"
    EXPIRE = "expire"
    SKIP = "skip"


class Purpose(StrEnum):
    """What a sequence's texts are for, which is what rules about hours go by.

    ``transactional``: about something that the person does or asked for. ``informational``: news
    of it, without an offer. ``marketing``: an offer, a solicitation; in doubt this one.
    """

    TRANSACTIONAL = "transactional"
    INFORMATIONAL = "informational"
    MARKETING = "marketing"
