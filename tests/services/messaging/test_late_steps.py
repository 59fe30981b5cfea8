"""Steps that cannot go at their time: sent, expired or skipped, and what comes next.

The rules: docs/design.md, "Sending".
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.sequences.steps import StepDraft
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from storage.enrollments.list_filter import ListFilter
from tests.kits.sending import TICK, SendingKit
from tests.worlds import ongoing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SKIPS = StepDraft("Step", delay_seconds=86_400, late="skip")
EXPIRES = StepDraft("Step", delay_seconds=86_400, late="expire", late_hours=5)


async def looked_at(kit: SendingKit, enrollment: UUID) -> EnrollmentState:
    """Run a step that is not sent."""
    before = len(kit.gateway.calls)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert len(kit.gateway.calls) == before
    return state


async def test_late_step_is_skipped_and_the_next_keeps_its_day(kit: SendingKit) -> None:
    sequence = await kit.sequence(ongoing("One", 0), SKIPS, ongoing("Three"))
    enrollment = await kit.enroll(sequence)
    began = await kit.send(enrollment)
    assert began.due_at is not None
    missed = began.due_at
    await kit.pass_time(DAY + HOUR + TICK)  # an outage
    state = await looked_at(kit, enrollment)
    row = await kit.row(enrollment)
    assert (state.doing, state.step) == ("waiting", 1), "the step last sent"
    assert (row.step, row.position, row.skipped) == (1, 3, [2])
    passed = DAY + HOUR + TICK
    assert abs(row.due_at - (missed - passed + DAY)) < TICK, "counted from when it would have gone"
    assert state.due_at == row.next_send_at

    details = await kit.services.enrollment_detail.get(enrollment)
    [told] = [one for one in details.timeline if one.kind == "skipped"]
    assert told.detail["step"] == 2
    wanted = ListFilter(outcome=StepOutcome.SKIPPED, outcome_step=2)
    tab = await kit.services.enrollment_list.page(sequence.id, wanted)
    assert [one.enrollment_id for one in tab.page.items] == [enrollment]
    overview = await kit.services.overview.get(sequence.id)
    assert [one.counts[StepOutcome.SKIPPED] for one in overview.funnel] == [0, 1, 0]

    await kit.pass_time(DAY)
    await kit.send(enrollment)
    texts = await kit.world.rows("SELECT step FROM messages ORDER BY step")
    assert [row.step for row in texts] == [1, 3]


@pytest.mark.parametrize(
    ("step", "late", "reaches"),
    [
        (SKIPS, HOUR - TICK, 2),
        (EXPIRES, 5 * HOUR - TICK, 2),
        (EXPIRES, 5 * HOUR + TICK, 1),
        (ongoing("Step"), 300 * DAY, 2),
    ],
)
async def test_how_late_a_step_may_be(
    kit: SendingKit, step: StepDraft, late: timedelta, reaches: int
) -> None:
    enrollment = await kit.enroll(await kit.sequence(ongoing("One", 0), step, ongoing("Three")))
    await kit.send(enrollment)
    await kit.pass_time(DAY + late)
    assert (await kit.send_step(enrollment)).step == reaches
    assert (await kit.row(enrollment)).position == 3


async def test_after_the_last_step_was_skipped_the_reply_window_runs_from_then(
    kit: SendingKit,
) -> None:
    enrollment = await kit.enroll(await kit.sequence(ongoing("One", 0), SKIPS))
    await kit.send(enrollment)
    await kit.pass_time(9 * DAY)
    state = await looked_at(kit, enrollment)
    assert state.doing == "awaiting_reply"
    assert state.due_at is not None
    assert abs(state.due_at - datetime.now(UTC) - 7 * DAY) < TICK
    await kit.pass_time(7 * DAY + TICK)
    assert (await kit.run_close(enrollment)).status == EnrollmentStatus.FINISHED_NO_RESPONSE


async def test_who_never_got_a_text_ends_with_the_last_step_skipped(kit: SendingKit) -> None:
    first = StepDraft("Step", delay_seconds=0, late="skip")
    enrollment = await kit.enroll(await kit.sequence(first))
    await kit.pass_time(2 * HOUR)
    assert (await looked_at(kit, enrollment)).status == EnrollmentStatus.FINISHED_NO_RESPONSE
    row = await kit.row(enrollment)
    assert (row.status, row.step, row.skipped) == ("finished_no_response", 0, [1])


async def test_remembered_reply_ends_it_when_the_last_step_is_skipped(kit: SendingKit) -> None:
    sequence = await kit.sequence(ongoing("One", 0), SKIPS, on_reply="continue")
    enrollment = await kit.enroll(sequence)
    await kit.send(enrollment)
    await kit.text_back(enrollment)
    await kit.pass_time(3 * DAY)
    assert (await looked_at(kit, enrollment)).status == EnrollmentStatus.FINISHED_RESPONDED


async def test_step_that_a_cap_defers_past_its_time_is_skipped_at_once(kit: SendingKit) -> None:
    await kit.services.workspace.change({"texts_per_day": 1}, kit.world.user_id)
    other = await kit.enroll()
    row = await kit.row(other)
    now = StepDraft("Now", delay_seconds=0, late="expire", late_hours=23)
    enrollment = await kit.enroll(await kit.sequence(now, ongoing("Later", 0)), row.contact_id)
    await kit.send(other)
    await looked_at(kit, enrollment)
    row = await kit.row(enrollment)
    assert (row.position, row.waits_for) == (2, "")
    assert (await looked_at(kit, enrollment)).doing == "waiting"
    assert (await kit.row(enrollment)).waits_for == "cap", "this one goes whenever it may"
