"""Disrupt processes, servers and the provider, at times drawn from a seed."""

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
from tests.e2e.people import FRESH
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
_BEHAVIORS: dict[str, dict[str, Any]] = {
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
_BEHAVIOR_SECONDS = (1.0, 3.0)
_NO_EVIDENCE: dict[str, Any] = {
    "fail_next_creates": {"count": 3, "kind": "drop", "creates": True},
    "fail_next_lists": {"count": 10_000, "status": 500},
    "callbacks": "off",
}
_REDACTS: dict[str, Any] = {
    "fail_next_creates": {"count": 3, "kind": "drop", "creates": True},
    "habit": "redaction",
    "callbacks": "off",
}
_NO_EVIDENCE_SECONDS = CHAOS_TIMINGS["SETTLE_GIVE_UP_SECONDS"] + 3.0
"""Long enough that a person has to decide."""


class Disruption(StrEnum):
    """A disruption of a process, a server or the provider."""

    KILL_WORKER = "worker killed"
    FREEZE_WORKER = "worker frozen"
    KILL_API = "API killed"
    FREEZE_API = "API frozen"
    RESTART_POSTGRES = "PostgreSQL restarted"
    RESTART_TEMPORAL = "Temporal restarted"
    PROVIDER = "provider"
    NO_EVIDENCE = "provider: drops after accepting, and lists and reports nothing for long"
    REDACTED = "provider: drops after accepting, redacts and reports nothing for long"


_LONG = dict.fromkeys(Disruption, 1) | {
    Disruption.PROVIDER: 8,
    Disruption.KILL_WORKER: 2,
    Disruption.FREEZE_WORKER: 2,
}
_SHORT = dict.fromkeys(Disruption, 1) | {
    Disruption.PROVIDER: 3,
    Disruption.KILL_API: 0,
    Disruption.NO_EVIDENCE: 0,
    Disruption.REDACTED: 0,
}


def many_disruptions(rng: Random) -> list[Disruption]:
    """Draw the disruptions of a long run, most of them of the provider."""
    return rng.sample([*_LONG], sum(_LONG.values()), counts=[*_LONG.values()])


def few_disruptions(rng: Random) -> list[Disruption]:
    """Draw the disruptions of a short run; in it, a fault at a point kills the API."""
    return rng.sample([*_SHORT], sum(_SHORT.values()), counts=[*_SHORT.values()])


@dataclass(frozen=True)
class Intensity:
    """The disruptions and faults of a run, and how often they happen.

    Attributes:
        disrupt_every: Minimum and maximum seconds between two disruptions.
        arm_every: Seconds between two faults at named points.
        faults: The faults in order.
        disruptions: The disruptions in order.
        repeat: Whether both start over when they are used up.
    """

    disrupt_every: tuple[float, float]
    arm_every: float
    faults: Sequence[tuple[Point, Act]]
    disruptions: Sequence[Disruption]
    repeat: bool = True


def all_pairs(rng: Random) -> list[tuple[Point, Act]]:
    """List every fault at every point, shuffled."""
    return rng.sample(PAIRS, len(PAIRS))


def one_each(rng: Random) -> list[tuple[Point, Act]]:
    """List one fault at each point, evenly of each kind."""
    acts = [Act.KILL, Act.FREEZE, Act.DROP, Act.DELAY]
    points = rng.sample(list(Point), len(Point))
    return [
        (point, Act.DUPLICATE if point.endswith(".entered") else acts[number % 4])
        for number, point in enumerate(points)
    ]


class Storm:
    """Disrupts a site, and restarts its processes as a supervisor would.

    Attributes:
        tally: Counts of the disruptions.
    """

    def __init__(self, site: Site, rng: Random, intensity: Intensity) -> None:
        self._site = site
        self._rng = rng
        self._intensity = intensity
        self._faults: Faults = site.stack.faults
        self._processes = (site.stack.worker, site.stack.second, site.stack.api)
        self._simulator = httpx.AsyncClient(
            base_url=f"{site.stack.simulator_url}/_simulator", timeout=30, limits=FRESH
        )
        self._wake_at: dict[int, float] = {}
        self._start_at: dict[str, float] = {}
        self._seen = 0
        self._calm_at = 0.0
        self.tally: Counter[str] = Counter()

    async def rage(self) -> None:
        """Disrupt until canceled."""
        intensity = self._intensity
        faults, disruptions = iter(intensity.faults), iter(intensity.disruptions)
        if intensity.repeat:
            faults, disruptions = itertools.cycle(faults), itertools.cycle(disruptions)
        next_fault, next_disruption = 0.0, time.monotonic() + intensity.disrupt_every[0]
        while True:
            now = time.monotonic()
            # A slow machine gets its time: nothing new breaks until all processes are ready again.
            ready = now >= min(next_fault, next_disruption) and self._all_ready()
            may_arm = ready or not intensity.repeat
            if may_arm and now >= next_fault and self._faults.waiting() < _ARMED_AT_ONCE:
                fault = next(faults, None)
                if fault is not None:
                    self._faults.arm(*fault)
                next_fault = now + intensity.arm_every
            if ready and now >= next_disruption:
                disruption = next(disruptions, None)
                if disruption is not None:
                    await self._disrupt(disruption)
                next_disruption = time.monotonic() + self._rng.uniform(*intensity.disrupt_every)
            if self._calm_at and now >= self._calm_at:
                await self._behave(_CALM)
                self._calm_at = 0
            self._supervise()
            await asyncio.sleep(_TICK_SECONDS)

    async def calm(self) -> None:
        """Remove all faults, and wait until all processes and servers run."""
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
        """Only supervise, until canceled: a fault may strike at the last moment."""
        while True:
            self._supervise()
            await asyncio.sleep(_TICK_SECONDS)

    async def _disrupt(self, disruption: Disruption) -> None:
        match disruption:
            case Disruption.KILL_WORKER:
                self._signal(self._a_worker(), signal.SIGKILL, disruption)
            case Disruption.FREEZE_WORKER:
                self._signal(self._a_worker(), signal.SIGSTOP, disruption)
            case Disruption.KILL_API:
                self._signal(self._site.stack.api, signal.SIGKILL, disruption)
            case Disruption.FREEZE_API:
                self._signal(self._site.stack.api, signal.SIGSTOP, disruption)
            case Disruption.RESTART_POSTGRES:
                await self._restart(self._site.postgres, disruption)
            case Disruption.RESTART_TEMPORAL:
                await self._restart(self._site.temporal, disruption)
            case Disruption.PROVIDER:
                behavior = self._rng.choice([*_BEHAVIORS])
                seconds = self._rng.uniform(*_BEHAVIOR_SECONDS)
                await self._change_provider(
                    f"{disruption}: {behavior}", _BEHAVIORS[behavior], seconds
                )
            case Disruption.NO_EVIDENCE:
                await self._change_provider(disruption, _NO_EVIDENCE, _NO_EVIDENCE_SECONDS)
            case Disruption.REDACTED:
                await self._change_provider(disruption, _REDACTS, _NO_EVIDENCE_SECONDS)

    async def _change_provider(self, name: str, behavior: dict[str, Any], seconds: float) -> None:
        """Change the provider's behavior for a while, unless it is changed already."""
        if self._calm_at:
            return
        self.tally[name] += 1
        await self._behave(_CALM | behavior)
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

    def _signal(self, process: Process, number: signal.Signals, disruption: Disruption) -> None:
        if not is_up(process):
            return
        self.tally[disruption] += 1
        process.send(number)
        if number is signal.SIGSTOP and process.pid is not None:
            self._freeze(process.pid)

    def _freeze(self, pid: int) -> None:
        self._wake_at[pid] = time.monotonic() + self._rng.choice([0.3, 1, 2.5, 4, 6])

    async def _restart(
        self, server: EmbeddedPostgres | TemporalServer, disruption: Disruption
    ) -> None:
        self.tally[disruption] += 1
        server.stop()
        try:
            await self._waiting(self._rng.uniform(0.2, 2.5))
        finally:  # the storm may be canceled meanwhile
            server.launch()
        while not server.ready():
            await self._waiting(_TICK_SECONDS)

    async def _waiting(self, seconds: float) -> None:
        """Wait while supervising: a frozen API must not block the run."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._supervise()
            await asyncio.sleep(_TICK_SECONDS)

    async def _behave(self, behavior: dict[str, Any]) -> None:
        (await self._simulator.post("/behaviour", json=behavior)).raise_for_status()

    def _supervise(self) -> None:
        """Restart dead processes after a while, and resume frozen ones."""
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
    """Return whether a process has not ended; it may be frozen."""
    try:
        process.check()
    except PartError:
        return False
    return True
