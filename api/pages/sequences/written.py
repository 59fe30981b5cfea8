"""The steps of a sequence as a form has them."""

import re
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import zip_longest
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.pages.forms import FormErrors, FormFields
from api.pages.times import Clock
from api.schemas.sequences import as_written
from domain.platform.durations import UNITS, in_units, whole
from domain.sequences.steps import StepDraft
from domain.sequences.timing import ContactClock, SendWindow, next_slot, ongoing_due, scheduled_due
from domain.statuses.sequences import LatePolicy, SequenceKind
from services.sequences.step_checks import MAX_LATE_HOURS, MAX_STEPS
from storage.sequences.sequences import StepRecord

_CLOCK_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)

_Key = Annotated[str, Field(pattern="^[a-z0-9]{1,20}$")]


@dataclass(frozen=True)
class WrittenStep:
    """A step as the form has it.

    Attributes:
        key: Names its fields on the page; it stays when steps change places.
        unit: A key of ``UNITS``; ``seconds`` only where no other fits the stored delay.
        media: Web addresses, one a line.
        anchor: The date it goes by instead of the text before: ``before:`` or ``after:``, and its
            key.
    """

    key: str = ""
    body: str = ""
    delay: str = "1"
    unit: str = "days"
    at_time: str = ""
    send_at: str = ""
    media: str = ""
    late: str = LatePolicy.SEND
    late_hours: str = ""
    anchor: str = ""

    @classmethod
    def of(cls, step: StepRecord) -> "WrittenStep":
        """Fill the form from a stored step."""
        anchor, seconds = _anchor(step)
        delay, unit = _delay(seconds, in_days=step.at_time is not None)
        return cls(
            key=f"s{step.position}",
            body=step.body,
            delay=str(delay),
            unit=unit,
            at_time=f"{step.at_time:%H:%M}" if step.at_time else "",
            send_at=as_written(step.send_at) if step.send_at else "",
            media="\n".join(step.media_urls),
            late=step.late,
            late_hours=str(step.late_hours or ""),
            anchor=anchor,
        )

    @classmethod
    def of_template(cls, step: StepDraft) -> "WrittenStep":
        """Fill the form from a step of a template."""
        anchor, seconds = _anchor(step)
        delay, unit = _delay(seconds, in_days=step.at_time is not None)
        return cls(
            body=step.body,
            delay=str(delay),
            unit=unit,
            at_time=step.at_time or "",
            send_at=step.send_at or "",
            media="\n".join(step.media_urls),
            late=step.late,
            late_hours=str(step.late_hours or ""),
            anchor=anchor,
        )

    @classmethod
    def from_draft(cls, fields: Mapping[str, str]) -> "WrittenStep":
        """Fill the form from a step of a draft; what it does not know is left out."""
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__ if name in fields})

    @property
    def media_urls(self) -> tuple[str, ...]:
        """The addresses without blank lines."""
        return tuple(line.strip() for line in self.media.splitlines() if line.strip())

    @property
    def delay_seconds(self) -> int | None:
        """The delay; None unless it is a whole number of a known unit."""
        written = self.delay.strip()
        size = UNITS.get(self.unit)
        return int(written) * size if size and _WHOLE.fullmatch(written) else None

    def draft(self, kind: SequenceKind) -> StepDraft:
        """Return the step as the service takes it; a time of day only counts with days."""
        hours = self.late_hours.strip()
        step = StepDraft(
            self.body,
            self.media_urls,
            late=self.late or LatePolicy.SEND,
            late_hours=int(hours)
            if self.late == LatePolicy.EXPIRE and _WHOLE.fullmatch(hours)
            else None,
        )
        if kind is SequenceKind.SCHEDULED:
            return replace(step, send_at=self.send_at.strip() or None)
        at_time = self.at_time.strip() if self.unit == "days" else ""
        step = replace(step, at_time=at_time or None)
        if not self.anchor:
            return replace(step, delay_seconds=self.delay_seconds)
        side, _, key = self.anchor.partition(":")
        seconds = self.delay_seconds
        if seconds is not None and side == "before":
            seconds = -seconds
        return replace(step, anchor_key=key, anchor_offset_seconds=seconds)

    def timing(self, kind: SequenceKind, clock: Clock, *, first: bool) -> str:
        """Say when the step goes out, ``2 days later at 9:30 AM``; empty if no time is written."""
        if kind is SequenceKind.SCHEDULED:
            try:
                moment = datetime.fromisoformat(self.send_at).replace(tzinfo=UTC)
            except ValueError:
                return ""
            return f"{clock.date_of(moment, 'UTC')}, {clock.time_of(moment, 'UTC')}"
        if self.delay_seconds is None:
            return ""
        if self.anchor:
            return self._by_date(clock)
        delay = timedelta(seconds=min(self.delay_seconds, 10**9))
        words = "Right away" if first else "Right after"
        if delay:
            words = f"{in_units(delay, most=4)} later"
        if not self._has_time:
            return words
        at = clock.time_of(datetime.fromisoformat(f"2000-01-01T{self.at_time}+00:00"), "UTC")
        return f"{words} at {at}" if delay else f"The next {at}"

    def _by_date(self, clock: Clock) -> str:
        side, _, key = self.anchor.partition(":")
        delay = timedelta(seconds=min(self.delay_seconds or 0, 10**9))
        words = f"{in_units(delay, most=4)} {side} {key}" if delay else f"On {key}"
        if not self._has_time:
            return words
        at = clock.time_of(datetime.fromisoformat(f"2000-01-01T{self.at_time}+00:00"), "UTC")
        return f"{words} at {at}"

    def first_text(
        self, kind: SequenceKind, window: SendWindow | None, zone: str, now: datetime
    ) -> datetime | None:
        """Say when it would go, as the first step, to somebody enrolled now; None if it cannot."""
        clock = ContactClock((zone,), zone)
        if self.anchor:
            return None
        try:
            if kind is SequenceKind.SCHEDULED:
                due = scheduled_due(datetime.fromisoformat(self.send_at), clock)
            else:
                at_time = time.fromisoformat(self.at_time) if self._has_time else None
                due = ongoing_due(now, timedelta(seconds=self.delay_seconds or 0), at_time, clock)
            return next_slot(max(due, now), window, clock).at
        except (ValueError, OverflowError):
            return None

    @property
    def _has_time(self) -> bool:
        return self.unit == "days" and _CLOCK_OF_DAY.fullmatch(self.at_time) is not None


