"""Start a stack of our processes in its own database and namespace."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.e2e import histories
from tests.e2e.people import Desk
from tests.e2e.stack import Stack
from tests.kits.fork_server import fork_server
from tests.kits.namespaces import make_namespace

_TAIL_LINES = 40


@contextmanager
def open_desk(
    folder: Path, postgres: EmbeddedPostgres, template: str, temporal: TemporalServer
) -> Iterator[Desk]:
    """Run a stack on shared servers.

    At the end, search every workflow history of the stack for personal data.
    """
    fork_server()  # which imports meanwhile
    name = f"e2e-{uuid4().hex[:8]}"
    make_namespace(temporal.address, name)
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(clone.format(*map(sql.Identifier, (name, template))))
        logs = Path(tempfile.mkdtemp(prefix="e2e-", dir=folder))
        with Stack(logs, postgres.url(name), temporal.address, name) as stack:
            desk = Desk(stack)
            yield desk
            desk.close()
            asyncio.run(histories.check(stack, desk.private))
        connection.execute(drop.format(sql.Identifier(name)))


def add_log_tails(report: pytest.TestReport, desk: Desk) -> None:
    """Add the ends of the programs' logs to the report of a failed test."""
    if not report.failed:
        return
    for part in (desk.stack.api, desk.stack.worker, desk.stack.simulator):
        if not part.log.exists():  # the stack was stopped already
            continue
        lines = part.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        report.sections.append((f"{part.name}'s log", "\n".join(lines)))
