"""The words that opt out, opt in or ask for help, and what else a text may be.

The lists are those Twilio acts on by default (support article "Twilio support for opt-out
keywords", REVOKE and OPTOUT since 2025-05-14; 47 CFR 64.1200(a)(10) names most of them), so our
suppression and the provider's agree. A whole text counts, never a word in a sentence.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

OPT_OUT_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
)
OPT_IN_WORDS = frozenset({"start", "unstop", "yes"})
HELP_WORDS = frozenset({"help", "info"})

ANSWER_WORDS = frozenset({"yes"})
"""Keywords that are also what people answer a question with."""


class Keyword(StrEnum):
    """What a keyword asks for."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"


@dataclass(frozen=True)
class Reading:
    """What an inbound text says.

    Attributes:
        keyword: What it asks for; None if it is an ordinary text.
        may_be_reply: Whether it counts as a reply: ordinary texts do, and a YES *if* the number is
            not suppressed (then it opts in instead).
    """

    keyword: Keyword | None
    may_be_reply: bool


_KEYWORDS: Mapping[str, Keyword] = MappingProxyType(
    dict.fromkeys(OPT_OUT_WORDS, Keyword.OPT_OUT)
    | dict.fromkeys(OPT_IN_WORDS, Keyword.OPT_IN)
    | dict.fromkeys(HELP_WORDS, Keyword.HELP)
)
_OPT_OUT_TYPES: Mapping[str, Keyword] = MappingProxyType(
    {"stop": Keyword.OPT_OUT, "start": Keyword.OPT_IN, "help": Keyword.HELP}
)


def read(body: str, opt_out_type: str | None = None) -> Reading:
    """Read an inbound text.

    Args:
        body: The whole text. Case, accents, blanks, hyphens and whatever surrounds the word
            (punctuation, emoji) make no difference: ``Opt-out.`` and ``STOP ALL`` are keywords,
            ``Stop please`` is not.
        opt_out_type: Twilio's ``OptOutType`` (STOP, START, HELP; any case). It knows the keywords
            that Advanced Opt-Out was set up with, so it is trusted before the text.
    """
    word = _word(body)
    marked = _OPT_OUT_TYPES.get((opt_out_type or "").strip().casefold())
    keyword = marked or _KEYWORDS.get(word)
    answers = keyword is Keyword.OPT_IN and word in ANSWER_WORDS
    return Reading(keyword, may_be_reply=keyword is None or answers)


def _word(body: str) -> str:
    """Reduce a text to what is compared; a sentence stays longer than any keyword."""
    folded = unicodedata.normalize("NFKD", body.casefold())
    kept = "".join(char for char in folded.casefold() if not _is_dropped(char))
    start, end = 0, len(kept)
    while start < end and not kept[start].isalnum():
        start += 1
    while end > start and not kept[end - 1].isalnum():
        end -= 1
    return kept[start:end]


def _is_dropped(char: str) -> bool:
    """Whether a character counts nowhere: blanks, controls, marks, hyphens and the invisible."""
    category = unicodedata.category(char)
    return category[0] in "ZM" or category in {"Cc", "Cf", "Pd"} or char == "\N{MINUS SIGN}"
