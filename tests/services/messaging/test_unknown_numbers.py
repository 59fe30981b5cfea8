"""Texts from numbers that belong to no contact yet."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.platform.paging import Position
from domain.statuses.messaging import ConversationState
from services.messaging.inbox import ConversationChange
from services.messaging.unknown_numbers import made_known
from storage.tables.contacts import Contact
from tests.kits.conversation_list import add_contact, listed_names, receive_text
from tests.kits.query_plans import asked_of, plan_of, read_by
from tests.kits.sending import SendingKit

ADA, BOB, CID = "+12125550101", "+12125550102", "+13105550103"


async def unknown(kit: SendingKit, search: str = "") -> list[str]:
    page = await kit.services.unknown_numbers.page(search=search)
    return [line.phone for line in page.items]


async def first_text(kit: SendingKit, phone: str) -> UUID:
    [line] = (await kit.services.unknown_numbers.page(search=phone)).items
    return line.id


async def bodies(kit: SendingKit, contact_id: UUID) -> list[str]:
    return [one.body for one in (await kit.services.conversations.get(contact_id)).texts]


async def test_numbers_without_a_contact_are_listed_by_their_last_text(kit: SendingKit) -> None:
    await add_contact(kit, "Known", CID)
    for phone, body in ((ADA, "One"), (BOB, "Are\nyou there?"), (CID, "Me"), (ADA, "STOP")):
        await receive_text(kit, phone, body)
    page = await kit.services.unknown_numbers.page()
    ada, bob = page.items
    assert (ada.phone, ada.snippet, ada.opted_out, ada.unanswered) == (ADA, "STOP", True, False)
    assert (bob.phone, bob.snippet) == (BOB, "Are you there?")
    assert (bob.opted_out, bob.unanswered) == (False, True)
    assert page.next is None
    assert await listed_names(kit) == ["Known"]


async def test_number_is_done_until_it_asks_again_and_its_contact_has_it_so(
    kit: SendingKit,
) -> None:
    numbers, inbox = kit.services.unknown_numbers, kit.services.inbox
    needs, is_open, _, done = ConversationState

    async def state() -> ConversationState:
        [line] = (await numbers.page()).items
        assert [one.phone for one in (await numbers.page(states=[line.state])).items] == [ADA]
        others = list(set(ConversationState) - {line.state})
        assert (await numbers.page(states=others)).items == []
        assert (await numbers.get(line.id)).state is line.state
        waiting = await inbox.count_waiting(kit.world.user_id, most=9)
        assert waiting == (0, line.state is needs, 0)
        assert line.unanswered == (line.state is needs)
        return line.state

    await receive_text(kit, ADA, "Is the job open?")
    text_id = await first_text(kit, ADA)
    assert await state() is needs
    assert (await numbers.dismiss(text_id)).state is await state() is done
    await receive_text(kit, ADA, "HELP")
    assert await state() is done
    await receive_text(kit, ADA, "Hello?")
    assert await state() is needs
    assert (await numbers.dismiss(text_id, last_id=text_id)).state is needs, "not seen by the user"
    await receive_text(kit, BOB, "Who is this?")
    with pytest.raises(InvalidFieldError) as unknown_text:
        await numbers.dismiss(text_id, last_id=await first_text(kit, BOB))
    assert unknown_text.value.field_code == "unknown_message"
    await kit.world.run("DELETE FROM messages WHERE phone = :phone", phone=BOB)
    assert await state() is needs
    assert (await numbers.dismiss(text_id)).state is done
    assert (await numbers.reopen(text_id)).state is await state() is needs
    suppress = kit.services.suppressions.suppress
    await suppress(
        contact_id=None, phone=ADA, sender_id=None, reason="Asked", user_id=kit.world.user_id
    )
    assert await state() is is_open
    assert (await numbers.dismiss(text_id)).state is done
    audited = await kit.world.rows(
        "SELECT action FROM audit_log WHERE subject_id = :id", id=text_id
    )
    acts = ["dismiss", "dismiss", "reopen", "dismiss"]
    assert [row.action for row in audited] == [f"message.{act}" for act in acts]

    added = await kit.services.contacts.create({"first_name": "Ada", "phone": ADA})
    assert (await inbox.get(added.id)).state is done
    with pytest.raises(ConflictError) as refused:
        await numbers.dismiss(text_id)
    assert refused.value.conflict == "is_contact"
    with pytest.raises(NotFoundError):
        await numbers.reopen(uuid4())


async def test_contact_who_gets_a_number_that_is_done_keeps_their_own_question(
    kit: SendingKit,
) -> None:
    inbox, tomorrow = kit.services.inbox, datetime.now(UTC) + timedelta(days=1)
    needs, _, snoozed, done = ConversationState
    changes: dict[ConversationState, ConversationChange] = {
        needs: {},
        snoozed: {"snoozed_until": tomorrow},
        done: {"state": done},
    }
    found = {}
    for number, (before, change) in enumerate(changes.items()):
        own, given = f"+1212555011{number}", f"+1212555012{number}"
        contact_id = await add_contact(kit, "Ada", own)
        await receive_text(kit, own, "Is the job open?")
        await receive_text(kit, given, "Wrong number?")
        await kit.services.unknown_numbers.dismiss(await first_text(kit, given))
        assert (await inbox.change(contact_id, change)).state is before
        await kit.services.contacts.update(contact_id, {"phone": given})
        assert len(await bodies(kit, contact_id)) == 2
        found[before] = (await inbox.get(contact_id)).state
    assert found == {one: one for one in (needs, snoozed, done)}


async def test_number_that_is_done_leads_to_the_next(kit: SendingKit) -> None:
    for phone in (ADA, BOB, CID):
        await receive_text(kit, phone, "Hello?")
    numbers = kit.services.unknown_numbers
    ada, bob, cid = [await first_text(kit, phone) for phone in (ADA, BOB, CID)]
    assert [await numbers.following(one) for one in (cid, bob, ada)] == [bob, ada, cid]
    assert await numbers.following(cid, search="0101") == ada
    await numbers.dismiss(bob)
    assert await numbers.following(cid) == ada
    await numbers.dismiss(ada)
    await numbers.dismiss(cid)
    assert await numbers.following(cid) is None


async def test_unknown_numbers_are_found_by_digits_only(kit: SendingKit) -> None:
    for phone in (ADA, BOB, CID):
        await receive_text(kit, phone, "Hi")
    assert await unknown(kit, "212 555") == [BOB, ADA]
    assert await unknown(kit, "Ada") == []
    with pytest.raises(InvalidFieldError):
        await unknown(kit, "1\0")


async def test_pages_hold_each_number_once(kit: SendingKit) -> None:
    phones = [f"+1212555010{number}" for number in range(5)]
    for body in ("one", "two"):
        for phone in phones:
            await receive_text(kit, phone, body)
    walked: list[str] = []
    after: Position | None = None
    while True:
        page = await kit.services.unknown_numbers.page(after=after, limit=2)
        walked += [line.phone for line in page.items]
        after = page.next
        if after is None:
            break
    assert walked == phones[::-1]


async def test_earlier_pages_of_an_unknown_number_follow_upwards(kit: SendingKit) -> None:
    for number in range(3):
        await receive_text(kit, ADA, f"Text {number}")
        await receive_text(kit, BOB, "Mine")
    text_id = await first_text(kit, ADA)
    shown = await kit.services.unknown_numbers.get(text_id, limit=2)
    assert (shown.phone, shown.contact_id, shown.opted_out) == (ADA, None, False)
    assert [one.body for one in shown.texts] == ["Text 1", "Text 2"]
    assert shown.texts[0].sender is not None
    before = await kit.services.unknown_numbers.get(text_id, before=shown.earlier, limit=2)
    assert [one.body for one in before.texts] == ["Text 0"]
    assert before.earlier is None
    with pytest.raises(NotFoundError):
        await kit.services.unknown_numbers.get(uuid4())


async def test_once_added_its_texts_are_the_contacts(kit: SendingKit) -> None:
    await receive_text(kit, ADA, "Before")
    await receive_text(kit, BOB, "Somebody else's")
    text_id = await first_text(kit, ADA)
    added = await kit.services.contacts.create({"first_name": "Ada", "phone": ADA})
    assert await unknown(kit) == [BOB]
    assert await listed_names(kit) == ["Ada"]
    assert await bodies(kit, added.id) == ["Before"]
    number = await kit.services.unknown_numbers.get(text_id)
    assert (number.contact_id, number.texts) == (added.id, [])
    await kit.services.contacts.update(added.id, {"phone": CID})
    await receive_text(kit, CID, "After")
    assert await bodies(kit, added.id) == ["Before", "After"]
    assert (await kit.services.unknown_numbers.get(text_id)).contact_id == added.id


async def test_a_contact_who_is_given_the_number_gets_its_texts(kit: SendingKit) -> None:
    await receive_text(kit, ADA, "Before")
    contact_id = await add_contact(kit, "Ada", BOB)
    await kit.services.contacts.update(contact_id, {"phone": ADA})
    assert await unknown(kit) == []
    assert await bodies(kit, contact_id) == ["Before"]


async def test_numbers_that_are_pasted_get_their_texts(kit: SendingKit) -> None:
    await receive_text(kit, ADA, "Before")
    [contact_id] = await kit.services.enroll_previews.add_numbers([ADA])
    assert await unknown(kit) == []
    assert await bodies(kit, contact_id) == ["Before"]


async def test_text_received_while_its_contact_is_added_is_the_contacts(kit: SendingKit) -> None:
    for number in range(20):
        phone = f"+121255502{number:02d}"
        await asyncio.gather(
            receive_text(kit, phone, "Hi"),
            kit.services.contacts.create({"first_name": "Ada", "phone": phone}),
        )
    texts = await kit.world.rows("SELECT contact_id FROM messages")
    assert len(texts) == 20
    assert [row for row in texts if row.contact_id is None] == []


async def test_text_received_while_its_number_is_imported_is_the_contacts(kit: SendingKit) -> None:
    """Neither sees the other's transaction, so the sweep attaches the text."""
    ann = Contact(first_name="Ann", last_name="Lee", phone=ADA)
    contact_id = ann.id
    async with kit.world.database.transaction() as importing:
        importing.add(ann)
        await importing.flush()
        await made_known(importing, [ADA])
        await receive_text(kit, ADA, "Hi")
    assert (await kit.services.inbox.page()).items == []
    await kit.services.sweep.sweep()
    assert await unknown(kit) == []
    [talk] = (await kit.services.inbox.page()).items
    assert (talk.contact.id, talk.snippet) == (contact_id, "Hi")


