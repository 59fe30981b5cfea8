"""Processor time, rows written, and lines of code."""

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import psutil
import psycopg

_PARTS = {"postgres": "postgresql", "temporal": "engine", "redis-server": "engine"}
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}

_ROWS = """
    SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables
"""


def cpu_seconds() -> Counter[str]:
    """Return the processor time of our descendants so far, in seconds.

    By part: ``postgresql``, ``engine`` (Temporal or Redis), and ``programs``, the workers and web
    applications. The simulator's is left out. A process's time includes that of its children which
    have ended, unless it has ended itself.
    """
    spent: Counter[str] = Counter()
    for process in psutil.Process().children(recursive=True):
        try:
            name, words, times = process.name(), process.cmdline(), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        if "simulator" not in words:
            spent[_PARTS.get(name, "programs")] += sum(times[:4])
    return spent


def rows_written(database_url: str) -> int:
    """Return how many rows have been inserted, updated and deleted, as statistics have it.

    A connection that is in use reports at most once a second.
    """
    with psycopg.connect(database_url) as connection:
        row = connection.execute(_ROWS).fetchone()
    return int(row[0]) if row else 0


def code_lines(files: Iterable[Path]) -> int:
    """Count the lines of modules without blank ones, comments and docstrings."""
    return sum(_code_lines(file.read_text(encoding="utf-8")) for file in files)


def _code_lines(source: str) -> int:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and ast.get_docstring(node) is not None:
                lines.difference_update(range(first.lineno, (first.end_lineno or 0) + 1))
    return len(lines)
