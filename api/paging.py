"""Cursors: where a page of a list begins, as a text that clients hand back unread."""

import base64
import json
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import ConfigDict, Field, field_validator, model_validator

from api.schemas.base import Listing, Schema, limits
from domain.contacts.fields import KEY_PATTERN, MAX_FIELDS
from domain.platform.errors import InvalidFieldError
from domain.platform.names import SEARCH_LENGTH
from domain.platform.paging import Page, Position

_Model = TypeVar("_Model")
_Item = TypeVar("_Item", bound=Schema)
_Found = TypeVar("_Found")

_VALUES_MOST = 50

InQuery = Annotated[_Model, Query()]
"""A model read from the query."""

Cursor = Annotated[
    Annotated[str, Field(max_length=2000), limits(pattern="^[A-Za-z0-9_-]*$")] | None,
    Field(description="`next_cursor` of the page before; same sort and filters."),
]

Search = Annotated[
    str,
    Field(
        max_length=SEARCH_LENGTH,
        description="Any part of the name, whatever its case, accents and punctuation, or phone"
        " digits.",
    ),
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

    def as_parameters(self) -> dict[str, Any]:
        """Write what was asked as parameters of an address."""
        return self.model_dump(mode="json", exclude_defaults=True)


_FIELD_FILTER = "field."
_FIELD_FILTERS = "field.*"
_FIELD_PATTERN = rf"^field\.{KEY_PATTERN}$"


def _as_patterns(schema: dict[str, Any]) -> None:
    """Describe a body's field filters as what they are: properties of many names."""
    described = schema.get("properties", {}).pop(_FIELD_FILTERS, None)
    if described is not None:
        schema["patternProperties"] = {_FIELD_PATTERN: described["additionalProperties"]}


class FieldsQuery(FilterQuery):
    """Filters of a list of contacts; ``field.KEY`` is one for each field of the workspace."""

    model_config = ConfigDict(json_schema_extra=_as_patterns)

    fields: dict[str, list[Any]] = Field(
        default_factory=dict,
        max_length=MAX_FIELDS,
        validation_alias=_FIELD_FILTERS,
        json_schema_extra={
            "additionalProperties": {
                "type": "array",
                "items": {"type": ["string", "number", "boolean"]},
                "maxItems": _VALUES_MOST,
            },
            "propertyNames": {"pattern": _FIELD_PATTERN},
        },
    )
    """`field.KEY=VALUE`: those with this value of the field with the key `KEY`, exactly; repeats
    for "any of"."""

    @model_validator(mode="before")
    @classmethod
    def _gather_fields(cls, given: Any) -> Any:  # noqa: ANN401 - whatever the query holds
        if not isinstance(given, Mapping):
            return given
        kept, found = dict[str, Any](), dict[str, list[Any]]()
        for name, value in given.items():
            if not (isinstance(name, str) and name.startswith(_FIELD_FILTER)):
                kept[name] = value
                continue
            some = value if isinstance(value, list) else [value]
            if some := [one for one in some if one != ""]:
                found[name.removeprefix(_FIELD_FILTER)] = some
        return {**kept, _FIELD_FILTERS: found} if found else kept

    @field_validator("fields")
    @classmethod
    def _few_values(cls, fields: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if any(len(some) > _VALUES_MOST for some in fields.values()):
            raise ValueError(f"has too many values for one field; give at most {_VALUES_MOST}")
        return fields

    def as_parameters(self) -> dict[str, Any]:
        """Write what was asked as parameters of an address."""
        shown = super().as_parameters()
        own = shown.pop("fields", {})
        return {**shown, **{f"{_FIELD_FILTER}{key}": some for key, some in own.items()}}


class PageQuery(FilterQuery):
    """The parameters every list takes; unknown ones are refused."""

    limit: int = Field(default=50, ge=1, le=200, description="Most items of a page.")
    cursor: Cursor = None


class Find(Protocol[_Found]):
    """A use case that reads one page of a list."""

    def __call__(self, *, after: Position | None, limit: int) -> Awaitable[Page[_Found]]:
        """Read the page behind a position."""


@dataclass(frozen=True)
class Cursors:
    """The cursors of one list; those of any other are refused.

    Attributes:
        of: The list's name.
        order: The sort of a query that names none.
        kinds: Of what type each sort's values are; sorts without their ``-``.
        nullable: The sorts whose values may be missing.
    """

    of: str
    order: str
    kinds: Mapping[str, type[str] | type[datetime]]
    nullable: Collection[str] = ()

    def within(self, owner_id: UUID) -> "Cursors":
        """Tell apart what is a list for each of many: a group's members, a sequence's contacts."""
        return replace(self, of=f"{owner_id}/{self.of}")

    async def listing(self, item: type[_Item], query: PageQuery, find: Find[Any]) -> Listing[_Item]:
        """Find the page that a query asks for, in the order of its ``sort`` if it has one."""
        sort = getattr(query, "sort", None)
        page = await find(after=self.read(query.cursor, sort), limit=query.limit)
        items = [item.model_validate(entry) for entry in page.items]
        return Listing(items=items, next_cursor=self.write(page.next, sort))

    def write(self, position: Position | None, sort: str | None = None) -> str | None:
        """Write a place in the list when it is sorted this way; None where there is none."""
        if position is None:
            return None
        sort = sort or self.order
        value = position.value
        tag, written = ("at", value.isoformat()) if isinstance(value, datetime) else ("is", value)
        text = json.dumps([self.of, sort, tag, written, str(position.id)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def read(self, cursor: str | None, sort: str | None = None) -> Position | None:
        """Read what ``write`` wrote; None for the first page.

        Raises:
            InvalidFieldError: With code ``invalid_cursor``, if it was made up, or for another list
                or sort.
        """
        if cursor is None:
            return None
        sort = sort or self.order
        try:
            parts = json.loads(
                base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            )
            *made_for, tag, raw, last_id = parts
            value = datetime.fromisoformat(raw).astimezone(UTC) if tag == "at" else raw
            position = Position(value, UUID(last_id))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise invalid_cursor() from None
        name = sort.removeprefix("-")
        if value is None:
            fits = name in self.nullable
        else:
            fits = isinstance(value, self.kinds.get(name, ()))
        if made_for != [self.of, sort] or not fits or not _storable(value):
            raise invalid_cursor()
        return position


def _storable(value: str | datetime | None) -> bool:
    """Whether PostgreSQL can compare something with it: no NUL, no half characters."""
    return not isinstance(value, str) or not any(
        char == "\x00" or "\ud800" <= char <= "\udfff" for char in value
    )


def invalid_cursor() -> InvalidFieldError:
    """Build the error of a cursor that was made up, or for another list."""
    return InvalidFieldError(
        "cursor",
        "does not belong to this list; take next_cursor of the page before, or leave it out",
        code="invalid_cursor",
    )
