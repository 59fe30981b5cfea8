"""Opting out and in again: keywords, the provider's refusals, and their order in time.

The rules: docs/design.md, "Replies and opt-outs".
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text as sql

from domain.messaging.ports import SendRequest
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.suppression import OptOutSource
from domain.suppression.keywords import OPT_OUT_WORDS
from services.sequences.sequences import SequenceChange
from services.suppression.opt_outs import opt_out
from storage.suppression import suppressions
from storage.suppression.suppressions import Evidence
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    FAILED,
    OMITTED_OPTED_OUT,
    OPTED_OUT,
    RESPONDED,
    Person,
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


async def refused(
    talk: Talk, person: Person, at: datetime | None = None, code: int = 21610
) -> UUID:
    """Refuse the next text of an enrollment, whose attempt began at a moment."""
    call = await talk.open(person)
    if at is not None:
        await begun(talk, call.attempt_id, at)
    await talk.report(Sent(call.attempt_id, new_sid()), "undelivered", code)
    return call.attempt_id


async def begun(talk: Talk, attempt_id: UUID, at: datetime) -> None:
    await talk.run("UPDATE attempts SET started_at = :at WHERE id = :id", id=attempt_id, at=at)


async def scopes(talk: Talk, phone: str) -> list[UUID | None]:
    """Return the senders that a number is suppressed for; None is all of them."""
    return [row.sender_id for row in await talk.suppressions(phone)]


# Opting out


async def test_every_spelling_of_every_keyword_opts_out(talk: Talk) -> None:
    """Suppressed with its evidence, ended, not a reply."""
    sequence = await talk.sequence(on_reply=CONTINUE)
    spellings = [*OPT_OUT_WORDS, "STOP", "Stop!", " stop\n", "Opt-Out", "STOP ALL", "\uff33TOP"]
    texts = [(word, None) for word in spellings]
    for body, kind in [*texts, ("no quiero", "STOP"), ("YES", "stop"), ("", "STOP")]:
        person = await talk.texted(sequence=sequence)
        came = await talk.text(person, body, kind=kind)
        row = await talk.row(person)
        assert (row.status, row.activity, row.replied_at) == (OPTED_OUT, None, None), body
        assert await talk.signals(person) == [("opted_out", OPTED_OUT)]
        [message] = await talk.received(person.phone)
        assert (message.keyword, message.is_reply) == ("opt_out", False)
        [evidence] = await talk.suppressions(person.phone)
        assert (evidence.source, evidence.sender_id) == (OptOutSource.KEYWORD, None)
        assert (evidence.message_id, evidence.attempt_id) == (message.id, None)
        assert evidence.occurred_at == came.occurred_at


async def test_clear_request_does_what_a_keyword_does(talk: Talk) -> None:
    """Suppressed with the text as evidence, all ended, not a reply."""
    first = await talk.texted(on_reply=CONTINUE)
    untexted = await talk.person(like=first)
    came = await talk.text(first, "Please stop texting me, I found a job. Thanks!")
    assert await talk.statuses(first, untexted) == [OPTED_OUT, OMITTED_OPTED_OUT]
    assert (await talk.row(first)).replied_at is None
    assert await talk.signals(first) == [("opted_out", OPTED_OUT)]
    [message] = await talk.received(first.phone)
    assert (message.keyword, message.is_reply) == ("plain_wish", False)
    [evidence] = await talk.suppressions(first.phone)
    assert (evidence.source, evidence.sender_id) == (OptOutSource.PLAIN_OPT_OUT, None)
    assert (evidence.message_id, evidence.occurred_at) == (message.id, came.occurred_at)
    assert evidence.asked
    assert await talk.rows("SELECT 1 FROM reviews WHERE message_id = :id", id=message.id) == []


async def test_unclear_request_is_a_reply_and_a_review(talk: Talk) -> None:
    """The reply policy applies, and nobody is suppressed."""
    finish, go_on = await talk.texted(), await talk.texted(on_reply=CONTINUE)
    for person, status in [(finish, RESPONDED), (go_on, ACTIVE)]:
        await talk.text(person, "Please stop texting me until Monday")
        assert await talk.statuses(person) == [status]
        assert (await talk.row(person)).replied_at is not None
        assert await talk.suppressions(person.phone) == []
        [message] = await talk.received(person.phone)
        assert (message.keyword, message.is_reply) == (None, True)
        [review] = await talk.rows("SELECT * FROM reviews WHERE message_id = :id", id=message.id)
        assert review.decision is None


async def test_provider_opt_out_type_comes_before_the_intent(talk: Talk) -> None:
    """``OptOutType`` first."""
    person = await talk.texted()
    await talk.text(person, "Please stop texting me", kind="HELP")
    assert await talk.statuses(person) == [ACTIVE]
    assert await talk.suppressions(person.phone) == []


async def test_a_stop_ends_every_enrollment_of_the_number(talk: Talk) -> None:
    """All senders, all sequences, opted out or omitted."""
    other_id = uuid4()
    await talk.number(other_id)
    first = await talk.texted()
    elsewhere = await talk.person(await talk.sequence(sender_id=other_id), like=first)
    await talk.send(elsewhere)
    is_open, untexted, one_off, refused_once, held, paused = [
        await talk.person(like=first) for _ in range(6)
    ]
    await talk.open(is_open)
    await talk.one_off(one_off)
    await talk.refuse(refused_once, 20429, 429)
    await talk.refuse(held, 21408)
    await talk.run(
        "UPDATE enrollments SET activity = 'paused' WHERE id = :id", id=paused.enrollment_id
    )
    stranger = await talk.texted()
    await talk.text(first, "STOP")
    assert await talk.statuses(first, elsewhere, is_open, one_off) == [OPTED_OUT] * 4
    omitted = (untexted, refused_once, held, paused)
    assert await talk.statuses(*omitted) == [OMITTED_OPTED_OUT] * 4
    assert await talk.statuses(stranger) == [ACTIVE]
    for person in omitted:
        assert await talk.signals(person) == [("opted_out", OMITTED_OPTED_OUT)]
        row = await talk.row(person)
        assert (row.activity, row.held_reason, row.held_code) == (None, None, None)


async def test_stop_to_an_unknown_number_suppresses(talk: Talk) -> None:
    """Whatever number of ours it came to."""
    person = await talk.texted()
    await talk.text(person, "STOP", to="+14159999999")
    assert await talk.statuses(person) == [OPTED_OUT]
    await talk.text("+19995550177", "STOP")
    assert await scopes(talk, "+19995550177") == [None]


async def test_a_stop_ends_an_enrollment_that_had_a_reply(talk: Talk) -> None:
    """A remembered reply does not keep it."""
    person = await talk.texted(on_reply=CONTINUE)
    await talk.text(person)
    await talk.text(person, "STOP")
    assert await talk.statuses(person) == [OPTED_OUT]
    assert (await talk.row(person)).replied_at is not None


async def test_21610_opts_out_at_once_and_later(talk: Talk) -> None:
    """Refused is not sent, an earlier text is."""
    now, later = await talk.person(), await talk.person()
    await talk.refuse(now, 21610)
    await talk.report(await talk.send(later), "undelivered", 21610)
    assert await talk.statuses(now, later) == [OMITTED_OPTED_OUT] * 2
    now_second, later_second = await talk.texted(), await talk.texted()
    beside = await talk.person(like=later_second)
    await talk.refuse(now_second, 21610)
    attempt_id = await refused(talk, later_second)
    assert await talk.statuses(now_second, later_second) == [OPTED_OUT] * 2
    assert await talk.statuses(beside) == [OMITTED_OPTED_OUT]
    assert await talk.signals(later_second) == [("opted_out", OPTED_OUT)]
    [evidence] = await talk.suppressions(later_second.phone)
    assert (evidence.source, evidence.sender_id) == (OptOutSource.PROVIDER_ERROR, None)
    assert (evidence.message_id, evidence.attempt_id) == (None, attempt_id)
    attempt = (await talk.attempts(later_second))[-1]
    assert evidence.occurred_at == attempt.started_at
    assert (await talk.row(later_second)).error_code == 21610


async def test_21610_after_the_end_still_suppresses(talk: Talk) -> None:
    """The enrollment is final, but the number is suppressed."""
    person = await talk.person()
    sent = await talk.send(person)
    other = await talk.person(like=person)
    await talk.text(person)
    await talk.report(sent, "failed", 21610)
    assert await talk.statuses(person, other) == [RESPONDED, OMITTED_OPTED_OUT]
    assert await scopes(talk, person.phone) == [None]


async def test_21610_of_a_one_off_suppresses_and_ends_its_enrollment(talk: Talk) -> None:
    """Whatever text it was."""
    person = await talk.texted()
    await talk.report(await talk.one_off(person), "undelivered", 21610)
    assert await talk.statuses(person) == [OPTED_OUT]
    assert await scopes(talk, person.phone) == [None]


async def test_30004_opts_out_from_a_toll_free_sender_only(talk: Talk) -> None:
    """A number, or a service's number."""
    toll_free_id, service_id = uuid4(), (await talk.service())[0]
    await talk.number(toll_free_id, prefix="+1888")
    toll_free = await talk.person(await talk.sequence(sender_id=toll_free_id))
    service = await talk.sequence(sender_id=service_id)
    pooled, pooled_early, pooled_long = [await talk.person(service) for _ in range(3)]
    long_code = await talk.person()
    await talk.report(await talk.send(toll_free), "undelivered", 30004)
    await talk.report(await talk.send(long_code), "undelivered", 30004)
    await talk.report(await talk.send(pooled), "undelivered", 30004, from_phone="+18885550100")
    early = Sent((await talk.open(pooled_early)).attempt_id, new_sid())
    await talk.report(early, "undelivered", 30004, from_phone="+18885550100")
    await talk.report(await talk.send(pooled_long), "undelivered", 30004, from_phone="+14155550100")
    opted_out = (toll_free, pooled, pooled_early)
    assert await talk.statuses(*opted_out) == [OMITTED_OPTED_OUT] * 3
    for person in opted_out:
        assert await scopes(talk, person.phone) == [None]
    assert await talk.statuses(long_code, pooled_long) == [FAILED] * 2
    assert await scopes(talk, long_code.phone) == []


