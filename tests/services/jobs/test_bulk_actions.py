"""Bulk actions on enrollments: the result of each row."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from domain.platform.errors import InvalidFieldError, InvalidRequestError
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import LastText
from services.enrollments.enrolling import Enrolling
from services.jobs.bulk_actions import BulkActions
from services.messaging.holds import Decision, Holds
from tests.worlds import ZONE, World, small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
def bulk_actions(world: World) -> BulkActions:
    holds = Holds(world.database, world.rules, world.finishing)
    return BulkActions(world.database, holds, public_base_url="https://segue.test")


async def enroll(world: World, *people: UUID) -> list[UUID]:
    """Enroll contacts into a new sequence, in this order."""
    sequence = await world.active()
    enrolling = Enrolling(world.database, workspace_zone=ZONE)
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=people)
    return [one.id for one in answer.enrolled]


async def test_contacts_are_added_to_a_group_once(world: World, bulk_actions: BulkActions) -> None:
    people = await world.contacts(2)
    member = (await world.contacts(1))[0]
    first, second, third = await enroll(world, *people, member)
    (again,) = await enroll(world, people[0])
    group_id = await world.group([member])
    nobody = uuid4()
    results = await bulk_actions.add_to_group(
        [third, nobody, first, again, second, first], group_id, world.user_id
    )
    assert [one.result for one in results] == [
        "already_member",
        "not_found",
        "added",
        "added",
        "added",
        "added",
    ]
    assert [one.enrollment_id for one in results] == [third, nobody, first, again, second, first]
    members = await world.rows("SELECT contact_id, added_by FROM group_members")
    assert {row.contact_id for row in members} == {*people, member}
    repeated = await bulk_actions.add_to_group([first], group_id, world.user_id)
    assert [one.result for one in repeated] == ["already_member"]


async def test_an_unknown_group_is_refused(world: World, bulk_actions: BulkActions) -> None:
    (enrollment_id,) = await enroll(world, *await world.contacts(1))
    with pytest.raises(InvalidFieldError) as raised:
        await bulk_actions.add_to_group([enrollment_id], uuid4(), world.user_id)
    assert raised.value.field_code == "unknown_group"


async def test_a_message_goes_to_each_contact_once(world: World, bulk_actions: BulkActions) -> None:
    ann, bob = await world.contacts(2)
    first, second = await enroll(world, ann, bob)
    (again,) = await enroll(world, ann)
    results = await bulk_actions.send_message(
        [again, first, second, again], "Hi {{first_name|there}}", world.user_id
    )
    assert [one.result for one in results] == ["accepted"] * 4
    assert results[0].message_id == results[1].message_id == results[3].message_id
    assert results[2].message_id != results[0].message_id
    messages = {row.contact_id: row for row in await world.rows("SELECT * FROM messages")}
    assert len(messages) == 2
    message = messages[ann]
    assert (message.id, message.enrollment_id) == (results[0].message_id, again)
    assert (message.direction, message.status) == ("outbound", "pending")
    assert (message.step, message.sender_id) == (None, world.sender_id)
    assert (message.user_id, message.body) == (world.user_id, "Hi Ann0")
    starts = await world.rows("SELECT subject_id FROM outbox WHERE kind = 'start_message'")
    assert {row.subject_id for row in starts} == {row.id for row in messages.values()}


async def test_message_is_previewed_as_each_would_get_it(
    world: World, bulk_actions: BulkActions
) -> None:
    ann, gone = await world.contacts(2)
    first, second = await enroll(world, ann, gone)
    await world.suppress(gone)
    seen = await bulk_actions.preview_message(first, "Hi {{first_name|there}}, the {{job}}?")
    assert (seen.text, seen.missing) == ("Hi Ann0, the [job]?", ("job",))
    assert (seen.sender, seen.refusal) == ("Front desk", None)
    blank = await bulk_actions.preview_message(second, " ")
    assert (blank.text, blank.missing, blank.refusal) == ("", (), "opted_out")
    with pytest.raises(InvalidFieldError):
        await bulk_actions.preview_message(first, "{{}}")
    assert await world.rows("SELECT id FROM messages") == []


async def test_opted_out_and_landline_get_no_message(
    world: World, bulk_actions: BulkActions
) -> None:
    opted_out, here, elsewhere = await world.contacts(3)
    landline = await world.landline()
    ids = await enroll(world, opted_out, here, elsewhere, landline)
    other = await world.sender(uuid4(), "+14155550101")
    await world.suppress(opted_out)
    await world.suppress(here, world.sender_id)
    await world.suppress(elsewhere, other)
    results = await bulk_actions.send_message([*ids, uuid4()], "Hello", world.user_id)
    assert [one.result for one in results] == [
        "opted_out",
        "opted_out",
        "accepted",
        "landline",
        "not_found",
    ]
    assert len(await world.rows("SELECT id FROM messages")) == 1


async def test_contact_of_a_final_enrollment_can_be_texted(
    world: World, bulk_actions: BulkActions
) -> None:
    (enrollment_id,) = await enroll(world, *await world.contacts(1))
    await world.finishing.mark_finished([enrollment_id], world.user_id)
    (result,) = await bulk_actions.send_message([enrollment_id], "Bye", world.user_id)
    assert result.result == "accepted"


async def test_message_to_more_than_ten_is_refused(world: World, bulk_actions: BulkActions) -> None:
    people = await world.contacts(11)
    ids = await enroll(world, *people)
    ids += await enroll(world, *people[:10])
    with pytest.raises(InvalidFieldError) as raised:
        await bulk_actions.send_message(ids, "Hello", world.user_id)
    assert raised.value.field_code == "too_many_recipients"
    assert await world.rows("SELECT id FROM messages") == []
    ten = [*ids[:10], *ids[11:]]
    results = await bulk_actions.send_message(ten, "Hello", world.user_id)
    assert len({one.message_id for one in results}) == 10


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "empty_body"),
        ("Hi {{firstname}}", "unknown_merge_field"),
        ("x" * 1601, "body_too_long"),
    ],
)
async def test_message_body_is_validated(
    world: World, bulk_actions: BulkActions, body: str, code: str
) -> None:
    ids = await enroll(world, *await world.contacts(1, last_name=""))
    with pytest.raises(InvalidFieldError) as raised:
        await bulk_actions.send_message(ids, body, world.user_id)
    assert (raised.value.field, raised.value.field_code) == ("body", code)
    assert await world.rows("SELECT id FROM messages") == []


@pytest.mark.parametrize(
    ("body", "code"), [("Hi {{nickname}}", "missing_data"), ("{{last_name}}", "empty_body")]
)
async def test_text_that_lacks_something_names_all_whom_it_lacks_it_for(
    world: World, bulk_actions: BulkActions, body: str, code: str
) -> None:
    """A contact's text is of their first enrollment: what another one lacks does not matter."""
    lacking, named, other = await world.contacts(3, last_name="")
    await world.run("UPDATE contacts SET last_name = 'Day' WHERE id = :id", id=named)
    first, whole, last = await enroll(world, lacking, named, other)
    (again,) = await enroll(world, named)
    await world.run(
        """UPDATE enrollments SET variables = '{"nickname": "Ace"}' WHERE id = :id""", id=whole
    )
    with pytest.raises(InvalidRequestError) as raised:
        await bulk_actions.send_message([whole, first, again, last], body, world.user_id)
    assert [(one.field, one.field_code) for one in raised.value.errors] == [
        ("enrollment_ids.1", code),
        ("enrollment_ids.3", code),
    ]
    assert await world.rows("SELECT id FROM messages") == []
    results = await bulk_actions.send_message([whole, again], body, world.user_id)
    assert [one.result for one in results] == ["accepted"] * 2
    assert results[0].message_id == results[1].message_id


