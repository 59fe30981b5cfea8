"""What breaks: processes, servers and the provider, at moments drawn from a seed."""

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

import httpx

from standalone.errors import PartError
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.chaos.points import PAIRS, Act, Faults, Point
from tests.chaos.stack import CHAOS_TIMINGS, Site
from tests.e2e.stack import Process

_TICK_SECONDS = 0.05
_ARMED_AT_ONCE = 6

_CALM = {
    "error_rate": {},
    "callbacks": "on",
    "callback_delay_seconds": 0,
    "credentials_ok": True,
    "fail_next_creates": None,
    "fail_next_lists": None,
    "habit": None,
}
_MOODS: dict[str, dict[str, Any]] = {
    "429 to half": {"error_rate": {429: 0.5}},
    "500 to a third": {"error_rate": {500: 0.33}},
    "hangs after accepting": {"fail_next_creates": {"count": 3, "kind": "hang", "creates": True}},
    "drops after accepting": {"fail_next_creates": {"count": 3, "kind": "drop", "creates": True}},
    "drops before accepting": {"fail_next_creates": {"count": 3, "kind": "drop"}},
    "502, yet accepted": {"fail_next_creates": {"count": 3, "status": 502, "creates": True}},
    "no lists": {"fail_next_lists": {"count": 4, "status": 500}},
    "reports doubled": {"callbacks": "doubled"},
    "reports shuffled": {"callbacks": "shuffled"},
    "reports lost": {"callbacks": "off"},
    "reports late": {"callback_delay_seconds": 4},
    "password refused": {"credentials_ok": False},
    "trial account that drops after accepting": {
        "habit": "trial",
        "fail_next_creates": {"count": 3, "kind": "drop", "creates": True},
    },
}
_MOOD_SECONDS = (1.0, 3.0)
_PROVES_NOTHING: dict[str, Any] = {
    "fail_next_creates": {"count": 3, "kind": "drop", "creates": True},
    "fail_next_lists": {"count": 10_000, "status": 500},
    "callbacks": "off",
}
_REDACTS: dict[str, Any] = {
    "fail_next_creates": {"count": 3, "kind": "drop", "creates": True},
    "habit": "redaction",
    "callbacks": "off",
}
_PROVES_NOTHING_SECONDS = CHAOS_TIMINGS["SETTLE_GIVE_UP_SECONDS"] + 3.0
"""Long enough that a person has to decide."""


class Blow(StrEnum):
    """What hits a whole process, server or the provider."""

    KILL_WORKER = "worker killed"
    FREEZE_WORKER = "worker frozen"
    KILL_API = "API killed"
    FREEZE_API = "API frozen"
    RESTART_POSTGRES = "PostgreSQL restarted"
    RESTART_TEMPORAL = "Temporal restarted"
    PROVIDER = "provider"
    NO_PROOF = "provider: drops after accepting, and lists and reports nothing for long"
    REDACTED = "provider: drops after accepting, redacts and reports nothing for long"


_LONG = dict.fromkeys(Blow, 1) | {Blow.PROVIDER: 8, Blow.KILL_WORKER: 2, Blow.FREEZE_WORKER: 2}
_SHORT = dict.fromkeys(Blow, 1) | {
    Blow.PROVIDER: 3,
    Blow.KILL_API: 0,
    Blow.NO_PROOF: 0,
    Blow.REDACTED: 0,
}


def many_blows(rng: Random) -> list[Blow]:
    """Blows for a long run, the provider's most of all."""
    return rng.sample([*_LONG], sum(_LONG.values()), counts=[*_LONG.values()])


def few_blows(rng: Random) -> list[Blow]:
    """Blows for a short run, in which no mood lasts; a fault at a point kills the API there."""
    return rng.sample([*_SHORT], sum(_SHORT.values()), counts=[*_SHORT.values()])


@dataclass(frozen=True)
class Weather:
    """How rough it gets.

    Attributes:
        blow_every: Seconds between two blows from outside, at the least and at the most.
        arm_every: Seconds between two faults at named points.
        faults: Those faults in their order.
        blows: From outside, likewise.
        over_and_over: Whether both begin again when they are used up.
    """

    blow_every: tuple[float, float]
    arm_every: float
    faults: Sequence[tuple[Point, Act]]
    blows: Sequence[Blow]
    over_and_over: bool = True


def all_pairs(rng: Random) -> list[tuple[Point, Act]]:
    """Every fault at every point, shuffled."""
    return rng.sample(PAIRS, len(PAIRS))


def one_each(rng: Random) -> list[tuple[Point, Act]]:
    """One fault at each point, of each kind about as many; few kills, which cost a start."""
    acts = [Act.KILL, Act.FREEZE, Act.DROP, Act.DELAY]
    points = rng.sample(list(Point), len(Point))
    return [
        (point, Act.DUPLICATE if point.endswith(".entered") else acts[number % 4])
        for number, point in enumerate(points)
    ]


