"""Pages of rows in the order they were made."""

from typing import Any, TypeVar

from sqlalchemy import Select, or_
from sqlmodel import SQLModel, col

from domain.platform.paging import Position

_Query = TypeVar("_Query", bound=Select[Any])


def page_by_creation(
    query: _Query,
    table: type[SQLModel],
    *,
    after: Position | None,
    limit: int,
    newest_first: bool = False,
) -> _Query:
    """Order a query by its table's ``created_at``, then ``id``, and cut a page out of it."""
    made, key = col(table.created_at), col(table.id)  # type: ignore[attr-defined] # of each table
    if after is not None:
        beyond = made < after.value if newest_first else made > after.value
        query = query.where(or_(beyond, (made == after.value) & (key > after.id)))
    return query.order_by(made.desc() if newest_first else made, key).limit(limit)
