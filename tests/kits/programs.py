"""Our programs as processes, for tests of how they start and stop."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from settings import child_environment

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "AC" + "0" * 32
TOKEN = "simulated-token"
PATIENCE = 60


class Process:
    """A program of ours, its output in a file."""

    def __init__(self, output: Path, module: list[str], env: dict[str, str]) -> None:
        self._output = output
        with output.open("wb") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env=env,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self._output.read_text()

    async def says(self, text: str) -> None:
        """Wait for a text in the output; fail if the program ends first."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.output():
                assert self.popen.poll() is None, self.output()
                await asyncio.sleep(0.05)

    async def ends(self, code: int = 0) -> float:
        """Wait for the end, with this exit code; return how many seconds that took."""
        began = time.monotonic()
        await asyncio.to_thread(self.popen.wait, PATIENCE)
        assert self.popen.returncode == code, self.output()
        return time.monotonic() - began

    async def stops(self) -> float:
        """Send SIGTERM and wait for the end; return how many seconds that took."""
        self.popen.send_signal(signal.SIGTERM)
        return await self.ends()


Start = Callable[..., Process]


@contextmanager
def starting(folder: Path) -> Iterator[Start]:
    """Yield a function that starts programs; kill those that still run at the end.

    It takes the words after ``python -m``, and the environment by name, None to leave one out.
    """
    processes: list[Process] = []

    def start(*module: str, **env: str | None) -> Process:
        wanted = {
            **child_environment({}),
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "PUBLIC_BASE_URL": "http://127.0.0.1:9",
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        environment = {name: value for name, value in wanted.items() if value is not None}
        process = Process(folder / f"output-{len(processes)}", [*module], environment)
        processes.append(process)
        return process

    try:
        yield start
    finally:
        for process in processes:
            process.popen.kill()
            process.popen.wait()
