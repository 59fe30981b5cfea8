"""One chaos run: start everything, disturb it while people use it, wait, judge."""

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
from tests.chaos.stack import Site, start_site
from tests.chaos.storm import (
    Intensity,
    Storm,
    all_pairs,
    few_disruptions,
    many_disruptions,
    one_each,
)
from tests.e2e.people import Desk
from workflows.client import DATA_CONVERTER, SWEEP_SCHEDULE

_T = TypeVar("_T")

_SWEEP_SECONDS = 3.0
_LISTED = timedelta(seconds=1)
"""The provider's times are whole seconds."""
_LINGER_SECONDS = 5.0
"""How long the storm lasts after the last enrollment, while texts are sent."""


@dataclass(frozen=True)
class Plan:
    """The parameters of a run.

    Attributes:
        enrollments: How many, of three steps each.
        seed: For all random choices; the machine's own timing still varies.
        seconds: Over how many seconds contacts are enrolled, in the storm.
        rest: How many seconds until all must be final, afterwards.
        short: Few disruptions, one fault at each point.
    """

    enrollments: int
    seed: int
    seconds: float
    rest: float = 180
    short: bool = False

    def intensity(self, rng: Random) -> Intensity:
        """Draw the disruptions and faults of the run."""
        if self.short:
            return Intensity((0.8, 1.6), 0.5, one_each(rng), few_disruptions(rng), repeat=False)
        return Intensity((1, 3), 0.4, all_pairs(rng), many_disruptions(rng))


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        struck: Counts of faults by point.
        tally: Counts of disruptions and of what people and the operator did.
        seconds: How long it took, without the start of the servers.
    """

    plan: Plan
    evidence: Evidence
    violations: list[Violation]
    struck: Counter[tuple[Point, Act]]
    tally: Counter[str]
    seconds: float


def run(plan: Plan) -> Outcome:
    """Do a run on servers of its own."""
    with start_site() as site:
        desk = Desk(site.stack)
        try:
            return run_on(site, desk, plan)
        finally:
            desk.close()


def run_on(site: Site, desk: Desk, plan: Plan) -> Outcome:
    """Do a run on a site that nothing else uses."""
    site.stack.second.start()
    try:
        return asyncio.run(_run(site, desk, plan))
    finally:
        site.stack.second.stop()


async def _run(site: Site, desk: Desk, plan: Plan) -> Outcome:
    rng = Random(plan.seed)
    crowd = Crowd(desk, rng, plan.enrollments)
    storm = Storm(site, Random(plan.seed), plan.intensity(Random(plan.seed)))
    begun = time.monotonic()
    operator = Operator(site, crowd)
    working = asyncio.create_task(operator.work())
    watching = asyncio.create_task(crowd.watch())
    raging = asyncio.create_task(storm.rage())
    await _unless(crowd.enroll_all(plan.seconds), raging, watching, working)
    await _unless(asyncio.sleep(_LINGER_SECONDS), raging, watching, working)
    await _cancel(raging)
    await storm.calm()
    keeping = asyncio.create_task(storm.keep_up())
    await _unless(_rest(plan, site, crowd), keeping, watching, working)
    await _cancel(working)
    await _cancel(watching)
    await crowd.close()
    await _cancel(keeping)
    evidence = await collect(site, crowd.actions)
    return Outcome(
        plan=plan,
        evidence=evidence,
        violations=judge(evidence),
        struck=site.stack.faults.counts(),
        tally=storm.tally + crowd.tally() + operator.tally,
        seconds=time.monotonic() - begun,
    )


async def _rest(plan: Plan, site: Site, crowd: Crowd) -> None:
    """Wait until all is final and reconciled, and the backfill has fetched everything."""
    client = await Client.connect(site.temporal.address, data_converter=DATA_CONVERTER)
    sweep = client.get_schedule_handle(SWEEP_SCHEDULE)
    calm_at, deadline = datetime.now(UTC), time.monotonic() + plan.rest
    while time.monotonic() < deadline:
        last = max([calm_at, *(action.asked_at for action in crowd.actions)])
        if not await asyncio.to_thread(_unfinished, site.database_url, last + _LISTED):
            break
        with contextlib.suppress(RPCError):
            await sweep.trigger(rpc_timeout=timedelta(seconds=5))
        await asyncio.sleep(_SWEEP_SECONDS)


_UNFINISHED = """
    SELECT (SELECT count(*) FROM enrollments WHERE status = 'active')
        + (SELECT count(*) FROM attempts WHERE outcome IN ('open', 'unknown'))
        + (SELECT count(*) FROM inbound_events WHERE applied_at IS NULL)
        + (SELECT count(*) FROM outbox)
        + (SELECT count(*) FROM senders s
            LEFT JOIN catch_up_lists l ON l.phone = coalesce(s.phone, '')
            WHERE l.fetched_until IS NULL OR l.fetched_until < %s)
"""
"""SQL: a sender that no sweep has seen yet has no list at all."""


def _unfinished(database_url: str, last_text: datetime) -> int:
    """Count the work that is not done."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(_UNFINISHED, [last_text]).fetchone()
    assert row is not None
    return int(row[0])


async def _unless(work: Coroutine[Any, Any, _T], *background: "asyncio.Task[None]") -> _T:
    """Do some work; raise the error of a background task if one fails meanwhile."""
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait({task, *background}, return_when=asyncio.FIRST_COMPLETED)
    if task not in done:
        task.cancel()
        for failed in done:
            failed.result()
    return await task


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
