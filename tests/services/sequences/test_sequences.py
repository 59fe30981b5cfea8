"""Creating and changing sequences, and moving them through their states."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.platform.errors import ConflictError, InvalidRequestError, NotFoundError
from domain.sequences.placeholders import FIRST_TEXT
from domain.sequences.steps import StepDraft
from domain.sequences.timing import DEFAULT_WINDOW
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import ReplyPolicy, SequenceKind, SequenceState
from services.sequences.sequences import SequenceChange, SequenceDraft
from storage.sequences.sequences import SequenceRecord
from tests.worlds import ZONE, World, ongoing, scheduled, small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


def tomorrow(days: int = 1) -> datetime:
    return datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0) + timedelta(days=days)


async def problems(call: Awaitable[Any]) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as raised:
        await call
    return {error.field: error.field_code for error in raised.value.errors}


async def enroll_one(world: World, sequence: SequenceRecord) -> None:
    contact_id = (await world.contacts(1))[0]
    await world.run(
        "INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by,"
        " enrolled_at, status, activity, position, step, step_count)"
        " VALUES (:id, :sequence, :version, :contact, :user, now(), 'active', 'waiting', 1, 0, 3)",
        id=uuid4(),
        sequence=sequence.id,
        version=sequence.version_id,
        contact=contact_id,
        user=world.user_id,
    )


async def test_new_sequence_is_a_draft_with_its_first_version(world: World) -> None:
    steps = [ongoing("Hi", 0), ongoing("Still?"), ongoing("Bye")]
    draft = SequenceDraft("Welcome", world.sender_id, SequenceKind.ONGOING, steps)
    made = await world.sequences.create(draft, world.user_id)
    assert (made.state, made.version, made.step_count) == (SequenceState.DRAFT, 1, 3)
    assert made.send_window == DEFAULT_WINDOW.dump()
    assert made.reply_window_seconds == 604_800
    assert made.on_reply is ReplyPolicy.FINISH
    assert [step.position for step in made.steps] == [1, 2, 3]
    assert [step.delay_seconds for step in made.steps] == [0, 86_400, 86_400]
    assert made.total == 0
    assert made == await world.sequences.get(made.id)


async def test_null_send_window_means_any_time(world: World) -> None:
    assert (await world.draft(send_window=None)).send_window is None


async def test_step_stores_its_segments(world: World) -> None:
    made = await world.draft(steps=[ongoing("a" * 161), ongoing("\N{GRINNING FACE}" * 35)])
    assert [step.segments for step in made.steps] == [2, 1]


async def test_sequence_changes_update_the_senders_pace(world: World) -> None:
    made = await world.draft()
    other = await world.sender(uuid4(), "+14155550101")
    await world.sequences.change(made.id, SequenceChange(sender_id=other), world.user_id)
    paced = await world.rows("SELECT subject_id FROM outbox WHERE kind = 'pace_sender' ORDER BY id")
    assert [row.subject_id for row in paced] == [world.sender_id, other, world.sender_id]


async def test_all_errors_are_raised_at_once_and_nothing_is_stored(world: World) -> None:
    found = await problems(
        world.draft(
            name="  ",
            sender_id=uuid4(),
            reply_window_seconds=91 * 86_400,
            send_window={"mon": ["20:00", "09:00"]},
            steps=[
                ongoing("Hi {{frist_name}}"),
                ongoing("", 366 * 86_400),
                ongoing("x" * 1601, 86_400, "25:00"),
                ongoing("x", 3_600, "09:30"),
                StepDraft("x"),
                StepDraft("x", delay_seconds=5, send_at="2030-01-01T10:00"),
                StepDraft("x", ("ftp://example.com/a.png",), delay_seconds=5),
            ],
        )
    )
    assert found == {
        "name": "blank",
        "sender_id": "unknown_sender",
        "reply_window_seconds": "out_of_range",
        "send_window.mon": "invalid_field",
        "steps.0.body": "unknown_merge_field",
        "steps.1.body": "empty_body",
        "steps.1.delay_seconds": "out_of_range",
        "steps.2.body": "body_too_long",
        "steps.2.at_time": "bad_time",
        "steps.3.at_time": "time_needs_whole_days",
        "steps.4.delay_seconds": "missing",
        "steps.5.send_at": "wrong_timing",
        "steps.6.media_urls.0": "bad_media_url",
    }
    assert await world.rows("SELECT id FROM sequences") == []


async def test_steps_by_dates_and_late_policies_are_checked(world: World) -> None:
    await world.run(
        "INSERT INTO contact_fields (id, key, label, type) VALUES"
        " (gen_random_uuid(), 'interview_at', 'Interview', 'date'),"
        " (gen_random_uuid(), 'city', 'City', 'text')"
    )
    day, year = 86_400, 365 * 86_400
    good = [
        StepDraft("a", anchor_key="interview_at", anchor_offset_seconds=-day, at_time="10:00"),
        StepDraft("b", anchor_key="interview_at", anchor_offset_seconds=year, late="skip"),
        StepDraft("c", delay_seconds=day, late="expire", late_hours=720),
    ]
    made = await world.draft(steps=good)
    assert [
        (one.delay_seconds, one.anchor_key, one.anchor_offset_seconds, one.late, one.late_hours)
        for one in made.steps
    ] == [
        (None, "interview_at", -day, "send", None),
        (None, "interview_at", year, "skip", None),
        (day, None, None, "expire", 720),
    ]
    by = {"anchor_key": "interview_at", "anchor_offset_seconds": -day}
    wrong: list[dict[str, Any]] = [
        {"anchor_key": "interviw_at", "anchor_offset_seconds": -day},
        {"anchor_key": "city", "anchor_offset_seconds": -day},
        {**by, "anchor_offset_seconds": -year - 1},
        {**by, "anchor_offset_seconds": 3_600, "at_time": "10:00"},
        {**by, "delay_seconds": 5},
        {"delay_seconds": 0, "late": "expire"},
        {"delay_seconds": 0, "late": "skip", "late_hours": 5},
        {"delay_seconds": 0, "late": "expire", "late_hours": 0},
        {"delay_seconds": 0, "late": "never"},
    ]
    found = await problems(world.draft(steps=[StepDraft("x", **one) for one in wrong]))
    assert found == {
        "steps.0.anchor.key": "unknown_date_field",
        "steps.1.anchor.key": "unknown_date_field",
        "steps.2.anchor.offset_seconds": "out_of_range",
        "steps.3.anchor.at_time": "time_needs_whole_days",
        "steps.4.delay_seconds": "one_of_two",
        "steps.5.late_hours": "missing",
        "steps.6.late_hours": "wrong_timing",
        "steps.7.late_hours": "out_of_range",
        "steps.8.late": "unknown_value",
    }
    dated = StepDraft("x", send_at="2030-01-01T10:00", anchor_key="interview_at")
    found = await problems(world.draft(kind=SequenceKind.SCHEDULED, steps=[dated]))
    assert found == {"steps.0.anchor": "wrong_timing"}


@pytest.mark.parametrize("count", [0, 101])
async def test_a_sequence_has_one_to_a_hundred_steps(world: World, count: int) -> None:
    found = await problems(world.draft(steps=[ongoing("x")] * count))
    assert found == {"steps": "step_count"}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a.png",
        "http://example.com/a.png",
        "javascript:alert(1)//example.com",
        "https://",
        "https://exa mple.com/a.png",
        "https://example.com/" + "a" * 2_000,
        "https://example.com:99999/a.png",
        "https://example.com/\0",
        "//example.com/a.png",
        "https://example.com\\@example.org/a.png",
    ],
)
async def test_media_must_be_web_addresses(world: World, url: str) -> None:
    steps = [StepDraft("x", (url,), delay_seconds=0)]
    assert await problems(world.draft(steps=steps)) == {"steps.0.media_urls.0": "bad_media_url"}


async def test_at_most_ten_media_go_with_a_text_and_they_need_no_words(world: World) -> None:
    url = "https://example.com/a.png"
    await world.draft(steps=[StepDraft("", (url,) * 10, delay_seconds=0)])
    steps = [StepDraft("", (url,) * 11, delay_seconds=0)]
    assert await problems(world.draft(steps=steps)) == {"steps.0.media_urls": "too_many_media"}


async def test_scheduled_dates_strictly_increase(world: World) -> None:
    """Rule: due time, ``scheduled`` (dates strictly increase)."""
    first = tomorrow(2)
    found = await problems(
        world.draft(
            kind=SequenceKind.SCHEDULED,
            steps=[
                scheduled("a", first),
                scheduled("b", first),
                scheduled("c", first - timedelta(days=1)),
                scheduled("d", first + timedelta(seconds=1)),
            ],
        )
    )
    assert found == {
        "steps.1.send_at": "dates_unordered",
        "steps.2.send_at": "dates_unordered",
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2020-01-01T10:00", "date_past"),
        ("2030-02-30T10:00", "bad_date"),
        ("2030-02-03", "bad_date"),
        ("2030-02-03T10:00Z", "bad_date"),
        ("2030-02-03T10:00-05:00", "bad_date"),
        ("2030-02-03T24:00", "bad_date"),
        ("9999-12-31T23:59", "bad_date"),
        ("8999-12-31T23:59", "date_too_far"),
        ("0001-01-01T00:00", "bad_date"),
        ("", "bad_date"),
    ],
)
async def test_invalid_or_past_date_is_refused(world: World, text: str, code: str) -> None:
    steps = [scheduled("x", text)]
    found = await problems(world.draft(kind=SequenceKind.SCHEDULED, steps=steps))
    assert found == {"steps.0.send_at": code}


async def test_a_scheduled_step_takes_no_delay_and_needs_a_date(world: World) -> None:
    steps = [StepDraft("x", delay_seconds=0, at_time="09:30")]
    found = await problems(world.draft(kind=SequenceKind.SCHEDULED, steps=steps))
    assert found == {
        "steps.0.delay_seconds": "wrong_timing",
        "steps.0.at_time": "wrong_timing",
        "steps.0.send_at": "missing",
    }


async def test_only_different_steps_make_a_new_version(world: World) -> None:
    made = await world.draft()
    same = [StepDraft(step.body, delay_seconds=step.delay_seconds) for step in made.steps]
    kept = await world.sequences.change(made.id, SequenceChange(steps=same), world.user_id)
    assert (kept.version, kept.version_id) == (1, made.version_id)
    changed = await world.sequences.change(
        made.id, SequenceChange(steps=[ongoing("New")]), world.user_id
    )
    assert (changed.version, changed.step_count) == (2, 1)
    assert changed.updated_at > made.updated_at
    old = await world.rows(
        "SELECT body FROM steps WHERE version_id = :id ORDER BY position", id=made.version_id
    )
    assert [row.body for row in old] == [step.body for step in made.steps]


async def test_concurrent_changes_get_distinct_versions(world: World) -> None:
    made = await world.draft()
    await asyncio.gather(
        *(
            world.sequences.change(
                made.id, SequenceChange(steps=[ongoing(f"New {number}")]), world.user_id
            )
            for number in range(5)
        )
    )
    numbers = await world.rows("SELECT number FROM sequence_versions ORDER BY number")
    assert [row.number for row in numbers] == [1, 2, 3, 4, 5, 6]


async def test_change_keeps_missing_fields(world: World) -> None:
    made = await world.draft(reply_window_seconds=60)
    changed = await world.sequences.change(made.id, SequenceChange(name="Other"), world.user_id)
    assert (changed.name, changed.reply_window_seconds, changed.send_window) == ("Other", 60, None)
    assert changed.steps == made.steps
    again = await world.sequences.change(
        made.id, SequenceChange(send_window={"mon": ["09:00", "24:00"]}), world.user_id
    )
    assert again.send_window == {"mon": ["09:00", "24:00"]}


async def test_kind_cannot_be_changed(world: World) -> None:
    made = await world.draft()
    same = SequenceChange(kind=SequenceKind.ONGOING)
    assert await world.sequences.change(made.id, same, world.user_id) == made
    other = SequenceChange(kind=SequenceKind.SCHEDULED)
    found = await problems(world.sequences.change(made.id, other, world.user_id))
    assert found == {"kind": "kind_is_fixed"}


async def test_saved_past_date_may_stay(world: World) -> None:
    made = await world.draft(kind=SequenceKind.SCHEDULED, steps=[scheduled("a", tomorrow())])
    past = tomorrow(-1)
    await world.run("UPDATE steps SET send_at = :at", at=past)
    changed = await world.sequences.change(
        made.id,
        SequenceChange(steps=[scheduled("a", past), scheduled("b", tomorrow(2))]),
        world.user_id,
    )
    assert changed.version == 2
    wrong = SequenceChange(steps=[scheduled("a", past - timedelta(hours=1))])
    found = await problems(world.sequences.change(made.id, wrong, world.user_id))
    assert found == {"steps.0.send_at": "date_past"}


async def test_sequence_moves_through_its_states(world: World) -> None:
    made = await world.draft()
    moves: list[Callable[[], Awaitable[SequenceRecord]]] = [
        lambda: world.sequences.activate(made.id),
        lambda: world.sequences.pause(made.id),
        lambda: world.sequences.resume(made.id),
        lambda: world.archiving.archive(made.id, world.user_id),
    ]
    states = ["active", "paused", "active", "archived"]
    for move, state in zip(moves, states, strict=True):
        assert (await move()).state == state
        assert (await move()).state == state


@pytest.mark.parametrize(
    ("state", "move"),
    [
        ("draft", "pause"),
        ("draft", "resume"),
        ("paused", "activate"),
        ("archived", "activate"),
        ("archived", "pause"),
        ("archived", "resume"),
    ],
)
async def test_invalid_transition_names_the_state(world: World, state: str, move: str) -> None:
    made = await world.draft()
    await world.run("UPDATE sequences SET state = :state", state=state)
    with pytest.raises(ConflictError) as raised:
        await getattr(world.sequences, move)(made.id)
    assert raised.value.conflict == "invalid_transition"
    assert raised.value.facts == {"state": state}


async def test_sequence_with_a_text_not_written_yet_is_not_activated(world: World) -> None:
    """Nobody is texted the greeting that every new sequence begins with."""
    steps = [ongoing("Hi", 0), ongoing(FIRST_TEXT)]
    made = await world.draft(steps=steps)
    with pytest.raises(ConflictError) as raised:
        await world.sequences.activate(made.id)
    assert (raised.value.conflict, raised.value.facts) == ("step_unwritten", {"step": 2})
    assert (await world.sequences.get(made.id)).state is SequenceState.DRAFT

    change = SequenceChange(steps=[ongoing("Hello", 0), ongoing("From [company]")])
    both = world.sequences.change(made.id, change, world.user_id, activate=True)
    assert await problems(both) == {"steps.1.body": "unwritten_text"}
    assert (await world.sequences.get(made.id)).version == 1
    kept = await world.sequences.change(made.id, change, world.user_id)
    assert (kept.state, kept.version) == (SequenceState.DRAFT, 2)

    change = SequenceChange(steps=[ongoing("Hello", 0), ongoing("From Acme")])
    opened = await world.sequences.change(made.id, change, world.user_id, activate=True)
    assert (opened.state, opened.version) == (SequenceState.ACTIVE, 3)
    change = SequenceChange(steps=steps)
    published = world.sequences.change(made.id, change, world.user_id)
    assert await problems(published) == {"steps.1.body": "unwritten_text"}
    actions = await world.rows("SELECT action FROM audit_log WHERE action LIKE 'sequence.act%'")
    assert len(actions) == 1


async def test_paused_sequence_is_not_saved_and_activated(world: World) -> None:
    made = await world.active()
    await world.sequences.pause(made.id)
    change = SequenceChange(steps=[ongoing("Hello", 0)])
    with pytest.raises(ConflictError) as raised:
        await world.sequences.change(made.id, change, world.user_id, activate=True)
    assert raised.value.conflict == "invalid_transition"
    assert (await world.sequences.get(made.id)).version == 1


async def test_archiving_active_enrollments_needs_confirmation(world: World) -> None:
    """Rule: archiving with active enrollments is a 409 unless asked to finish them."""
    made = await world.active()
    for _ in range(3):
        await enroll_one(world, made)
    with pytest.raises(ConflictError) as raised:
        await world.archiving.archive(made.id, world.user_id)
    assert raised.value.conflict == "active_enrollments"
    assert raised.value.facts == {"count": 3}
    assert (await world.sequences.get(made.id)).state is SequenceState.ACTIVE
    archived = await world.archiving.archive(made.id, world.user_id, finish_active=True)
    assert archived.state is SequenceState.ARCHIVED
    assert archived.counts[EnrollmentStatus.FINISHED_STOPPED] == archived.total == 3


async def test_second_archive_finishes_the_enrollments_left(world: World) -> None:
    made = await world.active()
    await enroll_one(world, made)
    await world.run("UPDATE sequences SET state = 'archived'")
    archived = await world.archiving.archive(made.id, world.user_id, finish_active=True)
    assert archived.counts[EnrollmentStatus.FINISHED_STOPPED] == archived.total == 1


async def test_archived_sequence_cannot_be_changed(world: World) -> None:
    made = await world.draft()
    await world.archiving.archive(made.id, world.user_id)
    with pytest.raises(ConflictError, match="archived"):
        await world.sequences.change(made.id, SequenceChange(name="x"), world.user_id)


async def test_unknown_sequence_is_not_found(world: World) -> None:
    for call in (
        world.sequences.get(uuid4()),
        world.sequences.activate(uuid4()),
        world.archiving.archive(uuid4(), world.user_id),
        world.sequences.change(uuid4(), SequenceChange(name="x"), world.user_id),
    ):
        with pytest.raises(NotFoundError):
            await call


async def test_sequence_list_continues_after_a_page(world: World) -> None:
    made = [(await world.draft(name=f"Plan {number}")).id for number in range(5)]
    first = await world.sequences.page(limit=2)
    second = await world.sequences.page(after=first.next, limit=2)
    third = await world.sequences.page(after=second.next, limit=2)
    listed = [one.id for page in (first, second, third) for one in page.items]
    assert listed == made[::-1]
    assert third.next is None


async def test_list_filters_by_state_and_name(world: World) -> None:
    await world.draft(name="Plan A")
    active = await world.active(name="Plan_B")
    by_state = await world.sequences.page(states=[SequenceState.ACTIVE])
    by_name = await world.sequences.page(search="N_b")
    assert [one.id for one in by_state.items] == [one.id for one in by_name.items] == [active.id]
