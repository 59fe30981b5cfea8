"""After a restore no text is sent again that the provider's list shows as sent."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.messaging.inbound import StatusReport
from domain.messaging.ports import ListedMessage, ListedText, ListPage, ProviderUnavailableError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from services.messaging.holds import Decision
from services.messaging.restore import NothingRestoredError, Reconciled, Reconciling
from tests.kits.sending import SendingKit

OURS = "+14155550100"
A_DAY = timedelta(days=1)


async def reconciled(kit: SendingKit) -> Reconciled:
    said: list[str] = []
    found = await Reconciling(kit.world.database, kit.gateway, said.append).run()
    assert said
    assert "+1" not in " ".join(said), "ids and counts alone"
    return found


async def lose(kit: SendingKit, enrollment: UUID) -> None:
    """Restore a backup from before the enrollment's first text."""
    await kit.world.run(
        "DELETE FROM attempts WHERE message_id IN"
        " (SELECT id FROM messages WHERE enrollment_id = :id)",
        id=enrollment,
    )
    await kit.world.run("DELETE FROM messages WHERE enrollment_id = :id", id=enrollment)
    await kit.world.run("DELETE FROM status_events")
    await kit.world.run(
        "UPDATE enrollments SET position = 1, step = 0, activity = 'waiting', reply_until = NULL,"
        " last_sent_at = NULL, last_message_at = NULL, due_at = enrolled_at,"
        " next_send_at = enrolled_at WHERE id = :id",
        id=enrollment,
    )


async def shown(kit: SendingKit, phone: str, **changes: Any) -> ListedMessage:
    """Add a text that no row knows to the provider's list."""
    message = ListedMessage(
        f"SM{uuid4().hex}",
        "Hi there",
        MessageStatus.DELIVERED,
        datetime.now(UTC).replace(microsecond=0),
        from_phone=OURS,
    )
    message = replace(message, **changes)
    kit.gateway.messages[phone].append(message)
    return message


async def release(kit: SendingKit, enrollment: UUID, decision: Decision) -> str:
    [one] = await kit.services.holds.release([enrollment], decision, kit.world.user_id)
    return one.result


async def test_a_text_that_the_backup_does_not_know_is_not_sent_again(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    [sent] = kit.gateway.messages[await kit.phone(enrollment)]
    await lose(kit, enrollment)
    found = await reconciled(kit)
    assert (found.texts, found.unknown, found.held, found.unexplained) == (1, 1, 1, [])
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.held_reason) == ("held", "outcome_unknown")
    assert len(await kit.bodies(enrollment)) == 1
    [noted] = await kit.world.rows("SELECT * FROM enrollment_events WHERE kind = 'reconciled'")
    assert (noted.enrollment_id, noted.detail) == (enrollment, {"sids": [sent.sid]})
    assert await kit.outcomes(enrollment) == ["unknown"]
    # A person has looked, and the next step goes on from there.
    assert await release(kit, enrollment, Decision.TREAT_AS_SENT) == "released"
    await kit.pass_time(A_DAY)
    await kit.send(enrollment)
    assert (await kit.row(enrollment)).step == 2


