"""Real servers for the tests: PostgreSQL and Temporal, started once and shared.

Under xdist every worker process starts its own, so nothing is shared between processes.
"""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_socket
from psycopg import sql

from settings import (
    ApiSettings,
    Settings,
    StandaloneSettings,
    WorkerSettings,
    child_environment,
)
from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer

ROOT = Path(__file__).resolve().parent.parent

# Nothing in a test database outlives the test run, so nothing has to reach the disk.
_CARELESS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

# Timers are looked at every second otherwise.
_PROMPT_TIMERS = {"history.timerProcessorMaxTimeShift": '"20ms"'}

_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Keep what the person at this machine has set up, for a cluster perhaps, out of the tests."""
    for name in list(os.environ):
        if name.startswith(("TEMPORAL_", "PG")):
            del os.environ[name]
    for kind in (Settings, WorkerSettings, ApiSettings, StandaloneSettings):
        kind.model_config["env_file"] = None


def pytest_runtest_setup() -> None:
    """Keep every test on this machine."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A short-lived folder for the servers' files.

    Not pytest's own: when we are root, PostgreSQL runs as somebody else and must get through.
    """
    folder = Path(tempfile.mkdtemp(prefix="segue-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server, fast and careless about crashes."""
    server = EmbeddedPostgres(server_folder / "postgres", free_port(), options=_CARELESS)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database_template(server_folder: Path, postgres_server: EmbeddedPostgres) -> str:
    """The name of a database with all migrations applied, to be cloned and never connected to."""
    name = "segue_template"
    postgres_server.create_database(name)
    subprocess.run(
        [sys.executable, "-m", "alembic", "--config", str(ROOT / "alembic.ini"), "upgrade", "head"],
        check=True,
        cwd=server_folder,  # where no .env is
        env=child_environment({"DATABASE_URL": postgres_server.url(name)}),
    )
    return name


@pytest.fixture
def database_url(postgres_server: EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """The SQLAlchemy address of a fresh, migrated database that lives as long as the test."""
    name = f"test_{next(_numbers)}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(clone.format(sql.Identifier(name), sql.Identifier(database_template)))
        yield postgres_server.url(name).replace("postgresql://", "postgresql+psycopg://", 1)
        connection.execute(drop.format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def temporal_server(server_folder: Path) -> Iterator[TemporalServer]:
    """A Temporal dev server in memory, with prompt timers; its `address` is host and port."""
    server = TemporalServer(
        None,
        free_port(),
        None,
        dynamic_config=_PROMPT_TIMERS,
        log=server_folder / "temporal.log",
    )
    server.start()
    yield server
    server.stop()
