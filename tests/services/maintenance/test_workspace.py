"""The workspace's time zone and hour cycle: changes apply at once, in every process."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from domain.messaging.ports import SendRequest
from domain.platform.errors import InvalidFieldError, InvalidRequestError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.sequences import SequenceKind
from services.maintenance.workspace import WorkspaceDetails
from storage.enrollments import enrollments
from storage.platform import workspace
from tests.kits.sending import SendingKit
from tests.worlds import ZONE, ongoing, scheduled

ELSEWHERE = "Pacific/Auckland"
NOWHERE = "+88213300000"  # a satellite phone: its number gives no zone
NARROW = {day: ["09:00", "10:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


async def set_zone(kit: SendingKit, zone: str | None) -> WorkspaceDetails:
    return await kit.services.workspace.change({"time_zone": zone}, kit.world.user_id)


async def local(kit: SendingKit, enrollment_id: UUID, zone: str) -> datetime:
    """Read when an enrollment's next text may go, in local time of a zone."""
    [row] = await kit.world.rows(
        "SELECT next_send_at FROM enrollments WHERE id = :id", id=enrollment_id
    )
    moment: datetime = row.next_send_at.astimezone(ZoneInfo(zone))
    return moment


async def zoneless_contact(kit: SendingKit) -> UUID:
    [contact_id] = await kit.world.numbers([NOWHERE])
    return contact_id


async def test_default_zone_applies_until_one_is_set(kit: SendingKit) -> None:
    assert await kit.services.workspace.get() == WorkspaceDetails(ZONE, 12, None, None)

    changed = await set_zone(kit, ELSEWHERE)
    assert changed == WorkspaceDetails(ELSEWHERE, 12, ELSEWHERE, None)
    await kit.services.workspace.change({"hour_cycle": 24}, kit.world.user_id)
    assert await kit.services.workspace.get() == WorkspaceDetails(ELSEWHERE, 24, ELSEWHERE, None)

    assert await set_zone(kit, None) == WorkspaceDetails(ZONE, 24, None, None)
    audited = await kit.world.rows("SELECT detail FROM audit_log WHERE action = 'workspace.change'")
    assert [row.detail["fields"] for row in audited] == ["time_zone", "hour_cycle", "time_zone"]


async def test_unknown_workspace_zone_is_refused(kit: SendingKit) -> None:
    with pytest.raises(InvalidFieldError):
        await set_zone(kit, "Mars/Olympus")

    assert (await kit.services.workspace.get()).time_zone is None


async def test_enrolling_uses_the_workspace_zone(kit: SendingKit) -> None:
    await set_zone(kit, ELSEWHERE)
    sequence = await kit.sequence(ongoing("Hi", 86_400, "09:30"))

    enrollment_id = await kit.enroll(sequence, await zoneless_contact(kit))

    at = await local(kit, enrollment_id, ELSEWHERE)
    assert (at.hour, at.minute) == (9, 30)


async def test_next_step_uses_the_workspace_zone(kit: SendingKit) -> None:
    sequence = await kit.sequence(ongoing("Hi", 0), ongoing("Bye", 86_400, "09:30"))
    enrollment_id = await kit.enroll(sequence, await zoneless_contact(kit))
    await set_zone(kit, ELSEWHERE)

    await kit.send(enrollment_id)

    at = await local(kit, enrollment_id, ELSEWHERE)
    assert (at.hour, at.minute) == (9, 30)


