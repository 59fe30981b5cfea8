"""What is wrong with a field by its schema: our codes for what pydantic finds.

docs/problems.md lists the codes; the use cases have further ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.platform.errors import InvalidFieldError

_LENGTH = 200


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a request.

    Attributes:
        field: Its path as the client wrote it, dotted, list indices from 0 included.
        message: Continues from the field's name; says what to write instead.
    """

    field: str
    code: str
    message: str

    @classmethod
    def of(cls, error: InvalidFieldError) -> "FieldProblem":
        """Convert what a use case raises."""
        return cls(error.field, error.field_code, error.reason)


UNKNOWN_FIELD = "unknown_field"
INVALID_TYPE = "invalid_type"
INVALID_ID = "invalid_id"
INVALID_FORMAT = "invalid_format"
INVALID_TEXT = "invalid_text"
INVALID_VALUE = "invalid_value"
BAD_DATE = "bad_date"
MISSING = "missing"
OUT_OF_RANGE = "out_of_range"
TOO_LONG = "too_long"
TOO_MANY_FIELDS = "too_many_fields"
TOO_SHORT = "too_short"
UNKNOWN_VALUE = "unknown_value"

_CODES: Mapping[str, str] = {
    "bool_parsing": INVALID_TYPE,
    "decimal_max_digits": OUT_OF_RANGE,
    "decimal_max_places": OUT_OF_RANGE,
    "decimal_parsing": INVALID_TYPE,
    "decimal_whole_digits": OUT_OF_RANGE,
    "enum": UNKNOWN_VALUE,
    "extra_forbidden": UNKNOWN_FIELD,
    "finite_number": OUT_OF_RANGE,
    "float_parsing": INVALID_TYPE,
    "greater_than": OUT_OF_RANGE,
    "greater_than_equal": OUT_OF_RANGE,
    "int_from_float": INVALID_TYPE,
    "int_parsing": INVALID_TYPE,
    "int_parsing_size": OUT_OF_RANGE,
    "invalid_key": INVALID_TYPE,
    "less_than": OUT_OF_RANGE,
    "less_than_equal": OUT_OF_RANGE,
    "literal_error": UNKNOWN_VALUE,
    "missing": MISSING,
    "string_pattern_mismatch": INVALID_FORMAT,
    "string_too_long": TOO_LONG,
    "string_too_short": TOO_SHORT,
    "string_unicode": INVALID_TEXT,
    "too_long": TOO_LONG,
    "too_short": TOO_SHORT,
    "union_tag_invalid": UNKNOWN_VALUE,
    "union_tag_not_found": MISSING,
    "uuid_parsing": INVALID_ID,
    "uuid_type": INVALID_ID,
    "uuid_version": INVALID_ID,
}
_FAMILIES: Mapping[str, str] = {"date": BAD_DATE, "time": BAD_DATE, "url": INVALID_FORMAT}
"""By the first word of pydantic's type."""

CODES = frozenset({*_CODES.values(), *_FAMILIES.values(), INVALID_VALUE, TOO_MANY_FIELDS})
"""All codes that a schema gives."""

_AN_ID = "is not an id; write it as in 6f1c9f0e-3b1d-4a55-9c3e-0a8f2d7b4c11"
_REMEDIES: Mapping[str, str] = {
    "missing": "is missing; give it",
    "extra_forbidden": "is not a known field; leave it out",
    "string_unicode": "contains half a character; send whole characters in UTF-8",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "uuid_parsing": _AN_ID,
    "uuid_type": _AN_ID,
}
"""Messages for types whose own message does not name the remedy."""


def field_problem(found: Mapping[str, Any]) -> FieldProblem:
    """Translate one of pydantic's errors."""
    kind = str(found["type"])
    where = [str(part) for part in found["loc"]]
    path = ".".join(where[1:]) or where[0]
    said = str(found["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    message = _REMEDIES.get(kind) or f"{said[:1].lower()}{said[1:]}"
    return FieldProblem(path[:_LENGTH], _code(kind), message)


def _code(kind: str) -> str:
    """Give our code; pydantic's types of types end alike, and its dates begin alike."""
    if kind in CODES:  # raised by a schema of ours
        return kind
    if kind in _CODES:
        return _CODES[kind]
    for family, code in _FAMILIES.items():
        if kind.startswith(family):
            return code
    return INVALID_TYPE if kind.endswith("_type") else INVALID_VALUE
