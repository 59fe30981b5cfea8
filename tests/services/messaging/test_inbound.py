"""Inbound texts: replies, duplicates, and texts whose effects fail.

The rules: docs/design.md, "Inbound first".
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text as sql

from domain.messaging.ports import Accepted, OutcomeUnknown, SendRequest
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from domain.suppression.keywords import read
from services.messaging import inbound as inbound_service
from services.messaging.inbound import Inbound
from standalone.ports import free_port
from storage.enrollments import enrollments
from storage.messaging import inbound as inbound_rows
from storage.platform.database import Database, is_unavailable
from storage.platform.locks import lock_numbers
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    OPTED_OUT,
    RESPONDED,
    Sent,
    Talk,
    ago,
    new_sid,
    talking,
)


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


# What is a reply, and to whom


async def test_any_text_that_is_no_keyword_is_a_reply(talk: Talk) -> None:
    """Row "any inbound text that is no opt-out, opt-in or help keyword": words or a photo."""
    sequence = await talk.sequence()
    texts: list[dict[str, Any]] = [
        {"body": "Hello"},
        {"body": "Stop by at 5?"},
        {"body": "I cannot help you"},
        {"body": ""},
        {"body": "", "media": ["https://example.com/photo.jpg"]},
        {"body": "\U0001f44d"},
        {"body": "STOP it, YES?", "kind": ""},
    ]
    for facts in texts:
        person = await talk.texted(sequence=sequence)
        came = await talk.text(person, **facts)
        row = await talk.row(person)
        assert (row.status, row.activity, row.next_send_at) == (RESPONDED, None, None), facts
        assert row.replied_at == came.occurred_at
        assert row.ended_at is not None
        assert await talk.signals(person) == [("reply_received", RESPONDED)]
        [message] = await talk.received(person.phone)
        assert (message.body, message.is_reply, message.keyword) == (came.body, True, None)
        assert message.media_urls == list(came.media_urls)
        assert (message.contact_id, message.sender_id) == (person.contact_id, talk.sender_id)
        assert (message.status, message.occurred_at) == ("received", came.occurred_at)


async def test_webhook_is_dated_by_the_databases_clock(talk: Talk) -> None:
    """Row "any inbound text ...": the API's clock may be behind, and the reply be quick."""
    person = await talk.texted()
    text = replace(talk.inbound_text(person.phone), occurred_at=None)
    [before] = await talk.rows("SELECT clock_timestamp() AS at")
    await talk.inbound.receive(text)
    [after] = await talk.rows("SELECT clock_timestamp() AS at")
    row = await talk.row(person)
    assert row.status == RESPONDED
    assert before.at <= row.replied_at <= after.at
    [message] = await talk.received(person.phone)
    assert message.occurred_at == row.replied_at


async def test_help_and_info_are_neither_reply_nor_end(talk: Talk) -> None:
    """Row "HELP, INFO"."""
    person = await talk.texted()
    for body, kind in [("HELP", None), (" info. ", None), ("Ayuda", "HELP")]:
        await talk.text(person, body, kind=kind)
    assert await talk.statuses(person) == [ACTIVE]
    assert (await talk.row(person)).replied_at is None
    assert await talk.signals(person) == []
    kept = await talk.received(person.phone)
    assert [(one.keyword, one.is_reply) for one in kept] == [("help", False)] * 3
    assert isinstance(await talk.ledger.open_step(person.enrollment_id), SendRequest)


async def test_a_reply_reaches_every_enrollment_that_texted_from_that_sender(talk: Talk) -> None:
    """Row "any inbound text ...": every active enrollment of the number with the same sender."""
    other_id = uuid4()
    other_phone = await talk.number(other_id)
    first = await talk.texted()
    second = await talk.person(like=first)
    await talk.send(second)
    untexted = await talk.person(like=first)
    elsewhere = await talk.person(await talk.sequence(sender_id=other_id), like=first)
    await talk.send(elsewhere)
    stranger = await talk.texted()
    await talk.text(first)
    everyone = (first, second, untexted, elsewhere, stranger)
    assert await talk.statuses(*everyone) == [RESPONDED, RESPONDED, ACTIVE, ACTIVE, ACTIVE]
    await talk.text(first, to=other_phone)
    assert await talk.statuses(untexted, elsewhere) == [ACTIVE, RESPONDED]


