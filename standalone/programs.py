"""The stack's own programs: worker, API, simulator, and one-time jobs."""

import http
import http.client
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from standalone import processes
from standalone.ports import LOOPBACK
from standalone.processes import Child

_PROBE_SECONDS = 2


class Program(Child):
    """A Python module of ours that runs until it is stopped.

    Args:
        name: For people; its log is named after it.
        module: The module and its arguments, as after `python -m`.
        address: Its address, for people.
        answers: Returns whether it can be used.
        env: Its environment.
        logs: The folder of the logs.
        grace_seconds: How long it may take to stop.
    """

    def __init__(
        self,
        name: str,
        module: Sequence[str],
        *,
        address: str,
        answers: Callable[[], bool],
        env: Mapping[str, str],
        logs: Path,
        grace_seconds: float = 10,
    ) -> None:
        self.address = address
        self._answers = answers
        super().__init__(
            name,
            [sys.executable, "-m", *module],
            log=log_file(logs, name),
            env=env,
            grace_seconds=grace_seconds,
        )

    def ready(self) -> bool:
        """Return whether it can be used."""
        self.check()
        return self._answers()


def run_job(
    name: str,
    module: Sequence[str],
    *,
    env: Mapping[str, str],
    logs: Path,
    interrupted: Callable[[], bool],
) -> str:
    """Run a Python module that does one thing; return its standard output.

    Raises:
        PartError: It failed.
        Interrupted: `interrupted` returned true first; the job was stopped.
    """
    job = Child(
        name, [sys.executable, "-m", *module], log=log_file(logs, name), env=env, capture=True
    )
    job.launch()
    try:
        failure = f"{name} took longer than two minutes; log: {job.log}"
        processes.wait_until(job.ended, seconds=120, failure=failure, interrupted=interrupted)
        return job.output()
    finally:
        job.stop()


def says_ok(port: int, path: str) -> bool:
    """Return whether a GET of a path on this machine is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def log_file(logs: Path, name: str) -> Path:
    """Return the log file of a part."""
    return logs / f"{name.lower()}.log"
