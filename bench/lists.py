"""`python -m bench.lists`: the Contacts tab of one big sequence, beside plain queries.

Each view is requested as a browser does, over HTTP from the API as Compose runs it: the whole page,
and the part for filters and paging. In turns with it run the plainest SQL queries for the same
rows, their number and the counts by status, so the ratio holds on any machine; milliseconds are
that machine's. Shown are medians, of the part also what 95 of 100 requests stay below and its CPU
time: in the API's main thread, and in its PostgreSQL connections (Linux alone tells).
"""

import itertools
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import psycopg
from psycopg import sql
from temporalio.client import Client

from api.enrollments import CONTACTS_CURSORS
from bench import command, runs, stack
from bench.runs import World
from bench.table import Aim, Figure, Row
from domain.platform.paging import Position
from domain.statuses.access import Role
from services.factory import Services
from workflows.client import DATA_CONVERTER

_ROUNDS = 20
_BARE_ROUNDS = 5
_ROWS = 51
_EMAIL, _PASSWORD = "lists@example.com", "known to everybody, so of benches alone"

_CHUNK = 1_000_000
_BORN = "SELECT gen_random_uuid() AS id FROM generate_series(1, %(count)s)"

# In the order of ids, so that the indexes of primary keys are written from left to right.
_FILL = (
    f"""
    INSERT INTO contacts (id, first_name, last_name, search_name, phone, time_zone, fields,
        created_at, updated_at)
    SELECT id, first, last, folded_name(first || ' ' || last), '+1' || 2122000000 + i,
        'America/New_York',
        jsonb_build_object('team', 'T' || mod(i, 100), 'night', mod(i, 2) = 0), now(), now()
    FROM (SELECT id, %(first)s + row_number() OVER (ORDER BY id) AS i FROM ({_BORN}) born) numbered
    CROSS JOIN LATERAL (SELECT 'Ann' || i AS first, 'Lee' || mod(i, 1000) AS last) name
    ORDER BY id
    """,  # noqa: S608 - built from constants
    f"""
    INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
        status, activity, ended_at, position, step, step_count, next_send_at, due_at,
        last_message_at)
    SELECT born.id, v.sequence_id, v.id, c.id, %(user_id)s,
        now() - random() * interval '30 days', s.status,
        CASE WHEN s.status = 'active' THEN 'waiting' END,
        CASE WHEN s.status <> 'active' THEN now() END, 2, 1, 3,
        CASE WHEN s.status = 'active' THEN now() + random() * interval '5 days' END, now(),
        now() - random() * interval '5 days'
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS i FROM ({_BORN}) ids) born
    JOIN (
        SELECT id, phone, row_number() OVER (ORDER BY id) AS i FROM contacts
        WHERE phone > '+1' || 2122000000 + %(first)s
        AND phone <= '+1' || 2122000000 + %(first)s + %(count)s
    ) c USING (i)
    CROSS JOIN sequence_versions v CROSS JOIN LATERAL (
        SELECT (ARRAY['active', 'active', 'active', 'finished_no_response', 'finished_responded',
            'failed', 'opted_out'])[1 + floor(random() * 7 + 0 * length(c.phone))::int] AS status
    ) s
    WHERE v.sequence_id = %(sequence_id)s
    ORDER BY born.id
    """,  # noqa: S608
)
_GROUP_UP = (
    """
    INSERT INTO contact_fields (id, key, label, type) VALUES
        (gen_random_uuid(), 'team', 'Team', 'text'),
        (gen_random_uuid(), 'night', 'Works at night', 'boolean')
    """,
    "INSERT INTO groups (id, name, created_at) VALUES (%(group_id)s, 'Tenth', now())",
    """
    INSERT INTO group_members (group_id, contact_id, added_at)
    SELECT %(group_id)s, id, now() FROM contacts WHERE phone LIKE '%%7' ORDER BY id
    """,
)
_INDEXES = """
    SELECT x.indexrelid::regclass::text, pg_get_indexdef(x.indexrelid) FROM pg_index x
    WHERE x.indrelid = ANY(ARRAY['contacts', 'enrollments', 'enrollment_search']::regclass[])
    AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.indexrelid)
"""
_GROUP = UUID(int=7)
_FILL_SETTINGS = (
    "session_replication_role = replica",
    "synchronous_commit = off",
    "work_mem = '256MB'",
    "maintenance_work_mem = '1GB'",
)
"""Of the connection that fills the database; requests are measured without them."""


