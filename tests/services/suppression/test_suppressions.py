"""Opting numbers out by hand, and lifting suppressions."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.access import Role
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.suppression import OptOutSource
from services.access.users import ForbiddenError
from services.suppression.suppressions import Suppressions
from storage.suppression.suppressions import SuppressionRow
from tests.kits.conversations import (
    ACTIVE,
    OMITTED_OPTED_OUT,
    OPTED_OUT,
    Person,
    Talk,
    ago,
    talking,
)
from tests.kits.sending import SendingKit


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


@pytest.fixture
def by_hand(talk: Talk) -> Suppressions:
    return Suppressions(talk.database, default_region="US")


async def opt_out(
    talk: Talk, by_hand: Suppressions, person: Person, reason: str = "Asked on the phone"
) -> SuppressionRow:
    row, _ = await by_hand.suppress(
        contact_id=person.contact_id,
        phone=None,
        sender_id=None,
        reason=reason,
        user_id=talk.user_id,
    )
    return row


async def lift(
    talk: Talk, by_hand: Suppressions, row: SuppressionRow, role: Role = Role.MEMBER
) -> SuppressionRow:
    return await by_hand.lift(row.id, reason="Changed their mind", user_id=talk.user_id, role=role)


async def waiting_one_off(talk: Talk, person: Person) -> str:
    message_id = uuid4()
    await talk.run(
        "INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id, body,"
        " status) VALUES (:id, 'outbound', :contact_id, :phone, :sender_id, :enrollment_id, 'Hey',"
        " 'pending')",
        id=message_id,
        contact_id=person.contact_id,
        phone=person.phone,
        sender_id=talk.sender_id,
        enrollment_id=person.enrollment_id,
    )
    return str(message_id)


async def test_an_opt_out_by_hand_ends_as_a_stop_does(talk: Talk, by_hand: Suppressions) -> None:
    texted = await talk.texted()
    enrolled = await talk.person(like=texted)
    message_id = await waiting_one_off(talk, texted)

    row = await opt_out(talk, by_hand, texted)

    assert (row.source, row.reason, row.user_id) == (
        OptOutSource.BY_HAND,
        "Asked on the phone",
        talk.user_id,
    )
    assert await talk.statuses(texted, enrolled) == [OPTED_OUT, OMITTED_OPTED_OUT]
    assert await talk.signals(texted) == [("opted_out", OPTED_OUT)]
    assert await talk.signals(enrolled) == [("opted_out", OMITTED_OPTED_OUT)]
    [message] = await talk.rows("SELECT status FROM messages WHERE id = :id", id=message_id)
    assert message.status == "canceled"


async def test_a_paused_enrollment_ends_too(talk: Talk, by_hand: Suppressions) -> None:
    person = await talk.texted()
    await talk.run(
        "UPDATE enrollments SET paused_at = now(), activity = 'paused' WHERE id = :id",
        id=person.enrollment_id,
    )

    await opt_out(talk, by_hand, person)

    assert await talk.statuses(person) == [OPTED_OUT]


async def test_a_canceled_one_off_stays_so_after_lifting(talk: Talk, by_hand: Suppressions) -> None:
    person = await talk.texted()
    message_id = await waiting_one_off(talk, person)
    row = await opt_out(talk, by_hand, person)

    await lift(talk, by_hand, row)

    [message] = await talk.rows("SELECT id FROM messages WHERE id = :id", id=message_id)
    state = await talk.ledger.open_message(message.id)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "canceled")


async def test_second_opt_out_changes_nothing_and_keeps_the_first_reason(
    talk: Talk, by_hand: Suppressions
) -> None:
    person = await talk.person()
    first = await opt_out(talk, by_hand, person)

    again, is_new = await by_hand.suppress(
        contact_id=None,
        phone=person.phone,
        sender_id=None,
        reason="Once more",
        user_id=talk.user_id,
    )

    assert (again, is_new) == (first, False)


async def test_opt_out_by_hand_replaces_one_by_keyword(talk: Talk, by_hand: Suppressions) -> None:
    """From then on no START lifts it."""
    person = await talk.texted()
    await talk.text(person, "STOP", at=ago(minutes=5))

    _, is_new = await by_hand.suppress(
        contact_id=person.contact_id,
        phone=None,
        sender_id=None,
        reason="Called as well",
        user_id=talk.user_id,
    )
    await talk.text(person, "START")

    assert not is_new
    [row] = await talk.suppressions(person.phone)
    assert row.source == OptOutSource.BY_HAND


async def test_earlier_opt_in_does_not_undo_an_opt_out_by_hand(
    talk: Talk, by_hand: Suppressions
) -> None:
    """Though the provider's clock runs ahead of ours."""
    person = await talk.texted()
    await talk.text(person, "START", at=ago(minutes=-5))

    await opt_out(talk, by_hand, person)

    assert len(await talk.suppressions(person.phone)) == 1
    assert await talk.statuses(person) == [OPTED_OUT]


