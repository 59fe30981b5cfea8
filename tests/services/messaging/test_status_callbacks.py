"""Status reports: kept once, in any order, and what they change.

The rules: docs/design.md, "Inbound first".
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messaging.inbound import StatusReport
from domain.messaging.ports import (
    Accepted,
    CanaryState,
    Listing,
    NeedsReconciliation,
    OutcomeUnknown,
    Refused,
    SendRequest,
)
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from domain.statuses.progress import DELIVERIES, from_provider, higher
from services.messaging import status_callbacks as status_callbacks_module
from services.messaging.applying import learn
from services.messaging.status_callbacks import StatusCallbacks
from standalone.ports import free_port
from storage.platform.database import Database, is_unavailable
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    FAILED,
    OMITTED_LANDLINE,
    OPTED_OUT,
    RESPONDED,
    Person,
    Sent,
    Talk,
    ago,
    new_sid,
    talking,
)
from tests.worlds import ongoing

REPORTED = "delivery_reported"
COURSE = ("queued", "sending", "sent", "delivered")
SIX = ("queued", "sending", "sent", "failed", "undelivered", "delivered")
"""A later one stands when both are said of a text."""
WORDS = (*COURSE, "accepted", "failed", "undelivered", "canceled", "read", "brand_new_word")


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


async def kept(talk: Talk, sid: str) -> list[Any]:
    return list(
        await talk.rows(
            "SELECT * FROM status_events WHERE provider_sid = :sid ORDER BY id", sid=sid
        )
    )


async def due_now(talk: Talk, person: Person) -> None:
    """Move past the wait after a passing failure."""
    await talk.run(
        "UPDATE enrollments SET due_at = now(), last_sent_at = NULL WHERE id = :id",
        id=person.enrollment_id,
    )
    await talk.run(
        "UPDATE messages SET next_try_at = NULL WHERE enrollment_id = :id", id=person.enrollment_id
    )


# Once, and in any order


def end_of(words: Sequence[str]) -> MessageStatus | None:
    """The state that reports in this order leave a text in."""
    state: MessageStatus | None = None
    for word in words:
        raised = higher(state, from_provider(word))
        assert raised is state or higher(raised, state or MessageStatus.PENDING) is raised
        state = raised
    return state


async def test_a_report_is_kept_once_per_message_status_and_error(talk: Talk) -> None:
    """Reports are stored under ``(MessageSid, status, error)``."""
    sent = await talk.send(await talk.person())
    for status, code in [("sent", None), ("sent", None), ("undelivered", 30008)] * 2:
        await talk.report(sent, status, code)
    await talk.report(sent, "undelivered", 30003, by_sid=True)
    rows = await kept(talk, sent.sid)
    assert [(row.status, row.error_code) for row in rows] == [
        ("sent", None),
        ("undelivered", 30008),
        ("undelivered", 30003),
    ]
    assert all(row.applied_at for row in rows)


async def test_the_same_report_ten_times_at_once_is_one_report(talk: Talk) -> None:
    """A callback may come twice."""
    person = await talk.person()
    sent = await talk.send(person)
    await asyncio.gather(*(talk.report(sent, "undelivered", 30003) for _ in range(10)))
    assert len(await kept(talk, sent.sid)) == 1
    assert await talk.signals(person) == [(REPORTED, None)]
    [message] = await talk.rows(
        "SELECT failed_tries FROM messages WHERE enrollment_id = :id", id=person.enrollment_id
    )
    assert message.failed_tries == 1


@given(st.lists(st.sampled_from(SIX), min_size=1), st.randoms())
def test_any_order_and_repetition_ends_the_same(words: list[str], random: Any) -> None:
    """Message states only move up; the best last word stands."""
    again = [*words, *random.choices(words, k=len(words))]
    random.shuffle(again)
    best = max(words, key=SIX.index)
    assert end_of(words) is end_of(again) is from_provider(best)


def test_every_order_of_up_to_six_reports_ends_the_same() -> None:
    """All 55,986 orders, with contradictions among them, end the same."""
    for count in range(1, 7):
        for words in itertools.product(SIX, repeat=count):
            assert end_of(words) is from_provider(max(words, key=SIX.index))


@given(st.permutations(WORDS), st.permutations(WORDS))
def test_the_last_state_does_not_depend_on_the_order(one: list[str], other: list[str]) -> None:
    """Message states only move up."""
    assert end_of(one) is end_of(other) is MessageStatus.READ
    assert end_of([word for word in one if word != "read"]) in DELIVERIES


async def test_reports_in_any_order_end_delivered_and_send_no_signal(talk: Talk) -> None:
    """``delivery_reported`` is signaled only when a report changes what the workflow waits for."""
    sequence = await talk.sequence()
    for order in list(itertools.permutations(COURSE))[::5]:
        person = await talk.person(sequence)
        sent = await talk.send(person)
        before = await talk.row(person)
        for status in [*order, *order[:2]]:
            await talk.report(sent, status)
        [attempt] = await talk.attempts(person)
        found = (attempt.provider_status, attempt.message_status)
        assert found == ("delivered", "delivered"), order
        assert await talk.row(person) == before, order
        assert await talk.signals(person) == [], order


@pytest.mark.parametrize("code", [30005, 30003], ids=["for good", "passing"])
@pytest.mark.parametrize("last", ["failed", "undelivered"])
async def test_stored_reports_in_any_order_end_in_the_same_rows(
    talk: Talk, last: str, code: int
) -> None:
    """Every order of a text's reports, each twice, leaves the same rows."""
    orders = list(itertools.permutations(("queued", "sending", "sent", last)))
    people = await talk.crowd(await talk.sequence(), len(orders))
    texts = await asyncio.gather(*map(talk.send, people))
    for turn in range(8):  # one report of each text at a time, which cost a transaction together
        words = [order[turn % 4] for order in orders]
        await asyncio.gather(
            *(
                talk.report(sent, word, code if word == last else None)
                for sent, word in zip(texts, words, strict=True)
            )
        )
    ends: dict[tuple[Any, ...], tuple[str, ...]] = {}
    for person, order in zip(people, orders, strict=True):
        row, [attempt] = await talk.row(person), await talk.attempts(person)
        end = (
            *(row.status, row.error_code, row.position, row.step, row.activity),
            *(attempt.message_status, attempt.message_code, attempt.provider_status),
            *await talk.signals(person),
        )
        ends.setdefault(end, order)
    assert len(ends) == 1, ends
    [end] = ends
    assert (end[0], end[5:8]) == (FAILED if code == 30005 else ACTIVE, (last, code, last))


