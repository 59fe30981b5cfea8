"""The Contacts tab of a big sequence: what a page asks PostgreSQL, and how much that reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from api.enrollments import CONTACTS_CURSORS
from domain.platform.paging import Position
from services.enrollments.waking import Waking
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX, Browse
from tests.kits.query_plans import asked_of, plan_of, read_by, rows_read
from tests.worlds import World

PEOPLE = 20_000
MOST_READ = 2_500
"""Rows of one table that a view may read: a few pages, far from the sequence's 20,000."""

SMALL = {
    "list_counts.COUNTED": 200,
    "list_counts.COUNTED_BY_FIELD": 100,
    "list_counts.WALKED": 201,
    "list_counts._WALKED_FOR_COUNT": 1000,
    "list_counts._PROBED": 50,
    "list_order.SAMPLED": 50,
    "enrollment_list.WALKED": 201,
    "enrollment_list._LOOKED_UP": 200,
    "enrollment_list.LOOKED_UP_FAR": 2000,
    "list_counts.LOOKED_UP_FAR": 2000,
}
"""The limits, a fiftieth of the real ones, as 20,000 people are a fiftieth of a million."""

GROUP = UUID(int=7)
_FILL = (
    """
    INSERT INTO contacts (id, first_name, last_name, phone, fields)
    SELECT gen_random_uuid(), 'Ann' || i, 'Lee' || mod(i, 100), '+1212' || 2000000 + i,
        jsonb_build_object('team', 'T' || mod(i, 10), 'badge', i, 'night', mod(i, 2) = 0)
    FROM generate_series(1, :people) i
    """,
    """
    INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
        status, activity, ended_at, position, step, step_count, next_send_at, last_message_at)
    SELECT gen_random_uuid(), v.sequence_id, v.id, c.id, :user_id, now() - n * interval '1 minute',
        CASE mod(n, 7) WHEN 0 THEN 'failed' WHEN 1 THEN 'opted_out' ELSE 'active' END,
        CASE WHEN mod(n, 7) > 1 THEN CASE mod(n, 200) WHEN 3 THEN 'paused' ELSE 'waiting' END END,
        CASE WHEN mod(n, 7) < 2 THEN now() END, 2, mod(n, 3), 3,
        CASE WHEN mod(n, 7) > 1 THEN now() + n * interval '1 minute' END,
        CASE WHEN mod(n, 9) > 0 THEN now() - n * interval '1 minute' END
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM contacts) c
    CROSS JOIN sequence_versions v WHERE v.sequence_id = :sequence_id
    """,
    """
    INSERT INTO contact_fields (id, key, label, type) SELECT gen_random_uuid(), key, key, type
    FROM (VALUES ('team', 'text'), ('badge', 'number'), ('night', 'boolean')) AS f (key, type)
    """,
    "INSERT INTO groups (id, name) VALUES (:group_id, 'Tenth')",
    """
    INSERT INTO group_members (group_id, contact_id, added_at)
    SELECT :group_id, id, now() FROM contacts WHERE phone LIKE '%7'
    """,
)
_TABLES = ("enrollments", "enrollment_search", "contacts", "group_members", "enrollment_counts")


@dataclass(frozen=True)
class Big:
    """A sequence of 20,000 enrollments, and a browser."""

    database: Database
    sequence_id: UUID
    user_id: UUID
    browser: httpx.AsyncClient

    async def part(self, **query: str) -> httpx.Response:
        """Ask for a part as htmx does."""
        path = f"/sequences/{self.sequence_id}/contacts"
        answer = await self.browser.get(path, params=query, headers=HTMX)
        return answer.raise_for_status()


@pytest.fixture
async def big(database: Database, browse: Browse, monkeypatch: pytest.MonkeyPatch) -> Big:
    world = World(database)
    await world.found()
    sequence = await world.active()
    names = {
        "people": PEOPLE,
        "user_id": world.user_id,
        "sequence_id": sequence.id,
        "group_id": GROUP,
    }
    async with database.transaction() as tx:
        for statement in _FILL:
            wanted = {name: names[name] for name in names if f":{name}" in statement}
            await tx.execute(text(statement), wanted)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"VACUUM ANALYZE {', '.join(_TABLES)}"))
    for name, value in SMALL.items():
        monkeypatch.setattr(f"storage.enrollments.{name}", value)
    return Big(database, sequence.id, world.user_id, await browse())


