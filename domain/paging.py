"""Long lists in pages: where one page ends and the next begins."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

_Item = TypeVar("_Item")


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
