"""`python -m bench.enrolling`: thousands of contacts enrolled by one request.

First the request, to an API as Compose runs it: how long until it is answered, and how long another
request waits meanwhile. In turns with it, the least that could be done: the same rows by plain SQL,
and an answer of the same size as JSON. Then the start of their workflows by the API's outbox, in
turns with bare starts by a client that has as many calls under way. Every contact's number is of
another exchange, so nothing about its time zone is known from another one. The ratios hold while
the machine's speed drifts; absolute figures are that machine's.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import psycopg
from temporalio.client import Client

from bench import command, runs, stack
from bench.table import Aim, Figure, Row, median_pair

STARTS_AT_ONCE = 20
_POLL_SECONDS = 0.02
_GIVE_UP_SECONDS = 600
_QUEUE = "nobody"  # no worker takes anything: only starting is measured

_ADD_CONTACTS = """
    INSERT INTO contacts (id, first_name, last_name, phone, created_at, updated_at)
    SELECT gen_random_uuid(), 'Ann' || i, 'Lee', '+1'
        || (ARRAY[201, 212, 213, 303, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 808, 907])
            [1 + mod(i, 16)] || 200 + mod(i / 16, 800) || lpad(mod(i / 12800, 10000)::text, 4, '0'),
        now(), now()
    FROM generate_series(%(first)s::int, %(first)s::int + %(count)s::int - 1) i
    RETURNING id
"""

_ENROLL_PLAINLY = """
    INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
        status, activity, position, step, step_count, next_send_at, due_at)
    SELECT gen_random_uuid(), v.sequence_id, v.id, c.id, %(user_id)s, now(), 'active', 'waiting',
        1, 0, 3, now(), now()
    FROM contacts c CROSS JOIN sequence_versions v
    WHERE v.sequence_id = %(sequence_id)s AND c.id = ANY(%(ids)s)
    RETURNING id, contact_id
"""

_TELL_PLAINLY = """
    INSERT INTO outbox (kind, priority, subject_id, payload, next_try_at)
    SELECT 'start_enrollment', 3, id, '{}', now() + interval '1 day'
    FROM unnest(%(ids)s) AS id