@dataclass(frozen=True)
class View:
    """One view of the list.

    Attributes:
        query: Query of its address.
        cursors: Start of each page asked for, in turns; the first page if there is none.
        where: The same in SQL over ``enrollments e`` and ``contacts c``.
        order: Likewise.
        after: Start of a page in the middle.
    """

    name: str
    query: Mapping[str, str] = field(default_factory=dict)
    where: str = "true"
    order: str = "e.enrolled_at DESC, e.id DESC"
    after: str = "true"
    cursors: Sequence[str] = ()

    def queries(self) -> Iterator[Mapping[str, str]]:
        """Give the query of each request, without end."""
        for cursor in itertools.cycle(self.cursors or [""]):
            yield {**self.query, "cursor": cursor} if cursor else self.query


def _views(user_id: UUID, places: Sequence[Position], cursors: Sequence[str]) -> Sequence[View]:
    in_group = f"e.contact_id IN (SELECT contact_id FROM group_members WHERE group_id = '{_GROUP}')"  # noqa: S608
    few, many, digits = (
        "c.search_name LIKE '%ann77%'",
        "c.search_name LIKE '%lee%'",
        "(c.search_name LIKE '%2077%' OR c.phone LIKE '%2077%')",
    )
    return [
        View("first page"),
        View("pages in the middle", after=_beyond(places[0]), cursors=cursors),
        View("by name", {"sort": "name"}, order="c.search_name, e.id"),
        View("by next text", {"sort": "next_send_at"}, order="e.next_send_at, e.id"),
        View("by last message", {"sort": "-last_message_at"}, order="e.last_message_at DESC, e.id"),
        View("status", {"status": "failed"}, "e.status = 'failed'"),
        View("step", {"step": "1"}, "e.step = 1"),
        View("enrolled by", {"enrolled_by": str(user_id)}, f"e.enrolled_by = '{user_id}'"),
        View("group", {"group": str(_GROUP)}, in_group),
        View("field, half", {"field.night": "true"}, "c.fields @> '{\"night\": true}'"),
        View("field, one in a hundred", {"field.team": "T7"}, 'c.fields @> \'{"team": "T7"}\''),
        View("search, one in a hundred", {"search": "ann77"}, few),
        View("search, everybody", {"search": "lee"}, many),
        View("search, digits", {"search": "2077"}, digits),
        View(
            "search and every filter",
            {"search": "ann77", "status": "active", "step": "1", "group": str(_GROUP)},
            f"{few} AND e.status = 'active' AND e.step = 1 AND {in_group}",
        ),
    ]


def _beyond(position: Position) -> str:
    return f"(e.enrolled_at, e.id) < ('{position.value}', '{position.id}')"


