"""The queries behind a sequence's Contacts tab."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Integer,
    Select,
    Uuid,
    bindparam,
    case,
    column,
    func,
    literal,
    select,
    table,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col

from domain.contacts.fields import Value
from domain.contacts.names import ContactName, full_name
from domain.enrollments.faults import Fault
from domain.platform.names import Named
from domain.platform.paging import Position
from domain.statuses.enrollments import (
    STATUS_WORDS,
    EnrollmentPhase,
    EnrollmentStatus,
    HeldReason,
    PauseReason,
)
from domain.statuses.sequences import SequenceState
from storage.enrollments import enrollment_counts, step_outcomes
from storage.enrollments.enrollment_counts import Cell, counted
from storage.enrollments.list_filter import (
    ListFilter,
    chosen,
    known,
    matching,
    narrowed,
)
from storage.enrollments.list_order import (
    Half,
    Order,
    beside,
    found_by_contact,
    found_by_search,
    in_order,
    select_all,
    walk,
    walk_half,
)
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment
from storage.tables.sequences import Sequence

CONTACT_COLUMNS = {
    name: getattr(Contact, name) for name in ("first_name", "last_name", "phone", "time_zone")
}
"""What ``EnrollmentOfContact`` takes from the contact's row."""

PAUSED_REASON = case(
    (
        col(Enrollment.paused_at).is_not(None),
        func.coalesce(col(Enrollment.paused_reason), PauseReason.BY_HAND),
    ),
    else_=None,
)
"""Why an enrollment alone is paused, if it is."""

MISSING_FIELDS = case(
    (col(Enrollment.held_reason) == HeldReason.MISSING_DATA, col(Enrollment.missing_fields)),
    else_=literal([], JSONB()),
)
"""The names whose lack holds an enrollment; none if something else does."""

COUNTED = 10_000
"""Up to this many enrollments that match a filter are counted exactly."""

COUNTED_BY_FIELD = 1_000
"""The same for values of fields: each row that is walked is looked up among the contacts."""

_WALKED = COUNTED + 1
"""So many rows are walked for a page before all that match are selected: some 2 ms."""

_LOOKED_UP = 4_000
"""The same where each row is looked up in another table."""

_WALKED_FOR_COUNT = 100_000
"""So many rows are walked for a count, some 20 ms, rather than that many matches fetched."""

_PROBED = 500
"""So many rows tell how much of a sequence is in a group, or has a value of a field."""

_MOST_CELLS = 64
"""So many cells are read side by side at most; more would read more than a walk does."""


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
    replied_late_at: datetime | None

    @property
    def enrolled_by(self) -> Named:
        """Who enrolled the contact."""
        return Named(self.enrolled_by_id, self.enrolled_by_name)


@dataclass(frozen=True, kw_only=True)
class EnrollmentOfContact(EnrollmentRow):
    """An enrollment with its contact, and what went wrong.

    ``missing_fields`` are the names whose lack holds it, ``failing_code`` is as
    ``storage.enrollments.step_outcomes.failing_code`` says.
    """

    contact_id: UUID
    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    held_reason: HeldReason | None
    held_code: int | None
    missing_fields: tuple[str, ...]
    paused_reason: PauseReason | None
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
    """One line of the list.

    Attributes:
        sort_key: Places it.
        matching: How many match in all, if reading them told.
        fields: The contact's values of fields, if they were asked for.
    """

    sort_key: str | datetime | None
    matching: int | None = None
    fields: Mapping[str, Value] = field(default_factory=dict)

    @property
    def enrollment_id(self) -> UUID:
        """The id, under the name that the list has for it."""
        return self.id


@dataclass(frozen=True)
class Count:
    """A number of enrollments; if it is not exact, there are more."""

    number: int
    is_exact: bool


@dataclass(frozen=True)
class Outlook:
    """Counts of the enrollments that match a filter.

    Attributes:
        people: All of them.
        contacts: Their distinct contacts.
        paused: Active ones that a person has paused.
        unknown: Held ones whose last text may have been sent; see ``outcome_unknown``.
        missing: Held ones whose next text says what nobody has filled in.
        texts: Texts of the active ones' steps that have not been sent yet.
    """

    people: int
    contacts: int
    active: int
    paused: int
    held: int
    unknown: int
    missing: int
    texts: int


