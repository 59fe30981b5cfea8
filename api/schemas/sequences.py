"""What goes over the wire about sequences."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from api.field_problems import INVALID_TEXT
from api.paging import PageQuery
from api.schemas.base import Named, Omissible, Schema, limits
from domain.contacts.fields import KEY_LENGTH
from domain.sequences.segments import measure
from domain.sequences.steps import StepDraft
from domain.sequences.texts import MAX_CHARACTERS, MAX_MEDIA
from domain.sequences.timing import DEFAULT_WINDOW
from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from domain.statuses.sequences import (
    CountsAsReply,
    LatePolicy,
    Purpose,
    ReplyPolicy,
    SequenceKind,
    SequenceState,
)
from services.sequences.sequences import (
    DEFAULT_REPLY_WINDOW,
    MAX_NAME,
    MAX_REPLY_WINDOW,
    SequenceChange,
    SequenceDraft,
)
from services.sequences.step_checks import AT_TIME_PATTERN, MAX_DELAY, MAX_STEPS
from services.sequences.templates import MAX_DESCRIPTION
from storage.sequences.sequences import StepRecord


def _whole(text: str) -> str:
    """Refuse half of a surrogate pair, which JSON can spell and UTF-8 cannot."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise PydanticCustomError(
                INVALID_TEXT, "contains half a character; send whole characters in UTF-8"
            ) from None
    return text


def _without_fraction(number: Any) -> Any:  # noqa: ANN401 - whatever was sent
    """Take 60.0 for 60: both are integers in JSON Schema."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


TextBody = Annotated[
    str,
    AfterValidator(_whole),
    limits(minLength=1, maxLength=MAX_CHARACTERS),
    Field(
        description="At most 1600 characters; merge fields like `{{first_name|there}}`.",
        examples=["Hi {{first_name|there}}, do you have a minute this week?"],
    ),
]
SequenceName = Annotated[str, Field(max_length=MAX_NAME, examples=["Welcome"]), limits(minLength=1)]
WholeSeconds = Annotated[int, BeforeValidator(_without_fraction), Field(strict=True)]
Delay = Annotated[WholeSeconds, limits(minimum=0, maximum=int(MAX_DELAY.total_seconds()))]
ReplyWindow = Annotated[
    WholeSeconds, limits(minimum=0, maximum=int(MAX_REPLY_WINDOW.total_seconds()))
]
MediaUrls = Annotated[list[str], Field(max_length=100), limits(maxItems=MAX_MEDIA)]
TimeOfDay = Annotated[str, limits(pattern=AT_TIME_PATTERN), Field(examples=["09:30"])]
Window = Annotated[
    dict[str, list[str]] | None,
    Field(
        description=(
            "Day to opening and closing time on the contact's clock; days left out are closed."
            " Null: any time. Left out: 09:00-20:00, Sunday 12:00-20:00."
        ),
        examples=[{"mon": ["09:00", "20:00"], "sat": ["10:00", "24:00"]}],
    ),
]


class NewAnchor(Schema):
    """A date that a step goes by: a date field of contacts, or a variable of the same key.

    The variable of the enrollment goes before the contact's field. When the date moves, the step
    does; while it is missing, the enrollment is held for `missing_data`.
    """

    key: Annotated[str, Field(max_length=KEY_LENGTH)] = Field(examples=["interview_at"])
    offset_seconds: Annotated[
        WholeSeconds,
        limits(minimum=-int(MAX_DELAY.total_seconds()), maximum=int(MAX_DELAY.total_seconds())),
    ] = Field(default=0, examples=[-86_400])
    """From the date, at midnight if it has no time; negative for before, at most 365 days."""
    at_time: TimeOfDay | None = None
    """Time of the day the offset leads to; only with whole days."""


class NewStep(Schema):
    """A step: `delay_seconds` (and `at_time`) or `anchor` if it is ongoing, `send_at` otherwise."""

    body: TextBody
    media_urls: MediaUrls = Field(default_factory=list)
    """At most ten: the `url` of `POST /api/media`, or `https` addresses that anyone can open."""
    delay_seconds: Delay | None = None
    """After the previous text; 0 to 365 days."""
    at_time: TimeOfDay | None = None
    """Time of the day the delay leads to; only with whole days."""
    send_at: str | None = Field(default=None, examples=["2027-12-01T09:30"])
    """Date and time on the contact's own clock, without a zone."""
    anchor: NewAnchor | None = None
    """Instead of `delay_seconds` and `at_time`: the date that it goes by."""
    late: LatePolicy = LatePolicy.SEND
    """If it can no longer go at its time (after an outage, a pause, a limit): `send` it as soon as
    it may, let it `expire` after `late_hours`, or `skip` it at once, an hour after its time."""
    late_hours: int | None = None
    """1 to 720; with `expire` only."""

    def draft(self) -> StepDraft:
        """Convert it for the use case."""
        values = {**dict(self), "media_urls": tuple(self.media_urls)}
        if (anchor := values.pop("anchor")) is not None:
            values |= {
                "anchor_key": anchor.key,
                "anchor_offset_seconds": anchor.offset_seconds,
                "at_time": anchor.at_time,
            }
        return StepDraft(**values)


