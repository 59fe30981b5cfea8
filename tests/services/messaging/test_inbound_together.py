"""Inbound texts that share a transaction: what they cost, and that each has its own effect."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text as sql

from domain.messaging.inbound import InboundText
from domain.suppression.keywords import read
from services.messaging import inbound as inbound_service
from services.messaging.inbound import Inbound
from services.platform.group_commit import FullError, GroupLimits
from storage.platform.locks import lock_numbers
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    OPTED_OUT,
    RESPONDED,
    Person,
    Talk,
    ago,
    new_sid,
    talking,
)
from tests.kits.query_plans import asked_of

MOST_STATEMENTS = 20
"""Of a transaction with replies and opt-outs, whatever the number of texts."""

PATIENCE = timedelta(seconds=5)

PATIENT = GroupLimits(longest_wait=timedelta(minutes=1))
"""However slow the machine is."""


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


def texts_of(talk: Talk, people: Sequence[Person], bodies: Sequence[str]) -> list[InboundText]:
    return [
        talk.inbound_text(person.phone, bodies[place % len(bodies)])
        for place, person in enumerate(people)
    ]


async def test_twenty_texts_cost_as_many_statements_as_two(talk: Talk) -> None:
    sequence = await talk.sequence()
    people = await talk.crowd(sequence, 23, texts=1)
    counts = []
    for some, bodies in (
        (people[:1], ["Hello"]),
        (people[1:3], ["STOP", "Hello"]),
        (people[3:], ["STOP", "Hello"]),
    ):
        async with asked_of(talk.database) as statements:
            done = await talk.inbound.apply(texts_of(talk, some, bodies), patience=PATIENCE)
        assert (done.count, list(done.left)) == (len(some), [])
        counts.append(len(statements))
    one, two, twenty = counts
    assert one < two == twenty <= MOST_STATEMENTS
    statuses = await talk.statuses(*people[3:])
    assert statuses == [OPTED_OUT, RESPONDED] * 10


async def test_each_text_of_many_has_its_own_effect(talk: Talk) -> None:
    """Policies, keywords, a YES that opts in, a photo, an unclear text, a stranger."""
    goes_on = await talk.sequence(steps=3, on_reply=CONTINUE)
    bodies = ["Hello", "STOP", "HELP", "YES", "START", "Please stop texting me", ""]
    people = [await talk.texted() for _ in bodies]
    await talk.text(people[3], "STOP")
    await talk.text(people[4], "STOP")
    patient = await talk.texted(sequence=goes_on)
    texts = [
        *texts_of(talk, people, bodies),
        talk.inbound_text(patient.phone, "Tell me more"),
        talk.inbound_text("+19995550123", "Who is this?"),
    ]

    done = await talk.inbound.apply(texts, patience=PATIENCE)

    assert (done.count, list(done.left)) == (len(texts), [])
    assert await talk.statuses(*people, patient) == [
        *(RESPONDED, OPTED_OUT, ACTIVE, OPTED_OUT, OPTED_OUT, OPTED_OUT, RESPONDED, ACTIVE)
    ]
    assert (await talk.row(patient)).replied_at == texts[-2].occurred_at
    assert (await talk.row(people[0])).replied_at == texts[0].occurred_at
    suppressed = [len(await talk.suppressions(person.phone)) for person in people]
    assert suppressed == [0, 1, 0, 0, 0, 1, 0]
    for text in texts:
        message = (await talk.received(text.phone))[-1]
        assert (message.provider_sid, message.body) == (text.sid, text.body)
        assert message.occurred_at == text.occurred_at
        assert all(one.applied_at is not None for one in await talk.events(text.phone))
    assert await talk.signals(people[0]) == [("reply_received", RESPONDED)]
    assert await talk.signals(people[1]) == [("opted_out", OPTED_OUT)]
    assert await talk.signals(patient) == []


async def test_number_that_is_not_free_holds_up_no_other(talk: Talk) -> None:
    held, free = await talk.texted(), await talk.texted()
    async with talk.database.transaction() as sender:
        await lock_numbers(sender, [held.phone])
        waiting = [
            asyncio.create_task(talk.inbound.receive(talk.inbound_text(person.phone, "STOP")))
            for person in (held, free)
        ]
        await asyncio.wait_for(waiting[1], 10)
        assert not waiting[0].done()
        assert await talk.statuses(held, free) == [ACTIVE, OPTED_OUT]
    await waiting[0]
    assert await talk.statuses(held) == [OPTED_OUT]


async def test_what_goes_wrong_with_several_goes_alone(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One text cannot be applied: it is kept, and the others have their effect."""
    people = [await talk.texted() for _ in range(4)]

    def fail(body: str, kind: str | None) -> Any:
        if body == "broken":
            raise RuntimeError
        return read(body, kind)

    monkeypatch.setattr(inbound_service, "read", fail)
    texts = texts_of(talk, people, ["Hello", "broken", "STOP", "Hello"])
    await asyncio.gather(*map(talk.inbound.receive, texts))

    assert await talk.statuses(*people) == [RESPONDED, ACTIVE, OPTED_OUT, RESPONDED]
    [kept] = await talk.events(people[1].phone)
    assert kept.applied_at is None
    monkeypatch.undo()
    assert await talk.inbound.apply_kept() == 1
    assert await talk.statuses(people[1]) == [RESPONDED]


