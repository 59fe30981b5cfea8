"""What the benches write into tables directly suits the tables as they are."""

from collections.abc import Sequence
from uuid import uuid4

import psycopg
import pytest

from bench import enrolling, lists, release, webhooks
from storage.platform.database import Database
from tests.worlds import World

_FILLS = {
    "enrolling": (enrolling._ADD_CONTACTS, enrolling._ENROLL_PLAINLY),
    "lists": ("SET LOCAL session_replication_role = replica", *lists._FILL, *lists._GROUP_UP),
    "release": release._FILL,
    "webhooks": webhooks._FILL,
}


@pytest.mark.parametrize("statements", _FILLS.values(), ids=_FILLS)
async def test_bench_fills_the_tables(database_url: str, statements: Sequence[str]) -> None:
    database = Database(database_url)
    world = World(database)
    await world.found()
    names = {
        "sequence_id": (await world.active()).id,
        "user_id": world.user_id,
        "first": 0,
        "count": 3,
        "is_held": True,
        "our_phone": "+14155550100",
        "group_id": uuid4(),
        "ids": [],
    }
    await database.close()
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        for statement in statements:
            if statement != "VACUUM ANALYZE":
                connection.execute(statement.encode(), names)
        found = connection.execute("SELECT search_name FROM contacts ORDER BY phone").fetchall()
        assert [name.split()[0][:3] for (name,) in found] == ["ann"] * 3
        connection.rollback()
