"""The tables in README.md, docs/rules.md and docs/reliability.md name only tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_PROOF = re.compile(r"`((?:[a-z0-9_]+/)*test_\w+\.py)::(?:Test\w+::)?(test_\w+)`")
RULES, RELIABILITY = ((ROOT / f"docs/{name}.md").read_text() for name in ("rules", "reliability"))
README = (ROOT / "README.md").read_text()
NAMED = sorted({*_PROOF.findall(RULES), *_PROOF.findall(RELIABILITY), *_PROOF.findall(README)})


def test_readme_promises_what_the_design_does() -> None:
    design = (ROOT / "docs/design.md").read_text()
    [promise] = re.findall(r"\*\*The promise\.\*\* (.*?)\n\n", design, re.DOTALL)
    quoted = " ".join(line.removeprefix("> ") for line in README.splitlines() if line[:2] == "> ")
    assert quoted == " ".join(promise.split())


def test_the_tables_name_tests() -> None:
    assert len(_PROOF.findall(RULES)) > 60
    assert len(_PROOF.findall(RELIABILITY)) > 20
    assert len(_PROOF.findall(README)) > 6


def test_every_weakness_of_others_has_its_proof() -> None:
    table = RELIABILITY.partition("## Where others fail\n")[2].partition("\n## ")[0]
    head, line, *rows = re.findall(r"^\|.*\|$", table, re.MULTILINE)
    assert len(rows) == 14, (head, line)
    assert [row for row in rows if not _PROOF.search(row)] == []


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_named_proof_exists(module: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / module).read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}