async def test_suppression_is_checked_when_a_text_is_due(talk: Talk) -> None:
    """Checked again when a text would go."""
    person, begun_before = await talk.person(), await talk.texted()
    for one in (person, begun_before):
        await talk.suppress_by_hand(one.phone)
        assert isinstance(await talk.ledger.open_step(one.enrollment_id), EnrollmentState)
    assert await talk.statuses(person, begun_before) == [OMITTED_OPTED_OUT, OPTED_OUT]
    assert len(await talk.attempts(person)) == 0


# Opting in


@pytest.mark.parametrize(
    ("body", "kind"), [("START", None), ("unstop", None), ("Yes!", None), ("Hola", "START")]
)
async def test_opting_in_lifts_and_resumes_nothing(talk: Talk, body: str, kind: str | None) -> None:
    by_keyword, by_request, by_error = [await talk.texted() for _ in range(3)]
    await talk.text(by_keyword, "STOP", at=ago(minutes=5))
    await talk.text(by_request, "Leave me alone", at=ago(minutes=5))
    await refused(talk, by_error)
    for person in (by_keyword, by_request, by_error):
        before = await talk.row(person)
        assert before.status == OPTED_OUT
        came = await talk.text(person, body, kind=kind)
        assert await talk.suppressions(person.phone) == []
        [lifted] = await talk.suppressions(person.phone, standing=False)
        message = (await talk.received(person.phone))[-1]
        assert (lifted.lifted_message_id, lifted.lifted_at) == (message.id, came.occurred_at)
        assert (message.keyword, message.is_reply) == ("opt_in", False)
        assert await talk.row(person) == before
        again = await talk.person(like=person)
        assert isinstance(await talk.ledger.open_step(again.enrollment_id), SendRequest)


