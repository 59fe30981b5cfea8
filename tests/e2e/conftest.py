"""The stacks of the end-to-end tests: real processes on real servers, started once and shared."""

import asyncio
import itertools
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.conftest import _CARELESS, _PROMPT_TIMERS
from tests.e2e import histories
from tests.e2e.people import Desk
from tests.e2e.stack import DATABASE, Stack, make_namespace, own_servers

_TAIL_LINES = 40
_stacks = itertools.count(1)


@dataclass(frozen=True)
class Fragile:
    """A stack whose servers may be stopped and started again.

    Attributes:
        desk: To work with it.
        stack: Its programs.
        postgres: Its own.
        temporal: Its own, which keeps its state in a file.
    """

    desk: Desk
    stack: Stack
    postgres: EmbeddedPostgres
    temporal: TemporalServer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the programs' last words with a test that failed."""
    report = yield
    given = getattr(item, "funcargs", {})
    desk = given.get("desk") or getattr(given.get("fragile"), "desk", None)
    if report.failed and isinstance(desk, Desk):
        for part in (desk.stack.api, desk.stack.worker, desk.stack.simulator):
            lines = part.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            report.sections.append((f"{part.name}'s log", "\n".join(lines)))
    return report


@pytest.fixture(scope="session")
def desk(
    server_folder: Path,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    temporal_server: TemporalServer,
) -> Iterator[Desk]:
    """A stack on the shared servers, in a database and a namespace of its own.

    When it is over, every workflow history it made is searched for what must not be in there.
    """
    namespace = f"e2e-{next(_stacks)}"
    make_namespace(temporal_server.address, namespace)
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(clone.format(*map(sql.Identifier, (DATABASE, database_template))))
        folder = Path(tempfile.mkdtemp(prefix="e2e-", dir=server_folder))
        url = postgres_server.url(DATABASE)
        with Stack(folder, url, temporal_server.address, namespace) as stack:
            desk = Desk(stack)
            yield desk
            desk.close()
            asyncio.run(histories.check(stack, desk.private))
        connection.execute(drop.format(sql.Identifier(DATABASE)))


@pytest.fixture(scope="module")
def fragile(server_folder: Path) -> Iterator[Fragile]:
    """A stack on servers of its own, for tests that stop them."""
    folder = Path(tempfile.mkdtemp(prefix="e2e-", dir=server_folder))
    folder.chmod(0o755)
    with (
        own_servers(folder, dynamic_config=_PROMPT_TIMERS, **_CARELESS) as (
            postgres,
            temporal,
            url,
        ),
        Stack(folder, url, temporal.address, "default") as stack,
    ):
        desk = Desk(stack)
        yield Fragile(desk, stack, postgres, temporal)
        desk.close()
        asyncio.run(histories.check(stack, desk.private))
