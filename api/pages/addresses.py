"""The addresses of a list's pages, filters and orders."""

from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field

from api.paging import Cursor, FilterQuery

_PAGES_BACK = 20


class PlaceQuery(FilterQuery):
    """Where in a list one is.

    Attributes:
        cursor: Where the page begins; None for the first.
        trail: Where the pages before it began, the second first; only as many as one goes back.
    """

    cursor: Cursor = None
    trail: list[Annotated[str, Field(max_length=2000)]] = Field(
        default_factory=list, max_length=_PAGES_BACK
    )


class Addresses:
    """The addresses of one list.

    Args:
        path: Of the list.
        query: What is shown now.
        first_sort: The order of the list if its address names none.
    """

    def __init__(self, path: str, query: PlaceQuery, *, first_sort: str = "") -> None:
        self._path = path
        self._query = query
        self._first_sort = first_sort

    def of(self, **changes: object) -> str:
        """Give the address of the first page with something changed; None leaves it out."""
        kept = {"cursor": None, "trail": None, **changes}
        found = {**self._query.model_dump(mode="json", exclude_defaults=True), **kept}
        told = {name: value for name, value in found.items() if value not in (None, "", [])}
        return f"{self._path}?{urlencode(told, doseq=True)}" if told else self._path

    def sorted_by(self, name: str) -> str:
        """Give the list in another order, or the other way round."""
        descending = name != "name"
        first, other = (f"-{name}", name) if descending else (name, f"-{name}")
        now = getattr(self._query, "sort", self._first_sort)
        wanted = other if now == first else first
        return self.of(sort=None if wanted == self._first_sort else wanted)

    def following(self, cursor: str | None) -> str | None:
        """Give the next page; None if there is none."""
        if cursor is None:
            return None
        trail = [*self._query.trail, self._query.cursor] if self._query.cursor else []
        return self.of(cursor=cursor, trail=trail[-_PAGES_BACK:])

    @property
    def here(self) -> str:
        """The page that is shown."""
        return self.of(cursor=self._query.cursor, trail=self._query.trail)

    @property
    def previous(self) -> str | None:
        """The page before; None on the first."""
        if self._query.cursor is None:
            return None
        if not self._query.trail:
            return self.of()
        *earlier, before = self._query.trail
        return self.of(cursor=before, trail=earlier)
