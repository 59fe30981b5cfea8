"""Erasing contacts: no data is left, and the opt-out holds if the number comes back."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from psycopg import IntegrityError

from domain.messaging.inbound import StatusReport
from domain.messaging.ports import CanaryState, Listing, SendRequest
from domain.platform.errors import ConflictError, NotFoundError
from domain.statuses.contacts import FieldType
from domain.statuses.enrollment_state import EnrollmentState
from services.contacts.values import ContactFields
from services.suppression.erasure import recall
from storage.contacts import groups
from storage.platform.database import Transaction
from storage.platform.locks import lock_numbers
from storage.schema import METADATA
from storage.suppression import erasure as rows
from tests.kits.inbound import receive
from tests.kits.sending import SendingKit

ANN = "+12125550177"


async def ann(kit: SendingKit) -> UUID:
    """A contact with one number, to be searched for afterwards."""
    contact = await kit.services.contacts.create(
        {"first_name": "Annabel", "last_name": "Leeds", "phone": ANN}
    )
    return contact.id


async def erase(kit: SendingKit, contact_id: UUID) -> None:
    await kit.services.erasure.erase(contact_id, kit.world.user_id)


async def text(kit: SendingKit, body: str, at: datetime | None = None, phone: str = ANN) -> None:
    [now] = await kit.world.rows("SELECT now() AS at")
    payload = {"From": phone, "Body": body}
    await receive(kit.services, phone, body, occurred_at=at or now.at, payload=payload)


async def report(kit: SendingKit, attempt_id: UUID, sid: str) -> None:
    await kit.services.status_callbacks.receive(
        StatusReport(
            sid=sid,
            status="delivered",
            error_code=None,
            attempt_id=attempt_id,
            from_phone="+14155550100",
            payload={"To": ANN},
        )
    )


async def everything(kit: SendingKit) -> str:
    """All rows of all tables, as text."""
    found = []
    for table in METADATA.sorted_tables:
        rows = await kit.world.rows(f"SELECT t::text AS row FROM {table.name} t")  # noqa: S608
        found += [f"{table.name}: {row.row}" for row in rows]
    return "\n".join(found)


async def count(kit: SendingKit, table: str) -> int:
    [row] = await kit.world.rows(f"SELECT count(*) AS n FROM {table}")  # noqa: S608
    return int(row.n)


async def test_erasure_leaves_nothing_of_the_contact(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await kit.services.fields.create("nickname", "", FieldType.TEXT)
    await kit.services.contacts.update(
        contact_id,
        {"external_id": "Annabel@example.com", "fields": {"nickname": "Annabelly"}},
    )
    await kit.world.group([contact_id])
    enrollment_id = await kit.enroll(await kit.sequence("Hi {{first_name}}", "Bye"), contact_id)
    await kit.send(enrollment_id)
    [attempt] = await kit.world.rows("SELECT id, provider_sid FROM attempts")
    await report(kit, attempt.id, attempt.provider_sid)
    await text(kit, "It is Annabel")
    await kit.enroll(contact_id=contact_id)
    await kit.one_off(enrollment_id, "Dear Annabel")
    await kit.services.notes.add(contact_id, "Annabel likes mornings", kit.world.user_id)
    assert ANN in await everything(kit)

    await erase(kit, contact_id)

    left = await everything(kit)
    assert ANN not in left
    assert "Annabel" not in left
    for table in ("contacts", "enrollments", "messages", "attempts", "status_events"):
        assert await count(kit, table) == 0, table
    assert await count(kit, "group_members") == await count(kit, "contact_notes") == 0
    [kept] = await kit.world.rows("SELECT phone, payload FROM inbound_events")
    assert (kept.phone, kept.payload) == ("", {})
    [audited] = await kit.world.rows("SELECT * FROM audit_log WHERE action = 'contact.erase'")
    assert (audited.subject_id, audited.detail) == (contact_id, {"enrollments": 2, "messages": 3})


async def test_erasure_keeps_the_data_of_others(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    other = await kit.enroll()
    await kit.send(other)
    await kit.send(await kit.enroll(contact_id=contact_id))

    await erase(kit, contact_id)

    assert await count(kit, "enrollments") == await count(kit, "messages") == 1
    assert await count(kit, "contacts") == await count(kit, "attempts") == 1


async def test_erasure_includes_texts_from_before_the_contact_existed(
    kit: SendingKit,
) -> None:
    await text(kit, "Who is this?")
    contact_id = await ann(kit)

    await erase(kit, contact_id)

    assert await count(kit, "messages") == 0
    assert await count(kit, "inbound_events WHERE phone <> '' OR payload <> '{}'") == 0


async def test_an_unknown_contact_cannot_be_erased_nor_one_twice(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await erase(kit, contact_id)

    for unknown in (contact_id, uuid4()):
        with pytest.raises(NotFoundError):
            await erase(kit, unknown)


def test_every_column_about_a_person_is_covered() -> None:
    """A new table that points at one of these must be erased too, in its place."""
    people = {"contacts", "enrollments", "messages", "attempts"}
    pointing = {
        f"{table.name}.{key.parent.name}"
        for table in METADATA.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in people
    }
    assert pointing == {
        "attempts.message_id",
        "contact_notes.contact_id",
        "enrollment_events.enrollment_id",
        "enrollments.contact_id",
        "former_phones.contact_id",
        "group_members.contact_id",
        "messages.contact_id",
        "messages.enrollment_id",
        "reviews.message_id",
        "second_readings.message_id",
        "suppressions.attempt_id",
        "suppressions.lifted_message_id",
        "suppressions.message_id",
    }


# Their workflows


async def test_workflows_of_active_enrollments_get_the_final_status(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    enrollment_id = await kit.enroll(contact_id=contact_id)
    await kit.send(enrollment_id)

    await erase(kit, contact_id)
    await kit.services.outbox.drain()

    assert kit.temporal.signals_to(enrollment_id) == [("mark_finished", "finished_stopped")]
    assert await count(kit, "outbox") == 0


async def test_erased_enrollment_that_was_never_started_starts_no_workflow(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    enrollment_id = await kit.enroll(contact_id=contact_id)

    await erase(kit, contact_id)
    await kit.services.outbox.drain()

    assert ("start", enrollment_id, None, None) not in kit.temporal.told
    assert await count(kit, "outbox") == 0


async def test_activities_that_find_no_row_end_their_workflows(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    enrollment_id = await kit.enroll(contact_id=contact_id)
    message_id = await kit.one_off(enrollment_id)
    await erase(kit, contact_id)
    gone = EnrollmentState(doing="ended", status="gone")

    assert await kit.run_step(enrollment_id) == gone
    assert await kit.run_close(enrollment_id) == gone
    assert await kit.run_message(message_id) == gone


async def test_erasure_against_activities_under_way(kit: SendingKit) -> None:
    """Whichever is second waits, or finds no row; neither fails."""
    people = [await kit.enroll() for _ in range(8)]
    rows = await kit.world.rows("SELECT id, contact_id FROM enrollments")
    contacts = {row.id: row.contact_id for row in rows}

    async def try_erase(enrollment_id: UUID) -> str:
        try:
            await erase(kit, contacts[enrollment_id])
        except ConflictError as error:
            return error.conflict
        return "erased"

    next_actions, erased = await asyncio.gather(
        asyncio.gather(*(kit.services.sending.open_step(one) for one in people)),
        asyncio.gather(*(try_erase(one) for one in people)),
    )

    for next_action, how in zip(next_actions, erased, strict=True):
        assert how == ("text_under_way" if isinstance(next_action, SendRequest) else "erased")


async def test_erasure_against_enrolling(kit: SendingKit) -> None:
    """The contact is enrolled and then erased, or unknown; no failure, no partial row."""
    sequence = await kit.sequence()
    contact_ids = await kit.world.contacts(6)

    await asyncio.gather(
        *(
            kit.services.enrolling.enroll(
                sequence.id, kit.world.user_id, contact_ids=contact_ids[first:]
            )
            for first in (0, 3)
        ),
        *(erase(kit, one) for one in contact_ids[2:5]),
    )

    rows = await kit.world.rows("SELECT contact_id FROM enrollments")
    left = {row.contact_id for row in rows}
    assert left >= {*contact_ids[:2], contact_ids[5]}
    assert left <= {*contact_ids[:2], contact_ids[5]}


async def test_late_answer_and_late_report_after_an_erasure_change_nothing(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await kit.send(await kit.enroll(contact_id=contact_id))
    [attempt] = await kit.world.rows("SELECT id, provider_sid FROM attempts")
    await erase(kit, contact_id)

    await report(kit, attempt.id, attempt.provider_sid)

    assert ANN not in await everything(kit)
    listing = Listing(datetime.now(UTC), [], CanaryState.NONE)
    listed = await kit.services.sending.record_listing(attempt.id, listing)
    assert listed == EnrollmentState(doing="ended", status="gone")


# What blocks an erasure


async def test_text_under_way_blocks_an_erasure(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    enrollment_id = await kit.enroll(contact_id=contact_id)
    next_action = await kit.services.sending.open_step(enrollment_id)
    assert isinstance(next_action, SendRequest)

    for outcome in ("open", "unknown"):
        await kit.world.run("UPDATE attempts SET outcome = :outcome", outcome=outcome)
        with pytest.raises(ConflictError) as caught:
            await erase(kit, contact_id)
        assert caught.value.conflict == "text_under_way"
    assert await count(kit, "contacts") == 1
    [row] = await kit.world.rows("SELECT status FROM enrollments")
    assert row.status == "active"


async def test_attempt_of_unknown_outcome_blocks_an_erasure_only_for_a_while(
    kit: SendingKit,
) -> None:
    contact_id = await ann(kit)
    enrollment_id = await kit.enroll(contact_id=contact_id)
    await kit.services.sending.open_step(enrollment_id)
    await kit.world.run(
        "UPDATE attempts SET outcome = 'unknown', started_at = now() - interval '2 hours'"
    )
    with pytest.raises(ConflictError):  # held, for a person to decide
        await erase(kit, contact_id)

    await kit.services.finishing.mark_finished([enrollment_id], kit.world.user_id)
    await erase(kit, contact_id)

    assert await count(kit, "attempts") == 0


async def test_unapplied_inbound_text_blocks_an_erasure(kit: SendingKit) -> None:
    """It may be a STOP."""
    contact_id = await ann(kit)
    await kit.world.run(
        "INSERT INTO inbound_events (provider_sid, phone, payload, occurred_at)"
        " VALUES ('SM1', :phone, '{}', now())",
        phone=ANN,
    )

    with pytest.raises(ConflictError) as caught:
        await erase(kit, contact_id)

    assert caught.value.conflict == "text_under_way"


# What stays


async def test_the_opt_out_stays_as_a_keyed_hash(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await kit.services.suppressions.suppress(
        contact_id=contact_id,
        phone=None,
        sender_id=None,
        reason="Annabel called",
        user_id=kit.world.user_id,
    )

    await erase(kit, contact_id)

    left = await everything(kit)
    assert ANN not in left
    assert "Annabel" not in left
    [row] = await kit.world.rows("SELECT * FROM suppressions")
    assert len(row.phone_hash) == 64
    assert row.source == "by_hand"


@pytest.mark.parametrize("how", ["created", "changed", "created by upsert", "changed by upsert"])
async def test_opt_out_holds_when_the_number_comes_back(kit: SendingKit, how: str) -> None:
    contact_id = await ann(kit)
    await text(kit, "STOP")
    await erase(kit, contact_id)

    if how == "created":
        contact_id = await ann(kit)
    elif how.endswith("by upsert"):
        given: ContactFields = {"external_id": "a", "first_name": "Ann"}
        if how.startswith("changed"):
            await kit.services.contacts.upsert({0: {**given, "phone": "+12125550178"}})
        [merged] = (await kit.services.contacts.upsert({0: {**given, "phone": ANN}})).values()
        assert merged.contact_id is not None
        contact_id = merged.contact_id
    else:
        [contact_id] = await kit.world.contacts(1)
        await kit.services.contacts.update(contact_id, {"phone": ANN})

    assert (await kit.services.contacts.get(contact_id)).opted_out
    enrollment_id = await kit.enroll(contact_id=contact_id)
    [row] = await kit.world.rows("SELECT status FROM enrollments WHERE id = :id", id=enrollment_id)
    assert row.status == "omitted_opted_out"


async def test_start_lifts_a_stop_from_before_the_erasure(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await text(kit, "STOP")
    await erase(kit, contact_id)

    await text(kit, "YES")

    [message] = await kit.world.rows("SELECT keyword, is_reply FROM messages")
    assert (message.keyword, message.is_reply) == ("opt_in", False)
    [row] = await kit.world.rows("SELECT * FROM suppressions")
    assert row.lifted_at is not None
    assert not (await kit.services.contacts.get(await ann(kit))).opted_out


async def test_an_old_start_that_arrives_late_lifts_nothing(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await text(kit, "STOP")
    await erase(kit, contact_id)
    [row] = await kit.world.rows("SELECT occurred_at FROM suppressions")

    await text(kit, "START", at=row.occurred_at - timedelta(minutes=5))

    assert (await kit.services.contacts.get(await ann(kit))).opted_out


async def test_opting_out_again_adds_no_second_suppression(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await text(kit, "STOP")
    await erase(kit, contact_id)

    await text(kit, "STOP")
    await erase(kit, await ann(kit))
    _, is_new = await kit.services.suppressions.suppress(
        contact_id=None, phone=ANN, sender_id=None, reason="Again", user_id=kit.world.user_id
    )

    assert not is_new
    assert await count(kit, "suppressions") == 1


async def test_opt_out_holds_after_two_erasures(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await text(kit, "STOP")
    for _ in range(2):
        await erase(kit, contact_id)
        contact_id = await ann(kit)

    assert (await kit.services.contacts.get(contact_id)).opted_out


async def test_former_number_is_hashed_unless_another_contact_has_it(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await kit.send(await kit.enroll(contact_id=contact_id))
    await text(kit, "STOP")
    await kit.services.contacts.update(contact_id, {"phone": "+12125550178"})

    await erase(kit, contact_id)
    assert ANN not in await everything(kit)

    first, second = await ann(kit), (await kit.world.contacts(1))[0]
    await text(kit, "Hello")
    assert (await kit.services.contacts.get(first)).opted_out
    await erase(kit, second)
    assert (await kit.services.contacts.get(first)).opted_out


async def test_an_erasure_and_a_new_contact_at_once(kit: SendingKit) -> None:
    """The new contact's number is suppressed."""
    for _ in range(5):
        contact_id = await ann(kit)
        await text(kit, "STOP")

        async def create() -> None:
            with contextlib.suppress(ConflictError):
                await ann(kit)

        await asyncio.gather(erase(kit, contact_id), create())
        with contextlib.suppress(ConflictError):
            await ann(kit)

        [row] = await kit.world.rows("SELECT id FROM contacts WHERE phone = :phone", phone=ANN)
        assert (await kit.services.contacts.get(row.id)).opted_out
        await erase(kit, row.id)


