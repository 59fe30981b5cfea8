"""`python -m bench.at_rest`: the memory of a worker and an API while enrollments wait.

A worker and an API, as Compose runs it, run beside each other. Enrollments whose first text is due
tomorrow are added until there are so many of them, each with its workflow; then both programs are
left alone for some seconds, and their memory is read. Before that the API has shown the Contacts
tab some times, and the worker has run every workflow once.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import psycopg

from bench import command, runs, stack
from bench.table import Aim, Figure, Row

A_DAY = 86_400
MOST_MEGABYTES = 400
_PAGES = 20
_REST_SECONDS = 5


async def measure(waiting: str) -> list[Figure]:
    """Measure at each of these numbers of waiting enrollments, in ascending order."""
    figures: list[Figure] = []
    async with stack.started() as (servers, client, services), AsyncExitStack() as programs:
        world = await runs.found_world(services, first_delay_seconds=A_DAY)
        address = programs.enter_context(servers.api())
        api = await programs.enter_async_context(runs.admin(services, address, world.user_id))
        programs.enter_context(servers.program("worker", "worker"))
        connection = programs.enter_context(psycopg.connect(servers.database_url, autocommit=True))
        there = 0
        for number in map(int, waiting.split(",")):
            begun = time.perf_counter()
            await runs.enroll(services, api, world.sequence_id, number - there)
            await runs.until_told(services, connection)
            seconds = time.perf_counter() - begun
            for _ in range(_PAGES):
                page = await api.get(f"/sequences/{world.sequence_id}/contacts")
                page.raise_for_status()
            await asyncio.sleep(_REST_SECONDS)
            figure = {
                "figure": "at rest",
                "waiting": number,
                "started_per_second": round((number - there) / seconds, 1),
                **_memory(servers),
                "history": vars(await runs.history_of_any(client, connection)),
                "temporal_bytes_each": round(servers.temporal_bytes() / number),
                "bytes_of_rows": runs.bytes_of_rows(connection),
            }
            there = number
            print(figure, flush=True)
            figures.append(figure)
    return figures


def _memory(servers: stack.Servers) -> Figure:
    found = {name: servers.memory(name) for name in ("worker", "api", "temporal")}
    return {
        f"{name}_{kind}_mb": round(megabytes, 1)
        for name, memory in found.items()
        for kind, megabytes in vars(memory).items()
    }


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows: each number of enrollments beside the first."""
    return [
        Row(
            f"memory of {program}, {figure['waiting']:,} waiting",
            figure[f"{name}_resident_mb"],
            "MB",
            None if figure is figures[0] else figures[0][f"{name}_resident_mb"],
            Aim(MOST_MEGABYTES),
        )
        for name, program in (("worker", "a worker"), ("api", "an API"))
        for figure in figures
    ]


if __name__ == "__main__":
    command.run(
        "bench.at_rest",
        __doc__,
        measure,
        rows,
        {
            "waiting": ("1000,10000", "numbers of enrollments, ascending"),
        },
    )
