"""Named points of the send path and the webhook path, and the faults at them."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from storage.platform.database import Database, Transaction

_T = TypeVar("_T")

DELAY_SECONDS = 1.0
_SIGNAL_SECONDS = 0.2


class Point(StrEnum):
    """Where a fault can strike; all but ``call`` are the start and end of a transaction."""

    OPEN_ENTERED = "open.entered"
    OPEN_LOCKED = "open.locked"
    OPEN_UNCOMMITTED = "open.uncommitted"
    OPEN_COMMITTED = "open.committed"
    CALL_UNSENT = "call.unsent"
    CALL_SENT = "call.sent"
    ANSWER_ENTERED = "answer.entered"
    ANSWER_UNCOMMITTED = "answer.uncommitted"
    ANSWER_COMMITTED = "answer.committed"
    INBOUND_ENTERED = "inbound.entered"
    INBOUND_UNCOMMITTED = "inbound.uncommitted"
    INBOUND_COMMITTED = "inbound.committed"
    REPORT_ENTERED = "report.entered"
    REPORT_UNCOMMITTED = "report.uncommitted"
    REPORT_COMMITTED = "report.committed"


MEANING: dict[Point, str] = {
    Point.OPEN_ENTERED: "before the attempt row",
    Point.OPEN_LOCKED: "everything locked and read, attempt row not written",
    Point.OPEN_UNCOMMITTED: "attempt row written, not committed",
    Point.OPEN_COMMITTED: "attempt row committed, before the call",
    Point.CALL_UNSENT: "inside the call, before its first byte",
    Point.CALL_SENT: "inside the call, sent, its answer not read",
    Point.ANSWER_ENTERED: "Twilio's answer read, before our transaction",
    Point.ANSWER_UNCOMMITTED: "answer written, not committed",
    Point.ANSWER_COMMITTED: "answer committed, Temporal not told",
    Point.INBOUND_ENTERED: "text received, nothing stored",
    Point.INBOUND_UNCOMMITTED: "text stored, not committed",
    Point.INBOUND_COMMITTED: "text committed, not answered",
    Point.REPORT_ENTERED: "report received, nothing stored",
    Point.REPORT_UNCOMMITTED: "report stored, not committed",
    Point.REPORT_COMMITTED: "report committed, not answered",
}


class Act(StrEnum):
    """A fault of a process, or of the call it makes, at a point."""

    KILL = "kill"
    FREEZE = "freeze"
    DELAY = "delay"
    DROP = "drop"
    DUPLICATE = "duplicate"


PAIRS: tuple[tuple[Point, Act], ...] = tuple(
    (point, act)
    for point in Point
    for act in Act
    if act is not Act.DUPLICATE or point.endswith(".entered")
)
"""All faults at all points; only a whole call can be duplicated."""


@dataclass(frozen=True)
class Strike:
    """A fault that happened, and in which process."""

    point: Point
    act: Act
    pid: int


class Faults:
    """Faults armed in a folder; the first process at the point takes one.

    Args:
        folder: Shared by the processes and the test.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._armed, self._struck = folder / "armed", folder / "struck"
        for part in (self._armed, self._struck):
            part.mkdir(parents=True, exist_ok=True)

    def arm(self, point: Point, act: Act) -> None:
        """Arm a fault for the next process at a point, once."""
        (self._armed / f"{point}.{act}").touch()

    def disarm(self) -> None:
        """Remove the faults that no process has taken."""
        for fault in self._armed.iterdir():
            fault.unlink(missing_ok=True)

    def waiting(self) -> int:
        """Count the faults that no process has taken."""
        return len(list(self._armed.iterdir()))

    def struck(self) -> list[Strike]:
        """List the faults that happened, in order."""
        strikes = []
        for name in sorted(path.name for path in self._struck.iterdir()):
            _, point, act, pid = name.split("~")
            strikes.append(Strike(Point(point), Act(act), int(pid)))
        return strikes

    def counts(self) -> Counter[tuple[Point, Act]]:
        """Count the faults that happened, by point and fault."""
        return Counter((strike.point, strike.act) for strike in self.struck())

    def claim(self, point: Point) -> Act | None:
        """Take a fault that is armed for a point; no two processes take the same one."""
        for act in Act:
            name = f"{time.time_ns()}~{point}~{act}~{os.getpid()}"
            with contextlib.suppress(FileNotFoundError):
                (self._armed / f"{point}.{act}").rename(self._struck / name)
                return act
        return None

    async def strike(self, point: Point) -> bool:
        """Apply the fault armed for a point; return whether to make the call twice."""
        act = self.claim(point)
        if act is Act.DELAY:
            await asyncio.sleep(DELAY_SECONDS)
        return _apply(act)

    def strike_thread(self, point: Point) -> None:
        """As ``strike``, for a caller in its own thread."""
        act = self.claim(point)
        if act is Act.DELAY:
            time.sleep(DELAY_SECONDS)
        _apply(act)

    async def around(self, path: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do work whose transactions faults strike, and which a fault may run twice at once."""
        twice = await self.strike(Point(f"{path}.entered"))
        token = _path.set((self, path))
        try:
            if twice:
                first, _ = await asyncio.gather(work(), work())
                return first
            return await work()
        finally:
            _path.reset(token)


_path: ContextVar[tuple[Faults, str] | None] = ContextVar("path", default=None)


def _apply(act: Act | None) -> bool:
    match act:
        case Act.KILL:
            _signal_here(signal.SIGKILL)
        case Act.FREEZE:
            frozen_at = time.monotonic()
            _signal_here(signal.SIGSTOP)
            _frozen_seconds.append(time.monotonic() - frozen_at)
        case Act.DROP:
            raise ConnectionResetError
        case Act.DUPLICATE:
            return True
        case Act.DELAY | None:
            pass
    return False


_frozen_seconds: list[float] = []


def monotonic() -> float:
    """Return the monotonic clock of a machine suspended while a process is frozen."""
    return time.monotonic() - sum(_frozen_seconds)


def _signal_here(number: signal.Signals) -> None:
    """Kill or freeze this process, and wait until that has happened.

    The signal is for the whole process: the thread that sent it may run on for a moment.
    """
    os.kill(os.getpid(), number)
    time.sleep(_SIGNAL_SECONDS)


class StruckDatabase(Database):
    """A database with points before and after each commit on a path with faults."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        struck = _path.get()
        async with super().transaction() as tx:
            yield tx
            if struck:
                await struck[0].strike(Point(f"{struck[1]}.uncommitted"))
        if struck:
            await struck[0].strike(Point(f"{struck[1]}.committed"))


class StruckReceiver:
    """A receiver of one kind of webhook that faults strike.

    Args:
        receiver: ``Inbound`` or ``StatusCallbacks``.
        faults: The armed faults.
        path: ``inbound`` or ``report``.
    """

    def __init__(self, receiver: Any, faults: Faults, path: str) -> None:
        self._receiver = receiver
        self._faults = faults
        self._path = path

    @property
    def is_full(self) -> bool:
        return bool(self._receiver.is_full)

    @property
    def is_idle(self) -> bool:
        return bool(self._receiver.is_idle)

    async def receive(self, what: object) -> None:
        await self._faults.around(self._path, lambda: self._receiver.receive(what))
