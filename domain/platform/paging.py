"""Keyset pages of sorted lists."""

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
        value: That item's sort key; None where it has none.
        id: That item's id, which orders equal keys.
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
        """Convert each item of the page."""
        return Page([shown(one) for one in self.items], self.next)


def cut(found: Sequence[_Item], limit: int, place: Callable[[_Item], Position]) -> Page[_Item]:
    """Cut a page of at most ``limit`` items from what was read: one more shows a next page."""
    return Page(found[:limit], place(found[limit - 1]) if len(found) > limit else None)


class _Made(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...


def by_creation(item: _Made) -> Position:
    """Give an item's position in a list sorted by creation."""
    return Position(item.created_at, item.id)