async def test_contradicting_reports_end_delivered_in_every_order(talk: Talk) -> None:
    """All six reports, failed for good or not: the text ends delivered, nothing goes twice."""
    sequence = await talk.sequence()
    orders = list(itertools.permutations(SIX))
    for number, order in enumerate(orders[::71]):
        code = (30005, 30003)[number % 2]
        person = await talk.person(sequence)
        sent = await talk.send(person)
        for status in [*order, *order[:2]]:
            failure = status in {"failed", "undelivered"}
            await talk.report(sent, status, code if failure else None)
        [attempt] = await talk.attempts(person)
        end = (attempt.message_status, attempt.provider_status, attempt.reported_failed)
        assert end == ("delivered", "delivered", False), order
        next_action = await talk.ledger.open_step(person.enrollment_id)
        assert not isinstance(next_action, SendRequest) or next_action.body == "Text 2", order


async def test_reports_all_at_once_end_delivered(talk: Talk) -> None:
    """Reports come out of order, and at the same time."""
    person = await talk.person()
    call = await talk.open(person)
    sent = Sent(call.attempt_id, new_sid())
    await asyncio.gather(
        *(talk.report(sent, status) for status in COURSE),
        talk.answer(call, Accepted(sent.sid, MessageStatus.QUEUED, call.from_phone)),
    )
    [attempt] = await talk.attempts(person)
    assert (attempt.outcome, attempt.provider_sid) == ("accepted", sent.sid)
    assert (attempt.provider_status, attempt.message_status) == ("delivered", "delivered")
    row = await talk.row(person)
    assert (row.step, row.position, row.activity) == (1, 2, "waiting")
    assert await talk.signals(person) == []


