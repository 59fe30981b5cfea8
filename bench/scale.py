"""`python -m bench.scale`: very many open enrollments on one machine, and what may come over them.

They are enrolled and wait, each with its workflow. Then, one after the other: a paused sequence
with nine in ten of them is resumed; a sender that one in ten waits for comes off hold, which texts
them all; Temporal is stopped for a while, in which steps come due, people are enrolled and people
reply; and all others who were texted reply at once. Worker and API are one process each, as
Compose runs them, beside PostgreSQL, Temporal's dev server on disk, and the simulator with delivery
reports. In the end the provider's texts, the rows and the open workflows are compared.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import psycopg
from temporalio.client import Client

from bench import at_rest, command, runs, stack
from bench.table import Aim, Figure, Row, figures_of
from services.factory import Services

_TEXTS_PER_SECOND = 1000
_REPLIES_AT_ONCE = 50
_STOPS = 10  # one reply in ten
_POLL_SECONDS = 0.5
_PAGE_EVERY_SECONDS = 1.0
_LAG_SECONDS = 60
_GIVE_UP_SECONDS = 4 * 3600

_FOUND_PAUSED = """
    UPDATE enrollments SET activity = 'paused', next_send_at = NULL
    WHERE sequence_id = %s AND status = 'active'
"""
_HOLD = """
    UPDATE senders SET held_at = now(), hold_code = 20003, next_probe_at = now() + interval '1 day'
    WHERE id = %s
"""


@dataclass
class _Scale:
    """The programs, and what was measured so far.

    Attributes:
        api: The API, as an admin's program.
        simulator: The control API of the simulator.
        replied: The numbers that replied.
        pages: The milliseconds that each page took.
        pages_failed: How many of them were refused, or took 30 s.
    """

    servers: stack.Servers
    services: Services
    client: Client
    connection: psycopg.Connection
    api: httpx.AsyncClient
    simulator: httpx.AsyncClient
    user_id: UUID
    figures: list[Figure] = field(default_factory=list)
    replied: set[str] = field(default_factory=set)
    pages: list[float] = field(default_factory=list)
    pages_failed: int = 0

    @contextmanager
    def phase(self, name: str, count: int) -> Iterator[Figure]:
        """Measure the block: its seconds, what each of so many cost in it, and pages."""
        figure: Figure = {"figure": name, "count": count}
        before, pages, begun = self._spent(), len(self.pages), time.perf_counter()
        yield figure
        seconds, after = time.perf_counter() - begun, self._spent()
        figure |= {
            "seconds": round(seconds, 1),
            "per_second": round(count / seconds, 1),
            "each": {
                what: round((spent - before.get(what, 0)) / count, 2)
                for what, spent in after.items()
                if spent > before.get(what, 0)
            },
        }
        print(figure, flush=True)
        self.figures.append({**figure, "pages_ms": [round(ms, 1) for ms in self.pages[pages:]]})

    def _spent(self) -> dict[str, float]:
        """Return processor time by program, rows written by table, WAL and Temporal's disk."""
        cpu = self.servers.processor_seconds()
        rows = self.connection.execute(
            "SELECT relname || ' rows', n_tup_ins + n_tup_upd FROM pg_stat_user_tables"
        ).fetchall()
        return {
            **{f"{name} ms": 1000 * seconds for name, seconds in cpu.items()},
            "WAL bytes": self.number("SELECT pg_current_wal_lsn() - '0/0'"),
            "Temporal bytes": self.servers.temporal_bytes(),
            **{name: float(written) for name, written in rows},
        }

    async def enroll(self, sequence_id: UUID, count: int) -> None:
        """Enroll so many new contacts."""
        await runs.enroll(self.services, self.api, sequence_id, count)

    async def post(self, path: str) -> float:
        """Post to the API; return the milliseconds until it answered."""
        begun = time.perf_counter()
        (await self.api.post(path)).raise_for_status()
        return round(1000 * (time.perf_counter() - begun), 1)

    def number(self, query: str, *values: Any) -> int:  # noqa: ANN401 - values of SQL
        """Read one number."""
        row = self.connection.execute(query.encode(), values).fetchone()
        return int(row[0]) if row else 0

    async def until(self, is_done: Callable[[], bool]) -> None:
        """Wait until something is so, and Temporal and the worker have nothing left to do."""
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            while not is_done():  # noqa: ASYNC110 - other processes
                await asyncio.sleep(_POLL_SECONDS)
            await runs.until_told(self.services, self.connection)

    def texted(self, sequence_id: UUID) -> int:
        """Count the enrollments whose first text was accepted."""
        query = "SELECT count(*) FROM enrollments WHERE sequence_id = %s AND step = 1"
        return self.number(query, sequence_id)

    def phones(self, *sequence_ids: UUID) -> list[str]:
        """List the numbers of who is enrolled."""
        query = (
            "SELECT c.phone FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
            " WHERE e.sequence_id = ANY(%s) ORDER BY 1"
        )
        return [phone for (phone,) in self.connection.execute(query, [list(sequence_ids)])]

    async def reply(self, phones: Sequence[str], to: str) -> Counter[str]:
        """Let people reply, one in ten with STOP; count what the webhook answered."""
        slots, answers = asyncio.Semaphore(_REPLIES_AT_ONCE), Counter[str]()

        async def one(phone: str, body: str) -> None:
            text = {"from": phone, "to": to, "body": body}
            async with slots:
                answer = await self.simulator.post("/inbound", json=text)
            answers[str(answer.raise_for_status().json()["webhook_status"])] += 1

        self.replied |= set(phones)
        bodies = ("STOP", *["Sounds good, call me"] * (_STOPS - 1))
        await asyncio.gather(*map(one, phones, itertools.cycle(bodies)))
        return answers

    def unheard(self) -> int:
        """Count the replies that have not ended an enrollment."""
        return self.number(
            "SELECT count(*) FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
            " WHERE c.phone = ANY(%s) AND e.status = 'active'",
            list(self.replied),
        )

    async def watch(self, path: str) -> None:
        """Request a part of a page every second until canceled."""
        while True:
            begun = time.perf_counter()
            try:
                answer = await self.api.get(path, headers={"HX-Request": "true"}, timeout=30)
                answer.raise_for_status()
            except httpx.HTTPError:
                self.pages_failed += 1
            self.pages.append(1000 * (time.perf_counter() - begun))
            await asyncio.sleep(_PAGE_EVERY_SECONDS)


