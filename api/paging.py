"""Cursors: where a page of a list begins, as a text that clients hand back unread."""

import base64
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import Field, model_validator

from api.schemas.base import Listing, Schema
from domain.platform.errors import InvalidFieldError
from domain.platform.paging import Page, Position

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


def listing(page: Page[Any], item: type[_Item], next_cursor: str | None) -> Listing[_Item]:
    """Write a page of a use case as a page of a schema."""
    return Listing(
        items=[item.model_validate(entry) for entry in page.items], next_cursor=next_cursor
    )


@dataclass(frozen=True)
class Cursors:
    """The cursors of one list; those of any other are refused.

    Attributes:
        of: The list's name.
        kinds: Of what type each sort's values are; sorts without their ``-``.
        nullable: The sorts whose values may be missing.
    """

    of: str
    kinds: Mapping[str, type[str] | type[datetime]]
    nullable: Collection[str] = ()

    def within(self, owner_id: UUID) -> "Cursors":
        """Tell apart what is a list for each of many: a group's members, a sequence's contacts."""
        return replace(self, of=f"{owner_id}/{self.of}")

    def write(self, position: Position | None, sort: str) -> str | None:
        """Write a place in the list when it is sorted this way; None where there is none."""
        if position is None:
            return None
        value = position.value
        tag, written = ("at", value.isoformat()) if isinstance(value, datetime) else ("is", value)
        text = json.dumps([self.of, sort, tag, written, str(position.id)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def read(self, cursor: str | None, sort: str) -> Position | None:
        """Read what ``write`` wrote; None for the first page.

        Args:
            cursor: As the client sent it.
            sort: As the client wrote it.

        Raises:
            InvalidFieldError: With code ``invalid_cursor``, if it was made up, or for another list
                or sort.
        """
        if cursor is None:
            return None
        try:
            parts = json.loads(
                base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            )
            *made_for, tag, raw, last_id = parts
            value = datetime.fromisoformat(raw).astimezone(UTC) if tag == "at" else raw
            position = Position(value, UUID(last_id))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise _invalid() from None
        name = sort.removeprefix("-")
        if value is None:
            fits = name in self.nullable
        else:
            fits = isinstance(value, self.kinds.get(name, ()))
        if made_for != [self.of, sort] or not fits or not _storable(value):
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
