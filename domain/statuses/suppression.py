"""What inbound texts ask for, and how numbers came to be suppressed."""

from enum import StrEnum


class OptOutSource(StrEnum):
    """How a number came to be suppressed."""

    KEYWORD = "keyword"
    PLAIN_OPT_OUT = "plain_wish"
    PROVIDER_ERROR = "provider_error"
    BY_HAND = "by_hand"


class TextMeaning(StrEnum):
    """What an inbound text asks for: in a keyword, or for no more texts in plain words."""

    OPT_OUT = "opt_out"
    PLAIN_OPT_OUT = "plain_wish"
    OPT_IN = "opt_in"
    HELP = "help"


class ReviewDecision(StrEnum):
    """What a person says a text meant that the rules were unsure about."""

    OPT_OUT = "opt_out"
    NOT_AN_OPT_OUT = "not_an_opt_out"
