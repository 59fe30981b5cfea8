"""The order of a sequence's Contacts tab, and the ways to find a page of it.

A page is found in one of two ways, so that neither a frequent nor a rare filter reads the whole of
a big sequence: by **walking** the list in its order, looking at each row until the page is full, or
by **selecting** all that match, through their own index, and sorting them. The planner would have
to guess which; ``storage.enrollments.enrollment_list`` knows it from the counts, or tries a walk of
limited length.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    SQLColumnExpression,
    String,
    Text,
    and_,
    column,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentStatus
from storage.enrollments.list_filter import ListFilter, chosen, matching, met, searched
from storage.platform.rows import paged
from storage.tables.enrollments import Enrollment, EnrollmentSearch

WALKED = 10_001
"""So many rows are walked before all that match are selected, or counted otherwise: some 2 ms."""

SAMPLED = 500
"""Of more than are counted exactly, so many tell how many there are of each status at least."""

FOUND = "found"
"""The name of the CTE that ``counts`` counts."""

_OF_SEARCH: Mapping[str, SQLColumnExpression[Any]] = {
    "name": col(EnrollmentSearch.search_name),
    "enrolled_at": col(EnrollmentSearch.enrolled_at),
}
_OF_ROW: Mapping[str, SQLColumnExpression[Any]] = {
    "next_send_at": col(Enrollment.next_send_at),
    "last_message_at": col(Enrollment.last_message_at),
}
"""The columns that lists are sorted by; those of rows may be null."""


@dataclass(frozen=True)
class Order:
    """The order of a list, and where its page begins.

    Attributes:
        name: What it is sorted by.
        down: Whether descending.
        after: The place before the page; None for the first.
    """

    sequence_id: UUID
    name: str
    down: bool
    after: Position | None

    @classmethod
    def of(cls, sequence_id: UUID, sort: str, after: Position | None) -> "Order":
        """Make it of a name, descending with ``-`` before it.

        The names are ``name``, ``enrolled_at``, ``next_send_at`` and ``last_message_at``.
        """
        return cls(sequence_id, sort.removeprefix("-"), sort.startswith("-"), after)

    @property
    def key(self) -> SQLColumnExpression[Any]:
        """The column that the list is sorted by."""
        return _OF_ROW[self.name] if self.may_be_empty else _OF_SEARCH[self.name]

    @property
    def row_id(self) -> SQLColumnExpression[UUID]:
        """The enrollment's id, which orders equal keys."""
        return col(Enrollment.id if self.may_be_empty else EnrollmentSearch.enrollment_id)

    @property
    def may_be_empty(self) -> bool:
        """Whether it is sorted by a column of the row, where a value may be missing."""
        return self.name in _OF_ROW

    @property
    def starts_empty(self) -> bool:
        """Whether the page begins among the rows without a value."""
        return self.after is not None and self.after.value is None

    def rows(self) -> Select[*tuple[Any, ...]]:
        """Select the rows in this order, with what conditions need."""
        if self.may_be_empty:
            return select(
                col(Enrollment.id), col(Enrollment.contact_id), self.key.label("sort_key")
            ).where(col(Enrollment.sequence_id) == self.sequence_id)
        return select(
            col(EnrollmentSearch.enrollment_id).label("id"),
            col(EnrollmentSearch.contact_id),
            col(EnrollmentSearch.search_name),
            col(EnrollmentSearch.phone),
            self.key.label("sort_key"),
        ).where(col(EnrollmentSearch.sequence_id) == self.sequence_id)

    def sorted(self, query: Select[*tuple[Any, ...]], row: FromClause) -> Select[*tuple[Any, ...]]:
        """Sort what was found, those without a value last."""
        return in_order(query, row, may_be_empty=self.may_be_empty, down=self.down)

    def beyond(self, row: FromClause) -> ColumnElement[bool]:
        """Build the condition that a row of the list comes after ``after``."""
        if self.after is None:
            return true()
        later = row.c.id < self.after.id if self.down else row.c.id > self.after.id
        if self.after.value is None:
            return and_(row.c.sort_key.is_(None), later)
        place = tuple_(row.c.sort_key, row.c.id)
        last = tuple_(literal(self.after.value), literal(self.after.id))
        found = place < last if self.down else place > last
        return or_(found, row.c.sort_key.is_(None)) if self.may_be_empty else found


