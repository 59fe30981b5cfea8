"""Sending a step's text to oneself: the send path of any one-off, and nobody enrolled."""

from uuid import uuid4

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError
from domain.sequences.texts import MAX_CHARACTERS
from domain.statuses.messaging import ConversationState
from services.access.users import UserDetails
from services.messaging.trial_texts import PER_HOUR
from services.platform.rate_limits import TooManyRequestsError
from tests.kits.conversation_list import add_contact, receive_text
from tests.kits.sending import SendingKit

PHONE = "+12125550199"


async def me(kit: SendingKit) -> UserDetails:
    return await kit.services.users.get(kit.world.user_id)


async def test_test_is_marked_and_tells_nobody_of_another_contact(kit: SendingKit) -> None:
    await kit.world.run("UPDATE users SET name = 'Mia Stone'")
    trials, user = kit.services.trial_texts, await me(kit)
    sequence = await kit.world.draft()
    assert await trials.remembered(user.id) is None
    before = await trials.recipient(user.id, "(212) 555-0199")
    assert (before.phone, before.contact, before.is_remembered) == (PHONE, None, False)

    body = "Hi {{first_name|there}}, {{job_title}}?"
    for recipient in (None, before):
        seen = await trials.preview(body, user, recipient)
        assert seen.text == "[Test] Hi Mia, [job_title]?"
    message_id = uuid4()
    for _ in range(2):
        await trials.send(message_id, sequence.id, user, PHONE, body)
    await kit.run_message(message_id)

    [call] = kit.gateway.calls_to(PHONE)
    assert call.body == "[Test] Hi Mia, [job_title]?"
    after = await trials.recipient(user.id, PHONE)
    assert after.is_remembered
    assert after.contact is not None
    assert after.contact.name == user.name == "Mia Stone"
    zoe = await add_contact(kit, "Zoe", "+12125550197")
    assert [one.id for one in await kit.services.pickers.contacts()] == [zoe]
    assert [one.name for one in await kit.services.pickers.contacts("Mia")] == ["Mia Stone"]
    await trials.send(uuid4(), sequence.id, user, PHONE, body)
    assert [one.id for one in await kit.services.pickers.contacts()] == [zoe], "still"
    assert await trials.remembered(user.id) == after
    assert await kit.world.rows("SELECT 1 FROM enrollments") == []
    [counted] = await kit.world.rows("SELECT sum(count) AS number FROM rate_counts")
    assert counted.number == 2, "what is repeated counts once"

    await kit.world.run("UPDATE contacts SET phone = '+12125550198' WHERE id <> :id", id=zoe)
    await add_contact(kit, "Zoe", PHONE)
    now = await trials.recipient(user.id, PHONE)
    assert not now.is_remembered, "the number is somebody else's by now"


async def test_contact_who_waits_for_a_reply_still_waits_after_a_test(kit: SendingKit) -> None:
    user, sequence = await me(kit), await kit.world.draft()
    zoe = await add_contact(kit, "Zoe", PHONE)
    await receive_text(kit, PHONE, "When do I start?")
    await kit.services.trial_texts.send(uuid4(), sequence.id, user, PHONE, "Hi")
    details = await kit.services.inbox.get(zoe)
    assert details.state is ConversationState.NEEDS_REPLY
    assert (await kit.services.inbox.count_waiting(user.id, most=9)).replies == 1


async def test_mark_counts_toward_the_length(kit: SendingKit) -> None:
    trials, user, sequence = kit.services.trial_texts, await me(kit), await kit.world.draft()
    for body in ("x" * MAX_CHARACTERS, " "):
        with pytest.raises(InvalidFieldError):
            await trials.preview(body, user)
        with pytest.raises(InvalidFieldError):
            await trials.send(uuid4(), sequence.id, user, PHONE, body)
    assert await kit.world.rows("SELECT 1 FROM rate_counts") == [], "what is refused does not count"


async def test_test_obeys_opt_outs_and_leaves_nothing_behind(kit: SendingKit) -> None:
    user, sequence = await me(kit), await kit.world.draft()
    await receive_text(kit, PHONE, "STOP")
    trials = kit.services.trial_texts
    with pytest.raises(ConflictError) as refused:
        await trials.send(uuid4(), sequence.id, user, PHONE, "Hi")
    assert refused.value.conflict == "opted_out"
    assert await kit.world.rows("SELECT 1 FROM contacts") == []
    assert await trials.remembered(user.id) is None
    with pytest.raises(InvalidFieldError):
        await trials.send(uuid4(), sequence.id, user, "nobody", "Hi")


async def test_tests_are_limited_for_each_user(kit: SendingKit) -> None:
    user, sequence = await me(kit), await kit.world.draft()
    await kit.world.run(
        "INSERT INTO rate_counts (key, window_start, count)"
        " VALUES (:key, date_trunc('hour', now()), :most),"
        " (:key, date_trunc('hour', now()) + interval '1 hour', :most)",
        key=f"trial_text:{user.id}",
        most=PER_HOUR,
    )
    with pytest.raises(TooManyRequestsError):
        await kit.services.trial_texts.send(uuid4(), sequence.id, user, PHONE, "Hi")
    assert await kit.world.rows("SELECT 1 FROM messages") == []
