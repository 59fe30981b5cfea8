"""What is told when: events are written with what causes them, for those who want them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event as listening
from sqlalchemy import text

from domain.event_webhooks.events import EventType
from services.enrollments.enrolling import Enrolling
from storage.event_webhooks import events
from storage.platform import outbox
from storage.platform.database import Written
from tests.kits.event_endpoints import subscribe
from tests.kits.sending import SendingKit
from tests.worlds import ZONE

URL = "http://127.0.0.1:9/events"


async def listen(kit: SendingKit, **fields: Any) -> UUID:
    made = await subscribe(kit.world.database, kit.world.user_id, URL, **fields)
    return made.details.id


async def told(kit: SendingKit) -> Sequence[Any]:
    return await kit.world.rows("SELECT * FROM events ORDER BY id")


async def types(kit: SendingKit) -> list[str]:
    return [one.type for one in await told(kit)]


async def test_without_an_endpoint_nothing_at_all_is_written(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.text_back(enrollment, "STOP")
    assert await told(kit) == []
    assert await kit.world.rows("SELECT * FROM event_deliveries") == []
    assert await kit.world.rows("SELECT * FROM outbox WHERE kind = 'wake_events'") == []


async def test_commit_that_told_an_endpoint_drains_the_outbox(
    kit: SendingKit,
) -> None:
    enrollment = await kit.enroll()
    drained: list[str] = []
    kit.world.database.after_commit(Written.OUTBOX, lambda: drained.append("drained"))
    async with kit.world.database.transaction() as tx:
        await events.enrollments_created(tx, [enrollment])
    assert drained == [], "nobody is told"
    await listen(kit)
    async with kit.world.database.transaction() as tx:
        await events.enrollments_created(tx, [enrollment])
    assert drained == ["drained"]


async def test_a_life_is_told_in_its_order(kit: SendingKit) -> None:
    endpoint = await listen(kit)
    enrollment = await kit.enroll(await kit.sequence("Hi"))
    await kit.send(enrollment)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "delivered")
    await kit.report(attempt, "read")
    await kit.text_back(enrollment)
    assert await types(kit) == [
        "enrollment.created",
        "message.sent",
        "message.delivered",
        "message.received",
        "enrollment.finished",
    ]
    created, sent, delivered, received, finished = await told(kit)
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
    assert received.data.items() >= {"is_reply": True, "keyword": None}.items()
    ended = {**about, "status": "finished_responded", "step": 1, "step_count": 1}
    assert finished.data.items() >= ended.items()
    on_the_way = await kit.world.rows("SELECT * FROM event_deliveries ORDER BY event_id")
    assert [(one.endpoint_id, one.event_id) for one in on_the_way] == [
        (endpoint, one.id) for one in await told(kit)
    ]


async def test_an_event_holds_no_number_name_or_text(kit: SendingKit) -> None:
    await listen(kit)
    enrollment = await kit.enroll(await kit.sequence("Hi {{first_name|there}}"))
    await kit.send(enrollment)
    await kit.text_back(enrollment, "Call me at five please")
    phone = await kit.phone(enrollment)
    [row] = await kit.world.rows("SELECT string_agg(CAST(data AS text), ' ') AS all FROM events")
    assert not [bad for bad in (phone[1:], "Ann", "Lee", "five", "Hi ") if bad in row.all]


async def test_an_opt_out_and_an_opt_in_are_told_once_each(kit: SendingKit) -> None:
    await listen(kit, types=[EventType.CONTACT_OPTED_OUT, EventType.CONTACT_OPTED_IN])
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.text_back(enrollment, "STOP")
    await kit.text_back(enrollment, "STOP")
    await kit.text_back(enrollment, "START")
    await kit.text_back(enrollment, "START")
    out, back = await told(kit)
    contact = str((await kit.row(enrollment)).contact_id)
    assert (out.type, out.data) == (
        "contact.opted_out",
        {"contact_id": contact, "source": "keyword", "sender_id": None},
    )
    assert (back.type, back.data) == (
        "contact.opted_in",
        {"contact_id": contact, "source": "keyword", "sender_id": None},
    )


async def test_a_permanent_refusal_is_told_with_its_meaning_before_the_end(
    kit: SendingKit,
) -> None:
    await listen(kit, types=[EventType.MESSAGE_FAILED, EventType.ENROLLMENT_FINISHED])
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, 21211)
    await kit.run_step(enrollment)
    failed, finished = await told(kit)
    assert failed.type == "message.failed"
    assert failed.data["error_code"] == 21211
    assert failed.data["meaning"].endswith(".")
    assert finished.data.items() >= {"status": "failed", "error_code": 21211}.items()


@pytest.mark.parametrize(("code", "held"), [(30001, []), (20003, ["enrollment.held"])])
async def test_what_is_tried_again_has_not_failed(
    kit: SendingKit, code: int, held: list[str]
) -> None:
    await listen(
        kit,
        types=[EventType.MESSAGE_FAILED, EventType.ENROLLMENT_HELD, EventType.MESSAGE_SENT],
    )
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, code, 401 if held else 400)
    await kit.run_step(enrollment)
    assert await types(kit) == held
    if held:
        [one] = await told(kit)
        assert one.data.items() >= {"reason": "sender_on_hold", "error_code": code}.items()


async def test_a_late_failure_of_an_ended_enrollment_is_told(kit: SendingKit) -> None:
    await listen(kit, types=[EventType.MESSAGE_FAILED])
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.services.endings.mark_finished([enrollment], kit.world.user_id)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "undelivered", 30003)
    [failed] = await told(kit)
    assert failed.data.items() >= {"error_code": 30003, "enrollment_id": str(enrollment)}.items()


async def test_a_report_that_comes_before_the_answer_is_told_once(kit: SendingKit) -> None:
    await listen(kit, types=[EventType.MESSAGE_SENT, EventType.MESSAGE_DELIVERED])
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "delivered", by_sid=False)
    await kit.report(attempt, "read", by_sid=False)
    assert await types(kit) == ["message.sent", "message.delivered"]


async def test_what_could_not_have_been_written_is_not_told(kit: SendingKit) -> None:
    await listen(kit)
    enrollment = await kit.enroll()
    before = await types(kit)

    async def fail() -> None:
        async with kit.world.database.transaction() as tx:
            await events.enrollments_finished(tx, [enrollment])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await types(kit) == before
    assert len(await kit.world.rows("SELECT * FROM event_deliveries")) == len(before)


async def test_only_those_who_want_an_event_are_told(kit: SendingKit) -> None:
    everything = await listen(kit)
    endings = await listen(kit, types=[EventType.ENROLLMENT_FINISHED])
    await listen(kit, enabled=False)
    enrollment = await kit.enroll()
    await kit.services.endings.mark_finished([enrollment], kit.world.user_id)
    rows = await kit.world.rows(
        "SELECT d.endpoint_id, e.type FROM event_deliveries d JOIN events e ON e.id = d.event_id"
        " ORDER BY e.id, d.endpoint_id = :all DESC",
        all=everything,
    )
    assert [(row.endpoint_id, row.type) for row in rows] == [
        (everything, "enrollment.created"),
        (everything, "enrollment.finished"),
        (endings, "enrollment.finished"),
    ]


async def test_a_thousand_enrollments_are_told_in_one_statement(kit: SendingKit) -> None:
    await listen(kit)
    sequence = await kit.sequence("Hi")
    people = await kit.world.contacts(1000)
    landlines = await kit.world.contacts(2, line_type="landline")
    statements = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    engine = kit.world.database.engine.sync_engine
    listening.listen(engine, "before_cursor_execute", note)
    try:
        enrolling = Enrolling(kit.world.database, workspace_zone=ZONE)
        await enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=[*people, *landlines])
    finally:
        listening.remove(engine, "before_cursor_execute", note)
    written = [one for one in statements if "INSERT INTO events" in one]
    assert len(written) == 2  # those created, and those born final
    counted = await kit.world.rows("SELECT type, count(*) AS n FROM events GROUP BY 1 ORDER BY 1")
    assert [(row.type, row.n) for row in counted] == [
        ("enrollment.created", 1002),
        ("enrollment.finished", 2),
    ]
    wakes = await kit.world.rows("SELECT count(*) AS n FROM outbox WHERE kind = 'wake_events'")
    assert wakes[0].n == 1


async def test_one_call_answers_every_wake_that_was_written_before_it(kit: SendingKit) -> None:
    endpoint, other = await listen(kit), await listen(kit)
    for _ in range(3):
        await kit.enroll()
    assert await kit.services.outbox.drain() > 0
    woken = [subject for kind, subject, *_ in kit.temporal.told if kind == "events"]
    assert sorted(woken) == sorted([endpoint, other])
    assert await kit.world.rows("SELECT * FROM outbox WHERE kind = 'wake_events'") == []


async def test_a_wake_that_temporal_did_not_take_stays(kit: SendingKit) -> None:
    endpoint, other = await listen(kit), await listen(kit)
    await kit.enroll()
    await kit.enroll()
    kit.temporal.refuses.add(endpoint)
    await kit.services.outbox.drain()
    left = await kit.world.rows("SELECT subject_id FROM outbox WHERE kind = 'wake_events'")
    assert {row.subject_id for row in left} == {endpoint}
    assert other in [subject for kind, subject, *_ in kit.temporal.told if kind == "events"]


async def test_a_wake_written_while_another_is_handed_over_is_handed_over_too(
    kit: SendingKit,
) -> None:
    endpoint = await listen(kit)
    await kit.enroll()
    async with kit.world.database.transaction() as tx:
        await outbox.same_wakes(tx, [endpoint])  # as a drainer that is at it holds them
        await kit.enroll()
    [row] = await kit.world.rows("SELECT count(*) AS n FROM outbox WHERE kind = 'wake_events'")
    assert row.n == 2


async def test_an_endpoint_removed_meanwhile_undoes_nothing(kit: SendingKit) -> None:
    """Whoever tells an event waits for a removal that is under way, and then tells nobody."""
    endpoint = await listen(kit)
    enrollment = await kit.enroll()
    async with kit.world.database.transaction() as removing:
        await removing.execute(text("DELETE FROM event_endpoints WHERE id = :id"), {"id": endpoint})
        async with kit.world.database.transaction() as tx:
            await tx.execute(text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                await events.enrollments_finished(tx, [enrollment])
            await tx.rollback()
    await kit.services.endings.mark_finished([enrollment], kit.world.user_id)
    assert (await kit.row(enrollment)).status == "finished_stopped"
    assert await types(kit) == ["enrollment.created"]


async def test_who_tells_later_commits_later(kit: SendingKit) -> None:
    """A text is accepted while its enrollment is marked finished: their numbers are in order."""
    await listen(kit)
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    message = await kit.message(enrollment)
    async with kit.world.database.transaction() as tx:
        await events.message_delivered(tx, message.id)
        finishing = asyncio.create_task(
            kit.services.endings.mark_finished([enrollment], kit.world.user_id)
        )
        await asyncio.sleep(0.2)
        assert not finishing.done()
        assert "message.delivered" not in await types(kit)
    await finishing
    assert (await types(kit))[-2:] == ["message.delivered", "enrollment.finished"]


async def test_the_sweep_leaves_alone_what_waits_for_its_next_try(kit: SendingKit) -> None:
    await listen(kit)
    enrollment = await kit.enroll()
    await kit.services.endings.mark_finished([enrollment], kit.world.user_id)
    await kit.services.outbox.drain()
    await kit.pass_time(timedelta(minutes=3))
    await kit.world.run(
        "UPDATE event_deliveries SET next_try_at = now() + interval '1 hour'"
        " WHERE event_id = (SELECT min(event_id) FROM event_deliveries)"
    )
    kit.temporal.told.clear()
    await kit.services.sweep.sweep()
    assert [kind for kind, *_ in kit.temporal.told if kind == "events"] == []


async def test_the_sweep_wakes_what_nobody_delivers_and_removes_what_is_old(
    kit: SendingKit,
) -> None:
    endpoint = await listen(kit)
    await kit.enroll()
    await kit.services.outbox.drain()
    kit.temporal.told.clear()
    await kit.pass_time(timedelta(minutes=3))
    assert (await kit.services.sweep.sweep()).failures == []
    assert ("events", endpoint, None, None) in kit.temporal.told
    assert await types(kit) == ["enrollment.created"]
    await kit.pass_time(timedelta(days=31))
    assert (await kit.services.sweep.sweep()).failures == []
    assert await told(kit) == []
    assert await kit.world.rows("SELECT * FROM event_deliveries") == []
