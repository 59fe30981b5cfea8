"""The plan of an enrollment's remaining steps: when each would go, and why."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.enrollments.faults import Fault
from domain.platform.durations import in_units
from domain.platform.moments import written
from domain.sequences.texts import outline
from domain.sequences.timing import ContactClock, SendWindow, next_slot, spaced, step_due
from domain.statuses.enrollments import EnrollmentPhase, HeldReason, PauseReason
from domain.statuses.sequences import SequenceState
from storage.enrollments.enrollment_detail import EnrollmentFacts, EventRow
from storage.sequences.sequences import StepRecord

_HELD_WORDS = {
    HeldReason.OUTCOME_UNKNOWN: "waits until someone says whether the last text was sent",
    HeldReason.SENDER_ON_HOLD: "waits until the sender is off hold",
    HeldReason.DESTINATION_NOT_ALLOWED: "waits until someone releases it",
    HeldReason.MISSING_DATA: "waits until the missing details are filled in",
    HeldReason.CONSENT_MISSING: "waits until their consent is on record",
}


@dataclass(frozen=True)
class Reason:
    """Why a step goes when it does.

    Attributes:
        code: Stable; ``delay``, ``date``, ``zone``, ``window``, ``spacing``, ``retry``, ``later``
            explain the time, in this order; ``held``, ``sender_on_hold``, ``paused``,
            ``enrollment_paused`` and ``after_others`` why it is only an estimate.
        text: For people.
        detail: The same as facts; times are ISO 8601 in UTC.
            ``delay``: ``seconds``, ``after`` (``text`` or ``enrollment``), ``at_time`` or null.
            ``date``: ``local``. ``zone``: ``zone``, ``zones`` (all that the contact may be in).
            ``window``, ``spacing``, ``retry``, ``later``: ``from`` and ``to``; ``window`` also
            ``zones``, ``spacing`` also ``seconds``, ``retry`` also ``error_code``. ``held``:
            ``held_reason``, ``held_code``, ``missing_fields``. ``sender_on_hold``: ``since``,
            ``held_code``.
            ``enrollment_paused``: ``since``, ``left_seconds``. ``after_others``: ``step``, the
            previous one.
    """

    code: str
    text: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepAhead:
    """A step that is still to be sent.

    Attributes:
        position: From 1.
        body: With its merge fields.
        text: With the merge fields filled in, as ``texts.outline``.
        at: When it would go, UTC; None if that is not known.
        estimated: Whether ``at`` depends on future events.
        reasons: Why then.
    """

    position: int
    body: str
    text: str
    media_urls: tuple[str, ...]
    at: datetime | None
    estimated: bool
    reasons: tuple[Reason, ...]


def plan(
    facts: EnrollmentFacts,
    steps: Many[StepRecord],
    clock: ContactClock,
    events: Many[EventRow],
    *,
    min_spacing: timedelta,
) -> Iterator[StepAhead]:
    """Plan the remaining steps of an active enrollment: the next as stored, later ones computed.

    Two texts are at least ``min_spacing`` apart, or their delay if that is shorter.
    """
    waits = _waits(facts)
    at = facts.next_send_at
    for step in steps[facts.position - 1 :]:
        reasons = _timing(step, clock)
        if step.position == facts.position:
            if facts.failing_code is not None and facts.error is not None:
                reasons += (_repeat(facts.error, facts.due_at, at),)
            if at is not None and facts.due_at is not None and at > facts.due_at:
                because = _noted(events, at)
                reasons += _postponed(facts, at, facts.hours, clock, because, min_spacing)
            yield _ahead(facts, step, at, (*waits, *reasons), estimated=bool(waits))
            at = None if at is None else max(at, datetime.now(UTC))
            continue
        if at is not None:
            due = step_due(step, at, clock)
            apart = spaced(at, _least_distance(step, steps), due, enough=min_spacing)
            if apart > due:
                reasons += (_spacing(due, apart, min_spacing),)
            at = next_slot(apart, facts.hours, clock).at
            if at > apart:
                reasons += (_moved(apart, at, clock),)
        others = Reason(
            "after_others",
            f"if step {step.position - 1} goes out as planned",
            {"step": step.position - 1},
        )
        yield _ahead(facts, step, at, (*waits, *reasons, others), estimated=True)


def _ahead(
    facts: EnrollmentFacts,
    step: StepRecord,
    at: datetime | None,
    reasons: tuple[Reason, ...],
    *,
    estimated: bool,
) -> StepAhead:
    text = outline(step.body, facts.values, has_media=bool(step.media_urls))
    return StepAhead(step.position, step.body, text, step.media_urls, at, estimated, reasons)


def _waits(facts: EnrollmentFacts) -> tuple[Reason, ...]:
    """List what must happen before any time counts."""
    reasons: list[Reason] = []
    if facts.activity is EnrollmentPhase.HELD and facts.held_reason is not None:
        detail = {
            "held_reason": facts.held_reason.value,
            "held_code": facts.held_code,
            "missing_fields": list(facts.missing_fields),
        }
        reasons.append(Reason("held", _HELD_WORDS[facts.held_reason], detail))
    elif facts.sender_held_at is not None:
        detail = {"since": written(facts.sender_held_at), "held_code": facts.sender_hold_code}
        reasons.append(Reason("sender_on_hold", "after the sender is off hold", detail))
    if facts.sequence_state is SequenceState.PAUSED:
        reasons.append(Reason("paused", "after the sequence is resumed"))
    if facts.paused_at is not None:
        left = timedelta(0) if facts.due_at is None else facts.due_at - facts.paused_at
        since = {
            "since": written(facts.paused_at),
            "left_seconds": max(0, int(left.total_seconds())),
        }
        words = "after this enrollment is resumed; the rest of its delay is kept"
        if facts.paused_reason is PauseReason.REPLIED:
            words = "after someone reads the reply and resumes this enrollment"
        reasons.append(Reason("enrollment_paused", words, since))
    return tuple(reasons)


def _least_distance(step: StepRecord, steps: Many[StepRecord]) -> timedelta:
    """Give the configured distance to the text before."""
    before = steps[step.position - 2].send_at
    if step.send_at is not None and before is not None:
        return step.send_at - before
    return timedelta(seconds=step.delay_seconds or 0)


def _timing(step: StepRecord, clock: ContactClock) -> tuple[Reason, ...]:
    """Explain the step's own timing."""
    zone = Reason(
        "zone",
        f"on the contact's clock, {clock.wall_zone.key}",
        {"zone": clock.wall_zone.key, "zones": list(clock.zones)},
    )
    if step.send_at is not None:
        local = {"local": step.send_at.isoformat()}
        return (Reason("date", f"scheduled for {step.send_at:%Y-%m-%d %H:%M}", local), zone)
    first = step.position == 1
    before = "enrollment" if first else "the previous text"
    delay = timedelta(seconds=step.delay_seconds or 0)
    words = f"{in_units(delay, most=4)} after {before}" if delay else f"right after {before}"
    detail: dict[str, Any] = {
        "seconds": int(delay.total_seconds()),
        "after": "enrollment" if first else "text",
        "at_time": None if step.at_time is None else f"{step.at_time:%H:%M}",
    }
    if step.at_time is None:
        return (Reason("delay", words, detail),)
    return (Reason("delay", f"{words}, at {step.at_time:%H:%M}", detail), zone)


