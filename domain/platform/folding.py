"""Folding texts for comparison."""

import re
import unicodedata
from functools import lru_cache

_ACCENTS = re.compile(
    "[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u2060\u20d0-\u20ff"
    "\ufe20-\ufe2f\ufeff]"
)
"""Combining accents, the points of Hebrew and Arabic, and what is invisible. Vowel signs stay."""

_ACUTE = "\u00b4"
"""An accent that some type for an apostrophe; Unicode takes it for a space with an accent."""

_SPELLED = str.maketrans(
    dict(zip("øłđðħŧ\u0131\u03c2", "olddhti\u03c3", strict=True))
    | {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
    | dict.fromkeys("-\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u05be", " ")
    | dict.fromkeys("'`.\u2018\u2019\u201b\u02b9\u02bb\u02bc\u2032\u2035\ua78c\u05f3", "")
)
"""Letters that Unicode does not take apart, and signs in names that people leave out or write with
what their keyboard has: hyphens are spaces, apostrophes and periods nothing."""

_SPACES = re.compile("  +")


def folded_name(name: str) -> str:
    """Fold a name as searches and sorting use it: "Jean - Luc O'Néill" and "JEAN LUC ONEILL".

    PostgreSQL's function ``folded_name`` does the same to the names that it keeps (migration 0036);
    ``tests/storage/contacts/test_name_search.py`` compares the two.
    """
    plain = name
    if not name.isascii():
        plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name.replace(_ACUTE, "")))
    return _SPACES.sub(" ", plain.lower().translate(_SPELLED))


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
