"""The outbox: every entry reaches Temporal, in its subject's order, whichever process drains.

The rules: docs/design.md, "Outbox".
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text

from domain.statuses.enrollments import EnrollmentStatus
from services.platform.outbox import MOST_BROKEN_TRIES, Outbox
from storage.platform import outbox
from storage.tables.messaging import Sender
from tests.kits.sending import SendingKit, until
from workflows.client import EnrollmentClient


async def signals(kit: SendingKit, subject: UUID, names: Sequence[str]) -> None:
    async with kit.world.database.transaction() as tx:
        for name in names:
            await outbox.add_signals(tx, [subject], name)


async def left(kit: SendingKit) -> int:
    [row] = await kit.world.rows("SELECT count(*) AS entries FROM outbox")
    return int(row.entries)


def delivered(kit: SendingKit, subject: UUID) -> list[str | None]:
    return [signal for signal, _ in kit.temporal.signals_to(subject)]


async def until_delivered(kit: SendingKit, subject: UUID) -> None:
    async def all_delivered() -> bool:
        return bool(delivered(kit, subject))

    await until(all_delivered)


async def test_start_carries_the_enrollments_state(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    assert await kit.services.outbox.drain() == 2  # and the sender's pace
    state = kit.temporal.states[enrollment]
    assert (state.doing, state.step, state.step_count) == ("waiting", 0, 3)
    assert state.due_at == (await kit.row(enrollment)).next_send_at
    assert state.sender_id == str(kit.world.sender_id)
    assert await left(kit) == 0


async def test_ended_enrollment_is_not_started(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    await kit.services.outbox.drain()
    assert enrollment not in kit.temporal.opened
    assert kit.temporal.signals_to(enrollment) == [("mark_finished", "finished_stopped")]


async def test_entries_of_one_subject_keep_their_order(kit: SendingKit) -> None:
    """The entries fill more than one page."""
    subjects = [uuid4() for _ in range(30)]
    names = [f"signal {number}" for number in range(8)]
    async with kit.world.database.transaction() as tx:
        for name in names:
            await outbox.add_signals(tx, subjects, name, EnrollmentStatus.FAILED)
    assert await kit.services.outbox.drain() == 240
    assert all(delivered(kit, subject) == names for subject in subjects)
    assert await left(kit) == 0


async def test_entries_are_kept_and_postponed_while_temporal_is_unavailable(
    kit: SendingKit,
) -> None:
    subject = uuid4()
    await signals(kit, subject, ["one"])
    kit.temporal.away = True
    for tries, seconds in enumerate([1, 2, 4, 8, 16, 32, 60, 60], start=1):
        assert await kit.services.outbox.drain() == 0
        [entry] = await kit.world.rows("SELECT *, next_try_at - now() AS wait FROM outbox")
        assert entry.tries == tries
        assert timedelta(0) <= timedelta(seconds=seconds) - entry.wait < timedelta(seconds=1)
        assert await kit.services.outbox.drain() == 0  # not due yet
        await kit.pass_time(timedelta(seconds=seconds))
    kit.temporal.away = False
    assert await kit.services.outbox.drain() == 1
    assert delivered(kit, subject) == ["one"]


async def test_postponed_entry_is_not_overtaken_by_a_younger_one(kit: SendingKit) -> None:
    """Entries keep their order although the first was refused more often."""
    subject, other = uuid4(), uuid4()
    await signals(kit, subject, ["one"])
    kit.temporal.refuses = {subject}
    for _ in range(3):
        await kit.services.outbox.drain()
        await kit.pass_time(timedelta(seconds=4))
    await kit.services.outbox.drain()
    await signals(kit, subject, ["two"])
    await signals(kit, other, ["three"])
    kit.temporal.refuses = set()
    assert await kit.services.outbox.drain() == 1
    assert (delivered(kit, subject), delivered(kit, other)) == ([], ["three"])
    await kit.pass_time(timedelta(minutes=1))
    assert await kit.services.outbox.drain() == 2
    assert delivered(kit, subject) == ["one", "two"]


async def test_entry_held_by_another_drainer_is_not_overtaken(kit: SendingKit) -> None:
    """Entries keep their order among several drainers."""
    subject = uuid4()
    await signals(kit, subject, ["one", "two"])
    async with kit.world.database.transaction() as tx:
        assert [entry.payload["signal"] for entry in await outbox.take(tx, 1)] == ["one"]
        assert await kit.services.outbox.drain() == 0
    assert await kit.services.outbox.drain() == 2
    assert delivered(kit, subject) == ["one", "two"]


async def test_refused_entry_does_not_block_other_subjects(kit: SendingKit) -> None:
    refused, subjects = uuid4(), [uuid4() for _ in range(5)]
    for subject in (refused, *subjects):
        await signals(kit, subject, ["one", "two"])
    kit.temporal.refuses = {refused}
    assert await kit.services.outbox.drain() == 10
    assert all(delivered(kit, subject) == ["one", "two"] for subject in subjects)
    assert await left(kit) == 2


async def test_entries_of_a_killed_drainer_are_delivered_again(kit: SendingKit) -> None:
    """A crash in the middle delivers entries twice, which is harmless, and loses none."""
    subjects = [uuid4() for _ in range(3)]
    for subject in subjects:
        await signals(kit, subject, ["one"])
    signal, broken = kit.temporal.signal_enrollment, subjects[1]

    async def die(subject: UUID, *args: object) -> None:
        if subject == broken:
            raise asyncio.CancelledError
        await signal(subject, *args)  # type: ignore[arg-type]

    kit.temporal.signal_enrollment = die  # type: ignore[method-assign, assignment]
    with pytest.raises(asyncio.CancelledError):
        await kit.services.outbox.drain()
    assert await left(kit) == 3
    kit.temporal.signal_enrollment = signal  # type: ignore[method-assign]
    assert await kit.services.outbox.drain() == 3
    assert all(set(delivered(kit, subject)) == {"one"} for subject in subjects)


async def test_several_drainers_deliver_each_entry_once(kit: SendingKit) -> None:
    subjects = [uuid4() for _ in range(150)]
    async with kit.world.database.transaction() as tx:
        for name in ("one", "two"):
            await outbox.add_signals(tx, subjects, name)
    signal = kit.temporal.signal_enrollment

    async def slowly(*args: object) -> None:
        await asyncio.sleep(0.001)
        await signal(*args)  # type: ignore[arg-type]

    kit.temporal.signal_enrollment = slowly  # type: ignore[method-assign, assignment]
    drained = await asyncio.gather(*(kit.services.outbox.drain() for _ in range(4)))
    drained.append(await kit.services.outbox.drain())
    assert sum(drained) == 300
    counts = Counter((subject, name) for _, subject, name, _ in kit.temporal.told)
    assert set(counts.values()) == {1}
    assert all(delivered(kit, subject) == ["one", "two"] for subject in subjects)


async def test_commit_that_wrote_an_entry_drains_it(kit: SendingKit) -> None:
    """No use case asks for it; tests/storage/platform/test_database.py has the other hooks."""
    subject = uuid4()
    running = asyncio.create_task(kit.services.outbox.run())
    await signals(kit, subject, ["one"])
    await until_delivered(kit, subject)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Unlucky(Outbox):
    """Fails to drain the first time."""

    lucky = False

    async def _drain_page(self) -> Sequence[Any]:
        if not self.lucky:
            self.lucky = True
            self.notify()
            raise OSError
        return await super()._drain_page()


async def test_background_drainer_survives_an_error(
    kit: SendingKit, caplog: pytest.LogCaptureFixture
) -> None:
    """Entries that a failed drain left are drained later."""
    subject = uuid4()
    await signals(kit, subject, ["one"])
    unlucky = Unlucky(kit.world.database, cast("EnrollmentClient", kit.temporal))
    running = asyncio.create_task(unlucky.run())
    unlucky.notify()
    await until_delivered(kit, subject)
    assert unlucky.lucky
    assert "outbox not drained" in caplog.text
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def insert_senders(kit: SendingKit, count: int, rate: int = 2) -> list[UUID]:
    ids = [uuid4() for _ in range(count)]
    rows = [
        {"id": one, "name": f"S{at}", "phone": f"+1646555{at:04d}", "segments_per_second": rate}
        for at, one in enumerate(ids)
    ]
    async with kit.world.database.transaction() as tx:
        await tx.execute(insert(Sender), rows)
    return ids


async def test_senders_of_a_page_are_paced_by_one_call(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A starting worker paces every sender; starts and signals do not wait for that."""
    await insert_senders(kit, 150)
    calls = []
    pace_senders = kit.temporal.pace_senders

    async def counted(texts_per_second: Mapping[UUID, float]) -> None:
        calls.append(len(texts_per_second))
        await pace_senders(texts_per_second)

    monkeypatch.setattr(kit.temporal, "pace_senders", counted)
    await kit.services.outbox.pace_all()
    kit.temporal.away = True
    assert await kit.services.outbox.drain() == 0
    kit.temporal.away = False
    calls.clear()
    await kit.world.run("UPDATE outbox SET next_try_at = now()")
    assert await kit.services.outbox.drain() == 150
    assert calls == [100, 50]
    await kit.services.outbox.pace_all()
    assert await left(kit) == 0, "those that are paced as they should be are left alone"