async def test_send_window_uses_the_workspace_zone(kit: SendingKit) -> None:
    """The row was not rescheduled beforehand."""
    sequence = await kit.sequence("Hi", send_window=NARROW)
    enrollment_id = await kit.enroll(sequence, await zoneless_contact(kit))
    now = datetime.now(UTC)
    shut = next(
        zone
        for zone in (ELSEWHERE, "Europe/Madrid", "America/Los_Angeles")
        if now.astimezone(ZoneInfo(zone)).hour not in {8, 9, 10}
    )
    await kit.world.run(
        "UPDATE enrollments SET due_at = now(), next_send_at = now() WHERE id = :id",
        id=enrollment_id,
    )
    await kit.world.run("INSERT INTO workspace (id, time_zone) VALUES (1, :zone)", zone=shut)

    state = await kit.run_step(enrollment_id)

    assert isinstance(state, EnrollmentState)
    assert state.due_at is not None
    assert state.due_at.astimezone(ZoneInfo(shut)).hour == 9
    assert kit.gateway.calls == []


async def test_waiting_steps_move_with_the_workspace_zone(kit: SendingKit) -> None:
    sequence = await kit.sequence(ongoing("Hi", 86_400, "09:30"))
    enrollment_id = await kit.enroll(sequence, await zoneless_contact(kit))
    given = await kit.enroll(sequence, (await kit.world.contacts(1))[0])
    [unmoved] = await kit.world.rows("SELECT * FROM enrollments WHERE id = :id", id=given)

    await set_zone(kit, ELSEWHERE)
    await kit.services.outbox.drain()

    [moved] = await kit.world.rows(
        "SELECT due_at FROM enrollments WHERE id = :id", id=enrollment_id
    )
    at = moved.due_at.astimezone(ZoneInfo(ELSEWHERE))
    assert (at.hour, at.minute) == (9, 30)
    assert kit.temporal.signals_to(enrollment_id) == [("reconsider", None)]
    [row] = await kit.world.rows("SELECT * FROM enrollments WHERE id = :id", id=given)
    assert row == unmoved
    assert kit.temporal.signals_to(given) == []


async def test_setting_the_same_zone_moves_no_step(kit: SendingKit) -> None:
    enrollment_id = await kit.enroll(
        await kit.sequence(ongoing("Hi", 86_400, "09:30")), await zoneless_contact(kit)
    )

    await set_zone(kit, ZONE)
    await kit.services.outbox.drain()

    assert kit.temporal.signals_to(enrollment_id) == []


async def test_past_dates_depend_on_the_workspace_zone(kit: SendingKit) -> None:
    """A date that is past where the world's day begins is still to come where it ends."""
    soon = datetime.now(ZoneInfo("Pacific/Pago_Pago")).replace(tzinfo=None) + timedelta(hours=1)
    steps = [scheduled("Hi", soon)]
    await set_zone(kit, "Pacific/Pago_Pago")
    await kit.world.draft(kind=SequenceKind.SCHEDULED, steps=steps)

    await set_zone(kit, "Pacific/Kiritimati")

    with pytest.raises(InvalidRequestError):
        await kit.world.draft(kind=SequenceKind.SCHEDULED, steps=steps)


async def test_enrollment_detail_uses_the_workspace_zone(kit: SendingKit) -> None:
    enrollment_id = await kit.enroll(contact_id=await zoneless_contact(kit))
    await kit.services.finishing.mark_finished([enrollment_id], kit.world.user_id)
    await set_zone(kit, ELSEWHERE)

    shown = await kit.services.enrollment_detail.get(enrollment_id)

    assert shown.time_zones == (ELSEWHERE,)


