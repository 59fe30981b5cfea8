"""Who wrote an inbound text: a person, or a phone on its own; and what a reaction is about.

A phone that cannot show a tapback (Apple Messages) or a reaction (Google Messages) gets it as a
text that quotes the one reacted to, so its words are ours, "Reply STOP" included. Phones and desks
that are set to answer by themselves say so. The patterns are data, over a folded text
(``domain.platform.folding``); what fits none of them is taken for a person's.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.platform.folding import alphanumerics, folded
from domain.suppression.pattern_files import AnyOf, loaded


class Writer(StrEnum):
    """Who wrote a text.

    ``human``: a person. ``impersonal``: nothing says whether a person. ``unclear``: a person or a
    machine, as it bears marks of one. ``reaction``: a phone, for a reaction to some text.
    ``auto_reply``: a phone or a desk that answers by itself, or a carrier.
    """

    HUMAN = "human"
    IMPERSONAL = "impersonal"
    UNCLEAR = "unclear"
    REACTION = "reaction"
    AUTO_REPLY = "auto_reply"


@dataclass(frozen=True)
class Reaction:
    """What a phone tells of a reaction.

    Attributes:
        quoted: The text reacted to, folded; None if it is about a picture or another attachment.
        is_cut: The quoted text may be cut off.
        mark: An emoji that stands for it; of a tapback the one that phones show.
        is_removal: A reaction was taken back.
    """

    quoted: str | None
    is_cut: bool
    mark: str
    is_removal: bool

    def is_about(self, body: str) -> bool:
        """Tell whether a text that we sent is the quoted one.

        Letters and digits count, not blanks, quotation marks or typographic spelling. The provider
        may have put a sentence before the text, as it does for trial accounts.
        """
        if self.quoted is None:
            return False
        quoted, sent = _comparable(self.quoted), _comparable(body)
        if not quoted or not sent:
            return False
        return (
            quoted in {sent, _TRIAL + sent}
            or (self.is_cut and len(quoted) >= _LEAST_CUT and sent.startswith(quoted))
            or (len(quoted) >= _LEAST_PART and quoted in sent)
        )


_TRIAL = alphanumerics("Sent from your Twilio trial account - ")
_LEAST_CUT = 8
_LEAST_PART = 20
"""Characters that tell a text by its beginning, or by any part of it."""


def writer_of(body: str) -> Writer:
    """Say who wrote a text.

    It is unclear if the text bears a mark of a machine or quotes something, impersonal if it has
    several sentences without a trace of a person: no word for oneself, of chats or of anger, no
    missing apostrophe, no sentence that begins with a small letter.
    """
    text = _plain(body)
    if (machine := _machine(text)) is not None:
        return machine
    if _MARK.search(text) or _QUOTE.search(text):
        return Writer.UNCLEAR
    several = len(_SENTENCES.findall(text)) > 1
    impersonal = not (_CARELESS.search(body) or _PERSON.search(text))
    return Writer.IMPERSONAL if several and impersonal else Writer.HUMAN


def machine_of(body: str) -> Writer | None:
    """Tell a reaction or an automatic answer for sure; None if a person may have written it.

    Anything beyond a phone's own phrases that an automatic answer does not say makes it a person's.
    """
    text = _plain(body)
    found = _machine(text)
    is_doubtful = found is Writer.AUTO_REPLY and not _CANNED.fullmatch(text)
    return None if is_doubtful and _ANSWER.search(text) else found


def _machine(text: str) -> Writer | None:
    if found := _REACTION.fullmatch(text):
        is_told_by_somebody = _quoted(found) is None and _BY_SOMEBODY.match(text)
        return None if is_told_by_somebody else Writer.REACTION
    is_automatic = _CANNED.fullmatch(text) or _AUTO_REPLY.search(text)
    return Writer.AUTO_REPLY if is_automatic else None


def reaction_in(body: str) -> Reaction | None:
    """Read a reaction; None if the text is none."""
    text = _plain(body)
    found = _REACTION.fullmatch(text)
    if found is None:
        return None
    quoted = _quoted(found)
    told = text if quoted is None else text.replace(quoted, " ")
    return Reaction(
        quoted=quoted,
        is_cut=quoted is not None and bool(_CUT.search(quoted)),
        mark=_mark(told),
        is_removal=bool(_REMOVAL.search(told)),
    )


def _quoted(found: re.Match[str]) -> str | None:
    """Return what a reaction quotes: the only part of a pattern that keeps a quotation."""
    quotes = [one for one in found.groups() if one and one[0] in _OPENING]
    return max(quotes, key=len, default=None)


def marks_of(reactions: Iterable[Reaction]) -> list[str]:
    """Return the marks that stay on a text after these reactions to it, the oldest first."""
    marks = list[str]()
    for one in reactions:
        if not one.is_removal:
            marks.append(one.mark)
        elif marks:
            marks.remove(one.mark if one.mark in marks else marks[-1])
    return marks


def _mark(told: str) -> str:
    """Return the emoji that a phone's words name, or stand for."""
    if emoji := _EMOJI.search(told):
        return emoji[0]
    return next((mark for mark, words in _TAPBACKS if words.search(told)), _ANY_MARK)


def _plain(body: str) -> str:
    return " ".join(re.sub("(?<=\\w)['\u2019\u2018`](?=\\w)", "", folded(body)).split())


def _comparable(body: str) -> str:
    """Return the letters and digits of a text; of one that has none, all but blanks and quotes."""
    return alphanumerics(body) or "".join(
        char for char in folded(body) if not char.isspace() and char not in _QUOTATION_MARKS
    )


_OPENING = "\"\u201c\u201d\u201e\u00ab\u2039'\u2018\u201a\u300c\u300e"
_QUOTATION_MARKS = _OPENING + "\u2019\u00bb\u203a\u300d\u300f"
_CUT = re.compile(
    "(?:\\.\\.+|\u2026)[\\W_]*$|[^\"\u201c\u201d\u00bb\u203a'\u2018\u2019\u300d\u300f]$"
)
_EMOJI = re.compile("[\u203c\u2049\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
_BY_SOMEBODY = re.compile(
    "(\\w+ )+(liked|loved|disliked|laughed at|emphasi[sz]ed|questioned|reacted to) "
)
_ANY_MARK = "\U0001f4ac"
_QUOTE = re.compile(
    '["\u201c-\u201f\u00ab\u00bb\u2039\u203a\u2033\u300a-\u300f]'
    r"|(?<!\S)['\u2018\u201a`](?=\w)(?!(?:til|till|cause|cuz|em|bout|nuff|round|n|tis"
    r"|twas|\d+s?)\b)"
)
_SENTENCES = re.compile(r"\w[^.!?\u3002\u0964\u061f]*")
_CARELESS = re.compile(
    r"(?:^|[.!?]\s+)[a-z]|\b(?:[Dd]ont|[Cc]ant|[Ww]ont|[Dd]idnt|[Ii]snt|[Aa]int|[Tt]hats"
    r"|[Yy]oure|[Dd]oesnt)\b"
)
_FILE = loaded("machine_marks.toml")
_REACTION, _AUTO_REPLY, _CANNED, _ANSWER, _REMOVAL, _MARK, _PERSON = (
    AnyOf(_FILE.patterns(name))
    for name in (
        *("reactions", "auto_replies", "canned", "answers", "removals"),
        *("marks", "personal"),
    )
)
_TAPBACKS = [(mark, AnyOf([words])) for mark, words in _FILE.table("tapbacks").items()]
