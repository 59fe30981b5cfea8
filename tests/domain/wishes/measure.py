"""``python -m tests.domain.wishes.measure`` prints how well plain wishes are read."""

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.keywords import read

CORPORA = {
    f"round {number}": Path(__file__).with_name(f"round_{number}.tsv") for number in range(1, 7)
}
"""Texts with their labels. The rules were written by the first round; each later one was written
after them, read once, and only then used to better them (docs/reliability.md has both figures)."""

LABELS = ("opt_out", "unsure", "reply", "keyword_opt_out", "keyword_opt_in", "keyword_help")
"""What a text is, by a person's reading: a clear wish for no more texts, one that a person should
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
        precision: Of the texts that suppressed as plain wishes, how many are clear wishes.
        recall: Of the clear wishes, how many suppressed.
        false_opt_outs: Of the replies and the unsure ones, how many suppressed.
        caught: Of the clear wishes, how many suppressed or are put before a person.
        reviewed: Of the replies, how many a person has to read for nothing.
    """

    counts: Counter[tuple[str, str]]
    precision: float
    recall: float
    caught: float
    false_opt_outs: float
    reviewed: float


def examples(path: Path) -> list[Example]:
    """Read the texts of a file, and take each for something."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Example(label, text, outcome(text)) for label, text in rows]


def outcome(text: str) -> str:
    """Say what a text is taken for, in the words of the labels."""
    reading = read(text)
    if reading.keyword is not None:
        return f"keyword_{reading.keyword.value}"
    return reading.wish.value if reading.wish is not None else "reply"


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
    """Write it all down as docs/reliability.md has it."""
    read_by_corpus = {name: examples(path) for name, path in CORPORA.items()}
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


if __name__ == "__main__":
    sys.stdout.write(table())
    for name, path in CORPORA.items():
        for one in examples(path):
            if one.label != one.outcome:
                sys.stderr.write(f"{name}: {one.label} taken for {one.outcome}: {one.text}\n")
