"""Refusals in the audit log: recorded, but never enough to fill it."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import text

from services.access import refusals as module
from services.access.refusals import Refusals
from services.platform.audit import Actor, Entry
from storage.platform import audit
from storage.platform.audit import AuditFilter
from storage.platform.database import Database

SOMEBODY = Actor(address="203.0.113.9")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(database: Database, clock: Clock) -> Refusals:
    return Refusals(database, clock)


async def recorded(database: Database) -> list[Entry]:
    async with database.transaction() as tx:
        rows = await audit.find(tx, AuditFilter(), before_id=None, limit=5_000)
    return [Entry.of(row) for row in reversed(rows)]


async def test_first_refusals_are_recorded_then_powers_of_ten(
    refusals: Refusals, database: Database
) -> None:
    for _ in range(1_234):
        await refusals.note(SOMEBODY, "token.refuse", detail={"route": "GET /api/me"})

    entries = await recorded(database)
    assert [entry.detail.get("count", 1) for entry in entries] == [*range(1, 11), 100, 1000]
    assert {entry.detail["route"] for entry in entries} == {"GET /api/me"}
    assert {(entry.user, entry.address) for entry in entries} == {(None, "203.0.113.9")}


async def test_next_hour_counts_from_zero(
    refusals: Refusals, database: Database, clock: Clock
) -> None:
    for _ in range(2):
        for _ in range(50):
            await refusals.note(SOMEBODY, "token.refuse")
        clock.now += 3_600

    assert len(await recorded(database)) == 20


async def test_callers_and_kinds_are_counted_separately(
    refusals: Refusals, database: Database
) -> None:
    callers = [
        SOMEBODY,
        Actor(address="203.0.113.10"),
        Actor(address="2001:db8:1:2::1"),
        Actor(),
    ]
    for caller in callers:
        for action in ("token.refuse", "session.refuse"):
            for _ in range(15):
                await refusals.note(caller, action)
    await refusals.note(Actor(address="2001:db8:1:ff:3::4"), "token.refuse")  # the same network

    assert len(await recorded(database)) == len(callers) * 2 * 10


async def test_user_is_one_caller_from_every_address(
    refusals: Refusals, database: Database
) -> None:
    user = UUID(int=7)
    async with database.transaction() as tx:
        await tx.execute(
            text("INSERT INTO users (id, email, name, role) VALUES (:id, 'a@b.co', 'A', 'viewer')"),
            {"id": user},
        )
    for number in range(20):
        await refusals.note(Actor(user, address=f"203.0.113.{number}"), "access.refuse")

    assert len(await recorded(database)) == 10


async def test_many_addresses_cannot_fill_the_table(
    refusals: Refusals, database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ALL", 25)
    for number in range(100):
        await refusals.note(Actor(address=f"198.51.100.{number}"), "token.refuse")
    assert len(await recorded(database)) == 25

    clock.now += 3_601
    await refusals.note(SOMEBODY, "token.refuse")
    assert len(await recorded(database)) == 26


async def test_many_addresses_cannot_fill_the_memory(
    refusals: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CALLERS", 10)
    monkeypatch.setattr(module, "_ALL", 0)
    for number in range(100):
        await refusals.note(Actor(address=f"198.51.100.{number}"), "token.refuse")

    assert len(refusals._counts) == 10


async def test_refusal_holds_without_the_database(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")

    await Refusals(nowhere).note(SOMEBODY, "token.refuse")

    await nowhere.close()
    assert caplog.messages == ["a refused attempt is not in the audit log"]
