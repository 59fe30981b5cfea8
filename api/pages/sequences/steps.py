"""A sequence > Steps: its texts and their times, edited beside a preview."""

import re
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.pages.forms import FormErrors, FormFields
from api.pages.page import InForm, Page, PageDep
from api.pages.sequences.frame import OPEN_STATES, render_tab
from api.pages.times import Clock
from api.paging import InQuery
from api.schemas.sequences import as_written
from domain.platform.errors import InvalidFieldError, SegueError
from domain.sequences.segments import Segments
from domain.sequences.texts import keys_in
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from services.enrollments.step_plan import span
from services.sequences.sequences import MAX_STEPS, SequenceChange, StepDraft
from storage.sequences.sequences import SequenceRecord, StepRecord

router = APIRouter()

OWN_NAMES = (
    ("first_name", "First name", "there"),
    ("last_name", "Last name", ""),
    ("full_name", "Full name", "there"),
    ("phone", "Phone", ""),
)
"""A contact's own merge fields, their labels, and fallbacks for contacts without a value."""

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
"""Characters of word processors, and the GSM-7 characters that mean the same."""

_CLOCK_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)

_Key = Annotated[str, Field(pattern="^[a-z0-9]{1,20}$")]


@dataclass(frozen=True)
class WrittenStep:
    """A step as the form has it.

    Attributes:
        key: Names its fields on the page; it stays when steps change places.
        unit: A key of ``UNITS``, or ``seconds`` where no other fits the stored delay.
        media: Web addresses, one a line.
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
        """Fill the form from a stored step."""
        delay, unit = _in_units(step.delay_seconds or 0, in_days=step.at_time is not None)
        return cls(
            key=f"s{step.position}",
            body=step.body,
            delay=str(delay),
            unit=unit,
            at_time=f"{step.at_time:%H:%M}" if step.at_time else "",
            send_at=as_written(step.send_at) if step.send_at else "",
            media="\n".join(step.media_urls),
        )

    @property
    def media_urls(self) -> tuple[str, ...]:
        """The addresses without blank lines."""
        return tuple(line.strip() for line in self.media.splitlines() if line.strip())

    @property
    def delay_seconds(self) -> int | None:
        """The delay; None unless it is a whole number of a known unit."""
        written = self.delay.strip()
        size = 1 if self.unit == "seconds" else UNITS.get(self.unit)
        return int(written) * size if size and _WHOLE.fullmatch(written) else None

    def draft(self, kind: SequenceKind) -> StepDraft:
        """Return the step as the service takes it; a time of day only counts with days."""
        if kind is SequenceKind.SCHEDULED:
            return StepDraft(self.body, self.media_urls, send_at=self.send_at.strip() or None)
        at_time = self.at_time.strip() if self.unit == "days" else ""
        return StepDraft(self.body, self.media_urls, self.delay_seconds, at_time or None)

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
        delay = timedelta(seconds=min(self.delay_seconds, 10**9))
        words = f"{span(delay)} later" if delay else "At once" if first else "Right after"
        if self.unit != "days" or not _CLOCK_OF_DAY.fullmatch(self.at_time):
            return words
        at = clock.time_of(datetime.fromisoformat(f"2000-01-01T{self.at_time}+00:00"), "UTC")
        return f"{words} at {at}" if delay else f"The next {at}"


class StepFields(FormFields):
    """The steps in order, as one list for each of their fields."""

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
        """Return the steps, with the CR LF of browsers as LF."""
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
        text: With merge fields filled in; as written where it cannot be sent.
        segments: Its size; None where it cannot be sent.
        wrong: Why it cannot be sent; follows "The text".
        has_plain: Whether plain characters could replace some that force UCS-2.
        missing: What the contact it is shown for has not, so that the text would wait.
    """

    key: str
    timing: str
    text: str
    media_urls: tuple[str, ...]
    segments: Segments | None
    wrong: str
    has_plain: bool
    missing: tuple[str, ...]


class ReadQuery(FormFields):
    """The contact to preview the texts for."""

    contact_id: UUID | None = None


@router.get("/sequences/{sequence_id}/steps")
async def show_steps(page: PageDep, sequence_id: UUID, query: InQuery[ReadQuery]) -> Response:
    """Show the steps; only members can edit them."""
    sequence = await page.services.sequences.get(sequence_id)
    steps = [WrittenStep.of(step) for step in sequence.steps]
    return await _render(page, sequence, steps, contact_id=query.contact_id)