async def measure(enrollments: int, away: int) -> list[Figure]:
    """Measure all phases with so many enrollments, and Temporal away for so many seconds."""
    async with stack.started() as (servers, client, services), AsyncExitStack() as programs:
        world = await runs.found_world(services, first_delay_seconds=at_rest.A_DAY)
        connection = programs.enter_context(psycopg.connect(servers.database_url, autocommit=True))
        address = programs.enter_context(servers.api())
        programs.enter_context(servers.program("worker", "worker"))
        api = await programs.enter_async_context(runs.admin(services, address, world.user_id))
        simulator = await programs.enter_async_context(
            httpx.AsyncClient(base_url=f"{servers.simulator}/_simulator", timeout=60)
        )
        (await simulator.post("/behaviour", json={"callbacks": "on"})).raise_for_status()
        scale = _Scale(servers, services, client, connection, api, simulator, world.user_id)
        watching = asyncio.create_task(scale.watch(f"/sequences/{world.sequence_id}/contacts"))
        await _all_phases(scale, world.sequence_id, enrollments, away)
        watching.cancel()
        return scale.figures


async def _all_phases(scale: _Scale, waiting: UUID, enrollments: int, away: int) -> None:
    few, some = enrollments // 100, enrollments // 10
    most = enrollments - some - 2 * few
    services, user_id = scale.services, scale.user_id
    sender_id = await runs.add_sender(services, texts_per_second=_TEXTS_PER_SECOND)
    phone = (await services.senders.get(sender_id)).phone or ""
    texting, timed = [
        await runs.add_sequence(services, user_id, sender_id, (first, at_rest.A_DAY))
        for first in (0, away // 2)
    ]
    with scale.phase("started", most):
        await scale.enroll(waiting, most)
        await scale.until(lambda: True)
    await _resume(scale, waiting, most)
    await _release(scale, sender_id, texting, some)
    people = scale.phones(texting)
    await scale.enroll(timed, few)
    await scale.until(lambda: True)
    with scale.servers.no_temporal():
        ends = time.perf_counter() + away
        answers = await scale.reply(people[:few], phone)
        await scale.enroll(texting, few)
        await asyncio.sleep(ends - time.perf_counter())
    with scale.phase("caught up", 3 * few) as figure:
        figure |= {"away_s": away, "answers": answers}
        await scale.until(
            lambda: scale.texted(texting) == some + few and scale.texted(timed) == few
        )
    await _burst(scale, people[few:], phone)
    scale.figures.append(await _compare(scale, texting, timed))
    print(scale.figures[-1], flush=True)


async def _resume(scale: _Scale, sequence_id: UUID, count: int) -> None:
    """Resume a sequence whose every enrollment has found it paused."""
    await scale.services.sequences.pause(sequence_id)
    scale.connection.execute(_FOUND_PAUSED, [sequence_id])
    scale.connection.execute("VACUUM ANALYZE enrollments")
    blocked = "SELECT count(*) FROM enrollments WHERE sequence_id = %s AND blocked"
    with scale.phase("resumed", count) as figure:
        figure["answered_ms"] = await scale.post(f"/api/sequences/{sequence_id}/resume")
        await scale.until(lambda: scale.number(blocked, sequence_id) == 0)


async def _release(scale: _Scale, sender_id: UUID, sequence_id: UUID, count: int) -> None:
    """Release a sender that enrollments wait for, which texts them all."""
    scale.connection.execute(_HOLD, [sender_id])
    held = "SELECT count(*) FROM enrollments WHERE sequence_id = %s AND activity = 'held'"
    with scale.phase("held", count):
        await scale.enroll(sequence_id, count)
        await scale.until(lambda: scale.number(held, sequence_id) == count)
    with scale.phase("texted", count) as figure:
        figure["answered_ms"] = await scale.post(f"/api/senders/{sender_id}/release")
        await scale.until(lambda: scale.texted(sequence_id) == count)


async def _burst(scale: _Scale, phones: Sequence[str], to: str) -> None:
    """Let all reply at once, and wait until every reply has had its effects."""
    with scale.phase("replied", len(phones)) as figure:
        begun = time.perf_counter()
        figure["answers"] = await scale.reply(phones, to)
        figure["answered_s"] = round(time.perf_counter() - begun, 1)
        await scale.until(lambda: scale.unheard() == 0)


async def _compare(scale: _Scale, *texted: UUID) -> Figure:
    """Compare the provider's texts with who was to be texted, and the rows with the workflows."""
    answer = await scale.simulator.get("/messages")
    texts, stopped, after_stop = Counter[tuple[str, str]](), set[str](), 0
    for one in answer.raise_for_status().json()["messages"]:
        if one["direction"] == "inbound":
            stopped |= {one["from"]} if one["body"] == "STOP" else set()
        else:
            texts[one["to"], one["body"]] += 1
            after_stop += one["to"] in stopped
    there = {to for to, _ in texts}
    active = scale.number("SELECT count(*) FROM enrollments WHERE status = 'active'")
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAG_SECONDS):
            while await _running(scale.client) != active:  # noqa: ASYNC110 - a server
                await asyncio.sleep(_POLL_SECONDS)
    return {
        "figure": "compared",
        "texts": texts.total(),
        "sent_twice": texts.total() - len(texts),
        "sent_after_stop": after_stop,
        "not_texted": sum(phone not in there for phone in scale.phones(*texted)),
        "replies": len(scale.replied),
        "replies_lost": scale.unheard(),
        "active": active,
        "open_workflows": await _running(scale.client),
        "pages_failed": scale.pages_failed,
        "temporal_bytes": scale.servers.temporal_bytes(),
        "bytes_of_rows": runs.bytes_of_rows(scale.connection),
        "parked": scale.number("SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL"),
        **{f"{name}_mb": round(scale.servers.memory(name).resident) for name in ("worker", "api")},
    }


