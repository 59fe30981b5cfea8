"""Deliveries to a real server, from a real database: signed, in order, acknowledged once each."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from domain.event_webhooks.events import DeliveryState, EventRules, EventType
from domain.platform.errors import ConflictError, GoneError, NotFoundError
from services.event_webhooks.endpoints import EventEndpoints, MadeEndpoint
from services.event_webhooks.event_log import EventLog
from services.platform.group_commit import FullError
from storage.event_webhooks import events
from tests.kits.event_endpoints import (
    QUICK,
    Receiver,
    Seen,
    deliver_all,
    deliveries,
    receiver,
    subscribe,
)
from tests.kits.sending import SendingKit, about


async def enrollment_events(kit: SendingKit, people: int, each: int) -> None:
    """Write events of several enrollments, alternating between them."""
    subjects = [uuid4() for _ in range(people)]
    await kit.world.run(
        """
        WITH written AS (
            INSERT INTO events (event_id, type, subject_id, data)
            SELECT gen_random_uuid(), 'message.sent', s.id,
                jsonb_build_object('enrollment_id', s.id, 'step', step)
            FROM generate_series(1, :each) step, unnest(CAST(:subjects AS uuid[])) AS s(id)
            ORDER BY step RETURNING id, subject_id
        )
        INSERT INTO event_deliveries (endpoint_id, event_id, subject_id)
        SELECT p.id, t.id, t.subject_id FROM written t, event_endpoints p
        """,
        subjects=subjects,
        each=each,
    )


async def subscribe_to(kit: SendingKit, to: Receiver, **fields: Any) -> MadeEndpoint:
    return await subscribe(kit.world.database, kit.world.user_id, to.url, **fields)


async def row_of(kit: SendingKit, endpoint_id: UUID) -> Any:
    [row] = await kit.world.rows(
        "SELECT * FROM event_deliveries WHERE endpoint_id = :id", id=endpoint_id
    )
    return row


def steps(seen: Sequence[Seen]) -> dict[str, list[int]]:
    """List the steps that were delivered, by enrollment."""
    found: dict[str, list[int]] = defaultdict(list)
    for one in seen:
        found[one.body["data"]["enrollment_id"]].append(one.body["data"]["step"])
    return dict(found)


async def test_delivery_is_signed_per_standard_webhooks(kit: SendingKit) -> None:
    async with receiver() as there:
        made = await subscribe_to(kit, there)
        enrollment = await kit.enroll()
        await deliver_all(deliveries(kit.world.database), made.details.id)
    [seen] = there.seen
    assert seen.is_signed_with(made.secret)
    assert not seen.is_signed_with("whsec_" + "A" * 43 + "=")
    assert abs(int(seen.headers["webhook-timestamp"]) - time.time()) < 10
    assert seen.headers["content-type"] == "application/json"
    [event] = await kit.world.rows("SELECT * FROM events")
    assert seen.event_id == str(event.event_id)
    assert set(seen.body) == {"type", "timestamp", "data"}
    assert seen.body["type"] == "enrollment.created"
    assert seen.body["timestamp"].endswith("Z")
    assert seen.body["data"] == event.data
    assert seen.body["data"]["enrollment_id"] == str(enrollment)
    row = await row_of(kit, made.details.id)
    assert (row.tries, row.last_status, row.last_error) == (1, 204, None)
    assert row.delivered_at is not None


async def test_subscriber_back_from_an_outage_gets_everything_in_order(
    kit: SendingKit,
) -> None:
    """The endpoint refuses, answers 500, is slow: each event is acknowledged once, in order."""
    up = asyncio.Event()

    async def answer(_: Any) -> int:
        if not up.is_set():
            return 500
        await asyncio.sleep(0.03)
        return 200

    there = Receiver(answer)  # no server yet: connections are refused
    made = await subscribe_to(kit, there)
    await enrollment_events(kit, people=20, each=5)
    delivering = asyncio.create_task(deliver_all(deliveries(kit.world.database), made.details.id))
    await asyncio.sleep(0.5)
    await there.start()
    await asyncio.sleep(0.5)
    up.set()
    rounds = await delivering
    await there.stop()
    assert sum(one.failed for one in rounds) > 8
    assert [one.status for one in there.seen].count(500) > 0
    ids = [one.event_id for one in there.acknowledged]
    assert len(ids) == len(set(ids)) == 100
    assert all(each == [1, 2, 3, 4, 5] for each in steps(there.acknowledged).values())
    assert 1 < there.most <= QUICK.side_by_side
    left = await kit.world.rows("SELECT * FROM event_deliveries WHERE delivered_at IS NULL")
    assert left == []


async def test_later_event_waits_for_an_earlier_refused_one(kit: SendingKit) -> None:
    refusals = 3

    async def answer(body: Any) -> int:
        nonlocal refusals
        if body["data"]["step"] == 2 and refusals:
            refusals -= 1
            return 503
        return 200

    async with receiver(answer) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=4)
        await deliver_all(deliveries(kit.world.database), made.details.id)
    assert [one.body["data"]["step"] for one in there.seen] == [1, 2, 2, 2, 2, 3, 4]
    assert len({one.raw for one in there.seen}) == 4  # the same bytes at every attempt


async def test_concurrent_rounds_deliver_each_event_once(kit: SendingKit) -> None:
    async def answer(_: Any) -> int:
        await asyncio.sleep(0.02)
        return 200

    async with receiver(answer) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=10, each=4)
        # A round that finds another at work comes back when the other's claim would end.
        rules = replace(QUICK, claim=timedelta(seconds=15))
        both = [deliveries(kit.world.database, rules) for _ in range(2)]
        await asyncio.gather(*(deliver_all(one, made.details.id) for one in both))
    assert len(there.seen) == 40
    assert all(each == [1, 2, 3, 4] for each in steps(there.seen).values())


async def test_unrecorded_attempt_is_repeated(kit: SendingKit) -> None:
    """The worker died between post and record; no other tries until its claim ends."""
    rules = replace(QUICK, claim=timedelta(milliseconds=400))
    reached, forever = asyncio.Event(), asyncio.Event()

    async def hang(_: Any) -> int:
        reached.set()
        await forever.wait()
        return 200

    async with receiver(hang) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=2)
        dying = asyncio.create_task(deliveries(kit.world.database, rules).deliver(made.details.id))
        await reached.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        forever.set()
        await asyncio.sleep(0.05)
        there.seen.clear()
        early = await deliveries(kit.world.database, rules).deliver(made.details.id)
        assert early.next_at is not None
        assert there.seen == []
        await deliver_all(deliveries(kit.world.database, rules), made.details.id)
    assert steps(there.seen) != {}
    assert next(iter(steps(there.seen).values())) == [1, 2]


async def test_endpoint_that_answers_410_gets_nothing_more(kit: SendingKit) -> None:
    async def gone(_: Any) -> int:
        return 410

    async with receiver(gone) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=3)
        [done] = await deliver_all(deliveries(kit.world.database), made.details.id)
        await kit.enroll()
    assert (done.failed, len(there.seen)) == (1, 1)
    manage = EventEndpoints(kit.world.database, QUICK)
    assert not (await manage.get(made.details.id)).enabled
    log = (await manage.deliveries(made.details.id)).items
    assert [one.state for one in log] == ["pending"] * 3
    assert (log[2].last_status, log[2].last_error) == (410, "gone")
    audited = await kit.world.rows(
        "SELECT * FROM audit_log WHERE subject_id = :id", id=made.details.id
    )
    assert [one.action for one in audited] == ["event_endpoint.create", "event_endpoint.disable"]

    await kit.pass_time(timedelta(days=4))  # longer than an event is tried for
    async with receiver() as back:
        await manage.update(made.details.id, {"url": back.url, "enabled": True})
        await deliver_all(deliveries(kit.world.database), made.details.id)
    assert steps(back.seen) == {str(log[0].subject_id): [1, 2, 3]}


async def test_undeliverable_event_is_given_up_and_the_next_delivered(kit: SendingKit) -> None:
    async def answer(body: Any) -> int:
        return 500 if body["data"]["step"] == 1 else 200

    async with receiver(answer) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=2)
        rules = replace(QUICK, give_up=timedelta(milliseconds=300))
        await deliver_all(deliveries(kit.world.database, rules), made.details.id)
    tried = [one.body["data"]["step"] for one in there.seen]
    assert tried[-1] == 2
    assert tried.count(1) == len(tried) - 1 > 1
    first, second = await kit.world.rows("SELECT * FROM event_deliveries ORDER BY event_id")
    assert (first.delivered_at, first.last_error) == (None, "answered_500")
    assert first.given_up_at is not None
    assert second.delivered_at is not None


async def test_given_up_event_can_be_redelivered_by_hand(kit: SendingKit) -> None:
    status = 500

    async def answer(_: Any) -> int:
        return status

    async with receiver(answer) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=1)
        rules = replace(QUICK, give_up=timedelta(0))
        await deliver_all(deliveries(kit.world.database, rules), made.details.id)
        status = 200
        manage = EventEndpoints(kit.world.database, QUICK)
        [record] = (await manage.deliveries(made.details.id, state=DeliveryState.GIVEN_UP)).items
        again = await manage.retry(made.details.id, record.event_id)
        assert (again.state, again.tries) == ("pending", 0)
        await deliver_all(deliveries(kit.world.database), made.details.id)
    assert [one.status for one in there.seen] == [500, 200]
    assert len({one.event_id for one in there.seen}) == 1
    [record] = (await manage.deliveries(made.details.id)).items
    assert record.state == "delivered"


async def test_endpoint_that_refuses_everything_is_paused(
    kit: SendingKit,
) -> None:
    async def refuse(_: Any) -> int:
        return 503

    async with receiver(refuse) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=100, each=1)
        rules = replace(QUICK, pause=timedelta(seconds=30), side_by_side=4, failures_in_a_row=4)
        done = await deliveries(kit.world.database, rules).deliver(made.details.id)
    assert done.failed < 12
    assert done.next_at is not None
    [row] = await kit.world.rows("SELECT :at - now() AS wait", at=done.next_at)
    assert row.wait > timedelta(seconds=20)


async def test_endpoint_that_refuses_everything_is_paused_whatever_it_says_of_single_events(
    kit: SendingKit,
) -> None:
    """A ``Retry-After`` with 500 is about one event: the other failures count all the same."""

    async def refuse(_: Any) -> int:
        return 500

    rules = replace(QUICK, pause=timedelta(seconds=30), side_by_side=1, failures_in_a_row=4)
    async with receiver(refuse) as there:
        there.headers["Retry-After"] = "60"
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=10, each=1)
        done = await deliveries(kit.world.database, rules).deliver(made.details.id)
    assert done.failed == len(there.seen) == 4


async def test_round_ends_and_reports_that_more_is_left(kit: SendingKit) -> None:
    async def slow(_: Any) -> int:
        await asyncio.sleep(0.2)
        return 200

    async with receiver(slow) as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=30, each=1)
        rules = replace(QUICK, round_length=timedelta(milliseconds=100))
        done = await deliveries(kit.world.database, rules).deliver(made.details.id)
        assert done.delivered == len(there.seen) == QUICK.side_by_side
        assert done.next_at is not None
        await deliver_all(deliveries(kit.world.database), made.details.id)
    assert len(there.seen) == 30


async def test_disabled_or_removed_endpoint_gets_nothing(kit: SendingKit) -> None:
    async with receiver() as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=1)
        manage = EventEndpoints(kit.world.database, QUICK)
        await manage.update(made.details.id, {"enabled": False})
        worker = deliveries(kit.world.database)
        assert (await worker.deliver(made.details.id)).next_at is None
        assert there.seen == []
        await manage.update(made.details.id, {"enabled": True})
        await deliver_all(worker, made.details.id)
        assert len(there.seen) == 1
        await enrollment_events(kit, people=1, each=1)
        await manage.remove(made.details.id)
        assert (await worker.deliver(made.details.id)).next_at is None
    assert len(there.seen) == 1
    assert list((await manage.find()).items) == []
    uses: list[Callable[[UUID], Awaitable[object]]] = [
        manage.get,
        manage.remove,
        manage.rotate_secret,
        manage.deliveries,
    ]
    for use in uses:
        with pytest.raises(NotFoundError):
            await use(made.details.id)
    await kit.services.sweep.sweep()
    for table in ("event_deliveries", "event_endpoints"):
        assert await kit.world.rows(f"SELECT * FROM {table}") == []  # noqa: S608 - ours


async def test_new_address_and_secret_apply_from_the_next_attempt(kit: SendingKit) -> None:
    async def refuse(_: Any) -> int:
        return 500

    rules = replace(QUICK, waits=(timedelta(hours=1),))
    async with receiver(refuse) as before, receiver() as after:
        made = await subscribe_to(kit, before)
        await enrollment_events(kit, people=1, each=1)
        await deliveries(kit.world.database, rules).deliver(made.details.id)
        manage = EventEndpoints(kit.world.database, QUICK)
        await manage.update(made.details.id, {"url": after.url})
        rotated = await manage.rotate_secret(made.details.id)
        await deliver_all(deliveries(kit.world.database, rules), made.details.id, patience=5)
    [seen] = after.seen
    assert rotated.secret != made.secret
    assert seen.is_signed_with(rotated.secret)


async def test_rotated_secret_signs_beside_the_new_one_for_a_day(kit: SendingKit) -> None:
    manage = EventEndpoints(kit.world.database, QUICK)

    async def sent() -> Seen:
        there.seen.clear()
        await enrollment_events(kit, people=1, each=1)
        await deliver_all(deliveries(kit.world.database), made.details.id)
        [seen] = there.seen
        return seen

    def signed(seen: Seen, *secrets: str) -> list[bool]:
        """Ask the official library."""
        found = []
        for one in secrets:
            try:
                Webhook(one).verify(seen.raw, seen.headers)
            except WebhookVerificationError:
                found.append(False)
            else:
                found.append(True)
        return found

    async with receiver() as there:
        made = await subscribe_to(kit, there)
        second = await manage.rotate_secret(made.details.id)
        until = second.details.previous_secret_until
        assert until is not None
        assert about(until, timedelta(hours=24))
        both = await sent()
        assert both.headers["webhook-signature"].count("v1,") == 2
        assert signed(both, made.secret, second.secret) == [True, True]
        third = await manage.rotate_secret(made.details.id)  # as after a leak of the first
        assert signed(await sent(), made.secret, second.secret, third.secret) == [False, True, True]
        await kit.pass_time(timedelta(hours=25))
        assert signed(await sent(), second.secret, third.secret) == [False, True]


async def test_endpoint_is_asked_again_when_it_says(kit: SendingKit) -> None:
    """By Retry-After; one that is overloaded gets nothing of others meanwhile either."""
    status = 500

    async def refuse(_: Any) -> int:
        return status

    rules = replace(QUICK, side_by_side=1, failures_in_a_row=99, waits=(timedelta(seconds=5),))
    an_hour = timedelta(hours=1)
    async with receiver(refuse) as there:
        made = await subscribe_to(kit, there)
        worker = deliveries(kit.world.database, rules)
        for status, asked, wait, tried in (
            (500, "3600", an_hour, 2),
            (429, "3600", an_hour, 1),
            (503, format_datetime(datetime.now(UTC) + an_hour), an_hour, 1),
            (503, "0", timedelta(seconds=5), 1),
            (429, "999999999", timedelta(hours=24), 1),
            (429, "soon", timedelta(seconds=5), 2),
        ):
            await kit.world.run("DELETE FROM event_deliveries")
            await kit.world.run("UPDATE event_endpoints SET rests_until = NULL")
            await enrollment_events(kit, people=2, each=1)
            there.headers["Retry-After"] = asked
            there.seen.clear()
            done = await worker.deliver(made.details.id)
            assert len(there.seen) == tried, (status, asked)
            rows = await kit.world.rows(
                "SELECT next_try_at - last_tried_at AS wait FROM event_deliveries WHERE tries > 0"
            )
            slack = max(timedelta(seconds=3), wait * 0.25 if asked == "soon" else timedelta(0))
            assert all(abs(one.wait - wait) < slack for one in rows), (status, asked)
            assert done.next_at is not None
            if tried == 1:
                assert abs(done.next_at - datetime.now(UTC) - wait) < slack
                assert (await worker.deliver(made.details.id)).failed == 0
        # A new address is tried at once.
        await EventEndpoints(kit.world.database, QUICK).update(made.details.id, {"enabled": False})
        await EventEndpoints(kit.world.database, QUICK).update(made.details.id, {"enabled": True})
        assert (await worker.deliver(made.details.id)).failed > 0


async def test_events_of_a_time_of_absence_can_be_sent_afterwards(kit: SendingKit) -> None:
    async def refuse(_: Any) -> int:
        return 500

    manage = EventEndpoints(kit.world.database, QUICK)
    async with receiver() as there:
        made = await subscribe_to(kit, there, types=[EventType.ENROLLMENT_CREATED])
        known = await kit.enroll()
        await deliver_all(deliveries(kit.world.database), made.details.id)
        [first] = there.seen
        await manage.update(made.details.id, {"enabled": False})
        with pytest.raises(ConflictError):
            await manage.replay(made.details.id, None)
        missed = [await kit.enroll(), await kit.enroll()]
        await kit.send(missed[0])  # an event of a type that it does not want
        await kit.pass_time(timedelta(days=5))  # longer than an event is tried for
        await manage.update(made.details.id, {"enabled": True})
        [nothing] = await deliver_all(deliveries(kit.world.database), made.details.id)
        assert nothing.delivered == 0

        done = await manage.replay(made.details.id, UUID(first.event_id))
        assert done.queued == 2
        again = await manage.replay(made.details.id, UUID(first.event_id))
        assert again == done  # those that wait stay as they are
        there.answer, accepts = refuse, there.answer
        await deliveries(kit.world.database).deliver(made.details.id)
        there.seen.clear()
        there.answer = accepts
        await deliver_all(deliveries(kit.world.database), made.details.id)
        told = [UUID(one.body["data"]["enrollment_id"]) for one in there.seen]
        assert sorted(told) == sorted(missed)

        assert (await manage.replay(made.details.id, None)).queued == 3
        there.seen.clear()
        await deliver_all(deliveries(kit.world.database), made.details.id)
        told = [UUID(one.body["data"]["enrollment_id"]) for one in there.seen]
        assert sorted(told) == sorted([known, *missed])
        with pytest.raises(GoneError):
            await manage.replay(made.details.id, uuid4())


async def test_replay_leaves_no_event_out_that_is_yet_to_be_committed(kit: SendingKit) -> None:
    """Whoever wrote it found the endpoint disabled: it is asked for again once they have ended."""
    log = EventLog(kit.world.database, patience=0.05)
    manage = EventEndpoints(kit.world.database, QUICK, log=log)
    async with receiver() as there:
        made = await subscribe_to(kit, there, types=[EventType.ENROLLMENT_CREATED])
        missed = await kit.enroll()
        await kit.world.run("DELETE FROM event_deliveries")
        await manage.update(made.details.id, {"enabled": False})
        async with kit.world.database.transaction() as slow:
            await events.enrollments_created(slow, [missed])
            await manage.update(made.details.id, {"enabled": True})
            with pytest.raises(FullError):
                await manage.replay(made.details.id, None)
            assert await kit.world.rows("SELECT * FROM event_deliveries") == []
        assert (await manage.replay(made.details.id, None)).queued == 2


async def test_test_event_reaches_an_endpoint_whatever_its_types(kit: SendingKit) -> None:
    async with receiver() as there:
        made = await subscribe_to(kit, there, types=[EventType.CONTACT_OPTED_OUT])
        other = await subscribe_to(kit, there)
        manage = EventEndpoints(kit.world.database, QUICK)
        record = await manage.test(made.details.id)
        await kit.services.outbox.drain()
        assert ("events", made.details.id, None, None) in kit.temporal.told
        await deliver_all(deliveries(kit.world.database), made.details.id)
        await deliver_all(deliveries(kit.world.database), other.details.id)
    [seen] = there.seen
    assert seen.event_id == str(record.event_id)
    assert seen.body["type"] == "test.ping"
    assert seen.body["data"] == {"endpoint_id": str(made.details.id)}


async def test_redirect_is_not_followed(kit: SendingKit) -> None:
    async def moved(_: Any) -> int:
        return 307

    async with receiver(moved) as there, receiver() as elsewhere:
        there.headers["location"] = elsewhere.url
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=1)
        await deliveries(kit.world.database).deliver(made.details.id)
    assert elsewhere.seen == []
    row = await row_of(kit, made.details.id)
    assert (row.last_status, row.last_error, row.delivered_at) == (307, "answered_307", None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_address_that_became_private_is_not_called(kit: SendingKit, host: str) -> None:
    """A host name that was public when the endpoint was added may resolve to us by now."""
    async with receiver() as there:
        made = await subscribe_to(kit, there)
        await kit.world.run(
            "UPDATE event_endpoints SET url = :url", url=there.url.replace("127.0.0.1", host)
        )
        await enrollment_events(kit, people=1, each=1)
        # However slow the machine, the second attempt is not due yet.
        rules = replace(QUICK, allow_local=False, waits=(timedelta(hours=1),))
        await deliveries(kit.world.database, rules).deliver(made.details.id)
    assert there.seen == []
    row = await row_of(kit, made.details.id)
    assert (row.tries, row.last_status, row.last_error) == (1, None, "address_refused")


def test_waits_grow_and_end_after_three_days() -> None:
    rules = EventRules()
    waits = [rules.wait(tries).total_seconds() for tries in range(1, 9)]
    assert waits == [5, 30, 120, 600, 3600, 10800, 10800, 10800]
    assert rules.give_up == timedelta(days=3)


async def test_lost_database_stops_the_round(kit: SendingKit) -> None:
    """An acknowledged event is recorded or delivered again; none is assumed delivered."""

    async with receiver() as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=1)
        worker = deliveries(kit.world.database)

        async def lose(_: Any) -> int:
            await kit.world.run("ALTER TABLE event_deliveries RENAME TO mislaid")
            return 200

        there.answer = lose
        try:
            with pytest.raises(Exception, match="event_deliveries"):
                await worker.deliver(made.details.id)
        finally:
            await kit.world.run("ALTER TABLE IF EXISTS mislaid RENAME TO event_deliveries")
    row = await row_of(kit, made.details.id)
    assert (row.delivered_at, row.tries) == (None, 1)


async def test_example_in_the_docs_verifies_a_delivery(kit: SendingKit) -> None:
    page = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own documentation
    verifies = names["is_from_segue"]
    async with receiver() as there:
        made = await subscribe_to(kit, there)
        await enrollment_events(kit, people=1, each=1)
        await deliver_all(deliveries(kit.world.database), made.details.id)
    [seen] = there.seen
    assert verifies(made.secret, seen.headers, seen.raw)
    assert not verifies(made.secret, seen.headers, seen.raw + b" ")
    assert not verifies(made.secret, {**seen.headers, "webhook-id": "other"}, seen.raw)
    assert not verifies(made.secret, {**seen.headers, "webhook-timestamp": "1"}, seen.raw)
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        lacking = {one: value for one, value in seen.headers.items() if one != name}
        assert not verifies(made.secret, lacking, seen.raw)
        for wrong in ("", "?", "v1,?", "v1", "9" * 5000):
            assert not verifies(made.secret, {**lacking, name: wrong}, seen.raw)
    given = seen.headers["webhook-signature"]
    assert verifies(made.secret, {**seen.headers, "webhook-signature": f"v1,AA {given}"}, seen.raw)
