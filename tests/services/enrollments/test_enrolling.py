"""Enrolling: which contacts get a row, with which status, and when the first text goes.

The rules: docs/design.md, "Starting".
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind
from services.enrollments.enrolling import Enrolling, EnrollResult, SkipCode
from services.sequences.sequences import SequenceChange
from tests.kits.query_plans import asked_of
from tests.worlds import ZONE, World, ongoing, scheduled, small_world

ACTIVE = EnrollmentStatus.ACTIVE


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
def enrolling(world: World) -> Enrolling:
    return Enrolling(world.database, workspace_zone=ZONE)


def statuses(answer: EnrollResult) -> dict[UUID, EnrollmentStatus]:
    return {one.contact_id: one.status for one in answer.enrolled}


def skips(answer: EnrollResult) -> dict[UUID | None, SkipCode]:
    return {one.contact_id: one.code for one in answer.skipped}


async def test_enrolled_contacts_wait_for_their_first_text(
    world: World, enrolling: Enrolling
) -> None:
    sequence = await world.active()
    people = await world.contacts(3)
    answer = await enrolling.enroll(
        sequence.id, world.user_id, contact_ids=[*people[::-1], people[0]]
    )
    assert [one.contact_id for one in answer.enrolled] == people[::-1]
    assert answer.skipped == []
    rows = await world.rows("SELECT * FROM enrollments")
    assert len(rows) == 3
    for row in rows:
        assert (row.status, row.activity, row.position, row.step) == ("active", "waiting", 1, 0)
        assert (row.step_count, row.enrolled_by) == (3, world.user_id)
        assert row.version_id == sequence.version_id
        assert row.due_at == row.next_send_at == row.enrolled_at
    starts = await world.rows("SELECT subject_id FROM outbox WHERE kind = 'start_enrollment'")
    assert {row.subject_id for row in starts} == {one.id for one in answer.enrolled}


async def test_suppressed_number_is_omitted_opted_out(world: World, enrolling: Enrolling) -> None:
    """Rule: enroll a suppressed number; opted out wins over landline."""
    sequence = await world.active()
    everywhere, this_sender, other_sender, lifted = await world.contacts(4)
    both = await world.landline()
    other = await world.sender(uuid4(), "+14155550101")
    for contact_id in (everywhere, both, lifted):
        await world.suppress(contact_id)
    await world.suppress(this_sender, world.sender_id)
    await world.suppress(this_sender)
    await world.suppress(other_sender, other)
    await world.run(
        "UPDATE suppressions SET lifted_at = now()"
        " WHERE phone = (SELECT phone FROM contacts WHERE id = :id)",
        id=lifted,
    )
    everyone = [everywhere, this_sender, other_sender, lifted, both]
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=everyone)
    omitted = EnrollmentStatus.OMITTED_OPTED_OUT
    assert statuses(answer) == {
        everywhere: omitted,
        this_sender: omitted,
        other_sender: ACTIVE,
        lifted: ACTIVE,
        both: omitted,
    }
    rows = await world.rows("SELECT * FROM enrollments WHERE status <> 'active'")
    for row in rows:
        assert row.activity is None
        assert row.due_at is None
        assert row.next_send_at is None
        assert row.ended_at == row.enrolled_at
    starts = await world.rows("SELECT subject_id FROM outbox WHERE kind = 'start_enrollment'")
    assert len(starts) == 2


async def test_known_landline_is_omitted_landline(world: World, enrolling: Enrolling) -> None:
    """Rule: enroll a known landline."""
    sequence = await world.active()
    contact_id = await world.landline()
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=[contact_id])
    assert statuses(answer) == {contact_id: EnrollmentStatus.OMITTED_LANDLINE}
    assert await world.rows("SELECT id FROM outbox WHERE kind = 'start_enrollment'") == []


async def test_active_or_unknown_contact_is_skipped(world: World, enrolling: Enrolling) -> None:
    """Rule: enroll someone active there already, or unknown."""
    sequence = await world.active()
    known, fresh = await world.contacts(2)
    nobody = uuid4()
    await enrolling.enroll(sequence.id, world.user_id, contact_ids=[known])
    await world.suppress(known)
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=[nobody, known, fresh])
    assert statuses(answer) == {fresh: ACTIVE}
    assert skips(answer) == {
        nobody: SkipCode.UNKNOWN_CONTACT,
        known: SkipCode.ALREADY_ACTIVE,
    }


async def test_contact_active_elsewhere_or_final_here_is_enrolled(
    world: World, enrolling: Enrolling
) -> None:
    """Rule: someone with only final enrollments may be enrolled again."""
    sequence, other = await world.active(), await world.active()
    (contact_id,) = await world.contacts(1)
    await enrolling.enroll(other.id, world.user_id, contact_ids=[contact_id])
    first = await enrolling.enroll(sequence.id, world.user_id, contact_ids=[contact_id])
    await world.finishing.mark_finished([first.enrolled[0].id], world.user_id)
    again = await enrolling.enroll(sequence.id, world.user_id, contact_ids=[contact_id])
    assert statuses(again) == {contact_id: ACTIVE}


@pytest.mark.parametrize("state", ["draft", "archived"])
async def test_draft_or_archived_sequence_is_a_conflict(
    world: World, enrolling: Enrolling, state: str
) -> None:
    """Rule: draft or archived: 409."""
    sequence = await world.draft()
    await world.run("UPDATE sequences SET state = :state", state=state)
    people = await world.contacts(1)
    with pytest.raises(ConflictError) as raised:
        await enrolling.enroll(sequence.id, world.user_id, contact_ids=people)
    assert raised.value.conflict == "sequence_not_active"
    assert await world.rows("SELECT id FROM enrollments") == []


async def test_paused_sequence_accepts_contacts_who_wait(
    world: World, enrolling: Enrolling
) -> None:
    """Rule: enroll into a paused sequence."""
    sequence = await world.active()
    await world.sequences.pause(sequence.id)
    people = await world.contacts(1)
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=people)
    assert statuses(answer) == {people[0]: ACTIVE}


async def test_contacts_are_enrolled_in_the_current_version(
    world: World, enrolling: Enrolling
) -> None:
    sequence = await world.active()
    changed = await world.sequences.change(
        sequence.id, SequenceChange(steps=[ongoing("One"), ongoing("Two")]), world.user_id
    )
    await enrolling.enroll(sequence.id, world.user_id, contact_ids=await world.contacts(1))
    rows = await world.rows("SELECT version_id, step_count FROM enrollments")
    assert rows == [(changed.version_id, 2)]


async def test_whole_group_is_enrolled(world: World, enrolling: Enrolling) -> None:
    sequence = await world.active()
    people = await world.contacts(4)
    group_id = await world.group(people[:3])
    answer = await enrolling.enroll(sequence.id, world.user_id, group_id=group_id)
    assert set(statuses(answer)) == set(people[:3])


async def test_first_step_with_a_time_of_day_goes_at_the_contacts_local_time(
    world: World, enrolling: Enrolling
) -> None:
    """Rule: due time, ``ongoing`` (first step: from enrollment; in the contact's own zone)."""
    sequence = await world.active(steps=[ongoing("Hi", 2 * 86_400, "09:30")])
    (here,) = await world.contacts(1)
    (tokyo,) = await world.contacts(1, time_zone="Asia/Tokyo")
    (by_number,) = await world.contacts(1, time_zone=None, phone="+13125550123")
    await enrolling.enroll(sequence.id, world.user_id, contact_ids=[here, tokyo, by_number])
    zones = {here: ZONE, tokyo: "Asia/Tokyo", by_number: "America/Chicago"}
    for row in await world.rows("SELECT contact_id, enrolled_at, due_at FROM enrollments"):
        zone = ZoneInfo(zones[row.contact_id])
        local = row.due_at.astimezone(zone)
        assert (local.hour, local.minute) == (9, 30)
        assert local.date() == row.enrolled_at.astimezone(zone).date() + timedelta(days=2)


async def test_the_first_text_waits_for_the_send_window(world: World, enrolling: Enrolling) -> None:
    """Rule: outside the send window."""
    day = (datetime.now(ZoneInfo(ZONE)) + timedelta(days=3)).strftime("%a").lower()
    sequence = await world.active(send_window={day: ["10:00", "11:00"]}, steps=[ongoing("Hi", 0)])
    await enrolling.enroll(sequence.id, world.user_id, contact_ids=await world.contacts(1))
    (row,) = await world.rows("SELECT due_at, next_send_at, enrolled_at FROM enrollments")
    assert row.due_at == row.enrolled_at
    local = row.next_send_at.astimezone(ZoneInfo(ZONE))
    assert (local.strftime("%a").lower(), local.hour, local.minute) == (day, 10, 0)


async def test_past_dates_are_skipped(world: World, enrolling: Enrolling) -> None:
    """Rule: due time, ``scheduled`` (past dates are skipped; all past: ``all_steps_past``)."""
    now = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None)
    dates = [now + timedelta(hours=1), now + timedelta(hours=20)]
    sequence = await world.active(
        kind=SequenceKind.SCHEDULED, steps=[scheduled("a", dates[0]), scheduled("b", dates[1])]
    )
    (here,) = await world.contacts(1)
    (tokyo,) = await world.contacts(1, time_zone="Asia/Tokyo")  # at least 13 hours ahead
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=[here, tokyo])
    assert statuses(answer) == {here: ACTIVE, tokyo: ACTIVE}
    places = await world.rows("SELECT contact_id, position, step FROM enrollments")
    assert {row.contact_id: (row.position, row.step) for row in places} == {
        here: (1, 0),
        tokyo: (2, 0),
    }
    await world.run("UPDATE steps SET send_at = send_at - interval '1 day'")
    others = await world.contacts(1)
    late = await enrolling.enroll(sequence.id, world.user_id, contact_ids=others)
    assert skips(late) == {others[0]: SkipCode.ALL_STEPS_PAST}


