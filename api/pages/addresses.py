"""Addresses of a list's pages, filters and orders."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field

from api.paging import Cursor, FilterQuery

_PAGES_BACK = 20


class PlaceQuery(FilterQuery):
    """A position in a list; ``trail`` holds the cursors of the pages before it, oldest first."""

    cursor: Cursor = None
    trail: list[Annotated[str, Field(max_length=2000)]] = Field(
        default_factory=list, max_length=_PAGES_BACK
    )


class Addresses:
    """Addresses of one list: the page shown, its neighbors, other filters and orders.

    Args:
        path: The list's path.
        query: The query of the page shown.
        next_cursor: Cursor of the next page; None on the last.
        first_sort: The list's order when its address names none.
    """

    def __init__(
        self, path: str, query: PlaceQuery, next_cursor: str | None = None, *, first_sort: str = ""
    ) -> None:
        self._path = path
        self._query = query
        self._next_cursor = next_cursor
        self._first_sort = first_sort

    def of(self, **changes: object) -> str:
        """Return the address of the first page with some parameters changed; None drops one."""
        shown = self._query.model_dump(mode="json", exclude_defaults=True)
        return address(self._path, **{**shown, "cursor": None, "trail": None, **changes})

    def sorted_by(self, name: str) -> str:
        """Return the address of the list sorted by a column, reversed if it already is."""
        first, other = (name, f"-{name}") if name == "name" else (f"-{name}", name)
        now = getattr(self._query, "sort", self._first_sort)
        wanted = other if now == first else first
        return self.of(sort=None if wanted == self._first_sort else wanted)

    @property
    def following(self) -> str | None:
        """The address of the next page; None on the last."""
        if self._next_cursor is None:
            return None
        trail = [*self._query.trail, self._query.cursor] if self._query.cursor else []
        return self.of(cursor=self._next_cursor, trail=trail[-_PAGES_BACK:])

    @property
    def here(self) -> str:
        """The address of the page shown."""
        return self.of(cursor=self._query.cursor, trail=self._query.trail)

    @property
    def previous(self) -> str | None:
        """The address of the page before; None on the first."""
        if self._query.cursor is None:
            return None
        if not self._query.trail:
            return self.of()
        *earlier, before = self._query.trail
        return self.of(cursor=before, trail=earlier)


def address(path: str, **query: object) -> str:
    """Return a path with a query; parameters that are None or empty are dropped."""
    given = {name: value for name, value in query.items() if value not in (None, "", [])}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path
