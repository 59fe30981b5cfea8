"""The sweep of every minute: lost work is restarted, running work is left alone.

The rules: docs/design.md, "Outbox".
"""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import pytest

from domain.messaging.ports import Accepted, ListedMessage, ProviderUnavailableError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from services.maintenance import pruning
from services.maintenance.pruning import Pruning
from services.suppression.second_reader import SecondReader
from tests.kits.query_plans import asked_of
from tests.kits.sending import SendingKit

MINUTE = timedelta(minutes=1)


async def run_workflows(kit: SendingKit, *enrollments: UUID) -> None:
    """Mark the workflows of enrollments as running."""
    await kit.services.outbox.drain()
    assert kit.temporal.opened >= set(enrollments)


async def finish(kit: SendingKit, enrollment: UUID) -> None:
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)


async def test_overdue_enrollment_without_a_workflow_is_restarted(
    kit: SendingKit,
) -> None:
    """The sweep restarts active enrollments 10 minutes past their next event."""
    lost, running = await kit.enroll(), await kit.enroll()
    await run_workflows(kit, lost, running)
    kit.temporal.opened.remove(lost)
    await kit.pass_time(9 * MINUTE)
    assert (await kit.services.sweep.sweep()).restarted == 0
    await kit.pass_time(2 * MINUTE)
    report = await kit.services.sweep.sweep()
    assert (report.restarted, report.failures) == (1, [])
    assert lost in kit.temporal.opened
    starts = [subject for kind, subject, *_ in kit.temporal.told if kind == "start"]
    assert (starts.count(lost), starts.count(running)) == (2, 1)
    assert (await kit.services.sweep.sweep()).restarted == 0


async def test_enrollment_past_its_reply_window_without_a_workflow_is_restarted(
    kit: SendingKit,
) -> None:
    """The end of the reply window is an event too."""
    enrollment = await kit.enroll(await kit.sequence("Only one"))
    await kit.send(enrollment)
    await kit.services.outbox.drain()
    kit.temporal.opened.clear()
    await kit.pass_time(timedelta(days=6))
    assert (await kit.services.sweep.sweep()).restarted == 0
    await kit.pass_time(timedelta(days=1, minutes=11))
    assert (await kit.services.sweep.sweep()).restarted == 1
    assert kit.temporal.states[enrollment].doing == "awaiting_reply"


