"""Segue's processes, started with the commands of docker-compose.yml but forked."""

import secrets
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from settings import child_environment
from standalone import ports, processes
from standalone.ports import LOOPBACK, free_port
from standalone.postgres import EmbeddedPostgres
from standalone.processes import Child, log_file
from standalone.temporal import TemporalServer
from tests.kits.fork_server import Forked
from tests.kits.postgres import TEMPLATE, copied_postgres
from tests.kits.programs import Process as Program

DATABASE = "segue_e2e"

EMAIL = "root@example.com"
PASSWORD = "correct horse battery staple"

CALL_BEFORE = 2.0
FIRST_LIST = 0.5
SECOND_LIST = 1.0

TIMINGS = {
    "CALL_BEFORE_SECONDS": CALL_BEFORE,
    "CALL_MARGIN_SECONDS": 0.5,
    "HTTP_CONNECT_TIMEOUT_SECONDS": 2,
    "HTTP_READ_TIMEOUT_SECONDS": 3,
    "HTTP_LATE_ANSWER_SECONDS": 5,
    "ABSENCE_FIRST_LIST_SECONDS": FIRST_LIST,
    "ABSENCE_SECOND_LIST_SECONDS": SECOND_LIST,
    "SETTLE_GIVE_UP_SECONDS": 3,
    "PROBE_INTERVAL_SECONDS": 300,
    "CATCH_UP_EVERY_SECONDS": 1,
    "WEBHOOKS_FIRST_SECONDS": 1,
    "LOOK_UP_AFTER_SECONDS": 1,
    "RETRY_SHORT_SECONDS": 0.5,
    "LIVE_QUERY_SECONDS": 1,
    "MIN_SPACING_SECONDS": 0,
}
"""Waits that take minutes in production, shortened to seconds."""


class Process(Forked):
    """One of our programs, which a test may kill and start again."""

    def kill(self) -> None:
        """Kill it by SIGKILL, as a power cut would."""
        self.send(signal.SIGKILL)
        self.stop()


class Stack:
    """API, worker and simulator against a PostgreSQL database and a Temporal namespace.

    Args:
        folder: For logs.
        database_url: A migrated database for this stack only.
        temporal_address: Host and port.
        namespace: For this stack only, with the search attributes.
        timings: Settings in seconds, by their variables.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        temporal_address: str,
        namespace: str,
        *,
        timings: Mapping[str, float] = TIMINGS,
    ) -> None:
        self.database_url = database_url
        self.temporal_address = temporal_address
        self.namespace = namespace
        self.account_sid = f"AC{secrets.token_hex(16)}"
        self.auth_token = secrets.token_hex(16)
        self.api_url = f"http://{LOOPBACK}:{free_port()}"
        self.simulator_url = f"http://{LOOPBACK}:{free_port()}"
        self.admin_token = ""
        self._env = child_environment(
            {
                "DATABASE_URL": database_url,
                "TEMPORAL_ADDRESS": temporal_address,
                "TEMPORAL_NAMESPACE": namespace,
                "TWILIO_ACCOUNT_SID": self.account_sid,
                "TWILIO_AUTH_TOKEN": self.auth_token,
                "TWILIO_API_BASE_URL": self.simulator_url,
                "TWILIO_LOOKUPS_BASE_URL": self.simulator_url,
                "PUBLIC_BASE_URL": self.api_url,
                "SESSION_SECRET": secrets.token_hex(32),
                "TWILIO_LOOKUP_ENABLED": "false",
                "WORKSPACE_TIME_ZONE": "America/New_York",
                "DEFAULT_REGION": "US",
                "LOG_LEVEL": "INFO",
                "EVENT_ENDPOINTS_ALLOW_LOCAL": "true",
                "NO_PROXY": LOOPBACK,
                "no_proxy": LOOPBACK,
                **{name: str(seconds) for name, seconds in timings.items()},
            }
        )
        api_port, simulator_port = (
            int(url.rpartition(":")[2]) for url in (self.api_url, self.simulator_url)
        )
        self._folder = folder
        self.simulator = self._process(
            "Simulator",
            *("simulator", "--port", str(simulator_port)),
            *("--account-sid", self.account_sid, "--auth-token", self.auth_token),
            *("--inbound-url", f"{self.api_url}/webhooks/twilio/inbound"),
            *("--delivery-delay", "0.1", "--seed", "1"),
            answers=lambda: ports.answers(simulator_port),
        )
        self.worker = self._worker("Worker")
        self.api = self._api("API", api_port)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start every part and create the first admin, as an operator would."""
        parts: list[Child] = [self.simulator, self.worker, self.api]
        try:
            self.manage("create-admin", "--email", EMAIL, typed=PASSWORD)
            self.admin_token = self.manage("create-token", "--email", EMAIL)
            for part in parts:
                self._running.callback(part.stop)
                part.launch()
            for part in parts:
                processes.wait_ready(part)
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every part."""
        self._running.close()

    @contextmanager
    def another_worker(self) -> Iterator[Process]:
        """Run a second worker beside the first."""
        second = self._worker("Worker-2")
        second.start()
        try:
            yield second
        finally:
            second.stop()

    @contextmanager
    def another_api(self) -> Iterator[str]:
        """Run a second API beside the first; yield its address."""
        port = free_port()
        second = self._api("API-2", port)
        second.start()
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            second.stop()

    def manage(self, *command: str, typed: str = "") -> str:
        """Run an admin command; return its output."""
        output = log_file(self._folder, "manage")
        program = Program(output, ["manage", *command], self._env, typed=f"{typed}\n")
        return program.completes().strip()

    def _worker(self, name: str) -> Process:
        log = log_file(self._folder, name)
        return self._process(
            name,
            "worker",
            answers=lambda: "INFO worker working" in log.read_text(),
        )

    def _api(self, name: str, port: int) -> Process:
        return self._process(
            name,
            *("uvicorn", "--factory", "api.app:create_app"),
            *("--host", LOOPBACK, "--port", str(port)),
            *("--timeout-graceful-shutdown", "5", "--no-access-log"),
            answers=lambda: ports.answers(port),
        )

    def _process(self, name: str, *module: str, answers: Callable[[], bool]) -> Process:
        log = log_file(self._folder, name)
        return Process(name, module, env=self._env, log=log, answers=answers)


@contextmanager
def own_servers(
    folder: Path, *, dynamic_config: Mapping[str, str], **options: str
) -> Iterator[tuple[EmbeddedPostgres, TemporalServer, str]]:
    """Start servers that a test may stop; yield them and the address of a migrated database.

    Args:
        folder: For their files; PostgreSQL must be able to pass through it.
        dynamic_config: Temporal's; it keeps its state in a file.
        options: PostgreSQL's.
    """
    with ExitStack() as running:
        postgres = copied_postgres(folder / "postgres", options)
        temporal = TemporalServer(
            folder / "temporal.db", free_port(), None, dynamic_config=dynamic_config
        )
        for server in (postgres, temporal):
            running.callback(server.stop)
            server.start()
        names = sql.Identifier(DATABASE), sql.Identifier(TEMPLATE)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {1} RENAME TO {0}").format(*names))
        yield postgres, temporal, postgres.url(DATABASE)
