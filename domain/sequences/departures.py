"""When a step's text may go, and why then: the one place that decides it, so that all agree.

``departure`` starts from the step's own timing and asks rules, each of which may postpone the text
with its reasons. Sending goes by it, plans show it, and timelines keep it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from domain.platform.moments import written
from domain.platform.rules import EARLY_TOLERANCE
from domain.sequences.rule_packs import PackHours
from domain.sequences.sending_hours import Cap, SendingHours
from domain.sequences.timing import ContactClock, Slot, next_slot
from domain.statuses.enrollments import WaitReason

_NAMED_MOST = 3

CAP_PERIOD = timedelta(hours=24)
"""The time in which a cap counts texts, up to the moment in question."""


@dataclass(frozen=True)
class Reason:
    """Why a text goes when it does.

    Attributes:
        code: Stable; a ``WaitReason``, or one that ``services.enrollments.step_plan.plan`` adds.
        text: For people.
        detail: The same as facts; times are ISO 8601 in UTC. ``from`` and ``to`` say from when to
            when it moved. ``window`` also ``zones``; ``spacing`` also ``seconds``; ``pack`` also
            ``packs`` (id and version) and whether there ``is_open`` a moment at all; ``holiday``
            also ``days``; ``cap`` also ``most`` and ``by`` (``workspace``, or a pack's id and
            version).
    """

    code: str
    text: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NextText:
    """What times a step's text.

    Attributes:
        due_at: When the step's own timing lets it go.
        hours: When the sequence's texts may go.
        last_sent_at: When the text before was accepted.
        gap: The step's own delay, or its distance in time from the date before.
        enough: Most distance that two texts must have.
        next_try_at: When a text that failed for a passing reason may be tried again.
        recent: When each text of the last 24 hours to the contact's number went, and those that go
            before this one.
        patience: How long after its time it may still go; None for whenever.
    """

    due_at: datetime
    hours: SendingHours
    clock: ContactClock
    last_sent_at: datetime | None = None
    gap: timedelta = timedelta(0)
    enough: timedelta = timedelta(0)
    next_try_at: datetime | None = None
    recent: tuple[datetime, ...] = ()
    patience: timedelta | None = None


@dataclass(frozen=True)
class Departure:
    """When a text may go.

    Attributes:
        earliest: When its timing lets it go, whatever the hours; now, if that is past.
        at: The first moment from then on that everything allows.
        closes_at: When the hours that ``at`` is in end; see ``Slot``.
        reasons: What postponed it from its own timing, in that order.
        missed: When it would have gone by its own timing and hours, if it may not go any more so
            long after that.
    """

    earliest: datetime
    at: datetime
    closes_at: datetime | None
    reasons: tuple[Reason, ...]
    missed: datetime | None = None

    @property
    def waits_for(self) -> tuple[WaitReason, ...]:
        """The codes of the reasons."""
        return tuple(dict.fromkeys(WaitReason(one.code) for one in self.reasons))


class _Postponed(NamedTuple):
    until: datetime
    reasons: tuple[Reason, ...]


_Rule = Callable[[NextText, datetime], _Postponed | None]
"""Postpones a text that would go at a moment; None lets it go."""


def _tried_again(text: NextText, moment: datetime) -> _Postponed | None:
    at = text.next_try_at
    if at is None or at <= moment:
        return None
    return _Postponed(at, (retry(moment, at),))


def _kept_apart(text: NextText, moment: datetime) -> _Postponed | None:
    if text.last_sent_at is None:
        return None
    at = text.last_sent_at + min(text.gap, text.enough)
    return None if at <= moment else _Postponed(at, (spacing(moment, at, text.enough),))


def _in_hours(text: NextText, moment: datetime) -> _Postponed | None:
    slot = next_slot(moment, text.hours, text.clock)
    if slot.at <= moment:
        return None
    return _Postponed(slot.at, tuple(_kept_by(slot, moment, text.clock)))


def _under_cap(text: NextText, moment: datetime) -> _Postponed | None:
    cap = text.hours.cap_at(moment, text.clock)
    if cap is None:
        return None
    counted = sorted(at for at in text.recent if at > moment - CAP_PERIOD)
    if len(counted) < cap.most:
        return None
    at = counted[-cap.most] + CAP_PERIOD
    return _Postponed(at, (_capped(moment, at, cap, text.clock),))


_TIMING: tuple[_Rule, ...] = (_tried_again, _kept_apart)
"""Count from what was: once past, they keep nothing any more."""

_ALLOWING: tuple[_Rule, ...] = (_in_hours, _under_cap)
"""Say of each moment whether a text may go then, the last minute included."""


def departure(text: NextText, now: datetime) -> Departure:
    """Tell when a text may go, from now on, and why not sooner."""
    earliest, reasons = _passed(_TIMING, text, text.due_at)
    if earliest <= now + EARLY_TOLERANCE:
        earliest, reasons = now, ()
    at, more = _passed(_ALLOWING, text, earliest)
    closes_at = next_slot(at, text.hours, text.clock).closes_at
    return Departure(earliest, at, closes_at, (*reasons, *more), _missed(text, at))


def _missed(text: NextText, at: datetime) -> datetime | None:
    if text.patience is None:
        return None
    planned = next_slot(text.due_at, text.hours, text.clock).at
    return planned if at > planned + text.patience else None


def _passed(
    rules: Sequence[_Rule], text: NextText, moment: datetime
) -> tuple[datetime, tuple[Reason, ...]]:
    """Ask the rules until none postpones the text any more, or no moment ahead is allowed."""
    reasons: tuple[Reason, ...] = ()
    last = moment
    while True:
        asked = (rule(text, moment) for rule in rules)
        postponed = next((one for one in asked if one is not None), None)
        if postponed is None:
            return moment, reasons
        moment, reasons = postponed.until, reasons + postponed.reasons
        if any(one.detail.get("is_open") is False for one in postponed.reasons):
            return moment, reasons
        assert moment > last  # noqa: S101 - what a rule promises
        last = moment


def retry(due: datetime, at: datetime) -> Reason:
    """Say that a text is tried again."""
    return Reason(WaitReason.RETRY, "tried again after a temporary failure", _moved(due, at))


def spacing(due: datetime, at: datetime, enough: timedelta) -> Reason:
    """Say that two texts of one enrollment are kept apart."""
    detail = {**_moved(due, at), "seconds": int(enough.total_seconds())}
    return Reason(WaitReason.SPACING, "kept apart from the previous text", detail)


def window(due: datetime, at: datetime, clock: ContactClock) -> Reason:
    """Say that a text waits for its send window."""
    zone = clock.wall_zone
    words = (
        f"moved into the send window, from {due.astimezone(zone):%Y-%m-%d %H:%M}"
        f" to {at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
    )
    return Reason(WaitReason.WINDOW, words, {**_moved(due, at), "zones": list(clock.zones)})


def _capped(due: datetime, at: datetime, cap: Cap, clock: ContactClock) -> Reason:
    zone = clock.wall_zone
    words = (
        f"held back until {at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key}): at most {cap.most}"
        f" {'text' if cap.most == 1 else 'texts'} to one person in 24 hours"
    )
    return Reason(WaitReason.CAP, words, {**_moved(due, at), "most": cap.most, "by": cap.by})


def _kept_by(slot: Slot, due: datetime, clock: ContactClock) -> Iterator[Reason]:
    """Name the rules that let a text go no sooner than its slot."""
    packs = [one for one in slot.kept_by if isinstance(one, PackHours)]
    if slot.is_open and len(packs) < len(slot.kept_by):
        yield window(due, slot.at, clock)
    if not packs:
        return
    zone = clock.wall_zone
    names = [one.pack.name for one in packs]
    shown = ", ".join(names[:_NAMED_MOST])
    if len(names) > _NAMED_MOST:
        shown += f" and {len(names) - _NAMED_MOST} more"
    words = (
        f"held back until {slot.at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key}) by the rules of"
    )
    if not slot.is_open:
        words = "no hour is allowed wherever this contact may live; give a state or a time zone:"
    on = slot.at.astimezone(zone).date()
    versions = [(one.pack.id, one.pack.on(on)) for one in packs]
    named = [f"{id_}@{one.version}" for id_, one in versions if one is not None]
    detail = {
        **_moved(due, slot.at),
        "packs": named,
        "names": names,
        "is_open": slot.is_open,
    }
    yield Reason(WaitReason.PACK, f"{words} {shown}", detail)
    closed = list(_holidays(packs, due.astimezone(zone), slot.at.astimezone(zone)))
    if slot.is_open and closed:
        words = ", ".join(dict.fromkeys(name for _, name in closed))
        days = {**_moved(due, slot.at), "days": sorted({day for day, _ in closed})}
        yield Reason(WaitReason.HOLIDAY, f"no texts on {words}", days)


def _holidays(
    packs: Sequence[PackHours], start: datetime, end: datetime
) -> Iterator[tuple[str, str]]:
    """Name the days from one moment to another that are closed as holidays."""
    for one in packs:
        day = start.date()
        while day <= end.date():
            version = one.pack.on(day)
            if version is not None and version.closed_on_holidays:
                name = one.pack.holiday_on(day)
                if name is not None:
                    yield day.isoformat(), name
            day += timedelta(days=1)


def _moved(due: datetime, at: datetime) -> dict[str, Any]:
    return {"from": written(due), "to": written(at)}
