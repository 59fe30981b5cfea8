"""The ways to do the work: ours, and each peer, with all that it needs on this machine."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
from temporalio.client import Client

from bench import runs, stack
from bench.peers.installing import installed
from bench.peers.plan import WAIT_SECONDS
from domain.statuses.access import TokenScope
from settings import child_environment
from standalone import ports
from standalone.errors import PartError
from standalone.processes import Child
from workflows.client import DATA_CONVERTER

_PATIENCE_SECONDS = 120

_ADD_CONTACTS = """
    INSERT INTO contacts (id, first_name, last_name, phone, time_zone, created_at, updated_at)
    SELECT gen_random_uuid(), 'Ann', 'Lee', unnest(%s::text[]), 'America/New_York', now(), now()
"""


@dataclass(frozen=True)
class Running:
    """A way that runs.

    Attributes:
        servers: PostgreSQL and the simulator.
        worker: The only one.
        add: Tells the application of numbers, before anything is measured.
        enroll: Starts the drip of these by one request.
    """

    servers: stack.Servers
    worker: Child
    add: Callable[[Sequence[str]], None]
    enroll: Callable[[Sequence[str]], None]

    def kill_worker(self) -> None:
        """Kill the worker and every process it started at once, as an outage does."""
        if self.worker.pid is not None:
            os.killpg(self.worker.pid, signal.SIGKILL)
        self.worker.stop()


Way = Callable[[], AbstractContextManager[Running]]


@contextmanager
def ours() -> Iterator[Running]:
    """Run Segue: Temporal, one worker and one API."""
    with ExitStack() as programs:
        servers = programs.enter_context(stack.servers())
        sequence_id, token = asyncio.run(_found(servers))
        address = programs.enter_context(servers.api())
        worker = _child(programs, servers, "worker", ["-m", "worker"], servers.environment())

        def add(phones: Sequence[str]) -> None:
            with psycopg.connect(servers.database_url) as connection:
                connection.execute(_ADD_CONTACTS, [list(phones)])

        def enroll(phones: Sequence[str]) -> None:
            with psycopg.connect(servers.database_url) as connection:
                found = connection.execute(
                    "SELECT id FROM contacts WHERE phone = ANY(%s)", [list(phones)]
                ).fetchall()
            httpx.post(
                f"{address}/api/sequences/{sequence_id}/enrollments",
                json={"contact_ids": [str(one) for (one,) in found]},
                headers={"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid4())},
                timeout=_PATIENCE_SECONDS,
            ).raise_for_status()

        yield Running(servers, worker, add, enroll)


async def _found(servers: stack.Servers) -> tuple[UUID, str]:
    """Create the sequence; return its id and an API token."""
    async with AsyncExitStack() as closing:
        client = await Client.connect(servers.temporal, data_converter=DATA_CONVERTER)
        services = await stack.services(servers, client, closing)
        world = await runs.found_world(services, delay_seconds=WAIT_SECONDS)
        token = await services.tokens.create(
            world.user_id, name="bench", scopes=list(TokenScope), expires_at=None
        )
        return world.sequence_id, token.token


@contextmanager
def _peer(name: str, *extra_roles: str, redis: bool = False) -> Iterator[Running]:
    """Run a peer: its web application, one worker, and its other processes."""
    python = installed(name)
    with ExitStack() as programs:
        servers = programs.enter_context(stack.servers(inbound_path="/reply", bare=True))
        address = f"http://127.0.0.1:{servers.api_port}"
        given = {
            "database_url": servers.database_url,
            "broker_url": _redis(programs, servers) if redis else "",
            "simulator": servers.simulator,
            "account_sid": stack.ACCOUNT_SID,
            "auth_token": stack.AUTH_TOKEN,
            "web_port": servers.api_port,
            "folder": str(servers.logs),
        }

        def command(role: str) -> list[str]:
            return ["-m", "bench.peers.process", name, role, json.dumps(given)]

        environment = child_environment({})
        set_up = [str(python), *command("set_up")]
        subprocess.run(set_up, env=environment, check=True)  # noqa: S603 - our own program
        run = partial(_child, programs, servers, env=environment, python=python)
        for role in ("serve", *extra_roles):
            run(role, command(role))
        worker = run("work", command("work"))
        stack.until_it_answers(lambda: httpx.get(address), seconds=60)

        def enroll(phones: Sequence[str]) -> None:
            answer = httpx.post(f"{address}/enroll", json=list(phones), timeout=_PATIENCE_SECONDS)
            answer.raise_for_status()

        yield Running(servers, worker, lambda _: None, enroll)


def _redis(programs: ExitStack, servers: stack.Servers) -> str:
    """Run Debian's Redis as it comes, but for its port and folder; return its address."""
    program = shutil.which("redis-server")
    if program is None:
        raise PartError("Celery needs a broker here: apt-get install redis-server")
    port = ports.free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(servers.logs)]
    redis = Child(
        "Redis",
        [program, *options],
        log=servers.logs / "redis.log",
        answers=lambda: ports.answers(port),
    )
    redis.start()
    programs.callback(redis.stop)
    return f"redis://127.0.0.1:{port}/0"


def _child(
    programs: ExitStack,
    servers: stack.Servers,
    name: str,
    command: Sequence[str],
    env: Mapping[str, str],
    python: Path | str = sys.executable,
) -> Child:
    """Start a Python program that is stopped at the end."""
    child = Child(name, [str(python), *command], log=servers.logs / f"{name}.log", env=env)
    child.launch()
    programs.callback(child.stop)
    return child


WAYS: Mapping[str, Way] = {
    "ours": ours,
    "dbos": partial(_peer, "dbos"),
    "celery": partial(_peer, "celery", "beat", redis=True),
    "procrastinate": partial(_peer, "procrastinate"),
}
