"""Names and other texts that people type: trimmed, printable, of a bounded length."""

import unicodedata
from typing import NamedTuple, Self
from uuid import UUID

from domain.platform.errors import InvalidFieldError

_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder how a text is displayed (Unicode UAX 9, explicit ones)."""


SEARCH_LENGTH = 200
"""Most characters of a search: a first and a last name."""


class Named(NamedTuple):
    """A user, sender or group as lists show it."""

    id: UUID
    name: str

    @classmethod
    def of(cls, id_: UUID | None, name: str | None) -> Self | None:
        """Give the two together; None without an id."""
        return None if id_ is None else cls(id_, name or "")


def clean(raw: str, *, field: str, most: int = 100, blank: bool = False) -> str:
    """Normalize a one-line text: trimmed, in Unicode's composed form, ``most`` characters.

    Raises:
        InvalidFieldError: It is blank, too long, or has control characters.
    """
    plain = raw.isascii() and raw.isprintable()  # most are, and imports bring many
    if not plain and any(
        unicodedata.category(char) in _UNPRINTABLE or char in _REORDERING for char in raw
    ):
        raise InvalidFieldError(
            field,
            "contains control characters; write it on one line, as plain text",
            code="invalid_text",
        )
    text = unicodedata.normalize("NFC", raw).strip()
    if not plain and all(char.isspace() or unicodedata.category(char) == "Cf" for char in text):
        text = ""
    if not text and not blank:
        raise InvalidFieldError(field, "is blank; enter something", code="blank")
    if len(text) > most:
        raise InvalidFieldError(field, f"is too long; at most {most} characters", code="too_long")
    return text


def clean_lines(raw: str, *, field: str, most: int, blank: bool = False) -> str:
    """Normalize a text of several lines: trimmed, line breaks alike, ``most`` characters.

    Raises:
        InvalidFieldError: ``blank``, ``too_long``, or ``invalid_text``.
    """
    text = raw.replace("\r\n", "\n").strip()
    if not text and not blank:
        raise InvalidFieldError(field, "is blank; write something", code="blank")
    if len(text) > most:
        raise InvalidFieldError(field, f"is too long; at most {most} characters", code="too_long")
    if any((char < " " and char not in "\n\t") or "\ud800" <= char <= "\udfff" for char in text):
        raise InvalidFieldError(
            field, "holds control characters; write plain text", code="invalid_text"
        )
    return text


def clean_search(raw: str, *, field: str = "search") -> str:
    """Clean what someone searches for, as ``clean`` does; it may be empty."""
    return clean(raw, field=field, most=SEARCH_LENGTH, blank=True)