class Storm:
    """Hurts a site, and helps it up again as a supervisor of processes would.

    Attributes:
        tally: How often what happened.
    """

    def __init__(self, site: Site, rng: Random, weather: Weather) -> None:
        self._site = site
        self._rng = rng
        self._weather = weather
        self._faults: Faults = site.stack.faults
        self._processes = (site.stack.worker, site.stack.second, site.stack.api)
        self._simulator = httpx.AsyncClient(
            base_url=f"{site.stack.simulator_url}/_simulator", timeout=30
        )
        self._wake_at: dict[int, float] = {}
        self._start_at: dict[str, float] = {}
        self._seen = 0
        self._calm_at = 0.0
        self.tally: Counter[str] = Counter()

    async def rage(self) -> None:
        """Go on until cancelled."""
        weather = self._weather
        faults, blows = iter(weather.faults), iter(weather.blows)
        if weather.over_and_over:
            faults, blows = itertools.cycle(faults), itertools.cycle(blows)
        next_fault, next_blow = 0.0, time.monotonic() + weather.blow_every[0]
        while True:
            now = time.monotonic()
            # A slow machine gets its time: nothing new breaks until all that broke is up again.
            ready = now >= min(next_fault, next_blow) and self._all_ready()
            may_arm = ready or not weather.over_and_over
            if may_arm and now >= next_fault and self._faults.waiting() < _ARMED_AT_ONCE:
                fault = next(faults, None)
                if fault is not None:
                    self._faults.arm(*fault)
                next_fault = now + weather.arm_every
            if ready and now >= next_blow:
                blow = next(blows, None)
                if blow is not None:
                    await self._blow(blow)
                next_blow = time.monotonic() + self._rng.uniform(*weather.blow_every)
            if self._calm_at and now >= self._calm_at:
                await self._behave(_CALM)
                self._calm_at = 0
            self._supervise()
            await asyncio.sleep(_TICK_SECONDS)

    async def calm(self) -> None:
        """Take everything back, and wait until all is up."""
        self._faults.disarm()
        await self._behave(_CALM)
        self._start_at = dict.fromkeys(self._start_at, 0)
        while True:
            self._wake_at = dict.fromkeys(self._wake_at, 0)
            self._supervise()
            if all(map(is_up, self._processes)) and self._servers_ready():
                break
            await asyncio.sleep(_TICK_SECONDS)
        await self._simulator.aclose()

    async def keep_up(self) -> None:
        """Only help up, until cancelled: a fault may have been claimed at the last moment."""
        while True:
            self._supervise()
            await asyncio.sleep(_TICK_SECONDS)

    async def _blow(self, blow: Blow) -> None:
        match blow:
            case Blow.KILL_WORKER:
                self._signal(self._a_worker(), signal.SIGKILL, blow)
            case Blow.FREEZE_WORKER:
                self._signal(self._a_worker(), signal.SIGSTOP, blow)
            case Blow.KILL_API:
                self._signal(self._site.stack.api, signal.SIGKILL, blow)
            case Blow.FREEZE_API:
                self._signal(self._site.stack.api, signal.SIGSTOP, blow)
            case Blow.RESTART_POSTGRES:
                await self._restart(self._site.postgres, blow)
            case Blow.RESTART_TEMPORAL:
                await self._restart(self._site.temporal, blow)
            case Blow.PROVIDER:
                mood = self._rng.choice([*_MOODS])
                seconds = self._rng.uniform(*_MOOD_SECONDS)
                await self._turn(f"{blow}: {mood}", _MOODS[mood], seconds)
            case Blow.NO_PROOF:
                await self._turn(blow, _PROVES_NOTHING, _PROVES_NOTHING_SECONDS)
            case Blow.REDACTED:
                await self._turn(blow, _REDACTS, _PROVES_NOTHING_SECONDS)

    async def _turn(self, name: str, mood: dict[str, Any], seconds: float) -> None:
        """Have the provider in a mood for a while, if it is not in one already."""
        if self._calm_at:
            return
        self.tally[name] += 1
        await self._behave(_CALM | mood)
        self._calm_at = time.monotonic() + seconds

    def _all_ready(self) -> bool:
        try:
            return all(process.ready() for process in self._processes)
        except PartError:
            return False

    def _servers_ready(self) -> bool:
        return self._site.postgres.ready() and self._site.temporal.ready()

    def _a_worker(self) -> Process:
        return self._rng.choice(self._processes[:2])

    def _signal(self, process: Process, number: signal.Signals, blow: Blow) -> None:
        if not is_up(process):
            return
        self.tally[blow] += 1
        process.send(number)
        if number is signal.SIGSTOP and process.pid is not None:
            self._freeze(process.pid)

    def _freeze(self, pid: int) -> None:
        self._wake_at[pid] = time.monotonic() + self._rng.choice([0.3, 1, 2.5, 4, 6])

    async def _restart(self, server: EmbeddedPostgres | TemporalServer, blow: Blow) -> None:
        self.tally[blow] += 1
        server.stop()
        try:
            await self._waiting(self._rng.uniform(0.2, 2.5))
        finally:  # the storm may end meanwhile
            server.launch()
        while not server.ready():
            await self._waiting(_TICK_SECONDS)

    async def _waiting(self, seconds: float) -> None:
        """Wait, helping processes up meanwhile: a frozen API must not hold everybody up."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._supervise()
            await asyncio.sleep(_TICK_SECONDS)

    async def _behave(self, behavior: dict[str, Any]) -> None:
        (await self._simulator.post("/behaviour", json=behavior)).raise_for_status()

    def _supervise(self) -> None:
        """Start what died, after a while, and wake what froze."""
        now = time.monotonic()
        strikes = self._faults.struck()
        for strike in strikes[self._seen :]:
            if strike.act is Act.FREEZE:
                self._freeze(strike.pid)
        self._seen = len(strikes)
        for pid in [pid for pid, at in self._wake_at.items() if at <= now]:
            del self._wake_at[pid]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for process in self._processes:
            if is_up(process):
                continue
            at = self._start_at.setdefault(process.name, now + self._rng.uniform(0, 1.5))
            if now >= at:
                del self._start_at[process.name]
                process.stop()
                process.launch()


def is_up(process: Process) -> bool:
    """Whether a process has not ended; it may be frozen."""
    try:
        process.check()
    except PartError:
        return False
    return True
