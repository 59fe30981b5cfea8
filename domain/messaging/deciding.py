"""May an enrollment's next text, or a one-off text, start now? Decided from facts alone."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.platform.rules import EARLY_TOLERANCE, INBOUND_WAIT, SendingRules
from domain.sequences.departures import Departure, NextText, Reason, departure
from domain.sequences.sending_hours import SendingHours
from domain.sequences.timing import ContactClock, validity_seconds
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.sequences import SequenceState


@dataclass(frozen=True)
class StepFacts:
    """All that bears on whether a step's text may start.

    Attributes:
        probing: It may try a sender that is on hold.
        position: The step to send, from 1; ``step_count + 1`` once all went out.
        due_at: When the step's own timing lets it go.
        next_try_at: When a text that failed for a passing reason may be tried again.
        last_sent_at: When the text before was accepted.
        gap: The step's own delay, or its distance in time from the date before.
        last_outcome: What is known about the latest attempt at this text.
        suppressed: The number opted out (everywhere, or from this sender).
        hours: When texts may go.
        consent_missing: The number has not the consent that the sequence's purpose takes.
        missing: What the step's text would say but nobody has filled in; see ``texts.missing``.
        recent: As of ``NextText``, and ``patience``.
    """

    status: EnrollmentStatus
    sequence_state: SequenceState
    paused: bool
    held_reason: HeldReason | None
    probing: bool
    position: int
    step_count: int
    due_at: datetime | None
    next_try_at: datetime | None
    last_sent_at: datetime | None
    gap: timedelta
    reply_until: datetime | None
    last_outcome: AttemptOutcome | None
    nothing_sent: bool
    suppressed: bool
    inbound_pending: bool
    line_type: LineType | None
    sender_on_hold: bool
    clock: ContactClock
    hours: SendingHours
    consent_missing: bool
    missing: tuple[str, ...]
    recent: tuple[datetime, ...] = ()
    patience: timedelta | None = None


@dataclass(frozen=True)
class Over:
    """The enrollment is final already."""


@dataclass(frozen=True)
class EndAs:
    """The enrollment ends before its next text, because the number opted out or is a landline.

    The row makes ``omitted_opted_out`` of ``opted_out`` if nothing was sent.
    """

    status: EnrollmentStatus


@dataclass(frozen=True)
class Later:
    """Not before this moment.

    Attributes:
        because: ``delay``, ``inbound`` or, of the reasons, the last.
        reasons: What postponed the text beyond its step's own timing.
    """

    at: datetime
    because: str
    reasons: tuple[Reason, ...] = field(default=(), compare=False)

    @classmethod
    def by(cls, found: Departure) -> "Later":
        """Wait for a text's departure."""
        codes = found.waits_for
        return cls(found.at, codes[-1] if codes else "delay", found.reasons)


@dataclass(frozen=True)
class Skip:
    """The step is not sent any more: it would have gone at ``missed``, too long ago for its policy.

    The next step's time counts from then, so that later ones keep their days.
    """

    missed: datetime


@dataclass(frozen=True)
class AwaitReply:
    """Every step went out; the reply window runs until this moment."""

    until: datetime


@dataclass(frozen=True)
class Close:
    """The reply window has passed, and nothing from the number is left to apply."""


@dataclass(frozen=True)
class Paused:
    """The sequence is paused, or this enrollment."""


@dataclass(frozen=True)
class Held:
    """A person must decide, the sender come off hold, consent be given or ``missing`` filled in."""

    reason: HeldReason
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconcile:
    """An earlier attempt's outcome must be proven first."""


@dataclass(frozen=True)
class LookUp:
    """The line type must be looked up first."""


@dataclass(frozen=True)
class Go:
    """The text may start.

    Attributes:
        validity_seconds: How long the provider may go on trying.
        packs: The rule packs that it goes under, each with its version.
    """

    validity_seconds: int
    packs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cancel:
    """A one-off text was overtaken before it went."""


@dataclass(frozen=True)
class Refuse:
    """A one-off text may not go at all; the code is the provider's for it."""

    code: int


Obstacle = Over | EndAs | Later | Skip | AwaitReply | Close | Paused | Held | Reconcile | LookUp
"""What stands in a text's way now."""

Decision = Obstacle | Go

OneOffObstacle = Over | Cancel | Refuse | Later | Held | Reconcile
OneOffDecision = OneOffObstacle | Go


def decide(facts: StepFacts, now: datetime, rules: SendingRules) -> Decision:
    """Say what an enrollment must do now; the first rule that applies wins."""
    stopped = _over_or_open(facts) or _waiting(facts, now)
    if stopped is not None:
        return stopped
    found = departure(_next_text(facts, now, rules), now)
    if found.earliest > now:  # the step's delay or date, a wait after a failure, the distance
        return Later.by(found)
    obstacle = _must_not(facts, rules) or _not_yet(facts, now, found)
    if obstacle is not None:
        return obstacle
    return Go(validity_seconds(now, found.closes_at), facts.hours.packs_at(now, facts.clock))


