"""Choices that forms and filters offer."""

from uuid import uuid4

import pytest

from domain.platform.errors import NotFoundError
from domain.statuses.contacts import LineType
from tests.kits.sending import SendingKit


async def test_picker_marks_opted_out_and_active_contacts(kit: SendingKit) -> None:
    sequence, other = await kit.sequence(), await kit.sequence()
    world = kit.world
    ada, bob, cid = [
        (await world.contacts(1, first_name=name, last_name="Byron"))[0]
        for name in ("Ada", "Bob", "Cid")
    ]
    landline = (await world.contacts(1, first_name="Dee", line_type=LineType.LANDLINE))[0]
    await kit.enroll(sequence, ada)
    await kit.enroll(other, bob)
    await world.suppress(cid)
    found = await kit.services.pickers.contacts(sequence_id=sequence.id)
    assert [(one.id, one.active_here, one.opted_out) for one in found] == [
        (ada, True, False),
        (bob, False, False),
        (cid, False, True),
        (landline, False, False),
    ]
    assert found[0].name == "Ada Byron"
    assert found[3].line_type is LineType.LANDLINE
    assert [one.id for one in await kit.services.pickers.contacts("BOB")] == [bob]
    digits = await kit.services.pickers.contacts(found[2].phone[-7:])
    assert [one.id for one in digits] == [cid]


async def test_picker_offers_at_most_twenty_contacts(kit: SendingKit) -> None:
    await kit.world.contacts(21)
    assert len(await kit.services.pickers.contacts()) == 20


async def test_contact_with_a_final_enrollment_is_not_marked_active(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    enrollment_id = await kit.enroll(sequence)
    await kit.services.finishing.mark_finished([enrollment_id], kit.world.user_id)
    [found] = await kit.services.pickers.contacts(sequence_id=sequence.id)
    assert not found.active_here


async def test_filter_choices_match_at_least_one_enrollment(kit: SendingKit) -> None:
    sequence = await kit.sequence("One", "Two")
    world = kit.world
    await world.user("Never enrolled anybody")
    here, elsewhere = await world.contacts(2)
    present, _absent = await world.group([here]), await world.group([elsewhere])
    await kit.enroll(sequence, here)
    choices = await kit.services.pickers.filters(sequence.id)
    assert [(one.step, one.body) for one in choices.steps] == [(0, None), (1, "One"), (2, "Two")]
    assert [(one.id, one.name) for one in choices.users] == [(world.user_id, "Mia")]
    assert [one.id for one in choices.groups] == [present]
    with pytest.raises(NotFoundError):
        await kit.services.pickers.filters(uuid4())


async def test_group_of_many_is_a_choice_without_reading_its_members(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    await kit.enroll(sequence)
    many = await kit.world.group(await kit.world.contacts(101))
    await kit.world.group(await kit.world.contacts(100))
    choices = await kit.services.pickers.filters(sequence.id)
    assert [one.id for one in choices.groups] == [many]