async def test_open_and_unknown_attempts_and_one_offs_count_as_sent(talk: Talk) -> None:
    """Words "sent": a message with an attempt not proven refused, a one-off included."""
    is_open, unknown, refused, absent, one_off = [await talk.person() for _ in range(5)]
    await talk.open(is_open)
    await talk.answer(await talk.open(unknown), OutcomeUnknown())
    await talk.refuse(refused, 20429, 429)
    await talk.open(absent)
    await talk.run(
        "UPDATE attempts SET outcome = 'absent' WHERE message_id IN"
        " (SELECT id FROM messages WHERE enrollment_id = :id)",
        id=absent.enrollment_id,
    )
    await talk.one_off(one_off)
    people = (is_open, unknown, refused, absent, one_off)
    for person in people:
        await talk.text(person)
    assert await talk.statuses(*people) == [RESPONDED, RESPONDED, ACTIVE, ACTIVE, RESPONDED]


async def test_a_text_reported_failed_was_not_sent_but_an_undelivered_one_was(talk: Talk) -> None:
    """Words "sent": ``failed`` proves that the provider never sent it."""
    failed, undelivered = [await talk.person() for _ in range(2)]
    await talk.report(await talk.send(failed), "failed", 30001)
    await talk.report(await talk.send(undelivered), "undelivered", 30003)
    assert await talk.statuses(failed, undelivered) == [ACTIVE, ACTIVE]
    await talk.text(failed)
    await talk.text(undelivered)
    assert await talk.statuses(failed, undelivered) == [ACTIVE, RESPONDED]


async def test_the_messaging_service_a_text_names_is_its_sender(talk: Talk) -> None:
    """Row "any inbound text ...": the service if the text names one, else the number."""
    service_id, service = await talk.service()
    pool_number = f"+1628{talk.phones:07d}"
    by_service = await talk.person(await talk.sequence(sender_id=service_id))
    call = await talk.open(by_service)
    assert (call.from_phone, call.messaging_service_sid) == (None, service)
    await talk.answer(call, Accepted(new_sid(), MessageStatus.ACCEPTED))
    by_number = await talk.person(like=by_service)
    await talk.send(by_number)
    await talk.text(by_service, to=pool_number)
    assert await talk.statuses(by_service, by_number) == [ACTIVE, ACTIVE]
    await talk.text(by_service, to=talk.our_phone, service=service)
    assert await talk.statuses(by_service, by_number) == [RESPONDED, ACTIVE]
    await talk.text(by_service, to=talk.our_phone)
    assert await talk.statuses(by_number) == [RESPONDED]


async def test_a_services_own_number_is_known_from_what_went_out_from_it(talk: Talk) -> None:
    """Row "any inbound text ...": a pool number, learned from the answer or a report."""
    service_id, _ = await talk.service()
    sequence = await talk.sequence(sender_id=service_id)
    pool_number = f"+1628{talk.phones:07d}"
    from_answer, from_report = await talk.person(sequence), await talk.person(sequence)
    call = await talk.open(from_answer)
    await talk.answer(call, Accepted(new_sid(), MessageStatus.ACCEPTED, pool_number))
    await talk.report(await talk.send(from_report), "sent", from_phone=pool_number)
    for person in (from_answer, from_report):
        await talk.text(person, to=pool_number)
    assert await talk.statuses(from_answer, from_report) == [RESPONDED, RESPONDED]


