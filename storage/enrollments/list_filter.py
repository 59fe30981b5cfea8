"""The filter of a sequence's Contacts tab, and the conditions it stands for."""

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    TextClause,
    and_,
    cast,
    func,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text
from sqlmodel import col

from domain.statuses.enrollments import (
    EnrollmentPhase,
    EnrollmentStatus,
    HeldReason,
    StepOutcome,
    WaitReason,
)
from storage.contacts.contacts import has_values, matches
from storage.enrollments import step_outcomes
from storage.enrollments.enrollment_counts import Cell, counted
from storage.tables.contacts import Contact, GroupMember
from storage.tables.enrollments import Enrollment, EnrollmentSearch
from storage.tables.messaging import Attempt, Message

_REPLIED_IN = step_outcomes.HOUR_OF_WEEK.format(zone=":replied_zone")

_WAITS_FOR = func.string_to_array(col(Enrollment.waits_for), " ")

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@dataclass(frozen=True)
class ListFilter:
    """Which enrollments of a sequence to list; an empty filter matches all of them.

    Attributes:
        step: The step last sent is any of these.
        waiting_for_step: Active, and the step to be sent next is any of these.
        held: Only held ones.
        held_reason: Only those held for any of these.
        reason: Only those that wait, and whose next text any of these postponed.
        replied_late: Only those whose contact replied after they ended without a response.
        search: Part of "first last", or phone digits; see ``storage.contacts.contacts.matches``.
        outcome: What became of the step ``outcome_step``, or of any step, as reports count it.
        outcome_step: From 1; 0 for replies and opt-outs that follow one-off texts alone.
        outcome_code: With the outcome ``failed``: the provider's code, 0 for none.
        enrolled_from: Enrolled at this moment or later.
        enrolled_until: Enrolled before this moment.
        sender: A step's text was tried from any of these.
        replied_hour: The first reply came in this hour of the week, from 0, Monday's first, on the
            clock of ``replied_zone``; both or neither.
        answered: A person answered the first reply.
        answered_by: Any of these did.
        fields: Values of contacts by the keys of fields; any of the values, all of the fields.
    """

    step: Many[int] = ()
    waiting_for_step: Many[int] = ()
    enrolled_by: Many[UUID] = ()
    status: Many[EnrollmentStatus] = ()
    held: bool = False
    held_reason: Many[HeldReason] = ()
    reason: Many[WaitReason] = ()
    group: Many[UUID] = ()
    search: str = ""
    enrollment: Many[UUID] = ()
    outcome: StepOutcome | None = None
    outcome_step: int | None = None
    outcome_code: int | None = None
    enrolled_from: datetime | None = None
    enrolled_until: datetime | None = None
    sender: Many[UUID] = ()
    replied_hour: int | None = None
    replied_zone: str = ""
    replied_late: bool = False
    answered: bool = False
    answered_by: Many[UUID] = ()
    fields: Mapping[str, Many[Any]] = field(default_factory=dict)


def narrowed(cells: Many[Cell], wanted: ListFilter) -> Many[Cell]:
    """Return the cells that a filter's statuses, steps and hold leave, all if none."""
    if not (wanted.status or wanted.step or wanted.held):
        return cells
    return [
        cell
        for cell in cells
        if (not wanted.status or cell.status in wanted.status)
        and (not wanted.step or cell.step in wanted.step)
        and (not wanted.held or cell.held)
    ]


def known(cells: Many[Cell], wanted: ListFilter) -> int | None:
    """Count what matches a filter of statuses, steps and holds alone; None for any other."""
    more = (
        *(wanted.enrolled_by, wanted.group, wanted.search, wanted.enrollment, wanted.outcome),
        *(wanted.replied_late, wanted.held_reason, wanted.reason, wanted.fields, wanted.sender),
        *(wanted.enrolled_from, wanted.enrolled_until, wanted.replied_zone),
        *(wanted.waiting_for_step, wanted.answered, wanted.answered_by),
    )
    return None if any(more) else counted(narrowed(cells, wanted))


def of_row(wanted: ListFilter) -> list[ColumnElement[bool] | TextClause]:
    """List the conditions on the enrollment's own row."""
    found: list[ColumnElement[bool] | TextClause] = []
    if wanted.step:
        found.append(col(Enrollment.step).in_(wanted.step))
    if wanted.waiting_for_step:
        found.append(col(Enrollment.status) == EnrollmentStatus.ACTIVE)
        found.append(col(Enrollment.position).in_(wanted.waiting_for_step))
        found.append(col(Enrollment.position) <= col(Enrollment.step_count))
    if wanted.enrolled_by:
        found.append(col(Enrollment.enrolled_by).in_(wanted.enrolled_by))
    if wanted.status:
        found.append(col(Enrollment.status).in_(wanted.status))
    if wanted.held:
        found.append(col(Enrollment.activity) == EnrollmentPhase.HELD)
    if wanted.held_reason:
        why = col(Enrollment.held_reason).in_(wanted.held_reason)
        found.append(and_(col(Enrollment.blocked), why))
    if wanted.reason:
        found.append(col(Enrollment.activity) == EnrollmentPhase.WAITING)
        found.append(col(Enrollment.waits_for) != "")
        found.append(cast(_WAITS_FOR, ARRAY(Text)).overlap(list(wanted.reason)))
    if wanted.replied_late:
        found.append(col(Enrollment.replied_late_at).is_not(None))
    if wanted.enrollment:
        found.append(col(Enrollment.id).in_(wanted.enrollment))
    return [*found, *_of_report(wanted)]