class StepFields(FormFields):
    """The steps in order, as one list for each of their fields.

    ``draft`` is an id of the page, by which it knows its own draft.
    """

    version: int = 0
    draft: UUID | None = None
    contact_id: UUID | None = None
    key: list[_Key] = Field(default_factory=list, max_length=MAX_STEPS * 2)
    body: list[str] = Field(default_factory=list)
    delay: list[str] = Field(default_factory=list)
    unit: list[str] = Field(default_factory=list)
    at_time: list[str] = Field(default_factory=list)
    send_at: list[str] = Field(default_factory=list)
    media: list[str] = Field(default_factory=list)
    late: list[str] = Field(default_factory=list)
    late_hours: list[str] = Field(default_factory=list)
    anchor: list[str] = Field(default_factory=list)

    def steps(self) -> list[WrittenStep]:
        """Return the steps, with the CR LF of browsers as LF."""
        columns = (
            self.body,
            self.delay,
            self.unit,
            self.at_time,
            self.send_at,
            self.media,
            self.late,
            self.late_hours,
            self.anchor,
        )
        return [
            WrittenStep(key, *(value.replace("\r\n", "\n") for value in values))
            for key, *values in zip_longest(
                self.key, *(column[: len(self.key)] for column in columns), fillvalue=""
            )
        ]


def errors_beside(errors: FormErrors, steps: Many[WrittenStep]) -> FormErrors:
    """Rename the errors' fields to those of the page, by the keys of the steps."""
    fields: dict[str, str] = {}
    general = errors.general
    for path, reason in errors.fields.items():
        match path.split("."):
            case ["steps", at, "delay_seconds"]:
                fields[f"{steps[int(at)].key}-delay"] = (
                    "must be a whole number: 0 for right away, at most 365 days"
                )
            case ["steps", at, "anchor", "offset_seconds"]:
                fields[f"{steps[int(at)].key}-delay"] = (
                    "must be a whole number, at most 365 days before or after the date"
                )
            case ["steps", at, "anchor", name]:
                fields[f"{steps[int(at)].key}-{'anchor' if name == 'key' else name}"] = reason
            case ["steps", at, "late_hours"]:
                fields[f"{steps[int(at)].key}-late_hours"] = (
                    f"must be a whole number of hours, 1 to {MAX_LATE_HOURS}"
                )
            case ["steps", at, "media_urls", *which]:
                line = f"line {int(which[0]) + 1} " if which else ""
                fields.setdefault(f"{steps[int(at)].key}-media", f"{line}{reason}")
            case ["steps", at, name]:
                fields[f"{steps[int(at)].key}-{name}"] = reason
            case _:
                general = f"The sequence {reason}."
    return FormErrors(fields, general, errors.status)


def is_same(written: Many[WrittenStep], steps: Many[StepRecord], kind: SequenceKind) -> bool:
    """Tell whether steps as written are those that are stored."""
    stored = [WrittenStep.of(step).draft(kind) for step in steps]
    return [step.draft(kind) for step in written] == stored


def _anchor(step: StepRecord | StepDraft) -> tuple[str, int | None]:
    """Write the date that a step goes by, if it does, and how far from it or the text before."""
    if step.anchor_key is None:
        return "", step.delay_seconds
    offset = step.anchor_offset_seconds or 0
    return f"{'before' if offset < 0 else 'after'}:{step.anchor_key}", abs(offset)


def _delay(seconds: int | None, *, in_days: bool) -> tuple[int, str]:
    """Write a delay as a number and its unit; a time of day goes with days."""
    number, unit = whole(timedelta(seconds=seconds or 0))
    return (number, unit) if number or not in_days else (0, "days")