# What a failure comes to


@pytest.mark.parametrize("status", ["undelivered", "failed"])
async def test_permanent_failures_fail_with_their_code(talk: Talk, status: str) -> None:
    """Row "permanent error"; 30008 and 30410 may have arrived: never again."""
    sequence = await talk.sequence(on_reply=CONTINUE)
    for code in (30005, 30007, 30008, 30410, 21211, 39999, None):
        person = await talk.person(sequence)
        sent = await talk.send(person)
        await talk.text(person)
        await talk.report(sent, status, code)
        row = await talk.row(person)
        assert (row.status, row.error_code, row.activity) == (FAILED, code, None), code
        assert row.replied_at is not None
        assert await talk.signals(person) == [(REPORTED, FAILED)]
        [attempt] = await talk.attempts(person)
        assert (attempt.message_status, attempt.message_code) == (status, code)
        reached = await talk.ledger.open_step(person.enrollment_id)
        assert isinstance(reached, EnrollmentState)
        assert reached.doing == "ended"


async def test_a_landline_is_omitted_if_nothing_was_delivered_else_failed(talk: Talk) -> None:
    """Row "landline": ``sent`` as the last word is not delivered; a reply makes delivered."""
    fresh, only_sent, delivered, was_read, replied = [
        await talk.person(on_reply=CONTINUE) for _ in range(5)
    ]
    for person, status in [(only_sent, "sent"), (delivered, "delivered"), (was_read, "read")]:
        await talk.report(await talk.send(person), status)
    last = [await talk.send(one) for one in (fresh, only_sent, delivered, was_read, replied)]
    await talk.text(replied)
    for sent in last:
        await talk.report(sent, "undelivered", 30006)
    assert await talk.statuses(fresh, only_sent) == [OMITTED_LANDLINE] * 2
    assert await talk.statuses(delivered, was_read, replied) == [FAILED] * 3
    [contact] = await talk.rows(
        "SELECT line_type FROM contacts WHERE id = :id", id=fresh.contact_id
    )
    assert contact.line_type == "landline"
    row = await talk.row(fresh)
    assert row.error_code == 30006


async def test_a_failed_one_off_ends_no_enrollment(talk: Talk) -> None:
    """Row "permanent error": a message *of the sequence*."""
    person = await talk.texted()
    await talk.report(await talk.one_off(person), "undelivered", 30005)
    assert await talk.statuses(person) == [ACTIVE]
    assert await talk.signals(person) == []
    assert isinstance(await talk.ledger.open_step(person.enrollment_id), SendRequest)


async def test_a_transient_failure_sends_the_same_step_again_and_says_so(talk: Talk) -> None:
    """Row "transient": in a later report, before any later step."""
    person = await talk.person(steps=3)
    first = await talk.send(person)
    second = await talk.send(person)
    await talk.report(first, "undelivered", 30003)
    row = await talk.row(person)
    assert (row.status, row.activity, row.position) == (ACTIVE, "waiting", 1)
    assert row.next_send_at > datetime.now(UTC) + timedelta(hours=1)
    assert await talk.signals(person) == [(REPORTED, None)]
    await due_now(talk, person)
    call = await talk.open(person)
    assert call.body == "Text 1"
    await talk.answer(call, Accepted(new_sid(), MessageStatus.QUEUED))
    assert (await talk.row(person)).position == 3
    await talk.report(second, "delivered")
    assert await talk.signals(person) == [(REPORTED, None)]