async def measure(
    *, enrollments: int, rounds: int, bare_rounds: int, kept: str, fill_only: bool
) -> list[Figure]:
    """Measure each view so many times in a sequence of so many enrollments."""
    print("starting PostgreSQL, Temporal, the simulator and the API ...", flush=True)
    async with AsyncExitStack() as closing:
        programs = closing.enter_context(ExitStack())
        servers = programs.enter_context(stack.servers(kept=Path(kept) if kept else None))
        client = await Client.connect(servers.temporal, data_converter=DATA_CONVERTER)
        services = await stack.services(servers, client, closing)
        connection = psycopg.connect(servers.database_url, autocommit=True)
        closing.callback(connection.close)
        world = await _world(services, connection, enrollments)
        if fill_only:
            return []
        address = programs.enter_context(servers.api(LOG_LEVEL="INFO"))
        browser = await closing.enter_async_context(httpx.AsyncClient(base_url=address, timeout=60))
        who = {"email": _EMAIL, "password": _PASSWORD}
        begun = await browser.post(
            "/api/session", json=who, headers={"Sec-Fetch-Site": "same-origin"}
        )
        begun.raise_for_status()
        places = _places(connection, world.sequence_id, rounds + 1)
        cursors = CONTACTS_CURSORS.within(world.sequence_id)
        starts = [cursors.write(place, "-enrolled_at") or "" for place in places]
        heads = ("page", "part", "p95", "API", "PG", "bare", "ratio")
        print(f"{'':26}{''.join(f'{head:>7}' for head in heads)}   kB of HTML")
        figures = list[Figure]()
        for view in _views(world.user_id, places, starts):
            figure = await _figure(
                view, browser, connection, world.sequence_id, (rounds, bare_rounds)
            )
            figures.append({**figure, "enrollments": enrollments})
        return figures


async def _world(services: Services, connection: psycopg.Connection, count: int) -> World:
    """Fill the database, unless it was filled before."""
    found = connection.execute("SELECT created_by, id FROM sequences").fetchone()
    if found is not None:
        return World(*found)
    await services.users.create(email=_EMAIL, role=Role.MEMBER, password=_PASSWORD)
    world = await runs.found_world(services)
    print(f"writing {count:,} enrollments ...", flush=True)
    _fill(connection, count, {"group_id": _GROUP, **vars(world)})
    return world


def _places(connection: psycopg.Connection, sequence_id: UUID, number: int) -> list[Position]:
    """Find so many places all over the list: ids are random."""
    rows = connection.execute(
        "SELECT enrolled_at, id FROM enrollments WHERE sequence_id = %s ORDER BY id LIMIT %s",
        [sequence_id, number],
    )
    return [Position(*row) for row in rows.fetchall()]


def _fill(connection: psycopg.Connection, count: int, names: Mapping[str, object]) -> None:
    """Write contacts and enrollments, without indexes and checks of references meanwhile."""
    begun = time.perf_counter()

    def say(what: str) -> None:
        print(f"{time.perf_counter() - begun:6.0f} s: {what}", flush=True)

    indexes = connection.execute(_INDEXES).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    connection.execute("ALTER TABLE enrollments ENABLE ALWAYS TRIGGER enrollments_begin")
    for setting in _FILL_SETTINGS:
        connection.execute(f"SET {setting}".encode())
    for first in range(0, count, _CHUNK):
        size = min(_CHUNK, count - first)
        for statement in _FILL:
            connection.execute(statement.encode(), {**names, "first": first, "count": size})
        say(f"{first + size:,} enrollments")
    for statement in _GROUP_UP:
        connection.execute(statement.encode(), names)
    connection.execute("RESET session_replication_role")
    connection.execute("ALTER TABLE enrollments ENABLE TRIGGER enrollments_begin")
    for name, definition in indexes:
        connection.execute(definition.encode())
        say(name)
    connection.execute("VACUUM ANALYZE")
    say("done")


