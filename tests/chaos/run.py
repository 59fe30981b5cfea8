"""One chaos run: start everything, let people live in a storm, wait for the calm, judge."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from temporalio.client import Client
from temporalio.service import RPCError

from tests.chaos.crowd import Crowd
from tests.chaos.evidence import Evidence, collect, texts_of
from tests.chaos.judge import Violation, judge
from tests.chaos.points import Act, Point
from tests.chaos.stack import Site, site
from tests.chaos.storm import Storm, Weather, all_pairs, few_blows, many_blows, one_each
from tests.e2e.people import Desk
from workflows.client import DATA_CONVERTER, SWEEP_SCHEDULE

_T = TypeVar("_T")

_SWEEP_SECONDS = 3.0
_LINGER_SECONDS = 5.0
"""How long the storm goes on when everybody is enrolled: their texts are still to go."""


@dataclass(frozen=True)
class Plan:
    """What a run is to be.

    Attributes:
        enrollments: How many, of three steps each.
        seed: Of everything that is drawn; what the machine does in between is its own.
        seconds: Over how many seconds they are enrolled, in the storm.
        rest: At most how long until all is final, afterwards.
        short: Few blows, one fault at each point.
    """

    enrollments: int
    seed: int
    seconds: float
    rest: float = 180
    short: bool = False

    def weather(self, rng: Random) -> Weather:
        """The storm that belongs to it."""
        if self.short:
            return Weather((0.8, 1.6), 0.5, one_each(rng), few_blows(rng), over_and_over=False)
        return Weather((1, 3), 0.4, all_pairs(rng), many_blows(rng))


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        struck: How often what struck where.
        tally: What else happened, and what people did.
        held: Enrollments that were held for a person and released by hand.
        seconds: How long it took, without the start of the servers.
    """

    plan: Plan
    evidence: Evidence
    violations: list[Violation]
    struck: Counter[tuple[Point, Act]]
    tally: Counter[str]
    held: int
    seconds: float


def run(plan: Plan) -> Outcome:
    """Do a whole run on servers of its own."""
    with site() as place:
        desk = Desk(place.stack)
        try:
            return run_on(place, desk, plan)
        finally:
            desk.close()


def run_on(place: Site, desk: Desk, plan: Plan) -> Outcome:
    """Do a run where nothing else goes on."""
    place.stack.second.start()
    try:
        return asyncio.run(_run(place, desk, plan))
    finally:
        place.stack.second.stop()


async def _run(place: Site, desk: Desk, plan: Plan) -> Outcome:
    rng = Random(plan.seed)
    crowd = Crowd(desk, rng, plan.enrollments)
    storm = Storm(place, Random(plan.seed), plan.weather(Random(plan.seed)))
    begun = time.monotonic()
    watching = asyncio.create_task(crowd.watch())
    raging = asyncio.create_task(storm.rage())
    await _unless(crowd.enrol_all(plan.seconds), raging, watching)
    await _unless(asyncio.sleep(_LINGER_SECONDS), raging, watching)
    await _over(raging)
    await storm.calm()
    keeping = asyncio.create_task(storm.keep_up())
    held = await _unless(_rest(plan, place, desk), keeping, watching)
    await crowd.close()
    await _over(watching)
    await _over(keeping)
    evidence = await collect(place, crowd.deeds)
    return Outcome(
        plan=plan,
        evidence=evidence,
        violations=judge(evidence),
        struck=place.stack.faults.counts(),
        tally=storm.tally + crowd.tally(),
        held=held,
        seconds=time.monotonic() - begun,
    )


async def _rest(plan: Plan, place: Site, desk: Desk) -> int:
    """Wait until everything is final and settled, releasing what is held as an operator would."""
    client = await Client.connect(place.temporal.address, data_converter=DATA_CONVERTER)
    sweep = client.get_schedule_handle(SWEEP_SCHEDULE)
    released: set[UUID] = set()
    deadline = time.monotonic() + plan.rest
    while time.monotonic() < deadline:
        held, waiting = await asyncio.to_thread(_unfinished, place.database_url)
        for enrollment_id, phone, body in held:
            released.add(enrollment_id)
            there = any(text.to == phone and text.body == body for text in texts_of(place))
            decision = "treat_as_sent" if there else "retry"
            desk.batch("release", str(enrollment_id), decision=decision)
        if not held and not waiting:
            break
        with contextlib.suppress(RPCError):
            await sweep.trigger(rpc_timeout=timedelta(seconds=5))
        await asyncio.sleep(_SWEEP_SECONDS)
    return len(released)


_HELD = """
    SELECT e.id, c.phone, s.body FROM enrollments e JOIN contacts c ON c.id = e.contact_id
    JOIN steps s ON s.version_id = e.version_id AND s.position = e.position
    WHERE e.status = 'active' AND e.held_reason = 'outcome_unknown'
"""
_WAITING = """
    SELECT (SELECT count(*) FROM enrollments WHERE status = 'active')
        + (SELECT count(*) FROM attempts WHERE outcome IN ('open', 'unknown'))
        + (SELECT count(*) FROM inbound_events WHERE applied_at IS NULL)
        + (SELECT count(*) FROM outbox) AS waiting
"""


def _unfinished(database_url: str) -> tuple[list[tuple[UUID, str, str]], int]:
    """What is held for a person, and how much is not at rest."""
    with psycopg.connect(database_url) as connection:
        held = connection.execute(_HELD).fetchall()
        row = connection.execute(_WAITING).fetchone()
    assert row is not None
    return [(one[0], one[1], one[2]) for one in held], row[0]


async def _unless(work: Coroutine[Any, Any, _T], *background: "asyncio.Task[None]") -> _T:
    """Do something; if what runs beside it fails, that is the failure."""
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task, *background}, return_when=asyncio.FIRST_COMPLETED)
    if task not in done:
        task.cancel()
        for failed in done:
            failed.result()
    return await task


async def _over(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