def _with_anchor(step: Mapping[str, Any]) -> dict[str, Any]:
    """Nest what times a step that goes by a date; null for any other."""
    values = dict(step)
    key, offset = values.pop("anchor_key"), values.pop("anchor_offset_seconds")
    if key is None:
        return {**values, "anchor": None}
    anchor = Anchor(key=key, offset_seconds=offset, at_time=values["at_time"])
    return {**values, "at_time": None, "anchor": anchor}


Steps = Annotated[list[NewStep], Field(max_length=1000), limits(minItems=1, maxItems=MAX_STEPS)]


class NewSequence(Schema):
    """A sequence to create; it starts as a draft."""

    name: SequenceName
    sender_id: UUID
    kind: SequenceKind
    on_reply: ReplyPolicy = ReplyPolicy.FINISH
    """What a reply does: `finish` ends the enrollment, `continue` goes on, `pause` waits for a
    person."""
    counts_as_reply: CountsAsReply = CountsAsReply.HUMAN
    """`any`: reactions and automatic replies count too."""
    purpose: Purpose = Purpose.INFORMATIONAL
    """What its texts are for. `marketing` binds it to the hours that the law has where each contact
    lives, besides its send window: `GET /api/rule-packs`."""
    reply_window_seconds: ReplyWindow = int(DEFAULT_REPLY_WINDOW.total_seconds())
    send_window: Window = Field(default_factory=DEFAULT_WINDOW.dump)
    steps: Steps

    def draft(self) -> SequenceDraft:
        """Convert it for the use case."""
        return SequenceDraft(**{**dict(self), "steps": [step.draft() for step in self.steps]})


class SequenceChanges(Schema):
    """What to change of a sequence; what is left out stays, and the kind stays for good."""

    name: SequenceName = Omissible
    sender_id: UUID = Omissible
    kind: SequenceKind = Omissible
    on_reply: ReplyPolicy = Omissible
    counts_as_reply: CountsAsReply = Omissible
    purpose: Purpose = Omissible
    reply_window_seconds: ReplyWindow = Omissible
    send_window: Window = Omissible
    steps: Steps = Omissible

    def change(self) -> SequenceChange:
        """Convert it for the use case."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        if "steps" in given:
            given["steps"] = [step.draft() for step in self.steps]
        return cast("SequenceChange", given)


class Archiving(Schema):
    """How to archive."""

    finish_active: bool = False
    """Mark the enrollments that are still active finished."""


class SequenceQuery(PageQuery):
    """The filters of the list of sequences."""

    state: list[SequenceState] = Field(default_factory=list, max_length=10)
    """Any of these."""
    search: str = Field(default="", max_length=MAX_NAME)
    """Any part of the name in any case."""


class SegmentCount(Schema):
    """How much a step's text takes as written; merge fields make it longer or shorter."""

    count: int = Field(description="Billed segments.")
    encoding: str = Field(description="`GSM-7`, or `UCS-2` if one character needs it.")
    units: int = Field(description="Septets in GSM-7, UTF-16 code units in UCS-2.")
    characters: int
    ucs2_characters: list[str] = Field(description="The characters that force UCS-2.")


class Anchor(Schema):
    """The date that a step goes by: a date field of contacts, or a variable of the same key."""

    key: str = Field(examples=["interview_at"])
    offset_seconds: int = Field(examples=[-86_400])
    at_time: str | None


class Step(Schema):
    """A step of a sequence's current version."""

    position: int = Field(description="From 1.")
    body: str
    media_urls: list[str]
    delay_seconds: int | None
    at_time: str | None
    send_at: str | None = Field(examples=["2027-12-01T09:30"])
    """As it was written: on the contact's own clock, without a zone."""
    anchor: Anchor | None
    late: LatePolicy
    late_hours: int | None
    segments: SegmentCount

    @classmethod
    def of(cls, step: StepRecord) -> "Step":
        """Validate a stored step."""
        at_time = f"{step.at_time:%H:%M}" if step.at_time is not None else None
        return cls.model_validate(
            {
                **_with_anchor({**vars(step), "at_time": at_time}),
                "send_at": as_written(step.send_at) if step.send_at is not None else None,
                "segments": measure(step.body),
            }
        )


