"""The list of sequences with their figures, and copying a sequence."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.platform.errors import NotFoundError
from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from tests.kits.query_plans import asked_of
from tests.kits.sending import SendingKit, about
from tests.worlds import scheduled


async def test_row_shows_the_sequences_figures(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    waiting, replying, silent = [await kit.enroll(sequence) for _ in range(3)]
    await kit.send(replying)
    await kit.send(silent)
    await kit.text_back(replying)
    [line] = (await kit.services.sequence_list.page()).items
    assert (line.id, line.name, line.state) == (sequence.id, "Welcome", SequenceState.ACTIVE)
    assert (line.kind, line.step_count) == (SequenceKind.ONGOING, 3)
    assert (line.sender_id, line.sender_name) == (kit.world.sender_id, "Front desk")
    assert len(line.counts) == 8
    assert line.counts[EnrollmentStatus.ACTIVE] == 2
    assert line.counts[EnrollmentStatus.FINISHED_RESPONDED] == 1
    assert line.total == 3
    assert line.reply_rate == 0.5  # of the two who were texted
    row = await kit.row(replying)
    assert line.last_activity_at == row.last_message_at
    await kit.world.run("DELETE FROM enrollments WHERE id = :id", id=waiting)


async def test_new_sequence_has_a_last_activity_and_no_reply_rate(kit: SendingKit) -> None:
    await kit.sequence()
    [line] = (await kit.services.sequence_list.page()).items
    assert line.reply_rate is None
    assert (line.total, line.held) == (0, 0)
    assert about(line.last_activity_at, timedelta(0))


async def test_held_enrollments_are_counted(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    held, paused, _ = [await kit.enroll(sequence) for _ in range(3)]
    state = "UPDATE enrollments SET activity = :activity, held_reason = :reason WHERE id = :id"
    await kit.world.run(state, activity="held", reason="outcome_unknown", id=held)
    await kit.world.run(state, activity="paused", reason=None, id=paused)
    [line] = (await kit.services.sequence_list.page()).items
    assert (line.total, line.held) == (3, 1)


async def test_enrolling_updates_last_activity(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    enrollment_id = await kit.enroll(sequence)
    at = datetime.now(UTC) + timedelta(hours=1)
    await kit.world.run(
        "UPDATE enrollments SET enrolled_at = :at WHERE id = :id", at=at, id=enrollment_id
    )
    [line] = (await kit.services.sequence_list.page()).items
    assert line.last_activity_at == at


async def test_list_filters_by_search_and_state_in_pages(kit: SendingKit) -> None:
    names = ["Alpha", "Beta", "Gamma", "Alphabet"]
    made = [await kit.world.draft(name=name) for name in names]
    await kit.services.sequences.activate(made[1].id)
    page = kit.services.sequence_list.page

    async def found(**wanted: object) -> list[str]:
        return [line.name for line in (await page(**wanted)).items]  # type: ignore[arg-type]

    assert await found() == names[::-1]
    assert await found(search="ALPHA") == ["Alphabet", "Alpha"]
    assert await found(states=[SequenceState.ACTIVE]) == ["Beta"]
    walked: list[str] = []
    after: Position | None = None
    while True:
        part = await page(limit=3, after=after)
        walked += [line.name for line in part.items]
        after = part.next
        if after is None:
            break
    assert walked == names[::-1]


async def test_number_of_queries_is_constant(kit: SendingKit) -> None:
    counted = []
    for _ in range(2):
        for _ in range(3):
            await kit.world.draft()
        async with asked_of(kit.world.database) as asked:
            await kit.services.sequence_list.page()
        counted.append(len(asked))
    assert counted == [3, 3]


async def test_a_copy_is_a_draft_with_the_same_settings_and_steps(kit: SendingKit) -> None:
    original = await kit.sequence(
        name="Hello", send_window={"mon": ["09:00", "17:00"]}, reply_window_seconds=60
    )
    author = await kit.world.user("Noa")
    copy = await kit.services.duplicating.duplicate(original.id, author)
    assert copy.id != original.id
    assert (copy.name, copy.state, copy.created_by.id) == ("Copy of Hello", "draft", author)
    assert copy.steps == original.steps
    for name in ("sender_id", "kind", "on_reply", "reply_window_seconds", "send_window"):
        assert getattr(copy, name) == getattr(original, name)
    assert (copy.version, copy.total) == (1, 0)
    again = await kit.services.duplicating.duplicate(original.id, author)
    assert again.name == "Copy of Hello (2)"
    [entry] = await kit.world.rows(
        "SELECT detail FROM audit_log WHERE subject_id = :id AND action = 'sequence.create'",
        id=copy.id,
    )
    assert entry.detail == {"copy_of": str(original.id)}


async def test_copy_may_have_past_dates_and_a_long_name(kit: SendingKit) -> None:
    original = await kit.sequence(
        name="x" * 200,
        kind=SequenceKind.SCHEDULED,
        steps=[scheduled("Hi", datetime.now(UTC) + timedelta(days=3))],
    )
    await kit.world.run("UPDATE steps SET send_at = '2020-01-01T09:00'")
    copy = await kit.services.duplicating.duplicate(original.id, kit.world.user_id)
    assert copy.steps[0].send_at == datetime(2020, 1, 1, 9)  # noqa: DTZ001 - wall-clock time
    assert copy.name.startswith("Copy of xxx")
    assert len(copy.name) <= 200


async def test_copy_of_unknown_sequence_is_not_found(kit: SendingKit) -> None:
    with pytest.raises(NotFoundError):
        await kit.services.duplicating.duplicate(uuid4(), kit.world.user_id)
