"""What goes over the wire about enrollments."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from api import field_problems
from api.paging import FieldsQuery, PageQuery, Search
from api.schemas.base import ListedUser, Listing, Moment, Named, PhoneText, Schema, limits
from api.schemas.problems import FieldProblem
from api.schemas.sequences import MediaUrls, TextBody
from domain.contacts.fields import KEY_PATTERN
from domain.enrollments.variables import MAX_VARIABLES
from domain.statuses.enrollments import (
    EnrollmentPhase,
    EnrollmentStatus,
    HeldReason,
    PauseReason,
    StepOutcome,
    WaitReason,
)
from domain.statuses.messaging import LastText
from domain.statuses.sequences import SequenceState
from services.enrollments.enrolling import MAX_CONTACTS, ContactAsked, SkipCode
from services.enrollments.selection import MAX_ENROLLMENTS
from services.jobs.enroll_preview import PredictedRow, Prediction
from services.messaging.holds import Decision
from storage.enrollments.list_filter import ListFilter
from workflows import client as workflow_client

_IDS_MOST = 20_000
"""What is looked at, duplicates and all."""


class _Selected(Schema):
    enrollment_ids: Annotated[list[UUID], limits(minItems=1, maxItems=MAX_ENROLLMENTS)] = Field(
        max_length=_IDS_MOST
    )
    """1 to 10,000; duplicates count once."""


def _is_none(value: object) -> bool:
    return value is None


_VALUE = {"anyOf": [{"type": one} for one in ("string", "number", "boolean", "null")]}

Variables = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_VARIABLES,
            "propertyNames": {"pattern": f"^{KEY_PATTERN}$"},
            "additionalProperties": _VALUE,
            "examples": [{"job_title": "Line cook", "start_date": "2026-12-01"}],
        }
    ),
]
"""Variables by key, as requests give them; ``domain.enrollments.variables`` checks them."""

AskedExternalId = Annotated[
    str | None,
    Field(default=None, exclude_if=_is_none, description="If it was asked for by this."),
]


class ContactToEnroll(Schema):
    """A contact to enroll: `id` or `external_id`."""

    id: UUID | None = None
    external_id: str | None = Field(default=None, max_length=200)
    variables: Variables = Field(default_factory=dict)
    """What texts of this enrollment say: text, numbers, booleans; dates as `2026-12-01`."""

    def asked(self) -> ContactAsked:
        """Hand it to the use cases."""
        return ContactAsked(self.id, self.external_id, self.variables)


_Contacts = Annotated[
    list[ContactToEnroll], Field(max_length=_IDS_MOST), limits(minItems=1, maxItems=MAX_CONTACTS)
]


class NewEnrollments(Schema):
    """Whom to enroll: exactly one of the three."""

    contact_ids: (
        Annotated[
            list[UUID], Field(max_length=_IDS_MOST), limits(minItems=1, maxItems=MAX_CONTACTS)
        ]
        | None
    ) = None
    """1 to 10,000 contacts; duplicates count once."""
    contacts: _Contacts | None = None
    """1 to 10,000 contacts, each once, with variables of their own."""
    group_id: UUID | None = None
    """All its members; more than 10,000 only with `Prefer: respond-async`."""

    def whom(self) -> dict[str, Any]:
        """Hand it to the use cases."""
        named = None if self.contacts is None else [one.asked() for one in self.contacts]
        return {"contact_ids": self.contact_ids, "contacts": named, "group_id": self.group_id}


class EnrollmentChange(Schema):
    """What to change of an enrollment."""

    variables: Variables = Field(description="Those to set; null removes one, others stay.")


class EnrolledContact(Schema):
    """A contact who was enrolled; with a final status if it was omitted."""

    id: UUID = Field(description="Of the enrollment.")
    contact_id: UUID
    status: EnrollmentStatus
    external_id: AskedExternalId


class SkippedContact(Schema):
    """A contact who was not enrolled."""

    contact_id: UUID | None = Field(description="Null if nobody has the external id.")
    code: SkipCode
    external_id: AskedExternalId


class EnrollResult(Schema):
    """The result of enrolling; the workflows start after the answer."""

    enrolled: list[EnrolledContact]
    skipped: list[SkippedContact]


class EnrollmentFilter(FieldsQuery):
    """The filters of the Contacts tab, each for "any of"; none matches everyone in the sequence."""

    search: Search = ""
    step: list[Annotated[int, Field(ge=0, le=100)]] = Field(default_factory=list, max_length=101)
    """The step last sent, 0 for none yet."""
    waiting_for_step: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=list, max_length=100
    )
    """Active, and this step is the one to be sent next."""
    enrolled_by: list[UUID] = Field(default_factory=list, max_length=50)
    """Who enrolled them."""
    status: list[EnrollmentStatus] = Field(default_factory=list, max_length=50)
    group: list[UUID] = Field(default_factory=list, max_length=50)
    """Members of any of these groups."""
    held: bool = Field(default=False, description="Only those that are held.")
    held_reason: list[HeldReason] = Field(default_factory=list, max_length=50)
    """Only those that are held for any of these reasons."""
    reason: list[WaitReason] = Field(default_factory=list, max_length=50)
    """Only those that wait and whose next text was postponed for any of these: its send window
    (`window`), the law (`pack`), a `holiday`, the distance to the text before (`spacing`), another
    try (`retry`)."""
    replied_late: bool = False
    """Only those whose contact replied after they finished without a response."""
    enrollment: list[UUID] = Field(default_factory=list, max_length=200)
    """Only these enrollments."""
    outcome: StepOutcome | None = Field(default=None, examples=["delivered"])
    """What became of the step `outcome_step`, or of any step, as reports count it."""
    outcome_step: Annotated[int, Field(ge=0, le=100)] | None = Field(default=None, examples=[2])
    """Goes with `outcome`: the step, from 1."""
    outcome_code: Annotated[int, Field(ge=0, le=999_999)] | None = None
    """Goes with the outcome `failed`: the provider's code, 0 for none."""
    enrolled_from: Moment | None = None
    """Only those enrolled at this moment or later."""
    enrolled_until: Moment | None = None
    """Only those enrolled before this moment."""
    sender: list[UUID] = Field(default_factory=list, max_length=50)
    """Only those that the text of a step was tried for from any of these."""
    replied_hour: Annotated[int, Field(ge=0, le=167)] | None = Field(default=None, examples=[37])
    """Only those whose first reply came in this hour of the week, on the clock of `replied_zone`:
    0 is the first hour of Monday."""
    replied_zone: str = Field(default="", max_length=100, examples=["America/New_York"])
    """Goes with `replied_hour`: an IANA time zone."""
    answered: bool = False
    """Only those whose first reply a user answered."""
    answered_by: list[UUID] = Field(default_factory=list, max_length=50)
    """Only those whose first reply was first answered by any of these users."""

    def wanted(self) -> ListFilter:
        """Hand them to the use cases."""
        return ListFilter(**{name: getattr(self, name) for name in EnrollmentFilter.model_fields})