def _repeat(error: Fault, due: datetime | None, at: datetime | None) -> Reason:
    words = f"not delivered ({error.meaning.rstrip('.')}), so it is tried again"
    moments = {} if due is None or at is None else _from_to(due, at)
    return Reason("retry", words, {**moments, "error_code": error.code})


def _postponed(
    facts: EnrollmentFacts,
    at: datetime,
    window: SendWindow | None,
    clock: ContactClock,
    because: str | None,
    min_spacing: timedelta,
) -> tuple[Reason, ...]:
    """Explain why the next step goes later than its own timing or its retry.

    The last postponement was noted when it was decided; before that, only the window can be why.
    """
    due = facts.due_at or at
    if because == "spacing":
        return (_spacing(due, at, min_spacing),)
    if window is not None and because == "window":
        return (_moved(due, at, clock),)
    if facts.failing_code is not None:
        return ()
    if because == "retry":
        return (Reason("retry", "tried again after a temporary failure", _from_to(due, at)),)
    if window is not None and next_slot(due, window, clock).at == at:
        return (_moved(due, at, clock),)
    return (Reason("later", "moved to a later moment", _from_to(due, at)),)


def _noted(events: Many[EventRow], at: datetime) -> str | None:
    """Find the noted reason for postponing the next step until this moment."""
    noted = [event.detail for event in events if event.kind == "waits"]
    is_it = bool(noted) and written(datetime.fromisoformat(noted[-1]["until"])) == written(at)
    return str(noted[-1]["because"]) if is_it else None


def _spacing(due: datetime, at: datetime, min_spacing: timedelta) -> Reason:
    detail = {**_from_to(due, at), "seconds": int(min_spacing.total_seconds())}
    return Reason("spacing", "kept apart from the previous text", detail)


def _moved(due: datetime, at: datetime, clock: ContactClock) -> Reason:
    zone = clock.wall_zone
    words = (
        f"moved into the send window, from {due.astimezone(zone):%Y-%m-%d %H:%M}"
        f" to {at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
    )
    return Reason("window", words, {**_from_to(due, at), "zones": list(clock.zones)})


def _from_to(due: datetime, at: datetime) -> dict[str, Any]:
    return {"from": written(due), "to": written(at)}
