"""The real servers that a measurement runs against, on this machine and removed afterwards."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
import psutil
import yaml
from temporalio.client import Client

from domain.platform.rules import SendingRules
from services.factory import ServiceConfig, Services
from settings import child_environment
from sms.deadline import TimeLimits
from sms.gateway import TwilioGateway
from standalone.ports import free_port
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from storage.platform.database import Database
from workflows.client import DATA_CONVERTER, EnrollmentClient

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "bench-token"  # noqa: S105 - the simulator's, on this machine
INBOUND = "/webhooks/twilio/inbound"
DATABASE = "bench"

MADE: ContextVar[Path | None] = ContextVar("made", default=None)
"""A folder in which ``postgres_in`` has made a database before; to make one takes some seconds."""

_DATA = "postgres"
_START_SECONDS = 180  # some, but a machine may be busy
_STOP_SECONDS = 60


@dataclass(frozen=True)
class Memory:
    """Megabytes of memory that a process has in use.

    Attributes:
        resident: With the pages that it shares with other processes.
        proportional: Of shared pages its part only.
    """

    resident: float
    proportional: float


@dataclass(frozen=True)
class Servers:
    """Addresses of the servers.

    Attributes:
        database_url: PostgreSQL, migrated and empty.
        temporal: Host and port.
        simulator: Base address of the simulator; its callbacks are off. Texts from its handsets go
            to the API, once that runs.
        logs: Folder of the programs' output.
        api_port: Where the API will be.
        temporal_server: To be stopped and started.
        pids: Process ids of what runs, by name; of PostgreSQL the first process.
    """

    database_url: str
    temporal: str
    simulator: str
    logs: Path
    api_port: int
    temporal_server: TemporalServer
    pids: dict[str, int] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """Return a worker's settings."""
        return child_environment(
            {
                "DATABASE_URL": self.database_url,
                "TEMPORAL_ADDRESS": self.temporal,
                "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
                "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "TWILIO_API_BASE_URL": self.simulator,
                "TWILIO_LOOKUPS_BASE_URL": self.simulator,
                "PUBLIC_BASE_URL": f"http://127.0.0.1:{self.api_port}",
                "LOG_LEVEL": "WARNING",
            }
        )

    @contextmanager
    def program(self, name: str, *command: str, **changes: str) -> Iterator[None]:
        """Run one of our programs, with these changes to its settings, until the block ends."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-m", *command],
                env={**self.environment(), **changes},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self.pids[name] = process.pid
            try:
                yield
            finally:
                del self.pids[name]
                process.terminate()
                process.wait(_STOP_SECONDS)

    @contextmanager
    def api(self, **changes: str) -> Iterator[str]:
        """Run the API as Compose does until the block ends; give its address once it answers."""
        compose = yaml.safe_load(Path("docker-compose.yml").read_text(encoding="utf-8"))
        command = [
            f"--port={self.api_port}" if argument.startswith("--port=") else argument
            for argument in compose["services"]["api"]["command"]
        ]
        given = {
            "SESSION_SECRET": secrets.token_hex(32),
            "ENROLMENTS_PER_HOUR": "1000000000",
        }
        address = f"http://127.0.0.1:{self.api_port}"
        with self.program("api", *command, **{**given, **changes}):
            until_it_answers(lambda: httpx.get(f"{address}/healthz"), seconds=_START_SECONDS)
            yield address

    @contextmanager
    def no_temporal(self) -> Iterator[None]:
        """Stop Temporal until the block ends; its state stays."""
        del self.pids["temporal"]
        self.temporal_server.stop()
        try:
            yield
        finally:
            self.temporal_server.start()
            self.pids["temporal"] = self.temporal_server.pid or 0

    def processor_seconds(self) -> Mapping[str, float]:
        """Return the processor time that each running program has taken, with its children."""
        return {name: _processor_seconds(pid) for name, pid in self.pids.items()}

    def temporal_bytes(self) -> int:
        """Return how much Temporal has on disk."""
        return sum(file.stat().st_size for file in self.logs.glob("temporal.db*"))

    def memory(self, name: str) -> Memory:
        """Return the memory of a program that runs."""
        found = psutil.Process(self.pids[name]).memory_full_info()
        return Memory(found.rss / 1e6, found.pss / 1e6)


@contextmanager
def postgres_in(folder: Path, *, bare: bool = False) -> Iterator[EmbeddedPostgres]:
    """Run PostgreSQL with a migrated database, or an empty one, until the block ends.

    What is in the folder stays. What ``MADE`` has is copied into an empty one.
    """
    if (made := MADE.get()) is not None and not (folder / _DATA).exists() and not bare:
        copied = (str(one) for one in made.glob(f"{_DATA}*"))  # with the password beside it
        subprocess.run(["cp", "-a", *copied, str(folder)], check=True)  # noqa: S603, S607 - ours
    postgres = EmbeddedPostgres(folder / _DATA, free_port())
    postgres.start()
    try:
        postgres.create_database(DATABASE)
        if made is None and not bare:
            subprocess.run(
                [sys.executable, "-m", "alembic", "upgrade", "head"],
                env=child_environment({"DATABASE_URL": postgres.url(DATABASE)}),
                check=True,
            )
        yield postgres
    finally:
        postgres.stop()


@contextmanager
def servers(
    *, kept: Path | None = None, inbound_path: str = INBOUND, bare: bool = False
) -> Iterator[Servers]:
    """Start PostgreSQL, Temporal (on disk, as `make up` does) and the simulator.

    Args:
        kept: The folder in which PostgreSQL's data stays for the next time.
        inbound_path: Where at the API's port the simulator posts texts from handsets.
        bare: Start no Temporal, and leave the database empty.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="segue-bench-")))
        folder.chmod(0o755)
        postgres = stack.enter_context(postgres_in(kept or folder, bare=bare))
        temporal = TemporalServer(folder / "temporal.db", free_port(), None)
        port, api_port = free_port(), free_port()
        found = Servers(
            postgres.url(DATABASE),
            temporal.address,
            f"http://127.0.0.1:{port}",
            folder,
            api_port,
            temporal,
            {"postgres": postgres.pid or 0},
        )
        if not bare:
            temporal.start()
            stack.callback(temporal.stop)
            found.pids["temporal"] = temporal.pid or 0
        stack.enter_context(
            found.program(
                "simulator",
                *("simulator", "--port", str(port)),
                *("--account-sid", ACCOUNT_SID, "--auth-token", AUTH_TOKEN),
                *("--inbound-url", f"http://127.0.0.1:{api_port}{inbound_path}"),
            )
        )
        _callbacks_off(found.simulator)
        yield found