async def test_texts_wait_for_a_row_no_longer_than_their_patience(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds the enrollment of one: after the lock timeout each goes alone."""
    monkeypatch.setattr(inbound_service, "LOCK_PATIENCE", timedelta(milliseconds=50))
    stuck, free = await talk.texted(), await talk.texted()
    async with talk.database.transaction() as other:
        await other.execute(
            sql("SELECT FROM enrollments WHERE id = :id FOR UPDATE"), {"id": stuck.enrollment_id}
        )
        texts = texts_of(talk, [stuck, free], ["STOP"])
        together = asyncio.create_task(talk.inbound._apply_together(texts))
        assert list(await asyncio.wait_for(together, 10)) == texts
        assert await talk.statuses(stuck, free) == [ACTIVE, ACTIVE]
    for text in texts:
        await talk.inbound.receive(text)
    assert await talk.statuses(stuck, free) == [OPTED_OUT, OPTED_OUT]


async def test_texts_of_one_number_keep_their_order(talk: Talk) -> None:
    people = [await talk.texted() for _ in range(5)]
    orders = (["STOP", "START"], ["START", "STOP"])
    texts = [
        talk.inbound_text(person.phone, orders[place % 2][turn])
        for turn in range(2)
        for place, person in enumerate(people)
    ]

    await asyncio.gather(*map(talk.inbound.receive, texts))

    suppressed = [len(await talk.suppressions(person.phone)) for person in people]
    assert suppressed == [0, 1, 0, 1, 0]
    for place, person in enumerate(people):
        assert [one.body for one in await talk.received(person.phone)] == orders[place % 2]


async def test_two_numbers_of_one_contact_do_not_share_a_transaction(talk: Talk) -> None:
    """A reply from the former number, then a STOP from the one they have now."""
    person = await talk.texted()
    now = f"+1303{talk.phones:07d}"
    query = "UPDATE contacts SET phone = :phone WHERE id = :id"
    await talk.run(query, phone=now, id=person.contact_id)
    texts = [talk.inbound_text(person.phone), talk.inbound_text(now, "STOP")]

    done = await talk.inbound.apply(texts, patience=PATIENCE)

    assert (done.count, list(done.left)) == (1, texts[1:])
    assert await talk.statuses(person) == [RESPONDED]
    [kept] = await talk.events(now)
    assert kept.applied_at is None
    assert await talk.inbound.apply_kept() == 1
    assert await talk.statuses(person) == [RESPONDED]
    assert len(await talk.suppressions(now)) == 1


async def test_text_that_was_applied_before_is_not_applied_again(talk: Talk) -> None:
    first, second = await talk.texted(), await talk.texted()
    texts = texts_of(talk, [first, second], ["Hello"])
    await talk.inbound.receive(texts[0])

    done = await talk.inbound.apply(texts, patience=PATIENCE)

    assert (done.count, list(done.left)) == (1, [])
    assert len(await talk.received(first.phone)) == 1


async def test_kept_texts_are_applied_together_oldest_first(talk: Talk) -> None:
    people = [await talk.texted() for _ in range(3)]
    texts = [
        talk.inbound_text(person.phone, body, at=ago(seconds=seconds))
        for person in people
        for body, seconds in (("STOP", 2), ("START", 1))
    ]
    await talk.inbound.keep(texts)

    assert await talk.inbound.apply_kept() == len(texts)
    assert await talk.inbound.apply_kept() == 0

    assert [len(await talk.suppressions(person.phone)) for person in people] == [0, 0, 0]


async def test_text_beyond_the_limit_is_refused_and_not_kept(talk: Talk) -> None:
    person, other = await talk.texted(), await talk.texted()
    inbound = Inbound(talk.database, GroupLimits(waiting=1))
    async with talk.database.transaction() as sender:
        await lock_numbers(sender, [person.phone])
        first = asyncio.create_task(inbound.receive(talk.inbound_text(person.phone)))
        await asyncio.sleep(0)
        assert inbound.is_full
        with pytest.raises(FullError):
            await inbound.receive(talk.inbound_text(other.phone, "STOP"))
    await first
    assert await talk.events(other.phone) == []
    assert not inbound.is_full


async def test_numbers_that_others_hold_for_long_keep_no_other_text_waiting(talk: Talk) -> None:
    """As many as there are slots for texts that go alone."""
    limits = GroupLimits(alone=2, longest_wait=timedelta(minutes=1))
    inbound = Inbound(talk.database, limits)
    stuck = [await talk.texted() for _ in range(limits.alone)]
    person = await talk.texted()
    async with talk.database.transaction() as frozen:
        await lock_numbers(frozen, [one.phone for one in stuck])
        waiting = [
            asyncio.create_task(inbound.receive(talk.inbound_text(one.phone, "STOP")))
            for one in stuck
        ]
        await asyncio.sleep(0.1)
        async with talk.database.transaction() as sender:
            await lock_numbers(sender, [person.phone])
            text = asyncio.create_task(inbound.receive(talk.inbound_text(person.phone, "STOP")))
            await asyncio.sleep(0.1)
        await asyncio.wait_for(text, 10)
        assert await talk.statuses(person, *stuck) == [OPTED_OUT] + [ACTIVE] * len(stuck)
        assert not any(one.done() for one in waiting)
    await asyncio.gather(*waiting)
    assert await talk.statuses(*stuck) == [OPTED_OUT] * len(stuck)


async def test_texts_at_once_end_as_one_by_one(talk: Talk) -> None:
    """Twelve numbers, two texts each; the same texts one by one to as many others."""
    sequence = await talk.sequence()
    pairs = [("Hello", "STOP"), ("STOP", "START"), ("HELP", "Hello"), ("YES", "STOP")]
    inbound = Inbound(talk.database, PATIENT)
    results = []
    for at_once in (True, False):
        people = await talk.crowd(sequence, 12, texts=1)
        texts = [
            talk.inbound_text(person.phone, pairs[place % len(pairs)][turn], sid=new_sid())
            for turn in range(2)
            for place, person in enumerate(people)
        ]
        if at_once:
            await asyncio.gather(*map(inbound.receive, texts))
        else:
            for text in texts:
                await talk.inbound.apply([text])
        results.append([await outcome(talk, person) for person in people])
    assert results[0] == results[1]
    assert {status for status, *_ in results[0]} == {RESPONDED, OPTED_OUT}


async def outcome(talk: Talk, person: Person) -> tuple[Any, ...]:
    """Everything that texts changed, without ids and times."""
    return (
        (await talk.row(person)).status,
        await talk.signals(person),
        [(one.body, one.keyword, one.is_reply) for one in await talk.received(person.phone)],
        [one.source for one in await talk.suppressions(person.phone)],
        [one.applied_at is not None for one in await talk.events(person.phone)],
    )