async def test_from_an_unsuppressed_number_yes_is_a_reply_start_and_unstop_are_nothing(
    talk: Talk,
) -> None:
    """Neither reply nor end; YES is what people answer."""
    for body, status in [("START", ACTIVE), ("Un-Stop", ACTIVE), ("YES", RESPONDED)]:
        person = await talk.texted()
        await talk.text(person, body)
        assert await talk.statuses(person) == [status]
        [message] = await talk.received(person.phone)
        assert (message.keyword, message.is_reply) == ("opt_in", status is RESPONDED)


async def test_no_text_lifts_an_opt_out_by_hand(talk: Talk) -> None:
    """Only from a number suppressed by a text or 21610."""
    alone, before_stop, after_stop, before_request = [await talk.texted() for _ in range(4)]
    for person in (alone, before_stop, before_request):
        await talk.suppress_by_hand(person.phone)
    await talk.text(before_stop, "STOP")
    await talk.text(before_request, "Please stop texting me")
    await talk.text(after_stop, "STOP")
    async with talk.database.transaction() as tx:
        at = ago(seconds=1)
        evidence = Evidence(after_stop.phone, OptOutSource.BY_HAND, at, user_id=talk.user_id)
        await opt_out(tx, [evidence])
    for person in (alone, before_stop, after_stop, before_request):
        await talk.text(person, "START")
        assert len(await talk.suppressions(person.phone)) == 1


