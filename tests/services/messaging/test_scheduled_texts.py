"""One-off texts that are written to be sent later.

The rules: docs/design.md, "Sending".
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.messaging.ports import Refused
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from storage.messaging import recipients
from storage.messaging.recipients import Recipient
from storage.platform.locks import lock_numbers
from tests.kits.conversation_list import add_contact, receive_text
from tests.kits.locks import until_blocked, until_done_or_blocked
from tests.kits.sending import SendingKit, about

HOUR = timedelta(hours=1)
PICTURE = "https://example.com/map.png"


async def write(
    kit: SendingKit, contact_id: UUID, body: str = "See you", ahead: timedelta = HOUR
) -> UUID:
    return await kit.services.conversations.reply(
        uuid4(),
        contact_id,
        body,
        kit.world.user_id,
        media_urls=[PICTURE],
        send_at=datetime.now(UTC) + ahead,
    )


async def run(kit: SendingKit, message_id: UUID) -> str:
    state = await kit.run_message(message_id)
    assert isinstance(state, EnrollmentState)
    return state.doing


async def status(kit: SendingKit, message_id: UUID) -> MessageStatus:
    return (await kit.services.conversations.text(message_id)).status


async def test_scheduled_text_waits_and_goes_at_its_time_as_written(kit: SendingKit) -> None:
    ada = await add_contact(kit, "Ada", "+12125550101")
    text = await write(kit, ada, "See you, {{first_name|there}}")
    shown = await kit.services.conversations.text(text)
    assert (shown.status, shown.status_label, shown.body) == (
        "scheduled",
        "Scheduled",
        "See you, Ada",
    )
    assert about(shown.send_at, HOUR)
    state = await kit.run_message(text)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.due_at) == ("waiting", shown.send_at)
    await kit.world.run("UPDATE contacts SET first_name = 'Eve'")
    await kit.pass_time(HOUR)
    written_at = (await kit.one_off_row(text)).created_at
    assert await run(kit, text) == "ended"
    [call] = kit.gateway.calls
    assert (call.to, call.body, tuple(call.media_urls)) == (
        "+12125550101",
        "See you, Ada",
        (PICTURE,),
    )
    row = await kit.one_off_row(text)
    assert row.created_at > written_at  # among the texts of the time at which it went
    assert (await status(kit, text), row.send_at is not None) == ("queued", True)
    with pytest.raises(ConflictError, match="was sent"):
        await kit.services.conversations.cancel(text)


async def test_only_a_moment_of_the_coming_year_is_taken(kit: SendingKit) -> None:
    ada = await add_contact(kit, "Ada", "+12125550101")
    for ahead, code in ((-HOUR, "in_the_past"), (timedelta(days=366), "too_far_ahead")):
        with pytest.raises(InvalidFieldError) as refused:
            await write(kit, ada, ahead=ahead)
        assert (refused.value.field, refused.value.field_code) == ("send_at", code)
    assert await kit.world.rows("SELECT id FROM messages") == []
    with pytest.raises(NotFoundError):
        await kit.services.conversations.cancel(uuid4())


async def test_scheduled_text_is_bound_by_what_holds_at_its_time(kit: SendingKit) -> None:
    """What happens meanwhile decides: a STOP cancels at once, and an opt-in brings nothing back."""
    names = ("stops", "comes_back", "by_hand", "lands", "canceled", "moves", "erased", "stays")
    people = {
        name: await add_contact(kit, name, f"+1212555{number:04}")
        for number, name in enumerate(names, start=101)
    }
    phones = {name: f"+1212555{number:04}" for number, name in enumerate(names, start=101)}
    texts = {name: await write(kit, contact_id) for name, contact_id in people.items()}
    assert {await run(kit, text) for text in texts.values()} == {"waiting"}

    for name in ("stops", "comes_back"):
        await receive_text(kit, phones[name], "STOP")
        assert await status(kit, texts[name]) == "canceled"
    await receive_text(kit, phones["comes_back"], "START")
    await kit.services.suppressions.suppress(
        contact_id=people["by_hand"],
        phone=None,
        sender_id=None,
        reason="Asked",
        user_id=kit.world.user_id,
    )
    await kit.world.run(
        "UPDATE contacts SET line_type = 'landline' WHERE id = :id", id=people["lands"]
    )
    for _ in range(2):
        assert (await kit.services.conversations.cancel(texts["canceled"])).status == "canceled"
    await kit.services.contacts.update(people["moves"], {"phone": "+12125550999"})
    await kit.services.erasure.erase(people["erased"], kit.world.user_id)

    await kit.pass_time(HOUR)
    assert {await run(kit, text) for text in texts.values()} == {"ended"}
    assert {call.to for call in kit.gateway.calls} == {"+12125550999", phones["stays"]}
    ended = {name: await status(kit, text) for name, text in texts.items() if name != "erased"}
    assert ended == {
        **dict.fromkeys(("stops", "comes_back", "by_hand", "canceled"), "canceled"),
        "lands": "refused",
        "moves": "queued",
        "stays": "queued",
    }
    told = await kit.world.rows("SELECT data FROM events WHERE type = 'message.canceled'")
    assert {one.data["message_id"]: one.data["reason"] for one in told} == {
        **{str(texts[name]): "opted_out" for name in ("stops", "comes_back", "by_hand")},
        str(texts["canceled"]): "by_hand",
    }
    assert len(told) == 4


async def test_cancel_and_send_at_once_do_one_of_the_two(kit: SendingKit) -> None:
    """Once a cancel was answered the text never goes; one that is refused went, once."""
    texts = []
    for number in range(101, 117):
        contact_id = await add_contact(kit, "Ada", f"+1212555{number:04}")
        texts.append((await write(kit, contact_id), f"+1212555{number:04}"))
    await kit.pass_time(HOUR)
    kit.gateway.delay = 0.01

    async def cancel(text: UUID, after: float) -> bool:
        await asyncio.sleep(after)
        try:
            await kit.services.conversations.cancel(text)
        except ConflictError as error:
            assert error.conflict == "not_waiting"  # noqa: PT017 - the other outcome
            return False
        assert await run(kit, text) == "ended"
        return True

    async def race(number: int, text: UUID, phone: str) -> bool:
        _, canceled = await asyncio.gather(kit.run_message(text), cancel(text, number * 0.002))
        assert len(kit.gateway.calls_to(phone)) == (0 if canceled else 1)
        return canceled

    await asyncio.gather(*(race(number, *one) for number, one in enumerate(texts)))


async def test_lost_workflow_of_a_scheduled_text_is_started_again_after_its_time(
    kit: SendingKit,
) -> None:
    text = await write(kit, await add_contact(kit, "Ada", "+12125550101"))
    await kit.services.outbox.drain()

    async def started() -> int:
        kit.temporal.told.clear()
        await kit.services.sweep.sweep()
        return [one[1] for one in kit.temporal.told if one[0] == "message"].count(text)

    await kit.pass_time(HOUR / 2)
    assert await started() == 0
    await kit.pass_time(HOUR)
    assert await started() == 1


async def test_stop_that_crosses_a_scheduled_text_cancels_it_for_good(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in while the text is written, after an opt-in, or between two tries."""
    people = {}
    for number, name in enumerate(("crosses", "late", "tried", "moves"), start=101):
        people[name] = await add_contact(kit, name, phone := f"+1212555{number:04}"), phone
    contact_id, phone = people["crosses"]
    read, stops = recipients.of_contact, list[asyncio.Task[None]]()

    async def crossed(*args: Any, **named: Any) -> Recipient | None:
        found = await read(*args, **named)
        stops.append(asyncio.create_task(receive_text(kit, phone, "STOP")))
        await until_done_or_blocked(kit.world.database, stops[0])
        return found

    with monkeypatch.context() as patched:
        patched.setattr(recipients, "of_contact", crossed)
        texts = [await write(kit, contact_id)]
    await asyncio.gather(*stops)
    await receive_text(kit, phone, "START")

    contact_id, phone = people["late"]
    texts.append(await write(kit, contact_id))
    await kit.pass_time(timedelta(minutes=10))
    now = datetime.now(UTC)
    for body, age in (("START", 1), ("STOP", 5)):
        await receive_text(kit, phone, body, at=now - timedelta(minutes=age))
    later = await write(kit, contact_id)

    for name in ("tried", "moves"):
        contact_id, phone = people[name]
        texts.append(await write(kit, contact_id))
        await kit.pass_time(HOUR)
        kit.gateway.answer(Refused(400, 30001), to=phone)
        assert await run(kit, texts[-1]) == "waiting"
    await receive_text(kit, people["tried"][1], "STOP")
    await receive_text(kit, people["tried"][1], "START")
    moved = texts.pop()
    await kit.services.contacts.update(people["moves"][0], {"phone": "+12125550999"})

    assert {await status(kit, text) for text in texts} == {"canceled"}
    await kit.pass_time(2 * HOUR)
    gone = len(kit.gateway.calls)
    for text in (*texts, later, moved):
        await run(kit, text)
    assert [call.to for call in kit.gateway.calls[gone:]] == [people["late"][1], "+12125550999"]