async def test_every_step_that_may_have_been_sent_is_reconciled(kit: SendingKit) -> None:
    """Two went out since: the second is found by proof when its turn comes, and not sent."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.pass_time(A_DAY)
    await kit.send(enrollment)
    first, second = kit.gateway.messages[await kit.phone(enrollment)]
    second = replace(second, created_at=second.created_at + timedelta(seconds=1))
    kit.gateway.messages[await kit.phone(enrollment)][1] = second
    await lose(kit, enrollment)
    assert (await reconciled(kit)).held == 1
    assert await kit.outcomes(enrollment) == ["unknown", "unknown"]
    assert await release(kit, enrollment, Decision.TREAT_AS_SENT) == "released"
    await kit.pass_time(2 * A_DAY)
    kit.gateway.messages[await kit.phone(enrollment)][:] = [
        replace(one, created_at=one.created_at - 2 * A_DAY) for one in (first, second)
    ]
    await kit.run_step(enrollment)
    [attempt] = await kit.attempts(enrollment, 2)
    assert (attempt.outcome, attempt.provider_sid) == ("accepted", second.sid)
    bodies = await kit.bodies(enrollment)
    assert (bodies[:2], set(bodies[2:]) - {"Bye"}) == (["Hi Ann0", "Still?"], set())


async def test_person_may_send_a_restored_step_again(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await shown(kit, await kit.phone(enrollment))
    assert (await reconciled(kit)).held == 1
    assert await release(kit, enrollment, Decision.RETRY) == "released"
    await kit.send(enrollment)
    assert await kit.outcomes(enrollment) == ["written_off", "accepted"]


async def test_known_and_never_sent_texts_hold_nothing(kit: SendingKit) -> None:
    enrollment, other = await kit.enroll(), await kit.enroll()
    await kit.send(enrollment)
    phone = await kit.phone(other)
    await shown(kit, phone, status=MessageStatus.FAILED)
    await shown(kit, phone, status=MessageStatus.CANCELED)
    before = datetime.now(UTC) - timedelta(hours=2)
    await shown(kit, phone, created_at=before.replace(microsecond=0))
    found = await reconciled(kit)
    assert (found.texts, found.unknown, found.held) == (1, 0, 0)
    await kit.send(other)


async def test_open_attempt_in_the_backup_is_reconciled(kit: SendingKit) -> None:
    """Killed between call and answer just before the backup: there is one attempt, not two."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    await shown(kit, await kit.phone(enrollment))
    assert (await reconciled(kit)).held == 1
    assert await kit.outcomes(enrollment) == ["open"]


async def test_texts_of_other_senders_and_to_others_are_unexplained(kit: SendingKit) -> None:
    """Contacts enrolled after the backup are not in it; the account may serve others too."""
    another = await kit.world.sender(uuid4(), "+16465550111")
    enrollment = await kit.enroll()
    by_another = await kit.enroll(await kit.sequence(sender_id=another))
    await shown(kit, await kit.phone(enrollment), from_phone="+16465550111")
    await shown(kit, "+12125550999")
    found = await reconciled(kit)
    assert (found.unknown, found.held, len(found.unexplained)) == (2, 0, 2)
    assert (await kit.row(by_another)).held_reason is None
    await shown(kit, await kit.phone(by_another), from_phone="+16465550111")
    assert (await reconciled(kit)).held == 1


async def test_texts_of_a_messaging_service_may_be_from_any_number(kit: SendingKit) -> None:
    await kit.world.run(
        "UPDATE senders SET phone = NULL, messaging_service_sid = :sid", sid="MG" + "1" * 32
    )
    enrollment, other = await kit.enroll(), await kit.enroll()
    await shown(kit, await kit.phone(enrollment), from_phone=None)
    await shown(kit, await kit.phone(other), from_phone="+16465550177")
    assert (await reconciled(kit)).held == 2


async def test_redacted_number_holds_all_contacts_with_its_prefix(
    kit: SendingKit,
) -> None:
    enrollments = [await kit.enroll() for _ in range(2)]
    contact_id = (await kit.world.contacts(1, phone="+13035550100"))[0]
    other = await kit.enroll(contact_id=contact_id)
    phone = await kit.phone(enrollments[0])
    await shown(kit, f"{phone[:-4]}XXXX", body="")
    found = await reconciled(kit)
    assert (found.held, found.unexplained) == (2, [])
    assert (await kit.row(other)).held_reason is None


async def test_waiting_one_offs_and_jobs_are_canceled(
    kit: SendingKit,
) -> None:
    enrollment, other = await kit.enroll(), await kit.enroll()
    doubtful, sure = await kit.one_off(enrollment), await kit.one_off(other)
    await shown(kit, await kit.phone(enrollment))
    await kit.world.run(
        "INSERT INTO jobs (id, kind, state, user_id, total, done) VALUES"
        " (gen_random_uuid(), 'enrol', 'running', :user, 9, 1),"
        " (gen_random_uuid(), 'pause', 'running', :user, 9, 1)",
        user=kit.world.user_id,
    )
    found = await reconciled(kit)
    assert (found.one_offs, found.jobs) == (1, 1)
    row = await kit.one_off_row(doubtful)
    assert (row.status, row.cancel_reason) == ("canceled", "restored")
    assert (await kit.one_off_row(sure)).status == "pending"
    await kit.run_message(doubtful)
    assert await kit.bodies(enrollment) == []


