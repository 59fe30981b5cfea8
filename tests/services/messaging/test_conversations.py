"""Conversations with contacts, and replying to them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.platform.paging import Position
from domain.statuses.messaging import ConversationState, Direction, MessageStatus
from tests.kits.conversation_list import add_contact, listed_names, receive_text
from tests.kits.sending import SendingKit

NEEDS_REPLY = ConversationState.NEEDS_REPLY


async def test_contacts_are_listed_by_their_last_text(kit: SendingKit) -> None:
    ada, bob = (
        await add_contact(kit, "Ada", "+12125550101"),
        await add_contact(kit, "Bob", "+12125550102"),
    )
    await add_contact(kit, "Silent", "+12125550103")
    sequence = await kit.sequence("Hi {{first_name|there}}")
    ada_there = await kit.enroll(sequence, ada)
    await kit.send(ada_there)
    await kit.send(await kit.enroll(sequence, bob))
    assert await listed_names(kit) == ["Bob", "Ada"]
    await kit.text_back(ada_there, f"Yes\n{'please ' * 40}")
    page = await kit.services.inbox.page()
    first, second = page.items
    assert (first.contact.id, first.direction, first.unanswered) == (ada, Direction.INBOUND, True)
    assert first.snippet.startswith("Yes please please")
    assert len(first.snippet) == 120
    assert first.snippet.endswith("…")
    assert (second.contact.id, second.direction, second.unanswered) == (
        bob,
        Direction.OUTBOUND,
        False,
    )
    assert (second.snippet, second.status_label) == ("Hi Bob", "Queued")


async def test_filters_and_search(kit: SendingKit) -> None:
    for name, phone, body in (
        ("Ada", "+12125550101", "Hello?"),
        ("Bob", "+12125550102", "STOP"),
        ("Cid", "+12125550103", "HELP"),
        ("Dee", "+13105550104", "Who is this?"),
    ):
        await add_contact(kit, name, phone)
        await receive_text(kit, phone, body)
    assert await listed_names(kit) == ["Dee", "Cid", "Bob", "Ada"]
    assert await listed_names(kit, NEEDS_REPLY) == ["Dee", "Ada"]
    assert await listed_names(kit, opted_out=True) == ["Bob"]
    assert await listed_names(kit, search="dE") == ["Dee"]
    assert await listed_names(kit, search="212 555") == ["Cid", "Bob", "Ada"]
    assert await listed_names(kit, NEEDS_REPLY, search="212") == ["Ada"]
    with pytest.raises(InvalidFieldError):
        await listed_names(kit, search="a\0b")


async def test_pages_hold_everyone_once(kit: SendingKit) -> None:
    for number in range(5):
        phone = f"+1212555010{number}"
        await add_contact(kit, f"P{number}", phone)
        await receive_text(kit, phone, "one")
        await receive_text(kit, phone, "two")
    walked: list[str] = []
    after: Position | None = None
    while True:
        page = await kit.services.inbox.page(after=after, limit=2)
        walked += [line.contact.name for line in page.items]
        after = page.next
        if after is None:
            break
    assert walked == ["P4", "P3", "P2", "P1", "P0"]


async def test_conversation_shows_author_and_origin_of_each_text(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    sequence = await kit.sequence(name="Welcome")
    enrollment_id = await kit.enroll(sequence, contact_id)
    await kit.send(enrollment_id)
    await receive_text(kit, "+12125550101", "", ("https://example.com/cat.jpg",))
    await kit.run_message(await kit.one_off(enrollment_id, "A word"))
    shown = await kit.services.conversations.get(contact_id)
    step, photo, word = shown.texts
    assert (shown.contact.name, shown.opted_out, shown.earlier) == ("Ada", False, None)
    assert step.origin is not None
    assert (step.origin.sequence_name, step.origin.step) == ("Welcome", 1)
    assert step.origin.enrollment_id == enrollment_id
    assert (step.status, step.status_label) == (MessageStatus.QUEUED, "Queued")
    assert step.sender is not None
    assert step.sender.name == "Front desk"
    assert step.user is None
    assert (photo.direction, photo.body) == (Direction.INBOUND, "")
    assert photo.media_urls == ("https://example.com/cat.jpg",)
    assert photo.origin is None
    assert word.user is not None
    assert (word.user.name, word.body) == ("Mia", "A word")
    assert word.origin is not None
    assert word.origin.step is None


async def test_a_refused_text_says_why(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    enrollment_id = await kit.enroll(None, contact_id)
    await kit.refuses(enrollment_id, 21211)
    await kit.run_step(enrollment_id)
    [text] = (await kit.services.conversations.get(contact_id)).texts
    assert text.error is not None
    assert text.error.code == 21211
    assert text.error.meaning


async def test_earlier_pages_follow_upwards(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    for number in range(5):
        await receive_text(kit, "+12125550101", f"Text {number}")
    newest = await kit.services.conversations.get(contact_id, limit=2)
    assert [one.body for one in newest.texts] == ["Text 3", "Text 4"]
    middle = await kit.services.conversations.get(contact_id, limit=2, before=newest.earlier)
    assert [one.body for one in middle.texts] == ["Text 1", "Text 2"]
    first = await kit.services.conversations.get(contact_id, limit=2, before=middle.earlier)
    assert [one.body for one in first.texts] == ["Text 0"]
    assert first.earlier is None


async def test_conversation_includes_texts_of_unknown_and_former_numbers(
    kit: SendingKit,
) -> None:
    await receive_text(kit, "+12125550101", "Before")
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    await receive_text(kit, "+12125550101", "Old number")
    await kit.services.contacts.update(contact_id, {"phone": "+12125550102"})
    await kit.world.run("UPDATE messages SET contact_id = NULL WHERE body = 'Before'")
    await receive_text(kit, "+12125550102", "New number")
    shown = await kit.services.conversations.get(contact_id)
    assert [one.body for one in shown.texts] == ["Old number", "New number"]
    await kit.services.contacts.update(contact_id, {"phone": "+12125550101"})
    shown = await kit.services.conversations.get(contact_id)
    assert [one.body for one in shown.texts] == ["Before", "Old number", "New number"]


async def test_one_senders_part_of_a_conversation(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    other = await kit.world.sender(uuid4(), "+14155550111")
    await kit.send(await kit.enroll(await kit.sequence("From front"), contact_id))
    await kit.send(await kit.enroll(await kit.sequence("From other", sender_id=other), contact_id))
    shown = await kit.services.conversations.get(contact_id, sender_id=other)
    assert [one.body for one in shown.texts] == ["From other"]


async def test_a_reply_is_sent_once_without_an_enrollment(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    await receive_text(kit, "+12125550101", "Hello?")
    message_id = uuid4()
    reply = kit.services.conversations.reply
    body = "Hi {{first_name|there}}!"
    answers = await asyncio.gather(
        *(reply(message_id, contact_id, body, kit.world.user_id) for _ in range(4))
    )
    assert answers == [message_id] * 4
    for _ in range(2):
        await kit.run_message(message_id)
    assert [call.body for call in kit.gateway.calls_to("+12125550101")] == ["Hi Ada!"]
    starts = await kit.world.rows("SELECT kind FROM outbox WHERE subject_id = :id", id=message_id)
    assert [row.kind for row in starts] == ["start_message"]
    shown = await kit.services.conversations.get(contact_id)
    assert [one.body for one in shown.texts] == ["Hello?", "Hi Ada!"]
    assert shown.texts[1].origin is None
    assert await listed_names(kit, NEEDS_REPLY) == []
    [entry] = await kit.world.rows(
        "SELECT subject_id FROM audit_log WHERE action = 'contact.send_message'"
    )
    assert entry.subject_id == contact_id


async def test_message_id_works_for_one_text(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    message_id = uuid4()
    await kit.services.conversations.reply(message_id, contact_id, "One", kit.world.user_id)
    with pytest.raises(ConflictError) as refused:
        await kit.services.conversations.reply(message_id, contact_id, "Two", kit.world.user_id)
    assert refused.value.conflict == "idempotency_key_reused"
    rows = await kit.world.rows("SELECT body FROM messages")
    assert [row.body for row in rows] == ["One"]


async def test_repeated_reply_is_the_same_text_whatever_has_changed(kit: SendingKit) -> None:
    """The contact's name, what the text says without a fallback, whether they opted out."""
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    await kit.world.run("""UPDATE contacts SET fields = '{"city": "Rome"}'""")
    reply, user = kit.services.conversations.reply, kit.world.user_id
    now, later, at = uuid4(), uuid4(), datetime.now(UTC) + timedelta(days=1)
    draft = "Hi {{first_name}} in {{city}}"
    for _ in range(2):
        assert await reply(now, contact_id, draft, user) == now
        assert await reply(later, contact_id, draft, user, send_at=at) == later
        await kit.world.run("UPDATE contacts SET first_name = 'Eve', fields = '{}'")
        await receive_text(kit, "+12125550101", "STOP")
    rows = await kit.world.rows("SELECT body FROM messages WHERE direction = 'outbound'")
    assert [row.body for row in rows] == ["Hi Ada in Rome"] * 2


