"""One enrollment's details: the steps to come with their reasons, and the timeline."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, update
from sqlmodel import col

from domain.enrollments.faults import Fault
from domain.platform.errors import NotFoundError
from domain.platform.moments import written
from domain.platform.rules import SendingRules
from domain.sequences.timing import DAYS
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus
from domain.statuses.sequences import SequenceKind
from services.enrollments.enrolling import Enrolling
from services.enrollments.enrollment_detail import EnrollmentDetail, EnrollmentDetails
from storage.sequences.sequences import SequenceRecord
from storage.tables.enrollments import Enrollment, EnrollmentEvent
from storage.tables.messaging import Attempt, Message, StatusEvent
from tests.worlds import ZONE, World, ongoing, scheduled, small_world
from workflows.client import EnrollmentClient, LiveState


class FakeLiveStates:
    """Reports that every workflow waits."""

    async def progress(
        self, enrollment_ids: Sequence[UUID], *, deadline: timedelta
    ) -> Mapping[UUID, LiveState]:
        assert deadline == timedelta(seconds=1)
        return dict.fromkeys(enrollment_ids, LiveState("waiting", 0))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
def detail(world: World) -> EnrollmentDetail:
    return detail_under(world, SendingRules(workspace_zone=ZONE))


def detail_under(world: World, rules: SendingRules) -> EnrollmentDetail:
    return EnrollmentDetail(
        world.database,
        cast("EnrollmentClient", FakeLiveStates()),
        live_deadline=timedelta(seconds=1),
        rules=rules,
        workflows_url="http://temporal.test/namespaces/default/workflows/",
    )


async def enroll(world: World, sequence: SequenceRecord, contact_id: UUID | None = None) -> UUID:
    who = contact_id or (await world.contacts(1))[0]
    enrolling = Enrolling(world.database, workspace_zone=ZONE)
    answer = await enrolling.enroll(sequence.id, world.user_id, contact_ids=[who])
    return answer.enrolled[0].id


async def change(world: World, enrollment_id: UUID, **values: Any) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(
            update(Enrollment).where(col(Enrollment.id) == enrollment_id).values(**values)
        )


async def write(world: World, table: Any, **values: Any) -> None:
    async with world.database.transaction() as tx:
        await tx.execute(insert(table).values(**values))


def kinds(details: EnrollmentDetails) -> list[str]:
    return [entry.kind for entry in details.timeline]


async def test_active_enrollment_shows_state_and_steps(
    world: World, detail: EnrollmentDetail
) -> None:
    sequence = await world.active()
    enrollment_id = await enroll(world, sequence)
    shown = await detail.get(enrollment_id)
    assert (shown.id, shown.sequence_id, shown.version) == (enrollment_id, sequence.id, 1)
    assert (shown.status, shown.status_label) == (EnrollmentStatus.ACTIVE, "Active")
    assert (shown.activity, shown.live) == (EnrollmentPhase.WAITING, LiveState("waiting", 0))
    assert shown.time_zones == (ZONE,)
    assert shown.temporal_url == (
        f"http://temporal.test/namespaces/default/workflows/enrollment%2F{enrollment_id}"
    )
    assert [step.position for step in shown.steps] == [1, 2, 3]
    assert [step.estimated for step in shown.steps] == [False, True, True]
    first, second, third = (step.at for step in shown.steps)
    assert first == shown.next_send_at == shown.enrolled_at
    assert first is not None
    assert second is not None
    assert third is not None
    assert timedelta(0) <= second - first - timedelta(days=1) < timedelta(minutes=1)
    assert third - second == timedelta(days=1)
    assert shown.steps[0].body == "Hi {{first_name|there}}"
    assert [step.text for step in shown.steps] == ["Hi Ann0", "Still?", "Bye"]
    assert [reason.text for reason in shown.steps[0].reasons] == ["right after enrollment"]
    assert [reason.text for reason in shown.steps[1].reasons] == [
        "1 day after the previous text",
        "if step 1 goes out as planned",
    ]
    assert shown.sender.name == "Front desk"
    assert kinds(shown) == ["enrolled"]


async def test_enrollment_shows_its_own_version(world: World, detail: EnrollmentDetail) -> None:
    sequence = await world.active(steps=[ongoing("Old")])
    enrollment_id = await enroll(world, sequence)
    await world.run("UPDATE sequences SET name = 'Renamed'")
    shown = await detail.get(enrollment_id)
    assert (shown.sequence_name, [step.body for step in shown.steps]) == ("Renamed", ["Old"])


async def test_estimate_names_time_of_day_window_and_zone(
    world: World, detail: EnrollmentDetail
) -> None:
    sequence = await world.active(
        send_window={day: ["10:00", "11:00"] for day in ("mon", "tue", "wed", "thu", "fri")},
        steps=[ongoing("a", 0), ongoing("b", 7 * 86_400, "09:30"), ongoing("c", 60)],
    )
    tokyo = (await world.contacts(1, time_zone="Asia/Tokyo"))[0]
    shown = await detail.get(await enroll(world, sequence, tokyo))
    second, third = shown.steps[1:]
    assert second.at is not None
    local = second.at.astimezone(ZoneInfo("Asia/Tokyo"))
    assert (local.hour, local.minute) == (10, 0)
    codes = [reason.code for reason in second.reasons]
    assert codes == ["delay", "zone", "window", "after_others"]
    delay, zone, window, others = (reason.detail for reason in second.reasons)
    assert delay == {"seconds": 604_800, "after": "text", "at_time": "09:30"}
    assert zone == {"zone": "Asia/Tokyo", "zones": ["Asia/Tokyo"]}
    assert window["to"] == written(second.at)
    due = datetime.fromisoformat(window["from"]).astimezone(ZoneInfo("Asia/Tokyo"))
    assert (due.hour, due.minute) == (9, 30)
    assert window["zones"] == ["Asia/Tokyo"]
    assert others == {"step": 1}
    assert second.reasons[0].text == "7 days after the previous text, at 09:30"
    assert "Asia/Tokyo" in second.reasons[1].text
    assert third.at == second.at + timedelta(minutes=1)


async def test_scheduled_steps_name_their_dates(world: World, detail: EnrollmentDetail) -> None:
    start = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0) + timedelta(days=2)
    sequence = await world.active(
        kind=SequenceKind.SCHEDULED,
        steps=[scheduled("a", start), scheduled("b", start + timedelta(hours=3))],
    )
    shown = await detail.get(await enroll(world, sequence))
    first, second = (step.at for step in shown.steps)
    assert first == start.replace(tzinfo=ZoneInfo(ZONE))
    assert second == (start + timedelta(hours=3)).replace(tzinfo=ZoneInfo(ZONE))
    assert shown.steps[1].reasons[0].code == "date"


@pytest.mark.parametrize("hours", [1, 2])
async def test_overdue_texts_keep_their_distance(world: World, hours: int) -> None:
    """Rule: two texts of one enrollment; the estimate follows it as sending does."""
    min_spacing = timedelta(hours=hours)
    detail = detail_under(world, SendingRules(workspace_zone=ZONE, min_spacing=min_spacing))
    start = datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0) + timedelta(hours=1)
    sequence = await world.active(
        kind=SequenceKind.SCHEDULED,
        steps=[scheduled("a", start), scheduled("b", start + timedelta(hours=3))],
    )
    enrollment_id = await enroll(world, sequence)
    late = datetime.now(UTC) + timedelta(days=3)
    await change(world, enrollment_id, next_send_at=late)
    shown = await detail.get(enrollment_id)
    assert shown.steps[1].at == late + min_spacing
    [spacing] = [reason for reason in shown.steps[1].reasons if reason.code == "spacing"]
    assert spacing.detail["seconds"] == min_spacing.total_seconds()


async def test_paused_and_held_enrollments_explain_the_wait(
    world: World, detail: EnrollmentDetail
) -> None:
    sequence = await world.active()
    enrollment_id = await enroll(world, sequence)
    await world.sequences.pause(sequence.id)
    paused = await detail.get(enrollment_id)
    assert paused.activity is EnrollmentPhase.PAUSED
    assert (paused.steps[0].estimated, paused.steps[0].reasons[0].code) == (True, "paused")
    await change(
        world,
        enrollment_id,
        activity="held",
        held_reason="sender_on_hold",
        held_code=30034,
        next_send_at=None,
    )
    held = await detail.get(enrollment_id)
    assert held.error == Fault.of(30034)
    assert [step.at for step in held.steps] == [None, None, None]
    assert held.steps[1].reasons[0].code == "held"


async def test_next_step_explains_its_postponement(world: World, detail: EnrollmentDetail) -> None:
    another_day = DAYS[(datetime.now(ZoneInfo(ZONE)).weekday() + 2) % 7]
    sequence = await world.active(send_window={another_day: ["10:00", "11:00"]})
    enrollment_id = await enroll(world, sequence)
    [row] = await world.rows("SELECT due_at, next_send_at FROM enrollments")
    [*_, window] = (await detail.get(enrollment_id)).steps[0].reasons
    assert window.code == "window"
    assert window.detail["from"] == written(row.due_at)
    assert window.detail["to"] == written(row.next_send_at)
    at = row.due_at + timedelta(minutes=7)
    await change(world, enrollment_id, next_send_at=at)
    assert (await detail.get(enrollment_id)).steps[0].reasons[-1].code == "later"
    for because in ("spacing", "retry", "window"):
        await write(
            world,
            EnrollmentEvent,
            enrollment_id=enrollment_id,
            at=datetime.now(UTC),
            kind="waits",
            detail={"because": because, "until": written(at)},
        )
        reason = (await detail.get(enrollment_id)).steps[0].reasons[-1]
        assert (reason.code, reason.detail["to"]) == (because, written(at))


async def test_estimates_name_their_reasons(world: World, detail: EnrollmentDetail) -> None:
    sequence = await world.active(steps=[ongoing("a", 3600), ongoing("b")])
    enrollment_id = await enroll(world, sequence)
    shown = await detail.get(enrollment_id)
    assert not shown.steps[0].estimated
    await world.run("UPDATE senders SET held_at = now(), hold_code = 20003, next_probe_at = now()")
    on_hold = (await detail.get(enrollment_id)).steps[0]
    assert (on_hold.estimated, on_hold.at) == (True, shown.next_send_at)
    assert on_hold.reasons[0].code == "sender_on_hold"
    assert on_hold.reasons[0].detail["held_code"] == 20003
    await world.run("UPDATE senders SET held_at = NULL, hold_code = NULL, next_probe_at = NULL")
    paused_at = shown.enrolled_at + timedelta(minutes=20)
    await change(world, enrollment_id, activity="paused", paused_at=paused_at, next_send_at=None)
    paused = (await detail.get(enrollment_id)).steps
    assert [step.at for step in paused] == [None, None]
    assert paused[0].reasons[0].code == "enrollment_paused"
    assert paused[0].reasons[0].detail == {
        "since": written(paused_at),
        "left_seconds": 2400,
    }


async def test_enrollment_born_final_has_no_workflow(
    world: World, detail: EnrollmentDetail
) -> None:
    sequence = await world.active()
    shown = await detail.get(await enroll(world, sequence, await world.landline()))
    assert (shown.live, shown.temporal_url, shown.steps) == (None, None, [])
    assert kinds(shown) == ["enrolled", "ended"]
    assert shown.timeline[1].status == EnrollmentStatus.OMITTED_LANDLINE


async def test_timeline_lists_everything_in_order(world: World, detail: EnrollmentDetail) -> None:
    sequence = await world.active()
    contact_id = (await world.contacts(1, phone="+12125550142"))[0]
    enrollment_id = await enroll(world, sequence, contact_id)
    begin = (await detail.get(enrollment_id)).enrolled_at

    def after(minutes: int) -> datetime:
        return begin + timedelta(minutes=minutes)

    outbound = {
        "direction": Direction.OUTBOUND,
        "contact_id": contact_id,
        "phone": "+12125550142",
        "enrollment_id": enrollment_id,
    }
    step_id, one_off_id = uuid4(), uuid4()
    await write(
        world,
        Message,
        id=step_id,
        **outbound,
        step=1,
        pass_number=1,
        body="Hi",
        status=MessageStatus.DELIVERED,
        occurred_at=after(4),
    )
    refused = {"outcome": AttemptOutcome.REFUSED, "error_code": 30001, "http_status": 400}
    accepted = {
        "outcome": AttemptOutcome.ACCEPTED,
        "provider_sid": "SM1",
        "provider_status": MessageStatus.DELIVERED,
    }
    for number, outcome in ((1, refused), (2, accepted)):
        await write(
            world,
            Attempt,
            id=uuid4(),
            message_id=step_id,
            number=number,
            started_at=after(2 * number - 1),
            call_before=after(2 * number),
            answered_at=after(2 * number),
            **outcome,
        )
    for status, minutes in (("sent", 5), ("delivered", 6), ("read", 7)):
        await write(
            world,
            StatusEvent,
            provider_sid="SM1",
            status=status,
            payload={},
            received_at=after(minutes),
        )
    await write(
        world,
        EnrollmentEvent,
        enrollment_id=enrollment_id,
        at=after(8),
        kind="held",
        detail={"code": 21408},
    )
    await write(
        world,
        EnrollmentEvent,
        enrollment_id=enrollment_id,
        at=after(9),
        kind="released",
        user_id=world.user_id,
    )
    await write(
        world,
        Message,
        id=one_off_id,
        **outbound,
        body="By hand",
        user_id=world.user_id,
        status=MessageStatus.UNDELIVERED,
        created_at=after(10),
        occurred_at=after(12),
    )
    await write(
        world,
        Attempt,
        id=uuid4(),
        message_id=one_off_id,
        number=1,
        started_at=after(11),
        call_before=after(12),
        answered_at=after(12),
        outcome=AttemptOutcome.ACCEPTED,
        provider_sid="SM2",
        provider_status=MessageStatus.UNDELIVERED,
        reported_failed=True,
        error_code=30003,
    )
    heard = {
        "direction": Direction.INBOUND,
        "contact_id": contact_id,
        "phone": "+12125550142",
        "status": MessageStatus.RECEIVED,
    }
    for body, minutes in (("Before", -1), ("Yes please", 13), ("Much later", 100)):
        await write(
            world,
            Message,
            id=uuid4(),
            **heard,
            body=body,
            is_reply=minutes == 13,
            occurred_at=after(minutes),
            created_at=after(minutes) + timedelta(seconds=1),
        )
    await change(
        world,
        enrollment_id,
        status=EnrollmentStatus.FINISHED_RESPONDED,
        activity=None,
        ended_at=after(13) + timedelta(seconds=1),
    )
    shown = await detail.get(enrollment_id)
    assert kinds(shown) == [
        "enrolled",
        "attempt",
        "failed",
        "attempt",
        "sent",
        "delivered",
        "held",
        "released",
        "written",
        "attempt",
        "sent",
        "failed",
        "received",
        "ended",
    ]
    timeline = list(shown.timeline)
    assert timeline[0].user is not None
    assert timeline[0].user.name == "Mia"
    assert (timeline[2].error, timeline[2].step) == (Fault.of(30001), 1)
    assert (timeline[3].detail["number"], timeline[3].status) == (2, "accepted")
    assert (timeline[4].body, timeline[4].at) == ("Hi", after(4))
    assert timeline[5].at == after(6)
    assert timeline[6].detail == {"code": 21408}
    assert timeline[7].user is not None
    assert (timeline[8].body, timeline[8].message_id) == ("By hand", one_off_id)
    assert timeline[11].error == Fault.of(30003)
    assert (timeline[12].body, timeline[12].detail["is_reply"]) == ("Yes please", True)
    assert timeline[13].status == EnrollmentStatus.FINISHED_RESPONDED


async def test_finish_by_hand_names_the_user(world: World, detail: EnrollmentDetail) -> None:
    enrollment_id = await enroll(world, await world.active())
    await world.finishing.mark_finished([enrollment_id], world.user_id)
    shown = await detail.get(enrollment_id)
    assert shown.ended_by is not None
    assert shown.ended_by.name == "Mia"
    assert shown.timeline[-1].user == shown.ended_by
    assert shown.temporal_url is not None


async def test_an_unknown_enrollment_is_not_found(detail: EnrollmentDetail) -> None:
    with pytest.raises(NotFoundError):
        await detail.get(uuid4())
