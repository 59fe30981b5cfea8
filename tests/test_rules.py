"""README.md, docs/rules.md and docs/reliability.md cite only existing tests."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_CITED_TEST = re.compile(r"`((?:[a-z0-9_]+/)*test_\w+\.py)::(?:Test\w+::)?(test_\w+)`")
RULES, RELIABILITY = ((ROOT / f"docs/{name}.md").read_text() for name in ("rules", "reliability"))
README = (ROOT / "README.md").read_text()
CITED = sorted(
    {*_CITED_TEST.findall(RULES), *_CITED_TEST.findall(RELIABILITY), *_CITED_TEST.findall(README)}
)


def test_readme_quotes_the_promise_of_the_design() -> None:
    design = (ROOT / "docs/design.md").read_text()
    [promise] = re.findall(r"\*\*The promise\.\*\* (.*?)\n\n", design, re.DOTALL)
    quoted = " ".join(line.removeprefix("> ") for line in README.splitlines() if line[:2] == "> ")
    assert quoted == " ".join(promise.split())


def test_documents_cite_many_tests() -> None:
    assert len(_CITED_TEST.findall(RULES)) > 60
    assert len(_CITED_TEST.findall(RELIABILITY)) > 20
    assert len(_CITED_TEST.findall(README)) > 6


def test_every_row_about_others_cites_a_test() -> None:
    table = RELIABILITY.partition("## Where others fail\n")[2].partition("\n## ")[0]
    head, line, *rows = re.findall(r"^\|.*\|$", table, re.MULTILINE)
    assert len(rows) == 14, (head, line)
    assert [row for row in rows if not _CITED_TEST.search(row)] == []


@pytest.mark.parametrize(("module", "name"), CITED)
def test_cited_test_exists(module: str, name: str) -> None:
    tree = ast.parse((ROOT / "tests" / module).read_text())
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, functions)}
