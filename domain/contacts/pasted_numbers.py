"""Phone numbers pasted as one text."""

import re

from domain.platform.errors import InvalidFieldError
from domain.platform.phones import normalize

NUMBERS_MOST = 10_000
"""Most numbers in one paste."""

_BETWEEN = re.compile(r"[,;\t]+")


def split(pasted: str) -> list[tuple[int, str]]:
    """Split a text at line breaks, commas, semicolons and tabs into parts with their line.

    Raises:
        InvalidFieldError: ``number_count``: too many or none.
    """
    parts = [
        (line, part.strip())
        for line, text in enumerate(pasted.splitlines(), 1)
        for part in _BETWEEN.split(text)
        if part.strip()
    ]
    if not 1 <= len(parts) <= NUMBERS_MOST:
        raise wrong_count(len(parts))
    return parts


def read(pasted: str, *, default_region: str) -> tuple[list[str], list[str]]:
    """Read the distinct numbers of a text in E.164, and the parts that are not numbers.

    Raises:
        InvalidFieldError: ``number_count``: too many or none.
    """
    numbers: dict[str, None] = {}
    unread: list[str] = []
    for _, part in split(pasted):
        try:
            numbers[normalize(part, default_region=default_region)] = None
        except InvalidFieldError:
            unread.append(part)
    return list(numbers), unread


def wrong_count(count: int) -> InvalidFieldError:
    """Build the error of a wrong number of numbers."""
    return InvalidFieldError(
        "numbers",
        f"has {count} numbers; enter 1 to {NUMBERS_MOST}, or import a CSV file",
        code="number_count",
    )