async def state_of(tx: Transaction, sequence_id: UUID) -> SequenceState | None:
    """Read a sequence's state; None if there is no such sequence."""
    row = await tx.execute(select(col(Sequence.state)).where(col(Sequence.id) == sequence_id))
    return row.scalar_one_or_none()


_CELLS = enrollment_counts.of_sequence().subquery()
_SUMMARY = (
    select(col(Sequence.state), _CELLS)
    .outerjoin(_CELLS, true())
    .where(col(Sequence.id) == bindparam("sequence_id"))
)


async def summary(tx: Transaction, sequence_id: UUID) -> tuple[SequenceState, list[Cell]] | None:
    """Read a sequence's state and how many enrollments it has; None if there is none."""
    found = (await tx.run(_SUMMARY, sequence_id=sequence_id)).all()
    if not found:
        return None
    return found[0][0], [Cell(*row[1:]) for row in found if row.status is not None]


def known_count(cells: Many[Cell], wanted: ListFilter) -> Count | None:
    """Count what statuses, steps and holds alone narrow down; None for any other filter."""
    fits = known(cells, wanted)
    return None if fits is None else Count(fits, is_exact=True)


@dataclass(frozen=True)
class FoundRows:
    """A page's rows; ``matching`` is how many match in all, if reading them told."""

    rows: list[ListedRow]
    matching: Count | None = None


async def page(
    tx: Transaction,
    sequence_id: UUID,
    wanted: ListFilter,
    cells: Many[Cell] | None = None,
    *,
    sort: str,
    after: Position | None,
    limit: int,
    fields: bool = False,
) -> FoundRows:
    """List enrollments of a sequence; those without a value to sort by come last either way.

    ``sort`` is ``name``, ``enrolled_at``, ``next_send_at`` or ``last_message_at``, descending with
    ``-`` before it. ``cells`` are the sequence's, if the caller has read them. With ``fields``, the
    rows have the contacts' values of fields.
    """
    if cells is None:
        cells = await enrollment_counts.cells(tx, sequence_id)
    order = Order(sequence_id, sort.removeprefix("-"), sort.startswith("-"), after)
    total, fits = counted(cells), known(cells, wanted)
    if fits is not None:
        some = narrowed(cells, wanted)
        if not fits:
            return FoundRows([])
        if some is cells:
            # Its own rows fill the page; the planner might sort all for a longer walk.
            return await _read(tx, walk(order, wanted, limit, limit, limit), order, fields=fields)
        places = {(cell.status, cell.step) for cell in some}
        if order.name == "enrolled_at" and not wanted.held and len(places) <= _MOST_CELLS:
            return await _read(tx, beside(order, places, limit), order, fields=fields)
        # Walking reads limit * total / fits rows, selecting all that fit.
        is_rare = fits * fits <= limit * total
        window = 0 if is_rare else 4 * limit * total // fits
    else:
        looks_up = (
            *(wanted.group, wanted.fields, wanted.enrolled_by, wanted.outcome, wanted.sender),
            *(wanted.enrolled_from, wanted.enrolled_until, wanted.replied_zone),
            *(wanted.waiting_for_step, wanted.answered, wanted.answered_by, order.may_be_empty),
        )
        # Each has an index of its own.
        window = (
            0
            if wanted.enrollment or wanted.replied_late or wanted.held_reason
            else max(_LOOKED_UP if any(looks_up) else _WALKED, 20 * limit)
        )
    # What a short walk shows to be rare is not looked for in a long one.
    short = window if fits is not None else min(window, 20 * limit)
    for most in dict.fromkeys((short, window)) if window else ():
        found = await _read(tx, walk(order, wanted, most, limit, total), order, fields=fields)
        if len(found.rows) >= limit or total <= most:
            return found
        if len(found.rows) * window < limit * most:
            break
    by_contact = fits is None and await _is_by_contact(tx, wanted, total)
    every = select_all(order, wanted, limit, by_contact=by_contact)
    return await _read(tx, every, order, is_counted=True, fields=fields)


def ids_matching(sequence_id: UUID, wanted: ListFilter) -> Select[UUID]:
    """Select the ids of all enrollments that match a filter, the latest first."""
    row_id = col(Enrollment.id)
    return paged(
        matching(select(row_id).select_from(Enrollment), sequence_id, wanted),
        col(Enrollment.enrolled_at),
        row_id,
        None,
        down=True,
    )