async def test_invalid_enroll_request_is_refused(world: World, enrolling: Enrolling) -> None:
    sequence = await world.active()
    people = await world.contacts(1)
    empty = await world.group()
    for arguments, code in (
        ({}, "one_of_two"),
        ({"contact_ids": people, "group_id": empty}, "one_of_two"),
        ({"contact_ids": []}, "contact_count"),
        ({"contact_ids": [uuid4() for _ in range(10_001)]}, "contact_count"),
        ({"group_id": empty}, "empty_group"),
        ({"group_id": uuid4()}, "unknown_group"),
    ):
        with pytest.raises(InvalidFieldError) as raised:
            await enrolling.enroll(sequence.id, world.user_id, **arguments)
        assert raised.value.field_code == code
    with pytest.raises(NotFoundError):
        await enrolling.enroll(uuid4(), world.user_id, contact_ids=people)


async def test_concurrent_calls_enroll_each_contact_once(
    world: World, enrolling: Enrolling
) -> None:
    """Rule: someone active there already; the database decides."""
    sequence = await world.active()
    people = await world.contacts(300)
    orders = [people, people[::-1], people[150:] + people[:150]]
    answers = await asyncio.gather(
        *(enrolling.enroll(sequence.id, world.user_id, contact_ids=order) for order in orders)
    )
    enrolled = [one.contact_id for answer in answers for one in answer.enrolled]
    assert sorted(enrolled) == sorted(people)
    for answer in answers:
        assert len(answer.enrolled) + len(answer.skipped) == 300
        assert set(skips(answer).values()) <= {SkipCode.ALREADY_ACTIVE}
    rows = await world.rows("SELECT count(*) FROM enrollments")
    starts = await world.rows("SELECT count(*) FROM outbox WHERE kind = 'start_enrollment'")
    assert (rows[0][0], starts[0][0]) == (300, 300)