async def test_one_off_waiting_for_a_retry_is_canceled_too(kit: SendingKit) -> None:
    """The backup knows an attempt that was refused for a while, not the one after it."""
    enrollment = await kit.enroll()
    doubtful = await kit.one_off(enrollment)
    await kit.refuses(enrollment, 20429, 429)
    await kit.run_message(doubtful)
    assert (await kit.one_off_row(doubtful)).next_try_at is not None
    await shown(kit, await kit.phone(enrollment))
    assert (await reconciled(kit)).one_offs == 1
    await kit.pass_time(A_DAY)
    await kit.run_message(doubtful)
    assert len(await kit.bodies(enrollment)) == 1, "the one that was refused"


async def test_reports_after_the_restore_hide_no_earlier_text(kit: SendingKit) -> None:
    """An API was started too early, and Twilio has told it of a text that went out since."""
    enrollment, early = await kit.enroll(), await kit.enroll()
    await kit.send(early)
    await kit.pass_time(timedelta(hours=3))
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    await shown(kit, await kit.phone(enrollment), created_at=at)
    report = StatusReport(f"SM{uuid4().hex}", "delivered", None, None, None, {})
    await kit.services.status_callbacks.receive(report)
    await kit.enroll()
    assert (await reconciled(kit)).held == 1


async def test_interrupted_run_can_be_repeated(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run knows what the first recorded, and begins at the same moment."""
    enrollments = [await kit.enroll() for _ in range(5)]
    kit.gateway.page_size = 2
    for one in enrollments[:4]:
        await shown(kit, await kit.phone(one))
    list_sent = kit.gateway.list_sent

    async def breaks_off(*args: Any, **options: Any) -> ListPage[ListedMessage]:
        if args[1] == "2":
            raise ProviderUnavailableError("the second page")
        return await list_sent(*args, **options)

    monkeypatch.setattr(kit.gateway, "list_sent", breaks_off)
    with pytest.raises(ProviderUnavailableError):
        await reconciled(kit)
    assert not any([(await kit.row(one)).held_reason for one in enrollments]), "all or nobody yet"
    monkeypatch.undo()
    first = await reconciled(kit)
    assert first.held == 4
    await shown(kit, await kit.phone(enrollments[4]))
    again = await reconciled(kit)
    assert (again.since, again.unknown, again.held) == (first.since, 1, 1)
    await release(kit, enrollments[0], Decision.RETRY)
    assert (await reconciled(kit)).unknown == 0
    assert (await kit.row(enrollments[0])).held_reason is None


async def test_texts_from_contacts_since_the_backup_are_applied(kit: SendingKit) -> None:
    """A reply to a text that the backup does not know is a reply; a STOP holds."""
    replied, stopped = await kit.enroll(), await kit.enroll()
    await kit.services.sweep.sweep()
    for one in (replied, stopped):
        await shown(kit, await kit.phone(one))
    await reconciled(kit)
    await kit.pass_time(timedelta(hours=3))
    for one, body in ((replied, "Yes please"), (stopped, "STOP")):
        at = (datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0)
        phone = await kit.phone(one)
        kit.gateway.texts.append(ListedText(f"SM{uuid4().hex}", phone, OURS, None, body, 0, at))
    assert await kit.services.backfill.fetch_all_texts() == 2
    assert (await kit.row(replied)).status == "finished_responded"
    assert (await kit.row(stopped)).status == "opted_out"
    kit.gateway.lists_fail = True
    await kit.pass_time(timedelta(hours=3))
    with pytest.raises(ProviderUnavailableError):
        await kit.services.backfill.fetch_all_texts()


async def test_empty_database_gives_no_moment(kit: SendingKit) -> None:
    with pytest.raises(NothingRestoredError, match="--since"):
        await Reconciling(kit.world.database, kit.gateway, print).run()