EnrollmentSort = Annotated[
    Literal[
        "name",
        "-name",
        "enrolled_at",
        "-enrolled_at",
        "next_send_at",
        "-next_send_at",
        "last_message_at",
        "-last_message_at",
    ],
    Field(description="Those without a value come last either way."),
]


class ContactsQuery(EnrollmentFilter, PageQuery):
    """The filters of the Contacts tab; each repeats for "any of"."""

    sort: EnrollmentSort = "-enrolled_at"
    live: bool = False
    """Ask the workflows of the active ones on the page."""


class ListedContact(Schema):
    """A contact, in short."""

    id: UUID
    name: str
    phone: str


class ListedSender(Named):
    """A sender, in short."""


class Fault(Schema):
    """What the provider said."""

    code: int | None
    meaning: str


class LiveState(Schema):
    """What a workflow reports about itself."""

    state: str = Field(description="An activity, or the final status.")
    step: int
    next_due_at: datetime | None


_STEP = (
    "The step last sent, 0 for none yet. A text that was refused, or reported as not sent or not"
    " delivered, was not sent, unless it may have arrived all the same."
)
_PAUSED = (
    "Why it is paused by itself: a person paused it, or its contact replied under the policy"
    " `pause`; null if it is not, or only its sequence is paused."
)
_MISSING = (
    "With `missing_data`: the fields or variables that the next text says, which are blank and have"
    " no fallback there."
)
_WAITS_FOR = "What postponed the next text of one that waits, beyond its own timing; see `reason`."
_LATE = "When the contact first replied after it finished without a response."
_ERROR = (
    "Why it failed or is held. Of an active one that is not held: why its text was not delivered,"
    " which is tried again at `next_send_at`."
)


class LiveUnavailable(Schema):
    """Why a workflow reports nothing."""

    unavailable: str


def _told(live: workflow_client.LiveState | None) -> LiveState | LiveUnavailable | None:
    """Choose the schema of an answer, or of the lack of one."""
    if live is None:
        return None
    shape = LiveState if live.unavailable is None else LiveUnavailable
    return shape.model_validate(live)