async def test_old_stop_cancels_a_scheduled_text_of_before_that_is_tried_again(
    kit: SendingKit,
) -> None:
    """It was written before the STOP, which comes late and after an opt-in; then it was tried."""
    contact_id, phone = await add_contact(kit, "Ada", "+12125550101"), "+12125550101"
    text = await write(kit, contact_id)
    await kit.pass_time(HOUR)
    kit.gateway.answer(Refused(400, 30001), to=phone)
    assert await run(kit, text) == "waiting"
    await kit.pass_time(timedelta(minutes=2))
    now = datetime.now(UTC)
    for body, age in (("START", 10), ("STOP", 30)):
        await receive_text(kit, phone, body, at=now - timedelta(minutes=age))
    assert await status(kit, text) == "canceled"
    await kit.pass_time(HOUR)
    assert await run(kit, text) == "ended"
    assert len(kit.gateway.calls) == 1


async def test_number_that_changes_while_a_scheduled_text_is_written_is_its_number(
    kit: SendingKit,
) -> None:
    ada = await add_contact(kit, "Ada", "+12125550101")
    async with kit.world.database.transaction() as tx:
        await lock_numbers(tx, ["+12125550101"])
        writing = asyncio.create_task(write(kit, ada))
        await until_blocked(kit.world.database)
        await tx.run("UPDATE contacts SET phone = '+12125550999'")
    assert (await kit.one_off_row(await writing)).phone == "+12125550999"
