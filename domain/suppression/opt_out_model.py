"""How likely a text asks for no more texts: a linear model over its words and letters.

``opt_out_model.tsv`` holds the weights. ``python -m tests.domain.suppression.intent.train`` writes
it from the labeled texts; nothing else does, so the same text is always read the same.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.suppression.ngrams import ngrams

FILE = Path(__file__).with_name("opt_out_model.tsv")
FORMAT = "opt-out-model-1"
INTERCEPT = "intercept"


class ModelFileError(Exception):
    """The file of weights is not what the training wrote."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{FILE.name}: {reason}; restore the file or run "
            "python -m tests.domain.suppression.intent.train"
        )


@dataclass(frozen=True)
class Model:
    """A logistic regression, its numbers in hundredths.

    Attributes:
        intercept: The log-odds of a text without any known n-gram.
        weights: What each known n-gram adds, divided by the root of how many of them a text has.
    """

    intercept: int
    weights: Mapping[str, int]

    def likelihood(self, body: str) -> float:
        """Return how likely a text asks for no more texts, from 0 to 1.

        Calibrated for texts of which about two in five ask, as the training texts do: fewer do in
        real traffic, so it ranks texts rather than counting them.
        """
        return (1 + math.tanh(self.log_odds(ngrams(body)) / 2)) / 2

    def log_odds(self, found: Iterable[str]) -> float:
        """Return the same as log-odds, for a text that consists of these n-grams."""
        known = [weight for ngram in found if (weight := self.weights.get(ngram))]
        total = sum(known) / math.sqrt(len(known)) if known else 0.0
        return (self.intercept + total) / 100


def parsed(text: str) -> Model:
    """Read a file of weights.

    Raises:
        ModelFileError: It is of another format, cut off or changed by hand.
    """
    head, _, body = text.partition("\n\n")
    facts = dict(line.split("\t", 1) for line in head.split("\n") if "\t" in line)
    if facts.get("format") != FORMAT:
        raise ModelFileError(f"the format is not {FORMAT}")
    if facts.get("sha256") != _digest(body):
        raise ModelFileError("the weights do not match their checksum")
    lines = (line.split("\t") for line in body.rstrip("\n").split("\n"))
    weights = {ngram: int(weight) for weight, ngram in lines}
    return Model(weights.pop(INTERCEPT), weights)


def written(model: Model, facts: Mapping[str, str]) -> str:
    """Write a file of weights, with facts about its training before them."""
    weights = {INTERCEPT: model.intercept, **model.weights}
    body = "".join(f"{weight}\t{ngram}\n" for ngram, weight in sorted(weights.items()))
    head = {"format": FORMAT, **facts, "sha256": _digest(body)}
    return "".join(f"{name}\t{value}\n" for name, value in head.items()) + "\n" + body


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
