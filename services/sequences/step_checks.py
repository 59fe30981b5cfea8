"""What steps must be before they are saved: timing, dates, anchors, lateness, texts."""

import re
from collections.abc import Collection
from collections.abc import Sequence as Many
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from domain.platform.errors import InvalidFieldError, Problems
from domain.sequences.pictures import OwnPictures
from domain.sequences.segments import measure
from domain.sequences.steps import StepDraft
from domain.sequences.texts import check_body, check_media
from domain.sequences.timing import ContactClock, scheduled_due
from domain.statuses.sequences import LatePolicy, SequenceKind
from storage.sequences.sequences import StepRecord

MAX_STEPS = 100
MAX_DELAY = timedelta(days=365)
MAX_AHEAD = timedelta(days=5 * 365)
"""How far ahead a date may be; a later one is a typo."""
MAX_LATE_HOURS = 30 * 24
AT_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

_ONE_DAY_SECONDS = 86_400
_AT_TIME = re.compile(AT_TIME_PATTERN)
_SEND_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)


def check_steps(
    drafts: Many[StepDraft],
    kind: SequenceKind,
    problems: Problems,
    zone: str,
    ours: OwnPictures,
    date_fields: Collection[str],
    *,
    dates_taken: frozenset[datetime | None],
) -> tuple[StepRecord, ...]:
    """Validate steps and their order; a date that was saved before may be past.

    ``date_fields`` are the keys of the contacts' dates.
    """
    if not 1 <= len(drafts) <= MAX_STEPS:
        problems.add("steps", f"has {len(drafts)} steps; write 1 to {MAX_STEPS}", code="step_count")
        return ()
    steps = tuple(
        _check_step(draft, position, kind, problems, ours, date_fields)
        for position, draft in enumerate(drafts, start=1)
    )
    latest: datetime | None = None
    for index, step in enumerate(steps):
        if step.send_at is None:
            continue
        field = f"steps.{index}.send_at"
        if step.send_at not in dates_taken:
            with problems.collect():
                _check_date(step.send_at, field, zone)
        if latest is not None and step.send_at <= latest:
            problems.add(
                field,
                f"is not later than the date before it, {latest.isoformat()}; put the steps"
                " in order, no two at the same time",
                code="dates_unordered",
            )
        latest = step.send_at if latest is None else max(latest, step.send_at)
    return steps


def _check_date(send_at: datetime, field: str, zone: str) -> None:
    now = datetime.now(UTC)
    due = scheduled_due(send_at, ContactClock((zone,), zone))
    if due <= now:
        raise InvalidFieldError(
            field, f"is in the past in {zone}; choose a later date", code="date_past"
        )
    if due > now + MAX_AHEAD:
        raise InvalidFieldError(
            field, "is more than five years ahead; choose an earlier date", code="date_too_far"
        )


def _check_step(
    draft: StepDraft,
    position: int,
    kind: SequenceKind,
    problems: Problems,
    ours: OwnPictures,
    date_fields: Collection[str],
) -> StepRecord:
    path = f"steps.{position - 1}"
    with problems.collect():
        check_body(draft.body, field=f"{path}.body", has_media=bool(draft.media_urls))
    with problems.collect():
        check_media(draft.media_urls, ours, field=f"{path}.media_urls")
    step = StepRecord(
        position,
        draft.body,
        draft.media_urls,
        delay_seconds=None,
        at_time=None,
        send_at=None,
        segments=measure(draft.body).count,
        anchor_key=None,
        anchor_offset_seconds=None,
        late=LatePolicy.SEND,
        late_hours=None,
    )
    match kind:
        case SequenceKind.ONGOING if draft.anchor_key is not None:
            for field in ("delay_seconds", "send_at"):
                if getattr(draft, field) is not None:
                    problems.add(
                        f"{path}.{field}",
                        "is given beside anchor; give one of them",
                        code="one_of_two",
                    )
            with problems.collect():
                step = replace(step, anchor_key=_anchor(draft.anchor_key, path, date_fields))
            with problems.collect():
                step = replace(step, anchor_offset_seconds=_offset(draft, path))
            with problems.collect():
                step = replace(step, at_time=_at_time(draft, f"{path}.anchor"))
        case SequenceKind.ONGOING:
            if draft.send_at is not None:
                problems.add(
                    f"{path}.send_at",
                    "belongs to a scheduled sequence; give delay_seconds instead",
                    code="wrong_timing",
                )
            with problems.collect():
                step = replace(step, delay_seconds=_delay(draft.delay_seconds, path))
            with problems.collect():
                step = replace(step, at_time=_at_time(draft, path))
        case SequenceKind.SCHEDULED:
            for field, given in (
                ("delay_seconds", draft.delay_seconds),
                ("at_time", draft.at_time),
                ("anchor", draft.anchor_key),
            ):
                if given is not None:
                    problems.add(
                        f"{path}.{field}",
                        "belongs to an ongoing sequence; give send_at instead",
                        code="wrong_timing",
                    )
            with problems.collect():
                step = replace(step, send_at=_send_at(draft.send_at, path))
    with problems.collect():
        late = _late(draft, path)
        hours = _late_hours(late, draft.late_hours, path)
        step = replace(step, late=late, late_hours=hours)
    return step  # noqa: RET504 - as the problems leave it