def _of_report(wanted: ListFilter) -> Iterator[ColumnElement[bool] | TextClause]:
    """List the conditions that the numbers of reports lead to."""
    if wanted.enrolled_from is not None:
        yield col(Enrollment.enrolled_at) >= wanted.enrolled_from
    if wanted.enrolled_until is not None:
        yield col(Enrollment.enrolled_at) < wanted.enrolled_until
    if wanted.sender:
        tried = select(true()).where(
            col(Message.enrollment_id) == col(Enrollment.id),
            col(Message.step).is_not(None),
            col(Message.sender_id).in_(wanted.sender),
            col(Attempt.message_id) == col(Message.id),
        )
        yield tried.exists()
    if wanted.replied_hour is not None:
        given = {"replied_hour": wanted.replied_hour, "replied_zone": wanted.replied_zone}
        yield text(f"{_REPLIED_IN} = :replied_hour").bindparams(**given)
    if wanted.answered or wanted.answered_by:
        yield step_outcomes.answered(wanted.answered_by)
    if wanted.outcome is not None:
        yield step_outcomes.is_so(wanted.outcome, wanted.outcome_step, wanted.outcome_code)


def members(wanted: ListFilter) -> Select[UUID]:
    """Select the contacts in any of a filter's groups; one in several comes several times."""
    return select(col(GroupMember.contact_id)).where(col(GroupMember.group_id).in_(wanted.group))


def with_values(wanted: ListFilter) -> Select[UUID]:
    """Select the contacts who have a filter's values of fields."""
    return select(col(Contact.id).label("contact_id")).where(has_values(wanted.fields))


def chosen(wanted: ListFilter) -> tuple[Select[UUID], ListFilter]:
    """Select the contacts of a filter's groups, or with its values, once; return what else it asks.

    It asks for one of these at least.
    """
    if wanted.group:
        found = members(wanted)
        return found if len(wanted.group) == 1 else found.distinct(), replace(wanted, group=())
    return with_values(wanted), replace(wanted, fields={})


def searched(wanted: ListFilter) -> ColumnElement[bool]:
    """Build the condition that a row of ``enrollment_search`` matches a filter's search."""
    return matches(wanted.search, col(EnrollmentSearch.search_name), col(EnrollmentSearch.phone))


def matching(query: Query, sequence_id: UUID, wanted: ListFilter) -> Query:
    """Narrow a query over enrollments to those that match a filter, however PostgreSQL likes."""
    query = query.where(col(Enrollment.sequence_id) == sequence_id, *of_row(wanted))
    if wanted.group:
        query = query.where(col(Enrollment.contact_id).in_(members(wanted)))
    if wanted.fields:
        query = query.where(col(Enrollment.contact_id).in_(with_values(wanted)))
    if wanted.search:
        found = select(col(EnrollmentSearch.enrollment_id)).where(
            col(EnrollmentSearch.sequence_id) == sequence_id, searched(wanted)
        )
        query = query.where(col(Enrollment.id).in_(found))
    return query


def met(row: FromClause, wanted: ListFilter) -> Iterator[ColumnElement[bool]]:
    """List the conditions on a walked row, which has ``id``, ``contact_id`` and maybe names."""
    if wanted.search and "search_name" in row.c:
        yield matches(wanted.search, row.c.search_name, row.c.phone)
    elif wanted.search:
        here = col(EnrollmentSearch.enrollment_id) == row.c.id
        yield _looked_up(select(true()).where(here, searched(wanted)))
    own = of_row(wanted)
    if own:
        yield _looked_up(select(true()).where(col(Enrollment.id) == row.c.id, *own))
    if wanted.group:
        member = col(GroupMember.contact_id) == row.c.contact_id
        in_group = col(GroupMember.group_id).in_(wanted.group)
        yield _looked_up(select(true()).where(member, in_group))
    if wanted.fields:
        own_contact = col(Contact.id) == row.c.contact_id
        yield _looked_up(select(true()).where(own_contact, has_values(wanted.fields)))


def _looked_up(query: Select[bool]) -> ColumnElement[bool]:
    """Look something up for each row: EXISTS may become a join, which reads all before any."""
    return query.limit(1).scalar_subquery()
