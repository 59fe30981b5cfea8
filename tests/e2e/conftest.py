"""The stacks of the end-to-end tests: real processes on real servers, started once and shared."""

import asyncio
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.conftest import _CARELESS, _PROMPT_TIMERS
from tests.e2e import histories
from tests.e2e.desks import add_last_words, open_desk
from tests.e2e.people import Desk
from tests.e2e.stack import Stack, own_servers


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
    if isinstance(desk, Desk):
        add_last_words(report, desk)
    return report


@pytest.fixture(scope="session")
def desk(
    server_folder: Path,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    temporal_server: TemporalServer,
) -> Iterator[Desk]:
    """A stack on the shared servers."""
    with open_desk(server_folder, postgres_server, database_template, temporal_server) as desk:
        yield desk


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