def in_order(
    query: Select[*tuple[Any, ...]], row: FromClause, *, may_be_empty: bool, down: bool
) -> Select[*tuple[Any, ...]]:
    """Sort rows by their ``sort_key`` and ``id``, those without a value last."""
    if may_be_empty:
        query = query.order_by(row.c.sort_key.is_(None))
    return paged(query, row.c.sort_key, row.c.id, None, down=down)


class Half(Enum):
    """The part of a list that is walked at once: one ORDER BY cannot walk an index for both."""

    ALL = auto()
    VALUED = auto()
    EMPTY = auto()


def walk(
    order: Order, wanted: ListFilter, window: int, limit: int, total: int
) -> Select[*tuple[Any, ...]]:
    """Walk so many rows of a list for those that match.

    With a window smaller than the ``total``, what has a value to sort by is walked alone: more of
    it may be beyond the window.
    """
    never_active = wanted.status and EnrollmentStatus.ACTIVE not in wanted.status
    if not order.may_be_empty:
        return walk_half(order, wanted, Half.ALL, window, limit)
    if order.starts_empty or (order.name == "next_send_at" and never_active):
        return walk_half(order, wanted, Half.EMPTY, window, limit)
    valued = walk_half(order, wanted, Half.VALUED, window, limit)
    if window < total:
        return valued
    empty = walk_half(order, wanted, Half.EMPTY, window, limit)
    both = union_all(valued.subquery().select(), empty.subquery().select()).subquery()
    return order.sorted(select(both), both).limit(limit)


def walk_half(
    order: Order, wanted: ListFilter, half: Half, window: int, limit: int
) -> Select[*tuple[Any, ...]]:
    """Walk so many rows of a part of a list for those that match."""
    rows, row_id, after = order.rows(), order.row_id, order.after
    if half is Half.VALUED:
        rows = rows.where(order.key.is_not(None))
    elif half is Half.EMPTY:
        rows = rows.where(order.key.is_(None))
        if after is not None and after.value is None:
            rows = rows.where(row_id < after.id if order.down else row_id > after.id)
        after = None
    walked = paged(rows, order.key, row_id, after, down=order.down).limit(window).subquery()
    found = select(walked.c.id, walked.c.sort_key).where(*met(walked, wanted))
    return paged(found, walked.c.sort_key, walked.c.id, None, down=order.down).limit(limit)


def beside(
    order: Order, places: Collection[tuple[EnrollmentStatus, int]], limit: int
) -> Select[*tuple[Any, ...]]:
    """Read a page of each status and step, through their index, and merge them."""
    statuses, steps = zip(*sorted(places), strict=True)
    place = (
        func.unnest(literal(statuses, ARRAY(Text())), literal(steps, ARRAY(Integer())))
        .table_valued(column("status", String), column("step", Integer), name="place")
        .render_derived()
    )
    row_id, key = col(Enrollment.id), col(Enrollment.enrolled_at)
    of_place = (
        paged(
            select(row_id, key.label("sort_key")).where(
                col(Enrollment.sequence_id) == order.sequence_id,
                col(Enrollment.status) == place.c.status,
                col(Enrollment.step) == place.c.step,
            ),
            key,
            row_id,
            order.after,
            down=order.down,
        )
        .limit(limit)
        .lateral()
    )
    merged = select(of_place.c.id, of_place.c.sort_key).select_from(place).join(of_place, true())
    return order.sorted(merged, of_place).limit(limit)


