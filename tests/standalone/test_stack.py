"""The standalone stack on real servers, with stand-ins for Segue's programs."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from settings import child_environment, variables
from standalone.ports import free_port

ROOT = Path(__file__).resolve().parent.parent.parent

# Found before Segue's own, because they lie in the folder the stack is run from.
STAND_INS = {
    "alembic.py": "",
    "manage.py": """
import json, pathlib
done = pathlib.Path("seeded")
if not done.exists():
    done.touch()
    print(json.dumps({"email": "demo@example.com", "password": "demo-password"}))
    print(json.dumps({"token": "demo-token"}))
""",
    "simulator/__init__.py": "",
    "simulator/__main__.py": """
import http.server, sys
address = ("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
""",
    "worker.py": """
import asyncio, signal
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker
from settings import WorkerSettings

@activity.defn
async def nothing() -> None: ...

async def main():
    client = await Client.connect(WorkerSettings.load().temporal_address)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        Worker(client, task_queue="segue", activities=[nothing]),
        Worker(client, task_queue="segue-send", activities=[nothing]),
    ):
        await stop.wait()

asyncio.run(main())
""",
    "api/__init__.py": "",
    "api/event_loop.py": "from asyncio import new_event_loop\n",
    "api/app.py": """
from settings import ApiSettings

def create_app():
    ApiSettings.load()
    return answer

async def answer(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
""",
}


class Run:
    """One `python -m standalone`, its output in a file."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "standalone"],
                cwd=folder,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self._output.read_text()

    def until(self, text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in self.output():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def part(self, word: str) -> psutil.Process:
        """Find the part with a word in its command line."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if word in child.cmdline())

    def living_part(self, word: str) -> psutil.Process | None:
        """Find the part with a word in its command line; None if there is none."""
        try:
            return self.part(word)
        except (psutil.ZombieProcess, psutil.NoSuchProcess, StopIteration):
            return None

    def family(self) -> list[psutil.Process]:
        everyone: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return everyone


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Create a folder with the stand-ins; not pytest's own, see `server_folder`."""
    with tempfile.TemporaryDirectory(prefix="segue-stack-") as name:
        for path, code in STAND_INS.items():
            file = Path(name) / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(code)
        yield Path(name)


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    parts = ("API", "SIMULATOR", "TEMPORAL", "TEMPORAL_UI", "POSTGRES")
    ports = {f"SEGUE_{part}_PORT": str(free_port()) for part in parts}
    return child_environment({"PYTHONPATH": str(ROOT), "SEGUE_DATA_DIR": ".segue", **ports})


@contextmanager
def running(folder: Path, env: dict[str, str]) -> Iterator[Run]:
    run = Run(folder, env)
    try:
        run.until("Segue is running.")
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait(60)


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []


@dataclass(frozen=True)
class Killed:
    """The first stack of the folder, which was killed: what it said, and its parts."""

    output: str
    family: list[psutil.Process]


@pytest.fixture(scope="class")
def killed(folder: Path, env: dict[str, str]) -> Killed:
    """Start a stack and kill it."""
    with running(folder, env) as run:
        family = run.family()
        # Elsewhere the parts outlive it.
        run.process.send_signal(signal.SIGKILL if sys.platform == "linux" else signal.SIGTERM)
        run.process.wait(60)
        return Killed(run.output(), family)


@pytest.fixture(scope="class")
def again(folder: Path, env: dict[str, str], killed: Killed) -> Iterator[Run]:
    """Start it once more."""
    psutil.wait_procs(killed.family, timeout=15)
    with running(folder, {**env, "RETRY_SHORT_SECONDS": "30"}) as run:
        yield run


def assert_shows_the_sign_in(output: str) -> None:
    assert "demo@example.com  demo-password" in output
    assert "demo-token" in output


class TestKilledAndStartedAgain:
    """A stack that was killed, runs again and is stopped."""

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of this death")
    def test_nothing_is_left_and_it_runs_again(self, killed: Killed, again: Run) -> None:
        assert_gone(killed.family)
        assert again.process.poll() is None

    def test_environment_file_lets_a_shell_run_commands_and_a_worker(
        self, folder: Path, again: Run
    ) -> None:
        [line] = [line for line in again.output().splitlines() if line.startswith("  Commands")]
        reading = line.split(maxsplit=1)[1].partition(" && ")[0]
        given = subprocess.run(
            ["/bin/sh", "-c", f"{reading} && env"],
            check=True,
            cwd=folder,
            env={},
            capture_output=True,
            text=True,
        )
        worker = again.part("worker").environ()

        told = dict(line.split("=", 1) for line in given.stdout.splitlines())
        own = {"METRICS_ADDRESS", "SDK_METRICS_ADDRESS"}
        assert told["RETRY_SHORT_SECONDS"] == "30"
        for name in variables() - own:
            assert told.get(name) == worker.get(name), name

    def test_stack_runs_once_per_folder(
        self, folder: Path, env: dict[str, str], again: Run
    ) -> None:
        second = subprocess.run(
            [sys.executable, "-m", "standalone"],
            check=False,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
        )

        assert second.returncode == 1
        assert second.stdout.startswith(
            f"✗ Segue already runs on .segue (process {again.process.pid})."
        )
        assert again.process.poll() is None

    def test_ctrl_c_stops_everything_and_the_sign_in_survives(
        self, folder: Path, killed: Killed, again: Run
    ) -> None:
        family = again.family()
        again.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        again.process.send_signal(signal.SIGINT)

        assert again.process.wait(60) == 0, again.output()
        assert_gone(family)
        for output in (killed.output, again.output()):
            assert_shows_the_sign_in(output)
        assert again.output().endswith("Stopped.\n")
        for kept in ("secrets.json", "environment"):
            assert (folder / ".segue" / kept).stat().st_mode & 0o777 == 0o600
        logs = [file.read_text() for file in (folder / ".segue" / "logs").iterdir()]
        assert not [log for log in logs if "demo-password" in log]


def test_dead_part_is_restarted_a_limited_number_of_times(
    folder: Path, env: dict[str, str]
) -> None:
    with running(folder, env) as run:
        family = run.family()
        killed: set[int] = set()
        while len(killed) < 6:
            worker = run.living_part("worker")
            if worker is None or worker.pid in killed:
                time.sleep(0.05)
                continue
            worker.kill()
            killed.add(worker.pid)

        assert run.process.wait(60) == 1
        assert_gone(family)

    assert_shows_the_sign_in(run.output())
    died = "Worker was ended by SIGKILL; its log: .segue/logs/worker.log"
    assert run.output().splitlines()[-7:] == [
        *[f"! {died}; restarting it"] * 5,
        f"✗ {died}",
        "Stopping ...",
    ]


def test_failed_job_shows_its_reason(folder: Path, env: dict[str, str]) -> None:
    (folder / "alembic.py").write_text("raise SystemExit('no such revision')")
    try:
        run = Run(folder, env)
        assert run.process.wait(60) == 1
    finally:
        (folder / "alembic.py").write_text("")

    assert "✗ Migrations ended with code 1; its log: .segue/logs/migrations.log" in run.output()
    assert "no such revision" in run.output()


def test_stop_during_start_is_clean(folder: Path, env: dict[str, str]) -> None:
    (folder / "alembic.py").write_text("import time; time.sleep(60)")
    try:
        run = Run(folder, env)
        run.until("✓ Temporal")
        family = run.family()
        os.kill(run.process.pid, signal.SIGTERM)
        assert run.process.wait(60) == 0
        assert_gone(family)
    finally:
        (folder / "alembic.py").write_text("")
