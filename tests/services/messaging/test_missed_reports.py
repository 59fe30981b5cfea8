"""States whose reports never came are looked up at growing ages."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.messaging.ports import ListedMessage, ProviderUnavailableError
from domain.statuses.messaging import MessageStatus
from services.maintenance.pruning import Pruning
from services.messaging import backfill
from tests.kits.sending import SendingKit

MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))


async def progress(kit: SendingKit) -> Any:
    [row] = await kit.world.rows("SELECT * FROM catch_up")
    return row


async def stuck(kit: SendingKit, status: MessageStatus, code: int | None = None) -> UUID:
    """Send a text whose reports never come, and set its state at the provider."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    listed = kit.gateway.messages[await kit.phone(enrollment)]
    listed[:] = [replace(one, status=status, error_code=code) for one in listed]
    return enrollment


async def swept(kit: SendingKit) -> int:
    """Run this part of the sweep; return how many states it fetched."""
    count = await kit.services.backfill.fetch_reports()
    await kit.services.outbox.drain()
    return count


async def test_unreported_delivery_is_found(kit: SendingKit) -> None:
    """Texts stuck before a final state are fetched."""
    enrollment = await stuck(kit, MessageStatus.DELIVERED)
    await kit.pass_time(9 * MINUTE)
    assert await swept(kit) == 0
    assert kit.gateway.fetched == []
    await kit.pass_time(2 * MINUTE)
    report = await kit.services.sweep.sweep()
    assert (report.failures, report.reports_fetched) == ([], 1)
    assert (await kit.message(enrollment)).status == "delivered"
    await kit.pass_time(10 * DAY)
    assert await swept(kit) == 0
    assert len(kit.gateway.fetched) == 1


@pytest.mark.parametrize(
    ("status", "code", "ends"),
    [
        (MessageStatus.UNDELIVERED, 30006, "omitted_landline"),
        (MessageStatus.UNDELIVERED, 30005, "failed"),
        (MessageStatus.FAILED, 21610, "omitted_opted_out"),
    ],
)
async def test_unreported_failure_has_the_effect_of_its_report(
    kit: SendingKit, status: MessageStatus, code: int, ends: str
) -> None:
    enrollment = await stuck(kit, status, code)
    await kit.pass_time(11 * MINUTE)
    assert await swept(kit) == 1
    row = await kit.row(enrollment)
    assert row.status == ends
    [attempt] = await kit.attempts(enrollment)
    assert (attempt.reported_failed, attempt.error_code) == (True, code)
    [(signal, told)] = kit.temporal.signals_to(enrollment)
    assert told == ends, signal


async def test_late_report_changes_nothing(kit: SendingKit) -> None:
    enrollment = await stuck(kit, MessageStatus.UNDELIVERED, 30001)
    await kit.pass_time(11 * MINUTE)
    assert await swept(kit) == 1
    [attempt] = await kit.attempts(enrollment)
    before = await kit.row(enrollment)
    await kit.report(attempt, "undelivered", 30001)
    assert await kit.row(enrollment) == before
    assert (await kit.message(enrollment)).failed_tries == 1


async def test_text_that_stays_sent_is_looked_up_a_limited_number_of_times(kit: SendingKit) -> None:
    """Bounded look-ups with growing intervals, and an end."""
    enrollment = await stuck(kit, MessageStatus.SENT)
    looked_up_at = []
    passed = 0
    for hour in [*range(6), *range(10, 14), *range(34, 38), *range(70, 74), 24 * 4]:
        await kit.pass_time((hour - passed) * HOUR)
        passed = hour
        before = len(kit.gateway.fetched)
        await swept(kit)
        looked_up_at += [hour] * (len(kit.gateway.fetched) - before)
    assert looked_up_at == [1, 4, 12, 36, 72]
    assert (await kit.message(enrollment)).status == "sent"
    assert (await kit.row(enrollment)).status == "active"


async def test_after_a_long_outage_one_look_up_is_enough(kit: SendingKit) -> None:
    await stuck(kit, MessageStatus.SENT)
    await kit.pass_time(30 * DAY)
    assert await swept(kit) == 1
    assert await swept(kit) == 0
    assert len(kit.gateway.fetched) == 1