async def test_number_of_an_unknown_service_counts_as_its_own_sender(
    talk: Talk,
) -> None:
    """Row "any inbound text ...": Twilio names a service that only Twilio knows."""
    answered, is_open = await talk.texted(), await talk.person()
    await talk.open(is_open)
    for person in (answered, is_open):
        await talk.text(person, service="MG" + "0" * 32)
    assert await talk.statuses(answered, is_open) == [RESPONDED, RESPONDED]


async def test_text_to_an_unknown_sender_is_stored_and_is_no_reply(talk: Talk) -> None:
    """Row "any inbound text ...": always stored in the conversation."""
    person = await talk.texted()
    await talk.text(person, to="+14159999999")
    assert await talk.statuses(person) == [ACTIVE]
    [message] = await talk.received(person.phone)
    assert (message.sender_id, message.contact_id) == (None, person.contact_id)


@pytest.mark.parametrize("phone", ["+19995550123", "72345", "whatsapp:+4915112345678"])
async def test_text_from_an_unknown_number_is_stored(talk: Talk, phone: str) -> None:
    """Row "any inbound text ...": always stored in the conversation."""
    await talk.text(phone, "Who is this?")
    [message] = await talk.received(phone)
    assert (message.contact_id, message.body, message.is_reply) == (None, "Who is this?", True)


async def test_text_from_a_former_number_is_a_reply_to_texts_sent_there(
    talk: Talk,
) -> None:
    """Row "any inbound text ...": enrollments that texted that number."""
    person = await talk.texted()
    await talk.run(
        "UPDATE contacts SET phone = :phone WHERE id = :id",
        phone=f"+1303{talk.phones:07d}",
        id=person.contact_id,
    )
    await talk.text(person)
    assert await talk.statuses(person) == [RESPONDED]
    [message] = await talk.received(person.phone)
    assert message.contact_id == person.contact_id


async def test_a_text_older_than_the_first_attempt_is_no_reply(talk: Talk) -> None:
    """A fetched text is a reply only if it is later than the first attempt."""
    person = await talk.texted()
    await talk.text(person, at=ago(minutes=5))
    assert await talk.statuses(person) == [ACTIVE]
    assert len(await talk.received(person.phone)) == 1


# What a reply does


async def test_policy_finish_ends_at_once_and_nothing_more_is_sent(talk: Talk) -> None:
    """Row "reply, policy finish"."""
    person = await talk.texted()
    await talk.text(person)
    state = await talk.ledger.open_step(person.enrollment_id)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", RESPONDED)
    assert len(await talk.attempts(person)) == 1


async def test_reply_while_a_text_is_under_way_ends_the_enrollment(talk: Talk) -> None:
    """Row "reply, policy finish": the answer of the call changes nothing any more."""
    person = await talk.person()
    call = await talk.open(person)
    await talk.text(person)
    state = await talk.answer(call, Accepted(new_sid(), MessageStatus.QUEUED))
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", RESPONDED)
    assert await talk.statuses(person) == [RESPONDED]
    assert await talk.signals(person) == [("reply_received", RESPONDED)]


async def test_policy_continue_remembers_and_ends_with_the_last_text(talk: Talk) -> None:
    """Row "reply, policy continue": the steps go on; ends when the last text is accepted."""
    person = await talk.texted(steps=3, on_reply=CONTINUE)
    first = await talk.text(person)
    await talk.text(person, "And another thing")
    row = await talk.row(person)
    assert (row.status, row.replied_at) == (ACTIVE, first.occurred_at)
    assert await talk.signals(person) == []
    await talk.send(person)
    assert await talk.statuses(person) == [ACTIVE]
    call = await talk.open(person)
    await talk.text(person, "While the last one is under way")
    assert await talk.statuses(person) == [ACTIVE]
    state = await talk.answer(call, Accepted(new_sid(), MessageStatus.QUEUED))
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", RESPONDED)
    row = await talk.row(person)
    assert (row.status, row.replied_at, row.step) == (RESPONDED, first.occurred_at, 3)


