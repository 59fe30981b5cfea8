"""Failed texts: which count as sent, and how retries are shown."""

import importlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from domain.enrollments.faults import Fault
from domain.platform.moments import written
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from services.enrollments.enrollment_detail import EnrollmentDetails, TimelineEntry
from services.enrollments.enrollment_list import ListedEnrollment
from storage.enrollments.list_filter import ListFilter
from tests.kits.sending import SendingKit

MIGRATIONS = Path(__file__).resolve().parents[3] / "migrations" / "versions"


async def listed(kit: SendingKit, enrollment: UUID) -> ListedEnrollment:
    tab = await kit.services.enrollment_list.page(
        (await kit.row(enrollment)).sequence_id, ListFilter(enrollment=[enrollment])
    )
    [line] = tab.page.items
    return line


async def detail(kit: SendingKit, enrollment: UUID) -> EnrollmentDetails:
    return await kit.services.enrollment_detail.get(enrollment)


async def failures(kit: SendingKit, enrollment: UUID) -> list[TimelineEntry]:
    return [one for one in (await detail(kit, enrollment)).timeline if one.kind == "failed"]


async def count_sent(kit: SendingKit, enrollment: UUID) -> int:
    """Read the steps sent from every place that shows them; all must agree."""
    sequence_id = (await kit.row(enrollment)).sequence_id
    line = await listed(kit, enrollment)
    assert (await detail(kit, enrollment)).step == line.step
    for steps in range(4):
        wanted = ListFilter(enrollment=[enrollment], step=[steps])
        found = await kit.services.enrollment_list.count(sequence_id, wanted)
        assert found.number == (steps == line.step)
    by_step = ListFilter(
        enrollment=[enrollment], outcome=StepOutcome.SENT, outcome_step=line.step or 1
    )
    assert (await kit.services.enrollment_list.count(sequence_id, by_step)).number == bool(
        line.step
    )
    return line.step


@pytest.mark.parametrize("word", ["failed", "undelivered"])
@pytest.mark.parametrize(
    ("code", "sent"),
    [
        (30003, 0),  # passing
        (30005, 0),  # for good
        (30006, 0),  # a landline
        (21610, 0),  # opted out before
        (30034, 0),  # the sender's fault
        (None, 0),
        (30008, 1),  # may have arrived
        (30410, 1),
    ],
)
async def test_a_failed_text_counts_as_sent_only_if_it_may_have_arrived(
    kit: SendingKit, word: str, code: int | None, sent: int
) -> None:
    """Words "sent": in the list, its filter, the detail and the funnel, whatever the word."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    assert await count_sent(kit, enrollment) == 1
    await kit.report((await kit.attempts(enrollment))[0], word, code)
    assert await count_sent(kit, enrollment) == sent


@pytest.mark.parametrize("code", [21211, 21614, 21610, 30001, 20003])
async def test_a_refused_text_does_not_count_as_sent(kit: SendingKit, code: int) -> None:
    """Words "sent": the workflow is told the same."""
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, code)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.step == await count_sent(kit, enrollment) == 0


async def test_a_later_step_that_failed_leaves_those_before(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.pass_time(timedelta(days=1))
    await kit.send(enrollment)
    second = (await kit.attempts(enrollment))[1]
    await kit.report(second, "undelivered", 30005)
    assert (await listed(kit, enrollment)).status is EnrollmentStatus.FAILED
    assert await count_sent(kit, enrollment) == 1
    await kit.report(second, "delivered")
    assert await count_sent(kit, enrollment) == 2


@pytest.mark.parametrize(
    ("word", "code", "status", "sent"),
    [
        ("undelivered", 30003, EnrollmentStatus.FINISHED_RESPONDED, 1),
        ("undelivered", 30005, EnrollmentStatus.FAILED, 1),
        ("failed", 30003, EnrollmentStatus.ACTIVE, 0),
        ("failed", 30005, EnrollmentStatus.FAILED, 0),
    ],
)
async def test_undelivered_text_counts_as_sent_if_the_contact_texts_afterwards(
    kit: SendingKit, word: str, code: int, status: EnrollmentStatus, sent: int
) -> None:
    """Words "sent": a carrier errs, but what failed at the provider went nowhere."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.report((await kit.attempts(enrollment))[0], word, code)
    await kit.text_back(enrollment, "Who is this?")
    assert (await listed(kit, enrollment)).status is status
    assert await count_sent(kit, enrollment) == sent


@pytest.mark.parametrize("late", [False, True])
async def test_a_text_that_is_tried_again_says_why_and_when(
    kit: SendingKit,
    late: bool,  # noqa: FBT001
) -> None:
    """The list, the panel and the timeline show the reason until the text is sent."""
    enrollment = await kit.enroll()
    if late:
        await kit.send(enrollment)
        await kit.report((await kit.attempts(enrollment))[0], "undelivered", 30003)
    else:
        await kit.refuses(enrollment, 30003)
        await kit.run_step(enrollment)
    line, shown = await listed(kit, enrollment), await detail(kit, enrollment)
    assert line.error == shown.error == Fault.of(30003)
    assert line.next_send_at == shown.next_send_at is not None
    [failure] = await failures(kit, enrollment)
    assert failure.error == Fault.of(30003)
    assert failure.detail["again_at"] == written(shown.next_send_at)
    [retry] = [one for one in shown.steps[0].reasons if one.code == "retry"]
    assert "not delivered" in retry.text
    assert retry.detail["error_code"] == 30003
    assert not any(one.code in {"window", "later"} for one in shown.steps[0].reasons)
    await kit.pass_time(timedelta(hours=4))
    await kit.send(enrollment)
    line, shown = await listed(kit, enrollment), await detail(kit, enrollment)
    assert (line.error, shown.error) == (None, None)
    [failure] = await failures(kit, enrollment)
    assert failure.detail == {"again_at": None}


async def test_migration_counts_steps_sent_again(kit: SendingKit) -> None:
    """The migration counts as the product does."""
    people = {}
    for code, word in ((30003, "failed"), (30005, "undelivered"), (30008, "undelivered"), (0, "")):
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        if word:
            await kit.report((await kit.attempts(enrollment))[0], word, code)
        people[enrollment] = await count_sent(kit, enrollment)
    answered = next(one for one, step in people.items() if step == 0)
    await kit.text_back(answered, "Who is this?")
    people[answered] = await count_sent(kit, answered)
    assert sorted(people.values()) == [0, 0, 1, 1]
    await kit.world.run("UPDATE enrollments SET step = 1")
    [path] = MIGRATIONS.glob("*_steps_sent_counted_anew.py")
    migration = importlib.import_module(f"migrations.versions.{path.stem}")
    await kit.world.run(migration.COUNT_ANEW)
    for enrollment, step in people.items():
        assert await count_sent(kit, enrollment) == step


async def test_permanent_failure_shows_no_retry(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, 21211)
    await kit.run_step(enrollment)
    assert (await listed(kit, enrollment)).error == Fault.of(21211)
    [failure] = await failures(kit, enrollment)
    assert failure.detail == {}


async def test_failure_without_a_code_is_shown_too(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, None, 429)
    await kit.run_step(enrollment)
    line = await listed(kit, enrollment)
    assert line.error is not None
    assert line.next_send_at is not None
    assert line.next_send_at > datetime.now(UTC)
