"""Waking enrollments whose blocker is gone: in pages, even if a process dies in between."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.statuses.enrollments import EnrollmentStatus
from services.enrollments.waking import Waking
from services.sequences.sequences import SequenceChange
from storage.enrollments import waking
from storage.messaging import holds
from storage.platform import outbox, wakes
from storage.platform.database import Transaction
from storage.platform.wakes import WakeKind
from storage.sequences.sequences import SequenceRecord
from tests.kits.locks import until_done_or_blocked
from tests.kits.sending import SendingKit, about, until

_PAGE = 10
_COUNT = 35


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "PAGE", _PAGE)


class PagesCounted:
    """Counts the wakes of each transaction, and fails one if asked.

    Attributes:
        sizes: Wakes by transaction.
        fails_at: The number of the page that fails, from 1.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: Counter[int] = Counter()
        self.fails_at: int | None = None
        add_signals = outbox.add_signals

        async def counted(
            tx: Transaction,
            ids: Sequence[UUID],
            signal: str,
            status: EnrollmentStatus | None = None,
        ) -> None:
            if signal != "reconsider":
                await add_signals(tx, ids, signal, status)
                return
            number = await tx.execute(
                text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS int)")
            )
            self.sizes[number.scalar_one()] += len(ids)
            if len(self.sizes) == self.fails_at:
                raise ConnectionResetError
            await add_signals(tx, ids, signal)

        monkeypatch.setattr(outbox, "add_signals", counted)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> PagesCounted:
    return PagesCounted(monkeypatch)


async def many(kit: SendingKit) -> SequenceRecord:
    """Enroll many into a sequence; all wait for their first text."""
    sequence = await kit.sequence("Hello", "Again")
    await kit.enroll_many(_COUNT, sequence)
    return sequence


async def held(kit: SendingKit) -> SequenceRecord:
    """Hold them all: each came due while its sender was on hold."""
    sequence = await many(kit)
    await kit.world.run(
        "UPDATE senders SET held_at = now() - interval '1 minute', next_probe_at = now()"
    )
    await kit.world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = 'sender_on_hold',"
        " next_send_at = NULL"
    )
    return sequence


async def phases(kit: SendingKit) -> Counter[str]:
    """Count enrollments by phase."""
    return Counter(row.activity for row in await kit.world.rows("SELECT activity FROM enrollments"))


async def signals(kit: SendingKit) -> Counter[UUID]:
    """Count the signals that wait for each enrollment."""
    query = "SELECT subject_id FROM outbox WHERE kind = 'signal_enrollment'"
    return Counter(row.subject_id for row in await kit.world.rows(query))


async def wakes_left(kit: SendingKit) -> list[str]:
    """Read the wakes that are still to be sent."""
    return [row.kind for row in await kit.world.rows("SELECT kind FROM wakes ORDER BY id")]


async def test_released_sender_wakes_in_pages(kit: SendingKit, pages: PagesCounted) -> None:
    """The first page goes before the answer, each other one later in its own transaction."""
    await held(kit)
    release = kit.services.holds.release_sender
    assert await release(kit.world.sender_id, kit.world.user_id) == _COUNT
    assert await phases(kit) == {"waiting": _PAGE, "held": _COUNT - _PAGE}
    assert await kit.services.waking.wake() == _COUNT - _PAGE
    assert list(pages.sizes.values()) == [10, 10, 10, 5]
    assert await phases(kit) == {"waiting": _COUNT}
    assert set((await signals(kit)).values()) == {1}
    assert len(await signals(kit)) == _COUNT
    assert await wakes_left(kit) == []


async def test_pages_continue_where_a_process_died(kit: SendingKit, pages: PagesCounted) -> None:
    """The rows say what is left: another process finds it."""
    await held(kit)
    await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
    pages.fails_at = 3
    with pytest.raises(ConnectionResetError):
        await kit.services.waking.wake()
    assert await phases(kit) == {"waiting": 2 * _PAGE, "held": _COUNT - 2 * _PAGE}
    pages.fails_at = None
    await kit.services.waking.wake()
    await kit.services.outbox.drain()
    assert await phases(kit) == {"waiting": _COUNT}
    woken = [one for kind, one, signal, _ in kit.temporal.told if signal == "reconsider"]
    assert (len(woken), len(set(woken))) == (_COUNT, _COUNT)


async def test_several_processes_wake_each_enrollment_once(kit: SendingKit) -> None:
    """Processes that wake at the same time take different pages."""
    await held(kit)
    await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
    others = [Waking(kit.world.database) for _ in range(4)]
    done = await asyncio.gather(*(one.wake() for one in others))
    await kit.services.waking.wake()
    assert sum(done) <= _COUNT - _PAGE
    assert await phases(kit) == {"waiting": _COUNT}
    assert set((await signals(kit)).values()) == {1}


async def test_sender_held_again_meanwhile_keeps_the_rest_held(kit: SendingKit) -> None:
    """Each page reads the sender's current state."""
    await held(kit)
    await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
    await kit.world.run("UPDATE senders SET held_at = now(), next_probe_at = now()")
    assert await kit.services.waking.wake() == 0
    assert await phases(kit) == {"waiting": _PAGE, "held": _COUNT - _PAGE}
    assert await wakes_left(kit) == []


