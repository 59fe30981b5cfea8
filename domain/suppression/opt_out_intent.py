"""Read whether a text that is no keyword asks for no more texts: clearly, perhaps or not."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.platform.folding import folded
from domain.suppression.opt_out_model import FILE, parsed
from domain.suppression.pattern_files import Phrases, loaded, whole_words
from domain.suppression.writers import Writer, machine_of, writer_of

LONGEST_READ = 1600
"""Characters of the longest text that is read: the longest a provider delivers (Twilio, 21617)."""

MODEL = parsed(FILE.read_text(encoding="utf-8"))

# How likely the model has to find an opt-out request ...
CERTAIN = 0.99
"""... if something in the text suggests otherwise."""
CLEAR = 0.97
"""... if the text has one of the usual words."""
NEARLY_CLEAR = 0.9
"""... if the text comes near a phrase."""
PERHAPS = 0.4
"""... for a person to read the text."""
NOT_UNLIKELY = 0.05
"""... if a phrase stands as a clear request."""


class Intent(StrEnum):
    """What a text asks for: no more texts, and clearly so, or perhaps: then a person reads it."""

    OPT_OUT = "opt_out"
    UNSURE = "unsure"


class _Kind(StrEnum):
    """What a piece of a text is; of two that are equally long, the one named first counts."""

    REQUEST = "requests"
    BARE = "bare_requests"
    BESIDES = "besides"
    POLITE = "polite"
    OTHER = "other"


@dataclass(frozen=True)
class _Piece:
    """A phrase of the lists, or a word that is in none."""

    kind: _Kind
    words: str


@dataclass(frozen=True)
class _Clause:
    """The pieces between two punctuation marks."""

    pieces: Sequence[_Piece]
    is_question: bool


def read_intent(
    body: str,
    likelihood: Callable[[str], float] = MODEL.likelihood,
    *,
    writer: Writer | None = None,
) -> Intent | None:
    """Tell whether a text asks for no more texts; None if nothing in it hints at that.

    A reaction asks for nothing. Only a text that a person wrote (``writers``) opts out. A
    request is clear where it stands as a clause of its own, with only courtesies and reasons beside
    it; a bare "stop" only in a text that says nothing else.

    A text opts out if the model finds that likely enough: a clear request from ``NOT_UNLIKELY`` on,
    what comes near a phrase from ``NEARLY_CLEAR`` on, what has one of the usual words from
    ``CLEAR`` on. If something suggests another request, or the usual words are missing or only in a
    question, the model has to be ``CERTAIN``. A doubt (a negation, a joke, somebody else's words, a
    condition) rules an opt-out out. Otherwise a text is unsure if it has a clear request, if the
    model finds one as likely as ``PERHAPS``, or if it is longer than ``LONGEST_READ``. Another
    ``likelihood`` than the file's serves to compare models; ``writer`` says who wrote it, where a
    person has told.
    """
    if len(body) > LONGEST_READ:
        return Intent.UNSURE
    words = _words(body)
    if len(words) > LONGEST_READ * 2:  # One character may fold to eighteen.
        return Intent.UNSURE
    clauses, likely = list(_clauses(words)), likelihood(body)
    is_bare = _is_bare(clauses)
    is_alone = is_bare or _is_capital(body)
    is_clear = is_alone or any(map(_is_clear, clauses))
    if not is_clear and likely < PERHAPS:
        return None  # whoever wrote it
    writer = writer or writer_of(body)
    if writer is Writer.REACTION:
        return None
    if writer is Writer.AUTO_REPLY and machine_of(body) is not None:
        return Intent.UNSURE if is_clear else None
    may_opt_out = writer is Writer.HUMAN or (writer is Writer.IMPERSONAL and is_bare)
    if may_opt_out and likely >= _certainty(body, clauses, is_alone=is_alone, is_clear=is_clear):
        return Intent.OPT_OUT
    return Intent.UNSURE if is_clear or likely >= PERHAPS else None


def _words(body: str) -> str:
    """Return a folded text in the spelling of the lists; punctuation stays."""
    text = folded(body).replace("&", " and ")
    text = re.sub("(?<=\\w)['\u2019\u2018`\u00b4](?=\\w)", "", text)
    text = re.sub(r"(?<=\w)[-/_*](?=\w)", " ", text)
    text = re.sub(r"([a-z])\1{2,}", r"\1", text)
    possible = _SPELLED.possible(text)
    for place, (pattern, spelling) in enumerate(_SPELLINGS):
        if place in possible:
            text, changes = pattern.subn(spelling, text)
            possible = _SPELLED.possible(text) if changes else possible
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
        found = _PHRASES.longest(part, start)
        if found is None:
            kind, end = _Kind.OTHER, part.find(" ", start) % (len(part) + 1)
        else:
            kind, end = _LISTED[found[0]][0], found[1]
        yield _Piece(kind, part[start:end])
        start = end + 1


def _is_clear(clause: _Clause) -> bool:
    """Tell whether a clause holds a whole request that nothing on either side qualifies."""
    return not _only_asks(clause) and any(
        piece.kind is _Kind.REQUEST
        and _begins(clause.pieces[:place])
        and _ends(clause.pieces[place + 1 :], is_question=clause.is_question)
        for place, piece in enumerate(clause.pieces)
    )


def _begins(before: Sequence[_Piece]) -> bool:
    """Tell whether a request begins after these pieces: there are none, or one cuts it off."""
    for piece in reversed(before):
        if piece.words in {"please", "so", "but", "because"}:
            return True
        if piece.kind is _Kind.OTHER:
            return False
    return True


def _ends(after: Sequence[_Piece], *, is_question: bool) -> bool:
    """Tell whether a request ends before these pieces: none of them could belong to it."""
    for place, piece in enumerate(after):
        if piece.kind is _Kind.OTHER:
            rest = " ".join(one.words for one in after[place:])
            return not is_question and bool(_AFTERTHOUGHTS.match(rest))
    return True


def _only_asks(clause: _Clause) -> bool:
    """Tell whether a clause is a question rather than a request in the form of one."""
    return clause.is_question and not any(_REQUESTS.match(one.words) for one in clause.pieces)


def _is_bare(clauses: Sequence[_Clause]) -> bool:
    """Tell whether a text says "stop", and nothing else that matters."""
    pieces = [piece for clause in clauses for piece in clause.pieces]
    bare = [one for one in clauses if any(piece.kind is _Kind.BARE for piece in one.pieces)]
    return (
        bool(bare)
        and all(piece.kind is not _Kind.OTHER or piece.words == "but" for piece in pieces)
        and not any(map(_only_asks, bare))
    )


def _is_capital(body: str) -> bool:
    """Tell whether STOP stands as a sentence of its own, as texts tell people to write it."""
    return bool(_CAPITAL.search(body)) and "?" not in body and body != body.upper()


def _certainty(body: str, clauses: Sequence[_Clause], *, is_alone: bool, is_clear: bool) -> float:
    """Return how likely the model has to find a text of these clauses for it to opt out."""
    told = " . ".join(" ".join(filter(None, map(_residue, one.pieces))) for one in clauses)
    if _DOUBTS.search(told) or _LAUGHTER.search(body):
        return math.inf
    has_reservations = bool(_RESERVATIONS.search(told))
    if is_alone:
        return CLEAR if has_reservations else 0
    if has_reservations or _OBJECTIONS.search(_plain(clauses)):
        return CERTAIN
    if is_clear:
        return NOT_UNLIKELY
    asserted = _plain([clause for clause in clauses if not _only_asks(clause)])
    if _NEAR_REQUESTS.search(asserted):
        return NEARLY_CLEAR
    return CLEAR if _HINTS.search(asserted) else CERTAIN


def _plain(clauses: Sequence[_Clause]) -> str:
    return " ".join(piece.words for clause in clauses for piece in clause.pieces)


def _residue(piece: _Piece) -> str:
    """Return what stands for a piece where doubts are looked for."""
    if piece.kind is _Kind.OTHER:
        return piece.words
    return {_Kind.BESIDES: ".", _Kind.POLITE: ""}.get(piece.kind, "stop")


_FILE = loaded("opt_out_phrases.toml")
_SPELLINGS = [(whole_words(one), spelling) for one, spelling in _FILE.table("spellings").items()]
_SPELLED = Phrases(list(_FILE.table("spellings")))
_LISTED = [
    (kind, pattern)
    for kind in (_Kind.REQUEST, _Kind.BARE, _Kind.BESIDES, _Kind.POLITE)
    for pattern in _FILE.patterns(kind)
]
_PHRASES = Phrases([pattern for _, pattern in _LISTED])
_DOUBTS, _RESERVATIONS, _HINTS, _NEAR_REQUESTS, _OBJECTIONS, _AFTERTHOUGHTS = (
    whole_words(*_FILE.patterns(name))
    for name in ("doubts", "reservations", "hints", "near_requests", "objections", "afterthoughts")
)
_REQUESTS = re.compile("please|(can|could|would|will|may) (you|someone|somebody|anyone|i|we)")
# Blanks without line breaks: a line break begins or ends a sentence by itself, and a run of them
# would be searched once for each.
_CAPITAL = re.compile(r"(?:^|[.!\n])[^\S\n]*(?:STOP|UNSUBSCRIBE|OPT[- ]?OUT)[^\S\n]*(?=[.!\n]|$)")
_LAUGHTER = re.compile("[\U0001f602\U0001f923\U0001f605\U0001f606\U0001f61c\U0001f609\U0001f61d]")