@router.post("/sequences/{sequence_id}/steps")
async def save_steps(page: PageDep, sequence_id: UUID, form: InForm[StepFields]) -> Response:
    """Save the steps as a new version, if anything changed."""
    sequence = await page.services.sequences.get(sequence_id)
    steps = form.steps()
    drafts = [step.draft(sequence.kind) for step in steps]
    try:
        saved = await page.services.sequences.change(
            sequence_id, SequenceChange(steps=drafts), page.user.id, based_on=form.version
        )
    except SegueError as error:
        page.errors = _beside(FormErrors.of(error), steps)
        return await _render(page, sequence, steps)
    return page.redirect_to("show_steps", _message(sequence, saved), sequence_id=sequence_id)


@router.post("/sequences/{sequence_id}/steps/preview")
async def preview_steps(page: PageDep, sequence_id: UUID, form: InForm[StepFields]) -> Response:
    """Preview the texts as a contact would get them, with their sizes."""
    sequence = await page.services.sequences.get(sequence_id)
    seen = await _seen(page, sequence.kind, form.steps(), form.contact_id)
    variables = _variables(form.steps(), await page.services.pickers.contact_fields())
    return page.part("sequences/_preview.html", seen=seen, variables=variables, plain=PLAIN)


@router.get("/sequences/{sequence_id}/steps/people")
async def find_preview_people(page: PageDep, sequence_id: UUID, search: str = "") -> Response:
    """Find contacts to preview the texts for."""
    found = await page.services.pickers.contacts(search, sequence_id=sequence_id, limit=8)
    return page.part("sequences/_preview_people.html", people=found)


async def _render(
    page: Page,
    sequence: SequenceRecord,
    steps: Many[WrittenStep],
    *,
    contact_id: UUID | None = None,
) -> Response:
    fields = await page.services.pickers.contact_fields()
    return await render_tab(
        page,
        sequence,
        "sequences/steps.html",
        part="sequences/_preview.html",
        steps=steps,
        seen=await _seen(page, sequence.kind, steps, contact_id),
        blank=WrittenStep(key="KEY"),
        is_ongoing=sequence.kind is SequenceKind.ONGOING,
        is_open=sequence.state in OPEN_STATES,
        is_archived=sequence.state is SequenceState.ARCHIVED,
        active=sequence.counts.get(EnrollmentStatus.ACTIVE, 0),
        units=UNITS,
        merge_fields=_merge_fields(fields),
        variables=_variables(steps, fields),
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
        missing: tuple[str, ...] = ()
        try:
            shown = await page.services.previews.text(
                step.body, contact_id=contact_id, media_urls=step.media_urls
            )
            text, segments = shown.text, shown.segments
            missing = shown.missing if contact_id is not None else ()
        except InvalidFieldError as error:
            wrong = error.reason
        outside = segments.ucs2_characters if segments else ()
        has_plain = any(char in PLAIN and char in step.body for char in outside)
        found.append(
            SeenStep(step.key, timing, text, step.media_urls, segments, wrong, has_plain, missing)
        )
    return found


@dataclass(frozen=True)
class MergeField:
    """A merge field to insert; ``blank`` says what a text does without value and fallback."""

    name: str
    words: str
    fallback: str
    blank: str


def _merge_fields(fields: Mapping[str, str]) -> list[MergeField]:
    """Return the merge fields to insert: a contact's own, then ``fields``, labels by key."""
    own = "If blank, it is left out: “Hi {{first_name}}, …” becomes “Hi, …”."
    others = "If blank, the text waits until it is filled in."
    return [
        *(MergeField(*one, own) for one in OWN_NAMES),
        *(MergeField(key, label, "", others) for key, label in fields.items()),
    ]


def _variables(steps: Many[WrittenStep], fields: Mapping[str, str]) -> list[str]:
    """List the names in the texts that are no field's: variables, which enrolling gives."""
    return [key for key in keys_in(*(step.body for step in steps)) if key not in fields]


def _beside(errors: FormErrors, steps: Many[WrittenStep]) -> FormErrors:
    """Rename the errors' fields to those of the page, by the keys of the steps."""
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


def _message(before: SequenceRecord, after: SequenceRecord) -> str:
    if after.version == before.version:
        return "Nothing was different, so nothing was changed."
    if after.state not in OPEN_STATES:
        return f"The steps are saved as version {after.version}."
    return (
        f"Version {after.version} is published: whoever is enrolled from now on gets it."
        f" Those enrolled before stay on theirs."
    )


def _in_units(seconds: int, *, in_days: bool) -> tuple[int, str]:
    """Write a delay as a whole number of the largest unit possible; 0 as minutes."""
    if in_days:
        return seconds // UNITS["days"], "days"
    for unit, size in reversed(UNITS.items()):
        if seconds % size == 0 and (seconds or unit == "minutes"):
            return seconds // size, unit
    return seconds, "seconds"
