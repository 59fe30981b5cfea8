"""Pooled connections, hooks that run after a commit, and errors without personal data."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from storage.platform import database as database_module
from storage.platform import outbox, wakes
from storage.platform.database import Database, Written, is_unavailable
from storage.platform.wakes import WakeKind


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, connections=2)
    yield database
    await database.close()


@pytest.fixture
def pings(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """List the connections that were pinged."""
    dialect, pinged = database.engine.sync_engine.dialect, list[object]()
    ping = dialect.do_ping

    def noted(connection: object) -> bool:
        pinged.append(connection)
        return ping(connection)  # type: ignore[arg-type] # as it came

    monkeypatch.setattr(dialect, "do_ping", noted)
    return pinged


async def backend(database: Database) -> int:
    """Read which server process is behind a transaction's connection."""
    async with database.transaction() as tx:
        return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def test_connection_that_died_while_idle_is_replaced(
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


async def test_connection_that_dies_in_a_transaction_is_replaced(database: Database) -> None:
    first = await backend(database)
    with pytest.raises(DBAPIError) as raised:
        async with database.transaction() as tx:
            await tx.run("SELECT pg_terminate_backend(pg_backend_pid())")
    assert is_unavailable(raised.value)
    assert await backend(database) != first


async def test_connection_whose_statement_was_interrupted_is_replaced(database: Database) -> None:
    first = await backend(database)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), database.transaction() as tx:
            await tx.run("SELECT pg_sleep(:seconds)", seconds=60)
    assert await backend(database) != first


async def test_recently_used_connection_is_not_pinged(
    database: Database, pings: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_RESTED_SECONDS", 60)
    assert await backend(database) == await backend(database)
    assert pings == []


_INSERT = "INSERT INTO contacts (id, first_name, last_name, phone) VALUES"
_NAME = "gen_random_uuid(), 'Zebedee'"
_PHONE = "'+12125550123'"


@pytest.mark.parametrize("is_text", [True, False], ids=["text", "built"])
@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (f"{_INSERT} ({_NAME}, NULL, {_PHONE})", "violates not-null constraint"),
        (f"{_INSERT} ({_NAME}, '', {_PHONE}), ({_NAME}, '', {_PHONE})", "unique constraint"),
        ("SELECT CAST('{Zebedee: +12125550123}' AS json)", "invalid input syntax for type json"),
        ("SELECT CAST('Zebedee' AS uuid)", "invalid input syntax for type uuid"),
        ("SELECT CAST('Zebedee' || 1 AS integer)", "invalid input syntax for type integer"),
    ],
    ids=["row", "key", "json", "literal", "value"],
)
async def test_error_quotes_no_personal_data(
    database: Database, statement: str, says: str, *, is_text: bool
) -> None:
    """Rule: nothing personal in logs; server errors quote rows, keys and parameters."""
    escaped = statement.replace(":", "\\:")
    with pytest.raises(DBAPIError) as raised:
        async with database.transaction() as tx:
            await tx.run(escaped if is_text else text(escaped))
    logged = "".join(traceback.format_exception(raised.value))
    assert says in logged
    written = logged.replace(statement, "")  # hidden parameters, but not the test's own literals
    assert "Zebedee" not in written
    assert "550123" not in written
    assert isinstance(raised.value.orig, psycopg.Error)
    assert raised.value.orig.sqlstate


@pytest.fixture
def ran(database: Database) -> list[str]:
    """List the hooks that ran after commits; the outbox's hook fails each time."""
    ran: list[str] = []

    def drain() -> None:
        ran.append("drain")
        raise OSError

    async def wake() -> None:
        async with database.transaction() as tx:  # its connection is free again
            await tx.execute(text("SELECT"))
        ran.append("wake")

    database.after_commit(Written.OUTBOX, drain)
    database.after_commit(Written.WAKES, wake)
    return ran


async def test_commit_runs_the_hooks_of_what_it_wrote(database: Database, ran: list[str]) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("SELECT"))
    async with database.transaction() as tx:
        await outbox.add_starts(tx, [])
    assert ran == []
    async with database.transaction() as tx:
        await outbox.add_starts(tx, [uuid4()])
        await outbox.add_starts(tx, [uuid4()])
        assert ran == []
    assert ran == ["drain"]
    async with database.transaction() as tx:
        await wakes.add(tx, WakeKind.UNBLOCKED, [uuid4()])
        await outbox.add_starts(tx, [uuid4()])
    assert ran == ["drain", "drain", "wake"]


async def test_rolled_back_transaction_runs_nothing(database: Database, ran: list[str]) -> None:
    with suppress(ZeroDivisionError):
        async with database.transaction() as tx:
            await outbox.add_starts(tx, [uuid4()])
            raise ZeroDivisionError
    assert ran == []


async def test_error_after_a_commit_is_logged_not_raised(
    database: Database, ran: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with database.transaction() as tx:
        await outbox.add_starts(tx, [uuid4()])
    assert ran == ["drain"]
    assert [one.getMessage() for one in caplog.records] == ["not done after a commit"]


async def test_columns_of_sql_are_found_in_its_first_result_only(database: Database) -> None:
    sql = "SELECT CAST(:given AS integer) + 1 AS more, 'a' AS name, 'b' AS name, ARRAY[3] AS last"
    columns = set[object]()
    for given in range(3):
        async with database.transaction() as tx:
            result = await tx.run(sql, given=given)
            assert [*result.keys()] == ["more", "name", "name", "last"]
            [row] = result
            assert (row.more, *row[1:3], row.last) == (given + 1, "a", "b", [3])
        columns.add(database_module._known(sql)._columns)
    assert len(columns) == 1


async def test_sql_without_rows_tells_how_many_it_changed(database: Database) -> None:
    sql = f"{_INSERT} ({_NAME}, 'Lee', :phone)"
    async with database.transaction() as tx:
        assert await tx.count(sql, phone="+12125550123") == 1
        assert await tx.count(sql, phone="+12125550124") == 1
        assert await tx.count("DELETE FROM contacts") == 2