async def test_sending_enrollment_that_lost_its_workflow_is_restarted(kit: SendingKit) -> None:
    """The workflow was terminated by hand during a send."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    await kit.world.run("DELETE FROM outbox")
    await kit.pass_time(11 * MINUTE)
    assert (await kit.services.sweep.sweep()).restarted == 1


async def test_sweep_never_ends_an_enrollment(kit: SendingKit) -> None:
    """It closes no workflow and starts none that is final or waits for a person."""
    sequence = await kit.sequence()
    ended, held, paused = [await kit.enroll(sequence) for _ in range(3)]
    await finish(kit, ended)
    await kit.refuses(held, 21408)
    await kit.run_step(held)
    await kit.services.sequences.pause(sequence.id)
    await kit.run_step(paused)
    await kit.world.run("DELETE FROM outbox")
    await kit.pass_time(timedelta(days=400))
    report = await kit.services.sweep.sweep()
    assert (report.restarted, report.delivered, report.failures) == (0, 0, [])
    assert kit.temporal.told == []
    statuses = [(await kit.row(one)).status for one in (ended, held, paused)]
    assert statuses == ["finished_stopped", "active", "active"]


async def test_nothing_counts_as_lost_while_temporal_is_away(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await run_workflows(kit, enrollment)
    await kit.pass_time(11 * MINUTE)
    kit.temporal.opened.clear()
    kit.temporal.away = True
    report = await kit.services.sweep.sweep()
    assert (report.restarted, report.delivered, report.failures) == (0, 0, [])
    kit.temporal.away = False
    assert (await kit.services.sweep.sweep()).restarted == 1


@pytest.mark.parametrize("reason", ["paused", "sender"])
async def test_forgotten_blocked_enrollment_is_woken(kit: SendingKit, reason: str) -> None:
    """The sweep wakes enrollments that a resume or release missed."""
    sequence = await kit.sequence()
    forgotten, held = await kit.enroll(sequence), await kit.enroll(sequence)
    await kit.refuses(held, 21408)
    await kit.run_step(held)
    if reason == "paused":
        await kit.services.sequences.pause(sequence.id)
        await kit.run_step(forgotten)
        await kit.world.run("UPDATE sequences SET state = 'active'")
    else:
        await kit.refuses(forgotten, 20003, 401)
        await kit.run_step(forgotten)
        await kit.world.run("UPDATE senders SET held_at = NULL, next_probe_at = NULL")
    await kit.services.sweep.sweep()
    assert kit.temporal.signals_to(forgotten) == [("reconsider", None)]
    assert kit.temporal.signals_to(held) == []
    await kit.send(forgotten)
    await kit.services.sweep.sweep()
    assert kit.temporal.signals_to(forgotten) == [("reconsider", None)]


async def test_enrollment_still_blocked_is_not_woken(kit: SendingKit) -> None:
    """Held and paused enrollments cost nothing."""
    sequence = await kit.sequence()
    paused = await kit.enroll(sequence)
    other = await kit.enroll()
    await kit.refuses(other, 20003, 401)
    await kit.run_step(other)
    await kit.services.sequences.pause(sequence.id)
    await kit.run_step(paused)
    await kit.services.sweep.sweep()
    assert kit.temporal.signals_to(paused) == kit.temporal.signals_to(other) == []


@pytest.mark.parametrize("there", [True, False])
async def test_attempt_of_an_ended_enrollment_is_reconciled(
    kit: SendingKit,
    there: bool,  # noqa: FBT001
) -> None:
    """Its attempt is reconciled as usual, and no further text goes."""
    enrollment = await kit.enroll()
    kit.gateway.lose(to=await kit.phone(enrollment), creates=there)
    await kit.run_step(enrollment)
    await finish(kit, enrollment)
    await kit.pass_time(MINUTE)
    assert (await kit.services.sweep.sweep()).settled == 0
    assert await kit.outcomes(enrollment) == ["unknown"]
    await kit.pass_time(2 * MINUTE)
    assert (await kit.services.sweep.sweep()).settled == there
    await kit.pass_time(MINUTE)
    assert (await kit.services.sweep.sweep()).settled == (not there)
    assert await kit.outcomes(enrollment) == ["accepted" if there else "absent"]
    row = await kit.row(enrollment)
    assert (row.status, row.step) == ("finished_stopped", int(there))
    assert len(kit.gateway.calls) == 1


async def test_open_attempt_of_a_dead_worker_is_reconciled(kit: SendingKit) -> None:
    """The worker died between commit and call, then the enrollment was finished."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    await kit.text_back(enrollment, "STOP")
    assert (await kit.row(enrollment)).status == "opted_out"
    await kit.pass_time(3 * MINUTE)
    await kit.services.sweep.sweep()
    await kit.pass_time(MINUTE)
    await kit.services.sweep.sweep()
    assert await kit.outcomes(enrollment) == ["absent"]
    assert (await kit.row(enrollment)).status == "opted_out"


async def test_failing_list_reconciles_nothing(kit: SendingKit) -> None:
    """A list that fails is no evidence of absence."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    await kit.text_back(enrollment, "STOP")
    kit.gateway.lists_fail = True
    for _ in range(3):
        await kit.pass_time(2 * MINUTE)
        report = await kit.services.sweep.sweep()
        assert (report.settled, report.failures) == (0, [])
    assert await kit.outcomes(enrollment) == ["open"]


async def test_a_provider_that_cannot_list_is_asked_once_a_sweep(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that hangs would otherwise delay the rest of the sweep once per attempt."""
    asked = AsyncMock(side_effect=ProviderUnavailableError)
    monkeypatch.setattr(kit.gateway, "list_outbound", asked)
    for _ in range(3):
        enrollment = await kit.enroll()
        await kit.open_call(enrollment)
        await kit.text_back(enrollment, "STOP")
    await kit.pass_time(3 * MINUTE)
    assert (await kit.services.sweep.sweep()).failures == []
    assert asked.await_count == 1


