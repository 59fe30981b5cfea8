"""The rows of the search as plain values, whose moments are seconds from now.

All of them are whole minutes: time passes by the minute. None is -1, whose hash is that of -2.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, Self, TypeVar

from domain.platform.rules import SendingRules
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus

_Row = TypeVar("_Row")

MINUTE = 60
NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
"""Always now: as time goes on, what the rows hold moves into the past."""

_MINUTE = timedelta(seconds=MINUTE)

RULES = SendingRules(
    workspace_zone="UTC",
    call_before=_MINUTE,
    call_margin=_MINUTE,
    absence_first_list=2 * _MINUTE,
    absence_second_list=_MINUTE,
    reconciliation_timeout=4 * _MINUTE,
    probe_interval=_MINUTE,
    retry_short=_MINUTE,
    min_spacing=_MINUTE,
    max_attempts=2,
)
"""The smallest timings in which every wait can be too short: short ones make few states."""

DELAY = MINUTE
"""Between two steps, and how long the reply window is."""

LIST_LAG = 3 * MINUTE
"""How long the provider's list may not show a text that it has."""

LONG_AGO = -5 * MINUTE
"""What is unproven and older is given up; nothing depends on how much older."""

PAST = -DELAY
"""Of what is known, nothing depends on how much older than this it is."""

CANARY_FROM = -2 * MINUTE
"""A text that was answered this long ago is one that a list must show."""

LIVE = frozenset(
    {
        AttemptOutcome.OPEN,
        AttemptOutcome.UNKNOWN,
        AttemptOutcome.ACCEPTED,
        AttemptOutcome.ASSUMED_SENT,
    }
)
"""As in the index ``uq_attempts_live``: one such attempt at a text that was not reported failed."""

_ARRIVED_PERHAPS = frozenset({30008, 30410})
_BLOCKED = frozenset({21610, 30004})


class Enrollment(NamedTuple):
    """A row of ``enrollments``: the columns that anything depends on.

    ``is_scheduled``: it has a ``next_send_at``, by which only its workflow goes. ``is_for_reply``:
    it is paused until a person has read a reply.
    """

    status: EnrollmentStatus = EnrollmentStatus.ACTIVE
    phase: EnrollmentPhase | None = EnrollmentPhase.WAITING
    held: HeldReason | None = None
    is_paused: bool = False
    is_for_reply: bool = False
    position: int = 1
    steps_sent: int = 0
    due: int | None = 0
    is_scheduled: bool = True
    reply_until: int | None = None
    last_sent: int | None = None
    has_replied: bool = False
    is_probing: bool = False


class Attempt(NamedTuple):
    """A row of ``attempts``, and the truth about its call.

    Attributes:
        outcome: As in the row, like all up to ``failed_code``.
        started: When it was committed; ``call_before`` follows from it.
        absent_once: When a first list did not show it.
        answered: When the provider was known to have it.
        sid: The id of the attempt whose text it is taken for; None as long as it is for none.
        word: The provider's last word.
        is_failed: Whether it was reported failed.
        failed_code: The code that came with that.
        was_failed: Whether it ever was reported failed.
        wrote_since: Whether the person wrote after it.
        handed: When the provider took it; None if it did not. Only the provider knows.
        is_intact: Whether the provider shows it as it was handed over; else it shows a blank.
    """

    outcome: AttemptOutcome = AttemptOutcome.OPEN
    started: int = 0
    absent_once: int | None = None
    answered: int | None = None
    sid: int | None = None
    word: MessageStatus | None = None
    is_failed: bool = False
    failed_code: int | None = None
    was_failed: bool = False
    wrote_since: bool = False
    handed: int | None = None
    is_intact: bool = True

    @property
    def is_live(self) -> bool:
        """Whether it keeps another one at the text from being written."""
        return self.outcome in LIVE and not self.is_failed

    @property
    def is_sent(self) -> bool:
        """Whether nothing proves it refused; as ``storage.tables.sent.SENT``."""
        if self.outcome in {AttemptOutcome.REFUSED, AttemptOutcome.ABSENT}:
            return False
        if not self.is_failed or self.failed_code in _ARRIVED_PERHAPS:
            return True
        is_undelivered = self.word is MessageStatus.UNDELIVERED
        return is_undelivered and self.failed_code not in _BLOCKED and self.wrote_since