async def test_yes_from_a_number_suppressed_by_hand_is_a_reply(talk: Talk) -> None:
    """There is nothing that it could lift, so it is a reply."""
    person = await talk.texted()
    await talk.suppress_by_hand(person.phone)
    await talk.text(person, "YES")
    assert await talk.statuses(person) == [RESPONDED]


# Order by the provider's time


async def test_an_old_stop_that_arrives_late_does_not_undo_a_later_start(talk: Talk) -> None:
    """Ordered by the provider's time."""
    person = await talk.texted()
    await talk.run(
        "UPDATE enrollments SET enrolled_at = :at WHERE id = :id",
        id=person.enrollment_id,
        at=ago(hours=1),
    )
    await talk.text(person, "START", at=ago(minutes=5))
    since = await talk.person(like=person)
    await talk.text(person, "STOP", at=ago(minutes=10))
    assert await scopes(talk, person.phone) == []
    assert await talk.statuses(person, since) == [OPTED_OUT, ACTIVE]
    await talk.text(person, "STOP", at=ago(minutes=1))
    assert await scopes(talk, person.phone) == [None]


async def test_an_old_21610_that_arrives_late_does_not_undo_a_later_start(talk: Talk) -> None:
    """A refusal is as old as its attempt."""
    person = await talk.texted()
    call = await talk.open(person)
    await begun(talk, call.attempt_id, ago(minutes=10))
    await talk.run(
        "UPDATE enrollments SET enrolled_at = :at WHERE id = :id",
        id=person.enrollment_id,
        at=ago(hours=1),
    )
    await talk.text(person, "START", at=ago(minutes=5))
    since = await talk.person(like=person)
    await talk.report(Sent(call.attempt_id, new_sid()), "undelivered", 21610)
    assert await scopes(talk, person.phone) == []
    assert await talk.statuses(person, since) == [OPTED_OUT, ACTIVE]


