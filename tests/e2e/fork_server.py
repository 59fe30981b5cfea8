"""Fork our programs from a process that has imported them: `python -m tests.e2e.fork_server`.

A start by ``python -m`` takes two seconds of processor time, nearly all of it for imports.
"""

import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Self

from standalone.processes import Child

_PRELOADED = ("worker", "api.app", "uvicorn", "simulator.app", "tests.chaos.sabotage")
_POLL_SECONDS = 0.02


class ForkServer:
    """The process that forks; it ends with this one, and its children end with it.

    Args:
        env: The programs' environment.
        folder: The programs' working directory, and where its log goes.
    """

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._env = env
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with (self._folder / "fork_server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.fork_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._env,
                cwd=self._folder,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.communicate()

    def fork(self, module: list[str], log: Path) -> int:
        """Start a module with its arguments, as by `python -m`; return its process id."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([*module, str(log)]).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Forked(Child):
    """A child of the fork server, handled like a child of this process."""

    def __init__(
        self,
        name: str,
        fork_server: ForkServer,
        module: list[str],
        log: Path,
        answers: Callable[[], bool],
    ) -> None:
        super().__init__(name, module, log=log, answers=answers, grace_seconds=60)
        self._fork_server = fork_server
        self._module = module
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        return self._pid

    def launch(self) -> None:
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        self.log.touch()
        self._pid = self._fork_server.fork(self._module, self.log)

    def ended(self) -> bool:
        return not self._signal(0)

    def stop(self) -> None:
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace_seconds
        while self._signal(0):
            if time.monotonic() > deadline:
                self._signal(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        self._pid = None

    def _signal(self, number: int) -> bool:
        """Send a signal; return whether the process exists."""
        if self._pid is None:
            return False
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            return False
        return True


def main() -> None:
    """Fork a program for each line of JSON, until the input ends."""
    for name in _PRELOADED:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, _reap)
    children = []
    for line in sys.stdin:
        *module, log = json.loads(line)
        pid = os.fork()
        if not pid:
            _run_program(module, log)
            return
        children.append(pid)
        print(pid, flush=True)  # noqa: T201 - the answer
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _reap(*_: object) -> None:
    """Reap the children that ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _run_program(module: list[str], log: str) -> None:
    """Run a program in this process, as if started by itself."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY)
    for ours, theirs in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(ours, theirs)
    name, *sys.argv[1:] = module
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
