"""The order of locks: no deadlocks, no long waits for shared rows, no multixacts."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from psycopg import IntegrityError
from sqlalchemy import text

from domain.messaging.inbound import StatusReport
from domain.messaging.ports import Accepted, CanaryState, ListedMessage, Listing, SendRequest
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from services.enrollments.enrolling import Enrolling
from services.messaging.unknown_numbers import made_known
from services.sequences.sequences import SequenceChange
from storage.contacts import contacts
from storage.messaging import attempts, holds, sending
from storage.platform.database import Transaction
from storage.platform.locks import MovedError
from tests.kits.contact_import import HEADER, import_contacts
from tests.kits.inbound import inbound_text
from tests.kits.locks import until_blocked, until_done_or_blocked
from tests.kits.sender_holds import PROBE, three_waiting
from tests.kits.sending import SendingKit, until
from tests.worlds import ZONE, ongoing

_LOCK_ROW = "SELECT id FROM enrollments WHERE id = :id FOR NO KEY UPDATE"
_LOCK_NUMBER = "SELECT pg_advisory_xact_lock(hashtextextended(:phone, 0))"
_KEY = "SELECT hashtextextended(:phone, 0) AS key"


async def lock_row(tx: Transaction, enrollment_id: UUID) -> None:
    await tx.execute(text(_LOCK_ROW), {"id": enrollment_id})


async def results(*tasks: Awaitable[Any]) -> list[Any]:
    """Wait for tasks; return what each returned or raised."""
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_release_and_report_that_holds_the_sender_do_not_deadlock(kit: SendingKit) -> None:
    """A report held its enrollment and wanted the sender; a release did the reverse."""
    sequence = await kit.sequence(steps=[ongoing("One", 0), ongoing("Two", 0)])
    both = sorted([await kit.enroll(sequence) for _ in range(2)])
    for enrollment in both:
        await kit.send(enrollment)
    await kit.world.run("UPDATE enrollments SET due_at = now(), last_sent_at = NULL")
    await kit.refuses(both[0], 20003, 401)
    for enrollment in both:
        await kit.run_step(enrollment)
    assert [(await kit.row(one)).held_reason for one in both] == ["sender_on_hold"] * 2
    first, second = both
    [attempt] = await kit.attempts(second)
    report = StatusReport(attempt.provider_sid, "undelivered", 30034, attempt.id, None, {})
    async with kit.world.database.transaction() as tx:
        await lock_row(tx, first)
        release = kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
        releasing = asyncio.create_task(release)
        await until_done_or_blocked(kit.world.database, releasing)
        reporting = asyncio.create_task(kit.services.status_callbacks.apply(report))
        await until_done_or_blocked(kit.world.database, reporting, others=1)
    assert await results(releasing, reporting) == [2, True]


async def sorted_by_lock_key(kit: SendingKit, enrollments: Sequence[UUID]) -> list[UUID]:
    """Sort enrollments by the keys of their numbers' locks."""
    keys = {}
    for one in enrollments:
        [row] = await kit.world.rows(_KEY, phone=await kit.phone(one))
        keys[one] = row.key
    return sorted(enrollments, key=keys.__getitem__)