async def test_delivered_after_a_transient_failure_cancels_the_resend(talk: Talk) -> None:
    """Row "transient": between two last words the better one stands."""
    person = await talk.person(steps=2)
    sent = await talk.send(person)
    before = await talk.row(person)
    await talk.report(sent, "undelivered", 30003)
    await talk.report(sent, "delivered")
    row = await talk.row(person)
    assert (row.position, row.activity) == (2, "waiting")
    assert (row.due_at, row.last_sent_at) == (before.due_at, before.last_sent_at)
    assert await talk.signals(person) == [(REPORTED, None)] * 2
    [attempt] = await talk.attempts(person)
    assert (attempt.message_status, attempt.message_code) == ("delivered", None)
    assert (await talk.open(person)).body == "Text 2"


async def test_canceled_resend_keeps_the_distance_to_the_next_text(talk: Talk) -> None:
    """Row "due time, ongoing": delay from the acceptance of the text before."""
    steps = [ongoing("Text 1", 0), ongoing("Text 2", 0), ongoing("Text 3", 7200)]
    person = await talk.person(await talk.active(steps=steps))
    first = await talk.send(person)
    await talk.run(
        "UPDATE attempts SET started_at = :at WHERE id = :id", id=first.attempt_id, at=ago(hours=5)
    )
    await talk.run(
        "UPDATE messages SET occurred_at = :at WHERE enrollment_id = :id",
        id=person.enrollment_id,
        at=ago(hours=5),
    )
    await talk.send(person)
    before = await talk.row(person)
    await talk.report(first, "undelivered", 30003)
    await talk.report(first, "delivered")
    row = await talk.row(person)
    assert (row.position, row.due_at) == (3, before.due_at)
    assert (row.next_send_at, row.last_sent_at) == (before.next_send_at, before.last_sent_at)


async def test_a_transient_failure_after_delivered_sends_nothing_again(talk: Talk) -> None:
    """A failure reported after the delivery brings no earlier step back."""
    person = await talk.person(steps=3)
    first, second = await talk.send(person), await talk.send(person)
    await talk.report(second, "delivered")
    await talk.report(second, "undelivered", 30003)
    assert await talk.signals(person) == []
    assert (await talk.row(person)).position == 3
    await talk.report(first, "undelivered", 30003)
    await talk.report(first, "delivered")
    assert (await talk.row(person)).position == 3
    assert (await talk.open(person)).body == "Text 3"


async def test_a_delivered_report_for_an_attempt_given_up_sends_nothing_more(talk: Talk) -> None:
    """The text was sent again meanwhile."""
    person = await talk.person(steps=2)
    first = await talk.send(person)
    await talk.report(first, "undelivered", 30003)
    await due_now(talk, person)
    again = await talk.send(person)
    await talk.report(first, "delivered")
    await talk.report(again, "undelivered", 30003)
    attempts = await talk.attempts(person)
    assert [attempt.step for attempt in attempts] == [1, 1]


async def test_a_delivery_during_the_resend_leaves_one_live_attempt(talk: Talk) -> None:
    """The resend's call cannot be called back, nor is it repeated."""
    person = await talk.person(steps=2)
    first = await talk.send(person)
    await talk.report(first, "undelivered", 30003)
    await due_now(talk, person)
    call = await talk.open(person)
    await talk.report(first, "delivered")
    await talk.answer(call, Accepted(new_sid(), MessageStatus.QUEUED))
    row = await talk.row(person)
    assert (row.position, row.step) == (2, 1)


async def test_a_delivery_cancels_a_resend_that_was_refused(talk: Talk) -> None:
    """The text that arrived is not tried a third time."""
    person = await talk.person(steps=2)
    first = await talk.send(person)
    await talk.report(first, "undelivered", 30003)
    await due_now(talk, person)
    await talk.refuse(person, 20429, 429)
    await talk.report(first, "delivered")
    row = await talk.row(person)
    assert (row.position, row.step, row.activity) == (2, 1, "waiting")
    assert (await talk.open(person)).body == "Text 2"


