"""Group commit: what comes in while a transaction is under way shares the next one."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

_T = TypeVar("_T")


class FullError(Exception):
    """Too much is waiting: nothing was done, and nothing will be done, with this item."""


def _now() -> float:
    return time.monotonic()


@dataclass(frozen=True)
class GroupLimits:
    """How much is taken on.

    Attributes:
        together: Most items of one transaction.
        at_once: Transactions under way side by side.
        gather: How long one waits for more items to share it, unless none was under way for as
            long: then the first item that comes goes at once. Those who get their answers from one
            transaction come back together, and share the next.
        alone: Items that cannot share one, under way side by side.
        waiting: Most items that are not done yet; more are refused.
        longest_wait: How long an item waits for its turn; then it is refused, as are new ones while
            the oldest has waited longer.
    """

    together: int = 50
    at_once: int = 2
    gather: timedelta = timedelta(milliseconds=5)
    alone: int = 4
    waiting: int = 500
    longest_wait: timedelta = timedelta(seconds=1)


@dataclass
class _Waiting(Generic[_T]):
    item: _T
    key: Hashable
    done: asyncio.Future[None]
    context: Context = field(default_factory=copy_context)
    since: float = field(default_factory=_now)


class GroupCommit(Generic[_T]):
    """Does items together, in the order in which they came, and answers each once it is done.

    Items of one key are never under way at the same time and keep their order: the second waits for
    a later transaction. What works on several items runs in the context (trace, log fields) of the
    first.

    Args:
        together: Does items of different keys in one transaction; returns those that it left out
            and that must be done alone. What it raises is the answer to all of them.
        alone: Does one item; what it raises is its answer.
        key: What an item has in common with those that it must not overtake.
        limits: How much is taken on.
        is_busy: Which errors of ``alone`` say that others hold what the item needs: it is tried
            again once the others that wait for a slot have had theirs.
    """

    def __init__(
        self,
        together: Callable[[Sequence[_T]], Awaitable[Sequence[_T]]],
        alone: Callable[[_T], Awaitable[None]],
        key: Callable[[_T], Hashable],
        limits: GroupLimits | None = None,
        *,
        is_busy: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self._together, self._alone, self._key = together, alone, key
        self._is_busy = is_busy
        self._limits = limits or GroupLimits()
        self._waiting: deque[_Waiting[_T]] = deque()  # one of each key
        self._behind: dict[Hashable, deque[_Waiting[_T]]] = {}  # others of keys that wait or run
        self._count = 0
        self._free = self._limits.at_once
        self._gathering: asyncio.TimerHandle | None = None
        self._alone_slots = asyncio.Semaphore(self._limits.alone)
        self._last_ended = -math.inf
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_full(self) -> bool:
        """Whether ``do`` would refuse."""
        is_late = bool(self._waiting) and self._is_late(self._waiting[0])
        return is_late or self._count >= self._limits.waiting

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._count

    def _is_late(self, one: _Waiting[_T]) -> bool:
        return _now() - one.since > self._limits.longest_wait.total_seconds()

    async def do(self, item: _T) -> None:
        """Do an item; if the caller gives up, it is done all the same.

        Raises:
            FullError: Too much is waiting.
            Exception: What went wrong with it.
        """
        if self.is_full:
            raise FullError
        one = _Waiting(item, self._key(item), asyncio.get_running_loop().create_future())
        self._count += 1
        if one.key in self._behind:
            self._behind[one.key].append(one)
        else:
            self._behind[one.key] = deque()
            self._waiting.append(one)
            self._begin()
        await one.done

    def _begin(self) -> None:
        """Begin what can begin: at once if it is quiet or a group is full."""
        while self._free and self._waiting:
            if len(self._waiting) < self._limits.together and not self._is_quiet():
                self._gather()
                return
            if not self._begin_group():
                return

    def _is_quiet(self) -> bool:
        """Whether no group is under way, nor was a moment ago."""
        rest = _now() - self._last_ended
        return self._free == self._limits.at_once and rest > self._limits.gather.total_seconds()

    def _gather(self) -> None:
        if self._gathering is None:
            loop, seconds = asyncio.get_running_loop(), self._limits.gather.total_seconds()
            self._gathering = loop.call_later(seconds, self._gathered)

    def _gathered(self) -> None:
        self._gathering = None
        if self._free and self._begin_group():
            self._begin()

    def _begin_group(self) -> bool:
        group = self._next_group()
        if group:
            self._free -= 1
            self._run(self._do_together(group), group[0].context)
        return bool(group)

    def _next_group(self) -> list[_Waiting[_T]]:
        """Take the oldest that wait; those that have waited for too long are refused."""
        group: list[_Waiting[_T]] = []
        while self._waiting and len(group) < self._limits.together:
            one = self._waiting.popleft()
            if self._is_late(one):
                self._end(one, FullError())
            else:
                group.append(one)
        return group

    async def _do_together(self, group: Sequence[_Waiting[_T]]) -> None:
        try:
            left = {self._key(item) for item in await self._together([one.item for one in group])}
        except BaseException as error:  # noqa: BLE001 - the callers get it
            for one in group:
                self._end(one, error)
        else:
            for one in group:
                if one.key in left:
                    self._run(self._do_alone(one), one.context)
                else:
                    self._end(one)
        finally:
            self._free += 1
            self._last_ended = _now()
            self._begin()

    async def _do_alone(self, one: _Waiting[_T]) -> None:
        error = await self._try_alone(one)
        while error is not None and self._is_busy(error):
            error = await self._try_alone(one)
        self._end(one, error)
        self._begin()

    async def _try_alone(self, one: _Waiting[_T]) -> BaseException | None:
        try:
            async with self._alone_slots:
                await self._alone(one.item)
        except BaseException as raised:  # noqa: BLE001 - the caller gets it
            return raised
        return None

    def _end(self, one: _Waiting[_T], error: BaseException | None = None) -> None:
        self._count -= 1
        if behind := self._behind[one.key]:
            following = behind.popleft()
            following.since = _now()
            self._waiting.append(following)
        else:
            del self._behind[one.key]
        if one.done.done():  # its caller gave up
            return
        if error is None:
            one.done.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            one.done.cancel()
        else:
            one.done.set_exception(error)

    def _run(self, work: Awaitable[None], context: Context) -> None:
        task = asyncio.get_running_loop().create_task(_awaited(work), context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _awaited(work: Awaitable[None]) -> None:
    await work
