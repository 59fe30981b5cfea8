"""README.md, docs/rules.md and docs/reliability.md cite many tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
_CITED_TEST = re.compile(r"`((?:[a-z0-9_]+/)*test_\w+\.py)::(?:Test\w+::)?(test_\w+)`")
RULES, RELIABILITY = ((ROOT / f"docs/{name}.md").read_text() for name in ("rules", "reliability"))
README = (ROOT / "README.md").read_text()


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