async def test_no_enrollment_slips_in_while_archiving(world: World, enrolling: Enrolling) -> None:
    """Rule: archiving finishes active enrollments if asked to; none is left."""
    for _ in range(3):
        sequence = await world.active()
        batches = [await world.contacts(20) for _ in range(6)]

        async def archive(sequence_id: UUID = sequence.id) -> None:
            await asyncio.sleep(0.02)
            await world.archiving.archive(sequence_id, world.user_id, finish_active=True)

        answers = await asyncio.gather(
            archive(),
            *(enrolling.enroll(sequence.id, world.user_id, contact_ids=one) for one in batches),
            return_exceptions=True,
        )
        refused = [error for error in answers if isinstance(error, BaseException)]
        assert all(isinstance(error, ConflictError) for error in refused)
        counts = (await world.sequences.get(sequence.id)).counts
        stopped = counts[EnrollmentStatus.FINISHED_STOPPED]
        assert stopped == sum(counts.values()) == 20 * (len(batches) - len(refused))


async def test_enrolling_thousands_takes_as_many_statements_as_one(
    world: World, enrolling: Enrolling
) -> None:
    sequence = await world.active(send_window={"mon": ["09:00", "20:00"]})
    exchanges = [f"+1{area}{exchange}" for area in range(201, 241) for exchange in range(210, 220)]
    people = await world.numbers(
        [f"{exchange}{line}" for exchange in exchanges for line in range(1_000, 1_010)]
    )
    one_more = await world.contacts(1)
    async with asked_of(world.database) as for_thousands:
        answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=people)
    assert len(answer.enrolled) == 4_000
    assert len(for_thousands) <= 14
    async with asked_of(world.database) as for_one:
        await enrolling.enroll(sequence.id, world.user_id, contact_ids=one_more)
    assert len(for_one) == len(for_thousands)
