"""How many billed segments a text takes.

Sources: 3GPP TS 23.038 (GSM 7 bit default alphabet and its extension table) and TS 23.040
(a concatenated text gives six octets of each segment to its header); Twilio's glossary on both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

GSM_BASIC = frozenset(
    "@\u00a3$\u00a5\u00e8\u00e9\u00f9\u00ec\u00f2\u00c7\n\u00d8\u00f8\r\u00c5\u00e5"
    "\u0394_\u03a6\u0393\u039b\u03a9\u03a0\u03a8\u03a3\u0398\u039e\u00c6\u00e6\u00df\u00c9"
    " !\"#\u00a4%&'()*+,-./0123456789:;<=>?"
    "\u00a1ABCDEFGHIJKLMNOPQRSTUVWXYZ\u00c4\u00d6\u00d1\u00dc\u00a7"
    "\u00bfabcdefghijklmnopqrstuvwxyz\u00e4\u00f6\u00f1\u00fc\u00e0"
)
"""Characters of one septet; written as escapes because some look like Latin letters."""

GSM_EXTENSION = frozenset("\f^{}\\[~]|\u20ac")
"""Characters of two septets, an escape first; no segment may end between the two."""

GSM_SINGLE, GSM_PART = 160, 153
"""Septets of a text that fits one segment, and of each segment of one that does not."""

UCS2_SINGLE, UCS2_PART = 70, 67
"""The same in UTF-16 code units; no segment may end inside a surrogate pair."""


@dataclass(frozen=True)
class Segments:
    """The size of a text on the air.

    Attributes:
        encoding: One character outside GSM-7 makes the whole text UCS-2.
        characters: Code points.
        units: Septets in GSM-7, UTF-16 code units in UCS-2.
        count: Segments; 0 for an empty text.
        ucs2_characters: The distinct characters that force UCS-2, in order of appearance.
    """

    encoding: Literal["GSM-7", "UCS-2"]
    characters: int
    units: int
    count: int
    ucs2_characters: tuple[str, ...]


def measure(text: str) -> Segments:
    """Measure a text as it will be sent, merge fields filled in."""
    outside = dict.fromkeys(
        char for char in text if char not in GSM_BASIC and char not in GSM_EXTENSION
    )
    if outside:
        widths = [2 if ord(char) > 0xFFFF else 1 for char in text]
        count = _count(widths, UCS2_SINGLE, UCS2_PART)
        return Segments("UCS-2", len(text), sum(widths), count, tuple(outside))
    widths = [2 if char in GSM_EXTENSION else 1 for char in text]
    return Segments("GSM-7", len(text), sum(widths), _count(widths, GSM_SINGLE, GSM_PART), ())


def _count(widths: Iterable[int], single: int, part: int) -> int:
    """Fill segments one after the other, never splitting a character."""
    total, count, room = 0, 0, 0
    for width in widths:
        total += width
        if room < width:
            count, room = count + 1, part
        room -= width
    return min(count, 1) if total <= single else count