Live = Annotated[LiveState | LiveUnavailable | None, BeforeValidator(_told)]


class _Line(Schema):
    """What every list shows of an enrollment."""

    enrollment_id: UUID
    contact: ListedContact
    status: EnrollmentStatus
    status_label: str
    activity: EnrollmentPhase | None = Field(description="What an active one is doing.")
    held_reason: HeldReason | None
    missing_fields: list[str] = Field(description=_MISSING)
    waits_for: list[WaitReason] = Field(description=_WAITS_FOR)
    paused_reason: PauseReason | None = Field(description=_PAUSED)
    step: int = Field(description=_STEP)
    step_count: int
    enrolled_by: ListedUser
    enrolled_at: datetime
    next_send_at: datetime | None
    last_message_at: datetime | None
    replied_late_at: datetime | None = Field(description=_LATE)
    error: Fault | None = Field(description=_ERROR)


class Line(_Line):
    """One enrollment in the Contacts tab."""

    live: Live


class ListedSequence(Named):
    """A sequence, in short."""


class ListedEnrollment(_Line):
    """One enrollment in the list of all."""

    id: UUID = Field(description="The same as `enrollment_id`.")
    sequence: ListedSequence
    ended_at: datetime | None


class EnrollmentsQuery(PageQuery):
    """The filters of the list of all enrollments; each repeats for "any of"."""

    contact_id: list[UUID] = Field(default_factory=list, max_length=50)
    sequence_id: list[UUID] = Field(default_factory=list, max_length=50)
    status: list[EnrollmentStatus] = Field(default_factory=list, max_length=50)


class ContactsPage(Listing[Line]):
    """One page of the Contacts tab."""

    counts: dict[EnrollmentStatus, int] = Field(
        description="Of the whole sequence, whatever the filter; all eight."
    )


class Reason(Schema):
    """Why a step is due when it is."""

    code: str = Field(description="Stable.")
    text: str = Field(description="For people.")
    detail: dict[str, Any]
    """The same as facts: seconds, moments in UTC, zones and codes."""


class StepAhead(Schema):
    """A step that is still to be sent."""

    position: int
    body: str = Field(description="With its merge fields.")
    media_urls: list[str]
    at: datetime | None = Field(description="When it would be sent; null if unknown.")
    estimated: bool = Field(description="Whether `at` may still change.")
    reasons: list[Reason]


class TimelineEntry(Schema):
    """Something that happened; what does not apply is null."""

    at: datetime
    kind: str = Field(
        description=(
            "`enrolled`, `written`, `attempt`, `sent`, `delivered`, `failed`, `received`, `ended`,"
            " or an event's kind."
        )
    )
    user: ListedUser | None
    message_id: UUID | None
    step: int | None
    body: str | None
    media_urls: list[str]
    status: str | None
    error: Fault | None
    detail: dict[str, Any] = Field(
        description=(
            "Further codes, ids and figures. With `failed`, if the text was or will be tried again:"
            " `again_at`, null if that has happened or is unknown."
        )
    )


class Enrollment(Schema):
    """One enrollment: its state, its next steps, its timeline."""

    id: UUID
    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    version: int = Field(description="The edition of the steps it follows.")
    sender: ListedSender
    contact: ListedContact
    time_zones: list[str] = Field(description="Where the contact may be.")
    status: EnrollmentStatus
    status_label: str
    activity: EnrollmentPhase | None
    held_reason: HeldReason | None
    missing_fields: list[str] = Field(description=_MISSING)
    waits_for: list[WaitReason] = Field(description=_WAITS_FOR)
    variables: dict[str, str | int | float | bool] = Field(
        description="What its texts say before the contact's field of the same key."
    )
    error: Fault | None = Field(description=_ERROR)
    step: int = Field(description=_STEP)
    step_count: int
    enrolled_by: ListedUser
    enrolled_at: datetime
    ended_at: datetime | None
    ended_by: ListedUser | None
    replied_at: datetime | None
    replied_late_at: datetime | None = Field(description=_LATE)
    paused_at: datetime | None = Field(description="When it was paused by itself.")
    paused_reason: PauseReason | None = Field(description=_PAUSED)
    next_send_at: datetime | None
    reply_until: datetime | None
    last_message_at: datetime | None
    live: Live = Field(description="What its workflow says; null once it is final.")
    temporal_url: str | None = Field(description="Its workflow in Temporal's Web UI.")
    steps: list[StepAhead] = Field(description="Still to be sent.")
    timeline: list[TimelineEntry]


class GroupAddition(_Selected):
    """Whose contacts to add to which group."""

    group_id: UUID