async def parked(kit: SendingKit) -> list[tuple[str, UUID]]:
    async with kit.world.database.transaction() as tx:
        return [(one.parked_reason or "", one.subject_id) for one in await outbox.parked(tx, 100)]


async def test_entry_of_an_unknown_kind_is_parked_alone(kit: SendingKit) -> None:
    """A newer build may have written it; a build that knows the kind delivers it."""
    unknown, subject = uuid4(), uuid4()
    await kit.world.run(
        "INSERT INTO outbox (kind, subject_id) VALUES ('sing_along', :id)", id=unknown
    )
    await signals(kit, subject, ["one"])
    assert await kit.services.outbox.drain() == 1
    assert await parked(kit) == [("unknown_kind", unknown)]
    assert await kit.services.outbox.sweep() == 0
    assert await parked(kit) == [("unknown_kind", unknown)], "no build here knows it"
    await kit.world.run("UPDATE outbox SET kind = 'start_job'")
    assert await kit.services.outbox.sweep() == 1
    assert ("job", unknown, None, None) in kit.temporal.told


async def test_entry_that_temporal_refuses_for_good_is_parked_alone(
    kit: SendingKit,
) -> None:
    forbidden, others = uuid4(), [uuid4() for _ in range(150)]
    kit.temporal.forbids = {forbidden}
    for subject in (forbidden, *others):
        await signals(kit, subject, ["one", "two"])
    assert await kit.services.outbox.drain() == 300
    assert await parked(kit) == [("refused", forbidden)] * 2
    assert await kit.services.outbox.sweep() == 0, "it is not asked again by itself"
    kit.temporal.forbids = set()
    async with kit.world.database.transaction() as tx:
        assert await outbox.unpark_all(tx) == 2
    assert await kit.services.outbox.drain() == 2
    assert delivered(kit, forbidden) == ["one", "two"]


