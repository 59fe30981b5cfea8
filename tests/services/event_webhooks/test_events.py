"""Events: written in the transaction that causes them, and sent to endpoints that want them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.event_webhooks.events import EventType
from services.enrollments.enrolling import Enrolling
from storage.event_webhooks import endpoints, events
from storage.platform import outbox
from storage.platform.database import Written
from tests.kits.event_endpoints import subscribe
from tests.kits.query_plans import asked_of
from tests.kits.sending import SendingKit
from tests.worlds import ZONE

URL = "http://127.0.0.1:9/events"


async def listen(kit: SendingKit, **fields: Any) -> UUID:
    made = await subscribe(kit.world.database, kit.world.user_id, URL, **fields)
    return made.details.id


async def written(kit: SendingKit) -> Sequence[Any]:
    """Read the events that an endpoint wants."""
    return await kit.world.rows(
        "SELECT e.* FROM events e WHERE id IN (SELECT event_id FROM event_deliveries) ORDER BY id"
    )


async def written_types(kit: SendingKit) -> list[str]:
    return [one.type for one in await written(kit)]


async def test_events_are_kept_without_an_endpoint(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.text_back(enrollment, "STOP")
    kept = await kit.world.rows("SELECT type FROM events ORDER BY id")
    assert [one.type for one in kept] == [
        "enrollment.created",
        "message.sent",
        "message.received",
        "contact.opted_out",
        "enrollment.finished",
    ]
    assert await kit.world.rows("SELECT * FROM event_deliveries") == []
    assert await kit.world.rows("SELECT * FROM outbox WHERE kind = 'wake_events'") == []


async def test_commit_that_wakes_an_endpoint_drains_the_outbox(
    kit: SendingKit,
) -> None:
    enrollment = await kit.enroll()
    drained: list[str] = []
    kit.world.database.after_commit(Written.OUTBOX, lambda: drained.append("drained"))
    async with kit.world.database.transaction() as tx:
        await events.enrollments_created(tx, [enrollment])
    assert drained == [], "no endpoint to wake"
    await listen(kit)
    async with kit.world.database.transaction() as tx:
        await events.enrollments_created(tx, [enrollment])
    assert drained == ["drained"]


async def test_events_of_an_enrollment_are_in_order(kit: SendingKit) -> None:
    endpoint = await listen(kit)
    enrollment = await kit.enroll(await kit.sequence("Hi"))
    await kit.send(enrollment)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "delivered")
    await kit.report(attempt, "read")
    await kit.text_back(enrollment)
    assert await written_types(kit) == [
        "enrollment.created",
        "message.sent",
        "message.delivered",
        "message.received",
        "enrollment.finished",
    ]
    created, sent, delivered, received, finished = await written(kit)
    row = await kit.row(enrollment)
    about = {
        "enrollment_id": str(enrollment),
        "sequence_id": str(row.sequence_id),
        "contact_id": str(row.contact_id),
    }
    assert {one.subject_id for one in (created, sent, delivered, finished)} == {enrollment}
    assert received.subject_id == row.contact_id
    assert created.data.items() >= {**about, "status": "active"}.items()
    message = await kit.message(enrollment)
    assert sent.data["message_id"] == delivered.data["message_id"] == str(message.id)
    assert sent.data["step"] == 1
    counted = {"enrollment_ids": [str(enrollment)], "sequence_ids": [str(row.sequence_id)]}
    assert received.data.items() >= {"is_reply": True, "keyword": None, **counted}.items()
    ended = {**about, "status": "finished_responded", "step": 1, "step_count": 1}
    assert finished.data.items() >= ended.items()
    on_the_way = await kit.world.rows("SELECT * FROM event_deliveries ORDER BY event_id")
    assert [(one.endpoint_id, one.event_id) for one in on_the_way] == [
        (endpoint, one.id) for one in await written(kit)
    ]


async def test_event_holds_no_number_name_or_text(kit: SendingKit) -> None:
    await listen(kit)
    enrollment = await kit.enroll(await kit.sequence("Hi {{first_name|there}}"))
    await kit.send(enrollment)
    await kit.text_back(enrollment, "Call me at five please")
    phone = await kit.phone(enrollment)
    [row] = await kit.world.rows("SELECT string_agg(CAST(data AS text), ' ') AS all FROM events")
    assert not [bad for bad in (phone[1:], "Ann", "Lee", "five", "Hi ") if bad in row.all]


async def test_opt_out_and_opt_in_write_one_event_each(kit: SendingKit) -> None:
    await listen(kit, types=[EventType.CONTACT_OPTED_OUT, EventType.CONTACT_OPTED_IN])
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.text_back(enrollment, "STOP")
    await kit.text_back(enrollment, "STOP")
    await kit.text_back(enrollment, "START")
    await kit.text_back(enrollment, "START")
    out, back = await written(kit)
    contact = str((await kit.row(enrollment)).contact_id)
    assert (out.type, out.data) == (
        "contact.opted_out",
        {"contact_id": contact, "external_id": None, "source": "keyword", "sender_id": None},
    )
    assert (back.type, back.data) == (
        "contact.opted_in",
        {"contact_id": contact, "external_id": None, "source": "keyword", "sender_id": None},
    )


async def test_permanent_refusal_is_written_with_its_meaning_before_the_end(
    kit: SendingKit,
) -> None:
    await listen(kit, types=[EventType.MESSAGE_FAILED, EventType.ENROLLMENT_FINISHED])
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, 21211)
    await kit.run_step(enrollment)
    failed, finished = await written(kit)
    assert failed.type == "message.failed"
    assert failed.data["error_code"] == 21211
    assert failed.data["meaning"].endswith(".")
    assert finished.data.items() >= {"status": "failed", "error_code": 21211}.items()


@pytest.mark.parametrize(("code", "held"), [(30001, []), (20003, ["enrollment.held"])])
async def test_retried_text_writes_no_failure(kit: SendingKit, code: int, held: list[str]) -> None:
    await listen(
        kit,
        types=[EventType.MESSAGE_FAILED, EventType.ENROLLMENT_HELD, EventType.MESSAGE_SENT],
    )
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, code, 401 if held else 400)
    await kit.run_step(enrollment)
    assert await written_types(kit) == held
    if held:
        [one] = await written(kit)
        assert one.data.items() >= {"reason": "sender_on_hold", "error_code": code}.items()


async def test_late_failure_of_an_ended_enrollment_is_written(kit: SendingKit) -> None:
    await listen(kit, types=[EventType.MESSAGE_FAILED])
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "undelivered", 30003)
    [failed] = await written(kit)
    assert failed.data.items() >= {"error_code": 30003, "enrollment_id": str(enrollment)}.items()


async def test_report_before_the_answer_writes_one_event(kit: SendingKit) -> None:
    await listen(kit, types=[EventType.MESSAGE_SENT, EventType.MESSAGE_DELIVERED])
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "delivered", by_sid=False)
    await kit.report(attempt, "read", by_sid=False)
    assert await written_types(kit) == ["message.sent", "message.delivered"]


async def test_rolled_back_change_writes_no_event(kit: SendingKit) -> None:
    await listen(kit)
    enrollment = await kit.enroll()
    before = await written_types(kit)

    async def fail() -> None:
        async with kit.world.database.transaction() as tx:
            await events.enrollments_finished(tx, [enrollment])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await written_types(kit) == before
    assert len(await kit.world.rows("SELECT * FROM event_deliveries")) == len(before)


async def test_only_subscribed_endpoints_get_an_event(kit: SendingKit) -> None:
    everything = await listen(kit)
    finishing = await listen(kit, types=[EventType.ENROLLMENT_FINISHED])
    await listen(kit, enabled=False)
    enrollment = await kit.enroll()
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    rows = await kit.world.rows(
        "SELECT d.endpoint_id, e.type FROM event_deliveries d JOIN events e ON e.id = d.event_id"
        " ORDER BY e.id, d.endpoint_id = :all DESC",
        all=everything,
    )
    assert [(row.endpoint_id, row.type) for row in rows] == [
        (everything, "enrollment.created"),
        (everything, "enrollment.finished"),
        (finishing, "enrollment.finished"),
    ]


async def test_events_of_a_thousand_enrollments_take_one_statement(kit: SendingKit) -> None:
    await listen(kit)
    sequence = await kit.sequence("Hi")
    people = await kit.world.contacts(1000)
    landlines = await kit.world.contacts(2, line_type="landline")
    async with asked_of(kit.world.database) as asked:
        enrolling = Enrolling(kit.world.database, workspace_zone=ZONE)
        await enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=[*people, *landlines])
    inserts = [statement for statement, _ in asked if "INSERT INTO events" in statement]
    assert len(inserts) == 3  # for active and born-final enrollments, and their new owner
    counted = await kit.world.rows("SELECT type, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
    assert [(row.type, row.n) for row in counted] == [
        ("contact.changed", 1002),
        ("enrollment.created", 1002),
        ("enrollment.finished", 2),
    ]
    wakes = await kit.world.rows("SELECT count(*) AS n FROM outbox WHERE kind = 'wake_events'")
    assert wakes[0].n == 1


async def test_one_call_covers_every_wake_written_before_it(kit: SendingKit) -> None:
    endpoint, other = await listen(kit), await listen(kit)
    for _ in range(3):
        await kit.enroll()
    assert await kit.services.outbox.drain() > 0
    woken = [subject for kind, subject, *_ in kit.temporal.told if kind == "events"]
    assert sorted(woken) == sorted([endpoint, other])
    assert await kit.world.rows("SELECT * FROM outbox WHERE kind = 'wake_events'") == []


async def test_wake_that_temporal_refused_stays(kit: SendingKit) -> None:
    endpoint, other = await listen(kit), await listen(kit)
    await kit.enroll()
    await kit.enroll()
    kit.temporal.refuses.add(endpoint)
    await kit.services.outbox.drain()
    left = await kit.world.rows("SELECT subject_id FROM outbox WHERE kind = 'wake_events'")
    assert {row.subject_id for row in left} == {endpoint}
    assert other in [subject for kind, subject, *_ in kit.temporal.told if kind == "events"]


async def test_wake_written_during_another_delivery_is_delivered_too(
    kit: SendingKit,
) -> None:
    endpoint = await listen(kit)
    await kit.enroll()
    async with kit.world.database.transaction() as tx:
        await outbox.same_wakes(tx, [endpoint])  # locked, as by a drainer at work
        await kit.enroll()
    [row] = await kit.world.rows("SELECT count(*) AS n FROM outbox WHERE kind = 'wake_events'")
    assert row.n == 2


async def test_endpoint_removed_meanwhile_keeps_nobody_waiting(kit: SendingKit) -> None:
    """What is written while it is removed goes with its deliveries."""
    endpoint = await listen(kit)
    enrollment = await kit.enroll()
    async with kit.world.database.transaction() as removing:
        assert await endpoints.remove(removing, endpoint)
        await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    assert await kit.world.rows("SELECT * FROM event_deliveries") != []
    await kit.enroll()
    await kit.services.sweep.sweep()
    assert await kit.world.rows("SELECT * FROM event_deliveries") == []
    assert await written_types(kit) == []


async def test_event_numbers_follow_the_order_of_commits(kit: SendingKit) -> None:
    """A text is accepted while its enrollment is marked finished: the numbers stay in order."""
    await listen(kit)
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    message = await kit.message(enrollment)
    async with kit.world.database.transaction() as tx:
        await events.messages_delivered(tx, [message.id])
        finishing = asyncio.create_task(
            kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
        )
        await asyncio.sleep(0.2)
        assert not finishing.done()
        assert "message.delivered" not in await written_types(kit)
    await finishing
    assert (await written_types(kit))[-2:] == ["message.delivered", "enrollment.finished"]


async def test_sweep_leaves_events_waiting_for_their_next_attempt(kit: SendingKit) -> None:
    await listen(kit)
    enrollment = await kit.enroll()
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    await kit.services.outbox.drain()
    await kit.pass_time(timedelta(minutes=3))
    await kit.world.run(
        "UPDATE event_deliveries SET next_try_at = now() + interval '1 hour'"
        " WHERE event_id = (SELECT min(event_id) FROM event_deliveries)"
    )
    kit.temporal.told.clear()
    await kit.services.sweep.sweep()
    assert [kind for kind, *_ in kit.temporal.told if kind == "events"] == []


async def test_sweep_wakes_idle_endpoints_and_deletes_old_events(
    kit: SendingKit,
) -> None:
    endpoint = await listen(kit)
    await kit.enroll()
    await kit.services.outbox.drain()
    kit.temporal.told.clear()
    await kit.pass_time(timedelta(minutes=3))
    assert (await kit.services.sweep.sweep()).failures == []
    assert ("events", endpoint, None, None) in kit.temporal.told
    assert await written_types(kit) == ["enrollment.created"]
    await kit.pass_time(timedelta(days=31))
    assert (await kit.services.sweep.sweep()).failures == []
    assert await written(kit) == []
    assert await kit.world.rows("SELECT * FROM event_deliveries") == []
