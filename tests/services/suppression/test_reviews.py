"""Decisions about texts that may be opt-outs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.messaging.inbound import InboundText
from domain.platform.errors import ConflictError, NotFoundError
from domain.statuses.suppression import OptOutSource, ReviewDecision
from services.suppression.erasure import Erasure
from services.suppression.reviews import Reviews
from storage.suppression.reviews import ReviewRow
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    OMITTED_OPTED_OUT,
    OPTED_OUT,
    RESPONDED,
    Person,
    Talk,
    ago,
    talking,
)

OPT_OUT, NOT_AN_OPT_OUT = ReviewDecision.OPT_OUT, ReviewDecision.NOT_AN_OPT_OUT
UNSURE = "Please stop texting me until Monday"
ROUNDS = 5


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


@pytest.fixture
def reviews(talk: Talk) -> Reviews:
    return Reviews(talk.database)


async def review_of(talk: Talk, reviews: Reviews, person: Person) -> ReviewRow:
    """Return the review of a contact's last text."""
    message = (await talk.received(person.phone))[-1]
    return await reviews.get(message.id)


async def unsure(talk: Talk, reviews: Reviews, at: datetime | None = None) -> tuple[Person, UUID]:
    """Add a contact whose text waits for review while the sequence goes on."""
    person = await talk.texted(on_reply=CONTINUE)
    await talk.text(person, UNSURE, at=at)
    return person, (await review_of(talk, reviews, person)).message_id


async def decisions(talk: Talk, message_id: UUID) -> list[str]:
    """Return the decision about a text in the audit log."""
    rows = await talk.rows(
        "SELECT detail FROM audit_log WHERE action = 'review.decide' AND subject_id = :id",
        id=message_id,
    )
    return [row.detail["decision"] for row in rows]


async def test_decision_to_opt_out_takes_effect_as_of_the_text(
    talk: Talk, reviews: Reviews
) -> None:
    """Suppressed with the text as evidence, every enrollment ends."""
    person, message_id = await unsure(talk, reviews)
    untexted = await talk.person(like=person)

    row = await reviews.decide(message_id, OPT_OUT, user_id=talk.user_id)

    assert (row.decision, row.decided_by, row.decided_by_name) == (OPT_OUT, talk.user_id, "Mia")
    assert (row.phone, row.body, row.contact_id) == (person.phone, UNSURE, person.contact_id)
    assert row.opted_out
    assert await talk.statuses(person, untexted) == [OPTED_OUT, OMITTED_OPTED_OUT]
    assert await talk.signals(person) == [("opted_out", OPTED_OUT)]
    [evidence] = await talk.suppressions(person.phone)
    assert (evidence.source, evidence.asked) == (OptOutSource.PLAIN_OPT_OUT, True)
    assert (evidence.message_id, evidence.user_id) == (message_id, talk.user_id)
    assert evidence.occurred_at == row.received_at
    assert await decisions(talk, message_id) == ["opt_out"]
    await talk.text(person, "START")
    assert await talk.suppressions(person.phone) == []


async def test_decision_against_an_opt_out_changes_nothing_else(
    talk: Talk, reviews: Reviews
) -> None:
    person, message_id = await unsure(talk, reviews)
    row = await reviews.decide(message_id, NOT_AN_OPT_OUT, user_id=talk.user_id)
    assert (row.decision, row.opted_out) == (NOT_AN_OPT_OUT, False)
    assert await talk.statuses(person) == [ACTIVE]
    assert await talk.suppressions(person.phone) == []
    assert await decisions(talk, message_id) == ["not_an_opt_out"]


async def test_ended_enrollment_keeps_its_status(talk: Talk, reviews: Reviews) -> None:
    person = await talk.texted()
    await talk.text(person, UNSURE)
    message_id = (await review_of(talk, reviews, person)).message_id
    await reviews.decide(message_id, OPT_OUT, user_id=talk.user_id)
    assert await talk.statuses(person) == [RESPONDED]
    assert len(await talk.suppressions(person.phone)) == 1


async def test_same_decision_again_changes_nothing_and_another_is_refused(
    talk: Talk, reviews: Reviews
) -> None:
    person, message_id = await unsure(talk, reviews)
    first = await reviews.decide(message_id, OPT_OUT, user_id=talk.user_id)
    await talk.text(person, "START")
    again = await reviews.decide(message_id, OPT_OUT, user_id=talk.user_id)
    assert (again.decided_at, again.opted_out) == (first.decided_at, False)
    assert await talk.suppressions(person.phone) == []
    with pytest.raises(ConflictError) as refused:
        await reviews.decide(message_id, NOT_AN_OPT_OUT, user_id=talk.user_id)
    assert refused.value.conflict == "already_decided"
    assert await decisions(talk, message_id) == ["opt_out"]


