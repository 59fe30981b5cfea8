"""The queries behind a sequence's Contacts tab."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, SQLColumnExpression, Uuid, any_, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from domain.contacts.names import ContactName, full_name
from domain.enrollments.faults import Fault
from domain.platform.names import Named
from domain.platform.paging import Position
from domain.statuses.enrollments import (
    STATUS_WORDS,
    EnrollmentPhase,
    EnrollmentStatus,
    HeldReason,
    StepOutcome,
)
from domain.statuses.sequences import SequenceState
from storage.contacts.contacts import matches
from storage.enrollments import step_outcomes
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact, GroupMember
from storage.tables.enrollments import Enrollment
from storage.tables.sequences import Sequence

_SORTED_BY: Mapping[str, SQLColumnExpression[Any]] = {
    "name": col(Contact.search_name),
    "enrolled_at": col(Enrollment.enrolled_at),
    "next_send_at": col(Enrollment.next_send_at),
    "last_message_at": col(Enrollment.last_message_at),
}
CONTACT_COLUMNS = {
    name: getattr(Contact, name) for name in ("first_name", "last_name", "phone", "time_zone")
}
"""What ``EnrollmentOfContact`` takes from the contact's row."""

_MAY_BE_NULL = frozenset({"next_send_at", "last_message_at"})

_FEW = 2000
"""Up to this many contacts, looking each of them up is faster than scanning 100,000 enrollments."""


@dataclass(frozen=True)
class ListFilter:
    """Which enrollments of a sequence to list; an empty filter matches all of them.

    Attributes:
        step: The step last sent is any of these.
        held: Only held ones.
        search: Part of "first last", or phone digits; see ``storage.contacts.contacts.matches``.
        outcome: What became of the step ``outcome_step``, as the funnel counts it; both or neither.
        outcome_step: From 1; 0 for replies and opt-outs that follow one-off texts alone.
    """

    step: Many[int] = ()
    enrolled_by: Many[UUID] = ()
    status: Many[EnrollmentStatus] = ()
    held: bool = False
    group: Many[UUID] = ()
    search: str = ""
    enrollment: Many[UUID] = ()
    outcome: StepOutcome | None = None
    outcome_step: int | None = None


@dataclass(frozen=True, kw_only=True)
class EnrollmentRow:
    """What every list shows of an enrollment."""

    id: UUID
    status: EnrollmentStatus
    activity: EnrollmentPhase | None
    step: int
    step_count: int
    enrolled_by_id: UUID
    enrolled_by_name: str
    enrolled_at: datetime
    next_send_at: datetime | None

    @property
    def enrolled_by(self) -> Named:
        """Who enrolled the contact."""
        return Named(self.enrolled_by_id, self.enrolled_by_name)


@dataclass(frozen=True, kw_only=True)
class EnrollmentOfContact(EnrollmentRow):
    """An enrollment with its contact, and what went wrong.

    ``failing_code``: see ``storage.enrollments.step_outcomes.failing_code``.
    """

    contact_id: UUID
    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    held_reason: HeldReason | None
    held_code: int | None
    error_code: int | None
    last_message_at: datetime | None
    failing_code: int | None = None

    @property
    def contact(self) -> ContactName:
        """The contact in short."""
        return ContactName(self.contact_id, full_name(self.first_name, self.last_name), self.phone)

    @property
    def status_label(self) -> str:
        """The status as people read it."""
        return STATUS_WORDS[self.status].label

    @property
    def error(self) -> Fault | None:
        """Why it failed or is held, or why its text was not delivered and is tried again."""
        if self.failing_code is not None and self.held_reason is None:
            return Fault.of(self.failing_code or None, failed=True)
        code = self.error_code if self.error_code is not None else self.held_code
        return Fault.of(code, failed=self.status is EnrollmentStatus.FAILED)


@dataclass(frozen=True, kw_only=True)
class ListedRow(EnrollmentOfContact):
    """One line of the list; ``sort_key`` places it."""

    sort_key: str | datetime | None

    @property
    def enrollment_id(self) -> UUID:
        """The id, under the name that the list has for it."""
        return self.id


@dataclass(frozen=True)
class Outlook:
    """Counts of the enrollments that match a filter.

    Attributes:
        people: All of them.
        contacts: Their distinct contacts.
        paused: Active ones that a person has paused.
        unknown: Held ones whose last text may have been sent; see ``outcome_unknown``.
        texts: Texts of the active ones' steps that have not been sent yet.
    """

    people: int
    contacts: int
    active: int
    paused: int
    held: int
    unknown: int
    texts: int


async def state_of(tx: Transaction, sequence_id: UUID) -> SequenceState | None:
    """Read a sequence's state; None if there is no such sequence."""
    row = await tx.execute(select(col(Sequence.state)).where(col(Sequence.id) == sequence_id))
    return row.scalar_one_or_none()


async def page(
    tx: Transaction,
    sequence_id: UUID,
    wanted: ListFilter,
    *,
    sort: str,
    after: Position | None,
    limit: int,
) -> list[ListedRow]:
    """List enrollments of a sequence; those without a value to sort by come last either way.

    ``sort`` is ``name``, ``enrolled_at``, ``next_send_at`` or ``last_message_at``, descending with
    ``-`` before it.
    """
    name, down = sort.removeprefix("-"), sort.startswith("-")
    key, row_id = _SORTED_BY[name], col(Enrollment.id)
    query = _filtered(sequence_id, wanted, key, await _few_found(tx, wanted)).limit(limit)
    if name not in _MAY_BE_NULL:
        return await _read(tx, paged(query, key, row_id, after, down=down))
    # Each half walks the index in its own direction, which one ORDER BY with NULLS LAST cannot.
    empty = paged(query.where(key.is_(None)), key, row_id, None, down=down)
    if after is not None and after.value is None:
        return await _read(tx, empty.where(row_id < after.id if down else row_id > after.id))
    valued = paged(query.where(key.is_not(None)), key, row_id, after, down=down)
    both = union_all(valued, empty).subquery()
    merged = select(both).order_by(both.c.sort_key.is_(None)).limit(limit)
    return await _read(tx, paged(merged, both.c.sort_key, both.c.id, None, down=down))


