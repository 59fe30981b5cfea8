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
    Text,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import col

from domain.contacts.fields import Value
from domain.contacts.names import ContactName, full_name
from domain.enrollments.faults import Fault
from domain.platform.names import Named
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
from storage.enrollments.list_counts import (
    LOOKED_UP_FAR,
    Count,
    is_by_contact,
    most_counted,
    split,
    up_to,
)
from storage.enrollments.list_filter import ListFilter, known, matching, narrowed
from storage.enrollments.list_order import (
    WALKED,
    Order,
    beside,
    in_order,
    select_all,
    walk,
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

WAITS_FOR = case(
    (
        col(Enrollment.activity) == EnrollmentPhase.WAITING,
        func.string_to_array(col(Enrollment.waits_for), " "),
    ),
    else_=literal([], ARRAY(Text())),
)
"""What postponed the next text of an enrollment that waits: codes of ``WaitReason``."""

_SHORT, _SHORT_LOOKED_UP = 20, 10
"""So many pages are walked at first; the second where each row is looked up in another table."""

_SURELY = 1.5
"""So many pages a long walk is expected to fill, by the short one, or it is left out."""

_LOOKED_UP = 4_000
"""So many rows are walked then, as ``WALKED``, where each is looked up in another table."""

_LOOK_UPS_OF_A_MATCH = 3
"""So many rows are looked up while one is found by its contact."""

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

    ``missing_fields`` are the names whose lack holds it, ``waits_for`` the codes of what postponed
    its next text (``WaitReason``), ``failing_code`` is as
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
    waits_for: tuple[str, ...]
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
        matching: How many match in all, if reading them told; up to one more than are counted
            exactly.
        sizes: How many of those have each status; see ``list_order.counts``.
        fields: The contact's values of fields, if they were asked for.
    """

    sort_key: str | datetime | None
    matching: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Value] = field(default_factory=dict)

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
        missing: Held ones whose next text says what nobody has filled in.
        unconsented: Held ones who have not agreed to texts.
        texts: Texts of the active ones' steps that have not been sent yet.
    """

    people: int
    contacts: int
    active: int
    paused: int
    held: int
    unknown: int
    missing: int
    unconsented: int
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


@dataclass(frozen=True)
class FoundRows:
    """A page's rows, and what reading them told of all that match the filter.

    Attributes:
        matching: How many there are, if that was told.
        by_status: Likewise, by status.
        share: How much of the list matches at least, if that was told.
    """

    rows: list[ListedRow]
    matching: Count | None = None
    by_status: Mapping[EnrollmentStatus, Count] | None = None
    share: float | None = None


async def page(
    tx: Transaction,
    order: Order,
    wanted: ListFilter,
    cells: Many[Cell] | None = None,
    *,
    limit: int,
    fields: bool = False,
    count: bool = False,
) -> FoundRows:
    """List enrollments of a sequence; those without a value to sort by come last either way.

    ``cells`` are the sequence's, if the caller has read them. With ``fields``, the rows have the
    contacts' values of fields; with ``count``, all that match are counted where they are read
    anyway.
    """
    if cells is None:
        cells = await enrollment_counts.cells(tx, order.sequence_id)
    reading = _Reading(tx, order, wanted, limit, counted(cells), fields, count)
    fits = known(cells, wanted)
    if fits is None:
        return await reading.any_filter()
    return await reading.known_filter(narrowed(cells, wanted), fits)


@dataclass(frozen=True)
class _Reading:
    """Reads a page of a list of ``total`` enrollments."""

    tx: Transaction
    order: Order
    wanted: ListFilter
    limit: int
    total: int
    fields: bool
    count: bool

    async def known_filter(self, some: Many[Cell], fits: int) -> FoundRows:
        """Read it where the cells of what matches, and so their number, are known."""
        order, limit, total = self.order, self.limit, self.total
        if not fits:
            return FoundRows([])
        if fits == total:
            # Its own rows fill the page; the planner might sort all for a longer walk.
            return await self._read(walk(order, self.wanted, limit, limit, limit))
        places = {(cell.status, cell.step) for cell in some}
        if order.name == "enrolled_at" and not self.wanted.held and len(places) <= _MOST_CELLS:
            return await self._read(beside(order, places, limit))
        # Walking reads limit * total / fits rows, selecting all that fit.
        if fits * fits > limit * total:
            found, is_all = await self._walked(4 * limit * total // fits)
            if is_all:
                return found
        return await self._all(by_contact=False)

    async def any_filter(self) -> FoundRows:
        """Read it where only looking tells what matches."""
        wanted, order = self.wanted, self.order
        if wanted.enrollment or wanted.replied_late or wanted.held_reason:
            return await self._all(by_contact=False)  # each has an index of its own
        looks_up = any(
            (
                *(wanted.group, wanted.fields, wanted.enrolled_by, wanted.outcome, wanted.sender),
                *(wanted.enrolled_from, wanted.enrolled_until, wanted.replied_zone),
                *(wanted.waiting_for_step, wanted.answered, wanted.answered_by, order.may_be_empty),
            )
        )
        # What a short walk shows to be rare is not looked for in a long one.
        short = _SHORT_LOOKED_UP * self.limit if looks_up else _SHORT * self.limit
        found, is_all = await self._walked(short)
        share = len(found.rows) / short
        if is_all:
            return replace(found, share=share)
        window = max(_LOOKED_UP if looks_up else WALKED, short)
        if looks_up:
            so_many = round(_LOOK_UPS_OF_A_MATCH * share * self.total)
            window = max(window, min(so_many, LOOKED_UP_FAR))
        if share * window >= _SURELY * self.limit and window > short:
            found, is_all = await self._walked(window)
            if is_all:
                return replace(found, share=share)
        return await self._all(by_contact=await is_by_contact(self.tx, wanted, self.total))

    async def _walked(self, window: int) -> tuple[FoundRows, bool]:
        """Walk so many rows; tell whether they fill the page, or are all there are."""
        found = await self._read(walk(self.order, self.wanted, window, self.limit, self.total))
        return found, len(found.rows) >= self.limit or self.total <= window

    async def _all(self, *, by_contact: bool) -> FoundRows:
        """Select all that match, and count them on the way."""
        most = most_counted(self.wanted)
        every = select_all(
            self.order,
            self.wanted,
            self.limit,
            by_contact=by_contact,
            count_most=most if self.count else None,
        )
        found = await self._read(every, is_counted=self.count)
        if not (self.count and found.rows):
            return found
        first = found.rows[0]
        matching = up_to(most, first.matching)
        sizes = None
        if not self.wanted.status:
            sizes = split(self.wanted, first.sizes, is_exact=matching.is_exact)
        return FoundRows(found.rows, matching, sizes)

    async def _read(
        self, picked: Select[*tuple[Any, ...]], *, is_counted: bool = False
    ) -> FoundRows:
        """Read what the list shows of the enrollments that were picked, in their order."""
        # Its own query, or what is looked up for each might be for rows that are not on the page.
        row = picked.cte("picked").prefix_with("MATERIALIZED")
        shown = _shown(self.order.may_be_empty, self.order.down, is_counted, self.fields)
        return FoundRows(await self.tx.rows(ListedRow, shown.add_cte(row)))


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
        func.count().filter(held, col(Enrollment.held_reason) == HeldReason.CONSENT_MISSING),
        func.coalesce(func.sum(to_come).filter(active), 0),
    ).select_from(Enrollment)
    return Outlook(*(await tx.execute(matching(query, sequence_id, wanted))).one())


@cache
def row_columns() -> dict[str, Any]:
    """Build what ``EnrollmentOfContact`` has besides the enrollment's own columns."""
    return {
        **CONTACT_COLUMNS,
        "enrolled_by_id": col(Enrollment.enrolled_by),
        "enrolled_by_name": col(User.name),
        "paused_reason": PAUSED_REASON,
        "missing_fields": MISSING_FIELDS,
        "waits_for": WAITS_FOR,
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
    counts = [column("matching", Integer), column("sizes", JSONB)] if is_counted else []
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
