"""``python -m tests.domain.suppression.intent.train`` writes the weights of ``opt_out_model``.

The same texts and the same release of scikit-learn give the same weights.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sklearn
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression

from domain.suppression.ngrams import ngrams
from domain.suppression.opt_out_model import FILE, Model, written
from tests.domain.suppression.intent.corpora import BLIND, WRITERS, digest, rows

ASKS = {
    "opt_out": 1.0,
    "unsure": 0.5,
    **dict.fromkeys(("human", "reply", "reaction", "auto_reply"), 0.0),
}
"""How far a text of a label asks for no more texts. Keywords are not the model's matter."""

SEEN = 2
"""An n-gram that only one text has says something about that text alone."""

WEIGHED = 18_000
"""The n-grams that stay, those with the greatest weights: the file has to remain small."""

STRENGTH = 25.0
"""The inverse of the regularization; cross-validation found no difference from 10 to 100."""


@dataclass(frozen=True)
class Text:
    """A text of the training.

    Attributes:
        writer: A key of ``WRITERS``.
        label: What it is.
        body: The text.
        ngrams: What it consists of.
    """

    writer: str
    label: str
    body: str
    ngrams: frozenset[str]

    @property
    def asks(self) -> float:
        """How far it asks for no more texts."""
        return ASKS[self.label]


def texts() -> list[Text]:
    """Read what the model learns from."""
    return [
        Text(writer, label, body, frozenset(ngrams(body)))
        for writer, paths in WRITERS.items()
        for path in paths
        for label, body in rows(path)
        if label in ASKS
    ]


def fitted(learned: Sequence[Text]) -> Model:
    """Fit weights to texts, not yet calibrated."""
    vectorizer = DictVectorizer(dtype=np.float64)
    present = vectorizer.fit_transform([dict.fromkeys(text.ngrams, 1.0) for text in learned])
    kept = np.flatnonzero(np.asarray(present.sum(axis=0)).ravel() >= SEEN)
    first = _regression(present[:, kept], learned)
    heaviest = np.argsort(-np.abs(first.coef_[0]), kind="stable")[:WEIGHED]
    kept = kept[np.sort(heaviest)]
    second = _regression(present[:, kept], learned)
    names = vectorizer.get_feature_names_out()[kept]
    return _model(float(second.intercept_[0]), zip(names, second.coef_[0], strict=True))


def _regression(present: csr_matrix, learned: Sequence[Text]) -> LogisticRegression:
    sizes = np.maximum(np.asarray(present.sum(axis=1)).ravel(), 1.0)
    scaled = present.multiply(1 / np.sqrt(sizes)[:, None]).tocsr()
    model = LogisticRegression(C=STRENGTH, solver="liblinear", max_iter=1000, random_state=0)
    # An unsure text counts as one that asks and one that does not, with half the weight each.
    asks = np.array([text.asks for text in learned])
    weights = np.concatenate([asks, 1 - asks])
    counts = weights > 0
    answers = np.concatenate([np.ones(len(asks)), np.zeros(len(asks))])
    return model.fit(vstack([scaled, scaled]).tocsr()[counts], answers[counts], weights[counts])


def _model(intercept: float, weights: Iterable[tuple[str, float]]) -> Model:
    rounded = ((str(name), round(100 * weight)) for name, weight in weights)
    return Model(round(100 * intercept), {name: weight for name, weight in rounded if weight})


def without_each(learned: Sequence[Text]) -> dict[str, Model]:
    """Return for each blind writer a model fitted to the others' texts alone."""
    return {writer: fitted([text for text in learned if text.writer != writer]) for writer in BLIND}


def calibration(learned: Sequence[Text], unseen: Mapping[str, Model]) -> tuple[float, float]:
    """Return the slope and the offset that make log-odds of unseen writers' texts true (Platt)."""
    told = [text for text in learned if text.writer in unseen]
    odds = [[unseen[text.writer].log_odds(text.ngrams)] for text in told]
    line = LogisticRegression(C=1e6).fit(odds, [text.asks > 0 for text in told])
    return float(line.coef_[0][0]), float(line.intercept_[0])


def calibrated(model: Model, slope: float, offset: float) -> Model:
    """Return a model whose log-odds are those of another on a line."""
    weights = ((name, slope * weight / 100) for name, weight in model.weights.items())
    return _model(slope * model.intercept / 100 + offset, weights)


if __name__ == "__main__":
    learned = texts()
    line = calibration(learned, without_each(learned))
    facts = {"texts": str(len(learned)), "learned": digest(), "scikit-learn": sklearn.__version__}
    FILE.write_text(written(calibrated(fitted(learned), *line), facts), encoding="utf-8")
