"""The plan of an enrollment's remaining steps: when each would go, and why."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.enrollments.faults import Fault
from domain.platform.durations import in_units
from domain.platform.moments import written
from domain.sequences.departures import NextText, Reason, departure, retry, spacing, window
from domain.sequences.texts import Value, outline
from domain.sequences.timing import ContactClock, step_due
from domain.statuses.enrollments import EnrollmentPhase, HeldReason, PauseReason, WaitReason
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
    now: datetime,
    min_spacing: timedelta,
) -> Iterator[StepAhead]:
    """Plan the remaining steps of an active enrollment: the next as stored, later ones computed.

    Why is what ``departure`` says, which decides it. To its reasons are added, about the time,
    ``delay`` (``seconds``, ``after`` ``text`` or ``enrollment``, ``at_time`` or null), ``date``
    (``local``), ``anchor`` (``key``, ``value`` or null, ``seconds``, ``at_time`` or null), ``zone``
    (``zone``, ``zones``) and ``later`` (``from``, ``to``); about why it is only an estimate,
    ``held`` (``held_reason``, ``held_code``, ``missing_fields``), ``sender_on_hold`` (``since``,
    ``held_code``), ``paused``, ``enrollment_paused`` (``since``, ``left_seconds``) and
    ``after_others`` (``step``, the previous one). ``retry`` also has the ``error_code``.
    """
    waits = _waits(facts)
    at = facts.next_send_at
    texts = () if facts.last_sent_at is None else (facts.last_sent_at,)  # of this enrollment alone
    for step in steps[facts.position - 1 :]:
        reasons = _timing(step, clock, facts.values)
        gap = _least_distance(step, steps)
        if step.position == facts.position:
            text = NextText(
                facts.due_at or now,
                facts.hours,
                clock,
                last_sent_at=facts.last_sent_at,
                gap=gap,
                enough=min_spacing,
                next_try_at=facts.next_try_at,
            )
            reasons += tuple(_postponed(facts, text, events, now))
            yield _ahead(facts, step, at, (*waits, *reasons), estimated=bool(waits))
            at = None if at is None else max(at, now)
            continue
        if at is not None:
            texts = (*texts, at)
            due = step_due(step, at, clock, facts.values)
            if due is None:  # the date that it goes by is missing
                at = None
            else:
                text = NextText(
                    due,
                    facts.hours,
                    clock,
                    last_sent_at=at,
                    gap=gap,
                    enough=min_spacing,
                    recent=texts,
                )
                found = departure(text, due)
                at, reasons = found.at, reasons + found.reasons
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
    before = steps[step.position - 2].send_at if step.position > 1 else None
    if step.anchor_key is not None:
        return timedelta.max
    if step.send_at is not None:
        return step.send_at - (before or step.send_at)
    return timedelta(seconds=step.delay_seconds or 0)


def _timing(
    step: StepRecord, clock: ContactClock, values: Mapping[str, Value]
) -> tuple[Reason, ...]:
    """Explain the step's own timing."""
    zone = Reason(
        "zone",
        f"on the contact's clock, {clock.wall_zone.key}",
        {"zone": clock.wall_zone.key, "zones": list(clock.zones)},
    )
    if step.send_at is not None:
        local = {"local": step.send_at.isoformat()}
        return (Reason("date", f"scheduled for {step.send_at:%Y-%m-%d %H:%M}", local), zone)
    if step.anchor_key is not None:
        return (_by_date(step, values.get(step.anchor_key)), zone)
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


def _by_date(step: StepRecord, value: Value | None) -> Reason:
    offset = timedelta(seconds=step.anchor_offset_seconds or 0)
    words = f"on {step.anchor_key}"
    if offset:
        side = "before" if offset < timedelta(0) else "after"
        words = f"{in_units(abs(offset), most=4)} {side} {step.anchor_key}"
    if value is not None:
        words += f" ({value})"
    detail: dict[str, Any] = {
        "key": step.anchor_key,
        "value": value,
        "seconds": int(offset.total_seconds()),
        "at_time": None if step.at_time is None else f"{step.at_time:%H:%M}",
    }
    if step.at_time is not None:
        words += f", at {step.at_time:%H:%M}"
    return Reason("anchor", words, detail)


def _postponed(
    facts: EnrollmentFacts, text: NextText, events: Many[EventRow], now: datetime
) -> Iterator[Reason]:
    """Explain why the next step goes later than its own timing: as was kept when it was decided."""
    at, due = facts.next_send_at, facts.due_at
    error = facts.error if facts.failing_code is not None else None
    if error is not None:
        yield _repeat(error, due, at)
    if at is None or due is None or at <= due:
        return
    kept = _kept(events, at, text)
    if not kept:
        since = (departure(text, moment) for moment in (due, now))
        kept = next((found.reasons for found in since if found.at == at), ())
    told = [one for one in kept if error is None or one.code != WaitReason.RETRY]
    yield from told
    if not told and error is None:
        yield Reason("later", "moved to a later moment", _from_to(due, at))


def _kept(events: Many[EventRow], at: datetime, text: NextText) -> tuple[Reason, ...]:
    """Read the reasons that were kept for postponing the next step until this moment, if any."""
    noted = [event.detail for event in events if event.kind == "waits"]
    if not noted or written(datetime.fromisoformat(noted[-1]["until"])) != written(at):
        return ()
    if "reasons" in noted[-1]:
        return tuple(Reason(**one) for one in noted[-1]["reasons"])
    match noted[-1]["because"]:  # as the releases before 0038 kept it
        case WaitReason.SPACING:
            return (spacing(text.due_at, at, text.enough),)
        case WaitReason.RETRY:
            return (retry(text.due_at, at),)
        case WaitReason.WINDOW:
            return (window(text.due_at, at, text.clock),)
        case _:
            return ()


def _repeat(error: Fault, due: datetime | None, at: datetime | None) -> Reason:
    words = f"not delivered ({error.meaning.rstrip('.')}), so it is tried again"
    moments = {} if due is None or at is None else _from_to(due, at)
    return Reason(WaitReason.RETRY, words, {**moments, "error_code": error.code})


def _from_to(due: datetime, at: datetime) -> dict[str, Any]:
    return {"from": written(due), "to": written(at)}