async def test_entry_that_fails_in_our_code_is_retried_alone_then_parked(
    kit: SendingKit,
) -> None:
    broken, other = uuid4(), uuid4()
    await kit.world.run(
        "INSERT INTO outbox (kind, subject_id) VALUES ('signal_enrollment', :id)", id=broken
    )
    await signals(kit, other, ["one"])
    assert await kit.services.outbox.drain() == 1, "an entry without its payload fails alone"
    for _ in range(MOST_BROKEN_TRIES):
        assert await parked(kit) == []
        await kit.pass_time(timedelta(minutes=1))
        await kit.services.outbox.drain()
    assert await parked(kit) == [("broken", broken)]


async def test_new_entry_replaces_its_parked_predecessor(kit: SendingKit) -> None:
    """The sweep asks for a lost start every minute; these must not pile up."""
    enrollment = await kit.enroll()
    kit.temporal.forbids = {enrollment}
    for _ in range(3):
        await kit.services.outbox.drain()
        assert await parked(kit) == [("refused", enrollment)]
        async with kit.world.database.transaction() as tx:
            await outbox.add_starts(tx, [enrollment])
    assert await left(kit) == 1


async def test_one_off_goes_before_hundreds_of_starts(kit: SendingKit) -> None:
    """Kinds have an order: one-off texts, everything else, then starts."""
    sequence = await kit.sequence()
    enrolled = await kit.enroll_many(120, sequence)
    subject = uuid4()
    await signals(kit, subject, ["one"])
    message_id = await kit.one_off(enrolled[0])
    await kit.services.outbox.drain()
    order = [(kind, about) for kind, about, _, _ in kit.temporal.told]
    starts = [at for at, (kind, _) in enumerate(order) if kind == "start"]
    assert len(starts) == 120
    own, other = order.index(("message", message_id)), order.index(("signal", subject))
    assert own < other < starts[0]