@pytest.mark.parametrize(
    ("since", "suppressed"), [("START", False), ("STOP", True), ("YES", True), ("Hello", True)]
)
async def test_later_opt_in_outlasts_the_decision(
    talk: Talk, reviews: Reviews, since: str, *, suppressed: bool
) -> None:
    """By the provider's time; a YES that was an answer lifts nothing."""
    person, message_id = await unsure(talk, reviews, at=ago(minutes=5))
    await talk.text(person, since)
    row = await reviews.decide(message_id, OPT_OUT, user_id=talk.user_id)
    assert row.opted_out is suppressed
    assert bool(await talk.suppressions(person.phone)) is suppressed
    assert await talk.statuses(person) == [ACTIVE if since == "START" else OPTED_OUT]


async def test_unknown_review_cannot_be_decided(talk: Talk, reviews: Reviews) -> None:
    person = await talk.texted()
    await talk.text(person, "Sounds good")
    [ordinary] = await talk.received(person.phone)
    for message_id in (uuid4(), ordinary.id):
        with pytest.raises(NotFoundError):
            await reviews.decide(message_id, OPT_OUT, user_id=talk.user_id)


async def test_the_list_comes_in_pages_the_newest_first(talk: Talk, reviews: Reviews) -> None:
    made = [(await unsure(talk, reviews))[1] for _ in range(5)]
    await reviews.decide(made[1], NOT_AN_OPT_OUT, user_id=talk.user_id)

    async def ids(*, is_decided: bool | None) -> list[UUID]:
        found: list[UUID] = []
        page = await reviews.find(is_decided=is_decided, limit=2)
        while page.next is not None:
            found += [row.message_id for row in page.items]
            page = await reviews.find(is_decided=is_decided, after=page.next, limit=2)
        return found + [row.message_id for row in page.items]

    assert [one for one in await ids(is_decided=None) if one in made] == made[::-1]
    waiting = [one for one in await ids(is_decided=False) if one in made]
    assert waiting == [one for one in made[::-1] if one != made[1]]
    assert made[1] in await ids(is_decided=True)


async def test_one_of_two_simultaneous_decisions_wins(talk: Talk, reviews: Reviews) -> None:
    """One decision takes full effect; the other is refused."""
    for _ in range(ROUNDS):
        person, message_id = await unsure(talk, reviews)
        answers = await asyncio.gather(
            *(
                reviews.decide(message_id, decision, user_id=talk.user_id)
                for decision in (OPT_OUT, NOT_AN_OPT_OUT, OPT_OUT)
            ),
            return_exceptions=True,
        )
        row = await reviews.get(message_id)
        assert await decisions(talk, message_id) == [row.decision]
        assert row.opted_out is (row.decision is OPT_OUT)
        assert await talk.statuses(person) == [OPTED_OUT if row.opted_out else ACTIVE]
        refused = [answer for answer in answers if isinstance(answer, ConflictError)]
        assert len(refused) == (1 if row.decision is OPT_OUT else 2)


@pytest.mark.parametrize(("said", "suppressed"), [("START", False), ("STOP", True)])
async def test_decision_against_a_simultaneous_text(
    talk: Talk, reviews: Reviews, said: str, *, suppressed: bool
) -> None:
    """The latest text counts, whichever is first."""
    for _ in range(ROUNDS):
        person, message_id = await unsure(talk, reviews, at=ago(minutes=1))
        text = talk.inbound_text(person.phone, said)
        await asyncio.gather(
            reviews.decide(message_id, OPT_OUT, user_id=talk.user_id), receive(talk, text)
        )
        assert bool(await talk.suppressions(person.phone)) is suppressed
        assert (await reviews.get(message_id)).decision is OPT_OUT


async def receive(talk: Talk, text: InboundText) -> None:
    await talk.inbound.receive(text)


async def test_decision_against_a_simultaneous_erasure(talk: Talk, reviews: Reviews) -> None:
    """Decided and then erased, or erased first; no data is left either way."""
    erasure = Erasure(talk.database, talk.rules)
    for _ in range(ROUNDS):
        person, message_id = await unsure(talk, reviews)
        decided, erased = await asyncio.gather(
            reviews.decide(message_id, OPT_OUT, user_id=talk.user_id),
            erasure.erase(person.contact_id, talk.user_id),
            return_exceptions=True,
        )
        assert erased is None
        assert isinstance(decided, ReviewRow | NotFoundError)
        with pytest.raises(NotFoundError):
            await reviews.get(message_id)
        assert await talk.suppressions(person.phone) == []
        await talk.text(person.phone, "Hi")
        assert bool(await talk.suppressions(person.phone)) is isinstance(decided, ReviewRow)


async def test_text_from_an_unknown_number_is_reviewed_too(talk: Talk, reviews: Reviews) -> None:
    phone = f"+1206{talk.phones:07d}"
    await talk.text(phone, "How do I unsubscribe?", at=datetime.now(UTC))
    [message] = await talk.received(phone)
    row = await reviews.decide(message.id, OPT_OUT, user_id=talk.user_id)
    assert (row.contact_id, row.contact_name, row.opted_out) == (None, None, True)
