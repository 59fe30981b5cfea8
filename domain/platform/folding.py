"""Folding texts for comparison."""

import unicodedata
from functools import lru_cache


def folded(body: str) -> str:
    """Drop case, accents, compatibility forms and invisible characters.

    As the Unicode Standard matches identifiers caselessly (D147), without marks and format
    characters. Folding twice changes nothing.
    """
    if body.isascii():
        return body.lower()
    text = body
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text).casefold()
    text = unicodedata.normalize("NFKD", text)
    return "".join(char for char in text if not _is_dropped(char))


def alphanumerics(body: str) -> str:
    """Reduce a text to its folded letters and digits."""
    return "".join(char for char in folded(body) if char.isalnum())


@lru_cache(maxsize=4096)
def _is_dropped(char: str) -> bool:
    category = unicodedata.category(char)
    return category[0] == "M" or category in {"Cf", "Cs"}
