"""The whole stack on one machine: its parts, their order, and the messages to the terminal."""

import fcntl
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TextIO

from settings import CONTAINER_GRACE, StandaloneSettings, child_environment, for_shells
from standalone import ports, processes
from standalone.credentials import Secrets, write_private
from standalone.errors import Interrupted, PartError
from standalone.ports import LOOPBACK, PortOf
from standalone.postgres import EmbeddedPostgres
from standalone.processes import Child, log_file
from standalone.temporal import TemporalServer
from workflows.limits import ENROLLMENT_QUEUE, SEND_QUEUE

_DATABASE = "segue"
_AT_HOME = {
    "PYTHONUNBUFFERED": "1",
    # A proxy cannot reach this machine's own servers.
    "NO_PROXY": LOOPBACK,
    "no_proxy": LOOPBACK,
}
_WATCH_SECONDS = 0.2
_MOST_RESTARTS = 5
"""How often one part may end by itself before the stack stops."""


class Stack:
    """PostgreSQL, Temporal, simulator, worker and API, started and stopped as one.

    `request_stop` may be called at any time, also from a signal handler and more than once; it is
    noticed within a fraction of a second.
    """

    def __init__(self, settings: StandaloneSettings) -> None:
        self._settings = settings
        self._folder = settings.segue_data_dir
        self._logs = self._folder / "logs"
        self._secrets_file = self._folder / "secrets.json"
        self._shell_file = self._folder / "environment"
        self._stop_requested = False
        self._running = ExitStack()
        self._parts: list[Child] = []

    def request_stop(self) -> None:
        """Ask for a clean stop."""
        self._stop_requested = True

    def up(self) -> None:
        """Start everything and print the addresses.

        Raises:
            PartError: A part cannot start.
            Interrupted: A stop was requested meanwhile.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._running.enter_context(self._claim_folder())
        ports.check_free(self._ports())
        secrets = Secrets.load(self._secrets_file)

        settings = self._settings
        postgres = EmbeddedPostgres(
            self._folder / "postgres",
            settings.segue_postgres_port,
            log=log_file(self._logs, "PostgreSQL"),
        )
        temporal = TemporalServer(
            self._folder / "temporal.db",
            settings.segue_temporal_port,
            settings.segue_temporal_ui_port,
            log=log_file(self._logs, "Temporal"),
            cli=settings.temporal_cli_path,
        )
        self._start([postgres, temporal, self._simulator(secrets)])
        postgres.create_database(_DATABASE)
        temporal.make_current(settings.segue_build_id)

        env = self._environment(postgres, temporal, secrets)
        self._keep_for_shells(env)
        self._run_job("Migrations", ["alembic", "upgrade", "head"], env)
        if not secrets.email:  # seeding prints the sign-in last, so an interrupted one runs again
            output = self._run_job("Demo data", ["manage", "seed-demo"], env)
            secrets = secrets.with_sign_in(output)
            secrets.save(self._secrets_file)
        self._start([self._api(env), self._worker(temporal, env)])
        say(self._welcome(secrets))

    def watch(self) -> None:
        """Wait until a stop is requested; restart parts that end by themselves.

        Raises:
            PartError: A part keeps ending.
        """
        restarts: Counter[str] = Counter()
        while not self._stop_requested:
            for part in self._parts:
                try:
                    part.check()
                except PartError as error:
                    restarts[part.name] += 1
                    if restarts[part.name] > _MOST_RESTARTS:
                        raise
                    say(f"! {error}; restarting it")
                    part.stop()
                    part.launch()
            time.sleep(_WATCH_SECONDS)

    def down(self) -> None:
        """Stop everything, last started first."""
        if self._parts:
            say("Stopping ...")
        self._running.close()

    def _ports(self) -> list[PortOf]:
        settings = self._settings
        return [
            PortOf("PostgreSQL", settings.segue_postgres_port, "SEGUE_POSTGRES_PORT"),
            PortOf("Temporal", settings.segue_temporal_port, "SEGUE_TEMPORAL_PORT"),
            PortOf("Temporal's Web UI", settings.segue_temporal_ui_port, "SEGUE_TEMPORAL_UI_PORT"),
            PortOf("The simulator", settings.segue_simulator_port, "SEGUE_SIMULATOR_PORT"),
            PortOf("The API", settings.segue_api_port, "SEGUE_API_PORT"),
            *(PortOf("Metrics", port, "SEGUE_METRICS_PORT") for port in settings.metrics_ports),
        ]

    def _simulator(self, secrets: Secrets) -> Child:
        port = self._settings.segue_simulator_port
        inbound_url = f"{_http(self._settings.segue_api_port)}/webhooks/twilio/inbound"
        return self._program(
            "Simulator",
            [
                *("simulator", "--port", str(port)),
                *("--account-sid", secrets.twilio_account_sid),
                *("--auth-token", secrets.twilio_auth_token),
                *("--inbound-url", inbound_url),
            ],
            child_environment(_AT_HOME),
            address=f"{LOOPBACK}:{port}",
            answers=lambda: ports.answers(port),
        )

    def _worker(self, temporal: TemporalServer, env: dict[str, str]) -> Child:
        return self._program(
            "Worker",
            ["worker"],
            {**env, **self._metrics(*self._settings.metrics_ports[1:])},
            answers=lambda: temporal.polled(ENROLLMENT_QUEUE) and temporal.polled(SEND_QUEUE),
            grace_seconds=CONTAINER_GRACE.total_seconds(),
        )

    def _api(self, env: dict[str, str]) -> Child:
        port = self._settings.segue_api_port
        return self._program(
            "API",
            [
                *("uvicorn", "--factory", "api.app:create_app"),
                *("--host", LOOPBACK, "--port", str(port)),
                # An access log would contain searched names and numbers.
                *("--timeout-graceful-shutdown", "5", "--no-access-log"),
                *("--limit-concurrency", "800", "--loop", "api.event_loop:new_event_loop"),
                # There is no proxy in front, so X-Forwarded-For cannot be trusted.
                "--no-proxy-headers",
            ],
            {**env, **self._metrics(*self._settings.metrics_ports[:1])},
            address=f"{LOOPBACK}:{port}",
            answers=lambda: ports.says_ok(port, "/readyz"),
        )

    def _program(
        self,
        name: str,
        module: Sequence[str],
        env: Mapping[str, str],
        *,
        address: str = "",
        answers: Callable[[], bool] = lambda: True,
        capture: bool = False,
        grace_seconds: float = 10,
    ) -> Child:
        """Make a part of one of our modules, given with its arguments as after `python -m`."""
        return Child(
            name,
            [sys.executable, "-m", *module],
            log=log_file(self._logs, name),
            env=env,
            address=address,
            answers=answers,
            capture=capture,
            grace_seconds=grace_seconds,
        )

    def _metrics(self, own: int | None = None, sdk: int | None = None) -> dict[str, str]:
        """Return the variables of one program's metrics; an empty variable turns them off."""
        return {
            "METRICS_ADDRESS": f"{LOOPBACK}:{own}" if own else "",
            "SDK_METRICS_ADDRESS": f"{LOOPBACK}:{sdk}" if sdk else "",
        }

    def _start(self, parts: Sequence[Child]) -> None:
        """Launch parts that do not depend on each other, then wait for all."""
        begun = time.monotonic()
        for part in parts:
            if self._stop_requested:
                raise Interrupted
            self._running.callback(part.stop)
            part.launch()
            self._parts.append(part)
        for part in parts:
            processes.wait_ready(part, interrupted=lambda: self._stop_requested)
            _report(part.name, part.address, begun)

    def _run_job(self, name: str, module: list[str], env: dict[str, str]) -> str:
        """Run a module that does one thing; return its standard output."""
        begun = time.monotonic()
        job = self._program(name, module, env, capture=True)
        job.launch()
        try:
            processes.wait_until(
                job.ended,
                seconds=120,
                failure=f"{name} took longer than two minutes; log: {job.log}",
                interrupted=lambda: self._stop_requested,
            )
            _report(name, "", begun)
            return job.output()
        finally:
            job.stop()

    def _environment(
        self, postgres: EmbeddedPostgres, temporal: TemporalServer, secrets: Secrets
    ) -> dict[str, str]:
        simulator = _http(self._settings.segue_simulator_port)
        return child_environment(
            {
                "DATABASE_URL": postgres.url(_DATABASE),
                "TEMPORAL_ADDRESS": temporal.address,
                "TEMPORAL_NAMESPACE": "default",
                "TEMPORAL_UI_URL": _http(self._settings.segue_temporal_ui_port),
                "TWILIO_ACCOUNT_SID": secrets.twilio_account_sid,
                "TWILIO_AUTH_TOKEN": secrets.twilio_auth_token,
                "TWILIO_API_BASE_URL": simulator,
                "TWILIO_LOOKUPS_BASE_URL": simulator,
                "PUBLIC_BASE_URL": _http(self._settings.segue_api_port),
                "SESSION_SECRET": secrets.session_secret,
                "EVENT_ENDPOINTS_ALLOW_LOCAL": "true",
                **_AT_HOME,
            }
        )

    def _keep_for_shells(self, env: Mapping[str, str]) -> None:
        """Write the parts' environment to a file for shells: for commands, or another worker."""
        lines = [
            f"export {name}={shlex.quote(value)}\n"
            for name, value in sorted(for_shells(env).items())
        ]
        write_private(self._shell_file, "".join(lines))

    def _welcome(self, secrets: Secrets) -> str:
        api = _http(self._settings.segue_api_port)
        rows = [
            ("Segue", api),
            ("OpenAPI", f"{api}/api/openapi.json"),
            ("Handsets", _http(self._settings.segue_simulator_port)),
            ("Temporal", _http(self._settings.segue_temporal_ui_port)),
        ]
        if secrets.email:
            sign_in = f"{secrets.email}  {secrets.password}"
            rows += [("Sign in", sign_in), ("API token", secrets.token)]
        else:
            rows += [("Sign in", "create an account: python -m manage create-admin --email YOURS")]
        rows += [("Metrics", f"{_http(port)}/metrics") for port in self._settings.metrics_ports]
        rows += [
            ("Logs", str(self._logs)),
            ("Commands", f". {self._shell_file} && .venv/bin/python -m manage --help"),
        ]
        lines = "\n".join(f"  {label:<10} {value}" for label, value in rows)
        return f"\nSegue is running. Ctrl-C stops it; its data stays.\n\n{lines}\n"

    def _claim_folder(self) -> TextIO:
        """Lock the data folder as long as the returned file is open."""
        lock = (self._folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise PartError(
                f"Segue already runs on {self._folder} (process {holder})."
                " Stop it with Ctrl-C where it runs; it can only run once per SEGUE_DATA_DIR"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock


def say(line: str) -> None:
    """Print a line, unless the terminal is gone."""
    try:
        print(line, flush=True)
    except OSError:
        return


def _report(name: str, address: str, begun: float) -> None:
    say(f"✓ {name:<12} {address:<16} ({time.monotonic() - begun:.1f} s)")


def _http(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"