class OneOffText(Schema):
    """A text to send by hand."""

    enrollment_ids: list[UUID]
    """Of at most 10 contacts, each of whom gets it once."""
    body: TextBody = ""
    """May be empty if there are pictures."""
    media_urls: MediaUrls = Field(default_factory=list)
    """At most ten `https` addresses."""


class Finishing(_Selected):
    """Which enrollments to mark finished."""


class Pausing(_Selected):
    """Which enrollments to pause, or to resume."""


class Releasing(_Selected):
    """Which held enrollments to release, and how."""

    decision: Decision


class OneRelease(Schema):
    """How to release a held enrollment."""

    decision: Decision


class EnrollCheck(Schema):
    """Who would be enrolled: exactly one of the four."""

    contact_ids: list[UUID] | None = Field(default=None, max_length=_IDS_MOST)
    """1 to 10,000 contacts; duplicates count once."""
    contacts: _Contacts | None = None
    """As for enrolling: 1 to 10,000 contacts, each once, with variables of their own."""
    group_id: UUID | None = None
    """All its members."""
    numbers: list[PhoneText] | None = Field(default=None, max_length=_IDS_MOST)
    """Phone numbers, whether a contact has them or not; duplicates are reported."""


class FieldReason(Schema):
    """What is wrong with a field, as `errors` says it too."""

    field: str
    reason: str


class CheckedRow(Schema):
    """One contact or number, and what enrolling would do with it."""

    outcome: Prediction
    contact_id: UUID | None
    name: str
    phone: str = Field(description="E.164; as given if it is not a number.")
    line: int | None = Field(description="Of a number, its place in `numbers`, from 1.")
    external_id: AskedExternalId
    errors: list[FieldProblem] = Field(description="Of an `invalid` one.")
    reasons: list[FieldReason] = Field(
        description="The same as `errors`, which took its place.",
        json_schema_extra={"deprecated": True},
    )
    missing_fields: list[str]
    """What its texts would lack: fields or variables that they say, and that are blank for it."""
    lacks_consent: bool
    """It would be enrolled and held: the consent that its texts take is not on record."""

    @model_validator(mode="before")
    @classmethod
    def _of(cls, row: object) -> object:
        """Convert what the use case gives."""
        if not isinstance(row, PredictedRow):
            return row
        told = {name: value for name, value in vars(row).items() if name != "lacks"}
        return {
            **told,
            "errors": [field_problems.FieldProblem.of(error) for error in row.errors],
            "reasons": row.errors,
            "missing_fields": row.lacks,
        }


class EnrollForecast(Schema):
    """What enrolling would do; nothing is done."""

    total: int = Field(description="All rows, duplicates and invalid ones too.")
    counts: dict[Prediction, int] = Field(description="By outcome, all of them.")
    rows: list[CheckedRow]
    """At most 200, those that are not simply enrolled first."""
    contact_ids: list[UUID]
    """Who would be listed, in order; empty for a group, which is enrolled as a whole."""
    unknown_numbers: list[str] = Field(description="Numbers that no contact has yet.")
    lacking: dict[str, int]
    """How many of those who would be texted lack what texts say, by field or variable."""
    unconsented: int
    """How many of those who would be enrolled get no text before they agree to it."""


_Row = TypeVar("_Row", bound="RowResult")


class RowResult(Schema):
    """The result for one enrollment."""

    enrollment_id: UUID
    result: str


class TextedRow(RowResult):
    """`accepted`, `opted_out`, `landline` or `not_found`."""

    message_id: UUID | None = Field(description="If accepted; shared within a contact.")
    over_cap: bool = Field(
        description="If accepted: whether they had as many texts in 24 hours as `texts_per_day`"
        " allows already. It goes all the same."
    )


class FinishedRow(RowResult):
    """`finished`, `already_final` or `not_found`; releasing has more results."""

    last_text: LastText | None = Field(description="Set only with `finished`.")


class _Results(Schema, Generic[_Row]):
    model_config = ConfigDict(use_attribute_docstrings=False)  # as for Listing

    results: list[_Row]

    @model_validator(mode="before")
    @classmethod
    def _of_rows(cls, rows: object) -> object:
        return {"results": rows}


class PauseResults(_Results[RowResult]):
    """In the order asked: `paused`, or why it was not."""


class ResumeResults(_Results[RowResult]):
    """In the order asked: `resumed`, or why it was not."""


class GroupResults(_Results[RowResult]):
    """In the order asked: `added`, `already_member` or `not_found`."""


class TextResults(_Results[TextedRow]):
    """In the order asked."""


class FinishResults(_Results[FinishedRow]):
    """In the order asked."""