async def count(
    tx: Transaction, sequence_id: UUID, wanted: ListFilter, cells: Many[Cell] | None = None
) -> Count:
    """Count the enrollments that match a filter, exactly up to ``COUNTED`` (``COUNTED_BY_FIELD``).

    What statuses, steps and holds narrow down alone is always counted exactly.
    """
    if cells is None:
        cells = await enrollment_counts.cells(tx, sequence_id)
    if (exactly := known_count(cells, wanted)) is not None:
        return exactly
    found = await _tally(tx, sequence_id, wanted, counted(cells))
    return _up_to(_most(wanted), _size(found))


async def by_status(
    tx: Transaction, sequence_id: UUID, wanted: ListFilter, cells: Many[Cell]
) -> dict[EnrollmentStatus, Count]:
    """Count what matches a filter by status, all eight, whichever of them it names.

    As ``count`` counts: of more than that in all, each number is of those that were counted.
    """
    others = replace(wanted, status=())
    if known(cells, others) is not None:
        some = enrollment_counts.by_status(narrowed(cells, others))
        return {status: Count(size, is_exact=True) for status, size in some.items()}
    found = await _tally(tx, sequence_id, others, counted(cells))
    most = _most(wanted)
    is_exact = _size(found) <= most
    return {status: Count(min(found.get(status, 0), most), is_exact) for status in EnrollmentStatus}


def count_in(counts: Mapping[EnrollmentStatus, Count], wanted: ListFilter) -> Count | None:
    """Count what matches a filter by what ``by_status`` counted; None if that does not tell."""
    chosen = [counts[status] for status in wanted.status or EnrollmentStatus]
    if all(one.is_exact for one in chosen):
        return _up_to(_most(wanted), sum(one.number for one in chosen))
    return None if wanted.status else Count(_most(wanted), is_exact=False)


def _up_to(most: int, number: int) -> Count:
    return Count(min(number, most), is_exact=number <= most)


async def outlook(tx: Transaction, sequence_id: UUID, wanted: ListFilter) -> Outlook:
    """Count the enrollments that match a filter by what they are doing, all of them."""
    active = col(Enrollment.status) == EnrollmentStatus.ACTIVE
    held = col(Enrollment.activity) == EnrollmentPhase.HELD
    to_come = col(Enrollment.step_count) - col(Enrollment.position) + 1
    query: Select[*tuple[Any, ...]] = select(
        func.count(),
        func.count(col(Enrollment.contact_id).distinct()),
        func.count().filter(active),
        func.count().filter(col(Enrollment.paused_at).is_not(None)),
        func.count().filter(held),
        func.count().filter(held, col(Enrollment.held_reason) == HeldReason.OUTCOME_UNKNOWN),
        func.count().filter(held, col(Enrollment.held_reason) == HeldReason.MISSING_DATA),
        func.coalesce(func.sum(to_come).filter(active), 0),
    ).select_from(Enrollment)
    return Outlook(*(await tx.execute(matching(query, sequence_id, wanted))).one())


async def _read(
    tx: Transaction,
    picked: Select[*tuple[Any, ...]],
    order: Order,
    *,
    is_counted: bool = False,
    fields: bool,
) -> FoundRows:
    """Read what the list shows of the enrollments that were picked, in their order."""
    # Its own query, or what is looked up for each row might be for rows that are not on the page.
    row = picked.cte("picked").prefix_with("MATERIALIZED")
    query = _shown(order.may_be_empty, order.down, is_counted, fields).add_cte(row)
    found = await tx.rows(ListedRow, query)
    matching = found[0].matching if found else None
    return FoundRows(found, None if matching is None else _up_to(COUNTED, matching))


def row_columns() -> dict[str, Any]:
    """Build what ``EnrollmentOfContact`` has besides the enrollment's own columns."""
    return {
        **CONTACT_COLUMNS,
        "enrolled_by_id": col(Enrollment.enrolled_by),
        "enrolled_by_name": col(User.name),
        "paused_reason": PAUSED_REASON,
        "missing_fields": MISSING_FIELDS,
        "failing_code": step_outcomes.failing_code(),
    }


