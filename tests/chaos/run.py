"""One chaos run: start everything, let people live in a storm, wait for the calm, judge."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import psycopg
from temporalio.client import Client
from temporalio.service import RPCError

from tests.chaos.crowd import Crowd
from tests.chaos.evidence import Evidence, collect
from tests.chaos.judge import Violation, judge
from tests.chaos.operator import Operator
from tests.chaos.points import Act, Point
from tests.chaos.stack import Site, site
from tests.chaos.storm import Storm, Weather, all_pairs, few_blows, many_blows, one_each
from tests.e2e.people import Desk
from workflows.client import DATA_CONVERTER, SWEEP_SCHEDULE

_T = TypeVar("_T")

_SWEEP_SECONDS = 3.0
_LISTED = timedelta(seconds=1)
"""The provider dates in whole seconds."""
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
        tally: What else happened, and what people and the operator did.
        seconds: How long it took, without the start of the servers.
    """

    plan: Plan
    evidence: Evidence
    violations: list[Violation]
    struck: Counter[tuple[Point, Act]]
    tally: Counter[str]
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
    operator = Operator(place, crowd)
    working = asyncio.create_task(operator.work())
    watching = asyncio.create_task(crowd.watch())
    raging = asyncio.create_task(storm.rage())
    await _unless(crowd.enroll_all(plan.seconds), raging, watching, working)
    await _unless(asyncio.sleep(_LINGER_SECONDS), raging, watching, working)
    await _over(raging)
    await storm.calm()
    keeping = asyncio.create_task(storm.keep_up())
    await _unless(_rest(plan, place, crowd), keeping, watching, working)
    await _over(working)
    await _over(watching)
    await crowd.close()
    await _over(keeping)
    evidence = await collect(place, crowd.deeds)
    return Outcome(
        plan=plan,
        evidence=evidence,
        violations=judge(evidence),
        struck=place.stack.faults.counts(),
        tally=storm.tally + crowd.tally() + operator.tally,
        seconds=time.monotonic() - begun,
    )


async def _rest(plan: Plan, place: Site, crowd: Crowd) -> None:
    """Wait until everything is final and wait_for_reports, and what was missed has been fetched."""
    client = await Client.connect(place.temporal.address, data_converter=DATA_CONVERTER)
    sweep = client.get_schedule_handle(SWEEP_SCHEDULE)
    calm_at, deadline = datetime.now(UTC), time.monotonic() + plan.rest
    while time.monotonic() < deadline:
        last = max([calm_at, *(deed.asked_at for deed in crowd.deeds)])
        if not await asyncio.to_thread(_restless, place.database_url, last + _LISTED):
            break
        with contextlib.suppress(RPCError):
            await sweep.trigger(rpc_timeout=timedelta(seconds=5))
        await asyncio.sleep(_SWEEP_SECONDS)


_RESTLESS = """
    SELECT (SELECT count(*) FROM enrollments WHERE status = 'active')
        + (SELECT count(*) FROM attempts WHERE outcome IN ('open', 'unknown'))
        + (SELECT count(*) FROM inbound_events WHERE applied_at IS NULL)
        + (SELECT count(*) FROM outbox)
        + (SELECT count(*) FROM catch_up_lists WHERE fetched_until < %s)
"""


def _restless(database_url: str, last_text: datetime) -> int:
    """How much is not at rest."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(_RESTLESS, [last_text]).fetchone()
    assert row is not None
    return int(row[0])


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
