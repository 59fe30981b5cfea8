"""Our programs as processes, for tests of how they start and stop."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from settings import child_environment
from tests.kits.fork_server import ROOT, fork_server

ACCOUNT = "AC" + "0" * 32
TOKEN = "simulated-token"
PATIENCE = 60


class Process:
    """A program of ours, its output in a file.

    Args:
        output: The file; the program runs in its folder.
        module: The words after ``python -m``.
        env: The whole environment.
        typed: The program's standard input.
    """

    def __init__(
        self, output: Path, module: Sequence[str], env: Mapping[str, str], typed: str = ""
    ) -> None:
        self._output = output
        self._fork = fork_server().fork(
            module, env=env, folder=output.parent, log=output, typed=typed
        )

    def output(self) -> str:
        return self._output.read_text()

    async def says(self, text: str) -> None:
        """Wait for a text in the output; fail if the program ends first."""
        async with asyncio.timeout(PATIENCE):
            while text not in self.output():
                assert self._fork.code is None, self.output()
                await asyncio.sleep(0.05)

    def completes(self, code: int = 0) -> str:
        """Wait for the end, with this exit code; return the output."""
        assert self._fork.wait(PATIENCE) == code, self.output()
        return self.output()

    async def ends(self) -> int:
        """Wait for the end; return the exit code, or minus the signal that ended it."""
        return await asyncio.to_thread(self._fork.wait, PATIENCE)

    async def stops(self) -> float:
        """Send SIGTERM and wait for the end, with code 0; return how many seconds it took."""
        began = time.monotonic()
        self.send(signal.SIGTERM)
        assert await self.ends() == 0, self.output()
        return time.monotonic() - began

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._fork.send(number)

    def kill(self) -> None:
        """Kill it, if it runs, and wait for the end."""
        self.send(signal.SIGKILL)
        self._fork.wait(PATIENCE)


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
            **env,
        }
        environment = {name: value for name, value in wanted.items() if value is not None}
        process = Process(folder / f"output-{len(processes)}", module, environment)
        processes.append(process)
        return process

    try:
        yield start
    finally:
        for process in processes:
            process.kill()


def alembic(url: str, output: Path, *words: str) -> Process:
    """Start a command of Alembic's on a database; the output's folder must have no .env."""
    module = ["alembic", "--config", str(ROOT / "alembic.ini"), *words]
    return Process(output, module, child_environment({"DATABASE_URL": url}))
