"""Addresses of a list's pages, filters and orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from pydantic import Field

from api.paging import Cursor, Cursors, FilterQuery, Find

_PAGES_BACK = 20
_Found = TypeVar("_Found")


NO_FILTERS = ("sort", "columns", "density", "cursor", "trail")
"""What a list's query says besides filters: its order, its looks and the place in it.

Scripts read them from the form of the filters.
"""


class PlaceQuery(FilterQuery):
    """A position in a list; ``trail`` holds the cursors of the pages before it, oldest first."""

    cursor: Cursor = None
    trail: list[Annotated[str, Field(max_length=2000)]] = Field(
        default_factory=list, max_length=_PAGES_BACK
    )

    def filters(self) -> dict[str, Any]:
        """Write the filters alone as parameters of an address."""
        given = self.as_parameters()
        return {name: value for name, value in given.items() if name not in NO_FILTERS}


@dataclass(frozen=True)
class Addresses:
    """Addresses of one list: the page shown, its neighbors, other filters and orders.

    Attributes:
        query: Of the page shown.
        next_cursor: Cursor of the next page; None on the last.
        first_sort: The list's order when its address names none.
    """

    path: str
    query: PlaceQuery
    next_cursor: str | None = None
    first_sort: str = ""

    def of(self, **changes: object) -> str:
        """Return the address of the first page with some parameters changed; None drops one."""
        shown = self.query.as_parameters()
        return address(self.path, **{**shown, "cursor": None, "trail": None, **changes})

    def sorted_by(self, name: str) -> str:
        """Return the address of the list sorted by a column, reversed if it already is."""
        first, other = (name, f"-{name}") if name == "name" else (f"-{name}", name)
        now = getattr(self.query, "sort", self.first_sort)
        wanted = other if now == first else first
        return self.of(sort=None if wanted == self.first_sort else wanted)

    @property
    def following(self) -> str | None:
        """The address of the next page; None on the last."""
        if self.next_cursor is None:
            return None
        trail = [*self.query.trail, self.query.cursor] if self.query.cursor else []
        return self.of(cursor=self.next_cursor, trail=trail[-_PAGES_BACK:])

    @property
    def here(self) -> str:
        """The address of the page shown."""
        return self.of(cursor=self.query.cursor, trail=self.query.trail)

    @property
    def previous(self) -> str | None:
        """The address of the page before; None on the first."""
        if self.query.cursor is None:
            return None
        if not self.query.trail:
            return self.of()
        *earlier, before = self.query.trail
        return self.of(cursor=before, trail=earlier)


async def listed(
    path: str, query: PlaceQuery, cursors: Cursors, find: Find[_Found], *, rows: int = 50
) -> tuple[Sequence[_Found], Addresses]:
    """Find the page of a list that a query asks for; return its items and the list's addresses."""
    sort = getattr(query, "sort", None)
    found = await find(after=cursors.read(query.cursor, sort), limit=rows)
    next_cursor = cursors.write(found.next, sort)
    return found.items, Addresses(path, query, next_cursor, first_sort=cursors.order)


def address(path: str, **query: object) -> str:
    """Return a path with a query; parameters that are None or empty are dropped."""
    given = {name: value for name, value in query.items() if value not in (None, "", [])}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def as_view(query: PlaceQuery, **changes: object) -> str:
    """Write what a list shows as a saved view has it: the same for the same list.

    Some parameters may be changed; None drops one.
    """
    given = {**query.as_parameters(), "cursor": None, "trail": None, **changes}
    ordered = {
        name: sorted(value) if isinstance(value, list) else value for name, value in given.items()
    }
    return address("", **ordered).removeprefix("?")
