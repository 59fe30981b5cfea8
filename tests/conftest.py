"""Real servers for the tests: PostgreSQL and Temporal, started once and shared.

Under xdist every worker process starts a PostgreSQL server of its own. All share one fork
server and one Temporal server, each in its own namespaces.
"""

import asyncio
import gc
import logging
import os
import shutil
import sys
import tempfile
from collections import UserDict
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
import pytest_socket
import uvloop
from psycopg import sql
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from observability import logs
from services.access import passwords
from settings import (
    ApiSettings,
    Settings,
    StandaloneSettings,
    WorkerSettings,
)
from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from standalone.processes import wait_ready, wait_until
from standalone.temporal import TemporalServer
from storage.platform import database
from storage.schema import METADATA
from tests.fakes import Machine
from tests.kits import fork_server, postgres
from tests.kits.clock import PASS_TIME
from tests.kits.connections import close_all, creator
from tests.kits.namespaces import make_namespace
from tests.kits.postgres import TEMPLATE, copied_postgres
from tests.kits.programs import Start, starting

_SHARED = "segue_shared"
"""The database of all tests that do not need one of their own."""

# No test database outlives the test run, so nothing has to reach the disk.
_UNSAFE_BUT_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Tests order transactions by the times of their commits.
    "track_commit_timestamp": "on",
}

# By default timers are checked every second.
_PROMPT_TIMERS = {"history.timerProcessorMaxTimeShift": '"20ms"'}

_SHARED_BY_WORKERS = pytest.StashKey[dict[str, object]]()
"""What the workers of xdist are told: where the servers are that they share."""

_COMPILED = Path(__file__).parent / "domain" / "__pycache__"
"""Is there if tests were collected before."""

_EMPTY = """
    -- Disable the triggers that guard rows that are never deleted.
    SET session_replication_role = replica;

    CREATE FUNCTION pg_temp.empty() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        -- A connection that a test left in the middle of something would hold its locks.
        PERFORM pg_terminate_backend(pid, 1000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND (
                state <> 'idle' OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')
            );
{}
    END $$
"""
_EMPTY_TABLE = """
        IF EXISTS (SELECT FROM {table}) THEN
            -- TRUNCATE is slower for few rows, but deleted rows slow later reads.
            IF pg_relation_size('{table}') > 500000 THEN TRUNCATE {table} CASCADE;
            ELSE DELETE FROM {table};
            END IF;
        END IF;
"""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the environment and .env of this machine out of the tests."""
    if hasattr(config, "workerinput"):
        fork_server.share(Path(config.workerinput["fork_socket"]))
        postgres.share(Path(config.workerinput["postgres_folder"]))
    for name in list(os.environ):
        if name.startswith(("TEMPORAL_", "PG")):
            del os.environ[name]
    for kind in (Settings, WorkerSettings, ApiSettings, StandaloneSettings):
        kind.model_config["env_file"] = None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Exclude the objects of the collection from garbage collection: they live until the end.

    Afterwards collect more rarely than by default: with so many objects it takes a tenth of the
    processor time.
    """
    given = getattr(session.config, "workerinput", {})
    if given.get("first_compiles") and given["workerid"] != "gw0":
        first = Path(given["fork_socket"])
        wait_until(first.exists, seconds=300, failure="the first worker collected no tests")
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        gc.enable()


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests on the event loop of the worker and the API."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_xdist_auto_num_workers() -> int:
    """Return two more than the processors: half of the time, tests wait for programs and timers."""
    return (os.cpu_count() or 1) + 2


_WAITS = (
    "tests/browser 1",
    "tests/chaos/test_chaos.py",
    "tests/e2e 1",
    "tests/browser 2",
    "tests/workflows/",
    "tests/e2e 2",
    "tests/test_",
    "tests/standalone/",
    "tests/observability/",
    "tests/contracts/",
)
"""Tests that mostly wait for processes, servers or timers; longest first."""

_WAITS_END = 0.7
"""After this share of the run, only short tests that do not wait are left."""

