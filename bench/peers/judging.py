"""Judge a run by the provider's list of texts alone."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

GRACE_SECONDS = 1.0
"""A text may be under way at the provider while its person's reply is answered."""


@dataclass(frozen=True)
class Text:
    """One text that the provider accepted.

    Attributes:
        at: When, in seconds of the clock that the replies have.
    """

    phone: str
    body: str
    at: float


@dataclass(frozen=True)
class Judgment:
    """What went wrong.

    Attributes:
        twice: Texts beyond the first with the same body to the same person.
        lost: People who did not reply and did not get every text.
        after_reply: Texts accepted more than `GRACE_SECONDS` after their person's reply had been
            answered; one that is also sent twice counts in both.
    """

    twice: int
    lost: int
    after_reply: int


def judge(
    texts: Iterable[Text],
    people: Collection[str],
    replied: Mapping[str, float],
    bodies: Collection[str],
) -> Judgment:
    """Judge what the people got.

    Args:
        texts: All texts that the provider accepted.
        people: Everyone who was enrolled.
        replied: When each reply had been answered with success; a refused reply is none.
        bodies: What everyone gets who does not reply.

    Raises:
        ValueError: A text has another body, or went to somebody who was not enrolled.
    """
    counts: Counter[tuple[str, str]] = Counter()
    got: dict[str, set[str]] = defaultdict(set)
    after_reply = 0
    for text in texts:
        if text.body not in bodies or text.phone not in people:
            raise ValueError(f"nobody planned {text}")
        counts[text.phone, text.body] += 1
        got[text.phone].add(text.body)
        answered = replied.get(text.phone)
        after_reply += answered is not None and text.at > answered + GRACE_SECONDS
    return Judgment(
        twice=sum(count - 1 for count in counts.values()),
        lost=len(unfinished(got, people, replied, bodies)),
        after_reply=after_reply,
    )


def unfinished(
    got: Mapping[str, Collection[str]],
    people: Iterable[str],
    replied: Collection[str],
    bodies: Collection[str],
) -> list[str]:
    """Return the people who neither replied nor got every text."""
    return [
        phone for phone in people if phone not in replied and len(got.get(phone, ())) < len(bodies)
    ]