"""


@dataclass(frozen=True)
class Enrolled:
    """One request.

    Attributes:
        seconds: Until it was answered.
        blocked: The longest that another request to the same process took meanwhile, in seconds.
        size: Bytes of the answer.
        starts: Seconds from the answer until every workflow had been started.
    """

    seconds: float
    blocked: float
    size: int
    starts: float


class _Bench:
    """Enrolls into one sequence, by the API and plainly."""

    def __init__(
        self,
        api: httpx.AsyncClient,
        connection: psycopg.Connection,
        client: Client,
        world: runs.World,
    ) -> None:
        self._api, self._connection, self._client, self._world = api, connection, client, world
        self._contacts = 0

    async def ours(self, count: int) -> Enrolled:
        """Enroll new contacts by one request, and wait until their workflows have been started."""
        ids = self._new_contacts(count)
        watching = asyncio.create_task(self._longest_wait())
        await asyncio.sleep(_POLL_SECONDS)
        begun = time.perf_counter()
        answer = await self._api.post(
            f"/api/sequences/{self._world.sequence_id}/enrollments",
            json={"contact_ids": [str(one) for one in ids]},
            headers={"Idempotency-Key": str(uuid4())},
        )
        seconds = time.perf_counter() - begun
        watching.cancel()
        answer.raise_for_status()
        assert len(answer.json()["enrolled"]) == count  # noqa: S101 - else nothing was measured
        await self._until_started()
        starts = time.perf_counter() - begun - seconds
        return Enrolled(seconds, await watching, len(answer.content), starts)

    def plainly(self, count: int) -> float:
        """Write the same rows for new contacts, and their answer; return the seconds."""
        ids = self._new_contacts(count)
        asked = {"ids": ids, **vars(self._world)}
        begun = time.perf_counter()
        with self._connection.transaction():
            rows = self._connection.execute(_ENROLL_PLAINLY, asked).fetchall()
            self._connection.execute(_TELL_PLAINLY, {"ids": [one for one, _ in rows]})
            json.dumps(
                {
                    "enrolled": [
                        {"id": str(one), "contact_id": str(contact), "status": "active"}
                        for one, contact in rows
                    ],
                    "skipped": [],
                }
            )
        seconds = time.perf_counter() - begun
        self._connection.execute("DELETE FROM outbox")
        return seconds

    async def starts_plainly(self, count: int) -> float:
        """Start trivial workflows; return the seconds."""
        slots = asyncio.Semaphore(STARTS_AT_ONCE)

        async def start() -> None:
            async with slots:
                await self._client.start_workflow(
                    "Trivial", id=f"trivial/{uuid4()}", task_queue=_QUEUE
                )

        begun = time.perf_counter()
        await asyncio.gather(*(start() for _ in range(count)))
        return time.perf_counter() - begun

    def _new_contacts(self, count: int) -> Sequence[UUID]:
        asked = {"first": self._contacts, "count": count}
        ids = [one for (one,) in self._connection.execute(_ADD_CONTACTS, asked).fetchall()]
        self._contacts += count
        self._connection.execute("ANALYZE")
        return ids

    async def _longest_wait(self) -> float:
        """Call the process until canceled; return the longest that a call took, in seconds."""
        longest = 0.0
        begun = time.perf_counter()
        try:
            while True:
                begun = time.perf_counter()
                (await self._api.get("/healthz")).raise_for_status()
                longest = max(longest, time.perf_counter() - begun)
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            return max(longest, time.perf_counter() - begun)

    async def _until_started(self) -> None:
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            waiting = "SELECT 1 FROM outbox LIMIT 1"
            while self._connection.execute(waiting).fetchone():  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECONDS)


async def measure(*, contacts: int, pairs: int, worker: bool) -> list[Figure]:
    """Measure pairs of requests of so many contacts each."""
    async with stack.started() as (servers, client, services):
        with ExitStack() as programs:
            world = await runs.found_world(services)
            address = programs.enter_context(servers.api())
            if worker:
                programs.enter_context(servers.program("worker", "worker"))
            connection = programs.enter_context(
                psycopg.connect(servers.database_url, autocommit=True)
            )
            async with runs.admin(services, address, world.user_id) as api:
                bench = _Bench(api, connection, client, world)
                await bench.ours(100)  # warms up
                bench.plainly(100)
                await bench.starts_plainly(100)
                print(f"{pairs} pairs of {contacts:,} on {stack.cpus()} processors", flush=True)
                return [await _pair(bench, contacts) for _ in range(pairs)]


async def _pair(bench: _Bench, count: int) -> Figure:
    bare = bench.plainly(count)
    ours = await bench.ours(count)
    bare_starts = await bench.starts_plainly(count)
    print(
        f"answered in {ours.seconds:.2f} s, plainly {bare:.2f} s, ratio {ours.seconds / bare:.1f};"
        f" another request waited {1000 * ours.blocked:.0f} ms at most;"
        f" workflows started {count / ours.starts:.0f}/s, bare {count / bare_starts:.0f}/s,"
        f" ratio {bare_starts / ours.starts:.2f}",
        flush=True,
    )
    return {
        "figure": "enrolling",
        "contacts": count,
        "seconds": round(ours.seconds, 3),
        "bare_seconds": round(bare, 3),
        "ratio": round(ours.seconds / bare, 2),
        "longest_block_ms": round(1000 * ours.blocked, 1),
        "answer_bytes": ours.size,
        "starts_per_second": round(count / ours.starts, 1),
        "bare_starts_per_second": round(count / bare_starts, 1),
        "starts_ratio": round(bare_starts / ours.starts, 3),
    }


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows; of pairs, the one with the median ratio."""
    asked = median_pair(figures)
    started = median_pair(figures, "starts_ratio")
    ours, bare = started["starts_per_second"], started["bare_starts_per_second"]
    what = f"{asked['contacts']:,} contacts enrolled by one request"
    return [
        Row(what, asked["seconds"], "s", asked["bare_seconds"], Aim(1.5)),
        Row("another request waits meanwhile", asked["longest_block_ms"], "ms"),
        Row("their workflows started", ours, "/s", bare, Aim(0.9, "ratio", "least")),
    ]


if __name__ == "__main__":
    command.run(
        "bench.enrolling",
        __doc__,
        measure,
        rows,
        {
            "contacts": (10_000, "of one request"),
            "pairs": (3, "of runs that are counted"),
            "worker": (False, "run a worker beside it, which sends"),
        },
    )
