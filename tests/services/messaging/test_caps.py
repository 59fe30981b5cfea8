"""The most texts that one person gets in 24 hours: what counts, what waits, and for how long.

The rules: docs/design.md, "Sending".
"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.platform.errors import InvalidFieldError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import WaitReason
from tests.kits.sending import TICK, SendingKit
from tests.worlds import ongoing

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


async def cap(kit: SendingKit, most: int | None) -> None:
    await kit.services.workspace.change({"texts_per_day": most}, kit.world.user_id)


async def enrolled(kit: SendingKit, count: int) -> list[UUID]:
    """Enroll one person in so many sequences, whose first texts are due at once."""
    [contact_id] = await kit.world.contacts(1, owner_id=kit.world.user_id)
    return [
        await kit.enroll(await kit.sequence(ongoing("Hi", 0)), contact_id) for _ in range(count)
    ]


async def waits(kit: SendingKit, enrollment: UUID) -> timedelta:
    """Run a step that must wait for the cap; return from now until when."""
    before = len(kit.gateway.calls)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, len(kit.gateway.calls)) == ("waiting", before)
    row = await kit.row(enrollment)
    assert (row.waits_for, row.next_send_at) == (WaitReason.CAP, state.due_at)
    assert state.due_at is not None
    return state.due_at - datetime.now(UTC)


async def test_above_the_cap_a_text_waits_until_the_oldest_is_a_day_old(kit: SendingKit) -> None:
    await cap(kit, 2)
    first, second, third = await enrolled(kit, 3)
    await kit.send(first)
    await kit.pass_time(3 * MINUTE)
    await kit.send(second)
    assert abs(await waits(kit, third) - (DAY - 3 * MINUTE)) < 2 * TICK
    page = await kit.services.enrollment_detail.get(third)
    [reason] = [one for one in page.steps[0].reasons if one.code == WaitReason.CAP]
    assert (reason.detail["most"], reason.detail["by"]) == (2, "workspace")
    assert "at most 2 texts to one person in 24 hours" in reason.text
    await kit.pass_time(DAY - 4 * MINUTE)
    await waits(kit, third)
    await kit.pass_time(MINUTE + 2 * TICK)
    await kit.send(third)
    notes = await kit.world.rows("SELECT detail FROM enrollment_events WHERE kind = 'waits'")
    assert {row.detail["because"] for row in notes} == {WaitReason.CAP}


async def test_what_did_not_go_does_not_count_and_a_one_off_counts_but_goes(
    kit: SendingKit,
) -> None:
    await cap(kit, 1)
    refused, other, last = await enrolled(kit, 3)
    await kit.refuses(refused, 21611)
    await kit.run_step(refused)
    await kit.send(other)
    [sent] = await kit.world.rows("SELECT * FROM attempts WHERE outcome = 'accepted'")
    await waits(kit, last)
    await kit.report(sent, "undelivered", 30003)
    await kit.run_message(await kit.one_off(last))
    await kit.run_message(await kit.one_off(last))
    assert len(kit.gateway.calls) == 4, "a person may text above it"
    await waits(kit, last)
    [texted] = await kit.services.bulk_actions.send_message([last], "Hi", kit.world.user_id)
    assert (texted.result, texted.over_cap) == ("accepted", True)
    await cap(kit, 4)
    [texted] = await kit.services.bulk_actions.send_message([last], "Hi", kit.world.user_id)
    assert not texted.over_cap


async def test_fifty_texts_at_once_to_one_number_never_exceed_the_cap(kit: SendingKit) -> None:
    await cap(kit, 3)
    people = await enrolled(kit, 50)
    await asyncio.gather(*map(kit.send_step, people))
    assert len(kit.gateway.calls) == 3
    rows = await kit.world.rows("SELECT waits_for FROM enrollments WHERE step = 0")
    assert [row.waits_for for row in rows] == [WaitReason.CAP] * 47


async def test_the_step_that_was_due_earlier_goes_first(kit: SendingKit) -> None:
    await cap(kit, 1)
    sent, earlier, later = await enrolled(kit, 3)
    await kit.send(sent)
    for one in (later, earlier):
        await waits(kit, one)
    await kit.pass_time(DAY + 2 * TICK)
    assert await waits(kit, later) > DAY - 4 * TICK
    await kit.send(earlier)
    await kit.pass_time(DAY + 2 * TICK)
    await kit.send(later)


async def test_a_changed_cap_has_those_who_wait_look_again(kit: SendingKit) -> None:
    with pytest.raises(InvalidFieldError, match="must be 1 to 100"):
        await cap(kit, 0)
    await cap(kit, 1)
    first, second = await enrolled(kit, 2)
    await kit.send(first)
    await waits(kit, second)
    await kit.services.outbox.drain()
    kit.temporal.told.clear()
    await cap(kit, None)
    await kit.services.outbox.drain()
    assert kit.temporal.signals_to(second) == [("reconsider", None)]
    await kit.send(second)
