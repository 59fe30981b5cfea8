"""Group commit: who shares a transaction, in what order, and who is refused."""

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta

import pytest

from services.platform.group_commit import FullError, GroupCommit, GroupLimits

LIMITS = GroupLimits(
    together=3,
    at_once=2,
    gather=timedelta(0),
    alone=1,
    waiting=8,
    longest_wait=timedelta(seconds=60),
)
_who: ContextVar[str] = ContextVar("who", default="")


class Store:
    """Does items, each a key and a number: ``a1``; holds them up until it is opened."""

    def __init__(self, limits: GroupLimits = LIMITS) -> None:
        self.groups: list[list[str]] = []
        self.alone: list[str] = []
        self.left: set[str] = set()
        self.errors: dict[str, Exception] = {}
        self.alone_error: Exception | None = None
        self.open = asyncio.Event()
        self.contexts: list[str] = []
        self.group = GroupCommit(self._together, self._alone, lambda item: item[0], limits)

    async def _together(self, items: Sequence[str]) -> Sequence[str]:
        self.groups.append(list(items))
        self.contexts.append(_who.get())
        await self.open.wait()
        for item in items:
            if item in self.errors:
                raise self.errors[item]
        return [item for item in items if item in self.left]

    async def _alone(self, item: str) -> None:
        self.alone.append(item)
        if self.alone_error is not None:
            raise self.alone_error

    def do(self, *items: str) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.group.do(item)) for item in items]


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_items_share_the_next_group_while_others_are_under_way() -> None:
    store = Store()
    tasks = store.do("a1", "b1", "c1", "d1", "e1", "f1", "g1")
    await settled()
    assert store.groups[0] == ["a1"]
    assert len(store.groups) == 2
    assert not any(task.done() for task in tasks)

    store.open.set()
    await asyncio.gather(*tasks)

    assert [item for group in store.groups for item in group] == [
        *("a1", "b1", "c1", "d1", "e1", "f1", "g1")
    ]
    assert max(map(len, store.groups)) == LIMITS.together
    assert store.alone == []


async def test_items_of_one_key_are_never_under_way_together() -> None:
    store = Store()
    tasks = store.do("a1", "a2", "b1", "a3")
    await settled()
    assert store.groups == [["a1"], ["b1"]]

    store.open.set()
    await asyncio.gather(*tasks)

    assert store.groups == [["a1"], ["b1"], ["a2"], ["a3"]]


async def test_item_left_out_goes_alone_and_holds_up_only_its_key() -> None:
    store = Store()
    store.left = {"a1"}
    store.open.set()

    await asyncio.gather(*store.do("a1", "b1", "a2"))

    assert store.alone == ["a1"]
    assert store.groups[-1] == ["a2"]


async def test_error_of_a_group_answers_all_of_it_and_no_other() -> None:
    store = Store()
    store.errors["b1"] = ConnectionError()
    tasks = store.do("a1", "b1", "c1")
    await settled()
    store.open.set()

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in results] == [
        type(None),
        *([ConnectionError] * len(store.groups[1])),
        *([type(None)] * (2 - len(store.groups[1]))),
    ]
    await asyncio.gather(*store.do("a2"))


async def test_error_of_an_item_alone_answers_it() -> None:
    store = Store()
    store.left = {"a1"}
    store.alone_error = ValueError()
    store.open.set()

    results = await asyncio.gather(*store.do("a1", "b1"), return_exceptions=True)

    assert [type(one) for one in results] == [ValueError, type(None)]
    assert store.alone == ["a1"]


async def test_caller_that_gives_up_loses_nothing() -> None:
    store = Store()
    first, second = store.do("a1", "a2")
    await settled()
    second.cancel()
    await settled()

    store.open.set()
    await first
    await settled()

    assert store.groups == [["a1"], ["a2"]]


async def test_what_exceeds_the_limit_is_refused_until_there_is_room() -> None:
    store = Store(replace(LIMITS, waiting=2))
    tasks = store.do("a1", "b1")
    await settled()
    assert store.group.is_full
    with pytest.raises(FullError):
        await store.group.do("c1")

    store.open.set()
    await asyncio.gather(*tasks)

    assert not store.group.is_full
    await store.group.do("c1")
    assert store.groups[-1] == ["c1"]


async def test_what_waits_too_long_is_refused_and_so_is_what_comes_meanwhile() -> None:
    store = Store(replace(LIMITS, at_once=1, longest_wait=timedelta(milliseconds=20)))
    tasks = store.do("a1", "b1")
    await settled()
    assert not store.group.is_full
    await asyncio.sleep(0.05)
    assert store.group.is_full

    store.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in results] == [type(None), FullError]
    assert store.groups == [["a1"]]
    assert not store.group.is_full


async def test_group_runs_in_the_context_of_its_first_item() -> None:
    store = Store()
    tasks = []
    for name in ("a1", "b1", "c1"):
        _who.set(name)
        tasks += store.do(name)
    _who.set("")
    store.open.set()

    await asyncio.gather(*tasks)

    assert store.contexts == [group[0] for group in store.groups]


class BusyError(Exception):
    """Others hold what an item needs."""


async def test_item_that_others_hold_up_lets_others_go_first_and_is_tried_again() -> None:
    tried: list[str] = []
    held = {"a1"}

    async def leave(items: Sequence[str]) -> Sequence[str]:
        return items

    async def alone(item: str) -> None:
        tried.append(item)
        await asyncio.sleep(0)
        if item in held:
            raise BusyError

    group = GroupCommit(
        leave, alone, lambda item: item[0], LIMITS, is_busy=lambda error: type(error) is BusyError
    )
    first = asyncio.create_task(group.do("a1"))
    await settled()
    await group.do("b1")
    assert not first.done()
    assert tried.count("a1") > 1
    held.clear()
    await first
    assert group.is_idle


async def test_items_that_come_just_after_a_group_share_the_next() -> None:
    store = Store(replace(LIMITS, gather=timedelta(seconds=30)))
    store.open.set()
    await store.group.do("a1")
    tasks = store.do("b1", "c1")
    await settled()
    assert store.groups == [["a1"]]
    tasks += store.do("d1")
    await asyncio.gather(*tasks)
    assert store.groups == [["a1"], ["b1", "c1", "d1"]]