async def test_policy_continue_ends_at_once_when_every_text_is_out(talk: Talk) -> None:
    """Row "reply, policy continue": during the reply window there is nothing to go on with."""
    person = await talk.texted(2, on_reply=CONTINUE)
    assert (await talk.row(person)).activity == "awaiting_reply"
    await talk.text(person)
    assert await talk.statuses(person) == [RESPONDED]
    assert await talk.signals(person) == [("reply_received", RESPONDED)]


async def test_a_remembered_reply_during_the_last_call_ends_it_by_the_report(talk: Talk) -> None:
    """Row "reply, policy continue": accepted is accepted, also by a report before the answer."""
    person = await talk.person(steps=1, on_reply=CONTINUE)
    call = await talk.open(person)
    await talk.text(person)
    sid = new_sid()
    await talk.report(Sent(call.attempt_id, sid), "queued")
    assert await talk.statuses(person) == [RESPONDED]
    state = await talk.answer(call, Accepted(sid, MessageStatus.QUEUED))
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", RESPONDED)


async def test_a_reply_after_a_final_status_leaves_it(talk: Talk) -> None:
    """Final statuses never change; see also ``test_text_kinds``, "Late"."""
    person = await talk.texted()
    await talk.run(
        "UPDATE enrollments SET status = 'finished_stopped', activity = NULL, ended_at = now()"
        " WHERE id = :id",
        id=person.enrollment_id,
    )
    before = await talk.row(person)
    await talk.text(person)
    await talk.text(person, "STOP")
    assert await talk.row(person) == before
    assert await talk.signals(person) == []
    assert len(await talk.received(person.phone)) == 2


# Once, whole, or kept


async def test_the_same_text_twice_and_ten_times_at_once_is_one_text(talk: Talk) -> None:
    """Texts are deduplicated by ``MessageSid``."""
    for body, status in [("Hello", RESPONDED), ("STOP", OPTED_OUT)]:
        person = await talk.texted()
        text = talk.inbound_text(person.phone, body)
        await asyncio.gather(*(talk.inbound.receive(text) for _ in range(10)))
        await talk.inbound.receive(text)
        assert (await talk.inbound.apply([text])).count == 0
        assert await talk.statuses(person) == [status]
        assert len(await talk.signals(person)) == 1
        assert len(await talk.received(person.phone)) == 1
        [event] = await talk.events(person.phone)
        assert event.applied_at is not None