async def test_text_unknown_to_the_provider_is_looked_up_once(kit: SendingKit) -> None:
    enrollment = await stuck(kit, MessageStatus.DELIVERED)
    kit.gateway.messages.clear()
    for _ in range(3):
        await kit.pass_time(HOUR)
        assert await swept(kit) == 0
    assert len(kit.gateway.fetched) == 1
    assert (await kit.message(enrollment)).status == "queued"


async def test_sweep_looks_up_all_texts_a_few_at_a_time(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is due is looked up in one sweep, or the backlog would only grow."""
    monkeypatch.setattr(backfill, "LOOK_UPS", 4)
    monkeypatch.setattr(backfill, "SIDE_BY_SIDE", 3)
    for _ in range(10):
        await stuck(kit, MessageStatus.DELIVERED)
    message, going, most = kit.gateway.message, 0, 0

    async def slow(sid: str) -> ListedMessage | None:
        nonlocal going, most
        going += 1
        most = max(most, going)
        await asyncio.sleep(0.01)
        going -= 1
        return await message(sid)

    monkeypatch.setattr(kit.gateway, "message", slow)
    await kit.pass_time(HOUR)
    assert [await swept(kit) for _ in range(2)] == [10, 0]
    assert most == 3


async def test_slow_look_ups_continue_in_the_next_sweep(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "AT_MOST", timedelta(0))
    monkeypatch.setattr(backfill, "SIDE_BY_SIDE", 2)
    for _ in range(5):
        await stuck(kit, MessageStatus.DELIVERED)
    await kit.pass_time(HOUR)
    assert [await swept(kit) for _ in range(4)] == [2, 2, 1, 0]


async def test_text_is_not_looked_up_after_a_month(kit: SendingKit) -> None:
    """A text that was never looked up leaves the index too."""
    await stuck(kit, MessageStatus.SENT)
    await kit.pass_time(31 * DAY)
    kit.gateway.lists_fail = True
    await swept(kit)
    await Pruning(kit.world.database, jobs_kept=30 * DAY).prune()
    kit.gateway.lists_fail = False
    assert await kit.world.rows("SELECT id FROM attempts WHERE unfinished") == []
    await kit.pass_time(HOUR)
    assert await swept(kit) == 0


async def test_look_up_that_always_fails_delays_no_other(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await stuck(kit, MessageStatus.DELIVERED)
    for _ in range(2):
        await stuck(kit, MessageStatus.DELIVERED)
    [attempt] = await kit.attempts(first)
    message = kit.gateway.message

    async def trouble(sid: str) -> ListedMessage | None:
        if sid == attempt.provider_sid:
            raise ProviderUnavailableError("this one")
        return await message(sid)

    monkeypatch.setattr(kit.gateway, "message", trouble)
    await kit.pass_time(11 * MINUTE)
    assert await swept(kit) == 2
    assert (await progress(kit)).failures == 0
    monkeypatch.undo()
    assert await swept(kit) == 1


async def test_two_failing_look_ups_delay_others_only_for_a_while(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = [await stuck(kit, MessageStatus.DELIVERED) for _ in range(3)]
    [fine] = await kit.attempts(three[2])
    message = kit.gateway.message

    async def trouble(sid: str) -> ListedMessage | None:
        if sid != fine.provider_sid:
            raise ProviderUnavailableError("these two")
        return await message(sid)

    monkeypatch.setattr(kit.gateway, "message", trouble)
    await kit.pass_time(5 * MINUTE)
    for _ in range(20):
        await kit.pass_time(6 * MINUTE)
        if await swept(kit):
            break
    assert (await kit.message(three[2])).status == "delivered"


async def test_failing_provider_is_not_asked_for_a_while(kit: SendingKit) -> None:
    for _ in range(3):
        await stuck(kit, MessageStatus.DELIVERED)
    await kit.pass_time(11 * MINUTE)
    kit.gateway.lists_fail = True
    assert await swept(kit) == 0
    kit.gateway.lists_fail = False
    assert await swept(kit) == 0
    await kit.pass_time(2 * MINUTE)
    assert await swept(kit) == 3
    assert (await progress(kit)).failures == 0
