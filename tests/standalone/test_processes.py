import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from standalone import processes
from standalone.errors import Interrupted, PartError
from standalone.processes import Child

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]

# A process that ignores SIGTERM, and its child.
STUBBORN_CODE = f"""
import signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen({SLEEP!r}).pid, flush=True)
time.sleep(60)
"""
STUBBORN = [sys.executable, "-S", "-c", STUBBORN_CODE]

PARENT_CODE = """
import pathlib, sys, time
from standalone.processes import Child
child = Child("Part", sys.argv[2:], log=pathlib.Path(sys.argv[1]))
child.launch()
print(child.pid, flush=True)
time.sleep(60)
"""


class Started:
    """Start children, and end those that outlive the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []

    def __call__(
        self, command: Sequence[str], *, capture: bool = False, grace_seconds: float = 5
    ) -> Child:
        log = self._folder / "part.log"
        child = Child("Part", command, log=log, capture=capture, grace_seconds=grace_seconds)
        self._children.append(child)
        child.launch()
        return child

    def stop(self) -> None:
        for child in self._children:
            child.stop()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    starter = Started(tmp_path)
    yield starter
    starter.stop()


def has_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def eventually_gone(pid: int) -> None:
    processes.wait_until(lambda: has_gone(pid), seconds=10, failure=f"{pid} still runs")


def test_stopping_leaves_no_process(started: Started) -> None:
    child = started(SLEEP)
    pid = child.pid
    assert pid is not None
    child.check()

    child.stop()

    assert has_gone(pid)
    assert child.pid is None
    child.stop()  # a second stop is harmless


def test_process_that_ignores_sigterm_is_killed_with_its_children(
    started: Started,
) -> None:
    child = started(STUBBORN, grace_seconds=0.2)
    processes.wait_until(lambda: bool(child.log.read_text()), seconds=10, failure="no start")
    pid, grandchild = child.pid, int(child.log.read_text())
    assert pid is not None

    child.stop()

    assert has_gone(pid)
    eventually_gone(grandchild)


def test_death_reports_the_last_log_lines(started: Started) -> None:
    child = started([sys.executable, "-S", "-c", "print('first'); raise SystemExit('the reason')"])

    with pytest.raises(PartError) as noticed:
        processes.wait_until(child.ended, seconds=10, failure="still runs")

    line, *tail = str(noticed.value).splitlines()
    assert line == f"Part ended with code 1; its log: {child.log}"
    assert sorted(each.strip() for each in tail) == ["first", "the reason"]


def test_death_by_signal_names_the_signal(started: Started) -> None:
    child = started(SLEEP)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(PartError, match="Part was ended by SIGKILL; its log: "):
        processes.wait_until(child.ended, seconds=10, failure="still runs")


def test_server_that_exits_with_zero_counts_as_dead(started: Started) -> None:
    child = started([sys.executable, "-S", "-c", ""])
    processes.wait_until(child.ended, seconds=10, failure="still runs")

    with pytest.raises(PartError, match="Part ended with code 0"):
        child.check()


def test_captured_output_stays_out_of_the_log(started: Started) -> None:
    child = started([sys.executable, "-S", "-c", "print('a secret')"], capture=True)
    processes.wait_until(child.ended, seconds=10, failure="still runs")

    assert child.output() == "a secret\n"
    assert child.log.read_text() == ""


def test_the_log_of_the_run_before_is_kept(started: Started) -> None:
    for word in ("before", "now"):
        child = started([sys.executable, "-S", "-c", f"print('{word}')"])
        processes.wait_until(child.ended, seconds=10, failure="still runs")

    assert child.log.read_text() == "now\n"
    assert child.log.with_name("part.log.1").read_text() == "before\n"


def test_waiting_ends_when_interrupted() -> None:
    with pytest.raises(Interrupted):
        processes.wait_until(
            lambda: False, seconds=60, failure="too late", interrupted=lambda: True
        )


def test_waiting_ends_in_time() -> None:
    begun = time.monotonic()

    with pytest.raises(PartError, match="too late"):
        processes.wait_until(lambda: False, seconds=0.1, failure="too late")

    assert time.monotonic() - begun < 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of this death")
def test_children_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parent.parent.parent
    command = [sys.executable, "-c", PARENT_CODE, str(tmp_path / "part.log"), *SLEEP]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        parent.kill()

    eventually_gone(grandchild)