# Before the answer


async def test_a_report_before_the_answer_advances_once(talk: Talk) -> None:
    """A callback may come before the send call has returned."""
    person = await talk.person()
    call = await talk.open(person)
    sent = Sent(call.attempt_id, new_sid())
    await talk.report(sent, "sent", from_phone=call.from_phone)
    row = await talk.row(person)
    assert (row.step, row.position, row.activity) == (1, 2, "waiting")
    [attempt] = await talk.attempts(person)
    assert (attempt.outcome, attempt.provider_sid) == ("accepted", sent.sid)
    assert attempt.from_phone == talk.our_phone
    assert await talk.signals(person) == []
    later = (
        Accepted(sent.sid, MessageStatus.QUEUED, call.from_phone),
        OutcomeUnknown(),
        Refused(0, None),
    )
    for answer in later:
        next_action = await talk.answer(call, answer)
        assert isinstance(next_action, EnrollmentState | NeedsReconciliation)
        assert await talk.row(person) == row
        [same] = await talk.attempts(person)
        assert same == attempt
    assert (await talk.open(person)).body == "Text 2"


async def test_report_proves_an_unknown_outcome(talk: Talk) -> None:
    """A callback that carries the attempt's id is proof."""
    person = await talk.person()
    call = await talk.open(person)
    await talk.answer(call, OutcomeUnknown())
    await talk.report(Sent(call.attempt_id, new_sid()), "delivered")
    row = await talk.row(person)
    assert (row.status, row.step, row.position) == (ACTIVE, 1, 2)
    listing = Listing(datetime.now(UTC), [], CanaryState.NONE)
    weighed = await talk.ledger.record_listing(call.attempt_id, listing)
    assert isinstance(weighed, EnrollmentState)


async def test_report_releases_an_enrollment_held_for_its_outcome(talk: Talk) -> None:
    """The enrollment is released, and its workflow gets a signal."""
    person = await talk.person()
    call = await talk.open(person)
    await talk.answer(call, OutcomeUnknown())
    await talk.run(
        "UPDATE attempts SET started_at = :at WHERE id = :id", id=call.attempt_id, at=ago(hours=2)
    )
    await talk.ledger.record_listing(call.attempt_id, None)
    assert (await talk.row(person)).held_reason == "outcome_unknown"
    await talk.report(Sent(call.attempt_id, new_sid()), "sent")
    row = await talk.row(person)
    assert (row.activity, row.held_reason, row.position) == ("waiting", None, 2)
    assert await talk.signals(person) == [(REPORTED, None)]


async def test_report_for_an_absent_attempt_cancels_the_next_one(talk: Talk) -> None:
    person = await talk.person()
    call = await talk.open(person)
    await talk.answer(call, OutcomeUnknown())
    long_ago = ago(hours=1)
    await talk.run(
        "UPDATE attempts SET absent_once_at = :at, call_before = :at WHERE id = :id",
        id=call.attempt_id,
        at=long_ago,
    )
    listing = Listing(datetime.now(UTC), [], CanaryState.NONE)
    await talk.ledger.record_listing(call.attempt_id, listing)
    assert [attempt.outcome for attempt in await talk.attempts(person)] == ["absent"]
    await talk.report(Sent(call.attempt_id, new_sid()), "delivered")
    assert (await talk.row(person)).position == 2
    assert await talk.signals(person) == [(REPORTED, None)]
    assert (await talk.open(person)).body == "Text 2"


async def test_a_failure_before_the_answer_counts(talk: Talk) -> None:
    """Row "transient", "permanent error": the answer that comes after changes nothing."""
    for code, status, position in [(30003, ACTIVE, 1), (30005, FAILED, 2), (21610, None, 2)]:
        person = await talk.person()
        call = await talk.open(person)
        sent = Sent(call.attempt_id, new_sid())
        await talk.report(sent, "undelivered", code)
        row = await talk.row(person)
        assert row.position == position
        assert row.status == (status or "omitted_opted_out")
        reached = await talk.answer(call, Accepted(sent.sid, MessageStatus.QUEUED))
        assert isinstance(reached, EnrollmentState)
        assert reached.status == row.status
        assert (reached.doing == "ended") is (status is not ACTIVE)
        assert reached.due_at == (row.next_send_at if status is ACTIVE else None)
        assert await talk.row(person) == row