async def test_reply_to_an_opted_out_number_or_landline_is_refused(kit: SendingKit) -> None:
    gone = await add_contact(kit, "Ada", "+12125550101")
    await receive_text(kit, "+12125550101", "STOP")
    landline = await kit.world.landline()
    for contact_id, code in ((gone, "opted_out"), (landline, "landline")):
        box = (await kit.services.conversations.get(contact_id)).reply
        assert box.refusal == code
        assert box.refusal_text
        with pytest.raises(ConflictError) as refused:
            await kit.services.conversations.reply(uuid4(), contact_id, "Hi", kit.world.user_id)
        assert refused.value.conflict == code
    assert await kit.world.rows("SELECT 1 FROM messages WHERE direction = 'outbound'") == []


async def test_stop_after_a_reply_was_written_prevents_it(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    message_id = uuid4()
    await kit.services.conversations.reply(message_id, contact_id, "Hi", kit.world.user_id)
    await receive_text(kit, "+12125550101", "STOP")
    await kit.run_message(message_id)
    assert kit.gateway.calls_to("+12125550101") == []
    assert (await kit.one_off_row(message_id)).status == MessageStatus.REFUSED


async def test_reply_goes_out_from_the_usual_sender(kit: SendingKit) -> None:
    second = await kit.world.sender(uuid4(), "+14155550111")
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    conversations = kit.services.conversations
    assert (await conversations.get(contact_id)).reply.sender is None
    with pytest.raises(InvalidFieldError) as refused:
        await conversations.reply(uuid4(), contact_id, "Hi", kit.world.user_id)
    assert refused.value.field == "sender_id"
    await kit.enroll(await kit.sequence(sender_id=second), contact_id)
    box = (await conversations.get(contact_id)).reply
    assert box.sender is not None
    assert box.sender.id == second  # of the sequence
    await receive_text(kit, "+12125550101", "Hello?")
    message_id = await conversations.reply(uuid4(), contact_id, "Hi", kit.world.user_id)
    assert (await kit.one_off_row(message_id)).sender_id == kit.world.sender_id  # of the last text
    chosen = await conversations.reply(
        uuid4(), contact_id, "Hi", kit.world.user_id, sender_id=second
    )
    assert (await kit.one_off_row(chosen)).sender_id == second
    with pytest.raises(InvalidFieldError):
        await conversations.reply(uuid4(), contact_id, "Hi", kit.world.user_id, sender_id=uuid4())


async def test_invalid_reply_is_refused(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "", "+12125550101")
    reply = kit.services.conversations.reply
    for body in ("", " ", "{{first_name}}", "{{nickname}}", "x" * 1601):
        with pytest.raises(InvalidFieldError):
            await reply(uuid4(), contact_id, body, kit.world.user_id)
    with pytest.raises(NotFoundError):
        await reply(uuid4(), uuid4(), "Hi", kit.world.user_id)
    with pytest.raises(NotFoundError):
        await kit.services.conversations.get(uuid4())
    picture = ["https://example.com/map.png"]  # goes without the words
    named = await reply(
        uuid4(), contact_id, "{{first_name}}", kit.world.user_id, media_urls=picture
    )
    assert (await kit.one_off_row(named)).body == ""


async def test_reply_refused_by_the_provider_is_not_retried(kit: SendingKit) -> None:
    contact_id = await add_contact(kit, "Ada", "+12125550101")
    message_id = uuid4()
    await kit.services.conversations.reply(message_id, contact_id, "Hi", kit.world.user_id)
    enrollment_id = await kit.enroll(None, contact_id)
    await kit.refuses(enrollment_id, 21211)
    await kit.run_message(message_id)
    await kit.pass_time(timedelta(hours=1))
    await kit.run_message(message_id)
    row = await kit.one_off_row(message_id)
    assert (row.status, row.error_code) == (MessageStatus.FAILED, 21211)
    assert len(kit.gateway.calls_to("+12125550101")) == 1
    assert (await kit.row(enrollment_id)).status == "active"
