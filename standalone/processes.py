"""Child processes: started apart from the terminal, watched, and stopped with their descendants."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from standalone import launcher
from standalone.errors import Interrupted, PartError

_POLL_SECONDS = 0.05
_TAIL_LINES = 12


@dataclass(frozen=True)
class Account:
    """The system user that a child runs as."""

    uid: int
    gid: int


class Child:
    """One child process with its log file.

    It runs in its own session, so Ctrl-C reaches only us and we choose the order of stopping. On
    Linux the kernel sends it `orphan_signal` when we are killed, or when the thread that launched
    it ends: launch from a thread that stays.

    Args:
        address: For people.
        answers: Returns whether a server that runs can be used.
        capture: Keep standard output (a few lines) for `output`, out of the log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        address: str = "",
        answers: Callable[[], bool] = lambda: True,
        capture: bool = False,
        account: Account | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGKILL,
        grace_seconds: float = 10,
    ) -> None:
        self.name = name
        self.log = log
        self.address = address
        self._answers = answers
        self._command = list(command)
        self._env = env
        self._capture = capture
        self._account = account
        self._stop_signal = stop_signal
        self._orphan_signal = orphan_signal
        self._grace_seconds = grace_seconds
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, until we stop the process."""
        return self._process.pid if self._process else None

    def launch(self) -> None:
        """Start the process and return at once; keep the previous run's log as `.log.1`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                tied_to_us(self._command, self._orphan_signal, self._account),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._capture else output,
                stderr=output,
                env=self._env,
                start_new_session=True,
            )

    def ended(self) -> bool:
        """Return whether the process has ended successfully, as a job should.

        Raises:
            PartError: It failed; the message has its exit code, log and last lines.
        """
        code = self._process.poll() if self._process else None
        if code:
            raise self._failure(code)
        return code == 0

    def check(self) -> None:
        """Check that the process runs, as a server should.

        Raises:
            PartError: It has ended; the message has its exit code, log and last lines.
        """
        if self.ended():
            raise self._failure(0)

    def ready(self) -> bool:
        """Return whether the server can be used; raise as `check` does."""
        self.check()
        return self._answers()

    def start(self) -> None:
        """Launch the server and wait until it is ready; stop it if it fails.

        Raises:
            PartError: It does not start.
        """
        try:
            self.launch()
            wait_ready(self)
        except BaseException:
            self.stop()
            raise

    def output(self) -> str:
        """Return the captured standard output of a process that has ended."""
        stream = self._process.stdout if self._process else None
        return stream.read().decode() if stream else ""

    def stop(self) -> None:
        """Ask the process to end, wait for its grace period, then kill its whole group."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self._stop_signal)
            try:
                process.wait(self._grace_seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        # Descendants may outlive the process; while one lives, the group keeps its id.
        # macOS refuses to signal a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()

    def _failure(self, code: int) -> PartError:
        signalled = f"was ended by {signal.Signals(-code).name}" if code < 0 else ""
        how = signalled or f"ended with code {code}"
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        indented = [f"    {line}" for line in lines]
        return PartError("\n".join([f"{self.name} {how}; its log: {self.log}", *indented]))


def wait_until(
    ready: Callable[[], bool],
    *,
    seconds: float,
    failure: str,
    interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until something is ready.

    Raises:
        PartError: It is not ready in time; the message is `failure`.
        Interrupted: `interrupted` returned true.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if interrupted():
            raise Interrupted
        if time.monotonic() > deadline:
            raise PartError(failure)
        time.sleep(_POLL_SECONDS)


def wait_ready(
    part: Child, *, seconds: float = 60, interrupted: Callable[[], bool] = lambda: False
) -> None:
    """Wait until a launched part is ready; raise as `wait_until` does, or if it has ended."""
    failure = f"{part.name} was not ready within {seconds:.0f} s"
    wait_until(part.ready, seconds=seconds, failure=failure, interrupted=interrupted)


def tied_to_us(
    command: Sequence[str],
    orphan_signal: signal.Signals = signal.SIGKILL,
    account: Account | None = None,
) -> list[str]:
    """Wrap a command so that it runs as `account` and gets a signal when we die."""
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    numbers = [os.getpid(), orphan_signal.value, uid, gid]
    script = str(Path(launcher.__file__).resolve())
    return [sys.executable, "-I", "-S", script, *map(str, numbers), *command]


def log_file(logs: Path, name: str) -> Path:
    """Return the log file of a part."""
    return logs / f"{name.lower()}.log"
