"""How SQL is run: what its values become, and what rows are read into."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError, MultipleResultsFound
from sqlmodel import col

from domain.sequences.timing import DEFAULT_WINDOW, SendWindow
from domain.statuses.sequences import SequenceState
from storage.contacts import groups
from storage.platform.database import Database, Transaction, as_json
from storage.tables.contacts import Group


@pytest.fixture
async def tx(database_url: str) -> AsyncIterator[Transaction]:
    database = Database(database_url, connections=1)
    async with database.transaction() as transaction:
        yield transaction
        await transaction.rollback()
    await database.close()


@dataclass(frozen=True)
class Thing:
    id: UUID
    state: SequenceState
    window: SendWindow | None
    media_urls: tuple[str, ...]
    note: str = "none"


ONE = """
    SELECT CAST(:id AS uuid) AS id, :state AS state, CAST(:window AS jsonb) AS window,
        CAST(:media_urls AS jsonb) AS media_urls
"""


async def test_row_becomes_enums_tuples_and_domain_values(tx: Transaction) -> None:
    thing = Thing(uuid4(), SequenceState.PAUSED, DEFAULT_WINDOW, ("https://a", "https://b"))
    values = {
        "id": thing.id,
        "state": thing.state,
        "window": DEFAULT_WINDOW.dump(),
        "media_urls": as_json(thing.media_urls),
    }
    assert await tx.one(Thing, ONE, **values) == thing
    assert await tx.rows(Thing, ONE, **values) == [thing]
    without = await tx.one(Thing, ONE, **{**values, "window": None})
    assert without is not None
    assert without.window is None


@pytest.mark.parametrize("ids", [(), [], frozenset(), {}.keys()])
async def test_empty_collection_is_an_empty_array(tx: Transaction, ids: object) -> None:
    assert await tx.column("SELECT id FROM contacts WHERE id = ANY(:ids)", ids=ids) == []
    assert await tx.column("SELECT unnest(CAST(:ids AS uuid[]))", ids=ids) == []


async def test_collections_become_arrays(tx: Transaction) -> None:
    one, two = sorted((uuid4(), uuid4()))
    for ids in ((one, two), [one, two], frozenset({one, two}), {one: 1, two: 2}.keys()):
        found = await tx.column("SELECT unnest(CAST(:ids AS uuid[])) ORDER BY 1", ids=ids)
        assert found == [one, two]


async def test_mapping_becomes_json_with_ids_as_text(tx: Transaction) -> None:
    one = uuid4()
    asked = MappingProxyType({"id": one, "state": SequenceState.ACTIVE, "more": {"a": None}})
    found = await tx.value(dict, "SELECT :asked", asked=asked)
    assert found == {"id": str(one), "state": "active", "more": {"a": None}}


async def test_value_is_of_the_kind_asked_for(tx: Transaction) -> None:
    assert await tx.value(float, "SELECT CAST(1.5 AS numeric)") == 1.5
    assert await tx.value(SequenceState, "SELECT 'draft'") is SequenceState.DRAFT
    assert await tx.value(int, "SELECT NULL") is None
    assert await tx.value(int, "SELECT 1 WHERE false") is None


async def test_only_row_that_is_one_of_several_is_an_error(tx: Transaction) -> None:
    with pytest.raises(MultipleResultsFound):
        await tx.one(Thing, f"{ONE} UNION ALL {ONE}", id=None, state="", window=None, media_urls=[])


async def test_count_is_of_changed_rows(tx: Transaction) -> None:
    await groups.add(tx, f"one {uuid4()}")
    name = f"two {uuid4()}"
    await groups.add(tx, name)
    sql = "UPDATE groups SET name = name || '!' WHERE name = :name"
    assert await tx.count(sql, name=name) == 1
    assert await tx.count(sql, name=name) == 0


async def test_taken_name_undoes_its_own_statement_alone(tx: Transaction) -> None:
    taken, name = f"taken {uuid4()}", f"free {uuid4()}"
    await groups.add(tx, taken)
    group = await groups.add(tx, name)
    assert group is not None
    assert not await groups.rename(tx, group, taken.upper())
    assert await groups.id_of_name(tx, name) == group
    assert await groups.rename(tx, group, f"{name} now")


async def test_other_violations_are_errors(tx: Transaction) -> None:
    group = await groups.add(tx, f"any {uuid4()}")
    assert group is not None
    nameless = update(Group).where(col(Group.id) == group).values(name=None)
    with pytest.raises(IntegrityError):
        await tx.unless_taken({"uq_groups_name"}, nameless)


@pytest.mark.parametrize("given", [[], [None], [UUID(int=1), None], [UUID(int=1), UUID(int=2)]])
async def test_ids_become_an_array_of_ids(tx: Transaction, given: list[UUID | None]) -> None:
    sql = "SELECT unnest(CAST(:ids AS uuid[]))"
    assert await tx.column(sql, ids=given) == given