async def test_without_an_erasure_there_is_nothing_to_recall(kit: SendingKit) -> None:
    async with kit.world.database.transaction() as tx:
        assert await recall(tx, [ANN]) == 0
    assert await count(kit, "workspace") == 0


async def test_stored_answers_and_job_results_are_erased(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    user_id = kit.world.user_id
    job_id = uuid4()
    await kit.world.run(
        "INSERT INTO jobs (id, kind, state, user_id, total, done)"
        " VALUES (:id, 'import_contacts', 'done', :user_id, 3, 3)",
        id=job_id,
        user_id=user_id,
    )
    for position, (subject_id, detail) in enumerate(
        [
            (contact_id, '{"name": "Annabel"}'),
            (None, f'{{"phone": "{ANN}"}}'),
            (uuid4(), '{"a": 1}'),
            (contact_id, '{"variables": {"job": "Cook"}}'),
        ]
    ):
        await kit.world.run(
            "INSERT INTO job_rows (job_id, position, subject_id, code, detail)"
            " VALUES (:job_id, :position, :subject_id, :code, CAST(:detail AS jsonb))",
            job_id=job_id,
            position=position,
            subject_id=subject_id,
            code=None if "variables" in detail else "x",
            detail=detail,
        )
    for key, answer in (
        ("made", f'{{"id": "{contact_id}", "name": "Annabel"}}'),
        ("opted out", f'{{"id": "{uuid4()}", "phone": "{ANN}"}}'),
        ("noted", f'{{"id": "{uuid4()}", "contact_id": "{contact_id}", "author": {{}}}}'),
        ("enrolled", f'{{"enrolled": [{{"contact_id": "{contact_id}"}}]}}'),
    ):
        await kit.world.run(
            "INSERT INTO idempotency_keys (user_id, key, route, request_hash, status_code, answer)"
            " VALUES (:user_id, :key, 'POST', 'h', 201, CAST(:answer AS jsonb))",
            user_id=user_id,
            key=key,
            answer=answer,
        )

    await erase(kit, contact_id)

    keys = await kit.world.rows("SELECT key FROM idempotency_keys")
    assert [row.key for row in keys] == ["enrolled"]
    rows = await kit.world.rows("SELECT detail FROM job_rows ORDER BY position")
    assert [row.detail for row in rows] == [{}, {}, {"a": 1}, {}]


async def test_final_enrollments_can_be_deleted_but_not_changed(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    enrollment_id = await kit.enroll(contact_id=contact_id)
    await kit.services.finishing.mark_finished([enrollment_id], kit.world.user_id)
    with pytest.raises(IntegrityError):
        await kit.world.run("UPDATE enrollments SET status = 'failed'")

    await erase(kit, contact_id)

    assert await count(kit, "enrollments") == 0


async def test_erasure_keeps_the_stop_of_a_number_another_contact_was_texted_at(
    kit: SendingKit,
) -> None:
    """A waiting one-off to the contact's former number still finds the STOP."""
    first = await ann(kit)
    await kit.send(await kit.enroll(contact_id=first))
    await kit.services.contacts.update(first, {"phone": "+12125550178"})
    second = await ann(kit)
    enrollment = await kit.enroll(contact_id=second)
    await kit.send(enrollment)
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    one_off = await kit.one_off(enrollment)
    await kit.text_back(enrollment, "STOP")
    await kit.services.contacts.update(second, {"phone": "+12125550179"})

    await kit.services.erasure.erase(first, kit.world.user_id)
    before = len(kit.gateway.calls)
    await kit.run_message(one_off)
    assert len(kit.gateway.calls) == before


async def test_former_number_that_was_never_texted_is_erased_too(kit: SendingKit) -> None:
    contact_id = await ann(kit)
    await kit.services.suppressions.suppress(
        contact_id=contact_id,
        phone=None,
        sender_id=None,
        reason="Annabel called",
        user_id=kit.world.user_id,
    )
    await kit.services.contacts.update(contact_id, {"phone": "+12125550178"})
    await kit.services.contacts.update(contact_id, {"phone": "+12125550179"})

    await erase(kit, contact_id)

    left = await everything(kit)
    assert ANN not in left
    assert "+1212555017" not in left
    assert "Annabel" not in left
    await ann(kit)
    [back] = await kit.world.rows("SELECT phone, reason, lifted_at FROM suppressions")
    assert (back.phone, back.reason, back.lifted_at) == (ANN, None, None)


async def test_number_found_during_an_erasure_is_locked_before_the_contact(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import holds that number and waits for the contact: no deadlock."""
    contact_id = await ann(kit)
    late, asked = "+12125550178", 0
    numbers_of = rows.numbers_of

    async def turning_up(tx: Transaction, of: UUID) -> set[str]:
        nonlocal asked
        asked += 1
        return await numbers_of(tx, of) | ({late} if asked > 1 else set())

    monkeypatch.setattr(rows, "numbers_of", turning_up)
    async with kit.world.database.transaction() as tx:
        await lock_numbers(tx, [late])
        erasing = asyncio.create_task(erase(kit, contact_id))
        async with asyncio.timeout(10):
            while asked < 3:  # noqa: ASYNC110 - a lock has no event to wait for
                await asyncio.sleep(0.01)
            await groups.add_members(tx, await kit.world.group([]), [contact_id], kit.world.user_id)
        await tx.rollback()
    await erasing

    assert await count(kit, "contacts") == 0
