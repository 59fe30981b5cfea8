"""What is measured: who is enrolled, what they are sent, who replies, and when a worker dies."""

from collections.abc import Sequence
from dataclasses import dataclass

TEXTS = ("Hi Ann, a word?", "Still interested?", "Last try.")
WAIT_SECONDS = 5
"""Between two texts of a person."""

SENDER = "+16285550100"
SENDS_AT_ONCE = 20
CREATE_SECONDS = 0.1
"""How long the provider takes for a text."""

REPLY_SECONDS = 1
"""From a person's first text to the reply."""

DOWN_SECONDS = 2
"""From the end of the worker to the start of the next."""

_REPLIES = 10  # one person in ten


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        phones: The people, each enrolled once, all by one request.
        kill: Whether the only worker is killed when half of the texts have been sent.
    """

    phones: Sequence[str]
    kill: bool = False

    @property
    def repliers(self) -> frozenset[str]:
        """The people who reply to their first text."""
        return frozenset(self.phones[::_REPLIES])

    @property
    def texts(self) -> int:
        """How many texts are sent if every reply is in time and nothing goes wrong."""
        return len(TEXTS) * (len(self.phones) - len(self.repliers)) + len(self.repliers)


def phones(first: int, count: int) -> list[str]:
    """Return numbers of people, from the ``first`` on."""
    return [f"+1212{2_000_000 + number}" for number in range(first, first + count)]
