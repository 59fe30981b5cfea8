"""Fork our programs from a process that has imported them: `python -m tests.kits.fork_server`.

A start by ``python -m`` takes two seconds of processor time, nearly all of it for imports.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path

from argon2 import PasswordHasher

from services.access import passwords
from settings import child_environment
from standalone.processes import Child

ROOT = Path(__file__).resolve().parents[2]

QUICK_HASHER = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
"""Makes hashers of passwords for tests: a real hash takes a third of a second."""

_PRELOADED = (
    *("worker", "api.app", "uvicorn", "simulator.app", "manage", "alembic.config"),
    *("storage.schema", "tests.chaos.sabotage"),
)
_POLL_SECONDS = 0.02


class Fork:
    """A program that the fork server started; it ends with the tests at the latest."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self._server = server
        self.pid = pid

    @property
    def code(self) -> int | None:
        """The exit code, or minus the signal that ended the program; None while it runs."""
        return self._server.code(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the program has ended."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Wait for the end; return ``code``.

        Raises:
            TimeoutError: The program still runs.
        """
        deadline = time.monotonic() + seconds
        while (code := self.code) is None:
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_POLL_SECONDS)
        return code


class ForkServer:
    """The process that forks; it ends with this one, and its children end with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kits.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment({"PYTHONUNBUFFERED": "1"}),
            cwd=ROOT,
            start_new_session=True,
        )
        atexit.register(self._process.communicate)

    def fork(
        self,
        module: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        log: Path,
        typed: str = "",
    ) -> Fork:
        """Start a module with its arguments, as by `python -m`.

        Args:
            module: The words after ``python -m``.
            env: The whole environment.
            folder: The working directory.
            log: Gets standard output and errors; it is emptied.
            typed: The program's standard input.
        """
        log.write_bytes(b"")
        wanted = {"module": [*module], "env": {**env}, "folder": str(folder), "log": str(log)}
        return Fork(self, int(self._ask({**wanted, "typed": typed})))

    def code(self, pid: int) -> int | None:
        """Return the exit code of a child, as ``Fork.code``."""
        found: int | None = json.loads(self._ask({"code": pid}))
        return found

    def _ask(self, request: Mapping[str, object]) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()


@cache
def fork_server() -> ForkServer:
    """Return this process's only fork server; the first call starts it, and does not wait."""
    return ForkServer()


class Forked(Child):
    """A child of the fork server, handled like a child of this process."""

    def __init__(
        self,
        name: str,
        module: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        answers: Callable[[], bool],
    ) -> None:
        super().__init__(name, module, log=log, answers=answers, grace_seconds=60)
        self._module = module
        self._whole_env = env
        self._fork: Fork | None = None

    @property
    def pid(self) -> int | None:
        return self._fork.pid if self._fork else None

    def launch(self) -> None:
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        self._fork = fork_server().fork(
            self._module, env=self._whole_env, folder=self.log.parent, log=self.log
        )

    def ended(self) -> bool:
        return self._fork is None or self._fork.code is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._fork is not None
        self._fork.send(number)

    def stop(self) -> None:
        fork, self._fork = self._fork, None
        if fork is None:
            return
        fork.send(signal.SIGTERM)
        try:
            fork.wait(self._grace_seconds)
        except TimeoutError:
            fork.send(signal.SIGKILL)
            fork.wait(self._grace_seconds)


def main() -> None:
    """Fork a program, or tell an exit code, for each line of JSON, until the input ends."""
    for name in _PRELOADED:
        import_module(name)
    passwords.PasswordHasher = QUICK_HASHER  # type: ignore[attr-defined, assignment]
    gc.freeze()
    codes: dict[int, int] = {}

    def reap(*_: object) -> None:
        """Note the exit codes of the children that ended."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                codes[ended[0]] = os.waitstatus_to_exitcode(ended[1])

    signal.signal(signal.SIGCHLD, reap)
    children = []
    for line in sys.stdin:
        request = json.loads(line)
        if "code" in request:
            print(json.dumps(codes.get(request["code"])))  # noqa: T201 - the answer
            continue
        pid = os.fork()
        if not pid:
            _run_program(**request)
            return
        children.append(pid)
        print(pid)  # noqa: T201 - the answer
    for pid in children:
        if pid not in codes:
            os.kill(pid, signal.SIGKILL)


def _run_program(module: list[str], env: dict[str, str], folder: str, log: str, typed: str) -> None:
    """Run a program in this process, as if started by itself."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    source, keyboard = os.pipe()
    os.write(keyboard, typed.encode())
    os.close(keyboard)
    output = os.open(log, os.O_WRONLY)
    for ours, theirs in ((source, 0), (output, 1), (output, 2)):
        os.dup2(ours, theirs)
    os.close(source)
    os.close(output)
    sys.stdin = open(0)  # noqa: SIM115 - what the server has read ahead is not this program's
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    name, *sys.argv[1:] = module
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