async def test_opt_out_for_one_sender_leaves_the_others(talk: Talk, by_hand: Suppressions) -> None:
    here = await talk.texted()
    other_id = uuid4()
    await talk.number(other_id)
    there = await talk.person(like=here, sender_id=other_id)

    row, _ = await by_hand.suppress(
        contact_id=None,
        phone=here.phone,
        sender_id=talk.sender_id,
        reason="Only this number",
        user_id=talk.user_id,
    )

    assert row.sender_id == talk.sender_id
    assert await talk.statuses(here, there) == [OPTED_OUT, ACTIVE]


async def test_invalid_number_or_sender_is_refused(talk: Talk, by_hand: Suppressions) -> None:
    async def asked(**changes: object) -> str:
        values = {"contact_id": None, "phone": "+12125550188", "sender_id": None, "reason": "R"}
        with pytest.raises((InvalidFieldError, NotFoundError)) as caught:
            await by_hand.suppress(**{**values, "user_id": talk.user_id, **changes})  # type: ignore[arg-type]
        return getattr(caught.value, "field_code", caught.value.code)

    assert await asked(reason="  ") == "blank"
    assert await asked(reason="r" * 501) == "too_long"
    assert await asked(contact_id=uuid4()) == "one_of_two"
    assert await asked(phone=None) == "one_of_two"
    assert await asked(phone=None, contact_id=uuid4()) == "not_found"
    assert await asked(sender_id=uuid4()) == "unknown_sender"
    assert await talk.rows("SELECT 1 FROM suppressions") == []


async def test_opt_out_by_hand_against_a_starting_text(talk: Talk, by_hand: Suppressions) -> None:
    """Either the attempt was committed first, or no attempt starts any more."""
    people = await talk.crowd(await talk.sequence(), 6)

    next_actions, _ = await asyncio.gather(
        asyncio.gather(*map(talk.ask, people)),
        asyncio.gather(*(opt_out(talk, by_hand, one) for one in people)),
    )

    for person, next_action in zip(people, next_actions, strict=True):
        ended = OMITTED_OPTED_OUT if isinstance(next_action, EnrollmentState) else OPTED_OUT
        assert await talk.statuses(person) == [ended]


# Lifting


async def test_lifting_keeps_the_row_and_revives_nothing(talk: Talk, by_hand: Suppressions) -> None:
    person = await talk.texted()
    row = await opt_out(talk, by_hand, person)

    lifted = await lift(talk, by_hand, row)

    assert lifted.lifted_at is not None
    assert (lifted.lifted_by, lifted.lifted_reason) == (talk.user_id, "Changed their mind")
    assert lifted.reason == row.reason
    assert await talk.statuses(person) == [OPTED_OUT]
    assert await talk.statuses(await talk.person(like=person)) == [ACTIVE]


async def test_lifting_twice_is_a_conflict(talk: Talk, by_hand: Suppressions) -> None:
    row = await opt_out(talk, by_hand, await talk.person())
    await lift(talk, by_hand, row)

    with pytest.raises(ConflictError) as caught:
        await lift(talk, by_hand, row)

    assert caught.value.conflict == "already_lifted"


