"""Connections of the pool: those that died while they rested are replaced, busy ones not asked."""

from collections.abc import AsyncIterator

import psycopg
import pytest
from sqlalchemy import text

from storage import database as database_module
from storage.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=1)
    yield database
    await database.close()


@pytest.fixture
def pings(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that were pinged."""
    dialect, pinged = database.engine.sync_engine.dialect, list[object]()
    ping = dialect.do_ping

    def noted(connection: object) -> bool:
        pinged.append(connection)
        return ping(connection)  # type: ignore[arg-type] # as it came

    monkeypatch.setattr(dialect, "do_ping", noted)
    return pinged


async def backend(database: Database) -> int:
    """The server's process behind the connection of a transaction."""
    async with database.transaction() as tx:
        return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def test_a_connection_that_died_while_it_rested_is_replaced(
    database: Database,
    pings: list[object],
    shared_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_module, "_RESTED_SECONDS", 0)
    first = await backend(database)
    assert await backend(database) == first
    with psycopg.connect(shared_database, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert await backend(database) != first
    assert len(pings) == 2


async def test_one_that_was_in_use_a_moment_ago_is_not_asked(
    database: Database, pings: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_RESTED_SECONDS", 60)
    assert await backend(database) == await backend(database)
    assert pings == []