_SECOND_STACKS = {
    "tests/browser": ("test_every", "test_contacts_tab", "test_finding", "test_lists", "test_over"),
    "tests/e2e": ("test_provider", "test_life", "test_api_docs"),
}
"""Folders whose tests share a stack, and the modules that get a second one."""


def _together(nodeid: str) -> str:
    """Name the group that one worker runs: a file, or all tests that share a stack."""
    file = nodeid.split("::", 1)[0]
    folder, _, module = file.rpartition("/")
    second = _SECOND_STACKS.get(folder)
    if second is None:
        return file
    return f"{folder} {2 if module.startswith(second) else 1}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests that wait among the others, so that no processor is idle."""
    scopes = list(dict.fromkeys(_together(item.nodeid) for item in items))
    waits = [one for name in _WAITS for one in scopes if one.startswith(name)]
    works = [one for one in scopes if one not in waits]
    turns = {one: at / len(works) for at, one in enumerate(works)}
    turns |= {one: _WAITS_END * at / len(waits) for at, one in enumerate(waits)}
    items.sort(key=lambda item: turns[_together(item.nodeid)])


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Launch the Temporal server of all workers, which wait for it when they need it."""
    folder = tempfile.TemporaryDirectory(prefix="segue-workers-")
    config.add_cleanup(folder.cleanup)
    server = _temporal(free_port(), Path(folder.name))
    config.add_cleanup(server.stop)
    server.launch()
    config.stash[_SHARED_BY_WORKERS] = {
        "temporal_port": server.port,
        "fork_socket": f"{folder.name}/forks",
        "postgres_folder": f"{folder.name}/postgres",
        # In a new clone each would compile everything; meanwhile the types are checked.
        "first_compiles": not sys.dont_write_bytecode and not _COMPILED.exists(),
    }


def pytest_configure_node(node: WorkerController) -> None:
    """Tell a worker of xdist where the servers of all workers are."""
    node.workerinput.update(node.config.stash[_SHARED_BY_WORKERS])


def pytest_xdist_node_collection_finished(node: WorkerController) -> None:
    """Start the fork server of all workers, when one of them has compiled what it imports."""
    socket_file = Path(node.workerinput["fork_socket"])
    if not socket_file.exists():
        fork_server.serve(socket_file)


class _ByServers(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Distributes the groups that ``_together`` names."""

    def _split_scope(self, nodeid: str) -> str:
        return _together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Replace the groups of `--dist loadfile` by ours."""
    return _ByServers(config, log) if config.getvalue("dist") == "loadfile" else None


_LOCAL = {"localhost": {"127.0.0.1", "::1"}}
"""So that it is not looked up for each test."""


def pytest_runtest_setup() -> None:
    """Block connections to other machines."""
    pytest_socket.socket_allow_hosts(
        ["127.0.0.1", "::1", "localhost"], allow_unix_socket=True, resolution_cache=_LOCAL
    )


@pytest.fixture(scope="session", autouse=True)
def _quick_hashes() -> Iterator[None]:
    """Make password hashing fast, and requests without a network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "PasswordHasher", fork_server.QUICK_HASHER)
        # Not installed, and httpx looks for it in all folders at each request.
        patch.setitem(sys.modules, "sniffio", None)
        yield