async def test_text_accepted_before_a_hold_does_not_end_it(kit: SendingKit) -> None:
    """The sender went on hold again after the answer, which proves nothing about it now."""
    await held(kit)
    [row] = await kit.world.rows("SELECT held_at FROM senders")
    async with kit.world.database.transaction() as tx:
        earlier = row.held_at - timedelta(seconds=1)
        await holds.end_hold(tx, kit.world.sender_id, proven_at=earlier)
    assert (await kit.sender()).held_at == row.held_at
    assert await wakes_left(kit) == []


async def test_enrollment_that_just_found_the_hold_is_woken(kit: SendingKit) -> None:
    """A decision that read the hold may be written only after the release."""
    enrollment = await kit.enroll()
    await kit.world.run("UPDATE senders SET held_at = now(), next_probe_at = now()")
    async with kit.world.database.transaction() as tx:
        lock = "SELECT id FROM enrollments WHERE id = :id FOR UPDATE"
        await tx.execute(text(lock), {"id": enrollment})
        looking = asyncio.create_task(kit.run_step(enrollment))
        # It has the sender's lock, and waits for the row's.
        await until_done_or_blocked(kit.world.database, looking)
        release = kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
        releasing = asyncio.create_task(release)
        await until_done_or_blocked(kit.world.database, releasing, others=1)
        assert not releasing.done()
    await asyncio.gather(looking, releasing)
    await kit.services.waking.wake()
    row = await kit.row(enrollment)
    assert (row.activity, row.held_reason) in {("waiting", None), ("awaiting_reply", None)}


async def test_resumed_sequence_wakes_in_pages(kit: SendingKit, pages: PagesCounted) -> None:
    """Enrollments that a person paused stay paused."""
    sequence = await many(kit)
    await kit.services.sequences.pause(sequence.id)
    await kit.world.run("UPDATE enrollments SET activity = 'paused', next_send_at = NULL")
    [alone] = await kit.world.rows("SELECT id FROM enrollments ORDER BY id OFFSET 17 LIMIT 1")
    await kit.world.run("UPDATE enrollments SET paused_at = now() WHERE id = :id", id=alone.id)
    await kit.services.sequences.resume(sequence.id)
    await kit.services.waking.wake()
    assert await phases(kit) == {"waiting": _COUNT - 1, "paused": 1}
    assert list(pages.sizes.values()) == [10, 10, 10, 4]


async def test_reply_window_is_applied_in_pages(kit: SendingKit, pages: PagesCounted) -> None:
    """Setting the same window again signals no enrollment."""
    sequence = await many(kit)
    await kit.world.run(
        "UPDATE enrollments SET activity = 'awaiting_reply', position = 3, last_sent_at = now(),"
        " next_send_at = NULL, due_at = NULL, reply_until = now() + interval '7 days'"
    )
    change = SequenceChange(reply_window_seconds=3600)
    await kit.services.sequences.change(sequence.id, change, kit.world.user_id)
    await kit.services.waking.wake()
    async with kit.world.database.transaction() as tx:
        await wakes.add(tx, WakeKind.REPLY_WINDOW, [sequence.id])
    await kit.services.waking.wake()
    assert [size for size in pages.sizes.values() if size] == [10, 10, 10, 5]
    rows = await kit.world.rows("SELECT DISTINCT reply_until FROM enrollments")
    assert [about(row.reply_until, timedelta(hours=1)) for row in rows] == [True]
    assert set((await signals(kit)).values()) == {1}


async def test_send_window_is_applied_in_pages(kit: SendingKit, pages: PagesCounted) -> None:
    """Only enrollments that wait for a step are signaled."""
    sequence = await many(kit)
    [ended] = await kit.world.rows("SELECT id FROM enrollments ORDER BY id LIMIT 1")
    await kit.services.finishing.mark_finished([ended.id], kit.world.user_id)
    change = SequenceChange(send_window={"mon": ("09:00", "17:00")})
    await kit.services.sequences.change(sequence.id, change, kit.world.user_id)
    await kit.services.waking.wake()
    assert max(pages.sizes.values()) <= _PAGE
    assert sum(pages.sizes.values()) == _COUNT - 1


async def test_sweep_wakes_enrollments_without_a_wake(kit: SendingKit, pages: PagesCounted) -> None:
    """As when a process of an older build died between release and wake."""
    await held(kit)
    await kit.world.run("UPDATE senders SET held_at = NULL, next_probe_at = NULL")
    await kit.services.sweep.sweep()
    assert await phases(kit) == {"waiting": _PAGE, "held": _COUNT - _PAGE}
    await kit.services.waking.wake()
    assert await phases(kit) == {"waiting": _COUNT}
    assert max(pages.sizes.values()) <= _PAGE


async def test_wake_of_a_newer_build_is_left_to_it(kit: SendingKit) -> None:
    """It does not block other wakes."""
    await kit.world.run("INSERT INTO wakes (kind, subject_id) VALUES ('dream', gen_random_uuid())")
    await held(kit)
    await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
    await kit.services.waking.wake()
    assert await phases(kit) == {"waiting": _COUNT}
    assert await wakes_left(kit) == ["dream"]


async def test_waking_continues_in_the_background(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs in every process and survives an outage of PostgreSQL."""
    monkeypatch.setattr("services.enrollments.waking._LOOK_SECONDS", 0.01)
    await held(kit)
    await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
    take, failures = wakes.take, iter([True])

    async def taken(tx: Transaction) -> wakes.Wake | None:
        if next(failures, False):
            raise ConnectionResetError
        return await take(tx)

    monkeypatch.setattr(wakes, "take", taken)
    running = asyncio.create_task(kit.services.waking.run())

    async def all_woken() -> bool:
        return await phases(kit) == {"waiting": _COUNT}

    await until(all_woken)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
