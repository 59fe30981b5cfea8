"""Phone numbers as people paste them: many in one text."""

import re

from domain.platform.errors import InvalidFieldError
from domain.platform.phones import normalize

NUMBERS_MOST = 10_000
"""Most numbers in one paste."""

_BETWEEN = re.compile(r"[,;\t]+")


def split(pasted: str) -> list[tuple[int, str]]:
    """Split what was pasted at line breaks, commas, semicolons and tabs, each part with its line.

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
    """Read what was pasted: the numbers, each once in E.164, and the parts that are none.

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
    """Say that so many numbers cannot be taken at once."""
    return InvalidFieldError(
        "numbers",
        f"has {count} numbers; give 1 to {NUMBERS_MOST}, or import a CSV file",
        code="number_count",
    )
