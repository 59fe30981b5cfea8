"""The table of rules in docs/rules.md names only tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMED = sorted(
    set(
        re.findall(
            r"`((?:[a-z0-9_]+/)?test_\w+\.py)::(?:Test\w+::)?(test_\w+)`",
            (ROOT / "docs/rules.md").read_text(),
        )
    )
)


def test_the_table_names_tests() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_named_proof_exists(module: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / module).read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}
