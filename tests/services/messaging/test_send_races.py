"""Mark-finished, STOP and reply, each against a whole send at forty of its instants.

The rules: docs/design.md, "Never twice, never after".
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
from uuid import UUID

import pytest

from domain.messaging.ports import Accepted, SendRequest, SendResult
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import LastText, MessageStatus
from services.enrollments.enrolling import Enrolling
from tests.fakes import FakeGateway
from tests.kits.sending import SendingKit, until
from tests.worlds import ZONE, ongoing

ROUNDS = 40
SIDE_BY_SIDE = 8
CALL_BEFORE, MARGIN = timedelta(milliseconds=120), timedelta(milliseconds=30)
EARLIEST, LATEST = -0.02, 0.06
"""Seconds from the beginning of the send to the fact: a send takes about as long as LATEST."""

Ended = Callable[[UUID], Awaitable[object]]


class Order(Enum):
    """An order of fact and send that a race is held to, however slow the machine is."""

    FACT_FIRST = auto()
    FACT_BEFORE_THE_CALL = auto()
    FACT_BEFORE_NO_CALL = auto()
    SEND_FIRST = auto()


@dataclass
class Hold:
    """What a call waits for, and whether it does."""

    over: Callable[[SendRequest], Awaitable[bool]]
    reached: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class UnevenGateway(FakeGateway):
    """Takes no time or some before a text is handed over, now and then more than there is.

    Attributes:
        holds: What a call for a number waits for instead.
    """

    pauses: Sequence[float] = (0, 0, 0.004, 0.015, 0.03, 0.13)
    rng: random.Random = field(default_factory=lambda: random.Random(20261125))
    holds: dict[str, Hold] = field(default_factory=dict)

    async def create(self, call: SendRequest) -> SendResult:
        hold = self.holds.get(call.to)
        if hold is not None:
            hold.reached.set()
            await until(partial(hold.over, call))
        self.delay = 0 if hold else self.rng.choice(self.pauses)
        return await super().create(call)


@dataclass(frozen=True)
class Person:
    """Whose text and fact race."""

    enrollment_id: UUID
    phone: str


@dataclass(frozen=True)
class Race:
    """How many attempts and texts there were when the fact was answered, and in the end."""

    committed: int
    handed: int
    committed_in_the_end: int
    handed_in_the_end: int


@pytest.fixture
def kit(kit: SendingKit) -> SendingKit:
    return replace(kit, gateway=UnevenGateway()).with_rules(
        call_before=CALL_BEFORE, call_margin=MARGIN, min_spacing=timedelta(0)
    )


async def crowd(kit: SendingKit, *, texts: int) -> list[Person]:
    """Enroll one for each race whose first texts were sent and whose next is due."""
    sequence = await kit.sequence(*(ongoing(f"Text {number}", 0) for number in (1, 2)))
    contacts = await kit.world.contacts(ROUNDS)
    enrolling = Enrolling(kit.world.database, workspace_zone=ZONE)
    enrolled = await enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=contacts)
    opened = [one.id for one in enrolled.enrolled]
    for start in range(0, texts * ROUNDS, SIDE_BY_SIDE):
        calls = await asyncio.gather(
            *(kit.open_call(one) for one in opened[start : start + SIDE_BY_SIDE])
        )
        answers = [Accepted(f"SM{call.attempt_id.hex}", MessageStatus.QUEUED) for call in calls]
        await asyncio.gather(
            *(
                kit.services.sending.record_answer(call.attempt_id, answer)
                for call, answer in zip(calls, answers, strict=True)
            )
        )
    rows = await kit.world.rows(
        "SELECT e.id, c.phone FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
    )
    return [Person(row.id, row.phone) for row in rows]


async def committed(kit: SendingKit) -> Counter[UUID]:
    """How many attempts each enrollment has."""
    rows = await kit.world.rows(
        "SELECT m.enrollment_id AS id FROM attempts a JOIN messages m ON m.id = a.message_id"
    )
    return Counter(row.id for row in rows)


async def race(kit: SendingKit, fact: Ended, people: Sequence[Person]) -> list[Race]:
    """Let each one's next text and the fact start apart, a step of the grid more each time.

    The first few are held to an order each, so that a slow machine has every one of them too.
    """
    slots = asyncio.Semaphore(SIDE_BY_SIDE)
    spread = (LATEST - EARLIEST) / (len(people) - 1)

    async def run(number: int, person: Person) -> tuple[int, int]:
        offset = EARLIEST + number * spread

        async def happen() -> tuple[int, int]:
            await asyncio.sleep(max(offset, 0))
            return await answered(kit, fact, person)

        async def send() -> None:
            await asyncio.sleep(max(-offset, 0))
            await kit.run_step(person.enrollment_id)

        async with slots:
            found, _ = await asyncio.gather(happen(), send())
        return found

    held = [await in_order(kit, fact, *one) for one in zip(Order, people, strict=False)]
    rest = [one for one in enumerate(people) if one[0] >= len(held)]
    at_once = held + await asyncio.gather(*(run(*one) for one in rest))
    for person in people[:: ROUNDS // 10]:
        state = await kit.run_step(person.enrollment_id)
        assert isinstance(state, EnrollmentState)
        assert state.doing == "ended"
    in_the_end = await committed(kit)
    return [
        Race(*found, in_the_end[person.enrollment_id], len(kit.gateway.calls_to(person.phone)))
        for person, found in zip(people, at_once, strict=True)
    ]


async def answered(kit: SendingKit, fact: Ended, person: Person) -> tuple[int, int]:
    """Let the fact happen; return how many attempts and texts there are then."""
    await fact(person.enrollment_id)
    handed = len(kit.gateway.calls_to(person.phone))
    return len(await kit.attempts(person.enrollment_id)), handed


async def in_order(kit: SendingKit, fact: Ended, order: Order, person: Person) -> tuple[int, int]:
    """Let a person's fact and send happen in an order."""
    assert isinstance(kit.gateway, UnevenGateway)

    async def is_final(_: SendRequest) -> bool:
        return bool((await kit.row(person.enrollment_id)).status != EnrollmentStatus.ACTIVE)

    async def is_too_late(call: SendRequest) -> bool:
        return call.deadline.is_late

    is_late = order is Order.FACT_BEFORE_NO_CALL
    sender = kit if is_late else kit.with_rules(call_before=timedelta(seconds=20))
    if order is Order.FACT_FIRST:
        found = await answered(kit, fact, person)
        await sender.run_step(person.enrollment_id)
        return found
    if order is Order.SEND_FIRST:
        await sender.run_step(person.enrollment_id)
        return await answered(kit, fact, person)
    hold = kit.gateway.holds[person.phone] = Hold(is_too_late if is_late else is_final)
    sending = asyncio.create_task(sender.run_step(person.enrollment_id))
    await hold.reached.wait()
    found = await answered(kit, fact, person)
    await sending
    return found