async def test_reconciliation_and_suppression_import_do_not_deadlock(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep locked many numbers in any order; an import of opt-outs locks them in one."""
    first, second = await sorted_by_lock_key(kit, [await kit.enroll() for _ in range(2)])
    calls = [await kit.open_call(one) for one in (second, first)]
    await kit.services.finishing.mark_finished([first, second], kit.world.user_id)

    async def open_attempts(*_: object) -> list[UUID]:
        return [call.attempt_id for call in calls]

    monkeypatch.setattr("storage.maintenance.sweep.unreconciled_attempts", open_attempts)
    async with kit.world.database.transaction() as tx:
        await tx.execute(text(_LOCK_NUMBER), {"phone": await kit.phone(first)})
        sweeping = asyncio.create_task(kit.services.sweep.sweep())
        await until_done_or_blocked(kit.world.database, sweeping)
        await tx.execute(text(_LOCK_NUMBER), {"phone": await kit.phone(second)})
    assert (await sweeping).failures == []


async def test_wake_of_probes_and_bulk_pause_do_not_deadlock(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep locked many rows in any order; a bulk pause locks them by id."""
    everyone = sorted(await three_waiting(kit))

    async def probes(*_: object) -> list[list[UUID]]:
        return [[one] for one in reversed(everyone)]

    monkeypatch.setattr("storage.messaging.holds.due_probes", probes)
    async with kit.world.database.transaction() as tx:
        await lock_row(tx, everyone[0])
        sweeping = asyncio.create_task(kit.services.sweep.sweep())
        await until_done_or_blocked(kit.world.database, sweeping)
        for enrollment in everyone[1:]:
            await lock_row(tx, enrollment)
    report = await sweeping
    assert (report.failures, report.probes) == ([], 3)


async def change_number(tx: Transaction, before: str, after: str) -> None:
    await tx.execute(
        text("UPDATE contacts SET phone = :after WHERE phone = :before"),
        {"before": before, "after": after},
    )


async def test_send_whose_contact_gets_another_number_does_not_deadlock(kit: SendingKit) -> None:
    """The number changes during the wait for its lock: both are then locked in order."""
    enrollment = await kit.enroll()
    before, after = await kit.phone(enrollment), "+12125550177"
    async with kit.world.database.transaction() as other:
        await other.execute(text(_LOCK_NUMBER), {"phone": after})
        async with kit.world.database.transaction() as tx:
            await tx.execute(text(_LOCK_NUMBER), {"phone": before})
            begun = asyncio.create_task(kit.services.sending.open_step(enrollment))
            await until_done_or_blocked(kit.world.database, begun)
            await change_number(tx, before, after)
        async with asyncio.timeout(5):
            with pytest.raises(MovedError):
                await begun
    call = await kit.open_call(enrollment)
    assert call.to == after


async def lock_contact(tx: Transaction, contact_id: UUID) -> None:
    await tx.execute(text("SELECT FROM contacts WHERE id = :id FOR UPDATE"), {"id": contact_id})


async def test_stop_from_a_former_number_and_contact_change_do_not_deadlock(
    kit: SendingKit,
) -> None:
    """A change locks the contact, then its steps; a text held the steps and wanted the contact."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    contact_id = (await kit.row(enrollment)).contact_id
    former = await kit.phone(enrollment)
    await kit.services.contacts.update(contact_id, {"phone": "+12125550177"})
    stop = inbound_text(former, "STOP")
    async with kit.world.database.transaction() as tx:
        await lock_contact(tx, contact_id)
        applying = asyncio.create_task(kit.services.inbound.apply([stop]))
        await until_done_or_blocked(kit.world.database, applying)
        await lock_row(tx, enrollment)
    assert [one.count for one in await results(applying)] == [1]
    assert (await kit.row(enrollment)).status == "opted_out"


async def test_claim_of_texts_and_erasure_do_not_deadlock(kit: SendingKit) -> None:
    """An erasure locks the contact, then its texts; the sweep held those and wanted the contact."""
    [contact_id] = await kit.world.contacts(1)
    await kit.world.run(
        "INSERT INTO messages (id, direction, phone, body, status)"
        " SELECT gen_random_uuid(), 'inbound', phone, 'Hi', 'received' FROM contacts"
    )
    async with kit.world.database.transaction() as tx:
        await lock_contact(tx, contact_id)
        sweeping = asyncio.create_task(kit.services.sweep.sweep())
        await until_done_or_blocked(kit.world.database, sweeping)
        await tx.execute(text("DELETE FROM messages"))
        await tx.execute(text("DELETE FROM contacts"))
    assert (await sweeping).failures == []


async def test_list_and_report_that_both_say_landline_do_not_deadlock(kit: SendingKit) -> None:
    """A report locks the contact, then the sender; a list that alters texts did the reverse."""
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    at = datetime.now(UTC)
    failed = ListedMessage("SM1", call.body, MessageStatus.UNDELIVERED, at, 30006, call.from_phone)
    listing = Listing(at, [failed], CanaryState.ALTERED, kit.world.sender_id)
    contact_id = (await kit.row(enrollment)).contact_id
    async with kit.world.database.transaction() as tx:
        await attempts.lock_contact(tx, contact_id)
        recording = asyncio.create_task(
            kit.services.sending.record_listing(call.attempt_id, listing)
        )
        await until_done_or_blocked(kit.world.database, recording)
        await holds.lock_sender(tx, kit.world.sender_id)
    [recorded] = await results(recording)
    assert isinstance(recorded, EnrollmentState)
    assert (await kit.row(enrollment)).status == "omitted_landline"
    assert (await kit.sender()).shows_texts is False


async def test_import_and_creation_of_an_erased_number_do_not_deadlock(kit: SendingKit) -> None:
    """Adding locks the number, then the row; an import held the row and wanted the number."""
    [contact_id] = await kit.world.contacts(1)
    [row] = await kit.world.rows("SELECT phone FROM contacts")
    await suppress(kit, contact_id)
    await kit.services.erasure.erase(contact_id, kit.world.user_id)
    async with kit.world.database.transaction() as tx:
        await tx.execute(text(_LOCK_NUMBER), {"phone": row.phone})
        importing = asyncio.create_task(import_contacts(kit, f"{HEADER}Ann,Lee,{row.phone},,\n"))
        await until_done_or_blocked(kit.world.database, importing)
        await contacts.add(tx, {"first_name": "Ann", "last_name": "Lee", "phone": row.phone})
        await made_known(tx, [row.phone])
    [outcome] = await importing
    assert outcome.code in {"exists", "unchanged"}
    assert await kit.world.rows("SELECT 1 FROM suppressions WHERE phone = :phone", phone=row.phone)


async def test_decision_and_report_about_a_former_number_do_not_deadlock(
    kit: SendingKit,
) -> None:
    """A report locks the number, then the steps; a decision did the reverse."""
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    await kit.world.run("UPDATE enrollments SET activity = 'held', held_reason = 'outcome_unknown'")
    contact_id = (await kit.row(enrollment)).contact_id
    await kit.services.contacts.update(contact_id, {"phone": "+12125550177"})
    async with kit.world.database.transaction() as tx:
        await tx.execute(text(_LOCK_NUMBER), {"phone": call.to})
        decision = kit.services.holds.release([enrollment], "treat_as_sent", kit.world.user_id)
        deciding = asyncio.create_task(decision)
        await until_done_or_blocked(kit.world.database, deciding)
        await lock_row(tx, enrollment)
    [released] = await deciding
    assert released.result == "released"
    assert await kit.outcomes(enrollment) == ["assumed_sent"]


async def test_release_starts_over_when_its_contact_changed_meanwhile(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.world.run("UPDATE enrollments SET activity = 'held', held_reason = 'outcome_unknown'")
    before, after = await kit.phone(enrollment), "+12125550177"
    async with kit.world.database.transaction() as other:
        await other.execute(text(_LOCK_NUMBER), {"phone": after})
        async with kit.world.database.transaction() as tx:
            await tx.execute(text(_LOCK_NUMBER), {"phone": before})
            release = kit.services.holds.release([enrollment], "retry", kit.world.user_id)
            releasing = asyncio.create_task(release)
            await until_done_or_blocked(kit.world.database, releasing)
            await change_number(tx, before, after)
        await until_done_or_blocked(kit.world.database, releasing)
        async with asyncio.timeout(5):  # no contact has it any more
            await other.execute(text(_LOCK_NUMBER), {"phone": before})
    [released] = await releasing
    assert released.result == "released"


async def suppress(kit: SendingKit, contact_id: UUID) -> str | None:
    row, _ = await kit.services.suppressions.suppress(
        contact_id=contact_id,
        phone=None,
        sender_id=None,
        reason="Asked on the phone",
        user_id=kit.world.user_id,
    )
    return row.phone


async def rename(kit: SendingKit, contact_id: UUID) -> str:
    return (await kit.services.contacts.update(contact_id, {"first_name": "Bea"})).phone


@pytest.mark.parametrize("act", [suppress, rename])
async def test_number_that_changed_meanwhile_is_locked_in_a_new_transaction(
    kit: SendingKit, act: Callable[[SendingKit, UUID], Coroutine[Any, Any, str | None]]
) -> None:
    """The new transaction holds no lock on the old number."""
    [contact_id] = await kit.world.contacts(1)
    [row] = await kit.world.rows("SELECT phone FROM contacts")
    after = "+12125550177"
    async with kit.world.database.transaction() as other:
        await other.execute(text(_LOCK_NUMBER), {"phone": after})
        async with kit.world.database.transaction() as tx:
            await tx.execute(text(_LOCK_NUMBER), {"phone": row.phone})
            acting = asyncio.create_task(act(kit, contact_id))
            await until_done_or_blocked(kit.world.database, acting)
            await change_number(tx, row.phone, after)
        await until_done_or_blocked(kit.world.database, acting)
        async with asyncio.timeout(5):  # no contact has it any more
            await other.execute(text(_LOCK_NUMBER), {"phone": row.phone})
    assert await acting == after


# Work for many others does not make a send wait


async def test_sends_do_not_wait_for_a_release(kit: SendingKit) -> None:
    """A release locked its sender until every enrollment that waited for it was woken."""
    held, *_, other = sorted(await three_waiting(kit))  # a page takes its rows by id
    async with kit.world.database.transaction() as tx:
        await lock_row(tx, held)
        release = kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
        releasing = asyncio.create_task(release)
        await until_done_or_blocked(kit.world.database, releasing)
        async with asyncio.timeout(5):
            assert isinstance(await kit.services.sending.open_step(other), SendRequest)
    assert await releasing == 3


async def test_successful_probe_does_not_wait_for_the_enrollments_it_frees(kit: SendingKit) -> None:
    """The answer was recorded in one transaction with the wakes of all that waited."""
    everyone = await three_waiting(kit)
    await kit.pass_time(PROBE)
    await kit.services.sweep.sweep()
    [probe] = [one for one in everyone if (await kit.row(one)).probing]
    held = next(one for one in everyone if one != probe)
    async with kit.world.database.transaction() as tx:
        await lock_row(tx, held)
        async with asyncio.timeout(5):
            await kit.send(probe)
        assert (await kit.sender()).held_at is None


async def test_sends_do_not_wait_for_a_resume(kit: SendingKit) -> None:
    """A resume locked its sequence until every enrollment that had come due was woken."""
    sequence = await kit.sequence()
    paused, other = sorted([await kit.enroll(sequence) for _ in range(2)])
    await kit.services.sequences.pause(sequence.id)
    for enrollment in (paused, other):
        await kit.run_step(enrollment)
    async with kit.world.database.transaction() as tx:
        await lock_row(tx, paused)
        resuming = asyncio.create_task(kit.services.sequences.resume(sequence.id))
        await until_done_or_blocked(kit.world.database, resuming)
        async with asyncio.timeout(5):
            assert isinstance(await kit.services.sending.open_step(other), SendRequest)
    assert (await resuming).state == "active"


async def test_sends_do_not_wait_for_changed_settings(kit: SendingKit) -> None:
    """A change locked its sequence until every reply window had its new end."""
    sequence = await kit.sequence("Only one")
    answered, other = await kit.enroll(sequence), await kit.enroll(sequence)
    await kit.send(answered)
    change = SequenceChange(reply_window_seconds=3600)
    async with kit.world.database.transaction() as tx:
        await lock_row(tx, answered)
        changing = asyncio.create_task(
            kit.services.sequences.change(sequence.id, change, kit.world.user_id)
        )
        await until_done_or_blocked(kit.world.database, changing)
        async with asyncio.timeout(5):
            assert isinstance(await kit.services.sending.open_step(other), SendRequest)
    assert (await changing).reply_window_seconds == 3600


# Rows that many share


async def multixacts(kit: SendingKit) -> int:
    """Count the multixacts that the server has ever created."""
    [row] = await kit.world.rows("SELECT mxid_age('1') AS n")
    return int(row.n)


async def test_sends_of_one_sequence_and_sender_create_no_multixacts(kit: SendingKit) -> None:
    """Every set of transactions that share a row lock must be stored, and vacuumed later."""
    sequence = await kit.sequence("Hello")
    enrollments = await kit.enroll_many(30, sequence)
    before = await multixacts(kit)
    slots = asyncio.Semaphore(15)

    async def send(enrollment: UUID) -> None:
        async with slots:
            await kit.run_step(enrollment)

    await asyncio.gather(*(send(one) for one in enrollments))
    assert len(kit.gateway.calls) == 30
    assert await multixacts(kit) - before == 0


async def test_sender_with_messages_cannot_be_deleted(kit: SendingKit) -> None:
    """A trigger replaces the foreign key, which locked the sender at every text."""
    named, spare = uuid4(), uuid4()
    await kit.world.sender(named, "+14155550177")
    await kit.world.sender(spare, "+14155550178")
    await kit.world.run(
        "INSERT INTO messages (id, direction, phone, sender_id, body, status)"
        " VALUES (gen_random_uuid(), 'inbound', '+12125550100', :id, 'Hi', 'received')",
        id=named,
    )
    await kit.world.run("DELETE FROM senders WHERE id = :id", id=spare)
    with pytest.raises(IntegrityError, match="texts name sender"):
        await kit.world.run("DELETE FROM senders WHERE id = :id", id=named)


_UPDATES = """
    SELECT relname, n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables
    WHERE relname IN ('enrollments', 'messages', 'attempts')
"""


async def updates(kit: SendingKit) -> dict[str, tuple[int, int]]:
    """Count updates by table, and how many of them were HOT."""
    await kit.world.database.engine.dispose()  # a connection reports its counts when it ends
    rows = await kit.world.rows(_UPDATES)
    return {row.relname: (row.updates, row.hot) for row in rows}


async def test_most_updates_of_a_text_are_hot(kit: SendingKit) -> None:
    """Open, accepted, sent, delivered: each update used to write to every index."""
    sequence = await kit.sequence("Hello", "Again")
    enrollments = await kit.enroll_many(10, sequence)
    before = await updates(kit)
    for enrollment in enrollments:
        await kit.send(enrollment)
        [attempt] = await kit.attempts(enrollment)
        for word in ("sent", "delivered"):
            await kit.report(attempt, word)
    expected = {"enrollments": 20, "messages": 30, "attempts": 30}
    made: dict[str, tuple[int, int]] = {}

    async def counted() -> bool:
        now = await updates(kit)
        for name, (total, hot) in now.items():
            made[name] = (total - before[name][0], hot - before[name][1])
        return all(made[name][0] >= least for name, least in expected.items())

    await until(counted)
    assert {name: total for name, (total, _) in made.items()} == expected
    assert made["messages"][1] >= 27
    assert made["attempts"][1] >= 9
    assert made["enrollments"][1] >= 9


@pytest.mark.parametrize("whole_group", [True, False])
async def test_upsert_and_enroll_of_the_same_contacts_do_not_deadlock(
    kit: SendingKit, *, whole_group: bool
) -> None:
    """An enroll locked those without an owner first, and a group by name; an upsert goes by id."""
    await kit.world.contacts(3)
    rows = await kit.world.rows("SELECT id, phone FROM contacts ORDER BY id")
    first, second, third = [row.id for row in rows]
    for contact_id, name in ((first, "C"), (second, "B"), (third, "A")):
        values = {"id": contact_id, "name": name, "owner": kit.world.user_id}
        sql = "UPDATE contacts SET last_name = :name, owner_id = :owner WHERE id = :id"
        await kit.world.run(sql, **values)
    await kit.world.run("UPDATE contacts SET owner_id = NULL WHERE id = :id", id=third)
    group = await kit.world.group([first, second, third])
    chosen = {"group_id": group} if whole_group else {"contact_ids": [first, second, third]}
    sequence, user_id = await kit.sequence(), kit.world.user_id
    enrolling = Enrolling(kit.world.database, workspace_zone=ZONE)
    changes: Any = {at: {"phone": row.phone, "first_name": "New"} for at, row in enumerate(rows)}
    async with kit.world.database.transaction() as tx:
        await attempts.lock_contact(tx, second)
        upserting = asyncio.create_task(kit.services.contacts.upsert(changes))
        await until_blocked(kit.world.database)
        enroll = asyncio.create_task(enrolling.enroll(sequence.id, user_id, **chosen))
        await until_blocked(kit.world.database, 2)
    merged, enrolled = await results(upserting, enroll)
    assert {one.outcome for one in merged.values()} == {"changed"}
    assert len(enrolled.enrolled) == 3
    events = await kit.world.rows("SELECT data FROM events WHERE type = 'contact.changed'")
    owned = [one.data["contact_id"] for one in events if one.data["fields"] == ["owner_id"]]
    assert owned == [str(third)]


async def test_merge_waits_for_a_text_that_starts_and_an_answer_for_a_merge(
    kit: SendingKit,
) -> None:
    """A merge held the contact that the text refers to, and lost the zone that it changed."""
    sequence = await kit.sequence(ongoing("Hi", 0), ongoing("Again", 86_400, at_time="09:30"))
    starting, recorded = [await kit.enroll(sequence) for _ in range(2)]
    services, database = kit.services, kit.world.database
    values: Any = {
        "phone": await kit.phone(starting),
        "external_id": "crm-1",
        "time_zone": "America/Los_Angeles",
    }
    async with database.transaction() as tx:
        row = await sending.lock_step(tx, starting, ZONE)
        assert row is not None
        upserting = asyncio.create_task(services.contacts.upsert({0: values}))
        await until_blocked(database)
        await sending.open_attempt_at_step(tx, row, body="Hi", call_before=timedelta(seconds=5))
    assert (await upserting)[0].outcome == "changed"

    call = await kit.open_call(recorded)
    values = {"phone": await kit.phone(recorded), "time_zone": "America/Los_Angeles"}
    async with database.transaction() as tx:
        await services.contacts.merging.merge(tx, {0: values})
        answer = Accepted("SM1", MessageStatus.QUEUED)
        recording = asyncio.create_task(services.sending.record_answer(call.attempt_id, answer))
        await until_done_or_blocked(database, recording)
    await recording
    due_at = (await kit.row(recorded)).due_at
    local = due_at.astimezone(ZoneInfo("America/Los_Angeles"))
    assert (local.hour, local.minute) == (9, 30)
