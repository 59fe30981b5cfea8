"""Fields of contacts: their keys, what each type holds, and how texts say it."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import count
from math import isnan

from domain.platform import names
from domain.platform.errors import InvalidFieldError
from domain.platform.folding import folded_name
from domain.sequences.texts import own_name_meant
from domain.statuses.contacts import FieldType

MAX_FIELDS = 50
"""Most fields of a workspace."""

KEY_LENGTH = 40
"""Most characters of a key."""

TEXT_LENGTH = 500
"""Most characters of a text."""

URL_LENGTH = 2_000
"""Most characters of a web address."""

KEY_PATTERN = rf"[a-z][a-z0-9_]{{0,{KEY_LENGTH - 1}}}"

Value = str | int | float | bool
"""A value as JSON holds it; a date is ``2026-12-01``."""

_KEY = re.compile(KEY_PATTERN)
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
_LARGEST = 10**15  # what a double still tells from its neighbors, whoever reads the JSON
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class FieldSpec:
    """What a field is: ``key`` names it in the API, in imports and in texts."""

    key: str
    label: str
    type: FieldType


def check_key(key: str, *, field: str, taken: Mapping[str, object]) -> str:
    """Let through a key of a field or variable.

    Raises:
        InvalidFieldError: ``invalid_key``, or ``reserved_key`` if ``taken`` has it, or a text that
            names it could be meant to name the contact.
    """
    if not _KEY.fullmatch(key):
        raise InvalidFieldError(
            field,
            "is not a valid key; use lowercase letters, digits and _, a letter first, "
            f"at most {KEY_LENGTH} characters",
            code="invalid_key",
        )
    if key in taken or own_name_meant(key):
        raise InvalidFieldError(
            field, f"{key!r} is reserved; choose another key", code="reserved_key"
        )
    return key


def key_from(label: str, *, taken: Container[str]) -> str:
    """Make a key of what people call a field: ``Job title`` becomes ``job_title``.

    It is one that ``check_key`` lets through, and so numbered where the plain one is taken. Letters
    that a key cannot have are left out; without any other it is ``field``.
    """
    words = "_".join(re.findall(r"[a-z0-9]+", folded_name(label)))
    plain = (words if words[:1].isalpha() else f"field_{words}")[: KEY_LENGTH - 3].strip("_")
    numbered = (plain if number == 1 else f"{plain}_{number}" for number in count(1))
    return next(key for key in numbered if key not in taken and not own_name_meant(key))


def checked(kind: FieldType, value: object, *, field: str) -> Value | None:
    """Return a value as it is stored; None for one that is empty.

    Text is read as well, as imports have it: ``4.50``, ``yes``, ``2026-12-01``.

    Raises:
        InvalidFieldError: ``invalid_value``, or as ``names.clean``.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    match kind:
        case FieldType.TEXT:
            return _text(value, field, TEXT_LENGTH)
        case FieldType.URL:
            return _url(value, field)
        case FieldType.NUMBER:
            return _number(value, field)
        case FieldType.BOOLEAN:
            return _boolean(value, field)
        case FieldType.DATE:
            return _date(value, field)


def as_text(value: Value | None) -> str:
    """Write a value as an export does, so that ``checked`` reads the same again."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.15f}".rstrip("0").rstrip(".") if abs(value) < _LARGEST else str(value)
        case _:
            return str(value)


def _text(value: object, field: str, most: int) -> str:
    if not isinstance(value, str):
        raise _invalid(field, "is not a text", "write it in quotes")
    return names.clean(value, field=field, most=most)


def _url(value: object, field: str) -> str:
    text = _text(value, field, URL_LENGTH)
    if not _URL.fullmatch(text):
        raise _invalid(field, "is not a web address", "begin with https:// or http://")
    return text


def _number(value: object, field: str) -> int | float:
    remedy = "write digits, with a point before decimals, like 4.5"
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value.strip()[:40])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(field, "is not a number", remedy)
    if isinstance(value, float) and isnan(value):
        raise _invalid(field, "is not a number", remedy)
    if abs(value) >= _LARGEST:
        raise _invalid(field, "is too large a number", "write at most 15 digits, or use a text")
    return int(value) if value == int(value) else value


def _boolean(value: object, field: str) -> bool:
    if isinstance(value, bool):
        return value
    known = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        raise _invalid(field, "is neither true nor false", "write true or false")
    return known


def _date(value: object, field: str) -> str:
    try:
        if isinstance(value, str) and len(value.strip()) == len("2026-12-01"):
            return date.fromisoformat(value.strip()).isoformat()
    except ValueError:
        pass
    raise _invalid(field, "is not a date", "write year, month and day, like 2026-12-01")


def _invalid(field: str, reason: str, remedy: str) -> InvalidFieldError:
    return InvalidFieldError(field, f"{reason}; {remedy}", code="invalid_value")