def nothing_committed_after(races: Sequence[Race], *, before: int = 0) -> None:
    """Assert that no attempt was committed after the answer, and that both orders occurred."""
    assert len(races) == ROUNDS
    assert [one.committed for one in races] == [one.committed_in_the_end for one in races]
    counts = {one.committed for one in races}
    assert min(counts) == before < max(counts)


async def test_no_text_is_handed_over_after_mark_finished_was_answered(kit: SendingKit) -> None:
    """It is answered when no text of it can still start, and the answer is true."""
    told: dict[UUID, LastText | None] = {}

    async def finish(enrollment_id: UUID) -> None:
        [marked] = await kit.services.finishing.mark_finished([enrollment_id], kit.world.user_id)
        assert marked.result == "finished"
        told[enrollment_id] = marked.last_text

    people = await crowd(kit, texts=0)
    races = await race(kit, finish, people)
    nothing_committed_after(races)
    assert [one.handed for one in races] == [one.handed_in_the_end for one in races]
    assert {one.handed for one in races} == {0, 1}
    assert any(one.committed > one.handed for one in races), "a deadline passed before the call"
    for person, one in zip(people, races, strict=True):
        last_text = told[person.enrollment_id]
        is_done = await was_done_with(kit, person.enrollment_id)
        assert last_text is not LastText.SENT or (one.handed and not is_done)
        assert last_text is not LastText.NONE or is_done or not one.handed
    assert {LastText.NONE, LastText.SENT} <= set(told.values())


async def was_done_with(kit: SendingKit, enrollment_id: UUID) -> bool:
    """Whether the text was recorded before the finish, and so was not under way."""
    rows = await kit.world.rows(
        "SELECT pg_xact_commit_timestamp(a.xmin) < pg_xact_commit_timestamp(e.xmin) AS is_first"
        " FROM attempts a JOIN messages m ON m.id = a.message_id"
        " JOIN enrollments e ON e.id = m.enrollment_id WHERE e.id = :id",
        id=enrollment_id,
    )
    return all(row.is_first for row in rows)


@pytest.mark.parametrize(
    ("body", "texts", "statuses"),
    [
        ("STOP", 0, {"opted_out", "omitted_opted_out"}),
        ("Yes please", 1, {"finished_responded"}),
    ],
)
async def test_no_attempt_is_committed_after_a_stop_or_a_reply_was_answered(
    kit: SendingKit, body: str, texts: int, statuses: set[str]
) -> None:
    """No attempt is committed after a STOP or reply was."""

    async def text_back(enrollment_id: UUID) -> None:
        await kit.text_back(enrollment_id, body)

    people = await crowd(kit, texts=texts)
    races = await race(kit, text_back, people)
    nothing_committed_after(races, before=texts)
    rows = await kit.world.rows("SELECT DISTINCT status FROM enrollments")
    assert {row.status for row in rows} == statuses
