"""The words that opt out, opt in or ask for help, and what else a text may be.

The lists are those Twilio acts on by default (support article "Twilio support for opt-out
keywords", REVOKE and OPTOUT since 2025-05-14; 47 CFR 64.1200(a)(10) names most of them), so our
suppression and the provider's agree. A whole text counts, never a word in a sentence; what a
sentence asks for is read by ``domain.suppression.opt_out_intent``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.platform.folding import alphanumerics
from domain.statuses.messaging import TextKind
from domain.statuses.suppression import TextMeaning
from domain.suppression.opt_out_intent import LONGEST_READ, Intent, read_intent
from domain.suppression.writers import Reaction, Writer, machine_of, reaction_in

OPT_OUT_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
)
OPT_IN_WORDS = frozenset({"start", "unstop", "yes"})
HELP_WORDS = frozenset({"help", "info"})

ANSWER_WORDS = frozenset({"yes"})
"""Keywords that are also what people answer a question with."""


@dataclass(frozen=True)
class Reading:
    """What an inbound text says.

    Attributes:
        keyword: What it asks for; None if it is an ordinary text.
        may_be_reply: Whether it counts as a reply: ordinary texts do, and a YES *if* the number is
            not suppressed (then it opts in instead).
        intent: Whether an ordinary text asks for no more texts (then it is no reply), or may.
        kind: What it is by its words; of a keyword always a person's.
        reaction: With a reaction: what it is about, which has to be one of our texts.
    """

    keyword: TextMeaning | None
    may_be_reply: bool
    intent: Intent | None = None
    kind: TextKind = TextKind.HUMAN
    reaction: Reaction | None = None


_KEYWORDS: Mapping[str, TextMeaning] = MappingProxyType(
    dict.fromkeys(OPT_OUT_WORDS, TextMeaning.OPT_OUT)
    | dict.fromkeys(OPT_IN_WORDS, TextMeaning.OPT_IN)
    | dict.fromkeys(HELP_WORDS, TextMeaning.HELP)
)
_OPT_OUT_TYPES: Mapping[str, TextMeaning] = MappingProxyType(
    {"stop": TextMeaning.OPT_OUT, "start": TextMeaning.OPT_IN, "help": TextMeaning.HELP}
)


def read(body: str, opt_out_type: str | None = None) -> Reading:
    """Read an inbound text.

    Args:
        body: The whole text. Case, accents, blanks, hyphens, punctuation and emoji make no
            difference: ``Opt-out.``, ``S.T.O.P`` and ``STOP ALL`` are keywords, ``Stop please``
            is not (but asks for the same). One longer than ``LONGEST_READ`` is no keyword.
        opt_out_type: Twilio's ``OptOutType`` (STOP, START, HELP; any case). It knows the keywords
            that Advanced Opt-Out was set up with, so it is trusted before the text.
    """
    body = body.strip()
    word = normalize(body) if len(body) <= LONGEST_READ else ""
    marked = _OPT_OUT_TYPES.get((opt_out_type or "").strip().casefold())
    keyword = marked or _KEYWORDS.get(word)
    if keyword is None:
        return _ordinary(body)
    return Reading(keyword, may_be_reply=keyword is TextMeaning.OPT_IN and word in ANSWER_WORDS)


def _ordinary(body: str) -> Reading:
    intent = read_intent(body)
    machine = machine_of(body) if len(body) <= LONGEST_READ else None
    if machine is Writer.AUTO_REPLY and intent is not None:
        machine = None  # a request is a person's until somebody has read it
    may_be_reply = intent is not Intent.OPT_OUT
    kind = _KINDS.get(machine, TextKind.HUMAN)
    reaction = reaction_in(body) if kind is TextKind.REACTION else None
    return Reading(None, may_be_reply, intent, kind, reaction)


_KINDS: Mapping[Writer | None, TextKind] = MappingProxyType(
    {Writer.REACTION: TextKind.REACTION, Writer.AUTO_REPLY: TextKind.AUTO_REPLY}
)


def normalize(body: str) -> str:
    """Reduce a text to the letters and digits that are compared.

    A sentence stays longer than any keyword.
    """
    return alphanumerics(body)