def views(big: Big, middle: Any, every: int) -> Mapping[str, tuple[Mapping[str, str], str]]:
    """List the views by name: the query of each, and how many people it says there are."""
    cursors = CONTACTS_CURSORS.within(big.sequence_id)
    place = Position(middle.enrolled_at, middle.id)
    deep = cursors.write(place, "-enrolled_at") or ""
    by_next = cursors.write(Position(middle.next_send_at, middle.id), "next_send_at") or ""
    failed, per_step = f"{len(range(7, PEOPLE + 1, 7)):,}", f"{len(range(1, PEOPLE + 1, 3)):,}"
    return {
        "first page": ({}, "20,000"),
        "a page in the middle": ({"cursor": deep}, "20,000"),
        "by name": ({"sort": "name"}, "20,000"),
        "by name, from the end": ({"sort": "-name"}, "20,000"),
        "by next text": ({"sort": "next_send_at"}, "20,000"),
        "by next text, deep": ({"sort": "next_send_at", "cursor": by_next}, "20,000"),
        "by last message": ({"sort": "-last_message_at"}, "20,000"),
        "status": ({"status": "failed"}, failed),
        "status by name": ({"status": "failed", "sort": "name"}, failed),
        "status by next text": ({"status": "failed", "sort": "next_send_at"}, failed),
        "step": ({"step": "1"}, per_step),
        "enrolled by": ({"enrolled_by": str(big.user_id)}, "200+"),
        "group": ({"group": str(GROUP)}, "200+"),
        "group by name": ({"group": str(GROUP), "sort": "name"}, "200+"),
        "search, one in a hundred": ({"search": "lee77"}, "200"),
        "search, everybody": ({"search": "ann"}, "200+"),
        "search, everybody by next text": ({"search": "ann", "sort": "next_send_at"}, "200+"),
        "search, few": ({"search": "ann1999"}, "11"),
        "search, digits": ({"search": "20077"}, "100"),
        "search, nobody": ({"search": "zzz"}, "0"),
        "waiting for step": ({"waiting_for_step": "2"}, "200+"),
        "field, half": ({"field.night": "yes"}, "100+"),
        "field, half, by next text": ({"field.night": "yes", "sort": "next_send_at"}, "100+"),
        "field, one in ten": ({"field.team": "T7"}, "100+"),
        "field, one in ten, by name": ({"field.team": "T7", "sort": "name"}, "100+"),
        "field, one": ({"field.badge": "4711"}, "1"),
        "field, one, by last message": ({"field.badge": "4711", "sort": "-last_message_at"}, "1"),
        "field, nobody": ({"field.team": "t7"}, "0"),
        "field and group": ({"field.team": "T7", "group": str(GROUP)}, "100+"),
        "search and every filter": (
            {"search": "lee77", "status": "active", "group": str(GROUP)},
            str(every),
        ),
    }


async def test_views_read_a_few_pages_and_parts_ask_little(big: Big) -> None:
    """One test for all: filling the sequence takes longer than each."""
    await read_a_few_pages(big)
    await ask_little(big)
    await find_what_is_rare_without_looking_at_all(big)


async def read_a_few_pages(big: Big) -> None:
    async with big.database.transaction() as tx:
        middle = (
            await tx.execute(
                text(
                    "SELECT id, enrolled_at, next_send_at FROM enrollments"
                    " WHERE next_send_at IS NOT NULL ORDER BY enrolled_at OFFSET 7000 LIMIT 1"
                )
            )
        ).one()
        every = await tx.execute(
            text(
                "SELECT count(*) FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
                " WHERE c.last_name LIKE 'Lee77%' AND c.phone LIKE '%7' AND e.status = 'active'"
            )
        )
        wanted = views(big, middle, every.scalar_one())
    most: dict[str, tuple[float, str]] = {}
    for name, (query, number) in wanted.items():
        async with asked_of(big.database) as asked:
            answer = await big.part(**query)
        assert f'data-many="{number}"' in answer.text, name
        for statement, parameters in asked:
            if not statement.lstrip().startswith(("SELECT", "WITH picked")):
                continue
            plan = await plan_of(big.database, statement, parameters)
            read = max(sum(rows_read(plan, table)) for table in _TABLES)
            most[name] = max(most.get(name, (0.0, "")), (read, statement))
    assert len(most) == len(wanted)
    assert {name: found for name, found in most.items() if found[0] > MOST_READ} == {}


async def ask_little(big: Big) -> None:
    """Three statements say who asks, by which clock and for which columns; one counts, one reads.

    What was searched for is counted by one more.
    """
    await big.part()  # the first asks what the process remembers afterwards
    async with asked_of(big.database) as asked:
        answer = await big.part()
    assert [one[0].split("\n")[0] for one in asked if len(asked) > 5] == []
    assert len(answer.content) < 75_000
    async with asked_of(big.database) as asked:
        await big.part(search="ann")
    assert [one[0].split("\n")[0] for one in asked if len(asked) > 6] == []


async def find_what_is_rare_without_looking_at_all(big: Big) -> None:
    """One enrollment that was stopped, one that misses data."""
    oldest = """
        UPDATE enrollments SET {} WHERE id = (
            SELECT id FROM enrollments WHERE activity = 'waiting' ORDER BY enrolled_at LIMIT 1
        )
    """
    async with big.database.transaction() as tx:
        stopped = "status = 'finished_stopped', activity = NULL, ended_at = now()"
        await tx.run(oldest.format(stopped))
        held = """activity = 'held', held_reason = 'missing_data', missing_fields = '["team"]'"""
        await tx.run(oldest.format(held))
        await tx.run("ANALYZE enrollments")

    async with asked_of(big.database) as asked:
        answer = await big.browser.get("/api/enrollments", params={"status": "finished_stopped"})
    assert [one["status"] for one in answer.json()["items"]] == ["finished_stopped"]
    [listing] = [one for one in asked if "enrollment_search" in one[0]]
    plan = await plan_of(big.database, *listing)
    assert max(sum(rows_read(plan, table)) for table in _TABLES) < 10

    async with asked_of(big.database) as asked:
        await Waking(big.database).mend()
    [adding] = [one for one in asked if "data_filled" in one[0] and "INSERT" in one[0]]
    plan = await plan_of(big.database, *adding)
    assert "ix_enrollments_missing_data" in read_by(plan, "enrollments")
    async with big.database.transaction() as tx:
        assert await tx.column("SELECT id FROM enrollments WHERE held_reason IS NOT NULL") == []