class _CompiledForAll(UserDict[tuple[Any, ...], object]):
    """Compiled statements, shared by all engines, whose dialects are alike."""

    def __getitem__(self, key: tuple[Any, ...]) -> object:
        return self.data[key[1:]]

    def __setitem__(self, key: tuple[Any, ...], compiled: object) -> None:
        self.data[key[1:]] = compiled

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and key[1:] in self.data


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Compile each statement once, although every test has its own engine."""
    options = {"compiled_cache": _CompiledForAll()}
    with pytest.MonkeyPatch.context() as patch:
        create = creator(_SHARED, execution_options=options)
        patch.setattr(database, "create_async_engine", create)
        yield
    asyncio.run(close_all())


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Restore the logging that a test set up in this process."""
    names = ["", *logs.OUR_LOGGERS, "uvicorn", "uvicorn.error", "uvicorn.access"]
    before = [
        (one, one.level, list(one.handlers), one.propagate, one.disabled)
        for one in map(logging.getLogger, names)
    ]
    yield
    for logger, level, handlers, propagate, disabled in before:
        if logger.level != level:  # setting it empties the cache of every logger
            logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Replace the clocks that deadlines read, so that a test can suspend the machine."""
    machine = Machine()
    monkeypatch.setattr("domain.messaging.deadline.Clocks", lambda: machine.clocks)
    return machine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts our programs, which are killed after the test."""
    with starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Create a folder for the servers' files; delete it at the end.

    Not pytest's own: for root, PostgreSQL runs as another user, who must have access.
    """
    folder = Path(tempfile.mkdtemp(prefix="segue-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[EmbeddedPostgres]:
    """Start a PostgreSQL server that is fast and does not survive crashes."""
    fork_server.fork_server()  # it is needed next, and takes as long to start
    sockets = _sockets(server_folder)
    sockets.mkdir()
    sockets.chmod(0o777)
    options = {**_UNSAFE_BUT_FAST, "unix_socket_directories": str(sockets)}
    server = copied_postgres(server_folder / "postgres", options)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database_template(postgres_server: EmbeddedPostgres) -> str:
    """Return the name of a migrated database to clone. Never connect to it."""
    return TEMPLATE


def _sockets(server_folder: Path) -> Path:
    """Name the folder of PostgreSQL's Unix sockets."""
    return server_folder / "sockets"


@pytest.fixture(scope="session")
def shared_database(
    server_folder: Path, postgres_server: EmbeddedPostgres, database_template: str
) -> str:
    """Create one migrated database for all tests: cloning one for each is slow.

    It is reached by a Unix socket, which takes a fifth less processor time than TCP.
    """
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    names = sql.Identifier(_SHARED), sql.Identifier(database_template)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(clone.format(*names))
    with psycopg.connect(postgres_server.url(_SHARED), autocommit=True) as connection:
        connection.execute(PASS_TIME.encode())
    url = urlsplit(postgres_server.url(_SHARED))
    by_socket = urlencode({"host": _sockets(server_folder), "port": postgres_server.port})
    return url._replace(netloc=f"{url.username}:{url.password}@", query=by_socket).geturl()


@pytest.fixture(scope="session")
def empty(shared_database: str) -> Iterator[Callable[[], None]]:
    """Return a function that disconnects all from the shared database and deletes all rows."""
    tables = (_EMPTY_TABLE.format(table=table.name) for table in reversed(METADATA.sorted_tables))
    with psycopg.connect(shared_database, autocommit=True) as connection:
        connection.execute(_EMPTY.format("".join(tables)).encode())

        def empty_it() -> None:
            connection.execute("SELECT pg_temp.empty()")

        yield empty_it


@pytest.fixture
def database_url(shared_database: str, empty: Callable[[], None]) -> Iterator[str]:
    """Return the SQLAlchemy address of the shared database, empty; empty it afterwards."""
    yield shared_database.replace("postgresql://", "postgresql+psycopg://", 1)
    empty()


def _temporal(port: int, folder: Path) -> TemporalServer:
    log = folder / "temporal.log"
    return TemporalServer(None, port, None, dynamic_config=_PROMPT_TIMERS, log=log)


@pytest.fixture(scope="session")
def temporal_server(
    request: pytest.FixtureRequest, server_folder: Path
) -> Iterator[TemporalServer]:
    """Start a Temporal dev server in memory, or wait for the one that all workers of xdist share.

    Its `address` is host and port.
    """
    shared = getattr(request.config, "workerinput", {}).get("temporal_port")
    server = _temporal(shared or free_port(), server_folder)
    if shared:
        wait_ready(server)
    else:
        server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def temporal_namespace(temporal_server: TemporalServer, worker_id: str) -> str:
    """Create a namespace for the tests of this process."""
    make_namespace(temporal_server.address, worker_id)
    return worker_id
