"""`python -m bench.enrolling`: thousands of contacts enrolled by one request.

First the request, to an API as Compose runs it: how long until it is answered, and how long another
request waits meanwhile. In turns with it, the least that could be done: the same rows by plain SQL,
and an answer of the same size as JSON. Then the start of their workflows by the API's outbox, in
turns with bare starts by a client that has as many calls under way. Every contact's number is of
another exchange, so nothing about its time zone is known from another one. The ratios hold while
the machine's speed drifts; absolute figures are that machine's.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import uvloop
from temporalio.client import Client

from bench import runs, stack
from domain.statuses.access import TokenScope
from workflows.client import DATA_CONVERTER

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


def main() -> None:
    """Measure, print, and write JSON lines if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.enrolling", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures as JSON lines")
    parser.add_argument("--contacts", type=int, default=10_000, help="of one request")
    parser.add_argument("--pairs", type=int, default=3, help="of runs that are counted")
    parser.add_argument("--worker", action="store_true", help="run a worker beside it, which sends")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the API
        figures = runner.run(_measure(arguments.contacts, arguments.pairs, arguments.worker))
    if arguments.json:
        arguments.json.write_text("".join(json.dumps(figure) + "\n" for figure in figures))


async def _measure(count: int, pairs: int, worker: bool) -> list[dict[str, Any]]:  # noqa: FBT001
    print("starting PostgreSQL, Temporal, the simulator and the API ...", flush=True)
    with ExitStack() as programs, stack.servers() as servers:
        async with AsyncExitStack() as closing:
            client = await Client.connect(servers.temporal, data_converter=DATA_CONVERTER)
            services = await stack.services(servers, client, closing)
            world = await runs.found_world(services)
            token = await services.tokens.create(
                world.user_id, name="bench", scopes=list(TokenScope), expires_at=None
            )
            api = await closing.enter_async_context(
                httpx.AsyncClient(
                    base_url=programs.enter_context(servers.api()),
                    headers={"Authorization": f"Bearer {token.token}"},
                    timeout=_GIVE_UP_SECONDS,
                )
            )
            if worker:
                programs.enter_context(servers.program("worker", "worker"))
            connection = programs.enter_context(
                psycopg.connect(servers.database_url, autocommit=True)
            )
            bench = _Bench(api, connection, client, world)
            await bench.ours(100)  # warms up
            bench.plainly(100)
            await bench.starts_plainly(100)
            print(f"{pairs} pairs of {count:,} contacts on {stack.cpus()} processors", flush=True)
            return [await _pair(bench, count) for _ in range(pairs)]


async def _pair(bench: _Bench, count: int) -> dict[str, Any]:
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


if __name__ == "__main__":
    main()