def _delay(seconds: int | None, path: str) -> int:
    most = int(MAX_DELAY.total_seconds())
    if seconds is None:
        raise InvalidFieldError(
            f"{path}.delay_seconds",
            "is missing; give the seconds after the previous text, 0 for right away",
            code="missing",
        )
    if not 0 <= seconds <= most:
        raise InvalidFieldError(
            f"{path}.delay_seconds", f"must be 0 to {most} (365 days)", code="out_of_range"
        )
    return seconds


def _anchor(key: str, path: str, date_fields: Collection[str]) -> str:
    if key not in date_fields:
        dates = ", ".join(sorted(date_fields))
        raise InvalidFieldError(
            f"{path}.anchor.key",
            f"is no date field of contacts; {f'use {dates}, or ' if dates else ''}add one with"
            " POST /api/fields",
            code="unknown_date_field",
        )
    return key


def _offset(draft: StepDraft, path: str) -> int:
    most = int(MAX_DELAY.total_seconds())
    seconds = draft.anchor_offset_seconds
    if seconds is None or not -most <= seconds <= most:
        raise InvalidFieldError(
            f"{path}.anchor.offset_seconds",
            f"must be -{most} to {most}, 365 days before or after",
            code="out_of_range",
        )
    return seconds


def _at_time(draft: StepDraft, path: str) -> time | None:
    if draft.at_time is None:
        return None
    field = f"{path}.at_time"
    if not _AT_TIME.fullmatch(draft.at_time):
        raise InvalidFieldError(
            field, "is not a time of day; write HH:MM, like 09:30", code="bad_time"
        )
    seconds = draft.delay_seconds if draft.anchor_key is None else draft.anchor_offset_seconds
    if seconds is not None and seconds % _ONE_DAY_SECONDS:
        name = "delay_seconds" if draft.anchor_key is None else "offset_seconds"
        raise InvalidFieldError(
            field,
            f"needs whole days, a multiple of {_ONE_DAY_SECONDS} seconds; correct {name} or leave"
            " at_time out",
            code="time_needs_whole_days",
        )
    return time.fromisoformat(draft.at_time)


def _send_at(text: str | None, path: str) -> datetime:
    field = f"{path}.send_at"
    if text is None:
        raise InvalidFieldError(
            field, "is missing; write a local date and time, like 2027-12-01T09:30", code="missing"
        )
    try:
        moment = datetime.fromisoformat(text) if _SEND_AT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or not 2000 <= moment.year <= 9000:
        raise InvalidFieldError(
            field,
            "is not a local date and time; write it like 2027-12-01T09:30, without a zone: it is on"
            " the contact's own clock",
            code="bad_date",
        )
    return moment


def _late(draft: StepDraft, path: str) -> LatePolicy:
    if draft.late not in set(LatePolicy):
        raise InvalidFieldError(
            f"{path}.late", f"must be {', '.join(LatePolicy)}", code="unknown_value"
        )
    return LatePolicy(draft.late)


def _late_hours(late: LatePolicy, hours: int | None, path: str) -> int | None:
    field, expires = f"{path}.late_hours", late is LatePolicy.EXPIRE
    if hours is None:
        if expires:
            raise InvalidFieldError(
                field, "is missing; say after how many hours the step expires", code="missing"
            )
        return None
    if not expires:
        raise InvalidFieldError(
            field, 'belongs to late "expire"; leave it out otherwise', code="wrong_timing"
        )
    if not 1 <= hours <= MAX_LATE_HOURS:
        raise InvalidFieldError(field, f"must be 1 to {MAX_LATE_HOURS}", code="out_of_range")
    return hours
