"""The Contacts tab: filters, search, order, pages, counts, live state."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col

from domain.enrollments.faults import Fault
from domain.platform.errors import InvalidFieldError, NotFoundError
from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from services.enrollments.enrolling import Enrolling
from services.enrollments.enrollment_list import EnrollmentList
from storage.enrollments.enrollment_list import Outlook
from storage.enrollments.list_filter import ListFilter
from storage.tables.enrollments import Enrollment
from tests.worlds import ZONE, World, small_world
from workflows.client import EnrollmentClient, LiveState

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@dataclass
class FakeLiveStates:
    """Returns the states it was given and records which enrollments it was asked about."""

    answers: dict[UUID, LiveState] = field(default_factory=dict)
    asked: list[UUID] = field(default_factory=list)

    async def progress(
        self, enrollment_ids: Sequence[UUID], *, deadline: timedelta
    ) -> Mapping[UUID, LiveState]:
        await asyncio.sleep(0)
        self.asked += enrollment_ids
        silent = LiveState(unavailable=f"timeout after {deadline.total_seconds()} s")
        return {one: self.answers.get(one, silent) for one in enrollment_ids}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
def live_states() -> FakeLiveStates:
    return FakeLiveStates()


@pytest.fixture
def enrollment_list(world: World, live_states: FakeLiveStates) -> EnrollmentList:
    return EnrollmentList(
        world.database, cast("EnrollmentClient", live_states), live_deadline=timedelta(seconds=1)
    )


async def enroll(
    world: World, sequence_id: UUID, people: Sequence[UUID], user_id: UUID | None = None
) -> list[UUID]:
    enrolling = Enrolling(world.database, workspace_zone=ZONE)
    answer = await enrolling.enroll(sequence_id, user_id or world.user_id, contact_ids=people)
    return [one.id for one in answer.enrolled]


async def change(world: World, enrollment_id: UUID, **values: Any) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            update(Enrollment).where(col(Enrollment.id) == enrollment_id).values(**values)
        )


async def end(world: World, enrollment_id: UUID, status: EnrollmentStatus, **values: Any) -> None:
    await change(world, enrollment_id, status=status, activity=None, ended_at=NOON, **values)


async def listed(
    enrollment_list: EnrollmentList, sequence_id: UUID, sort: str = "name", **wanted: Any
) -> list[UUID]:
    tab = await enrollment_list.page(sequence_id, ListFilter(**wanted), sort=sort)
    return [item.enrollment_id for item in tab.page.items]


async def all_pages(
    enrollment_list: EnrollmentList, sequence_id: UUID, sort: str, limit: int
) -> list[UUID]:
    """Read every page of the list in order."""
    found: list[UUID] = []
    after: Position | None = None
    for _ in range(100):
        tab = await enrollment_list.page(
            sequence_id, ListFilter(), sort=sort, after=after, limit=limit
        )
        found += [item.enrollment_id for item in tab.page.items]
        after = tab.page.next
        if after is None:
            return found
    pytest.fail("the list has no end")


async def test_row_shows_contact_status_and_step(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    people = await world.contacts(1, first_name="Zoë", last_name="Quinn", phone="+12125550199")
    (enrollment_id,) = await enroll(world, sequence.id, people)
    await change(world, enrollment_id, step=1, position=2, last_message_at=NOON)
    tab = await enrollment_list.page(sequence.id, ListFilter())
    (line,) = tab.page.items
    assert line.enrollment_id == enrollment_id
    assert (line.contact.id, line.contact.name) == (people[0], "Zoë Quinn")
    assert line.contact.phone == "+12125550199"
    assert (line.status, line.status_label) == (EnrollmentStatus.ACTIVE, "Active")
    assert (line.activity, line.held_reason) == (EnrollmentPhase.WAITING, None)
    assert (line.step, line.step_count) == (1, 3)
    assert (line.enrolled_by.id, line.enrolled_by.name) == (world.user_id, "Mia")
    assert line.last_message_at == NOON
    assert (line.error, line.live) == (None, None)
    assert tab.page.next is None


async def test_waiting_in_a_paused_sequence_is_shown_paused(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    waiting, sending, final = await enroll(world, sequence.id, await world.contacts(3))
    await change(world, sending, activity="sending")
    await end(world, final, EnrollmentStatus.FAILED, error_code=30003)
    await world.sequences.pause(sequence.id)
    tab = await enrollment_list.page(sequence.id, ListFilter())
    shown = {line.enrollment_id: line.activity for line in tab.page.items}
    assert shown == {waiting: EnrollmentPhase.PAUSED, sending: EnrollmentPhase.SENDING, final: None}


async def test_failed_and_held_rows_explain_why(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    failed, held = await enroll(world, sequence.id, await world.contacts(2))
    await end(world, failed, EnrollmentStatus.FAILED, error_code=30003)
    await change(
        world, held, activity="held", held_reason="destination_not_allowed", held_code=21408
    )
    tab = await enrollment_list.page(sequence.id, ListFilter())
    lines = {line.enrollment_id: line for line in tab.page.items}
    assert lines[failed].error == Fault.of(30003)
    assert lines[held].error == Fault.of(21408)
    assert lines[held].held_reason == "destination_not_allowed"


async def test_counts_cover_the_sequence_and_all_statuses(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence, other = await world.active(), await world.active()
    ids = await enroll(world, sequence.id, await world.contacts(8))
    await enroll(world, other.id, await world.contacts(1))
    for enrollment_id in ids[:3]:
        await end(world, enrollment_id, EnrollmentStatus.FINISHED_RESPONDED)
    await end(world, ids[3], EnrollmentStatus.OPTED_OUT)
    tab = await enrollment_list.page(
        sequence.id, ListFilter(status=[EnrollmentStatus.OPTED_OUT]), limit=1
    )
    assert len(tab.page.items) == 1
    assert tab.counts == {
        **dict.fromkeys(EnrollmentStatus, 0),
        EnrollmentStatus.ACTIVE: 4,
        EnrollmentStatus.FINISHED_RESPONDED: 3,
        EnrollmentStatus.OPTED_OUT: 1,
    }


SMALL = {
    "list_counts.WALKED": 1,
    "list_counts._WALKED_FOR_COUNT": 1,
    "list_counts._PROBED": 1,
    "enrollment_list.WALKED": 1,
    "enrollment_list._SHORT": 1,
    "enrollment_list._SHORT_LOOKED_UP": 1,
    "enrollment_list._LOOKED_UP": 1,
    "enrollment_list.LOOKED_UP_FAR": 1,
    "list_counts.LOOKED_UP_FAR": 1,
    "enrollment_list._MOST_CELLS": 0,
}
"""Limits that a list of four rows is beyond, as one of a million is beyond the real ones."""


@pytest.fixture(params=[{}, SMALL, {**SMALL, "list_counts._WALKED_FOR_COUNT": 3}])
def ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Find pages and counts in every way that big lists need."""
    for name, value in request.param.items():
        monkeypatch.setattr(f"storage.enrollments.{name}", value)


