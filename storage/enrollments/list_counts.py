"""How many enrollments match the filter of a sequence's Contacts tab, in all and by status."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus
from storage.enrollments import enrollment_counts
from storage.enrollments.enrollment_counts import Cell, counted
from storage.enrollments.list_filter import ListFilter, chosen, known, matching, narrowed
from storage.enrollments.list_order import (
    FOUND,
    WALKED,
    Half,
    Order,
    counts,
    found_by_contact,
    found_by_search,
    walk_half,
)
from storage.platform.database import Transaction
from storage.tables.enrollments import Enrollment

COUNTED = WALKED - 1
"""Up to this many enrollments that match a filter are counted exactly."""

COUNTED_BY_FIELD = 1_000
"""The same for values of fields: each row that is walked is looked up among the contacts."""

LOOKED_UP_FAR = 20_000
"""So many rows are walked at most where each is looked up in another table, and many match."""

_WALKED_FOR_COUNT = 100_000
"""So many rows are walked for a count, some 20 ms, rather than that many matches fetched."""

_CONTACTS_COUNTED = 200_000
"""So many contacts are counted to find out whether there are fewer than enrollments."""

_PROBED = 500
"""So many rows tell how much of a sequence is in a group, or has a value of a field."""


@dataclass(frozen=True)
class Count:
    """A number of enrollments; if it is not exact, there are more."""

    number: int
    is_exact: bool


def known_count(cells: Many[Cell], wanted: ListFilter) -> Count | None:
    """Count what statuses, steps and holds alone narrow down; None for any other filter."""
    fits = known(cells, wanted)
    return None if fits is None else Count(fits, is_exact=True)


def held_count(cells: Many[Cell], wanted: ListFilter) -> Count | None:
    """Count the held ones of what matches a filter but for its statuses; None if not known."""
    if not any(cell.held for cell in cells):
        return Count(0, is_exact=True)
    return known_count(cells, replace(wanted, status=(), held=True))


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
    found = await _Counting(tx, sequence_id, wanted, counted(cells)).tally()
    return up_to(most_counted(wanted), found.total)


async def by_status(
    tx: Transaction,
    sequence_id: UUID,
    wanted: ListFilter,
    cells: Many[Cell],
    share: float | None = None,
) -> dict[EnrollmentStatus, Count]:
    """Count what matches a filter by status, all eight, whichever of them it names.

    As ``count`` counts: of more than that in all, each number is of ``SAMPLED`` of them. ``share``
    is how much of the list matches at least, if that is known.
    """
    others = replace(wanted, status=())
    if known(cells, others) is not None:
        some = enrollment_counts.by_status(narrowed(cells, others))
        return {status: Count(size, is_exact=True) for status, size in some.items()}
    found = await _Counting(tx, sequence_id, others, counted(cells), share, split=True).tally()
    return split(wanted, found.sizes, is_exact=found.total <= most_counted(wanted))


def split(
    wanted: ListFilter, sizes: Mapping[str, int] | None, *, is_exact: bool
) -> dict[EnrollmentStatus, Count]:
    """Name what was counted of each status; those that are left out are 0."""
    found, most = sizes or {}, most_counted(wanted)
    return {one: Count(min(found.get(one, 0), most), is_exact) for one in EnrollmentStatus}


def count_in(counts: Mapping[EnrollmentStatus, Count], wanted: ListFilter) -> Count | None:
    """Count what matches a filter by what ``by_status`` counted; None if that does not tell."""
    chosen = [counts[status] for status in wanted.status or EnrollmentStatus]
    most = most_counted(wanted)
    if all(one.is_exact for one in chosen):
        return up_to(most, sum(one.number for one in chosen))
    return None if wanted.status else Count(most, is_exact=False)


def up_to(most: int, number: int) -> Count:
    """Give a number that is exact up to ``most``."""
    return Count(min(number, most), is_exact=number <= most)


def most_counted(wanted: ListFilter) -> int:
    """Tell up to how many of what a filter matches are counted."""
    return COUNTED_BY_FIELD if wanted.fields else COUNTED


async def is_by_contact(tx: Transaction, wanted: ListFilter, total: int) -> bool:
    """Whether fewer contacts have what a filter asks of them than a sequence has enrollments."""
    if wanted.search or wanted.enrollment or not (wanted.group or wanted.fields):
        return False
    most = min(total, _CONTACTS_COUNTED)
    contacts, _ = chosen(wanted)
    found = await tx.execute(select(func.count()).select_from(contacts.limit(most).subquery()))
    return found.scalar_one() < most


@dataclass(frozen=True)
class _Tally:
    """What was counted, up to one more than is counted exactly.

    ``sizes`` are by status, zeros left out: of all of these, or of ``SAMPLED`` if they are more;
    None if there are none, or they are not split.
    """

    total: int
    sizes: Mapping[str, int] | None = None


@dataclass(frozen=True)
class _Counting:
    """Counts what a filter matches in the way that reads least, by status if it is to ``split``."""

    tx: Transaction
    sequence_id: UUID
    wanted: ListFilter
    total: int
    share: float | None = None
    split: bool = False

    async def tally(self) -> _Tally:
        if self.wanted.search and not self.wanted.enrollment:
            return await self._search()
        if (self.wanted.group or self.wanted.fields) and not self.wanted.enrollment:
            return await self._contacts()
        every = select(col(Enrollment.id)).select_from(Enrollment)
        return await self._bounded(matching(every, self.sequence_id, self.wanted))

    async def _search(self) -> _Tally:
        """Count by walking where that is soon enough, else by the trigrams of the search."""
        found = await self._bounded(self._walked(WALKED))
        if found.total > COUNTED or self.total <= WALKED:
            return found
        # A walk reads WALKED * COUNTED / found rows until it has counted enough.
        is_soon = found.total * _WALKED_FOR_COUNT > COUNTED * WALKED
        if is_soon or self.total <= _WALKED_FOR_COUNT:
            found = await self._bounded(self._walked(_WALKED_FOR_COUNT))
            if found.total > COUNTED or self.total <= _WALKED_FOR_COUNT:
                return found
        return await self._bounded(found_by_search(self._order, self.wanted))

    async def _contacts(self) -> _Tally:
        """Count from the smaller side: the sequence's enrollments, or the contacts wanted.

        Those are a group's members, or the contacts with the values of fields.
        """
        share = self.share
        if share is None and self.total > _PROBED:
            probed = select(func.count()).select_from(self._walked(_PROBED).subquery())
            share = (await self.tx.execute(probed)).scalar_one() / _PROBED
        is_far = share is not None and self._most > share * LOOKED_UP_FAR
        if is_far and await is_by_contact(self.tx, self.wanted, self.total):
            return await self._bounded(found_by_contact(self._order, self.wanted, ordered=False))
        return await self._bounded(self._walked(self.total))

    @property
    def _order(self) -> Order:
        return Order(self.sequence_id, "enrolled_at", down=True, after=None)

    def _walked(self, window: int) -> Select[*tuple[Any, ...]]:
        return walk_half(self._order, self.wanted, Half.ALL, window, self._most + 1)

    @property
    def _most(self) -> int:
        return most_counted(self.wanted)

    async def _bounded(self, query: Select[*tuple[Any, ...]]) -> _Tally:
        """Count rows with an ``id`` up to one more than the most."""
        found = query.limit(self._most + 1).cte(FOUND).prefix_with("MATERIALIZED")
        told = counts(self._most)[: 2 if self.split else 1]
        return _Tally(*(await self.tx.execute(select(*told).add_cte(found))).one())