async def test_only_an_admin_lifts_what_the_person_asked_for(
    talk: Talk, by_hand: Suppressions
) -> None:
    person = await talk.texted()
    await talk.text(person, "STOP")
    [row] = (await by_hand.find(search=person.phone)).items

    with pytest.raises(ForbiddenError):
        await lift(talk, by_hand, row)
    assert (await by_hand.get(row.id)).lifted_at is None

    assert (await lift(talk, by_hand, row, Role.ADMIN)).lifted_at is not None


async def test_every_change_is_audited_without_numbers(talk: Talk, by_hand: Suppressions) -> None:
    person = await talk.texted()
    row = await opt_out(talk, by_hand, person)
    await lift(talk, by_hand, row)

    entries = await talk.rows(
        "SELECT action, subject_id, detail FROM audit_log"
        " WHERE action LIKE 'suppression.%' ORDER BY id"
    )

    assert [(one.action, one.subject_id) for one in entries] == [
        ("suppression.create", row.id),
        ("suppression.lift", row.id),
    ]
    assert entries[0].detail["ended"] == 1
    assert person.phone not in str(entries)
    assert "Asked" not in str(entries)


# The list


async def test_the_list_is_searched_filtered_and_paged(talk: Talk, by_hand: Suppressions) -> None:
    people = await talk.crowd(await talk.sequence(), 3, texts=1)
    rows = [await opt_out(talk, by_hand, one) for one in people[:2]]
    await talk.text(people[2], "STOP")
    await lift(talk, by_hand, rows[0])

    everyone = (await by_hand.find()).items
    assert [one.phone for one in everyone] == [one.phone for one in reversed(people)]
    first = await by_hand.find(limit=2)
    second = await by_hand.find(limit=2, after=first.next)
    assert [*first.items, *second.items] == everyone
    assert second.next is None
    assert [one.id for one in (await by_hand.find(is_standing=False)).items] == [rows[0].id]
    assert [one.id for one in (await by_hand.find(search=people[1].phone[-7:])).items] == [
        rows[1].id
    ]
    assert len((await by_hand.find(search="ann")).items) == 3
    assert (await by_hand.find(search="%")).items == []
    [keyword] = (await by_hand.find(sources=[OptOutSource.KEYWORD])).items
    assert keyword.message_id is not None


@pytest.mark.parametrize("first", ["stop", "by_hand"])
async def test_opt_out_by_hand_keeps_the_evidence_of_a_stop(
    talk: Talk, by_hand: Suppressions, first: str
) -> None:
    """A member's opt-out over a STOP, or under one, does not make it the member's to lift."""
    person = await talk.person()
    if first == "stop":
        await talk.text(person, "STOP")
    row = await opt_out(talk, by_hand, person)
    if first == "by_hand":
        await talk.text(person, "STOP")
    with pytest.raises(ForbiddenError):
        await lift(talk, by_hand, row, Role.MEMBER)
    await lift(talk, by_hand, row, Role.ADMIN)


async def test_opt_out_by_hand_against_a_pause(kit: SendingKit) -> None:
    """Both lock several enrollments of the same contact; neither fails."""
    [contact_id] = await kit.world.contacts(1)
    sequences = [await kit.sequence() for _ in range(8)]
    for _ in range(4):
        ids = [await kit.enroll(sequence, contact_id) for sequence in sequences]
        [made], _ = await asyncio.gather(
            asyncio.gather(
                kit.services.suppressions.suppress(
                    contact_id=contact_id,
                    phone=None,
                    sender_id=None,
                    reason="asked",
                    user_id=kit.world.user_id,
                )
            ),
            kit.services.pausing.pause(ids, kit.world.user_id),
        )
        rows = await kit.world.rows("SELECT status FROM enrollments WHERE id = ANY(:ids)", ids=ids)
        assert {row.status for row in rows} == {"omitted_opted_out"}
        await kit.services.suppressions.lift(
            made[0].id, reason="again", user_id=kit.world.user_id, role=Role.ADMIN
        )