class Text(NamedTuple):
    """A row of ``messages``: the text of a step.

    Attributes:
        failed_tries: How many attempts failed that count.
        next_try: When it may be tried again.
        sent: When it was accepted.
        attempts: At it, by their numbers.
    """

    failed_tries: int = 0
    next_try: int | None = None
    sent: int | None = None
    attempts: tuple[Attempt, ...] = ()


class Sender(NamedTuple):
    """A row of ``senders``.

    ``seen`` is when ``shows_texts`` was noted, as long as anything depends on it.
    """

    held: int | None = None
    is_held_by_report: bool = False
    probe: int | None = None
    shows_texts: bool | None = None
    seen: int | None = None


_KNOWN: dict[tuple[object, ...], Any] = {}
"""The rows of a search."""


class Rows:
    """All rows; the same number of texts belongs to each enrollment, one for each step.

    An attempt's id is made of its text's index and its number, so that whichever of two texts was
    tried first makes no difference to it. Equal rows are one object: the search compares them, and
    looks up what follows from them, dozens of times.
    """

    __slots__ = ("enrollments", "is_suppressed", "sender", "steps", "texts")

    enrollments: tuple[Enrollment, ...]
    texts: tuple[Text, ...]
    sender: Sender
    is_suppressed: bool
    steps: int

    def __new__(
        cls,
        enrollments: tuple[Enrollment, ...],
        texts: tuple[Text, ...],
        sender: Sender = Sender(),  # noqa: B008 - a tuple
        is_suppressed: bool = False,  # noqa: FBT001, FBT002 - as in a tuple
    ) -> Self:
        key = (enrollments, texts, sender, is_suppressed)
        known = _KNOWN.get(key)
        if known is None:
            known = _KNOWN[key] = super().__new__(cls)
            known.enrollments, known.texts, known.sender, known.is_suppressed = key
            known.steps = len(texts) // len(enrollments)  # of the sequence
        return known

    def text_of(self, enrollment: int, step: int) -> int:
        """Return the index of a step's text."""
        return enrollment * self.steps + step - 1

    def step_of(self, attempt: int) -> tuple[int, int]:
        """Return the enrollment and the step of an attempt's text."""
        enrollment, step = divmod(attempt // _SPAN, self.steps)
        return enrollment, step + 1

    def name_of(self, attempt: int) -> str:
        """Return what a story calls an attempt."""
        enrollment, step = self.step_of(attempt)
        number = attempt % _SPAN + 1
        return f"attempt {number} at step {step} of enrollment {enrollment + 1}"

    def attempt(self, attempt: int) -> Attempt:
        """Return an attempt by its id."""
        return self.texts[attempt // _SPAN].attempts[attempt % _SPAN]

    def attempts(self) -> Iterator[tuple[int, Attempt]]:
        """Yield all attempts with their ids."""
        for index in range(len(self.texts)):
            yield from self.attempts_at(index)

    def attempts_at(self, text: int) -> Iterator[tuple[int, Attempt]]:
        """Yield the attempts at one text with their ids."""
        return enumerate(self.texts[text].attempts, text * _SPAN)

    def texts_of(self, enrollment: int) -> tuple[Text, ...]:
        """Return an enrollment's texts, in the order of its steps."""
        return self.texts[enrollment * self.steps : (enrollment + 1) * self.steps]

    def of_enrollment(self, enrollment: int) -> Iterator[Attempt]:
        """Yield the attempts at all texts of an enrollment."""
        return (one for text in self.texts_of(enrollment) for one in text.attempts)

    def is_sent(self, enrollment: int) -> bool:
        """Whether any text of an enrollment was *sent*."""
        return any(one.is_sent for one in self.of_enrollment(enrollment))

    def with_enrollment(self, index: int, row: Enrollment) -> "Rows":
        """Return the rows with one enrollment changed."""
        enrollments = _with(self.enrollments, index, row)
        return Rows(enrollments, self.texts, self.sender, self.is_suppressed)

    def with_sender(self, sender: Sender) -> "Rows":
        """Return the rows with the sender changed."""
        return Rows(self.enrollments, self.texts, sender, self.is_suppressed)

    def with_attempt(self, attempt: int, row: Attempt) -> "Rows":
        """Return the rows with one attempt changed."""
        index, number = divmod(attempt, _SPAN)
        text = self.texts[index]
        attempts = _with(text.attempts, number, tidy(attempt, row))
        return self.with_text(index, text._replace(attempts=attempts))

    def with_text(self, index: int, row: Text) -> "Rows":
        """Return the rows with one text changed."""
        texts = _with(self.texts, index, row)
        return Rows(self.enrollments, texts, self.sender, self.is_suppressed)


def forget_rows() -> None:
    """Begin a search: no rows of an earlier one may be in use."""
    _KNOWN.clear()


def newest_at(text: int, row: Text) -> int:
    """Return the id of the latest attempt at a text."""
    return text * _SPAN + len(row.attempts) - 1


def mirrored(attempt: int, rows: Rows) -> int:
    """Return the id of the attempt at the other of two enrollments' text of the same step."""
    return (attempt + _SPAN * rows.steps) % (_SPAN * len(rows.texts))


def with_places_changed(rows: Rows) -> Rows:
    """Return the rows in which two enrollments have changed places."""
    texts = tuple(
        text._replace(
            attempts=tuple(
                one if one.sid is None else one._replace(sid=mirrored(one.sid, rows))
                for one in text.attempts
            )
        )
        for text in rows.texts[rows.steps :] + rows.texts[: rows.steps]
    )
    return Rows(rows.enrollments[::-1], texts, rows.sender, rows.is_suppressed)


_SPAN = 8


def _with(rows: tuple[_Row, ...], index: int, row: _Row) -> tuple[_Row, ...]:
    return (*rows[:index], row, *rows[index + 1 :])


@cache
def moment(seconds: int) -> datetime:
    """Return the moment that is so many seconds from now."""
    return NOW + timedelta(seconds=seconds)


@cache
def seconds(moment: datetime) -> int:
    """Return how many seconds from now a moment is, rounded up to a minute."""
    return -((NOW - moment) // _MINUTE) * MINUTE


def tidy(attempt: int, row: Attempt) -> Attempt:
    """Drop what nothing depends on any more, so that states that behave alike are equal."""
    if not row.outcome.is_known:
        return row
    is_accepted = row.outcome is AttemptOutcome.ACCEPTED
    is_rival = row.outcome is AttemptOutcome.ASSUMED_SENT and row.sid is None
    is_found = row.handed is not None
    return row._replace(
        started=row.started if is_rival else max(row.started, PAST) if is_found else PAST,
        absent_once=None,
        answered=row.answered if is_accepted else None,
        handed=0 if row.sid == attempt and row.handed is not None else row.handed,
    )


def _earlier(at: int | None, least: int) -> int | None:
    return None if at is None else max(at - MINUTE, least)


@cache
def _enrollment_later(row: Enrollment) -> Enrollment:
    return row._replace(
        due=_earlier(row.due, 0),
        reply_until=_earlier(row.reply_until, 0),
        last_sent=_earlier(row.last_sent, PAST),
    )


@cache
def _text_later(index: int, row: Text) -> Text:
    attempts = enumerate(row.attempts, index * _SPAN)
    return row._replace(
        next_try=_earlier(row.next_try, 0),
        sent=_earlier(row.sent, PAST),
        attempts=tuple(_attempt_later(attempt, one) for attempt, one in attempts),
    )


def _attempt_later(attempt: int, row: Attempt) -> Attempt:
    return tidy(
        attempt,
        row._replace(
            started=max(row.started - MINUTE, LONG_AGO),
            absent_once=_earlier(row.absent_once, LONG_AGO),
            answered=_earlier(row.answered, CANARY_FROM),
            handed=_earlier(row.handed, LONG_AGO),
        ),
    )


def a_minute_later(rows: Rows) -> Rows:
    """Return the rows as they are a minute later, seen from then."""
    sender = rows.sender
    return Rows(
        tuple(map(_enrollment_later, rows.enrollments)),
        tuple(_text_later(index, row) for index, row in enumerate(rows.texts)),
        sender._replace(
            held=_earlier(sender.held, PAST),
            probe=_earlier(sender.probe, 0),
            seen=_earlier(sender.seen, LONG_AGO),
        ),
        rows.is_suppressed,
    )
