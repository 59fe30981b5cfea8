"""A sequence > Steps: its texts and when each goes, written and seen as a contact gets them."""

import re
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.responses import Response

from api.pages.forms import NO_ERRORS, FormErrors, FormFields
from api.pages.page import Page, PageDep
from api.pages.sequences.frame import render_tab
from api.pages.times import Clock
from domain.platform.errors import InvalidFieldError, SegueError
from domain.sequences.segments import Segments
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from services.enrollments.step_plan import span
from services.sequences.sequences import MAX_STEPS, SequenceChange, StepDraft
from storage.sequences.sequences import SequenceRecord, StepRecord

router = APIRouter()

MERGE_FIELDS = (
    ("first_name", "First name", "there"),
    ("last_name", "Last name", ""),
    ("full_name", "Full name", "there"),
    ("phone", "Phone", ""),
)
"""Merge fields, their words, and what to say where a contact has none."""

UNITS = {"minutes": 60, "hours": 3_600, "days": 86_400}
"""Units of a delay, in seconds."""

PLAIN: Mapping[str, str] = {
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{SINGLE LOW-9 QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{DOUBLE LOW-9 QUOTATION MARK}": '"',
    "\N{HYPHEN}": "-",
    "\N{NON-BREAKING HYPHEN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{BULLET}": "-",
    "\N{NO-BREAK SPACE}": " ",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{ZERO WIDTH SPACE}": "",
    "\t": " ",
}
"""What word processors write, and the character of GSM-7 that says the same."""

_CLOCK_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)

_Key = Annotated[str, Field(pattern="^[a-z0-9]{1,20}$")]
_OPEN = frozenset({SequenceState.ACTIVE, SequenceState.PAUSED})


@dataclass(frozen=True)
class WrittenStep:
    """A step as the form has it.

    Attributes:
        key: Names its fields on the page; it stays when steps change places.
        unit: Of ``UNITS``, or ``seconds`` where nothing else fits what is saved.
        media: A web address a line.
    """

    key: str = ""
    body: str = ""
    delay: str = "1"
    unit: str = "days"
    at_time: str = ""
    send_at: str = ""
    media: str = ""

    @classmethod
    def of(cls, step: StepRecord) -> "WrittenStep":
        """Write what is saved."""
        delay, unit = _in_units(step.delay_seconds or 0, in_days=step.at_time is not None)
        return cls(
            key=f"s{step.position}",
            body=step.body,
            delay=str(delay),
            unit=unit,
            at_time=f"{step.at_time:%H:%M}" if step.at_time is not None else "",
            send_at=_local(step.send_at) if step.send_at is not None else "",
            media="\n".join(step.media_urls),
        )

    @property
    def media_urls(self) -> tuple[str, ...]:
        """The addresses, blank lines left out."""
        return tuple(line.strip() for line in self.media.splitlines() if line.strip())

    @property
    def delay_seconds(self) -> int | None:
        """The delay; None where no whole number of a unit is written."""
        written = self.delay.strip()
        size = 1 if self.unit == "seconds" else UNITS.get(self.unit)
        return int(written) * size if size and _WHOLE.fullmatch(written) else None

    def draft(self, kind: SequenceKind) -> StepDraft:
        """Hand it to the use case; a time of day is only meant with days."""
        if kind is SequenceKind.SCHEDULED:
            return StepDraft(self.body, self.media_urls, send_at=self.send_at.strip() or None)
        at_time = self.at_time.strip() if self.unit == "days" else ""
        return StepDraft(self.body, self.media_urls, self.delay_seconds, at_time or None)

    def timing(self, kind: SequenceKind, clock: Clock, *, first: bool) -> str:
        """Say when it goes: ``2 days later at 9:30 am``; empty as long as that is not written."""
        if kind is SequenceKind.SCHEDULED:
            try:
                moment = datetime.fromisoformat(self.send_at).replace(tzinfo=UTC)
            except ValueError:
                return ""
            return f"{clock.date_of(moment, 'UTC')}, {clock.time_of(moment, 'UTC')}"
        if self.delay_seconds is None:
            return ""
        delay = timedelta(seconds=min(self.delay_seconds, 10**9))
        words = f"{span(delay)} later" if delay else "At once" if first else "Right after"
        if self.unit != "days" or not _CLOCK_OF_DAY.fullmatch(self.at_time):
            return words
        at = clock.time_of(datetime.fromisoformat(f"2000-01-01T{self.at_time}+00:00"), "UTC")
        return f"{words} at {at}" if delay else f"The next {at}"


class StepFields(FormFields):
    """The steps in order, a list for each of their fields."""

    version: int = 0
    contact_id: UUID | None = None
    key: list[_Key] = Field(default_factory=list, max_length=MAX_STEPS * 2)
    body: list[str] = Field(default_factory=list)
    delay: list[str] = Field(default_factory=list)
    unit: list[str] = Field(default_factory=list)
    at_time: list[str] = Field(default_factory=list)
    send_at: list[str] = Field(default_factory=list)
    media: list[str] = Field(default_factory=list)

    def steps(self) -> list[WrittenStep]:
        """Put the fields of each step together; browsers write line breaks as CR LF."""
        columns = (self.body, self.delay, self.unit, self.at_time, self.send_at, self.media)
        return [
            WrittenStep(key, *(value.replace("\r\n", "\n") for value in values))
            for key, *values in zip_longest(
                self.key, *(column[: len(self.key)] for column in columns), fillvalue=""
            )
        ]


