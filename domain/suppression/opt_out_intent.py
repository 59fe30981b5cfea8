"""Whether a text that is no keyword asks for no more texts: clearly, perhaps, or not at all."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.platform.folding import folded
from domain.suppression import opt_out_hints as hints
from domain.suppression import opt_out_phrases as phrases
from domain.suppression.opt_out_model import FILE, parsed
from domain.suppression.text_kinds import TextKind, kind_of

LONGEST_READ = 1600
"""Characters of the longest text that is read: the longest a provider delivers (Twilio, 21617)."""

MODEL = parsed(FILE.read_text(encoding="utf-8"))
"""What decides where no phrase does."""

CLEAR = 0.995
"""How likely the model has to find a clear wish that has one of the usual words."""

NEARLY_CLEAR = 0.95
"""How likely it has to find one that comes near a phrase."""

PERHAPS = 0.4
"""How likely it has to find a text that a person should read."""

NOT_UNLIKELY = 0.1
"""How likely it has to find a text in which a phrase stands as a clear wish."""


class Wish(StrEnum):
    """What a text asks for.

    ``opt_out``: no more texts, said so that it means nothing else. ``unsure``: perhaps; a person
    has to read it.
    """

    OPT_OUT = "opt_out"
    UNSURE = "unsure"


class _Kind(StrEnum):
    """What a piece of a text is; of two pieces as long, the one named first is meant."""

    WISH = "wish"
    BARE = "bare"
    BESIDES = "besides"
    POLITE = "polite"
    OTHER = "other"


@dataclass(frozen=True)
class _Piece:
    """A phrase of the lists, or one word that is in none."""

    kind: _Kind
    words: str


@dataclass(frozen=True)
class _Clause:
    """What stands between two punctuation marks."""

    pieces: Sequence[_Piece]
    is_question: bool


def read_wish(body: str, likelihood: Callable[[str], float] = MODEL.likelihood) -> Wish | None:
    """Say whether a text asks for no more texts; None if nothing in it hints at that.

    What a phone wrote by itself asks for nothing (``text_kinds``). What a machine may have
    written is at most unsure: only a person's text opts out. The phrases decide the certain cases.
    A wish counts as clear where it stands as a clause of its own, with nothing beside it but
    courtesies and reasons, and nothing in the whole text casts doubt on it: a negation, a joke,
    somebody else's words, a condition, a question that is no request. A bare "stop" counts only in
    a text that says nothing else. What has a clear wish and a doubt is unsure, and so is a clear
    wish that the model finds unlikely: less so than ``NOT_UNLIKELY``, or than ``NEARLY_CLEAR`` if
    something suggests that something else is asked for.

    The model decides about the rest: unsure from ``PERHAPS`` on. What it is surer of is a clear
    wish, provided that nothing casts doubt on it or suggests that something else is asked for: from
    ``NEARLY_CLEAR`` on if it comes near a phrase, from ``CLEAR`` on if one of the usual words is in
    it, either outside of what it only asks.

    A text of more than ``LONGEST_READ`` characters is unsure: reading it would take too long.

    Args:
        body: The text.
        likelihood: The model; another one than the file's only where models are compared.
    """
    if len(body) > LONGEST_READ:
        return Wish.UNSURE
    words = _words(body)
    if len(words) > LONGEST_READ * 2:  # One character may fold to eighteen.
        return Wish.UNSURE
    kind = kind_of(body)
    if kind is TextKind.REACTION:
        return None
    clauses = list(_clauses(words))
    sure = kind is TextKind.HUMAN and not _is_doubtful(body, clauses)
    is_alone = _is_bare(clauses) or _is_capital(body)
    if is_alone or any(_is_clear(clause) for clause in clauses):
        believed = is_alone or likelihood(body) >= _certainty_confirming(clauses)
        return Wish.OPT_OUT if sure and believed else Wish.UNSURE
    if kind is TextKind.AUTO_REPLY:
        return None
    likely = likelihood(body)
    if sure and likely >= _certainty_needed(clauses):
        return Wish.OPT_OUT
    return Wish.UNSURE if likely >= PERHAPS else None


def _words(body: str) -> str:
    """A folded text in the spelling that the lists have; punctuation stays."""
    text = folded(body).replace("&", " and ")
    text = re.sub("(?<=\\w)['\u2019\u2018`\u00b4](?=\\w)", "", text)
    text = re.sub(r"(?<=\w)[-/_*](?=\w)", " ", text)
    text = re.sub(r"([a-z])\1{2,}", r"\1", text)
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    return text


def _clauses(words: str) -> Iterator[_Clause]:
    for sentence in re.finditer(r"([^.!?\n\u2026]+)([.!?\n\u2026]*)", words):
        for part in re.split(r"[^\w\s]+", sentence[1]):
            pieces = list(_pieces(" ".join(part.split())))
            if pieces:
                yield _Clause(pieces, is_question="?" in sentence[2])


def _pieces(part: str) -> Iterator[_Piece]:
    """Cut a clause into phrases, the longest first, and the words between them."""
    start = 0
    while start < len(part):
        kind, end = _Kind.OTHER, part.find(" ", start) % (len(part) + 1)
        longest = start
        for each, patterns in _PHRASES:
            for pattern in patterns:
                found = pattern.match(part, start)
                if found and found.end() > longest:
                    kind, end = each, found.end()
                    longest = end
        yield _Piece(kind, part[start:end])
        start = end + 1


def _is_clear(clause: _Clause) -> bool:
    """Whether a clause holds a whole wish that nothing on either side of it qualifies."""
    return not _only_asks(clause) and any(
        piece.kind is _Kind.WISH
        and _begins(clause.pieces[:place])
        and _ends(clause.pieces[place + 1 :], is_question=clause.is_question)
        for place, piece in enumerate(clause.pieces)
    )


def _begins(before: Sequence[_Piece]) -> bool:
    """Whether a wish begins here: nothing is before it, or something that it cuts off."""
    for piece in reversed(before):
        if piece.words in {"please", "so", "but", "because"}:
            return True
        if piece.kind is _Kind.OTHER:
            return False
    return True


def _ends(after: Sequence[_Piece], *, is_question: bool) -> bool:
    """Whether a wish ends here: nothing follows that could belong to it."""
    for place, piece in enumerate(after):
        if piece.kind is _Kind.OTHER:
            return not is_question and bool(
                _AFTERTHOUGHTS.match(" ".join(one.words for one in after[place:]))
            )
    return True


def _only_asks(clause: _Clause) -> bool:
    """Whether a clause is a question rather than a request in the form of one."""
    return clause.is_question and not any(_REQUESTS.match(one.words) for one in clause.pieces)


def _is_bare(clauses: Sequence[_Clause]) -> bool:
    """Whether a text says "stop", and nothing else that matters."""
    pieces = [piece for clause in clauses for piece in clause.pieces]
    return (
        any(piece.kind is _Kind.BARE for piece in pieces)
        and all(piece.kind is not _Kind.OTHER or piece.words == "but" for piece in pieces)
        and not any(
            _only_asks(clause) and any(piece.kind is _Kind.BARE for piece in clause.pieces)
            for clause in clauses
        )
    )


def _is_capital(body: str) -> bool:
    """Whether STOP stands as a sentence of its own, as texts tell people to write it."""
    return bool(_CAPITAL.search(body)) and "?" not in body and body != body.upper()


def _is_doubtful(body: str, clauses: Sequence[_Clause]) -> bool:
    told = " . ".join(" ".join(filter(None, map(_residue, one.pieces))) for one in clauses)
    return bool(_DOUBTS.search(told) or _LAUGHTER.search(body))


def _certainty_confirming(clauses: Sequence[_Clause]) -> float:
    """How likely the model has to find a text that has a clear wish by the phrases."""
    return NEARLY_CLEAR if _OBJECTIONS.search(_plain(clauses)) else NOT_UNLIKELY


def _certainty_needed(clauses: Sequence[_Clause]) -> float:
    """How likely the model has to find a text of these clauses for it to be a clear wish."""
    if _OBJECTIONS.search(_plain(clauses)):
        return math.inf
    told = _plain([clause for clause in clauses if not _only_asks(clause)])
    if _NEAR_WISHES.search(told):
        return NEARLY_CLEAR
    return CLEAR if _HINTS.search(told) else math.inf


def _plain(clauses: Sequence[_Clause]) -> str:
    return " ".join(piece.words for clause in clauses for piece in clause.pieces)


def _residue(piece: _Piece) -> str:
    match piece.kind:
        case _Kind.WISH | _Kind.BARE:
            return "stop"
        case _Kind.BESIDES:
            return "."
        case _Kind.POLITE:
            return ""
        case _Kind.OTHER:
            return piece.words


def _compiled(*alternatives: str) -> re.Pattern[str]:
    """Compile phrases as written in the lists: whole words, groups that capture nothing."""
    pattern = "|".join(alternatives)
    while re.search(r"<\w+>", pattern):
        pattern = re.sub(r"<(\w+)>", lambda name: phrases.WORDS[name[1]], pattern)
    pattern = re.sub(r"\((?!\?)", "(?:", pattern)
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)")


_SPELLINGS = [(_compiled(pattern), spelling) for pattern, spelling in phrases.SPELLINGS.items()]
_PHRASES = [
    (kind, [_compiled(phrase) for phrase in listed])
    for kind, listed in (
        (_Kind.WISH, phrases.WISHES),
        (_Kind.BARE, phrases.BARE_WISHES),
        (_Kind.BESIDES, phrases.BESIDES),
        (_Kind.POLITE, phrases.POLITE),
    )
]
_DOUBTS = _compiled(*phrases.DOUBTS)
_HINTS = _compiled(*hints.HINTS)
_NEAR_WISHES = _compiled(*hints.NEAR_WISHES)
_OBJECTIONS = _compiled(*hints.OBJECTIONS)
_AFTERTHOUGHTS = _compiled(phrases.AFTERTHOUGHTS)
_REQUESTS = re.compile("please|(can|could|would|will|may) (you|someone|somebody|anyone|i|we)")
# No line break among the blanks: one begins or ends a sentence by itself, and a run of them would
# be looked through once for each.
_CAPITAL = re.compile(r"(?:^|[.!\n])[^\S\n]*(?:STOP|UNSUBSCRIBE|OPT[- ]?OUT)[^\S\n]*(?=[.!\n]|$)")
_LAUGHTER = re.compile("[\U0001f602\U0001f923\U0001f605\U0001f606\U0001f61c\U0001f609\U0001f61d]")
