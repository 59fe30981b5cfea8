"""The named points of the send path and the webhook path, and what may strike there."""

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
    """Where a process can be struck; all but ``call`` are a transaction's beginning and end."""

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
    """What happens to a process, or to the call it makes, at a point."""

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
"""Everything that can strike: only a whole call can come twice."""


@dataclass(frozen=True)
class Strike:
    """One fault that happened, in which process."""

    point: Point
    act: Act
    pid: int


class Faults:
    """Faults that wait in a folder for the process that comes by first.

    Args:
        folder: Shared by the processes and whoever arms the faults.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._armed, self._struck = folder / "armed", folder / "struck"
        for place in (self._armed, self._struck):
            place.mkdir(parents=True, exist_ok=True)

    def arm(self, point: Point, act: Act) -> None:
        """Have the next process at a point struck, once."""
        (self._armed / f"{point}.{act}").touch()

    def disarm(self) -> None:
        """Take back what nobody came by."""
        for fault in self._armed.iterdir():
            fault.unlink(missing_ok=True)

    def waiting(self) -> int:
        """How many armed faults nobody came by yet."""
        return len(list(self._armed.iterdir()))

    def struck(self) -> list[Strike]:
        """What happened so far, in order."""
        strikes = []
        for name in sorted(path.name for path in self._struck.iterdir()):
            _, point, act, pid = name.split("~")
            strikes.append(Strike(Point(point), Act(act), int(pid)))
        return strikes

    def counts(self) -> Counter[tuple[Point, Act]]:
        """How often each pair happened."""
        return Counter((strike.point, strike.act) for strike in self.struck())

    def claim(self, point: Point) -> Act | None:
        """Take a fault that is armed for a point; no two processes take the same."""
        for act in Act:
            name = f"{time.time_ns()}~{point}~{act}~{os.getpid()}"
            with contextlib.suppress(FileNotFoundError):
                (self._armed / f"{point}.{act}").rename(self._struck / name)
                return act
        return None

    async def strike(self, point: Point) -> bool:
        """Suffer what is armed for a point; answers whether the call is to come twice."""
        act = self.claim(point)
        if act is Act.DELAY:
            await asyncio.sleep(DELAY_SECONDS)
        return _suffer(act)

    def strike_thread(self, point: Point) -> None:
        """As ``strike``, where the caller has a thread of its own."""
        act = self.claim(point)
        if act is Act.DELAY:
            time.sleep(DELAY_SECONDS)
        _suffer(act)

    async def around(self, path: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do something whose transactions are struck, and which may come twice at once."""
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


def _suffer(act: Act | None) -> bool:
    match act:
        case Act.KILL:
            _signal_here(signal.SIGKILL)
        case Act.FREEZE:
            frozen_at = time.monotonic()
            _signal_here(signal.SIGSTOP)
            _asleep.append(time.monotonic() - frozen_at)
        case Act.DROP:
            raise ConnectionResetError
        case Act.DUPLICATE:
            return True
        case Act.DELAY | None:
            pass
    return False


_asleep: list[float] = []


def monotonic() -> float:
    """The monotonic clock of a machine that is suspended while a process is frozen at a point."""
    return time.monotonic() - sum(_asleep)


def _signal_here(number: signal.Signals) -> None:
    """Kill or freeze this process, and go no further until that has happened.

    The signal is the whole process's: the thread that sent it may run on for a moment.
    """
    os.kill(os.getpid(), number)
    time.sleep(_SIGNAL_SECONDS)


class StruckDatabase(Database):
    """PostgreSQL, with a point before and one after each commit on a struck path."""

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
    """What takes one kind of webhook, struck.

    Args:
        receiver: ``Inbound`` or ``Callbacks``.
        faults: What strikes.
        path: ``inbound`` or ``report``.
    """

    def __init__(self, receiver: Any, faults: Faults, path: str) -> None:
        self._receiver = receiver
        self._faults = faults
        self._path = path

    async def receive(self, what: object) -> None:
        await self._faults.around(self._path, lambda: self._receiver.receive(what))
