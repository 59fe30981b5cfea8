"""Saving sequences as templates, and beginning new ones with them."""

from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidRequestError, NotFoundError
from domain.sequences.steps import StepDraft
from domain.sequences.templates import SHIPPED
from domain.statuses.sequences import ReplyPolicy, SequenceKind
from services.sequences.sequences import SequenceChange
from services.sequences.templates import Templates
from tests.worlds import World, ongoing, scheduled, small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


async def test_sequence_that_begins_with_a_template_is_like_the_one_it_was_saved_from(
    world: World,
) -> None:
    templates = Templates(world.database)
    picture = "https://example.com/map.png"
    steps = [ongoing("Hi", 0), StepDraft("Still?", (picture,), 2 * 86_400, "09:30")]
    window = {"mon": ["09:00", "24:00"]}
    made = await world.draft(steps=steps, on_reply=ReplyPolicy.PAUSE, send_window=window)
    saved = await templates.create(made.id, " Nurses ", "Twice", world.user_id)
    change = SequenceChange(steps=[ongoing("Other", 0)], send_window=None)
    await world.sequences.change(made.id, change, world.user_id)

    draft = saved.draft("New", world.sender_id, first_day=date(2030, 1, 1))
    again = await world.sequences.create(draft, world.user_id)

    assert (saved.name, saved.created_by_name, saved.is_shipped) == ("Nurses", "Mia", False)
    assert again.steps == made.steps
    assert (again.on_reply, again.send_window) == (ReplyPolicy.PAUSE, window)


async def test_fixed_dates_of_a_template_move_to_the_day_it_is_used(world: World) -> None:
    steps = [scheduled("A", "2029-05-01T09:30:00"), scheduled("B", "2029-05-04T10:00:00")]
    made = await world.draft(kind=SequenceKind.SCHEDULED, steps=steps)
    saved = await Templates(world.database).create(made.id, "Open day", "", world.user_id)
    draft = saved.draft("Next", world.sender_id, first_day=date(2030, 1, 1))
    again = await world.sequences.create(draft, world.user_id)
    dates = [step.send_at.isoformat() for step in again.steps if step.send_at]
    assert dates == ["2030-01-01T09:30:00", "2030-01-04T10:00:00"]


async def test_names_are_unique_in_any_case_and_shipped_ones_stay(world: World) -> None:
    templates, made = Templates(world.database), await world.draft()
    saved = await templates.create(made.id, "Nurses", "", world.user_id)
    for name in ("NURSES", "no-show"):
        with pytest.raises(ConflictError) as raised:
            await templates.create(made.id, name, "", world.user_id)
        assert raised.value.conflict == "template_taken"
    with pytest.raises(InvalidRequestError):
        await templates.create(made.id, " ", "x" * 301, world.user_id)
    with pytest.raises(NotFoundError):
        await templates.create(uuid4(), "None", "", world.user_id)

    assert [one.name for one in await templates.all()] == ["Nurses", *(one.name for one in SHIPPED)]
    first = await templates.find(limit=4)
    rest = await templates.find(after=first.next, limit=4)
    names = [one.name for one in (*first.items, *rest.items)]
    assert names == sorted(["Nurses", *(one.name for one in SHIPPED)])
    assert rest.next is None

    with pytest.raises(ConflictError) as raised:
        await templates.remove(SHIPPED[0].id)
    assert raised.value.conflict == "template_shipped"
    await templates.remove(saved.id)
    with pytest.raises(NotFoundError):
        await templates.remove(saved.id)
    for template in SHIPPED:
        assert (await templates.get(template.id)).steps == template.content.steps