@cache
def _shown(
    may_be_empty: bool,  # noqa: FBT001 - by place, as the cache has them
    down: bool,  # noqa: FBT001
    is_counted: bool,  # noqa: FBT001
    fields: bool,  # noqa: FBT001
) -> Select[*tuple[Any, ...]]:
    """Select what the list shows of ``picked``; building it takes longer than PostgreSQL does."""
    counts = [column("matching", Integer)] if is_counted else []
    row = table("picked", column("id", Uuid), column("sort_key"), *counts)
    query: Select[*tuple[Any, ...]] = (
        select(
            *columns_of(
                ListedRow,
                Enrollment,
                **row_columns(),
                sort_key=row.c.sort_key,
                **{one.name: row.c[one.name] for one in counts},
                **({"fields": col(Contact.fields)} if fields else {}),
            )
        )
        .select_from(row)
        .join(Enrollment, col(Enrollment.id) == row.c.id)
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .join(User, col(User.id) == col(Enrollment.enrolled_by))
    )
    return in_order(query, row, may_be_empty=may_be_empty, down=down)


# A count

_Tally = Mapping[EnrollmentStatus, int]
"""Numbers of enrollments by status; zeros are left out."""


def _most(wanted: ListFilter) -> int:
    return COUNTED_BY_FIELD if wanted.fields else COUNTED


def _size(tally: _Tally) -> int:
    return sum(tally.values())


async def _tally(tx: Transaction, sequence_id: UUID, wanted: ListFilter, total: int) -> _Tally:
    """Count what matches up to one more than the most, in the way that reads least."""
    if wanted.search and not wanted.enrollment:
        return await _count_search(tx, sequence_id, wanted, total)
    if (wanted.group or wanted.fields) and not wanted.enrollment:
        return await _count_contacts(tx, sequence_id, wanted, total, _most(wanted))
    row_id = col(Enrollment.id)
    return await _bounded(
        tx, matching(select(row_id).select_from(Enrollment), sequence_id, wanted), COUNTED
    )


async def _bounded(tx: Transaction, query: Select[*tuple[Any, ...]], most: int) -> _Tally:
    """Count rows with an ``id`` up to one more than ``most``."""
    some = query.limit(most + 1).subquery()
    own = select(col(Enrollment.status)).where(col(Enrollment.id) == some.c.id)
    # Looked up for each: a join might read all enrollments.
    found = select(own.scalar_subquery().label("status")).select_from(some).subquery()
    rows = await tx.execute(select(found.c.status, func.count()).group_by(found.c.status))
    return {EnrollmentStatus(status): size for status, size in rows}


async def _count_search(
    tx: Transaction, sequence_id: UUID, wanted: ListFilter, total: int
) -> _Tally:
    """Count by walking where that is soon enough, else by the trigrams of the search."""

    def walked(window: int) -> Select[*tuple[Any, ...]]:
        return walk_half(order, wanted, Half.ALL, window, COUNTED + 1)

    order = Order(sequence_id, "enrolled_at", down=True, after=None)
    found = await _bounded(tx, walked(_WALKED), COUNTED)
    size = _size(found)
    if size > COUNTED or total <= _WALKED:
        return found
    # A walk reads _WALKED * COUNTED / size rows until it has counted enough.
    if total <= _WALKED_FOR_COUNT or size * _WALKED_FOR_COUNT > COUNTED * _WALKED:
        found = await _bounded(tx, walked(_WALKED_FOR_COUNT), COUNTED)
        if _size(found) > COUNTED or total <= _WALKED_FOR_COUNT:
            return found
    return await _bounded(tx, found_by_search(order, wanted), COUNTED)


async def _count_contacts(
    tx: Transaction, sequence_id: UUID, wanted: ListFilter, total: int, most: int
) -> _Tally:
    """Count from the smaller side: the sequence's enrollments, or the contacts that are wanted.

    Those are a group's members, or the contacts with the values of fields.
    """
    order = Order(sequence_id, "enrolled_at", down=True, after=None)
    found = await _bounded(tx, walk_half(order, wanted, Half.ALL, _PROBED, most + 1), most)
    if total <= _PROBED:
        return found
    if _size(found) * 5 < _PROBED and await _is_by_contact(tx, wanted, total):
        return await _bounded(tx, found_by_contact(order, wanted), most)
    return await _bounded(tx, walk_half(order, wanted, Half.ALL, total, most + 1), most)


async def _is_by_contact(tx: Transaction, wanted: ListFilter, total: int) -> bool:
    """Whether fewer contacts have what a filter asks of them than a sequence has enrollments."""
    if wanted.search or wanted.enrollment or not (wanted.group or wanted.fields):
        return False
    most = min(total, _WALKED_FOR_COUNT)
    contacts, _ = chosen(wanted)
    found = await tx.execute(select(func.count()).select_from(contacts.limit(most).subquery()))
    return found.scalar_one() < most
