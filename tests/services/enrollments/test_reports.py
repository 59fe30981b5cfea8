"""Reports: every number is the length of the list behind it."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.enrollments.day_range import DayRange
from domain.platform.errors import InvalidFieldError, NotFoundError
from domain.statuses.enrollments import EnrollmentStatus, StepOutcome
from services.enrollments.reports import Reports, SequenceReport, StepTally, Tally
from services.jobs.report_export import REPORT_COLUMNS, report_file
from services.platform.group_commit import FullError
from services.sequences.sequences import SequenceChange
from storage.enrollments import report as rows
from storage.enrollments.list_filter import ListFilter
from storage.platform.database import Transaction
from tests.kits.any_life import live
from tests.kits.sending import SendingKit
from tests.worlds import ZONE, ongoing

Number = tuple[str, int, ListFilter]


def within(days: DayRange, **filters: object) -> ListFilter:
    return ListFilter(enrolled_from=days.start, enrolled_until=days.until, **filters)  # type: ignore[arg-type]


def of_tally(what: str, tally: Tally, days: DayRange, **filters: object) -> Iterator[Number]:
    """List the numbers of a tally with the filters that they lead to."""
    yield f"{what}: people", tally.people, within(days, **filters)
    for outcome in StepOutcome:
        wanted = within(days, outcome=outcome, **filters)
        yield f"{what}: {outcome}", getattr(tally, outcome.value), wanted
    yield f"{what}: late", tally.replied_late, within(days, replied_late=True, **filters)
    omitted = within(days, status=[EnrollmentStatus.OMITTED_OPTED_OUT], **filters)
    yield f"{what}: omitted", tally.omitted_opted_out, omitted
    if tally.answered is not None:
        yield f"{what}: answered", tally.answered, within(days, answered=True, **filters)


def of_step(step: StepTally, days: DayRange) -> Iterator[Number]:
    """List the numbers of a step."""
    answered = within(days, outcome=StepOutcome.REPLIED, outcome_step=step.step, answered=True)
    yield f"step {step.step}: answered", step.answered or 0, answered
    for outcome in StepOutcome:
        wanted = within(days, outcome=outcome, outcome_step=step.step)
        yield f"step {step.step}: {outcome}", getattr(step, outcome.value), wanted
    for failure in step.failures:
        given = {"outcome_step": step.step, "outcome_code": failure.code}
        wanted = within(days, outcome=StepOutcome.FAILED, **given)
        yield f"step {step.step}: {failure.code}", failure.count, wanted


def numbers(report: SequenceReport) -> Iterator[Number]:
    """List all numbers of a report."""
    days = report.days
    yield from of_tally("total", report.total, days)
    for part in report.trend:
        of_part = DayRange(days.zone, part.first_day, part.last_day)
        yield from of_tally(str(part.first_day), part, of_part)
    for sender in report.senders:
        yield from of_tally("sender", sender, days, sender=[sender.id])
    for user in report.users:
        yield from of_tally("user", user, days, enrolled_by=[user.id])
    for one in report.answers:
        yield "answered by", one.answered, within(days, answered_by=[one.id])
    for step in report.steps:
        yield from of_step(step, days)
    for day, hours in enumerate(report.reply_hours):
        for hour, replied in enumerate(hours):
            if replied:
                at = 24 * day + hour
                wanted = within(days, replied_hour=at, replied_zone=report.time_zone)
                yield f"replied {day} {hour}", replied, wanted


async def listed(kit: SendingKit, sequence_id: UUID, what: str, wanted: ListFilter) -> int:
    """Tell how long a list is: of steps, by reading it; it is the same as it says, but dearer."""
    if not what.startswith("step"):
        return (await kit.services.enrollment_list.count(sequence_id, wanted)).number
    tab = await kit.services.enrollment_list.page(sequence_id, wanted, limit=1000)
    return len({line.enrollment_id for line in tab.page.items})


async def test_each_number_equals_the_length_of_its_list(kit: SendingKit) -> None:
    """Holds for any rows, even combinations that never occur."""
    rng = random.Random(1)
    sequence = await kit.sequence(on_reply="continue")
    steps = [ongoing(f"Text {number}") for number in range(rng.randint(1, 5))]
    changes = SequenceChange(steps=steps)
    await kit.world.sequences.change(sequence.id, changes, kit.world.user_id)
    other = await kit.sequence()
    users = [kit.world.user_id, await kit.world.user("Kim")]
    senders = [kit.world.sender_id, await kit.world.sender(uuid4(), "+14155550101")]
    everyone = [*await kit.enroll_many(100, sequence), *await kit.enroll_many(20, other)]
    await live(kit, rng, everyone, users=users, senders=senders)

    today = datetime.now(ZoneInfo(ZONE)).date()
    some = (today - timedelta(days=7), today - timedelta(days=2))
    whole = await kit.services.reports.of_sequence(sequence.id)
    partial = await kit.services.reports.of_sequence(sequence.id, *some)
    for report, compared in ((whole, ""), (partial, "total")):
        for what, number, wanted in numbers(report):
            if what.startswith(compared):
                assert await listed(kit, sequence.id, what, wanted) == number, what
        assert sum(part.people for part in report.trend) == report.total.people
        assert sum(map(sum, report.reply_hours)) == report.total.replied
        assert sum(one.answered for one in report.answers) == report.total.answered
        for step in report.steps:
            assert sum(one.count for one in step.failures) == step.failed

    for one in (*StepOutcome, "replied_late", "omitted_opted_out", "answered"):
        assert getattr(whole.total, one), one
    assert {len(whole.users), len(whole.senders), len(whole.answers)} == {2}
    overview = await kit.services.overview.get(sequence.id)
    assert [(one.step, one.counts) for one in overview.funnel] == [
        (one.step, {outcome: getattr(one, outcome.value) for outcome in StepOutcome})
        for one in whole.steps
        if one.step
    ]
    everything = await kit.services.reports.of_all(*some)
    parts = {one.id: one for one in everything.sequences}
    assert set(parts) == {sequence.id, other.id}
    mine = parts[sequence.id]
    assert {name: getattr(mine, name) for name in vars(partial.total)} == vars(partial.total)
    assert everything.total.people == sum(one.people for one in everything.sequences)


async def test_time_to_reply_runs_from_the_last_step_sent(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    quick, slow, silent = await kit.enroll_many(3, sequence)
    for one in (quick, slow, silent):
        await kit.send(one)
    for one, minutes in ((quick, 10), (slow, 30)):
        await kit.text_back(one)
        await kit.world.run(
            "UPDATE enrollments SET replied_at = a.started_at + make_interval(mins => :minutes)"
            " FROM attempts a JOIN messages m ON m.id = a.message_id"
            " WHERE m.enrollment_id = enrollments.id AND enrollments.id = :id",
            id=one,
            minutes=minutes,
        )
    report = await kit.services.reports.of_sequence(sequence.id)
    assert report.total.median_reply_seconds == pytest.approx(20 * 60)
    assert report.total.p90_reply_seconds == pytest.approx(28 * 60)
    first, second, _ = report.steps
    assert first.median_reply_seconds == report.total.median_reply_seconds
    assert second.median_reply_seconds is None
    assert report.total.reply_rate == pytest.approx(2 / 3)
    [line] = (await kit.services.reports.of_all()).sequences
    assert line.median_reply_seconds == report.total.median_reply_seconds


async def test_time_to_answer_runs_from_the_first_reply_to_what_a_person_wrote(
    kit: SendingKit,
) -> None:
    sequence = await kit.sequence()
    quick, slow, silent = await kit.enroll_many(3, sequence)
    kim = await kit.world.user("Kim")
    for one, user_id, minutes in ((quick, kit.world.user_id, 4), (slow, kim, 20)):
        await kit.send(one)
        await kit.text_back(one)
        for at, written, by, body, status in (
            (-5, None, kim, "Sent before the reply", "sent"),
            (1, None, None, "Written by no one", "sent"),
            (2, None, kim, "[Test] Only a test", "sent"),
            (3, None, kim, "Taken back", "canceled"),
            (3, -9, kim, "Scheduled before the reply", "sent"),
            (minutes, 1, user_id, "Hello, scheduled", "delivered"),
            (minutes + 1, None, kim, "Later", "sent"),
        ):
            await kit.world.run(
                "INSERT INTO messages (id, direction, contact_id, phone, user_id, body, status,"
                " created_at, written_at) SELECT gen_random_uuid(), 'outbound', c.id, c.phone,"
                " CAST(:by AS uuid), :body, :status, e.replied_at + make_interval(mins => :at),"
                " e.replied_at + make_interval(mins => CAST(:written AS integer))"
                " FROM enrollments e JOIN contacts c ON c.id = e.contact_id WHERE e.id = :id",
                id=one,
                by=by,
                body=body,
                status=status,
                at=at,
                written=written,
            )
    await kit.send(silent)
    await kit.text_back(silent)
    report = await kit.services.reports.of_sequence(sequence.id)
    assert (report.total.replied, report.total.answered) == (3, 2)
    assert report.total.median_answer_seconds == pytest.approx(12 * 60)
    assert [(one.name, one.answered) for one in report.answers] == [("Kim", 1), ("Mia", 1)]
    took = [one.median_answer_seconds for one in report.answers]
    assert took == pytest.approx([20 * 60, 4 * 60])
    [line] = (await kit.services.reports.of_all()).sequences
    assert line.median_answer_seconds == report.total.median_answer_seconds


async def test_failures_are_told_in_words_most_frequent_first(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    for code in (21211, 30003, 21211):
        failing = await kit.enroll(sequence)
        await kit.send(failing)
        await kit.world.run(
            "UPDATE enrollments SET status = 'failed', activity = NULL, ended_at = now()"
            " WHERE id = :id",
            id=failing,
        )
        await kit.world.run(
            "UPDATE messages SET status = 'failed', error_code = :code WHERE enrollment_id = :id",
            id=failing,
            code=code,
        )
    first, *_ = (await kit.services.reports.of_sequence(sequence.id)).steps
    assert [(one.code, one.count) for one in first.failures] == [(21211, 2), (30003, 1)]
    assert all(one.meaning for one in first.failures)


async def test_days_are_those_of_the_workspaces_clock(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    midnight = datetime(2026, 3, 8, 5, tzinfo=UTC)  # in New York, where the day has 23 hours
    for minutes in (-1, 0, 23 * 60 - 1, 23 * 60):
        await kit.world.run(
            "UPDATE enrollments SET enrolled_at = :at WHERE id = :id",
            at=midnight + timedelta(minutes=minutes),
            id=await kit.enroll(sequence),
        )
    day = date(2026, 3, 8)
    report = await kit.services.reports.of_sequence(sequence.id, day, day)
    assert [(one.first_day, one.people) for one in report.trend] == [(day, 2)]
    assert report.time_zone == ZONE


async def test_long_ranges_are_told_by_the_week_within_their_days(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    await kit.world.run(
        "UPDATE enrollments SET enrolled_at = :at WHERE id = :id",
        at=datetime(2024, 3, 6, 12, tzinfo=UTC),
        id=await kit.enroll(sequence),
    )
    begins, ends = date(2024, 3, 5), date(2024, 9, 2)  # a Tuesday and a Monday
    report = await kit.services.reports.of_sequence(sequence.id, begins, ends)
    assert report.unit == "week"
    first, *_, last = report.trend
    assert (first.first_day, first.last_day, first.people) == (begins, date(2024, 3, 10), 1)
    assert (last.first_day, last.last_day, last.people) == (ends, ends, 0)

    report = await kit.services.reports.of_sequence(sequence.id, date(1900, 1, 1), ends)
    assert report.trend[0].first_day == date(2024, 3, 4)


async def test_report_without_anybody_is_empty(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    report = await kit.services.reports.of_sequence(sequence.id)
    assert report.total == Tally(answered=0)
    assert report.total.reply_rate is None
    assert [one.people for one in report.trend] == [0]
    assert [one.people for one in report.steps] == [0, 0, 0]
    assert (report.senders, report.users) == ([], [])
    assert (await kit.services.reports.of_all()).sequences == []


async def test_what_there_is_no_report_of_is_refused(kit: SendingKit) -> None:
    with pytest.raises(NotFoundError):
        await kit.services.reports.of_sequence(uuid4())
    with pytest.raises(InvalidFieldError) as refused:
        await kit.services.reports.of_all(date(2026, 3, 2), date(2026, 3, 1))
    assert refused.value.field == "last_day"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (ListFilter(outcome_step=1), "outcome"),
        (ListFilter(outcome=StepOutcome.SENT, outcome_code=30003), "outcome"),
        (ListFilter(replied_hour=3), "replied_zone"),
        (ListFilter(replied_zone=ZONE), "replied_hour"),
        (ListFilter(replied_hour=3, replied_zone="Mars/Olympus"), "replied_zone"),
    ],
)
async def test_parts_of_a_filter_need_each_other(
    kit: SendingKit, wanted: ListFilter, field: str
) -> None:
    sequence = await kit.sequence()
    with pytest.raises(InvalidFieldError) as refused:
        await kit.services.enrollment_list.page(sequence.id, wanted)
    assert refused.value.field == field


async def test_file_has_all_figures_and_no_formulas(kit: SendingKit) -> None:
    sequence = await kit.sequence('=HYPERLINK("https://segue.test")', "Second")
    await kit.send(await kit.enroll(sequence))
    report = await kit.services.reports.of_sequence(sequence.id)
    text = b"".join([piece async for piece in report_file(report)]).decode()
    head, *lines = text.splitlines()
    assert head.split(",") == list(REPORT_COLUMNS)
    assert [line.partition(",")[0] for line in lines] == [
        "total",
        *["step"] * 2,
        "day",
        *["reply_hour"] * 168,
        "sender",
        "user",
    ]
    assert "\"'=HYPERLINK" in lines[1]
    sent = REPORT_COLUMNS.index("sent")
    assert lines[0].split(",")[sent] == str(report.total.sent) == "1"


async def test_few_reports_are_read_at_once_and_none_for_long(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(tx: Transaction, *_: object) -> list[object]:
        await tx.run("SELECT pg_sleep(60)")
        return []

    shortly = timedelta(milliseconds=50)
    monkeypatch.setattr(rows, "replies", slow)
    reports = Reports(kit.world.database, workspace_zone=ZONE, longest_statement=shortly)
    with pytest.raises(FullError):
        await reports.of_all()

    reports = Reports(kit.world.database, workspace_zone=ZONE, longest_wait=shortly)
    under_way = [asyncio.create_task(reports.of_all()) for _ in range(3)]
    ended, others = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    assert [type(one.exception()) for one in ended] == [FullError]
    for one in others:
        one.cancel()
    await asyncio.wait(others)
    monkeypatch.undo()
    assert (await reports.of_all()).total.people == 0