def select_all(
    order: Order, wanted: ListFilter, limit: int, *, by_contact: bool, count_most: int | None
) -> Select[*tuple[Any, ...]]:
    """Select all enrollments that match, and sort them.

    ``by_contact``: as ``found_by_contact``; else by the search, or in whatever way. With
    ``count_most`` they are counted up to one more than that, as ``matching``, and by status, as
    ``sizes``.
    """
    if by_contact:
        found = found_by_contact(order, wanted, ordered=True)
    elif wanted.search:
        found = found_by_search(order, wanted)
    else:
        query: Select[*tuple[Any, ...]] = select(
            col(Enrollment.id), order.key.label("sort_key")
        ).select_from(Enrollment)
        if not order.may_be_empty:
            own = col(EnrollmentSearch.enrollment_id) == col(Enrollment.id)
            query = query.join(EnrollmentSearch, own)
        found = matching(query, order.sequence_id, wanted)
    # A query of its own, or LIMIT would lead the planner to walk after all.
    every = found.cte(FOUND).prefix_with("MATERIALIZED")
    page = select(every)
    if count_most is not None:
        page = page.add_columns(*counts(count_most))
    return order.sorted(page.where(order.beyond(every)), every).limit(limit)


def counts(most: int) -> tuple[ColumnElement[int], ColumnElement[Any]]:
    """Count the enrollments of the CTE ``FOUND``, which have an ``id``, and those of each status.

    The two are named ``matching``, up to one more than ``most``, and ``sizes``. The second is of
    ``SAMPLED`` of them if they are more than ``most``. A status is looked up for each: a join might
    read all enrollments. It is text, as building it takes longer than PostgreSQL does.
    """
    matching = f"(SELECT count(*) FROM (SELECT FROM {FOUND} LIMIT {most + 1}) some_found)"  # noqa: S608 - of constants
    sizes = f"""(
        SELECT jsonb_object_agg(status, size) FROM (
            SELECT status, count(*) AS size FROM (
                SELECT (SELECT e.status FROM enrollments e WHERE e.id = one.id) AS status
                FROM (
                    SELECT id FROM {FOUND}
                    LIMIT CASE WHEN {matching} > {most} THEN {SAMPLED} ELSE {most} END
                ) one
            ) looked_up GROUP BY status
        ) sized
    )"""  # noqa: S608
    return (
        literal_column(matching, Integer).label("matching"),
        literal_column(sizes, JSONB).label("sizes"),
    )


def found_by_search(order: Order, wanted: ListFilter) -> Select[*tuple[Any, ...]]:
    """Select what matches by the trigrams of the search, and look the rest up for each."""
    rows = (
        select(
            col(EnrollmentSearch.enrollment_id).label("id"),
            col(EnrollmentSearch.contact_id),
            *([] if order.may_be_empty else [order.key.label("sort_key")]),
        )
        .where(col(EnrollmentSearch.sequence_id) == order.sequence_id, searched(wanted))
        .subquery()
    )
    others = replace(wanted, search="")
    return select(rows.c.id, _key(order, rows).label("sort_key")).where(*met(rows, others))


def found_by_contact(
    order: Order, wanted: ListFilter, *, ordered: bool
) -> Select[*tuple[Any, ...]]:
    """Select what matches from the contacts of a group, or with values, and look up the rest.

    ``ordered``: in the order of the index, whose pages are then read once each; else only so many
    contacts are read as it takes to find enough.
    """
    contacts, others = chosen(wanted)
    contact = (contacts.order_by("contact_id") if ordered else contacts).subquery()
    rows = (
        select(
            col(EnrollmentSearch.enrollment_id).label("id"),
            col(EnrollmentSearch.contact_id),
            col(EnrollmentSearch.search_name),
            col(EnrollmentSearch.phone),
            *([] if order.may_be_empty else [order.key.label("sort_key")]),
        )
        .where(
            col(EnrollmentSearch.contact_id) == contact.c.contact_id,
            col(EnrollmentSearch.sequence_id) == order.sequence_id,
        )
        .offset(0)  # else it may become a join that reads the whole sequence
        .lateral()
    )
    found = select(rows.c.id, _key(order, rows).label("sort_key"))
    return found.select_from(contact).join(rows, true()).where(*met(rows, others))


def _key(order: Order, rows: FromClause) -> ColumnElement[Any]:
    if not order.may_be_empty:
        return rows.c.sort_key
    return select(order.key).where(col(Enrollment.id) == rows.c.id).scalar_subquery()