def _next_text(facts: StepFacts, now: datetime, rules: SendingRules) -> NextText:
    return NextText(
        facts.due_at or now,
        facts.hours,
        facts.clock,
        last_sent_at=facts.last_sent_at,
        gap=facts.gap,
        enough=rules.min_spacing,
        next_try_at=facts.next_try_at,
        recent=facts.recent,
        patience=facts.patience,
    )


def _over_or_open(facts: StepFacts) -> Obstacle | None:
    """What ended, must be proven, or waits for a person."""
    if facts.held_reason is HeldReason.OUTCOME_UNKNOWN and not facts.status.is_final:
        return Held(facts.held_reason)
    if facts.last_outcome is not None and not facts.last_outcome.is_known:
        return Reconcile()
    if facts.status.is_final:
        return Over()
    if facts.held_reason is HeldReason.DESTINATION_NOT_ALLOWED:
        return Held(facts.held_reason)
    return None


def _waiting(facts: StepFacts, now: datetime) -> Obstacle | None:
    """What has nothing left to send, or waits until a person or its sequence lets it go on."""
    if facts.position > facts.step_count:
        return _all_sent(facts, now)
    if facts.paused or facts.sequence_state is not SequenceState.ACTIVE:
        return Paused()
    return None


def _all_sent(facts: StepFacts, now: datetime) -> Obstacle:
    """The reply window; an inbound text that is not applied yet may be the reply."""
    until = facts.reply_until or now
    if facts.inbound_pending:
        return AwaitReply(max(until, now + INBOUND_WAIT))
    return Close() if until <= now + EARLY_TOLERANCE else AwaitReply(until)


def _must_not(facts: StepFacts, rules: SendingRules) -> Obstacle | None:
    """Who may not be texted at all; checked again when the first text would go."""
    if facts.suppressed:
        return EndAs(EnrollmentStatus.OPTED_OUT)
    if facts.nothing_sent and facts.line_type is LineType.LANDLINE:
        return EndAs(EnrollmentStatus.OMITTED_LANDLINE)
    if rules.look_up_line_types and facts.nothing_sent and facts.line_type is None:
        return LookUp()
    return None


def _not_yet(facts: StepFacts, now: datetime, found: Departure) -> Obstacle | None:
    """What keeps a due text from going this minute."""
    if facts.inbound_pending:
        return Later(now + INBOUND_WAIT, "inbound")
    if found.missed is not None:
        return Skip(found.missed)
    if facts.consent_missing:  # before the window, as what is missing: both can be had before it
        return Held(HeldReason.CONSENT_MISSING)
    if facts.missing:
        return Held(HeldReason.MISSING_DATA, facts.missing)
    if found.at > now:
        return Later.by(found)
    if facts.sender_on_hold and not facts.probing:
        return Held(HeldReason.SENDER_ON_HOLD)
    return None


@dataclass(frozen=True)
class OneOffFacts:
    """All that bears on whether a one-off text may start.

    Attributes:
        last_outcome: What is known about the latest attempt at it.
        next_try_at: When a text that failed for a passing reason may be tried again, or one that
            was scheduled may go.
        overtaken: Since it was written, its enrollment ended by a reply, an opt-out or a finish; or
            it was canceled while an attempt was under way.
        suppressed: The number opted out (everywhere, or from this sender).
    """

    status: MessageStatus
    last_outcome: AttemptOutcome | None
    next_try_at: datetime | None
    overtaken: bool
    suppressed: bool
    line_type: LineType | None
    inbound_pending: bool
    sender_on_hold: bool
    next_probe_at: datetime | None


_UNFINISHED = frozenset({MessageStatus.PENDING, MessageStatus.SENDING, MessageStatus.UNKNOWN})


def decide_one_off(facts: OneOffFacts, now: datetime) -> OneOffDecision:
    """Say what a one-off text must do now, bound by suppression and by no window."""
    for rule in (_one_off_is_over, _one_off_must_not, _one_off_not_yet):
        decision = rule(facts, now)
        if decision is not None:
            return decision
    return Go(validity_seconds(now, None))


def _one_off_is_over(facts: OneOffFacts, _now: datetime) -> OneOffDecision | None:
    """What must be proven, went, or failed for good."""
    if facts.last_outcome is not None and not facts.last_outcome.is_known:
        return Reconcile()
    is_given_up = facts.last_outcome is AttemptOutcome.ASSUMED_SENT
    if is_given_up or (facts.status not in _UNFINISHED and facts.next_try_at is None):
        return Over()
    return None


def _one_off_must_not(facts: OneOffFacts, _now: datetime) -> OneOffDecision | None:
    """What may not be sent any more."""
    if facts.overtaken:
        return Cancel()
    if facts.suppressed:
        return Refuse(21610)
    return Refuse(21614) if facts.line_type is LineType.LANDLINE else None


def _one_off_not_yet(facts: OneOffFacts, now: datetime) -> OneOffDecision | None:
    """What keeps it from going this minute."""
    if facts.next_try_at is not None and facts.next_try_at > now + EARLY_TOLERANCE:
        return Later(facts.next_try_at, "retry")
    if facts.inbound_pending:
        return Later(now + INBOUND_WAIT, "inbound")
    if facts.sender_on_hold and (facts.next_probe_at is None or facts.next_probe_at > now):
        return Held(HeldReason.SENDER_ON_HOLD)
    return None
