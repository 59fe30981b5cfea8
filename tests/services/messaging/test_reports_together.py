"""Delivery reports that share a transaction: what they cost, and that each has its own effect."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text as sql

from domain.messaging.inbound import StatusReport
from domain.messaging.interpreting import interpret
from services.messaging import applying
from services.messaging import status_callbacks as reports_service
from services.messaging.status_callbacks import StatusCallbacks
from services.platform.group_commit import GroupLimits
from storage.messaging import inbound as rows
from storage.platform.locks import lock_numbers
from tests.kits.conversations import (
    ACTIVE,
    FAILED,
    OMITTED_OPTED_OUT,
    Person,
    Sent,
    Talk,
    new_sid,
    talking,
)
from tests.kits.query_plans import asked_of

MOST_STATEMENTS = 7
"""Of a transaction, whatever the number of reports."""

WORDS = ("sending", "sent", "delivered", "undelivered", "failed", "read")


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


async def texted(talk: Talk, count: int) -> list[tuple[Person, Sent]]:
    """Enroll people, and send each the first text."""
    people = await talk.crowd(await talk.sequence(), count)
    return [(person, await talk.send(person)) for person in people]


def report(sent: Sent, status: str = "delivered", code: int | None = None) -> StatusReport:
    payload = {"MessageStatus": status, "To": "+12125550100"}
    return StatusReport(sent.sid, status, code, sent.attempt_id, "+14155550100", payload)


async def stored(talk: Talk, sid: str) -> list[Any]:
    query = "SELECT * FROM status_events WHERE provider_sid = :sid ORDER BY status"
    return list(await talk.rows(query, sid=sid))


async def states(talk: Talk, people: Sequence[Person]) -> list[tuple[Any, ...]]:
    """Everything that reports change, without ids and times."""
    found = []
    for person in people:
        row = await talk.row(person)
        [attempt] = await talk.attempts(person)
        found.append(
            (
                (row.status, row.activity, row.held_reason, row.step, row.position),
                (attempt.outcome, attempt.provider_status, attempt.reported_failed),
                (attempt.message_status, attempt.message_code, attempt.from_phone),
                sorted(await talk.signals(person)),
                [one.source for one in await talk.suppressions(person.phone)],
            )
        )
    return found


async def test_twenty_reports_cost_as_many_statements_as_two(talk: Talk) -> None:
    sent = [one for _, one in await texted(talk, 22)]
    counts = []
    for some in (sent[:2], sent[2:]):
        async with asked_of(talk.database) as statements:
            assert await talk.status_callbacks.apply_together([report(one) for one in some]) == []
        counts.append(len(statements))
    assert counts[0] == counts[1] <= MOST_STATEMENTS
    for one in sent:
        [kept] = await stored(talk, one.sid)
        assert kept.applied_at is not None
        assert kept.payload["from_phone"] == "+14155550100"


async def test_each_report_finds_its_text_by_our_id_or_the_providers(talk: Talk) -> None:
    (one, by_attempt), (other, by_sid) = await texted(talk, 2)
    unknown = StatusReport(new_sid(), "delivered", None, None, "+14155550100", {"To": "+1212"})
    some = [
        report(by_attempt, "sent"),
        StatusReport(by_sid.sid, "delivered", None, None, None, {}),
        unknown,
    ]

    assert await talk.status_callbacks.apply_together(some) == []

    [[first], [second]] = [await talk.attempts(one), await talk.attempts(other)]
    assert (first.provider_status, second.provider_status) == ("sent", "delivered")
    assert (first.message_status, second.message_status) == ("sent", "delivered")
    [kept] = await stored(talk, unknown.sid)
    assert kept.applied_at is not None
    assert kept.payload == {"from_phone": None}, "whose numbers they are is not known"


async def test_report_that_changes_more_than_its_text_goes_alone(talk: Talk) -> None:
    (failed, first), (opted_out, second), (fine, third) = await texted(talk, 3)
    some = [report(first, "failed", 30005), report(second, "failed", 21610), report(third)]

    left = await talk.status_callbacks.apply_together(some)

    assert list(left) == some[:2]
    assert await stored(talk, first.sid) == []
    await asyncio.gather(*map(talk.status_callbacks.receive, some))
    assert await talk.statuses(failed, opted_out, fine) == [FAILED, OMITTED_OPTED_OUT, ACTIVE]
    for sent in (first, second, third):
        [kept] = await stored(talk, sent.sid)
        assert kept.applied_at is not None


async def test_number_that_is_not_free_holds_up_no_other(talk: Talk) -> None:
    (held, first), (free, second) = await texted(talk, 2)
    async with talk.database.transaction() as sender:
        await lock_numbers(sender, [held.phone])
        waiting = [
            asyncio.create_task(talk.status_callbacks.receive(report(one)))
            for one in (first, second)
        ]
        await asyncio.wait_for(waiting[1], 10)
        [attempt] = await talk.attempts(free)
        assert attempt.provider_status == "delivered"
        assert not waiting[0].done()
    await waiting[0]
    [attempt] = await talk.attempts(held)
    assert attempt.provider_status == "delivered"


async def test_report_that_cannot_be_interpreted_spoils_no_other(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = await texted(talk, 3)
    [_, (_, broken), _] = people

    def fail(attempt: Any, *others: Any) -> Any:
        if attempt.id == broken.attempt_id:
            raise RuntimeError
        return interpret(attempt, *others)

    monkeypatch.setattr(applying, "interpret", fail)
    await asyncio.gather(*(talk.status_callbacks.receive(report(sent)) for _, sent in people))
    found = [(await talk.attempts(person))[0].provider_status for person, _ in people]
    assert found == ["delivered", "queued", "delivered"]
    [kept] = await stored(talk, broken.sid)
    assert kept.applied_at is None

    monkeypatch.undo()
    await talk.status_callbacks.receive(report(broken))
    assert len(await stored(talk, broken.sid)) == 1
    [kept] = await stored(talk, broken.sid)
    assert kept.applied_at is not None
    [attempt] = await talk.attempts(people[1][0])
    assert attempt.provider_status == "delivered"


async def test_reports_wait_for_a_row_no_longer_than_their_patience(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_service, "LOCK_PATIENCE", reports_service.LOCK_PATIENCE / 10)
    (_, first), (stuck, second) = await texted(talk, 2)
    some = [report(first), report(second)]
    async with talk.database.transaction() as other:
        await other.execute(
            sql("SELECT FROM attempts WHERE id = :id FOR UPDATE"), {"id": second.attempt_id}
        )
        together = asyncio.create_task(talk.status_callbacks._apply_together(some))
        assert list(await asyncio.wait_for(together, 10)) == some
        assert await stored(talk, first.sid) == []
    await asyncio.gather(*map(talk.status_callbacks.receive, some))
    [attempt] = await talk.attempts(stuck)
    assert attempt.provider_status == "delivered"


async def test_two_reports_on_one_text_do_not_share_a_transaction(talk: Talk) -> None:
    """Whatever the ids by which they find it."""
    [(person, sent)] = await texted(talk, 1)
    other = StatusReport(new_sid(), "undelivered", 30003, sent.attempt_id, None, {})
    some = [report(sent), other]
    assert list(await talk.status_callbacks.apply_together(some)) == [other]
    [attempt] = await talk.attempts(person)
    assert attempt.provider_status == "delivered"


async def test_report_that_was_kept_before_is_applied_with_others(talk: Talk) -> None:
    [(_, first), (_, second)] = await texted(talk, 2)
    async with talk.database.transaction() as tx:
        await rows.keep_report(tx, report(first))
    for _ in range(2):
        both = [report(first), report(second)]
        assert await talk.status_callbacks.apply_together(both) == []
        for sent in (first, second):
            [kept] = await stored(talk, sent.sid)
            assert kept.applied_at is not None


@pytest.mark.parametrize("seed", range(3))
async def test_reports_at_once_end_as_one_by_one(talk: Talk, seed: int) -> None:
    """Several on each text, in any order, some of them twice."""
    order = random.Random(seed)
    plans = [order.choices(WORDS, k=order.randint(1, 4)) for _ in range(8)]
    codes = {"undelivered": 30005, "failed": 30005}
    at_once = StatusCallbacks(talk.database, talk.rules, GroupLimits(together=5))
    results = []
    for together in (True, False):
        crowd = await texted(talk, len(plans))
        found = [
            report(sent, words[turn], codes.get(words[turn]))
            for turn in range(4)
            for (_, sent), words in zip(crowd, plans, strict=True)
            if turn < len(words)
        ]
        if together:
            await asyncio.gather(*map(at_once.receive, found))
        else:
            for one in found:
                await talk.status_callbacks.apply(one)
        results.append(await states(talk, [person for person, _ in crowd]))
    assert results[0] == results[1]
