"""Races on a real database: an acknowledged text has its effect, whatever runs meanwhile.

The rules: docs/design.md, "The row decides".
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from domain.messaging.ports import Accepted, SendRequest
from domain.platform.rules import SendingRules
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import MessageStatus
from services.messaging.sending import Sending
from storage.platform.database import Pools
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    FAILED,
    NO_RESPONSE,
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

ROUNDS = 15
FEWER_ROUNDS = 6
SIDE_BY_SIDE = 5
LATEST = 0.012
"""Seconds that either side may be late; a transaction takes about as long."""

T = TypeVar("T")
R = TypeVar("R")


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        # The product's own, of which a busy machine leaves enough.
        rules = replace(talk.rules, call_before=SendingRules().call_before)
        talk.ledger = Sending(Pools.one(talk.database), rules)
        yield talk


async def late(work: Awaitable[T]) -> T:
    """Do something a random moment from now."""
    await asyncio.sleep(random.uniform(0, LATEST))
    return await work


async def against(number: int, first: Awaitable[T], second: Awaitable[R]) -> tuple[T, R]:
    """Run two things at once; in the first two rounds one after the other, in either order."""
    if number == 0:
        return await first, await second
    if number == 1:
        answer = await second
        return await first, answer
    return await asyncio.gather(late(first), late(second))


async def race(of: Sequence[T], run: Callable[[int, T], Awaitable[R]]) -> list[R]:
    """Run one race for each, a few side by side."""
    numbered = list(enumerate(of))
    found: list[R] = []
    for start in range(0, len(of), SIDE_BY_SIDE):
        some = numbered[start : start + SIDE_BY_SIDE]
        found += await asyncio.gather(*(run(number, one) for number, one in some))
    return found


async def fates(talk: Talk, people: Sequence[Person]) -> list[Any]:
    """Enrollments with the number of their attempts and what their workflows are to be told."""
    rows = await talk.rows(
        """
        SELECT e.*, (
                SELECT count(*) FROM attempts a JOIN messages m ON m.id = a.message_id
                WHERE m.enrollment_id = e.id
            ) AS attempts, ARRAY(
                SELECT concat_ws(' ', payload->>'signal', payload->>'status') FROM outbox
                WHERE subject_id = e.id AND kind = 'signal_enrollment'
            ) AS told
        FROM enrollments e WHERE e.id = ANY(:ids)
        """,
        ids=[person.enrollment_id for person in people],
    )
    by_id = {row.id: row for row in rows}
    return [by_id[person.enrollment_id] for person in people]


async def answered(talk: Talk, person: Person, body: str) -> int:
    """Receive a text; return how many attempts there are once it was acknowledged."""
    await talk.text(person, body)
    return len(await talk.attempts(person))


async def nothing_starts(talk: Talk, people: Sequence[Person]) -> None:
    """Assert that no text of an ended enrollment can start."""
    before = await fates(talk, people)
    for next_action in await race(people, lambda _, one: talk.ledger.open_step(one.enrollment_id)):
        assert not isinstance(next_action, SendRequest)
        assert not isinstance(next_action, EnrollmentState) or next_action.doing == "ended"
    assert await fates(talk, people) == before


async def test_a_stop_against_a_starting_text(talk: Talk) -> None:
    """No attempt is committed after a STOP was; the status tells which came first."""
    people = await talk.crowd(await talk.sequence(), ROUNDS)

    async def run(number: int, person: Person) -> tuple[int, bool]:
        seen, next_action = await against(
            number,
            answered(talk, person, "STOP"),
            talk.ledger.open_step(person.enrollment_id),
        )
        return seen, isinstance(next_action, SendRequest)

    found = await race(people, run)
    for (seen, called), row in zip(found, await fates(talk, people), strict=True):
        assert row.attempts == seen == called
        assert row.status == (OPTED_OUT if called else OMITTED_OPTED_OUT)
        assert row.told == [f"opted_out {row.status}"]
    assert {called for _, called in found} == {True, False}
    await nothing_starts(talk, people)


async def test_a_reply_against_a_starting_text(talk: Talk) -> None:
    """No attempt is committed after a reply was."""
    people = await talk.crowd(await talk.sequence(steps=3), ROUNDS, texts=1)

    async def run(number: int, person: Person) -> tuple[int, bool]:
        seen, next_action = await against(
            number,
            answered(talk, person, "Hello"),
            talk.ledger.open_step(person.enrollment_id),
        )
        if isinstance(next_action, SendRequest):
            await talk.answer(next_action, Accepted(new_sid(), MessageStatus.QUEUED))
            return seen, True
        assert isinstance(next_action, EnrollmentState)
        assert (next_action.doing, next_action.status) == ("ended", RESPONDED)
        return seen, False

    found = await race(people, run)
    for (seen, called), row in zip(found, await fates(talk, people), strict=True):
        assert row.attempts == seen == 1 + called
        assert (row.status, row.told) == (RESPONDED, ["reply_received finished_responded"])
    assert {called for _, called in found} == {True, False}
    await nothing_starts(talk, people)


async def test_a_first_text_from_them_against_the_first_to_them(talk: Talk) -> None:
    """Row "any inbound text ...": a reply only if a text was sent before it; never in between."""
    people = await talk.crowd(await talk.sequence(), FEWER_ROUNDS)

    async def run(number: int, person: Person) -> None:
        await against(number, talk.text(person), talk.ledger.open_step(person.enrollment_id))
        [attempt], [message] = await talk.attempts(person), await talk.received(person.phone)
        [status] = await talk.statuses(person)
        assert status in {ACTIVE, RESPONDED}
        if status is RESPONDED:
            assert attempt.started_at <= message.occurred_at

    await race(people, run)
    for row in await fates(talk, people):
        assert len(row.told) == (row.status == RESPONDED)


async def test_a_reply_against_the_end_of_its_window(talk: Talk) -> None:
    """Rows "reply" and "last text accepted": exactly one of the two ends it."""
    sequence = await talk.sequence(steps=1, reply_window_seconds=0)
    people = await talk.crowd(sequence, ROUNDS, texts=1)

    async def run(number: int, person: Person) -> EnrollmentState:
        _, state = await against(
            number, talk.text(person), talk.ledger.close_enrollment(person.enrollment_id)
        )
        return state

    found = await race(people, run)
    for state, row in zip(found, await fates(talk, people), strict=True):
        assert (state.doing, state.status) == ("ended", row.status)
        responded = row.status == RESPONDED
        assert responded or row.status == NO_RESPONSE
        assert (row.replied_at is not None) is responded
        assert row.told == (["reply_received finished_responded"] if responded else [])
    assert {state.status for state in found} == {RESPONDED, NO_RESPONSE}


async def test_a_reply_against_the_answer_to_the_last_text(talk: Talk) -> None:
    """Row "reply, policy continue": it ends responded, whichever comes first."""
    people = await talk.crowd(await talk.sequence(steps=1, on_reply=CONTINUE), FEWER_ROUNDS)

    async def run(_number: int, person: Person) -> None:
        call = await talk.open(person)
        await asyncio.gather(
            late(talk.text(person)),
            late(talk.answer(call, Accepted(new_sid(), MessageStatus.QUEUED))),
            late(talk.report(Sent(call.attempt_id, new_sid()), "sent")),
        )

    await race(people, run)
    for row in await fates(talk, people):
        assert row.status == RESPONDED
        assert len(row.told) <= 1


async def test_a_stop_against_a_reply_and_a_stop_by_hand(talk: Talk) -> None:
    """There is one final status, and one signal that says the same."""
    people = await talk.crowd(await talk.sequence(), FEWER_ROUNDS, texts=1)

    async def run(_number: int, person: Person) -> str:
        _, _, [marked] = await asyncio.gather(
            late(talk.text(person, "STOP")),
            late(talk.text(person, "Hello")),
            late(talk.finishing.mark_finished([person.enrollment_id], talk.user_id)),
        )
        assert len(await talk.suppressions(person.phone)) == 1
        return marked.result

    found = await race(people, run)
    for result, row in zip(found, await fates(talk, people), strict=True):
        assert row.status in {OPTED_OUT, RESPONDED, EnrollmentStatus.FINISHED_STOPPED}
        assert (result == "finished") is (row.status == EnrollmentStatus.FINISHED_STOPPED)
        [told] = row.told
        assert told.endswith(f" {row.status}")


async def test_two_different_reports_at_once(talk: Talk) -> None:
    """A passing failure and the delivery end with the text delivered, sent once."""
    people = await talk.crowd(await talk.sequence(), ROUNDS)

    async def run(number: int, person: Person) -> None:
        sent = await talk.send(person)
        await against(
            number, talk.report(sent, "undelivered", 30003), talk.report(sent, "delivered")
        )
        [attempt] = await talk.attempts(person)
        assert (attempt.message_status, attempt.reported_failed) == ("delivered", False)

    await race(people, run)
    rows = await fates(talk, people)
    assert {(row.status, row.position, row.step) for row in rows} == {(ACTIVE, 2, 1)}
    assert {len(row.told) for row in rows} == {0, 2}


async def test_a_final_failure_against_a_reply(talk: Talk) -> None:
    """Whoever comes first decides."""
    people = await talk.crowd(await talk.sequence(), FEWER_ROUNDS)

    async def run(number: int, person: Person) -> None:
        sent = await talk.send(person)
        await asyncio.gather(late(talk.report(sent, "undelivered", 30005)), late(talk.text(person)))

    await race(people, run)
    told = {
        FAILED: ["delivery_reported failed"],
        RESPONDED: ["reply_received finished_responded"],
    }
    for row in await fates(talk, people):
        assert row.told == told[EnrollmentStatus(row.status)]


async def test_a_stop_against_enrollment(talk: Talk) -> None:
    """Row "enroll a suppressed number": checked again when the first text would go."""
    sequence = await talk.sequence()
    contact_ids = await talk.contacts(ROUNDS)
    rows = await talk.rows("SELECT id, phone FROM contacts WHERE id = ANY(:ids)", ids=contact_ids)

    async def run(number: int, contact: Any) -> Person:
        _, enrollment = await against(
            number,
            talk.text(contact.phone, "STOP"),
            talk.enrolling.enroll(sequence.id, talk.user_id, contact_ids=[contact.id]),
        )
        person = Person(contact.id, contact.phone, enrollment.enrolled[0].id)
        next_action = await talk.ledger.open_step(person.enrollment_id)
        assert isinstance(next_action, EnrollmentState)
        assert (next_action.doing, next_action.status) == ("ended", OMITTED_OPTED_OUT)
        return person

    for row in await fates(talk, await race(rows, run)):
        assert (row.status, row.attempts) == (OMITTED_OPTED_OUT, 0)


async def test_stops_and_starts_at_once_leave_what_their_times_say(talk: Talk) -> None:
    """Row "suppression facts": ordered by the provider's time, also when they arrive together."""

    async def run(number: int, _: int) -> None:
        phone = f"+1206{talk.phones + number:07d}"
        facts = [("STOP", 9), ("START", 7), ("STOP", 5)][: 2 + number % 2]
        await asyncio.gather(
            *(late(talk.text(phone, body, at=ago(minutes=minutes))) for body, minutes in facts)
        )
        assert len(await talk.suppressions(phone)) == number % 2

    await race(range(FEWER_ROUNDS), run)
