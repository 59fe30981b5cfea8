"""How well kinds of texts are told, on sets by people who had not seen the rules."""

from pathlib import Path

import pytest

from domain.statuses.messaging import TextKind
from tests.domain.suppression.kinds.measure import SETS, share, table, texts

RELIABILITY = Path(__file__).resolve().parents[3] / "docs" / "reliability.md"


@pytest.mark.parametrize("name", SETS)
def test_under_one_in_a_hundred_human_texts_is_taken_for_a_machines(name: str) -> None:
    assert 1 - share(name, TextKind.HUMAN, TextKind.HUMAN) < 0.01


def test_kinds_are_told_as_documented() -> None:
    assert sum(len(texts(name)) for name in SETS) >= 400
    assert table() in RELIABILITY.read_text()
