"""Who wrote an inbound text: a person, or a phone on its own.

A phone that cannot show a tapback (Apple Messages) or a reaction (Google Messages) gets it as a
text that quotes the one reacted to, so its words are ours, "Reply STOP" included. Phones and desks
that are set to answer by themselves say so. The patterns are data, over a folded text
(``domain.platform.folding``); what fits none of them is taken for a person's.
"""

import re
from enum import StrEnum

from domain.platform.folding import folded
from domain.suppression.pattern_files import any_of, loaded


class TextKind(StrEnum):
    """Who wrote a text.

    ``human``: a person. ``impersonal``: nothing says whether a person. ``unclear``: a person or a
    machine, as it bears marks of one. ``reaction``: a phone, for a reaction to a text of ours.
    ``auto_reply``: a phone or a desk that answers by itself, or a carrier.
    """

    HUMAN = "human"
    IMPERSONAL = "impersonal"
    UNCLEAR = "unclear"
    REACTION = "reaction"
    AUTO_REPLY = "auto_reply"


def kind_of(body: str) -> TextKind:
    """Say who wrote a text.

    It is unclear if the text bears a mark of a machine or quotes something, impersonal if it has
    several sentences without a trace of a person: no word for oneself, of chats or of anger, no
    missing apostrophe, no sentence that begins with a small letter.
    """
    text = " ".join(re.sub("(?<=\\w)['\u2019\u2018`](?=\\w)", "", folded(body)).split())
    if _REACTION.fullmatch(text):
        return TextKind.REACTION
    if _AUTO_REPLY.search(text):
        return TextKind.AUTO_REPLY
    if _MARK.search(text) or _QUOTE.search(text):
        return TextKind.UNCLEAR
    several = len(_SENTENCES.findall(text)) > 1
    impersonal = not (_CARELESS.search(body) or _PERSON.search(text))
    return TextKind.IMPERSONAL if several and impersonal else TextKind.HUMAN


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
_REACTION, _AUTO_REPLY, _MARK, _PERSON = (
    any_of(_FILE.patterns(name)) for name in ("reactions", "auto_replies", "marks", "personal")
)