PILE = 3000


async def test_taking_is_linear_when_wakes_of_one_endpoint_pile_up(kit: SendingKit) -> None:
    """Counts rows read, whatever the plan; comparing each with each read 4,510,504."""
    endpoint = uuid4()
    await kit.world.run(
        "INSERT INTO outbox (kind, subject_id) SELECT 'wake_events', :id"
        " FROM generate_series(1, :pile)",
        id=endpoint,
        pile=PILE,
    )
    await kit.world.run("ANALYZE outbox")
    async with kit.world.database.transaction() as tx:
        plan = await tx.execute(
            text(f"EXPLAIN (ANALYZE, FORMAT JSON) {outbox.TAKE}"), {"limit": 100}
        )
        [explained] = plan.scalar_one()
    assert _rows_read(explained["Plan"]) < 5 * PILE
    assert await kit.services.outbox.drain() == 1
    assert await left(kit) == 0, "one call answers them all"


def _rows_read(node: Mapping[str, Any]) -> float:
    """Count all rows that a plan's nodes returned or filtered out."""
    thrown = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
    own = (node["Actual Rows"] + thrown) * node["Actual Loops"]
    return float(own) + sum(_rows_read(one) for one in node.get("Plans", []))


async def test_senders_beyond_temporals_limit_are_parked_and_logged(kit: SendingKit) -> None:
    """A refused page is split: as many are paced as Temporal accepts."""
    kit.temporal.most_paced = 137
    senders = await insert_senders(kit, 150)
    await kit.services.outbox.pace_all()
    assert await kit.services.outbox.drain() == 137
    assert len(kit.temporal.paced) == 137
    beyond = {subject for _, subject in await parked(kit)}
    assert beyond == set(senders) - set(kit.temporal.paced)
    # A sender that changes to the default needs no weight and makes room.
    [first, *_] = kit.temporal.paced
    await kit.world.run("UPDATE senders SET segments_per_second = 1 WHERE id = :id", id=first)
    await kit.services.outbox.pace_all()
    assert await kit.services.outbox.drain() == 2
    assert len(await parked(kit)) == 12


async def test_weights_of_deleted_senders_are_unset(kit: SendingKit) -> None:
    """As after a restore."""
    gone = uuid4()
    kit.temporal.paced = {gone: 4.0}
    await kit.services.outbox.pace_all()
    await kit.services.outbox.drain()
    assert kit.temporal.paced == {}