@dataclass(frozen=True)
class SeenStep:
    """A step as a contact would get it.

    Attributes:
        key: Of the written one.
        timing: When it goes, in words.
        text: Merge fields filled in; as written where it cannot be sent.
        media_urls: What goes with it.
        segments: Its size; None where it cannot be sent.
        wrong: Why it cannot be sent; reads on from "The text".
        has_plain: Whether plain characters say the same as some that make it UCS-2.
    """

    key: str
    timing: str
    text: str
    media_urls: tuple[str, ...]
    segments: Segments | None
    wrong: str
    has_plain: bool


class ReadQuery(FormFields):
    """What the address of the tab says: for whom to fill the texts in."""

    contact_id: UUID | None = None


@router.get("/sequences/{sequence_id}/steps")
async def show_steps(
    page: PageDep, sequence_id: UUID, query: Annotated[ReadQuery, Query()]
) -> Response:
    """Show the steps, to be changed by who may; to others as they are."""
    sequence = await page.services.sequences.get(sequence_id)
    steps = [WrittenStep.of(step) for step in sequence.steps]
    return await _render(page, sequence, steps, contact_id=query.contact_id)


@router.post("/sequences/{sequence_id}/steps")
async def save_steps(
    page: PageDep, sequence_id: UUID, form: Annotated[StepFields, Form()]
) -> Response:
    """Save them: what is different becomes the next version."""
    sequence = await page.services.sequences.get(sequence_id)
    steps = form.steps()
    drafts = [step.draft(sequence.kind) for step in steps]
    try:
        saved = await page.services.sequences.change(
            sequence_id, SequenceChange(steps=drafts), page.user.id, based_on=form.version
        )
    except SegueError as error:
        return await _render(page, sequence, steps, errors=_beside(FormErrors.of(error), steps))
    return page.redirect(
        page.path_to("show_steps", sequence_id=sequence_id), _said(sequence, saved)
    )


@router.post("/sequences/{sequence_id}/steps/preview")
async def preview_steps(
    page: PageDep, sequence_id: UUID, form: Annotated[StepFields, Form()]
) -> Response:
    """Show what is written as a contact would get it, and how much each text takes."""
    sequence = await page.services.sequences.get(sequence_id)
    seen = await _seen(page, sequence.kind, form.steps(), form.contact_id)
    return page.part("sequences/_preview.html", seen=seen, plain=PLAIN)


@router.get("/sequences/{sequence_id}/steps/people")
async def find_preview_people(page: PageDep, sequence_id: UUID, search: str = "") -> Response:
    """Find contacts to see the texts as."""
    found = await page.services.pickers.contacts(search, sequence_id=sequence_id, limit=8)
    return page.part("sequences/_preview_people.html", people=found)


async def _render(
    page: Page,
    sequence: SequenceRecord,
    steps: Many[WrittenStep],
    *,
    contact_id: UUID | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    return await render_tab(
        page,
        sequence,
        "sequences/steps.html",
        part="sequences/_preview.html",
        errors=errors,
        steps=steps,
        seen=await _seen(page, sequence.kind, steps, contact_id),
        blank=WrittenStep(key="KEY"),
        is_ongoing=sequence.kind is SequenceKind.ONGOING,
        is_open=sequence.state in _OPEN,
        is_archived=sequence.state is SequenceState.ARCHIVED,
        active=sequence.counts.get(EnrollmentStatus.ACTIVE, 0),
        units=UNITS,
        merge_fields=MERGE_FIELDS,
        plain=PLAIN,
        most=MAX_STEPS,
    )


async def _seen(
    page: Page, kind: SequenceKind, steps: Many[WrittenStep], contact_id: UUID | None
) -> list[SeenStep]:
    found = []
    for index, step in enumerate(steps):
        timing = step.timing(kind, page.clock, first=index == 0)
        text, segments, wrong = step.body, None, ""
        try:
            shown = await page.services.previews.text(
                step.body, contact_id=contact_id, media_urls=step.media_urls
            )
        except InvalidFieldError as error:
            wrong = error.reason
        else:
            text, segments = shown.text, shown.segments
        outside = segments.ucs2_characters if segments else ()
        has_plain = any(char in PLAIN and char in step.body for char in outside)
        found.append(SeenStep(step.key, timing, text, step.media_urls, segments, wrong, has_plain))
    return found


def _beside(errors: FormErrors, steps: Many[WrittenStep]) -> FormErrors:
    """Put what is wrong beside the fields of the page, by the keys of the steps."""
    fields: dict[str, str] = {}
    general = errors.general
    for path, reason in errors.fields.items():
        match path.split("."):
            case ["steps", at, "delay_seconds"]:
                fields[f"{steps[int(at)].key}-delay"] = (
                    "must be a whole number: 0 for at once, at most 365 days"
                )
            case ["steps", at, "media_urls", *which]:
                line = f"line {int(which[0]) + 1} " if which else ""
                fields.setdefault(f"{steps[int(at)].key}-media", f"{line}{reason}")
            case ["steps", at, name]:
                fields[f"{steps[int(at)].key}-{name}"] = reason
            case _:
                general = f"The sequence {reason}."
    return FormErrors(fields, general, errors.status)


def _said(before: SequenceRecord, after: SequenceRecord) -> str:
    if after.version == before.version:
        return "Nothing was different, so nothing was changed."
    if after.state not in _OPEN:
        return f"The steps are saved as version {after.version}."
    return (
        f"Version {after.version} is published: whoever is enrolled from now on gets it."
        f" Those enrolled before stay on theirs."
    )


def _in_units(seconds: int, *, in_days: bool) -> tuple[int, str]:
    """Write a delay in the largest unit that it is a whole number of; nothing is 0 minutes."""
    if in_days:
        return seconds // UNITS["days"], "days"
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0 and (seconds or unit == "minutes"):
            return seconds // size, unit
    return seconds, "seconds"


def _local(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")
