"""Fixtures of the end-to-end tests: stacks of real processes, started once and shared."""

import asyncio
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.conftest import _PROMPT_TIMERS, _UNSAFE_BUT_FAST
from tests.e2e import histories
from tests.e2e.desks import add_log_tails, open_desk
from tests.e2e.people import Desk
from tests.e2e.stack import Stack, own_servers


@dataclass(frozen=True)
class StoppableServers:
    """A stack whose servers may be stopped and started again.

    Attributes:
        desk: A client of the stack.
        stack: The stack's programs.
        postgres: The stack's own server.
        temporal: The stack's own server, which keeps its state in a file.
    """

    desk: Desk
    stack: Stack
    postgres: EmbeddedPostgres
    temporal: TemporalServer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the programs' logs with a test that failed."""
    report = yield
    given = getattr(item, "funcargs", {})
    desk = given.get("desk") or getattr(given.get("stoppable"), "desk", None)
    if isinstance(desk, Desk):
        add_log_tails(report, desk)
    return report


@pytest.fixture(scope="package")
def desk(
    server_folder: Path,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    temporal_server: TemporalServer,
) -> Iterator[Desk]:
    """Start a stack on the shared servers; stop it after this folder, or it would go on polling."""
    with open_desk(server_folder, postgres_server, database_template, temporal_server) as desk:
        yield desk


@pytest.fixture(scope="module")
def stoppable(server_folder: Path) -> Iterator[StoppableServers]:
    """Start a stack on its own servers, for tests that stop them."""
    folder = Path(tempfile.mkdtemp(prefix="e2e-", dir=server_folder))
    folder.chmod(0o755)
    with (
        own_servers(folder, dynamic_config=_PROMPT_TIMERS, **_UNSAFE_BUT_FAST) as (
            postgres,
            temporal,
            url,
        ),
        Stack(folder, url, temporal.address, "default") as stack,
    ):
        desk = Desk(stack)
        yield StoppableServers(desk, stack, postgres, temporal)
        desk.close()
        asyncio.run(histories.check(stack, desk.private))