@pytest.mark.parametrize("body", ["Hello", "STOP"])
async def test_a_text_whose_effect_fails_is_kept_blocks_sends_and_is_applied_later(
    talk: Talk, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """If the effect fails the event is still kept, and nothing is half done."""
    person = await talk.texted()
    other = await talk.person(like=person)
    before = await talk.row(person)

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(enrollments, "end_each", fail)
        came = await talk.text(person, body)
        await talk.inbound.receive(came)
        assert await talk.inbound.apply_kept() == 0
    [event] = await talk.events(person.phone)
    assert event.applied_at is None
    assert await talk.received(person.phone) == []
    assert await talk.suppressions(person.phone) == []
    assert await talk.row(person) == before
    assert await talk.signals(person) == []
    for blocked in (person, other):
        state = await talk.ledger.open_step(blocked.enrollment_id)
        assert isinstance(state, EnrollmentState)
        assert state.doing == "waiting"
        assert state.due_at is not None
        assert state.due_at > datetime.now(UTC) + timedelta(seconds=1)
    assert len(await talk.attempts(other)) == 0

    assert await talk.inbound.apply_kept() == 1
    assert await talk.inbound.apply_kept() == 0
    assert (await talk.row(person)).status == (OPTED_OUT if body == "STOP" else RESPONDED)
    assert len(await talk.received(person.phone)) == 1
    assert len(await talk.signals(person)) == 1


async def test_texts_that_cannot_be_applied_delay_no_later_one(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A STOP that was kept behind a heap of them has its effect."""
    people = [await talk.texted() for _ in range(3)]
    for person, body in zip(people, ["broken", "broken", "STOP"], strict=True):
        await talk.inbound.keep([replace(talk.inbound_text(person.phone), body=body)])

    def fail(body: str, kind: str | None) -> Any:
        if body == "broken":
            raise RuntimeError
        return read(body, kind)

    monkeypatch.setattr(inbound_service, "read", fail)
    assert await talk.inbound.apply_kept(limit=2) == 1
    assert (await talk.row(people[-1])).status == OPTED_OUT


async def test_a_kept_text_applied_twice_at_once_has_one_effect(talk: Talk) -> None:
    """The sweep and a repeated webhook may meet."""
    person = await talk.texted()
    text = talk.inbound_text(person.phone)
    async with talk.database.transaction() as tx:
        await inbound_rows.keep_texts(tx, [text])
    await asyncio.gather(
        talk.inbound.apply_kept(), talk.inbound.apply_kept(), talk.inbound.receive(text)
    )
    assert await talk.statuses(person) == [RESPONDED]
    assert len(await talk.received(person.phone)) == 1
    assert len(await talk.signals(person)) == 1


async def test_a_kept_text_keeps_the_reply_window_open(talk: Talk) -> None:
    """The reply that was kept is not lost to the window's end."""
    person = await talk.texted(2, reply_window_seconds=0)
    async with talk.database.transaction() as tx:
        await inbound_rows.keep_texts(tx, [talk.inbound_text(person.phone)])
    state = await talk.ledger.close_enrollment(person.enrollment_id)
    assert state.doing == "awaiting_reply"
    assert state.due_at is not None
    assert state.due_at > datetime.now(UTC)
    await talk.inbound.apply_kept()
    assert await talk.statuses(person) == [RESPONDED]


async def test_keeping_a_text_waits_for_the_numbers_lock(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No attempt is committed after a STOP was answered, even if it is not applied yet."""
    person = await talk.texted()

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(talk.inbound, "apply", fail)
    async with talk.database.transaction() as sender:
        await lock_numbers(sender, [person.phone])
        keeping = asyncio.create_task(talk.text(person, "STOP"))
        done, _ = await asyncio.wait({keeping}, timeout=0.3)
        assert not done
    await keeping
    assert len(await talk.events(person.phone)) == 1


async def test_a_deadlock_loses_no_text(talk: Talk) -> None:
    """As long as the database answers, the text is kept."""
    first = await talk.texted()
    second = await talk.person(like=first)
    async with talk.database.transaction() as other:
        await other.execute(
            sql("SELECT 1 FROM enrollments WHERE id = :id FOR UPDATE"),
            {"id": second.enrollment_id},
        )
        stop = asyncio.create_task(talk.text(first, "STOP"))
        done, _ = await asyncio.wait({stop}, timeout=0.3)
        assert not done
        await other.execute(
            sql("SELECT 1 FROM enrollments WHERE id = :id FOR UPDATE"),
            {"id": first.enrollment_id},
        )
    await stop
    [event] = await talk.events(first.phone)
    await talk.inbound.apply_kept()
    assert event.phone == first.phone
    assert [status.is_final for status in await talk.statuses(first, second)] == [True, True]


async def test_with_postgresql_away_the_text_is_refused(talk: Talk) -> None:
    """A text that cannot be kept must not be acknowledged."""
    away = Database(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - what it is, is the point
            await Inbound(away).receive(talk.inbound_text("+12125550123"))
        assert is_unavailable(caught.value)
    finally:
        await away.close()


@pytest.mark.parametrize("body", ["NUL \x00 inside", "half a pair \ud83d", "\\u0000", "'; --"])
async def test_text_with_unstorable_characters_is_kept(talk: Talk, body: str) -> None:
    """Characters that PostgreSQL cannot store are replaced."""
    person = await talk.texted()
    await talk.text(person, body)
    assert await talk.statuses(person) == [RESPONDED]
    [message] = await talk.received(person.phone)
    assert message.body == body.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
