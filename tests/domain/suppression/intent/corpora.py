"""The labeled texts that opt-out intent is written by, trained by and measured on."""

import csv
import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent

ROUNDS = {f"round {number}": FOLDER / f"round_{number}.tsv" for number in range(1, 7)}
"""The rules were written by the first round; each later one was written after them, read once, and
only then used to better them (docs/reliability.md has both figures)."""

WRITERS = {
    "rounds 1 to 4": [FOLDER / f"round_{number}.tsv" for number in range(1, 5)],
    "rounds 5 and 6": [FOLDER / f"round_{number}.tsv" for number in (5, 6)],
    "short phrases": [FOLDER / "training_6.tsv"],
    **{
        f"writer {number}": [FOLDER / f"training_{number}.tsv"]
        for number in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)
    },
}
"""What the model learns from, by who wrote it."""

BLIND = [f"writer {number}" for number in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14)]
"""The writers who had never seen the rules."""

MACHINES = FOLDER / "machines.tsv"
"""Reactions and automatic answers by the authors of ``machine_marks.toml``: made to be taken for
requests, for testing alone. Trained with them, the model knew people's requests less well."""

HELD_OUT = {f"held-out set {number}": FOLDER / f"held_out_{number}.tsv" for number in (9, 10)}
"""Texts by two more writers, for measuring alone: nothing is written, tuned or trained by them.

Sets 1 to 8 were used up, and are the texts of writers 7 to 14 now.
"""


@cache
def rows(path: Path) -> list[tuple[str, str]]:
    r"""Read the labels and texts of a file; ``\n`` stands for a line break."""
    with path.open(newline="", encoding="utf-8") as lines:
        read = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(label, text.replace("\\n", "\n")) for label, text in read]


def digest() -> str:
    """Return a checksum of all that the model learns from."""
    whole = hashlib.sha256()
    for paths in WRITERS.values():
        for path in paths:
            whole.update(path.read_bytes())
    return whole.hexdigest()
