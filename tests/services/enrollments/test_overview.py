"""How a sequence stands: every number is the length of the list behind it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.platform.errors import NotFoundError
from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from domain.statuses.jobs import JobKind
from services.enrollments.overview import Overview
from services.sequences.sequences import SequenceChange
from storage.enrollments.list_filter import ListFilter
from tests.kits.sending import SendingKit
from tests.worlds import ZONE, ongoing

NONE = dict.fromkeys(StepOutcome, 0)


def counts(overview: Overview, step: int) -> dict[str, int]:
    """Keep the counts of a step that are not zero."""
    [found] = [one for one in overview.funnel if one.step == step]
    return {outcome.value: count for outcome, count in found.counts.items() if count}


async def linked(kit: SendingKit, sequence_id: UUID, outcome: StepOutcome, step: int) -> list[UUID]:
    """List the enrollments that a number links to."""
    wanted = ListFilter(outcome=outcome, outcome_step=step)
    tab = await kit.services.enrollment_list.page(sequence_id, wanted, limit=1000)
    return [line.enrollment_id for line in tab.page.items]


async def check_links(kit: SendingKit, sequence_id: UUID) -> Overview:
    """Compare every number of the funnel with the list behind it."""
    overview = await kit.services.overview.get(sequence_id)
    for step in overview.funnel:
        for outcome, count in step.counts.items():
            ids = await linked(kit, sequence_id, outcome, step.step)
            assert len(ids) == len(set(ids)) == count, (step.step, outcome)
    return overview


async def test_funnel_follows_a_sequence_to_its_end(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    waiting, replying, leaving, failing, between = [await kit.enroll(sequence) for _ in range(5)]
    await kit.send(replying)
    await kit.text_back(replying)
    await kit.send(leaving)
    await kit.text_back(leaving, "STOP")
    await kit.refuses(failing, 30003)
    await kit.run_step(failing)
    await kit.refuses(failing, 21211)
    await kit.pass_time(timedelta(days=1))
    await kit.run_step(failing)
    state = await kit.send(between)
    assert state.doing == "waiting"
    overview = await check_links(kit, sequence.id)
    assert counts(overview, 1) == {
        "due": 1,
        "sent": 3,
        "delivered": 2,  # the contacts who have texted us since
        "failed": 1,
        "replied": 1,
        "opted_out": 1,
    }
    assert counts(overview, 2) == {"due": 1}
    assert counts(overview, 3) == {}
    assert await linked(kit, sequence.id, StepOutcome.DUE, 1) == [waiting]
    assert await linked(kit, sequence.id, StepOutcome.REPLIED, 1) == [replying]
    assert await linked(kit, sequence.id, StepOutcome.OPTED_OUT, 1) == [leaving]
    assert await linked(kit, sequence.id, StepOutcome.FAILED, 1) == [failing]
    assert await linked(kit, sequence.id, StepOutcome.DUE, 2) == [between]
    assert set(await linked(kit, sequence.id, StepOutcome.SENT, 1)) == {
        replying,
        leaving,
        between,
    }


async def test_late_reply_is_a_figure_of_its_own_and_a_filter(kit: SendingKit) -> None:
    sequence = await kit.sequence("Only one", reply_window_seconds=0)
    late, silent, prompt = [await kit.enroll(sequence) for _ in range(3)]
    for one in (late, silent, prompt):
        await kit.send(one)
    await kit.text_back(prompt)
    for one in (late, silent):
        await kit.run_close(one)
    await kit.text_back(late)
    overview = await kit.services.overview.get(sequence.id)
    assert (overview.reply_rate, overview.replied_late) == (1 / 3, 1)
    tab = await kit.services.enrollment_list.page(
        sequence.id, ListFilter(replied_late=True), count=True
    )
    assert [one.enrollment_id for one in tab.page.items] == [late]
    assert tab.matching is not None
    assert tab.matching.number == 1
    assert tab.counts[EnrollmentStatus.FINISHED_NO_RESPONSE] == 2
    [line] = tab.page.items
    assert line.replied_late_at is not None
    detail = await kit.services.enrollment_detail.get(late)
    assert detail.replied_late_at == line.replied_late_at
    assert "replied_late" in [entry.kind for entry in detail.timeline]


async def test_reply_counts_at_the_last_step_sent_before_it(kit: SendingKit) -> None:
    sequence = await kit.sequence(on_reply="continue")
    enrollment_id = await kit.enroll(sequence)
    state = await kit.send(enrollment_id)
    await kit.text_back(enrollment_id)
    assert state.due_at is not None
    await kit.pass_time(state.due_at - datetime.now(UTC))
    await kit.send(enrollment_id)
    overview = await check_links(kit, sequence.id)
    assert counts(overview, 1)["replied"] == 1
    assert "replied" not in counts(overview, 2)


async def test_text_reported_failed_later_was_not_sent(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    enrollment_id = await kit.enroll(sequence)
    await kit.send(enrollment_id)
    [attempt] = await kit.attempts(enrollment_id)
    await kit.report(attempt, "failed", 30006)
    overview = await check_links(kit, sequence.id)
    assert (await kit.row(enrollment_id)).status == EnrollmentStatus.OMITTED_LANDLINE
    assert counts(overview, 1) == {"failed": 1}


async def test_outcome_filter_combines_with_the_others(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    first, second = await kit.enroll(sequence), await kit.enroll(sequence)
    await kit.send(first)
    sent = ListFilter(outcome=StepOutcome.SENT, outcome_step=1, step=[0])
    tab = await kit.services.enrollment_list.page(sequence.id, sent)
    assert tab.page.items == []
    due = ListFilter(outcome=StepOutcome.DUE, outcome_step=1)
    job = await kit.services.jobs.start_bulk_action(
        sequence.id, JobKind.MARK_FINISHED, due, kit.world.user_id
    )
    [row] = await kit.world.rows("SELECT subject_id FROM job_rows WHERE job_id = :id", id=job.id)
    assert row.subject_id == second
    pieces = await kit.services.exporting.enrollments(sequence.id, due, kit.world.user_id)
    exported = b"".join([piece async for piece in pieces]).decode()
    assert str(second) in exported
    assert str(first) not in exported


async def test_statuses_are_all_eight_with_their_share(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    overview = await kit.services.overview.get(sequence.id)
    assert [one.share for one in overview.statuses] == [0.0] * 8
    for _ in range(3):
        await kit.enroll(sequence)
    gone = await kit.enroll(sequence)
    await kit.services.finishing.mark_finished([gone], kit.world.user_id)
    overview = await kit.services.overview.get(sequence.id)
    shown = {one.status: (one.label, one.count, one.share) for one in overview.statuses}
    assert len(shown) == 8
    assert shown[EnrollmentStatus.ACTIVE] == ("Active", 3, 0.75)
    assert shown[EnrollmentStatus.FINISHED_STOPPED] == ("Finished, stopped", 1, 0.25)
    assert overview.total == 4


async def test_next_day_is_counted_by_the_hour(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    now = datetime.now(UTC)
    this_hour = datetime.now(ZoneInfo(ZONE)).replace(minute=0, second=0, microsecond=0)
    for moment in (
        now - timedelta(days=1),
        now,
        this_hour + timedelta(hours=1),
        now + timedelta(hours=23, minutes=59),
        now + timedelta(hours=24, minutes=1),
        None,
    ):
        await kit.world.run(
            "UPDATE enrollments SET next_send_at = :at WHERE id = :id",
            at=moment,
            id=await kit.enroll(sequence),
        )
    overview = await kit.services.overview.get(sequence.id)
    assert overview.time_zone == ZONE
    assert len(overview.hours) == 25
    assert overview.hours[0].start == this_hour
    per_hour = [one.count for one in overview.hours]
    assert per_hour[:2] == [2, 1]
    assert sum(per_hour) == 4
    assert sum(per_hour[23:]) == 1


async def test_steps_of_older_versions_stay_in_the_funnel(kit: SendingKit) -> None:
    sequence = await kit.sequence("One", "Two", "Three")
    await kit.world.sequences.change(
        sequence.id, SequenceChange(steps=[ongoing("New one")]), kit.world.user_id
    )
    overview = await kit.services.overview.get(sequence.id)
    assert [(one.step, one.body) for one in overview.funnel] == [
        (1, "New one"),
        (2, None),
        (3, None),
    ]
    assert overview.funnel[1].counts == NONE


async def test_an_unknown_sequence_has_no_overview(kit: SendingKit) -> None:
    with pytest.raises(NotFoundError):
        await kit.services.overview.get(uuid4())


async def test_standing_tells_who_is_held_and_for_what(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    state = "UPDATE enrollments SET activity = 'held', held_reason = :reason WHERE id = :id"
    for reason in ("outcome_unknown", "missing_data", "missing_data"):
        await kit.world.run(state, reason=reason, id=await kit.enroll(sequence))
    await kit.enroll(sequence)
    current = await kit.services.overview.current(sequence.id)
    assert (current.total, current.held, current.missing) == (4, 3, 2)
