"""Breadth first through every state of a world, with the promise asked of every step."""

import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model import promise
from tests.model.moves import A_MINUTE, Moves
from tests.model.promise import Promise
from tests.model.rows import forget_rows
from tests.model.state import State, alike, beginning
from tests.model.worlds import World

AT_REST = 0


@dataclass
class Found:
    """What a search has found.

    Attributes:
        world: Where it searched.
        states: How many states it reached.
        steps: How many steps lead from one to another, or to the same.
        depth: How many steps the farthest state is away.
        seconds: Of a processor.
        is_whole: Every state was reached, within the world's bounds.
        reached: Every status that an enrollment has somewhere, and outcome that an attempt has.
        breach: What is broken; None if nothing is.
        story: The shortest way there, a line for each step.
    """

    world: World
    states: int = 0
    steps: int = 0
    depth: int = 0
    seconds: float = 0
    is_whole: bool = False
    reached: set[str] = field(default_factory=set)
    breach: str | None = None
    story: list[str] = field(default_factory=list)


class _Search:
    """Knows states by their hash of 64 bits: of a million, two share one in 1 of 10^7 searches.

    Two states in which the enrollments have changed places are one.
    """

    def __init__(self, world: World) -> None:
        self.moves = Moves(world)
        self.promise = Promise(world)
        self.found = Found(world)
        self.farthest = world.farthest
        self.index: dict[int, int] = {}
        self.hashes = array("q")
        self.parents = array("q")
        self.when_nothing_fails = array("q")
        self.frontier = [beginning(world)]
        self._add(self.frontier[0], hash(self.frontier[0]), -1)

    def run(self) -> Found:
        found, began = self.found, time.process_time()
        while self.frontier and found.breach is None and found.depth != self.farthest:
            self._go_farther()
        found.is_whole = not self.frontier
        found.states = len(self.parents)
        if found.is_whole and found.breach is None:
            self._find_stuck()
        found.seconds = time.process_time() - began
        return found

    def _add(self, state: State, its_hash: int, parent: int) -> None:
        self.hashes.append(its_hash)
        self.index[its_hash] = len(self.parents)
        if self.moves.world.enrollments == 2:
            self.index[hash(alike(state))] = len(self.parents)
        self.parents.append(parent)

    def _go_farther(self) -> None:
        """Take every step from the farthest states."""
        found, farther = self.found, list[State]()
        first = len(self.parents) - len(self.frontier)
        for at, state in enumerate(self.frontier, first):
            for says, after in self.moves.all(state):
                found.steps += 1
                breach = self.promise.broken(state, after)
                if breach is not None:
                    self._tell(breach, at, says)
                    return
                its_hash = hash(after)
                if its_hash not in self.index:
                    self._add(after, its_hash, at)
                    farther.append(after)
            self._look_at(state)
        found.depth += bool(farther)
        self.frontier = farther

    def _look_at(self, state: State) -> None:
        self.found.reached.update(row.status for row in state.rows.enrollments)
        self.found.reached.update(row.outcome for _, row in state.rows.attempts())
        if promise.is_at_rest(state, self.moves):
            self.when_nothing_fails.append(AT_REST)
        else:
            self.when_nothing_fails.append(hash(promise.when_nothing_fails(state, self.moves)))

    def _find_stuck(self) -> None:
        """Follow every state to where it comes to rest if nothing fails any more."""
        rests = bytearray(len(self.parents))
        for start in range(len(self.parents)):
            way, at = [], start
            while not rests[at]:
                rests[at] = True
                way.append(at)
                after = self.when_nothing_fails[at]
                if after == AT_REST:
                    break
                at = self.index[after]
                if at in way:
                    self._tell(promise.STUCK, start)
                    return

    def _tell(self, breach: str, at: int, *last: str) -> None:
        way = list[int]()
        start = at
        while start > 0:
            way.insert(0, start)
            start = self.parents[start]
        self.found.breach = breach
        self.found.story = [*_dated([*self._retold(way), *last]), breach]

    def _retold(self, way: list[int]) -> Iterator[str]:
        state = beginning(self.moves.world)
        for index in way:
            says, state = next(
                (says, after)
                for says, after in self.moves.all(state)
                if hash(after) == self.hashes[index]
            )
            yield says


def _dated(steps: list[str]) -> Iterator[str]:
    """Put the minute before each step, instead of telling of each that passes."""
    minute = 0
    for step in steps:
        is_minute = step.startswith(A_MINUTE)
        minute += is_minute
        says = step.removeprefix(A_MINUTE).removeprefix("; ")
        if says:
            yield f"minute {minute}: {says}"


def search(world: World) -> Found:
    """Search a world until every state is reached or the promise is broken."""
    forget_rows()
    return _Search(world).run()