async def _running(client: Client) -> int:
    found = await client.count_workflows("WorkflowType='Enrollment' AND ExecutionStatus='Running'")
    return found.count


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows."""
    names = ("started", "resumed", "held", "texted", "caught up", "replied", "compared")
    started, resumed, held, texted, caught_up, replied, end = (
        figures_of(figures, name)[0] for name in names
    )
    lost = end["not_texted"] + end["replies_lost"] + abs(end["active"] - end["open_workflows"])
    bad = end["sent_twice"] + end["sent_after_stop"]
    pages = sorted(ms for figure in figures for ms in figure.get("pages_ms", ()))
    at_most = Aim(at_rest.MOST_MEGABYTES)
    return [
        Row(f"{started['count']:,} enrolled and waiting", started["per_second"], "/s"),
        Row(f"{resumed['count']:,} resumed, answered", resumed["answered_ms"], "ms"),
        Row("all of them woken and decided", resumed["per_second"], "/s"),
        Row(f"{held['count']:,} enrolled, and held as their sender is", held["per_second"], "/s"),
        Row("their sender released, answered", texted["answered_ms"], "ms"),
        Row("all of them texted, and reported", texted["per_second"], "/s"),
        Row(f"all done after {caught_up['away_s']} s without Temporal", caught_up["seconds"], "s"),
        Row(f"{replied['count']:,} replies at once, answered", replied["answered_s"], "s"),
        Row("all of them applied, their workflows told", replied["seconds"], "s"),
        Row("part of a page meanwhile, median", pages[len(pages) // 2], "ms"),
        Row("95 of 100 parts below", pages[len(pages) * 95 // 100], "ms"),
        Row("parts that failed", end["pages_failed"], "", aim=Aim(0)),
        Row("lost texts, replies and workflows", lost, "", aim=Aim(0)),
        Row("texts sent twice, or after a STOP", bad, "", aim=Aim(0)),
        Row("memory of the worker in the end", end["worker_mb"], "MB", aim=at_most),
        Row("memory of the API in the end", end["api_mb"], "MB", aim=at_most),
    ]


if __name__ == "__main__":
    command.run(
        "bench.scale",
        __doc__,
        measure,
        rows,
        {
            "enrollments": (100_000, "that are open"),
            "away": (600, "seconds without Temporal"),
        },
    )