async def _figure(
    view: View,
    browser: httpx.AsyncClient,
    connection: psycopg.Connection,
    sequence_id: UUID,
    rounds: tuple[int, int],
) -> Figure:
    """Measure one view in three ways, in turns, and the plain one so many times."""
    most, plain = rounds
    path = f"/sequences/{sequence_id}/contacts"
    sizes: dict[str, int] = {}
    queries = view.queries()

    async def page(**headers: str) -> None:
        answer = await browser.get(path, params=next(queries), headers=headers)
        sizes["part" if headers else "page"] = len(answer.raise_for_status().content)

    async def part() -> None:
        await page(**{"HX-Request": "true"})

    async def bare() -> None:
        _ask_plainly(connection, view, sequence_id)

    ways: Sequence[Callable[[], Awaitable[None]]] = (page, part, bare)
    taken: list[list[float]] = [[], [], []]
    cpu = [0.0, 0.0]
    for number in range(most + 1):
        for way, seconds in zip(ways, taken, strict=True):
            if way is bare and number > plain:
                continue
            before = _cpu_seconds(connection) if way is part else cpu
            begun = time.perf_counter()
            await way()
            if number:  # the first warms up
                seconds.append(time.perf_counter() - begun)
            if number and way is part:
                used = zip(cpu, _cpu_seconds(connection), before, strict=True)
                cpu = [so_far + now - then for so_far, now, then in used]
    page_ms, part_ms, bare_ms = (1000 * statistics.median(seconds) for seconds in taken)
    p95_ms = 1000 * sorted(taken[1])[math.ceil(0.95 * most) - 1]
    api_ms, postgres_ms = (1000 * seconds / most for seconds in cpu)
    ratio = part_ms / bare_ms
    measured = (page_ms, part_ms, p95_ms, api_ms, postgres_ms, bare_ms)
    times = "".join(f"{each:7.1f}" for each in measured)
    print(f"{view.name:26}{times}{ratio:7.2f}{sizes['part'] / 1000:8.0f}", flush=True)
    return {
        "figure": "contacts tab",
        "view": view.name,
        "page_ms": round(page_ms, 1),
        "part_ms": round(part_ms, 1),
        "part_p95_ms": round(p95_ms, 1),
        "api_cpu_ms": round(api_ms, 1),
        "postgres_cpu_ms": round(postgres_ms, 1),
        "bare_ms": round(bare_ms, 1),
        "ratio": round(ratio, 3),
        "html_bytes": sizes["page"],
        "part_html_bytes": sizes["part"],
    }


def _cpu_seconds(connection: psycopg.Connection) -> list[float]:
    """Read the CPU time of the API's main thread, and of our connections in PostgreSQL."""
    api = [one.pid for one in psutil.Process().children() if "uvicorn" in one.cmdline()]
    ours = "SELECT pid FROM pg_stat_activity WHERE application_name = 'segue'"
    postgres = [pid for (pid,) in connection.execute(ours)]
    return [sum(map(_of_process, pids)) for pids in (api, postgres)]


def _of_process(pid: int) -> float:
    on_cpu, *_ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(on_cpu) / 1e9


def _ask_plainly(connection: psycopg.Connection, view: View, sequence_id: UUID) -> None:
    found = f"""
        FROM enrollments e JOIN contacts c ON c.id = e.contact_id
        WHERE e.sequence_id = '{sequence_id}' AND {view.where}
    """
    plain: Sequence[str] = (
        f"""
        SELECT e.id, c.first_name, c.last_name, c.phone, c.time_zone, e.status, e.activity, e.step,
            e.step_count, e.enrolled_at, e.next_send_at, e.last_message_at
        {found} AND {view.after} ORDER BY {view.order} LIMIT {_ROWS}
        """,
        f"SELECT count(*) {found}",
        f"SELECT status, count(*) FROM enrollments WHERE sequence_id = '{sequence_id}' GROUP BY 1",  # noqa: S608
    )
    for statement in plain:
        connection.execute(sql.SQL(statement)).fetchall()


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows, one for each view: the part that 95 of 100 requests stay below."""
    return [
        Row(
            f"Contacts tab of {one['enrollments']:,}, {one['view']}",
            one["part_p95_ms"],
            "ms",
            one["bare_ms"],
            Aim(25),
        )
        for one in figures
    ]


if __name__ == "__main__":
    command.run(
        "bench.lists",
        __doc__,
        measure,
        rows,
        {
            "enrollments": (100_000, "in the sequence"),
            "rounds": (_ROUNDS, "requests of each view"),
            "bare_rounds": (
                _BARE_ROUNDS,
                "of its plain queries: seconds each, if there are millions",
            ),
            "kept": ("", "folder of a database to fill once and keep"),
            "fill_only": (False, "measure nothing"),
        },
    )