async def test_sweep_finishes_an_interrupted_archiving(kit: SendingKit) -> None:
    """Nothing else would wake them: an archived sequence neither sends nor resumes."""
    archived, sequence = await kit.sequence(), await kit.sequence()
    left, other = await kit.enroll(archived), await kit.enroll(sequence)
    await run_workflows(kit, left, other)
    await kit.world.run(
        "UPDATE sequences SET state = 'archived', updated_at = now() WHERE id = :id", id=archived.id
    )
    await kit.services.sweep.sweep()
    assert (await kit.row(left)).status == "active", "it may still be at it"
    await kit.pass_time(11 * MINUTE)
    assert (await kit.services.sweep.sweep()).failures == []
    assert [(await kit.row(one)).status for one in (left, other)] == ["finished_stopped", "active"]
    assert kit.temporal.signals_to(left) == [("mark_finished", "finished_stopped")]


async def test_unreconcilable_attempt_does_not_hide_others(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts take turns."""
    monkeypatch.setattr("services.maintenance.sweep.RECONCILED", 1)
    [contact] = await kit.world.contacts(1)
    stuck, rival, later = (
        await kit.enroll(contact_id=contact),
        await kit.enroll(contact_id=contact),
        await kit.enroll(),
    )
    call = await kit.open_call(stuck)
    await kit.open_call(rival)
    kit.gateway.messages[call.to] = [
        ListedMessage(
            "SM1", call.body, MessageStatus.SENT, (await kit.attempts(stuck))[0].started_at
        )
    ]
    await kit.open_call(later)
    for enrollment in (stuck, later):
        await kit.text_back(enrollment, "STOP")
    await kit.pass_time(3 * MINUTE)
    for _ in range(50):
        await kit.services.sweep.sweep()
        if await kit.outcomes(later) == ["absent"]:
            break
        await kit.pass_time(MINUTE)
    assert await kit.outcomes(later) == ["absent"]
    assert await kit.outcomes(stuck) == ["open"]


async def test_unreconcilable_attempt_is_given_up_after_a_month(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome stays unknown; the provider is asked for a month at most."""
    [contact] = await kit.world.contacts(1)
    stuck, rival = await kit.enroll(contact_id=contact), await kit.enroll(contact_id=contact)
    call = await kit.open_call(stuck)
    await kit.open_call(rival)
    listed = ListedMessage(
        "SM1", call.body, MessageStatus.SENT, (await kit.attempts(stuck))[0].started_at
    )
    asked = AsyncMock(return_value=[listed])
    monkeypatch.setattr(kit.gateway, "list_outbound", asked)
    await kit.text_back(stuck, "STOP")
    await kit.pass_time(120 * MINUTE)
    assert (await kit.services.sweep.sweep()).settled == 0
    assert asked.await_count == 2
    assert await kit.outcomes(stuck) == await kit.outcomes(rival) == ["open"]
    await kit.pass_time(timedelta(days=30))
    assert (await kit.services.sweep.sweep()).settled == 0
    assert asked.await_count == 2


async def test_sweep_scans_no_unbounded_table(kit: SendingKit) -> None:
    """It runs every minute, so it must not scan a table that only grows."""
    async with asked_of(kit.world.database) as asked:
        report = await kit.services.sweep.sweep()
    assert report.failures == []

    plans = []
    async with kit.world.database.engine.connect() as connection:
        await connection.exec_driver_sql("SET enable_seqscan = off")
        for statement, parameters in asked:
            if statement.split(maxsplit=1)[0] in {"SELECT", "UPDATE", "DELETE", "WITH"}:
                plan = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
                plans.append("\n".join(row[0] for row in plan))
    for table in ("messages", "attempts", "enrollments", "inbound_events", "status_events"):
        assert any(f" on {table}" in plan for plan in plans), table
        assert not [plan for plan in plans if f"Seq Scan on {table}" in plan], table


async def test_sweep_folds_what_changed_the_counts(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.maintenance.sweep.COUNTS_FOLDED", 2)
    for _ in range(3):
        await finish(kit, await kit.enroll())
    assert (await kit.services.sweep.sweep()).failures == []
    [row] = await kit.world.rows(
        "SELECT bool_and(folded) AS folded, sum(change) FILTER (WHERE status = 'finished_stopped')"
        " AS finished, sum(change) AS total FROM enrollment_counts"
    )
    assert tuple(row) == (True, 3, 3)


async def test_failing_part_does_not_stop_the_others(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part runs on its own."""

    async def fail(*_args: object) -> int:
        raise RuntimeError

    monkeypatch.setattr("storage.enrollments.waking.add_forgotten", fail)
    monkeypatch.setattr("storage.messaging.holds.due_probes", fail)
    enrollment = await kit.enroll()
    report = await kit.services.sweep.sweep()
    assert report.failures == ["probes: RuntimeError", "forgotten: RuntimeError"]
    assert enrollment in kit.temporal.opened


async def test_second_reader_is_asked_if_there_is_one(kit: SendingKit) -> None:
    sweep = kit.services.sweep
    assert sweep.second_reader is None
    assert (await sweep.sweep()).second_read == 0
    reader = AsyncMock(SecondReader)
    reader.read.side_effect = [3, OSError]
    asked = replace(sweep, second_reader=reader)
    assert (await asked.sweep()).second_read == 3
    assert (await asked.sweep()).failures == ["second reader: OSError"]


async def test_old_idempotency_keys_are_deleted(kit: SendingKit) -> None:
    for hours, key in ((25, "old"), (23, "young")):
        await kit.world.run(
            "INSERT INTO idempotency_keys (user_id, key, route, request_hash, created_at)"
            " VALUES (:user_id, :key, 'r', 'h', now() - make_interval(hours => :hours))",
            user_id=kit.world.user_id,
            key=key,
            hours=hours,
        )
    await kit.services.sweep.sweep()
    assert [row.key for row in await kit.world.rows("SELECT key FROM idempotency_keys")] == [
        "young"
    ]


async def test_late_answer_of_an_ended_enrollment_is_kept(kit: SendingKit) -> None:
    """The answer comes after the sweep found the text absent: its state is updated."""
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    await kit.pass_time(3 * MINUTE)
    await finish(kit, enrollment)
    await kit.services.sweep.sweep()
    await kit.pass_time(MINUTE)
    await kit.services.sweep.sweep()
    sid = f"SM{uuid4().hex}"
    state = await kit.services.sending.record_answer(
        call.attempt_id, Accepted(sid, MessageStatus.QUEUED)
    )
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "finished_stopped")
    assert (await kit.attempts(enrollment))[0].provider_sid == sid


async def test_old_applied_reports_are_deleted(kit: SendingKit) -> None:
    for name, age, applied in (("old", 31, True), ("kept", 31, False), ("young", 1, True)):
        await kit.world.run(
            "INSERT INTO status_events (provider_sid, status, payload, received_at, applied_at)"
            " VALUES (:name, 'sent', '{}', now() - :age,"
            " CASE WHEN :applied THEN now() - CAST(:age AS interval) END)",
            name=name,
            age=timedelta(days=age),
            applied=applied,
        )

    await Pruning(kit.world.database, jobs_kept=timedelta(days=30)).prune()

    left = await kit.world.rows("SELECT provider_sid FROM status_events")
    assert {row.provider_sid for row in left} == {"kept", "young"}


async def old_things(kit: SendingKit) -> None:
    """Write more old reports and events than one batch deletes."""
    await kit.world.run(
        "INSERT INTO status_events (provider_sid, status, payload, received_at, applied_at)"
        " SELECT 'SM' || i, 'sent', '{}', now() - interval '40 days',"
        " CASE WHEN i > 4 THEN now() - interval '40 days' END FROM generate_series(1, 27) i"
    )
    await kit.world.run(
        "INSERT INTO events (event_id, type, subject_id, data, occurred_at)"
        " SELECT gen_random_uuid(), 'test.ping', gen_random_uuid(), '{}',"
        " now() - interval '40 days' FROM generate_series(1, 23)"
    )


async def left_of_old_things(kit: SendingKit) -> tuple[int, int]:
    [row] = await kit.world.rows(
        "SELECT (SELECT count(*) FROM status_events) AS reports,"
        " (SELECT count(*) FROM events) AS events"
    )
    return row.reports, row.events


async def test_old_rows_are_deleted_in_batches(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch a minute would be fewer than come in; unapplied reports block nothing."""
    monkeypatch.setattr(pruning, "_ROWS_AT_ONCE", 4)
    await old_things(kit)
    assert await Pruning(kit.world.database, jobs_kept=timedelta(days=30)).prune() == 46
    assert await left_of_old_things(kit) == (4, 0)


async def test_pruning_is_bounded_and_fair(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_ROWS_AT_ONCE", 4)
    monkeypatch.setattr(pruning, "AT_MOST", timedelta(0))
    await old_things(kit)
    assert await Pruning(kit.world.database, jobs_kept=timedelta(days=30)).prune() == 8
    assert await left_of_old_things(kit) == (23, 19)
