"""``python -m tests.domain.suppression.intent.measure`` prints how well opt-out intent is read.

Of the held-out sets it prints figures alone: nobody is to write anything by their texts.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from domain.suppression.keywords import read
from domain.suppression.opt_out_intent import MODEL, read_intent
from tests.domain.suppression.intent.corpora import HELD_OUT, ROUNDS, rows

LABELS = ("opt_out", "unsure", "reply", "keyword_opt_out", "keyword_opt_in", "keyword_help")
"""What a text is, by a person's reading: a clear opt-out, one that a person should
read, any other; or a keyword."""


@dataclass(frozen=True)
class Example:
    """A text, what it is and what it was taken for."""

    label: str
    text: str
    outcome: str


@dataclass(frozen=True)
class Figures:
    """How well some texts were read.

    Attributes:
        counts: By label and outcome.
        precision: Of the texts that opted out, how many are clear opt-outs.
        recall: Of the clear opt-outs, how many opted out.
        false_opt_outs: Of the replies and the unsure ones, how many suppressed.
        caught: Of the clear opt-outs, how many opted out or are put before a person.
        reviewed: Of the replies, how many a person has to read for nothing.
    """

    counts: Counter[tuple[str, str]]
    precision: float
    recall: float
    caught: float
    false_opt_outs: float
    reviewed: float


@cache
def examples(path: Path) -> Sequence[Example]:
    """Read the texts of a file, and take each for something."""
    return [Example(label, text, outcome(text)) for label, text in rows(path)]


def outcome(text: str, likelihood: Callable[[str], float] = MODEL.likelihood) -> str:
    """Say what a text is taken for, in the words of the labels."""
    keyword = read(text).keyword
    if keyword is not None:
        return f"keyword_{keyword.value}"
    intent = read_intent(text, likelihood)
    return intent.value if intent is not None else "reply"


def figures(found: Sequence[Example]) -> Figures:
    """Count."""
    counts = Counter((one.label, one.outcome) for one in found)
    totals = Counter(one.label for one in found)
    right = counts["opt_out", "opt_out"]
    wrong = counts["reply", "opt_out"] + counts["unsure", "opt_out"]
    return Figures(
        counts,
        precision=right / (right + wrong),
        recall=right / totals["opt_out"],
        caught=(right + counts["opt_out", "unsure"]) / totals["opt_out"],
        false_opt_outs=wrong / (totals["reply"] + totals["unsure"]),
        reviewed=counts["reply", "unsure"] / totals["reply"],
    )


def table() -> str:
    """Write down the rounds as docs/reliability.md has them."""
    read_by_corpus = {name: examples(path) for name, path in ROUNDS.items()}
    read_by_corpus["all"] = [one for found in read_by_corpus.values() for one in found]
    lines = [
        "| label | number | opted out | to review | reply | keyword |",
        "|---|---|---|---|---|---|",
    ]
    counts = figures(read_by_corpus["all"]).counts
    for label in LABELS:
        cells = [counts[label, outcome] for outcome in ("opt_out", "unsure", "reply")]
        total = sum(number for (of, _), number in counts.items() if of == label)
        lines.append(
            f"| {label} | {total} | {' | '.join(map(str, cells))} | {total - sum(cells)} |"
        )
    lines += [
        "",
        "| texts | number | precision | recall | caught | false opt-outs | reviewed for nothing |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in read_by_corpus.items():
        got = figures(found)
        lines.append(
            f"| {name} | {len(found)} | {got.precision:.1%} | {got.recall:.1%} |"
            f" {got.caught:.1%} | {got.false_opt_outs:.1%} | {got.reviewed:.1%} |"
        )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Outcomes:
    """How texts were taken that somebody labeled who had never seen the rules.

    Attributes:
        counts: By label (``opt_out``, ``human``, ``reaction``, ``auto_reply``) and outcome:
            ``opted out``, ``review`` or ``neither``.
    """

    counts: Counter[tuple[str, str]]

    def of(self, label: str) -> int:
        """How many texts have a label."""
        return sum(number for (labeled, _), number in self.counts.items() if labeled == label)

    def share(self, label: str, *outcomes: str) -> float:
        """Return which share of a label's texts had one of the outcomes."""
        return sum(self.counts[label, one] for one in outcomes) / max(self.of(label), 1)

    def __add__(self, other: "Outcomes") -> "Outcomes":
        """Count both."""
        return Outcomes(self.counts + other.counts)


def outcomes(
    labeled: Sequence[tuple[str, str]], likelihood: Callable[[str], float] = MODEL.likelihood
) -> Outcomes:
    """Count how labeled texts are taken."""
    taken = {"opt_out": "opted out", "keyword_opt_out": "opted out", "unsure": "review"}
    return Outcomes(
        Counter((label, taken.get(outcome(text, likelihood), "neither")) for label, text in labeled)
    )


_BLIND_COLUMNS = (
    *("texts", "clear opt-outs", "flagged", "opted out at once"),
    *("human answers", "in review", "opted out"),
    *("reactions, auto-replies", "in review", "opted out"),
)


def blind_table(found: Mapping[str, Outcomes]) -> str:
    """Write down sets of texts by writers who had never seen the rules, and their sum."""
    found = {**found, "all": sum(found.values(), Outcomes(Counter()))}
    lines = [
        f"| {' | '.join(_BLIND_COLUMNS)} |",
        f"|{'---|' * len(_BLIND_COLUMNS)}",
    ]
    for name, one in found.items():
        machines = [
            sum(one.counts[label, taken] for label in ("reaction", "auto_reply"))
            for taken in ("review", "opted out")
        ]
        lines.append(
            f"| {name} | {one.of('opt_out')} | {one.share('opt_out', 'opted out', 'review'):.1%}"
            f" | {one.share('opt_out', 'opted out'):.1%} | {one.of('human')}"
            f" | {one.share('human', 'review'):.1%} | {one.counts['human', 'opted out']}"
            f" | {one.of('reaction') + one.of('auto_reply')} | {machines[0]} | {machines[1]} |"
        )
    return "\n".join(lines) + "\n"


def held_out() -> dict[str, Outcomes]:
    """Read the sets that nothing was written or trained by."""
    return {name: outcomes(rows(path)) for name, path in HELD_OUT.items()}


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n{blind_table(held_out())}")
    for name, path in ROUNDS.items():
        for one in examples(path):
            if one.label != one.outcome:
                sys.stderr.write(f"{name}: {one.label} taken for {one.outcome}: {one.text}\n")
