r"""``python -m tests.domain.suppression.kinds.measure`` prints how well kinds of texts are told.

Each set was written and labeled by somebody who had not seen the rules. A line is a label, the text
of ours that a reaction quotes, and the text, with tabs between; ``\n`` stands for a line break.
"""

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from domain.statuses.messaging import TextKind
from domain.suppression.keywords import read

SETS = {name: Path(__file__).with_name(f"set_{name}.tsv") for name in ("a", "b")}


@dataclass(frozen=True)
class Labeled:
    """A text, what it is, and the text of ours that it quotes, if any."""

    label: TextKind
    quoted: str
    body: str


@cache
def texts(name: str) -> Sequence[Labeled]:
    """Read a set."""
    with SETS[name].open(newline="", encoding="utf-8") as lines:
        found = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            Labeled(TextKind(label), quoted.replace("\\n", "\n"), body.replace("\\n", "\n"))
            for label, quoted, body in found
        ]


def told(text: Labeled) -> TextKind:
    """Say what a text is taken for, if we sent what it quotes, and pictures."""
    reading = read(text.body)
    if reading.reaction is None or reading.reaction.quoted is None:
        return reading.kind
    is_ours = bool(text.quoted) and reading.reaction.is_about(text.quoted)
    return TextKind.REACTION if is_ours else TextKind.HUMAN


@cache
def counts(name: str) -> Counter[tuple[TextKind, TextKind]]:
    """Count a set's texts by label and by what they are taken for."""
    return Counter((text.label, told(text)) for text in texts(name))


def share(name: str, label: TextKind, kind: TextKind) -> float:
    """Return how many of a label's texts are taken for a kind, 0 to 1."""
    of_label = sum(number for (one, _), number in counts(name).items() if one is label)
    return counts(name)[label, kind] / of_label


def table() -> str:
    """Write the figures of all sets as docs/reliability.md has them."""
    human, reaction, automatic = TextKind.HUMAN, TextKind.REACTION, TextKind.AUTO_REPLY
    lines = [
        (
            "| set | human texts | taken for a machine's"
            " | reactions | told | automatic replies | told |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for name in SETS:
        of = Counter(text.label for text in texts(name))
        wrong = counts(name)[human, reaction] + counts(name)[human, automatic]
        lines.append(
            f"| {name.upper()} | {of[human]} | {wrong} ({wrong / of[human]:.1%}) | {of[reaction]}"
            f" | {share(name, reaction, reaction):.1%} | {of[automatic]}"
            f" | {share(name, automatic, automatic):.1%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