@pytest.mark.parametrize(
    ("facts", "suppressed"),
    [
        ([("STOP", 9), ("STOP", 5)], True),
        ([("STOP", 9), ("START", 5)], False),
        ([("STOP", 9), ("START", 5), ("STOP", 1)], True),
        ([("STOP", 9), ("STOP", 5), ("START", 7)], True),
        ([("STOP", 5), ("STOP", 9), ("START", 7)], True),
        ([("STOP", 9), ("STOP", 5), ("START", 1)], False),
        ([("STOP", 1), ("START", 5)], True),
        ([("START", 5), ("STOP", 1)], True),
        ([("START", 5), ("STOP", 9)], False),
        ([("START", 5), ("START", 9), ("STOP", 7)], False),
        ([("YES", 5), ("STOP", 9)], False),
        ([("STOP", 1), ("START", 5), ("STOP", 9)], True),
        ([("STOP", 5), ("START", 5)], False),
        ([("Wrong number", 9), ("START", 5)], False),
        ([("START", 5), ("Wrong number", 9)], False),
        ([("STOP", 9), ("YES", 5), ("Wrong number", 7)], False),
        ([("Wrong number", 7), ("YES", 5), ("STOP", 9)], False),
        ([("Wrong number", 5), ("STOP", 9), ("START", 7)], True),
    ],
)
async def test_latest_opt_out_or_opt_in_stands_in_any_order_of_arrival(
    talk: Talk, facts: list[tuple[str, int]], *, suppressed: bool
) -> None:
    """Minutes ago, in the order of arrival."""
    moment = ago(seconds=0)
    phone = f"+1206{talk.phones:07d}"
    for body, minutes in facts:
        await talk.text(phone, body, at=moment - timedelta(minutes=minutes))
    assert bool(await talk.suppressions(phone)) is suppressed


async def test_stop_start_stop_leaves_all_its_evidence(talk: Talk) -> None:
    """Words "suppression": with its evidence, lifted ones too."""
    phone = f"+1206{talk.phones:07d}"
    first = await talk.text(phone, "STOP", at=ago(minutes=9))
    start = await talk.text(phone, "START", at=ago(minutes=5))
    last = await talk.text(phone, "STOP", at=ago(minutes=1))
    rows = await talk.suppressions(phone, standing=False)
    assert [(row.occurred_at, row.lifted_at) for row in rows] == [
        (first.occurred_at, start.occurred_at),
        (last.occurred_at, None),
    ]


# One sender only


async def test_21610_on_another_sender_after_an_opt_in_blocks_that_sender_only(
    talk: Talk,
) -> None:
    """The other sender's own block was never lifted."""
    other_id = uuid4()
    other_phone = await talk.number(other_id)
    elsewhere = await talk.sequence(sender_id=other_id)
    person = await talk.texted()
    await talk.text(person, "STOP", at=ago(minutes=9), to=other_phone)
    await talk.text(person, "START", at=ago(minutes=5))
    here, there, there_too = [
        await talk.person(sequence, like=person)
        for sequence in (await talk.sequence(), elsewhere, await talk.sequence(sender_id=other_id))
    ]
    await talk.send(here)
    await refused(talk, there)
    assert await scopes(talk, person.phone) == [other_id]
    assert await talk.statuses(here, there, there_too) == [ACTIVE, *[OMITTED_OPTED_OUT] * 2]
    assert isinstance(await talk.ledger.open_step(here.enrollment_id), SendRequest)
    barred = await talk.person(await talk.sequence(sender_id=other_id), like=person)
    assert await talk.statuses(barred) == [OMITTED_OPTED_OUT]

    await talk.text(person, "YES")
    assert await talk.statuses(here) == [RESPONDED]
    assert await scopes(talk, person.phone) == [other_id]
    await talk.text(person, "START", to=other_phone)
    assert await scopes(talk, person.phone) == []


async def test_21610_on_the_same_sender_after_an_opt_in_suppresses_everywhere(talk: Talk) -> None:
    """The person opted out again."""
    person = await talk.texted()
    await talk.text(person, "STOP", at=ago(minutes=9))
    await talk.text(person, "START", at=ago(minutes=5))
    again, beside = await talk.person(like=person), await talk.person(like=person)
    await refused(talk, again)
    assert await scopes(talk, person.phone) == [None]
    assert await talk.statuses(again, beside) == [OMITTED_OPTED_OUT] * 2


async def test_21610_on_a_sender_opted_in_to_before_another_suppresses_everywhere(
    talk: Talk,
) -> None:
    """An opt-in to two senders holds for both."""
    other_phone = await talk.number()
    person = await talk.texted()
    await talk.text(person, "STOP", at=ago(minutes=9))
    await talk.text(person, "START", at=ago(minutes=5))
    await talk.text(person, "START", at=ago(minutes=4), to=other_phone)
    await refused(talk, await talk.person(like=person))
    assert await scopes(talk, person.phone) == [None]


