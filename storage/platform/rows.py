"""What queries share: dataclasses to columns and back, and pages of sorted lists."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, literal, tuple_
from sqlmodel import SQLModel

from domain.platform.paging import Position

_T = TypeVar("_T")


def columns_of(
    shape: type[Any], table: type[SQLModel], **others: SQLColumnExpression[Any]
) -> list[ColumnElement[Any]]:
    """Select what a dataclass needs, in the order of its fields, each under its field's name.

    Args:
        shape: The dataclass; a field with a default is selected only if ``others`` names it.
        table: Has the columns of fields that are not in ``others``, by the same name.
        others: The other columns, by field.
    """
    return [
        (others[one.name] if one.name in others else getattr(table, one.name)).label(one.name)
        for one in fields(shape)
        if one.name in others or one.default is one.default_factory is MISSING
    ]


def made(kind: Callable[..., _T], row: Mapping[Any, Any], **computed: object) -> _T:
    """Make a dataclass or named tuple of the columns of its fields' names and of what is computed.

    Codes become the enums that a field asks for; JSON becomes a tuple, or whatever the ``parse`` of
    the field's class reads it as. A column that is not there leaves its field to its default.
    """
    hints, readers = _shape(kind)
    values = {name: row[name] for name in hints if name in row} | computed
    for name, read in readers.items():
        if values.get(name) is not None:
            values[name] = read(values[name])
    return kind(**values)


def all_made(
    kind: Callable[..., _T], names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[_T]:
    """Make a dataclass or named tuple of each row, as ``made``; ``names`` are the columns'."""
    readers = [one for one in _shape(kind)[1].items() if one[0] in names]
    found = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        for name, read in readers:
            if values[name] is not None:
                values[name] = read(values[name])
        found.append(kind(**values))
    return found


@cache
def _shape(kind: Any) -> tuple[Collection[str], Mapping[str, Callable[[Any], Any]]]:  # noqa: ANN401
    """Return the names of a kind's fields, and how to read those that columns hold otherwise."""
    hints = get_type_hints(kind)
    readers: dict[str, Callable[[Any], Any]] = {}
    for name, hint in hints.items():
        for one in (hint, *get_args(hint)):
            if get_origin(one) is tuple:
                readers[name] = tuple
            elif isinstance(one, type) and issubclass(one, StrEnum):
                readers[name] = one
            elif isinstance(one, type) and hasattr(one, "parse"):
                readers[name] = one.parse
    return hints, readers


def paged(
    query: Select[*tuple[Any, ...]],
    key: SQLColumnExpression[Any],
    row_id: SQLColumnExpression[UUID],
    after: Position | None,
    *,
    down: bool = False,
) -> Select[*tuple[Any, ...]]:
    """Sort a query by a key that is never null and by id, and begin it after a position."""
    query = query.order_by(*((key.desc(), row_id.desc()) if down else (key, row_id)))
    if after is None:
        return query
    place, last = tuple_(key, row_id), tuple_(literal(after.value), literal(after.id))
    return query.where(place < last if down else place > last)