def ids_matching(sequence_id: UUID, wanted: ListFilter) -> Select[UUID]:
    """Select the ids of all enrollments that match a filter, the latest first."""
    key = col(Enrollment.enrolled_at)
    found = paged(_filtered(sequence_id, wanted, key), key, col(Enrollment.id), None, down=True)
    return found.with_only_columns(col(Enrollment.id))


async def count(tx: Transaction, sequence_id: UUID, wanted: ListFilter) -> int:
    """Count the enrollments that match a filter."""
    few = await _few_found(tx, wanted)
    query: Select[*tuple[Any, ...]] = select(func.count()).select_from(Enrollment)
    if wanted.search and few is None:
        query = query.join(Contact, col(Contact.id) == col(Enrollment.contact_id))
    found = await tx.execute(_narrowed(query, sequence_id, wanted, few))
    return int(found.scalar_one())


async def outlook(tx: Transaction, sequence_id: UUID, wanted: ListFilter) -> Outlook:
    """Count the enrollments that match a filter by what they are doing."""
    active = col(Enrollment.status) == EnrollmentStatus.ACTIVE
    held = col(Enrollment.activity) == EnrollmentPhase.HELD
    to_come = col(Enrollment.step_count) - col(Enrollment.position) + 1
    few = await _few_found(tx, wanted)
    counted = _filtered(sequence_id, wanted, col(Enrollment.id), few).with_only_columns(
        func.count(),
        func.count(col(Enrollment.contact_id).distinct()),
        func.count().filter(active),
        func.count().filter(col(Enrollment.paused_at).is_not(None)),
        func.count().filter(held),
        func.count().filter(held, col(Enrollment.held_reason) == HeldReason.OUTCOME_UNKNOWN),
        func.coalesce(func.sum(to_come).filter(active), 0),
    )
    return Outlook(*(await tx.execute(counted)).one())


async def _few_found(tx: Transaction, wanted: ListFilter) -> Many[UUID] | None:
    """Find the contacts that match a search; None without a search, or if they are too many."""
    if not wanted.search:
        return None
    query = select(col(Contact.id)).where(matches(wanted.search)).limit(_FEW + 1)
    found = (await tx.scalars(query)).all()
    return found if len(found) <= _FEW else None


def _filtered(
    sequence_id: UUID,
    wanted: ListFilter,
    key: SQLColumnExpression[Any],
    few: Many[UUID] | None = None,
) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = (
        select(
            *columns_of(
                ListedRow,
                Enrollment,
                **CONTACT_COLUMNS,
                enrolled_by_id=col(Enrollment.enrolled_by),
                enrolled_by_name=col(User.name),
                sort_key=key,
            )
        )
        .select_from(Enrollment)
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .join(User, col(User.id) == col(Enrollment.enrolled_by))
    )
    return _narrowed(query, sequence_id, wanted, few)


def _narrowed(
    query: Select[*tuple[Any, ...]], sequence_id: UUID, wanted: ListFilter, few: Many[UUID] | None
) -> Select[*tuple[Any, ...]]:
    """Narrow a query over enrollments to those that match a filter.

    Without ``few``, the contacts that a search found, the query must join the contacts.
    """
    query = query.where(col(Enrollment.sequence_id) == sequence_id)
    if wanted.step:
        query = query.where(col(Enrollment.step).in_(wanted.step))
    if wanted.enrolled_by:
        query = query.where(col(Enrollment.enrolled_by).in_(wanted.enrolled_by))
    if wanted.status:
        query = query.where(col(Enrollment.status).in_(wanted.status))
    if wanted.held:
        query = query.where(col(Enrollment.activity) == EnrollmentPhase.HELD)
    if wanted.group:
        members = select(col(GroupMember.contact_id)).where(
            col(GroupMember.group_id).in_(wanted.group)
        )
        query = query.where(col(Enrollment.contact_id).in_(members))
    if few is not None:
        # One array: a parameter for each id would prepare a new statement for every count.
        query = query.where(col(Enrollment.contact_id) == any_(literal([*few], ARRAY(Uuid()))))
    elif wanted.search:
        query = query.where(matches(wanted.search))
    if wanted.enrollment:
        query = query.where(col(Enrollment.id).in_(wanted.enrollment))
    if wanted.outcome is not None and wanted.outcome_step is not None:
        query = query.where(step_outcomes.is_so(wanted.outcome, wanted.outcome_step))
    return query


async def _read(tx: Transaction, query: Select[*tuple[Any, ...]]) -> list[ListedRow]:
    rows = (await tx.execute(query)).mappings().all()
    active = [row["id"] for row in rows if not row["status"].is_final]
    # A second query, for the page's rows only: as a column it may be computed for all of them.
    failing = await _failing(tx, active) if active else {}
    return [ListedRow(**row, failing_code=failing.get(row["id"])) for row in rows]


async def _failing(tx: Transaction, enrollment_ids: Many[UUID]) -> Mapping[UUID, int | None]:
    listed = any_(literal([*enrollment_ids], ARRAY(Uuid())))
    query = select(col(Enrollment.id), step_outcomes.failing_code())
    return dict((await tx.execute(query.where(col(Enrollment.id) == listed))).all())