def as_written(send_at: datetime) -> str:
    """Write a date and time as people do: seconds only where there are any."""
    return send_at.isoformat(timespec="seconds" if send_at.second else "minutes")


class Creator(Named):
    """A user."""


class SequenceSummary(Schema):
    """A sequence without its steps."""

    id: UUID
    name: str
    sender_id: UUID
    sender_name: str
    kind: SequenceKind
    on_reply: ReplyPolicy
    counts_as_reply: CountsAsReply
    purpose: Purpose
    reply_window_seconds: int
    send_window: dict[str, list[str]] | None
    state: SequenceState
    version: int = Field(description="Of the steps, from 1; enrollments stay on theirs.")
    step_count: int
    counts: dict[EnrollmentStatus, int] = Field(description="Enrollments by status, all eight.")
    created_by: Creator
    created_at: datetime
    updated_at: datetime


class Sequence(SequenceSummary):
    """A sequence with the current version of its steps."""

    steps: list[Annotated[Step, BeforeValidator(Step.of)]]


class NewTemplate(Schema):
    """A sequence to save as a template."""

    sequence_id: UUID
    name: SequenceName
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = ""


class TemplateStep(Schema):
    """A step of a template, as `POST /api/sequences` takes it."""

    body: str
    media_urls: list[str]
    delay_seconds: int | None
    at_time: str | None
    send_at: str | None = Field(examples=["2027-12-01T09:30"])
    anchor: Anchor | None
    late: LatePolicy
    late_hours: int | None

    @model_validator(mode="before")
    @classmethod
    def _nest_anchor(cls, step: Any) -> Any:  # noqa: ANN401 - a step, or what else was given
        return _with_anchor(vars(step)) if isinstance(step, StepDraft) else step


class SequenceTemplate(Schema):
    """What new sequences can begin with."""

    id: UUID
    name: str
    description: str
    is_shipped: bool = Field(description="Every workspace has it, and it cannot be deleted.")
    kind: SequenceKind
    on_reply: ReplyPolicy
    counts_as_reply: CountsAsReply
    purpose: Purpose
    reply_window_seconds: int
    send_window: dict[str, list[str]] | None
    steps: list[TemplateStep]
    created_at: datetime | None
    created_by_name: str | None


class SequenceEdition(Schema):
    """What an ``ETag`` of a sequence tells apart: every change by people, and no enrollment."""

    id: UUID
    state: SequenceState
    version: int
    updated_at: datetime


class StepText(Schema):
    """A step's text, as it may be written."""

    body: TextBody
    media_urls: MediaUrls = Field(default_factory=list)


class PreviewRequest(Schema):
    """What to preview."""

    contact_id: UUID | None = None
    """Whose values are filled in; left out: no one's, so that fallbacks show."""
    steps: list[StepText] | None = Field(default=None, max_length=1000)
    """Texts to preview instead of the sequence's own."""


class PreviewedStep(Schema):
    """A step's text as it would arrive."""

    position: int = Field(description="From 1.")
    text: str
    media_urls: list[str]
    segments: SegmentCount
    missing: list[str] = Field(
        description="Fields and variables that it cannot go without: blank, without a fallback."
    )


class Preview(Schema):
    """Steps as a contact would get them."""

    steps: list[PreviewedStep]


class StatusCount(Schema):
    """How many enrollments have a status."""

    status: EnrollmentStatus
    label: str
    meaning: str
    count: int
    share: float = Field(description="Of all enrollments, 0 to 1.")


class FunnelStep(Schema):
    """One step of the funnel."""

    step: int = Field(description="From 1; the same position in every version.")
    body: str | None = Field(description="Of the current version; null if that has fewer steps.")
    counts: dict[StepOutcome, int]
    """Enrollments by what became of the step. `GET /api/sequences/{id}/contacts` lists those behind
    a number by `outcome` and `outcome_step`."""


class HourCount(Schema):
    """How many texts are due in an hour; overdue ones are in the first."""

    start: datetime
    count: int


class Overview(Schema):
    """The figures of a sequence, as of now."""

    state: SequenceState
    total: int = Field(description="All who were ever enrolled.")
    reply_rate: float | None
    """Of those who were sent a text, 0 to 1; null if no one was. Late replies are not counted."""
    replied_late: int
    """Enrollments whose contact replied after they ended without a response."""
    statuses: list[StatusCount] = Field(description="All eight.")
    funnel: list[FunnelStep]
    time_zone: str = Field(description="Of `hours`.")
    hours: list[HourCount] = Field(
        description="Those of the next 24 hours: the first is this one, the last a part of one."
    )