@pytest.mark.usefixtures("ways")
async def test_filters_match_any_value_and_combine_with_and(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    noa = await world.user("Noa")
    people = [
        (await world.contacts(1, first_name=name, last_name=last))[0]
        for name, last in (("Ada", "Byron"), ("Bob", "Stone"), ("Cid", "Byron"), ("Dee", "Fox"))
    ]
    ada, bob = await enroll(world, sequence.id, people[:2])
    cid, dee = await enroll(world, sequence.id, people[2:], noa)
    await change(world, bob, step=1, position=2)
    await change(world, cid, step=2, position=3)
    await end(world, dee, EnrollmentStatus.FINISHED_STOPPED)
    friends, family = await world.group(people[:2]), await world.group(people[1:3])

    async def found(**wanted: Any) -> list[UUID]:
        return await listed(enrollment_list, sequence.id, **wanted)

    assert await found() == [ada, bob, cid, dee]
    assert await found(step=[1, 2]) == [bob, cid]
    assert await found(waiting_for_step=[1]) == [ada], "who has ended waits for nothing"
    assert await found(waiting_for_step=[2, 3], search="o") == [bob, cid]
    assert await found(enrolled_by=[noa]) == [cid, dee]
    assert await found(enrolled_by=[noa, world.user_id]) == [ada, bob, cid, dee]
    assert await found(status=[EnrollmentStatus.FINISHED_STOPPED]) == [dee]
    assert await found(group=[friends, family]) == [ada, bob, cid]
    assert await found(group=[family], step=[0, 1], search="o") == [bob]
    assert await found(search="BYRON") == [ada, cid]
    assert await found(search="a byr") == [ada]
    assert await found(step=[7]) == []
    assert await found(group=[uuid4()]) == []

    async def counted(**wanted: Any) -> tuple[int, dict[EnrollmentStatus, int]]:
        tab = await enrollment_list.page(sequence.id, ListFilter(**wanted), count=True, limit=1)
        assert tab.matching is not None
        assert tab.by_status is not None
        some = {status: one.number for status, one in tab.by_status.items() if one.number}
        return tab.matching.number, some

    active, stopped = EnrollmentStatus.ACTIVE, EnrollmentStatus.FINISHED_STOPPED
    assert await counted() == (4, {active: 3, stopped: 1})
    assert await counted(search="o") == (4, {active: 3, stopped: 1})
    assert await counted(search="o", status=[stopped]) == (1, {active: 3, stopped: 1})
    assert await counted(group=[family]) == (2, {active: 2})
    assert await counted(enrolled_by=[noa], status=[active]) == (1, {active: 1, stopped: 1})
    assert await counted(search="fox") == (1, {stopped: 1})
    assert await counted(step=[2]) == (1, {active: 1})


@pytest.mark.usefixtures("ways")
async def test_search_is_literal_and_finds_phone_digits(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    odd = (await world.contacts(1, first_name="50%_off\\", phone="+14155550123"))[0]
    plain = (await world.contacts(1, first_name="500 off", phone="+442071838750"))[0]
    first, second = await enroll(world, sequence.id, [odd, plain])
    for search, expected in (
        ("%", [first]),
        ("_", [first]),
        ("\\", [first]),
        ("555-01", [first]),
        ("(415) 555", [first]),
        ("20 7183", [second]),
        ("off", sorted([first, second])),
        ("x", []),
    ):
        found = await listed(enrollment_list, sequence.id, search=search)
        assert sorted(found) == expected, search
        wanted = ListFilter(search=search)
        assert (await enrollment_list.count(sequence.id, wanted)).number == len(expected), search
        assert (await enrollment_list.outlook(sequence.id, wanted)).people == len(expected), search


@pytest.mark.parametrize("column", ["next_send_at", "last_message_at"])
async def test_missing_values_sort_last_in_both_directions(
    world: World, enrollment_list: EnrollmentList, column: str
) -> None:
    sequence = await world.active()
    ids = await enroll(world, sequence.id, await world.contacts(6))
    for number, enrollment_id in enumerate(ids):
        moment = NOON + timedelta(minutes=number // 2) if number < 4 else None
        await change(world, enrollment_id, **{column: moment})
    up = [*sorted(ids[:2]), *sorted(ids[2:4]), *sorted(ids[4:])]
    down = [
        *sorted(ids[2:4], reverse=True),
        *sorted(ids[:2], reverse=True),
        *sorted(ids[4:], reverse=True),
    ]
    assert await listed(enrollment_list, sequence.id, column) == up
    assert await listed(enrollment_list, sequence.id, f"-{column}") == down


async def test_pages_list_every_contact_once_in_order(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    people = [
        (await world.contacts(1, first_name=name))[0] for name in ("Al", "Bo", "Al", "Cy", "Bo")
    ]
    ids = await enroll(world, sequence.id, people)
    for number, enrollment_id in enumerate(ids):
        at = [NOON, NOON, None, NOON + timedelta(days=1), None][number]
        await change(world, enrollment_id, next_send_at=at, last_message_at=at)
    columns = ("name", "enrolled_at", "next_send_at", "last_message_at")
    for sort in (f"{sign}{column}" for column in columns for sign in ("", "-")):
        whole = await listed(enrollment_list, sequence.id, sort)
        assert sorted(whole) == sorted(ids), sort
        for limit in (1, 3, 4):
            pages = await all_pages(enrollment_list, sequence.id, sort, limit)
            assert pages == whole, (sort, limit)


async def test_live_queries_only_active_enrollments_of_the_page(
    world: World, enrollment_list: EnrollmentList, live_states: FakeLiveStates
) -> None:
    sequence = await world.active()
    ids = await enroll(world, sequence.id, await world.contacts(4))
    in_order = await listed(enrollment_list, sequence.id)
    assert sorted(in_order) == sorted(ids)
    answering, silent, final, elsewhere = in_order
    await end(world, final, EnrollmentStatus.FAILED)
    live_states.answers[answering] = LiveState("waiting", 1, NOON)
    tab = await enrollment_list.page(sequence.id, ListFilter(), sort="name", limit=3, live=True)
    lines = {line.enrollment_id: line.live for line in tab.page.items}
    assert set(live_states.asked) == {answering, silent}
    assert elsewhere not in lines
    assert lines[final] is None
    assert lines[answering] == LiveState("waiting", 1, NOON)
    assert lines[silent] == LiveState(unavailable="timeout after 1.0 s")


async def test_list_filters_by_id_and_by_hold(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    first, second, third = await enroll(world, sequence.id, await world.contacts(3))
    await change(
        world, second, activity=EnrollmentPhase.HELD, held_reason=HeldReason.OUTCOME_UNKNOWN
    )
    assert await listed(enrollment_list, sequence.id, held=True) == [second]
    chosen = await listed(enrollment_list, sequence.id, enrollment=[first, third])
    assert sorted(chosen) == sorted([first, third])


async def test_outlook_counts_texts_still_to_come(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    first, second, third, fourth = await enroll(world, sequence.id, await world.contacts(4))
    await change(world, first, position=3, step=2)
    await change(
        world, second, activity=EnrollmentPhase.HELD, held_reason=HeldReason.OUTCOME_UNKNOWN
    )
    await change(world, third, activity=EnrollmentPhase.PAUSED, paused_at=NOON)
    await end(world, fourth, EnrollmentStatus.FAILED)
    outlook = await enrollment_list.outlook(sequence.id, ListFilter())
    assert outlook == Outlook(
        people=4,
        contacts=4,
        active=3,
        paused=1,
        held=1,
        unknown=1,
        missing=0,
        unconsented=0,
        texts=1 + 3 + 3,
    )
    await change(world, second, held_reason=HeldReason.DESTINATION_NOT_ALLOWED)
    refused = await enrollment_list.outlook(sequence.id, ListFilter())
    assert (refused.held, refused.unknown) == (1, 0)
    only = await enrollment_list.outlook(sequence.id, ListFilter(enrollment=[first, fourth]))
    assert only == Outlook(
        people=2,
        contacts=2,
        active=1,
        paused=0,
        held=0,
        unknown=0,
        missing=0,
        unconsented=0,
        texts=1,
    )
    with pytest.raises(NotFoundError):
        await enrollment_list.outlook(uuid4(), ListFilter())


async def test_an_unknown_sequence_is_not_found(enrollment_list: EnrollmentList) -> None:
    with pytest.raises(NotFoundError):
        await enrollment_list.page(uuid4(), ListFilter())


async def test_search_that_cannot_match_is_refused(
    world: World, enrollment_list: EnrollmentList
) -> None:
    sequence = await world.active()
    with pytest.raises(InvalidFieldError):
        await enrollment_list.page(sequence.id, ListFilter(search="a\0b"))
