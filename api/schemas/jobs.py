"""What goes over the wire about work in the background."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from api.paging import PageQuery
from api.schemas.base import ListedUser, Listing, Schema
from api.schemas.enrollments import EnrollmentFilter
from domain.statuses.contacts import OtherName
from domain.statuses.jobs import JobKind, JobState
from services.messaging.holds import Decision


class NewBatch(Schema):
    """An action on all matching enrollments of a sequence."""

    action: Literal["mark_finished", "add_to_group", "release", "pause", "resume"]
    filter: EnrollmentFilter
    group_id: UUID | None = Field(default=None, description="For `add_to_group`, only then.")
    decision: Decision | None = Field(default=None, description="For `release`, only then.")
    at_most: int | None = Field(default=None, ge=0, examples=[120])
    """Do nothing if more match by now: how many a person was told of."""


class JobAbout(Schema):
    """What a job is about; null for what does not apply."""

    sequence_id: UUID | None = None
    group_id: UUID | None = None
    import_id: UUID | None = None
    """Of an enrollment: the import whose people are enrolled."""
    enrol_into: UUID | None = None  # the spelling that clients know
    """Of an import: the sequence its people are enrolled into once it is done."""
    enrolling_id: UUID | None = None
    """Of an import that is done: the job that enrolls its people."""
    owner_id: UUID | None = None
    """Of assigning contacts: the owner; null for nobody."""
    decision: Decision | None = None
    dry_run: bool | None = Field(default=None, description="Of an import: only checks.")
    update_existing: bool | None = None
    """Of an import of contacts: changes those who exist."""
    other_names: OtherName | None = None
    """Of an import of contacts whose columns a person matched: what is done with rows whose number
    is that of a contact with another name."""
    region: str | None = None
    """Of an import: the country of numbers without a country code."""
    reason: str | None = None
    """Of an import of opt-outs: the reason where a row gives none."""
    ignored_columns: list[str] | None = None
    """Of an import: unknown columns."""


class JobSummary(Schema):
    """A background job."""

    id: UUID
    kind: JobKind
    state: JobState = Field(description="`done`, `canceled` and `failed` are final.")
    total: int = Field(description="How many rows it has.")
    done: int = Field(description="How many rows have their result.")
    user: ListedUser = Field(description="Who asked for it.")
    about: JobAbout
    error: str | None
    """A code: why some rows failed, or why the job could not continue."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class Job(JobSummary):
    """A background job, with its rows counted by result."""

    counts: dict[str, int] = Field(description="Rows by result code.")


class JobsQuery(PageQuery):
    """The filters of the list of jobs."""

    mine: bool = Field(default=False, description="Only those that the caller asked for.")
    state: list[JobState] = Field(default_factory=list, max_length=20)


class ResultsQuery(PageQuery):
    """The filters of a job's results."""

    code: list[Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z_]+$")]] = Field(
        default_factory=list, max_length=50, description="Rows with any of these results."
    )


def _in_one_shape(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name what is wrong with fields as all errors do."""
    if not (errors := detail.get("errors")):
        return detail
    return {**detail, "errors": [{**one, "message": one["reason"]} for one in errors]}


class JobRow(Schema):
    """A row of a job and its result."""

    position: int = Field(description="From 1; of an import the line in the file.")
    subject_id: UUID | None
    """The enrollment; of an enrollment, an import or an action on contacts the contact, if there
    is one."""
    code: str | None = Field(description="The result; null while there is none.")
    detail: Annotated[dict[str, Any], BeforeValidator(_in_one_shape)]
    """More about the result, in codes and ids. Of a row of a file that is `invalid`: `errors`, each
    as those of a 422; `reason` is the same as `message`, which took its place."""


class JobResults(Listing[JobRow]):
    """A page of a job's rows, by position."""
