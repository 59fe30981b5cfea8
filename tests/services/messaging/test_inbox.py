"""The inbox: whose conversations are, which need a reply, which are done."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.platform.errors import InvalidFieldError, NotFoundError
from domain.statuses.access import Role
from domain.statuses.messaging import ConversationState, Direction
from services.messaging.inbox import ConversationChange, ListedConversation, PutAway
from storage.messaging.inbox import ConversationFilter
from storage.platform.locks import lock_numbers
from tests.kits.conversation_list import add_contact, listed_names, receive_text
from tests.kits.locks import until_blocked
from tests.kits.sending import SendingKit

NEEDS_REPLY, OPEN, SNOOZED, DONE = ConversationState
ADA = "+12125550101"
LIKED = "Liked \N{LEFT DOUBLE QUOTATION MARK}Hi\N{RIGHT DOUBLE QUOTATION MARK}"


async def user(kit: SendingKit, name: str) -> UUID:
    user_id = uuid4()
    await kit.world.run(
        "INSERT INTO users (id, email, name, role) VALUES (:id, :email, :name, 'member')",
        id=user_id,
        email=f"{name}@example.com",
        name=name,
    )
    return user_id


async def state_of(kit: SendingKit, contact_id: UUID) -> ConversationState:
    """Read how the only conversation stands, which both lists and the number say."""
    inbox = kit.services.inbox
    found = (await inbox.get(contact_id)).state
    assert await listed_names(kit, found) == ["Ada"]
    assert not await listed_names(kit, *(set(ConversationState) - {found}))
    [by_reply] = (await inbox.page_by_reply()).items
    assert by_reply.state is found
    assert (await inbox.count_waiting(kit.world.user_id, most=9)).replies == (found is NEEDS_REPLY)
    return found


async def test_conversation_is_done_until_the_contact_writes_again(kit: SendingKit) -> None:
    ada = await add_contact(kit, "Ada", ADA)
    inbox, conversations = kit.services.inbox, kit.services.conversations

    async def change(state: ConversationState) -> ConversationState:
        return (await inbox.change(ada, {"state": state})).state

    async def state() -> ConversationState:
        [listed] = (await inbox.page()).items
        found = await inbox.get(ada)
        assert (found.state, found.contact.id) == (listed.state, ada)
        assert await listed_names(kit, found.state) == ["Ada"]
        assert not await listed_names(kit, *(set(ConversationState) - {found.state}))
        needing = (await inbox.count_waiting(kit.world.user_id, most=10)).replies
        assert needing == (found.state is NEEDS_REPLY)
        return found.state

    assert (await inbox.get(ada)).last_message is None
    enrollment = await kit.enroll(await kit.sequence("Hi", "Still there?"), ada)
    await kit.send(enrollment)
    assert await state() is OPEN
    await receive_text(kit, ADA, "Who is this?")
    assert await state() is NEEDS_REPLY
    assert await change(DONE) is await state() is DONE
    assert await change(DONE) is DONE
    await receive_text(kit, ADA, LIKED)
    await receive_text(kit, ADA, "HELP")
    assert await state() is DONE
    assert await change(OPEN) is await state() is OPEN  # HELP was the last word
    await receive_text(kit, ADA, "Hello?")
    seen = (await inbox.get(ada)).last_message
    assert seen is not None
    await receive_text(kit, ADA, "I need help")
    for put_away in (
        ConversationChange(state=DONE, last_message_id=seen.id),
        ConversationChange(
            snoozed_until=datetime.now(UTC) + timedelta(days=1), last_message_id=seen.id
        ),
    ):
        assert (await inbox.change(ada, put_away)).state is NEEDS_REPLY, "not seen by the user"
    assert await change(DONE) is DONE
    await receive_text(kit, ADA, "Anybody there?")
    assert await state() is NEEDS_REPLY

    await conversations.reply(uuid4(), ada, "Here I am", kit.world.user_id)
    assert await state() is OPEN
    with pytest.raises(InvalidFieldError) as refused:
        await inbox.change(ada, {"state": NEEDS_REPLY})
    assert refused.value.field_code == "computed_state"
    with pytest.raises(NotFoundError):
        await inbox.get(uuid4())


async def test_reply_is_an_answer_once_it_is_written_unless_it_is_canceled_or_fails(
    kit: SendingKit,
) -> None:
    ada = await add_contact(kit, "Ada", ADA)
    inbox, conversations = kit.services.inbox, kit.services.conversations
    await receive_text(kit, ADA, "Who is this?")
    assert await state_of(kit, ada) is NEEDS_REPLY
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    later = await conversations.reply(uuid4(), ada, "Tomorrow", kit.world.user_id, send_at=tomorrow)
    assert await state_of(kit, ada) is OPEN
    assert (await inbox.get(ada)).scheduled_for == tomorrow
    assert (await inbox.page_by_reply()).items[0].answer_at == tomorrow
    await conversations.cancel(later)
    assert await state_of(kit, ada) is NEEDS_REPLY
    assert (await inbox.get(ada)).scheduled_for is None
    answer = await conversations.reply(uuid4(), ada, "Here I am", kit.world.user_id)
    assert await state_of(kit, ada) is OPEN
    for status in ("failed", "undelivered"):
        sql = "UPDATE messages SET status = :status WHERE id = :id"
        await kit.world.run(sql, status=status, id=answer)
        assert await state_of(kit, ada) is NEEDS_REPLY
        assert (await inbox.page_by_reply()).items[0].answer == status
    await conversations.reply(uuid4(), ada, "Once more", kit.world.user_id)
    assert await state_of(kit, ada) is OPEN


async def test_snoozed_conversation_comes_back_by_itself_and_when_the_contact_writes(
    kit: SendingKit,
) -> None:
    ada = await add_contact(kit, "Ada", ADA)
    inbox = kit.services.inbox

    async def state() -> ConversationState:
        [listed] = (await inbox.page_by_reply()).items
        found = await inbox.get(ada)
        assert (found.state, found.snoozed_until) == (listed.state, listed.snoozed_until)
        assert await listed_names(kit, found.state) == ["Ada"]
        assert not await listed_names(kit, *(set(ConversationState) - {found.state}))
        needing = (await inbox.count_waiting(kit.world.user_id, most=10)).replies
        assert needing == (found.state is NEEDS_REPLY)
        assert (found.snoozed_until is not None) == (found.state is SNOOZED)
        return found.state

    async def snooze() -> None:
        until = datetime.now(UTC) + timedelta(hours=2)
        assert (await inbox.change(ada, {"snoozed_until": until})).snoozed_until == until
        assert await state() is SNOOZED

    await kit.send(await kit.enroll(await kit.sequence("Hi", "Still there?"), ada))
    await receive_text(kit, ADA, "Hello?")
    await snooze()
    await receive_text(kit, ADA, LIKED)
    assert await state() is SNOOZED
    await kit.pass_time(timedelta(hours=3))
    assert await state() is NEEDS_REPLY
    await snooze()
    await receive_text(kit, ADA, "Anybody there?")
    assert await state() is NEEDS_REPLY
    await snooze()
    await inbox.change(ada, {"snoozed_until": None})
    assert await state() is NEEDS_REPLY
    await snooze()
    await inbox.change(ada, {"state": DONE})
    assert await state() is DONE
    await inbox.change(ada, {"snoozed_until": None})
    assert await state() is DONE  # which it was not snoozed
    now = datetime.now(UTC)
    wrong: list[tuple[ConversationChange, str]] = [
        ({"state": SNOOZED}, "computed_state"),
        ({"snoozed_until": now - timedelta(minutes=1)}, "in_the_past"),
        ({"snoozed_until": now + timedelta(days=400)}, "too_far_ahead"),
    ]
    for change, code in wrong:
        with pytest.raises(InvalidFieldError) as refused:
            await inbox.change(ada, change)
        assert refused.value.field_code == code
    assert await state() is DONE


async def test_texts_of_ours_hide_nobody_who_wrote(kit: SendingKit) -> None:
    ids = {}
    for number, name in enumerate(("Ada", "Bob", "Cid", "Dee", "Eve")):
        phone = f"+1212555010{number + 1}"
        ids[name] = await add_contact(kit, name, phone)
        if name in {"Ada", "Dee"}:
            await receive_text(kit, phone, "Hello?")
    reply = kit.services.conversations.reply
    for name in ("Bob", "Cid", "Eve", "Ada"):
        await reply(uuid4(), ids[name], "Hi", kit.world.user_id)

    page = kit.services.inbox.page_by_reply
    whole = (await page()).items
    assert [one.contact.name for one in whole] == ["Dee", "Ada", "Eve", "Cid", "Bob"]
    assert [one.snippet for one in whole[:3]] == ["Hello?", "Hello?", "Hi"]
    assert [one.state for one in whole[:3]] == [NEEDS_REPLY, OPEN, OPEN]
    assert [one.answer is None for one in whole[:2]] == [True, False]
    paged: list[ListedConversation] = []
    after = None
    while not paged or after is not None:
        part = await page(after=after, limit=1)
        paged += part.items
        after = part.next
    assert paged == list(whole)
    waiting = ConversationFilter(states=[NEEDS_REPLY])
    assert [one.contact.name for one in (await page(waiting)).items] == ["Dee"]
    found = await page(ConversationFilter(states=[OPEN], search="e"))
    assert [one.contact.name for one in found.items] == ["Eve"]


async def test_step_is_no_answer_to_who_wrote_before_it(kit: SendingKit) -> None:
    ada = await add_contact(kit, "Ada", ADA)
    enrollment = await kit.enroll(contact_id=ada)
    await receive_text(kit, ADA, "It still leaks")
    await kit.send(enrollment)
    assert await kit.outcomes(enrollment) == ["accepted"]

    inbox = kit.services.inbox
    waiting = ConversationFilter(states=[NEEDS_REPLY])
    assert (await inbox.get(ada)).state is NEEDS_REPLY
    assert (await inbox.count_waiting(kit.world.user_id, most=9)).replies == 1
    lists: list[Callable[..., Any]] = [inbox.page_by_reply, inbox.page]
    for listed in lists:  # both go by what waits for a reply
        [one] = (await listed(waiting)).items
        assert (one.contact.id, one.snippet) == (ada, "It still leaks")
    assert [one.direction for one in (await inbox.page()).items] == [Direction.OUTBOUND]

    await kit.services.conversations.reply(uuid4(), ada, "We come today", kit.world.user_id)
    assert (await inbox.get(ada)).state is OPEN
    assert (await inbox.count_waiting(kit.world.user_id, most=9)).replies == 0
    assert [(await listed(waiting)).items for listed in lists] == [[], []]


async def test_contact_opted_out_by_hand_needs_no_reply_until_they_write_again(
    kit: SendingKit,
) -> None:
    ada = await add_contact(kit, "Ada", ADA)
    inbox = kit.services.inbox
    await kit.send(await kit.enroll(await kit.sequence("Hi", "Still there?"), ada))
    await receive_text(kit, ADA, "Who is this?")
    assert await state_of(kit, ada) is NEEDS_REPLY
    row, _ = await kit.services.suppressions.suppress(
        contact_id=ada, phone=None, sender_id=None, reason="Asked", user_id=kit.world.user_id
    )
    assert await state_of(kit, ada) is OPEN
    await receive_text(kit, ADA, LIKED)
    assert await state_of(kit, ada) is OPEN
    await receive_text(kit, ADA, "I changed my mind")
    assert await state_of(kit, ada) is NEEDS_REPLY
    await inbox.change(ada, {"state": DONE})
    await kit.services.suppressions.lift(
        row.id, reason="Consented", user_id=kit.world.user_id, role=Role.ADMIN
    )
    assert await state_of(kit, ada) is DONE


async def test_conversations_are_put_away_together_and_one_leads_to_the_next(
    kit: SendingKit,
) -> None:
    ids = {}
    for number, name in enumerate(("Ada", "Bob", "Cid", "Dee")):
        phone = f"+1212555010{number + 1}"
        ids[name] = await add_contact(kit, name, phone)
        await receive_text(kit, phone, "Hello?")
    inbox, everyone = kit.services.inbox, ConversationFilter()
    names = {contact_id: name for name, contact_id in ids.items()}

    async def after(name: str, wanted: ConversationFilter = everyone) -> str | None:
        found = await inbox.following(ids[name], wanted)
        return None if found is None else names[found]

    assert [await after(name) for name in ("Dee", "Cid", "Bob")] == ["Cid", "Bob", "Ada"]
    assert await after("Ada") == "Dee", "the first, behind the last"
    assert await after("Dee", ConversationFilter(search="ada")) == "Ada"

    seen = {one.contact.id: one.id for one in (await inbox.page_by_reply()).items}
    await receive_text(kit, "+12125550103", "One more thing")
    gone = uuid4()
    wanted = {ids[name]: seen[ids[name]] for name in ("Bob", "Cid", "Dee")}
    with pytest.raises(InvalidFieldError) as refused:
        await inbox.put_away({ids["Ada"]: None, ids["Bob"]: wanted[ids["Dee"]]})
    assert refused.value.field_code == "unknown_message"
    assert await listed_names(kit, DONE) == []
    away = await inbox.put_away({**wanted, gone: None})
    assert set(away.changed) == {ids["Bob"], ids["Dee"]}
    assert away.wrote_again == [ids["Cid"]], "that text was not seen"
    assert await listed_names(kit, DONE) == ["Dee", "Bob"]
    assert await listed_names(kit, NEEDS_REPLY) == ["Cid", "Ada"]
    assert await after("Dee") == "Ada", "Cid is above now"
    assert await inbox.put_away({ids["Dee"]: None}) == PutAway([], {}, []), "it is so already"
    until = datetime.now(UTC) + timedelta(hours=2)
    away = await inbox.put_away({ids["Cid"]: None}, until)
    assert away == PutAway([ids["Cid"]], {}, [])
    assert (await inbox.get(ids["Cid"])).snoozed_until == until
    away = await inbox.put_away({ids["Cid"]: wanted[ids["Cid"]]})
    assert away.wrote_again == [ids["Cid"]], "who saw less takes nothing back"
    assert (await inbox.get(ids["Cid"])).snoozed_until == until
    with pytest.raises(InvalidFieldError):
        await inbox.put_away({ids["Ada"]: None}, datetime.now(UTC))
    assert set(await inbox.reopen([*ids.values(), gone])) == {ids["Bob"], ids["Cid"], ids["Dee"]}
    assert await listed_names(kit, NEEDS_REPLY) == ["Cid", "Dee", "Bob", "Ada"]
    audited = await kit.world.rows("SELECT action, subject_id FROM audit_log WHERE action ~ 'conv'")
    told = Counter((row.action.partition("_")[0], names[row.subject_id]) for row in audited)
    assert told == Counter(
        [("contact.close", name) for name in ("Bob", "Dee")]
        + [("contact.snooze", "Cid")]
        + [("contact.reopen", name) for name in ("Bob", "Cid", "Dee")]
    )
    await inbox.put_away(dict.fromkeys(ids.values()))
    assert await after("Ada") is None


async def test_what_was_done_or_snoozed_before_it_was_put_away_is_so_again(
    kit: SendingKit,
) -> None:
    inbox, soon = kit.services.inbox, datetime.now(UTC) + timedelta(hours=2)
    ids = {}
    for number, name in enumerate(("Ada", "Bob", "Cid")):
        phone = f"+1212555010{number + 1}"
        ids[name] = await add_contact(kit, name, phone)
        await receive_text(kit, phone, "Hello?")
    everybody = dict.fromkeys(ids.values())
    await inbox.put_away({ids["Bob"]: None})
    await inbox.put_away({ids["Cid"]: None}, soon)

    done = await inbox.put_away(everybody)
    assert set(done.changed) == {ids["Ada"], ids["Cid"]}
    assert done.rested == {ids["Cid"]: soon}
    later = await inbox.put_away(everybody, soon + timedelta(days=1))
    assert later.rested == dict.fromkeys(ids.values())
    assert await listed_names(kit, SNOOZED) == ["Cid", "Bob", "Ada"]
    assert set(await inbox.reopen(later.changed, rested=later.rested)) == set(ids.values())
    assert await listed_names(kit, DONE) == ["Cid", "Bob", "Ada"]
    assert set(await inbox.reopen(done.changed, rested=done.rested)) == {ids["Ada"], ids["Cid"]}
    found = [await inbox.get(one) for one in ids.values()]
    assert [(one.state, one.snoozed_until) for one in found] == [
        (NEEDS_REPLY, None),
        (DONE, None),
        (SNOOZED, soon),
    ]
    await inbox.reopen([ids["Cid"]])
    assert await inbox.reopen([], rested={ids["Cid"]: soon}) == [], "somebody reopened it meanwhile"


async def test_conversations_are_found_by_sequence_and_by_group(kit: SendingKit) -> None:
    ids = [
        await add_contact(kit, name, f"+1212555010{number}") for number, name in enumerate("ABC")
    ]
    for number in range(3):
        await receive_text(kit, f"+1212555010{number}", "Hello?")
    first, second = await kit.sequence("Hi"), await kit.sequence("Hi")
    await kit.enroll(first, ids[0])
    await kit.enroll(second, ids[1])
    group = await kit.services.groups.create("Nurses")
    await kit.services.groups.add_members(group.id, ids[1:], kit.world.user_id)
    assert await listed_names(kit, sequences=[first.id]) == ["A"]
    assert await listed_names(kit, sequences=[first.id, second.id]) == ["B", "A"]
    assert await listed_names(kit, groups=[group.id]) == ["C", "B"]
    assert await listed_names(kit, sequences=[second.id], groups=[group.id]) == ["B"]
    assert await listed_names(kit, groups=[uuid4()]) == []
    wanted = ConversationFilter(sequences=[first.id])
    assert await kit.services.inbox.following(ids[2], wanted) == ids[0]


async def test_replies_belong_to_who_enrolled_first_until_changed(kit: SendingKit) -> None:
    kim, lee = await user(kit, "Kim"), await user(kit, "Lee")
    people = {}
    for number, name in enumerate(("Ada", "Bob", "Cid", "Dee")):
        phone = f"+1212555010{number + 1}"
        people[name] = await add_contact(kit, name, phone)
        await receive_text(kit, phone, "Hello?")
    sequences = [await kit.sequence("Hi"), await kit.sequence("Hi")]
    enroll = kit.services.enrolling.enroll
    await enroll(sequences[0].id, kim, contact_ids=[people["Ada"], people["Bob"]])
    await enroll(sequences[1].id, lee, contact_ids=[people["Bob"], people["Cid"]])

    listed: Callable[..., Any] = kit.services.inbox.page
    owners = {one.contact.name: one.owner and one.owner.name for one in (await listed()).items}
    assert owners == {"Ada": "Kim", "Bob": "Kim", "Cid": "Lee", "Dee": None}
    count = kit.services.inbox.count_waiting
    assert await listed_names(kit, owners=[kim]) == ["Bob", "Ada"]
    assert await listed_names(kit, owners=[kim], nobodys=True) == ["Dee", "Bob", "Ada"]
    assert [(await count(one, most=10)).replies for one in (kim, lee)] == [3, 2]
    assert (await count(kim, most=2)).replies == 2

    change = kit.services.inbox.change
    changed = await change(people["Ada"], {"owner_id": lee})
    assert changed.owner is not None
    assert (changed.owner.id, changed.state) == (lee, NEEDS_REPLY)
    assert (await change(people["Bob"], {"owner_id": None})).owner is None
    told = await kit.world.rows("SELECT data FROM events WHERE type = 'contact.changed'")
    owned = [one.data["contact_id"] for one in told if one.data["fields"] == ["owner_id"]]
    names = ("Ada", "Bob", "Cid", "Ada", "Bob")
    assert Counter(owned) == Counter(str(people[name]) for name in names)
    for nobody in (uuid4(), await user(kit, "Max")):
        await kit.world.run("UPDATE users SET disabled_at = now() WHERE name = 'Max'")
        with pytest.raises(InvalidFieldError) as refused:
            await change(people["Dee"], {"owner_id": nobody})
        assert refused.value.field_code == "unknown_user"
    assert await listed_names(kit, nobodys=True) == ["Dee", "Bob"]
    # Whoever is disabled answers nobody: their conversations are everybody's.
    await kit.world.run("UPDATE users SET disabled_at = now() WHERE id = :id", id=lee)
    assert await listed_names(kit, nobodys=True) == ["Dee", "Cid", "Bob", "Ada"]
    assert [one.name for one in await kit.services.inbox.owners()][:1] == ["Kim"]
    await kit.world.run("UPDATE users SET role = 'viewer' WHERE name = 'Kim'")  # may not reply
    assert "Kim" not in [one.name for one in await kit.services.inbox.owners()]


async def test_reply_that_had_not_seen_a_text_leaves_it_unanswered(kit: SendingKit) -> None:
    """The text waits for a lock meanwhile."""
    ada = await add_contact(kit, "Ada", ADA)
    inbox, conversations = kit.services.inbox, kit.services.conversations
    async with kit.world.database.transaction() as tx:
        await lock_numbers(tx, [ADA])
        text = asyncio.create_task(receive_text(kit, ADA, "One more question"))
        await until_blocked(kit.world.database)
        await conversations.reply(uuid4(), ada, "Here I am", kit.world.user_id)
    await text
    assert (await inbox.get(ada)).state is NEEDS_REPLY
    await inbox.change(ada, {"state": DONE})
    assert (await inbox.get(ada)).state is DONE