async def test_yes_that_was_a_reply_is_no_opt_in(talk: Talk) -> None:
    """Without an opt-in, 21610 on any sender suppresses everywhere."""
    other_id = uuid4()
    await talk.number(other_id)
    person = await talk.texted(on_reply=CONTINUE)
    await talk.text(person, "YES", at=ago(seconds=0))
    await refused(talk, await talk.person(await talk.sequence(sender_id=other_id), like=person))
    assert await scopes(talk, person.phone) == [None]
    assert await talk.statuses(person) == [OPTED_OUT]


async def test_an_opt_in_before_the_last_stop_narrows_nothing(talk: Talk) -> None:
    """Only an opt-in since the last opt-out counts."""
    other_id = uuid4()
    await talk.number(other_id)
    person = await talk.texted()
    elsewhere = await talk.person(await talk.sequence(sender_id=other_id), like=person)
    call = await talk.open(elsewhere)
    await talk.text(person, "START", at=ago(minutes=5))
    await talk.text(person, "STOP", at=ago(minutes=1))
    await talk.report(Sent(call.attempt_id, new_sid()), "undelivered", 21610)
    assert await scopes(talk, person.phone) == [None]


async def test_the_enrollment_whose_text_was_refused_ends_though_its_sender_changed(
    talk: Talk,
) -> None:
    """The workflow is told the same as the row says."""
    other_id = uuid4()
    await talk.number(other_id)
    sequence = await talk.sequence(sender_id=other_id)
    person = await talk.texted()
    await talk.text(person, "START", at=ago(minutes=5))
    there = await talk.person(sequence, like=person)
    call = await talk.open(there)
    await talk.sequences.change(sequence.id, SequenceChange(sender_id=talk.sender_id), talk.user_id)
    await talk.report(Sent(call.attempt_id, new_sid()), "undelivered", 21610)
    assert await talk.statuses(there) == [OMITTED_OPTED_OUT]
    assert await scopes(talk, person.phone) == [other_id]


async def test_ending_a_numbers_enrollments_reads_no_others(talk: Talk) -> None:
    """The webhook is answered in milliseconds, however many enrollments there are."""
    person = await talk.person()
    scope = {"phones": [person.phone], "enrolled_before": None, "sender_id": None}
    async with talk.database.engine.connect() as connection:
        await connection.execute(sql(_CROWD), {"like": person.enrollment_id})
        await connection.execute(sql("ANALYZE contacts, enrollments"))
        explained = await connection.execute(sql(f"EXPLAIN {suppressions._ACTIVE_OF}"), scope)
        plan = "\n".join(row[0] for row in explained)
        await connection.rollback()
    assert "Seq Scan on enrollments" not in plan, plan
    assert "Index Cond: (contact_id" in plan, plan


_CROWD = """
    WITH crowd AS (
        INSERT INTO contacts (id, first_name, last_name, phone)
        SELECT gen_random_uuid(), 'Ann', 'Lee', '+1646' || 1000000 + number
        FROM generate_series(1, 3000) AS number RETURNING id
    )
    INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
        status, activity, position, step, step_count)
    SELECT gen_random_uuid(), sequence_id, version_id, crowd.id, enrolled_by, enrolled_at, status,
        activity, 1, 0, step_count
    FROM crowd, enrollments WHERE enrollments.id = :like
"""


async def test_stop_from_a_former_number_ends_enrollments_texted_there(talk: Talk) -> None:
    """Every active enrollment of the number."""
    person = await talk.texted()
    await talk.run(
        "UPDATE contacts SET phone = :phone WHERE id = :id",
        phone=f"+1303{talk.phones:07d}",
        id=person.contact_id,
    )
    await talk.text(person, "STOP")
    assert await talk.statuses(person) == [OPTED_OUT]
