"""Cursors: where a page of a list begins, as a text that clients hand back unread."""

import base64
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas import Listing, Schema
from domain.errors import InvalidFieldError
from domain.paging import Page, Position

LIMIT_MOST = 200
LIMIT_DEFAULT = 50

_Item = TypeVar("_Item", bound=Schema)

Limit = Annotated[int, Field(ge=1, le=LIMIT_MOST, description="Most items of a page.")]
Cursor = Annotated[
    str | None,
    Field(max_length=2000, description="`next_cursor` of the page before; same sort and filters."),
]


class FilterQuery(Schema):
    """The filters of a list or an export; unknown ones are refused."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_blanks(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the query holds
        """Take `?status=` for no filter: forms and saved addresses write it so."""
        if not isinstance(given, Mapping):
            return given
        kept = {
            name: [one for one in value if one != ""] if isinstance(value, list) else value
            for name, value in given.items()
        }
        return {name: value for name, value in kept.items() if value not in ("", [])}


class PageQuery(FilterQuery):
    """The parameters every list takes; unknown ones are refused."""

    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor = None


def listing(page: Page[Any], item: type[_Item], sort: str) -> Listing[_Item]:
    """Write one page.

    Args:
        page: From a use case.
        item: The schema of its items.
        sort: What the list is sorted by, as the client wrote it.
    """
    return Listing(
        items=[item.model_validate(entry) for entry in page.items],
        next_cursor=encode(page.next, sort) if page.next else None,
    )


def encode(position: Position, sort: str) -> str:
    """Write a place in a list that is sorted this way."""
    value = position.value
    parts: list[str | None]
    if isinstance(value, datetime):
        parts = [sort, "at", value.isoformat(), str(position.id)]
    else:
        parts = [sort, "is", value, str(position.id)]
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(
    cursor: str | None,
    sort: str,
    kinds: Mapping[str, type[str] | type[datetime]],
    *,
    nullable: Collection[str] = (),
) -> Position | None:
    """Read what ``encode`` wrote; None for the first page.

    Args:
        cursor: As the client sent it.
        sort: As the client wrote it.
        kinds: Of what type each sort's values are; sorts without their ``-``.
        nullable: The sorts whose values may be missing.

    Raises:
        InvalidFieldError: With code ``invalid_cursor``, if it was made up, or for another sort.
    """
    if cursor is None:
        return None
    try:
        parts = json.loads(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        )
        made_for, tag, raw, last_id = parts
        value = datetime.fromisoformat(raw).astimezone(UTC) if tag == "at" else raw
        position = Position(value, UUID(last_id))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise _invalid() from None
    name = sort.removeprefix("-")
    fits = name in nullable if value is None else isinstance(value, kinds.get(name, ()))
    if made_for != sort or not fits or not _storable(value):
        raise _invalid()
    return position


def _storable(value: str | datetime | None) -> bool:
    """Whether PostgreSQL can compare something with it: no NUL, no half characters."""
    return not isinstance(value, str) or not any(
        char == "\x00" or "\ud800" <= char <= "\udfff" for char in value
    )


def _invalid() -> InvalidFieldError:
    return InvalidFieldError(
        "cursor",
        "does not belong to this list; take next_cursor of the page before, or leave it out",
        code="invalid_cursor",
    )