async def test_the_list_reads_no_text_of_a_contact(kit: SendingKit) -> None:
    await kit.world.contacts(1, phone=CID)
    await kit.world.run(
        "INSERT INTO messages (id, direction, contact_id, phone, body, status, created_at)"
        " SELECT gen_random_uuid(), 'inbound', c.id, c.phone, 'Hi', 'received',"
        " now() - n * interval '1 second' FROM contacts c, generate_series(1, 3000) n"
    )
    await kit.world.run(
        "INSERT INTO messages (id, direction, phone, body, status, created_at)"
        " SELECT gen_random_uuid(), 'inbound', '+1212555' || 1000 + n % 100, 'Hi', 'received',"
        " now() - n * interval '1 hour' FROM generate_series(1, 200) n"
    )
    await kit.world.run("ANALYZE")
    async with asked_of(kit.world.database) as asked:
        page = await kit.services.unknown_numbers.page(limit=20)
    assert len(page.items) == 20
    [(statement, parameters)] = [one for one in asked if " LIMIT " in one[0]]
    plan = await plan_of(kit.world.database, statement, parameters)
    nobodys = {"ix_messages_unknown", "ix_messages_phone", "ix_messages_contact"}
    assert "ix_messages_unknown" in read_by(plan, "messages") <= nobodys, plan
