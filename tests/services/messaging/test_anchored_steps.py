"""Steps that go by a date: when they are due, and how they move with it.

The rules: docs/design.md, "Sending".
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.sequences.steps import StepDraft
from domain.statuses.contacts import FieldType
from domain.statuses.enrollment_state import EnrollmentState
from services.contacts.values import ContactFields
from tests.kits.sending import SendingKit
from tests.worlds import ZONE, ongoing

DAY = timedelta(days=1)
KEY = "interview_at"


def day_before(**more: Any) -> StepDraft:
    return StepDraft(
        "Until tomorrow", anchor_key=KEY, anchor_offset_seconds=-86_400, at_time="10:00", **more
    )


def in_days(days: int) -> str:
    return f"{datetime.now(ZoneInfo(ZONE)) + days * DAY:%Y-%m-%d}"


def at_ten(day: str) -> datetime:
    """Give ten o'clock on the day before a day, on the clock of the contacts."""
    local = datetime.combine(datetime.fromisoformat(day).date() - DAY, time(10))
    return local.replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


async def fill_in(kit: SendingKit, enrollment: UUID, **given: dict[str, object]) -> None:
    values: dict[str, Any] = {"fields": {}, "variables": {}, **given}
    await kit.services.variables.fill_in(enrollment, kit.world.user_id, **values)


async def looked_at(kit: SendingKit, enrollment: UUID) -> EnrollmentState:
    """Look at a step that does not go yet, as its workflow does when it is told to."""
    before = len(kit.gateway.calls)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert len(kit.gateway.calls) == before
    return state


async def told(kit: SendingKit, enrollment: UUID) -> bool:
    await kit.services.outbox.drain()
    signals = kit.temporal.signals_to(enrollment)
    kit.temporal.told.clear()
    return ("reconsider", None) in signals


async def test_step_goes_by_its_date_and_moves_with_it(kit: SendingKit) -> None:
    await kit.services.fields.create(KEY, "Interview", FieldType.DATE)
    sequence = await kit.sequence(ongoing("Hello", 0), day_before(), ongoing("How was it?"))
    [contact] = await kit.world.contacts(1, owner_id=kit.world.user_id, time_zone=ZONE)
    enrollment = await kit.enroll(sequence, contact)
    await kit.send(enrollment)
    held = await looked_at(kit, enrollment)
    assert (held.doing, held.held_reason) == ("held", "missing_data"), "its date is missing"
    details = await kit.services.enrollment_detail.get(enrollment)
    assert details.missing_fields == (KEY,)
    await told(kit, enrollment)

    for days in (20, 9, 30):
        await fill_in(kit, enrollment, fields={KEY: in_days(days)})
        assert await told(kit, enrollment), "it moves in seconds, not when it was due"
        state = await looked_at(kit, enrollment)
        row = await kit.row(enrollment)
        assert state.due_at == row.next_send_at == row.due_at == at_ten(in_days(days))
    details = await kit.services.enrollment_detail.get(enrollment)
    reason = details.steps[0].reasons[0]
    assert reason.code == "anchor"
    assert reason.text == f"1 day before {KEY} ({in_days(30)}), at 10:00"
    assert details.steps[1].at == at_ten(in_days(30)) + DAY

    await fill_in(kit, enrollment, variables={KEY: in_days(5)})
    assert await told(kit, enrollment)
    state = await looked_at(kit, enrollment)
    assert state.due_at == at_ten(in_days(5)), "a variable goes before the field of its key"
    assert state.due_at is not None
    await fill_in(kit, enrollment, variables={KEY: None}, fields={KEY: None})
    assert await told(kit, enrollment)
    assert (await looked_at(kit, enrollment)).held_reason == "missing_data"
    await fill_in(kit, enrollment, fields={KEY: in_days(0)})
    await told(kit, enrollment)
    assert (await looked_at(kit, enrollment)).doing == "waiting", "too near to the text before"
    await kit.pass_time(timedelta(hours=1, seconds=5))
    assert (await kit.send(enrollment)).step == 2, "a date that is past: as soon as it may"


async def test_first_step_by_a_date_and_one_that_is_past_follows_its_policy(
    kit: SendingKit,
) -> None:
    await kit.services.fields.create(KEY, "Interview", FieldType.DATE)
    sequence = await kit.sequence(day_before(late="skip"), ongoing("Bye"))
    enrollment = await kit.enroll(sequence)
    assert await kit.services.enrolling.first_text_at(sequence.id) is None
    await looked_at(kit, enrollment)
    await fill_in(kit, enrollment, variables={KEY: "soon"})
    assert (await looked_at(kit, enrollment)).held_reason == "missing_data", "it is no date"
    await fill_in(kit, enrollment, variables={KEY: in_days(-3)})
    assert (await looked_at(kit, enrollment)).doing == "waiting"
    row = await kit.row(enrollment)
    assert (row.skipped, row.position, row.step) == ([1], 2, 0)


async def test_change_of_many_tells_each_that_waits_for_a_date(kit: SendingKit) -> None:
    await kit.services.fields.create(KEY, "Interview", FieldType.DATE)
    anchored = await kit.enroll_many(3, await kit.sequence(day_before()))
    other = await kit.enroll()
    phones = [await kit.phone(one) for one in (*anchored, other)]
    for days in (9, 12):
        kit.temporal.told.clear()
        rows: list[ContactFields] = [
            {"phone": phone, "fields": {KEY: in_days(days)}} for phone in phones
        ]
        await kit.services.contacts.upsert(dict(enumerate(rows)))
        await kit.services.outbox.drain()
        told_of = {one for one in (*anchored, other) if kit.temporal.signals_to(one)}
        assert told_of == set(anchored)
        for one in anchored:
            assert (await looked_at(kit, one)).due_at == at_ten(in_days(days))
