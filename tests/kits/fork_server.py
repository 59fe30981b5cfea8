"""Fork our programs from a process that has imported them: `python -m tests.kits.fork_server`.

A start by ``python -m`` takes two seconds of processor time, nearly all of it for imports. All
workers of xdist share one such process.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from jinja2 import Environment, FileSystemBytecodeCache

from services.access import passwords
from settings import child_environment
from standalone.processes import Child

ROOT = Path(__file__).resolve().parents[2]

QUICK_HASHER = partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
"""Makes hashers of passwords for tests: a real hash takes a third of a second."""

_TEMPLATES = ROOT / "tests" / "__pycache__" / "templates"
_TEMPLATES.mkdir(parents=True, exist_ok=True)

QUICK_TEMPLATES = partial(Environment, bytecode_cache=FileSystemBytecodeCache(str(_TEMPLATES)))
"""Makes environments of templates for tests: compiling all takes seconds, in each process."""

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


def serve(socket_file: Path) -> "ForkServer":
    """Start the process that forks, without waiting for it; it ends with the connection returned.

    Args:
        socket_file: Where others may connect to it.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_file))
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.kits.fork_server"],
            stdin=listener.fileno(),
            env=child_environment({"PYTHONUNBUFFERED": "1"}),
            cwd=ROOT,
            start_new_session=True,
        )
    atexit.register(process.wait)
    return ForkServer(socket_file)


class ForkServer:
    """A connection to the process that forks; the children that it asked for end with it."""

    def __init__(self, socket_file: Path) -> None:
        self._lock = threading.Lock()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(socket_file))
        self._answers = self._connection.makefile("rb")
        atexit.register(self.close)

    def close(self) -> None:
        """End the children."""
        self._answers.close()
        self._connection.close()

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
        with self._lock:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
            return self._answers.readline()


_shared: list[Path] = []


def share(socket_file: Path) -> None:
    """Let this process use the fork server of another one."""
    _shared.append(socket_file)


@cache
def fork_server() -> ForkServer:
    """Return this process's connection to the fork server.

    The first call starts the server if no other process shares one; it does not wait.
    """
    if _shared:
        return ForkServer(_shared[0])
    with tempfile.TemporaryDirectory(prefix="segue-forks-") as folder:
        return serve(Path(folder) / "socket")


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


class _Client:
    """A process that asks for children."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.children: list[int] = []
        self._lines = connection.makefile("rb")

    def asks(self) -> dict[str, Any] | None:
        """Read a request; None if the process has left."""
        try:
            line = self._lines.readline()
        except OSError:
            return None
        asked: dict[str, Any] | None = json.loads(line) if line else None
        return asked

    def hears(self, answer: int | None) -> None:
        """Send an answer, unless the process has left."""
        with contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        self._lines.close()
        self.connection.close()


class _Forks:
    """Forks programs for its clients until the first of them leaves."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._clients: list[_Client] = []
        self._codes: dict[int, int] = {}
        self._ready = selectors.DefaultSelector()
        self._ready.register(listener, selectors.EVENT_READ)

    def reap(self, *_: object) -> None:
        """Note the exit codes of the children that ended."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                self._codes[ended[0]] = os.waitstatus_to_exitcode(ended[1])

    def serve(self) -> None:
        """Fork a program, or tell an exit code, for each line of JSON."""
        first = self._accept()
        while first in self._clients:
            for key, _ in self._ready.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif asked := key.data.asks():
                    key.data.hears(self._answer(key.data, asked))
                else:
                    self._dismiss(key.data)
        for client in [*self._clients]:
            self._dismiss(client)

    def _accept(self) -> _Client:
        connection, _ = self._listener.accept()
        client = _Client(connection)
        self._clients.append(client)
        self._ready.register(connection, selectors.EVENT_READ, client)
        return client

    def _dismiss(self, client: _Client) -> None:
        """Kill the children of a client that has left."""
        for pid in client.children:
            if pid not in self._codes:
                os.kill(pid, signal.SIGKILL)
        self._ready.unregister(client.connection)
        self._clients.remove(client)
        client.close()

    def _answer(self, client: _Client, request: dict[str, Any]) -> int | None:
        if "code" in request:
            return self._codes.get(request["code"])
        pid = os.fork()
        if not pid:
            self._ready.close()
            self._listener.close()
            for other in self._clients:
                other.close()
            _run_program(**request)
            raise SystemExit
        client.children.append(pid)
        return pid


def main() -> None:
    """Import our programs, then fork them; standard input is the socket to listen on."""
    for name in _PRELOADED:
        import_module(name)
    passwords.PasswordHasher = QUICK_HASHER  # type: ignore[attr-defined, assignment]
    import_module("api.pages.rendering").Environment = QUICK_TEMPLATES  # type: ignore[attr-defined]
    gc.freeze()
    forks = _Forks(socket.socket(fileno=os.dup(0)))
    signal.signal(signal.SIGCHLD, forks.reap)
    forks.serve()


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