async def test_mark_finished_answers_row_by_row(world: World, bulk_actions: BulkActions) -> None:
    """Rule: mark finished ends ``finished_stopped`` and reports the last text's outcome."""
    first, second = await enroll(world, *await world.contacts(2))
    await world.finishing.mark_finished([second], world.user_id)
    nobody = uuid4()
    results = await world.finishing.mark_finished([nobody, second, first], world.user_id)
    assert [(one.result, one.last_text) for one in results] == [
        ("not_found", None),
        ("already_final", None),
        ("finished", LastText.NONE),
    ]
    rows = await world.rows("SELECT status, ended_by FROM enrollments")
    assert rows == [(EnrollmentStatus.FINISHED_STOPPED, world.user_id)] * 2


async def test_hundreds_are_finished_in_one_call(world: World, bulk_actions: BulkActions) -> None:
    ids = await enroll(world, *await world.contacts(200))
    results = await world.finishing.mark_finished(ids, world.user_id)
    assert [one.enrollment_id for one in results] == ids
    assert {one.result for one in results} == {"finished"}


async def test_release_answers_row_by_row(world: World, bulk_actions: BulkActions) -> None:
    held, waiting = await enroll(world, *await world.contacts(2))
    await world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = 'destination_not_allowed',"
        " held_code = 21408, next_send_at = NULL WHERE id = :id",
        id=held,
    )
    nobody = uuid4()
    results = await bulk_actions.release(
        [waiting, held, nobody, held], Decision.RETRY, world.user_id
    )
    assert [one.result for one in results] == ["not_held", "released", "not_found", "released"]
    rows = await world.rows("SELECT activity FROM enrollments WHERE id = :id", id=held)
    assert rows[0].activity == "waiting"


async def test_call_without_or_with_too_many_enrollments_is_refused(
    world: World, bulk_actions: BulkActions
) -> None:
    for ids in ([], [uuid4() for _ in range(10_001)]):
        with pytest.raises(InvalidFieldError) as raised:
            await world.finishing.mark_finished(ids, world.user_id)
        assert raised.value.field_code == "enrollment_count"