# Nobody's, after the end, and kept


async def test_reports_on_unknown_texts_are_kept_and_change_nothing(talk: Talk) -> None:
    """Reports are stored, whatever they are about."""
    sid = new_sid()
    await talk.report(Sent(uuid4(), sid), "undelivered", 21610)
    await talk.report(Sent(uuid4(), sid), "delivered", by_sid=True)
    assert [row.status for row in await kept(talk, sid)] == ["undelivered", "delivered"]


async def test_after_the_end_only_messages_change(talk: Talk) -> None:
    """Final statuses never change; callbacks change only messages."""
    for status, code in [("delivered", None), ("undelivered", 30003), ("undelivered", 30006)]:
        person = await talk.person()
        sent = await talk.send(person)
        await talk.text(person)
        before, told = await talk.row(person), await talk.signals(person)
        await talk.report(sent, status, code)
        assert await talk.row(person) == before
        assert await talk.signals(person) == told
        [attempt] = await talk.attempts(person)
        assert (attempt.message_status, attempt.message_code) == (status, code)
    stopped = await talk.person()
    call = await talk.open(stopped)
    await talk.text(stopped, "STOP")
    await talk.report(Sent(call.attempt_id, new_sid()), "delivered")
    assert await talk.statuses(stopped, person) == [OPTED_OUT, RESPONDED]
    assert await talk.signals(stopped) == [("opted_out", OPTED_OUT)]
    [attempt] = await talk.attempts(stopped)
    assert attempt.message_status == "delivered"


async def test_a_report_whose_effect_fails_is_kept_and_applied_later(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports are stored, and may be applied right after."""
    person = await talk.person()
    sent = await talk.send(person)
    before = await talk.row(person)

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(status_callbacks_module, "learn", fail)
        await talk.report(sent, "undelivered", 30005, from_phone="+14155550123")
        assert await talk.status_callbacks.apply_kept() == 0
    assert await talk.row(person) == before
    [event] = await kept(talk, sent.sid)
    assert event.applied_at is None
    assert await talk.status_callbacks.apply_kept() == 1
    assert await talk.status_callbacks.apply_kept() == 0
    assert await talk.statuses(person) == [FAILED]
    [attempt] = await talk.attempts(person)
    assert attempt.from_phone == "+14155550123"
    await talk.report(sent, "undelivered", 30005)
    assert len(await talk.signals(person)) == 1


async def test_reports_that_cannot_be_applied_delay_no_later_one(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await talk.person() for _ in range(3)]
    texts = [await talk.send(person) for person in people]

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    async def fail_but_last(tx: Any, loaded: Any, *more: Any) -> None:
        if loaded[0].provider_sid != texts[-1].sid:
            raise RuntimeError
        await learn(tx, loaded, *more)

    monkeypatch.setattr(status_callbacks_module, "learn", fail)
    for sent in texts:
        await talk.report(sent, "undelivered", 30005)
    monkeypatch.setattr(status_callbacks_module, "learn", fail_but_last)
    assert await talk.status_callbacks.apply_kept(limit=2) == 1
    assert await talk.statuses(*people) == [ACTIVE, ACTIVE, FAILED]


async def test_with_postgresql_away_the_report_is_refused(talk: Talk) -> None:
    """A report that cannot be kept must not be acknowledged."""
    away = Database(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    try:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - what it is, is the point
            await StatusCallbacks(away, talk.rules).receive(
                StatusReport(new_sid(), "sent", None, None, None)
            )
        assert is_unavailable(caught.value)
    finally:
        await away.close()
