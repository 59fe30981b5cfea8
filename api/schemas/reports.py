"""What goes over the wire about reports."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.field_problems import OUT_OF_RANGE
from api.paging import FilterQuery
from api.schemas.base import Schema
from domain.enrollments.day_range import TrendUnit


def _of_our_time(day: date) -> date:
    if not 1900 <= day.year <= 2200:
        raise PydanticCustomError(OUT_OF_RANGE, "must be in the years 1900 to 2200")
    return day


Day = Annotated[date, AfterValidator(_of_our_time)]
"""A day of the workspace's clock."""


class DaysQuery(FilterQuery):
    """Whom a report is about: those enrolled on these days, of the workspace's clock."""

    first_day: Day | None = Field(default=None, examples=["2026-11-01"])
    """Left out: from the beginning."""
    last_day: Day | None = Field(default=None, examples=["2026-11-30"])
    """This day too; left out: until now."""


class Tally(Schema):
    """Numbers of enrollments.

    `GET /api/sequences/{id}/contacts` lists those behind each number of a sequence, with
    `enrolled_from`, `enrolled_until` and the `outcome` of the same name. Rates are 0 to 1, and null
    if there is nothing to divide by.
    """

    people: int = Field(description="All of them; of a step, those that its text was tried for.")
    due: int = Field(description="Active, and a text is to come; of a step, this one.")
    sent: int = Field(description="Any step was sent; of a step, this one.")
    delivered: int
    failed: int = Field(description="Ended, and a text had failed for good.")
    replied: int = Field(description="Replied; of a step, when it was the last one sent.")
    opted_out: int
    skipped: int = Field(description="Had a step skipped because its time was past.")
    replied_late: int = Field(description="Replied after they ended without a response.")
    omitted_opted_out: int = Field(description="Had opted out before any text; see the status.")
    delivery_rate: float | None = Field(description="Of those sent a text.")
    failure_rate: float | None = Field(description="Of all.")
    reply_rate: float | None = Field(description="Of those sent a text.")
    opt_out_rate: float | None = Field(description="Of those sent a text.")
    median_reply_seconds: float | None = Field(description="From the last step to the first reply.")
    p90_reply_seconds: float | None = Field(description="Nine of ten replies took at most this.")
    answered: int | None = Field(
        description="A user answered their first reply; null of days, senders and users, as are"
        " the times."
    )
    median_answer_seconds: float | None = Field(description="From the first reply to that answer.")
    p90_answer_seconds: float | None = Field(description="Nine of ten answers took at most this.")


class Failure(Schema):
    """How many texts of a step failed for a reason."""

    code: int = Field(description="The provider's, 0 if it gave none; see `outcome_code`.")
    meaning: str
    count: int


class StepTally(Tally):
    """What came of a step."""

    step: int = Field(description="From 1; 0 for what followed one-off texts alone.")
    body: str | None = Field(description="Of the current version; null if that has fewer steps.")
    failures: list[Failure]


class TrendTally(Tally):
    """What came of those enrolled in a part of the range."""

    first_day: date
    last_day: date


class NamedTally(Tally):
    """What came of those of a sequence, a sender or a user."""

    id: UUID
    name: str


class Answers(Schema):
    """The first replies that a user was the first to answer; see `answered_by`."""

    id: UUID
    name: str
    answered: int
    median_answer_seconds: float | None
    p90_answer_seconds: float | None


class Report(Schema):
    """What came of those enrolled in a range of days."""

    first_day: date | None
    last_day: date | None
    time_zone: str = Field(description="Of the days and hours: the workspace's.")
    total: Tally
    unit: TrendUnit = Field(description="Of `trend`.")
    trend: list[TrendTally] = Field(description="Oldest first, without gaps.")
    reply_hours: list[list[int]] = Field(
        description="First replies by weekday, from Monday, and by hour; see `replied_hour`."
    )
    senders: list[NamedTally] = Field(description="By the senders that a step was tried from.")
    users: list[NamedTally] = Field(description="By who enrolled them.")
    answers: list[Answers] = Field(description="By who first answered a reply, most first.")


class SequenceReport(Report):
    """The report of one sequence."""

    name: str
    steps: list[StepTally]


class WorkspaceReport(Report):
    """The report of all sequences."""

    sequences: list[NamedTally] = Field(description="Those with anybody in it, most people first.")