@asynccontextmanager
async def started() -> AsyncIterator[tuple[Servers, Client, Services]]:
    """Start the servers until the block ends; give a client of Temporal and the use cases too."""
    print("starting PostgreSQL, Temporal and the simulator ...", flush=True)
    with servers() as running:
        async with AsyncExitStack() as closing:
            client = await Client.connect(running.temporal, data_converter=DATA_CONVERTER)
            yield running, client, await services(running, client, closing)


async def services(servers: Servers, client: Client, closing: AsyncExitStack) -> Services:
    """Return the use cases on these servers, until the stack is closed."""
    database = Database(servers.database_url)
    closing.push_async_callback(database.close)
    gateway = TwilioGateway(
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        api_base_url=servers.simulator,
        lookups_base_url=servers.simulator,
        status_callback_url="http://127.0.0.1:1/webhooks/twilio/status",
        limits=TimeLimits(
            connect=timedelta(seconds=3),
            read=timedelta(seconds=10),
            late_answer=timedelta(seconds=30),
        ),
        max_concurrent=1,
    )
    closing.push_async_callback(gateway.aclose)
    return Services(
        database,
        EnrollmentClient(client, page_base_url="http://127.0.0.1:1"),
        gateway,
        ServiceConfig(SendingRules()),
    )


def _callbacks_off(simulator: str) -> None:
    address = f"{simulator}/_simulator/behaviour"
    until_it_answers(lambda: httpx.post(address, json={"callbacks": "off"}), seconds=20)


def until_it_answers(call: Callable[[], httpx.Response], *, seconds: float) -> None:
    """Call until there is an answer; the last error is raised when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            call().raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _processor_seconds(pid: int) -> float:
    process = psutil.Process(pid)
    times = [process.cpu_times()]  # with those of children that have ended
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times.append(child.cpu_times())
    return float(sum(sum(one[:4]) for one in times))


def cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))
