"""Long lists in pages: where one page ends and the next begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

_Item = TypeVar("_Item")
_Shown = TypeVar("_Shown")


@dataclass(frozen=True)
class Position:
    """A place in a sorted list: right behind one of its items.

    Attributes:
        value: What the list is sorted by, of that item; None where the item has none.
        id: That item's id, which settles the order of equal values.
    """

    value: str | datetime | None
    id: UUID


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """Part of a sorted list.

    Attributes:
        items: In the list's order.
        next: Where the next page begins; None if this is the last.
    """

    items: Sequence[_Item]
    next: Position | None

    def showing(self, shown: Callable[[_Item], _Shown]) -> "Page[_Shown]":
        """Give the same page of other items, each made of one of these."""
        return Page([shown(one) for one in self.items], self.next)


def cut(found: Sequence[_Item], limit: int, place: Callable[[_Item], Position]) -> Page[_Item]:
    """Make a page of what was read for it: one more than it holds, if there is a next one.

    Args:
        found: At most ``limit + 1`` items, in the list's order.
        limit: Most items of the page.
        place: Where in the list an item is.
    """
    return Page(found[:limit], place(found[limit - 1]) if len(found) > limit else None)


class _Made(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...


def by_creation(item: _Made) -> Position:
    """Place an item in a list that goes by when things were made."""
    return Position(item.created_at, item.id)
