"""Steps that users are writing: one draft for each, until they save or discard it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from services.sequences.drafts import Drafts
from services.sequences.sequences import SequenceChange, lock
from storage.sequences.sequences import SequenceRecord
from tests.kits.locks import until_blocked
from tests.worlds import World, ongoing, small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


async def test_each_user_has_one_draft_that_ends_when_they_save(world: World) -> None:
    drafts, made, ben = Drafts(world.database), await world.draft(), await world.user("Ben")
    first = await drafts.save(made.id, world.user_id, 1, [{"body": "Hi", "delay": "soon"}])
    second = await drafts.save(made.id, world.user_id, 1, [{"body": "Hi\0 \ud800you"}])
    await drafts.save(made.id, ben, 1, [{"body": "Ben's"}])

    kept = await drafts.get(made.id, world.user_id)
    assert kept is not None
    assert (kept.version, kept.steps, kept.saved_at) == (1, [{"body": "Hi you"}], second)
    assert first is not None
    assert second is not None
    assert first < second
    assert kept.published == []

    change = SequenceChange(steps=[ongoing("Mia's", 0)])
    await world.sequences.change(made.id, change, world.user_id)
    assert await drafts.get(made.id, world.user_id) is not None, "another program saved"
    await world.sequences.change(made.id, change, world.user_id, from_draft=True)
    assert await drafts.get(made.id, world.user_id) is None

    behind = await drafts.get(made.id, ben)
    assert behind is not None
    assert [(one.version, one.name) for one in behind.published] == [(2, "Mia")]
    await drafts.discard(made.id, ben)
    await drafts.discard(made.id, ben)
    assert await drafts.get(made.id, ben) is None


async def test_page_that_goes_back_discards_only_its_own_draft(world: World) -> None:
    drafts, made, me = Drafts(world.database), await world.draft(), world.user_id
    mine, other = uuid4(), uuid4()
    await drafts.save(made.id, me, 1, [{"body": "Long work"}], page=mine)
    for page in (other, None):
        again = await drafts.save(made.id, me, 1, [], page=page, is_saved=lambda _: True)
        assert again is None
    kept = await drafts.get(made.id, me)
    assert kept is not None
    assert (kept.steps, kept.page) == ([{"body": "Long work"}], mine)
    await drafts.save(made.id, me, 1, [], page=mine, is_saved=lambda _: True)
    assert await drafts.get(made.id, me) is None


async def test_draft_sent_while_its_steps_are_saved_is_not_put_back(world: World) -> None:
    drafts, made, me = Drafts(world.database), await world.draft(), world.user_id

    def has_saved(sequence: SequenceRecord) -> bool:
        return sequence.steps[0].body == "Saved"

    async with world.database.transaction() as tx:
        await lock(tx, made.id)
        late = asyncio.create_task(
            drafts.save(made.id, me, 1, [{"body": "Saved"}], is_saved=has_saved)
        )
        await until_blocked(world.database)
        await tx.run("UPDATE steps SET body = 'Saved'")
    assert await late is None
    assert await drafts.get(made.id, me) is None


async def test_draft_without_a_place_or_an_end_is_refused(world: World) -> None:
    drafts, made = Drafts(world.database), await world.draft()
    with pytest.raises(NotFoundError):
        await drafts.save(uuid4(), world.user_id, 1, [])
    with pytest.raises(InvalidFieldError, match="too long"):
        await drafts.save(made.id, world.user_id, 1, [{"body": "x" * 500_001}])
    await world.archiving.archive(made.id, world.user_id)
    with pytest.raises(ConflictError, match="archived"):
        await drafts.save(made.id, world.user_id, 1, [{"body": "Hi"}])