async def test_step_scheduled_in_the_old_zone_meanwhile_is_found(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text is accepted while the zone changes: the next step's time was being computed."""
    computing, go_on = asyncio.Event(), asyncio.Event()
    record_sent = enrollments.record_sent

    async def slowly(*given: Any, **more: Any) -> bool:
        computing.set()
        await go_on.wait()
        return await record_sent(*given, **more)

    sequence = await kit.sequence(ongoing("Hi", 0), ongoing("Bye", 86_400, "09:30"))
    enrollment_id = await kit.enroll(sequence, await zoneless_contact(kit))
    call = await kit.open_call(enrollment_id)
    answer = await kit.gateway.create(call)
    monkeypatch.setattr(enrollments, "record_sent", slowly)

    accepting = asyncio.create_task(kit.services.sending.record_answer(call.attempt_id, answer))
    await computing.wait()
    changing = asyncio.create_task(set_zone(kit, ELSEWHERE))
    while (await kit.services.workspace.get()).time_zone is None:  # noqa: ASYNC110 - a row
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert not changing.done()
    go_on.set()
    await asyncio.gather(accepting, changing)

    at = await local(kit, enrollment_id, ELSEWHERE)
    assert (at.hour, at.minute) == (9, 30)


async def test_sweep_completes_a_zone_change(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrollment_id = await kit.enroll(
        await kit.sequence(ongoing("Hi", 86_400, "09:30")), await zoneless_contact(kit)
    )

    async def die(_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr(workspace, "wait_for_holders", die)
        with pytest.raises(RuntimeError):
            await set_zone(kit, ELSEWHERE)
    assert (await local(kit, enrollment_id, ELSEWHERE)).hour != 9

    await kit.services.sweep.sweep()
    once = await local(kit, enrollment_id, ELSEWHERE)
    await kit.world.run("UPDATE workspace SET moving_from = :zone", zone=ZONE)
    await kit.services.sweep.sweep()

    assert (once.hour, once.minute) == (9, 30)
    assert await local(kit, enrollment_id, ELSEWHERE) == once
    [row] = await kit.world.rows("SELECT moving_from FROM workspace")
    assert row.moving_from is None


async def test_reschedule_of_many_and_bulk_pause_do_not_deadlock(kit: SendingKit) -> None:
    """More contacts than a page: neither fails because both want the same rows."""
    sequence = await kit.sequence(ongoing("Hi", 86_400, "09:30"))
    people = await kit.world.numbers([f"+8821330{index:04}" for index in range(1_200)])
    answer = await kit.services.enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=people)
    ids = [one.id for one in answer.enrolled]

    await asyncio.gather(
        set_zone(kit, ELSEWHERE),
        kit.services.pausing.pause(ids, kit.world.user_id),
        kit.services.pausing.pause(ids[::-1], kit.world.user_id),
    )

    [row] = await kit.world.rows("SELECT count(*) AS n FROM enrollments WHERE activity = 'paused'")
    assert row.n == len(ids)


# A contact's own


async def test_waiting_steps_move_with_the_contacts_zone(kit: SendingKit) -> None:
    [contact_id] = await kit.world.contacts(1)
    sequence = await kit.sequence(ongoing("Hi", 86_400, "09:30"))
    enrollment_id = await kit.enroll(sequence, contact_id)

    await kit.services.contacts.update(contact_id, {"time_zone": ELSEWHERE})
    await kit.services.outbox.drain()

    [row] = await kit.world.rows("SELECT due_at FROM enrollments")
    at = row.due_at.astimezone(ZoneInfo(ELSEWHERE))
    assert (at.hour, at.minute) == (9, 30)
    assert kit.temporal.signals_to(enrollment_id) == [("reconsider", None)]


async def test_renaming_a_contact_moves_no_step(kit: SendingKit) -> None:
    [contact_id] = await kit.world.contacts(1)
    enrollment_id = await kit.enroll(contact_id=contact_id)

    await kit.services.contacts.update(contact_id, {"first_name": "Bea", "time_zone": ZONE})
    await kit.services.outbox.drain()

    assert kit.temporal.signals_to(enrollment_id) == []


async def test_zone_change_and_starting_text_do_not_deadlock(kit: SendingKit) -> None:
    """Neither waits for the other forever."""
    ids = await kit.world.contacts(6)
    people = [await kit.enroll(contact_id=one) for one in ids]

    next_actions, _ = await asyncio.gather(
        asyncio.gather(*(kit.services.sending.open_step(one) for one in people)),
        asyncio.gather(
            *(kit.services.contacts.update(one, {"time_zone": ELSEWHERE}) for one in ids)
        ),
    )

    assert all(isinstance(one, SendRequest) for one in next_actions)
