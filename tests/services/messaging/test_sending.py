"""Asking to send: when a step goes, and what keeps it from going.

The rules: docs/design.md, "Sending".
"""

import asyncio
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.messaging.ports import LateError, NeedsReconciliation, SendRequest
from domain.platform.moments import written
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import Need, WaitReason
from domain.statuses.sequences import ReplyPolicy, SequenceKind
from domain.statuses.suppression import OptOutSource
from storage.platform.locks import lock_numbers
from tests.kits.query_plans import asked_of
from tests.kits.sending import SendingKit, about, every_day, zone_where_it_is
from tests.worlds import ongoing, scheduled

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def local(day_from_now: int, clock: str, zone: ZoneInfo) -> datetime:
    """A wall-clock time some days after the zone's today."""
    day = datetime.now(zone).date() + day_from_now * DAY
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)


async def enroll_at(kit: SendingKit, zone: ZoneInfo, *bodies: str, **changes: object) -> UUID:
    sequence = await kit.sequence(*bodies, **changes)
    return await kit.enroll(sequence, (await kit.world.contacts(1, time_zone=zone.key))[0])


# When a step is due


async def test_the_first_text_goes_at_once_and_the_next_a_delay_after_it(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    state = await kit.send(enrollment)
    assert (state.doing, state.step, state.step_count) == ("waiting", 1, 3)
    assert about(state.due_at, DAY)
    row = await kit.row(enrollment)
    assert (row.position, row.step, row.activity) == (2, 1, "waiting")
    assert row.next_send_at == row.due_at == state.due_at
    assert about(row.last_sent_at, timedelta(0))
    [call] = kit.gateway.calls
    assert call.body == "Hi Ann0"


async def test_a_delay_counts_from_the_acceptance_not_from_the_plan(kit: SendingKit) -> None:
    """The delay counts from the acceptance of the text before."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.pass_time(3 * DAY)
    state = await kit.send(enrollment)
    assert about(state.due_at, DAY)


async def test_days_at_a_time_are_the_contacts_local_days(kit: SendingKit) -> None:
    zone = zone_where_it_is(23)
    steps = [ongoing("One", 0), ongoing("Two", 2 * 86_400, "09:30"), ongoing("Three")]
    enrollment = await enroll_at(kit, zone, steps=steps)
    state = await kit.send(enrollment)
    assert state.due_at == local(2, "09:30", zone)


async def test_a_due_time_outside_the_window_moves_to_the_next_allowed_moment(
    kit: SendingKit,
) -> None:
    """After an acceptance the next step waits for the window."""
    zone = zone_where_it_is(12)
    steps = [ongoing("One", 0), ongoing("Two", 8 * 3600)]
    enrollment = await enroll_at(kit, zone, steps=steps, send_window=every_day("09:00", "17:00"))
    state = await kit.send(enrollment)
    assert state.due_at == local(1, "09:00", zone)
    row = await kit.row(enrollment)
    assert about(row.due_at, 8 * HOUR)
    assert row.next_send_at == state.due_at
    details = await kit.services.enrollment_detail.get(enrollment)
    [kept] = [one for one in details.timeline if one.kind == "waits"]
    assert (kept.at, kept.detail["because"]) == (row.last_sent_at, "window")
    assert kept.detail["reasons"][0]["detail"]["to"] == written(row.next_send_at)
    assert details.steps[0].reasons[-1].detail == kept.detail["reasons"][0]["detail"]
    found = await kit.waiting_for(details.sequence_id, WaitReason.WINDOW)
    assert found == {enrollment: ("window",)}


async def test_a_text_due_outside_the_window_waits_for_it(kit: SendingKit) -> None:
    """At the moment of sending a step waits for the window."""
    zone = zone_where_it_is(20)
    enrollment = await enroll_at(kit, zone, send_window=every_day("09:00", "17:00"))
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.due_at) == ("waiting", local(1, "09:00", zone))
    assert kit.gateway.calls == []
    assert (await kit.row(enrollment)).next_send_at == state.due_at


async def test_the_provider_gives_up_before_the_window_ends(kit: SendingKit) -> None:
    """The validity period ends 30 s before the window does."""
    zone = zone_where_it_is(12)
    await kit.send(await enroll_at(kit, zone, send_window=every_day("00:00", "15:00")))
    left = local(0, "15:00", zone) - datetime.now(UTC) - timedelta(seconds=30)
    assert abs(kit.gateway.calls[0].validity_seconds - left.total_seconds()) < 5


async def test_without_a_window_the_provider_may_try_for_ten_hours(kit: SendingKit) -> None:
    """Without a window the validity period is the longest there is."""
    await kit.send(await kit.enroll())
    assert kit.gateway.calls[0].validity_seconds == 36_000


async def test_less_than_90_seconds_of_window_count_as_outside(kit: SendingKit) -> None:
    """Less than 90 s of window left counts as outside."""
    zone = zone_where_it_is(12)
    closes = datetime.now(zone) + timedelta(seconds=80)
    enrollment = await enroll_at(
        kit, zone, send_window=every_day("00:00", closes.strftime("%H:%M"))
    )
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert kit.gateway.calls == []
    assert state.due_at == local(1, "00:00", zone)


async def test_scheduled_steps_go_at_their_date_on_the_contacts_clock(kit: SendingKit) -> None:
    """Dates hold for the first step, and for the next after an acceptance."""
    zone = ZoneInfo("Asia/Tokyo")
    first, second = (
        datetime.now(zone).replace(tzinfo=None, microsecond=0) + n * DAY for n in (1, 3)
    )
    enrollment = await enroll_at(
        kit,
        zone,
        kind=SequenceKind.SCHEDULED,
        steps=[scheduled("One", first), scheduled("Two", second)],
    )
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.due_at == first.replace(tzinfo=zone)
    await kit.pass_time(DAY)
    state = await kit.send(enrollment)
    assert state.due_at == second.replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("gap", "apart"), [(timedelta(minutes=10), timedelta(minutes=10)), (2 * DAY, HOUR)]
)
async def test_overdue_dates_go_one_at_a_time(
    kit: SendingKit, gap: timedelta, apart: timedelta
) -> None:
    """Scheduled steps that are all overdue go one at a time."""
    zone = ZoneInfo("UTC")
    start = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + DAY
    steps = [scheduled(f"Text {n}", start + n * gap) for n in range(3)]
    enrollment = await enroll_at(kit, zone, kind=SequenceKind.SCHEDULED, steps=steps)
    await kit.pass_time(30 * DAY)
    await kit.world.run("UPDATE steps SET send_at = send_at - interval '30 days'")
    for sent in (1, 2):
        await kit.send(enrollment)
        state = await kit.run_step(enrollment)
        assert isinstance(state, EnrollmentState)
        assert (state.doing, state.step) == ("waiting", sent)
        assert about(state.due_at, apart)
        assert len(kit.gateway.calls) == sent
        await kit.pass_time(apart)


async def test_a_step_without_delay_follows_at_once(kit: SendingKit) -> None:
    """Two texts are no further apart than configured."""
    enrollment = await kit.enroll(await kit.sequence(steps=[ongoing("One", 0), ongoing("Two", 0)]))
    await kit.send(enrollment)
    await kit.send(enrollment)
    assert await kit.bodies(enrollment) == ["One", "Two"]


async def test_asking_twice_sends_once(kit: SendingKit) -> None:
    """A repeated activity finds the step sent."""
    enrollment = await kit.enroll()
    first = await kit.send(enrollment)
    again = await kit.run_step(enrollment)
    assert isinstance(again, EnrollmentState)
    assert (again.doing, again.due_at) == ("waiting", first.due_at)
    assert len(kit.gateway.calls) == 1


# Paused


async def test_paused_sequence_sends_nothing_and_keeps_its_enrollments(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    enrollment = await kit.enroll(sequence)
    await kit.services.sequences.pause(sequence.id)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.due_at) == ("paused", None)
    row = await kit.row(enrollment)
    assert (row.status, row.activity, row.next_send_at) == ("active", "paused", None)
    assert kit.gateway.calls == []
    await kit.services.sequences.resume(sequence.id)
    await kit.send(enrollment)


async def test_resume_wakes_only_the_blocked_and_only_once(kit: SendingKit) -> None:
    """Pausing sends no signal; resuming signals the blocked enrollments to reconsider."""
    sequence = await kit.sequence()
    blocked, waiting = await kit.enroll(sequence), await kit.enroll(sequence)
    held, awaiting = await kit.enroll(sequence), await kit.enroll(sequence)
    await kit.send(waiting)
    await kit.refuses(held, 21408)
    await kit.run_step(held)
    await kit.send_all(awaiting)
    await kit.services.sequences.pause(sequence.id)
    for enrollment in (blocked, held, awaiting):
        await kit.run_step(enrollment)
    everyone = (blocked, waiting, held, awaiting)
    assert [await kit.pending_signals(one) for one in everyone] == [[], [], [], []]
    await kit.services.sequences.resume(sequence.id)
    await kit.services.sequences.resume(sequence.id)
    signals = [await kit.pending_signals(one) for one in everyone]
    assert signals == [["reconsider"], [], [], []]
    row = await kit.row(blocked)
    assert row.activity == "waiting"
    assert about(row.next_send_at, timedelta(0))
    assert (await kit.row(held)).held_reason == "destination_not_allowed"


async def test_due_times_advance_while_a_sequence_is_paused(kit: SendingKit) -> None:
    """Overdue steps go after a resume, one at a time."""
    sequence = await kit.sequence()
    enrollment = await kit.enroll(sequence)
    await kit.send(enrollment)
    await kit.services.sequences.pause(sequence.id)
    await kit.pass_time(5 * DAY)
    await kit.run_step(enrollment)
    await kit.services.sequences.resume(sequence.id)
    state = await kit.send(enrollment)
    assert about(state.due_at, DAY)


async def test_deciding_before_the_step_is_due_survives_a_pause(kit: SendingKit) -> None:
    """The sequence is paused before the step is due."""
    sequence = await kit.sequence()
    enrollment = await kit.enroll(sequence)
    due_at = (await kit.send(enrollment)).due_at
    await kit.services.sequences.pause(sequence.id)
    await kit.run_step(enrollment)
    await kit.services.sequences.resume(sequence.id)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.due_at) == ("waiting", due_at)


async def test_the_reply_window_runs_while_a_sequence_is_paused(kit: SendingKit) -> None:
    """The reply window runs through a pause of the sequence."""
    sequence = await kit.sequence("Only one")
    enrollment = await kit.enroll(sequence)
    until = (await kit.send(enrollment)).due_at
    await kit.services.sequences.pause(sequence.id)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.due_at) == ("awaiting_reply", until)
    await kit.pass_time(7 * DAY)
    assert (await kit.run_close(enrollment)).status == "finished_no_response"


# The reply window


async def test_the_reply_window_closes_when_it_has_passed_and_not_before(kit: SendingKit) -> None:
    """The last text is accepted, and the reply window begins."""
    enrollment = await kit.enroll(await kit.sequence("One", "Two"))
    state = await kit.send_all(enrollment)
    assert (state.doing, state.step) == ("awaiting_reply", 2)
    assert about(state.due_at, 7 * DAY)
    early = await kit.run_close(enrollment)
    assert (early.doing, early.status) == ("awaiting_reply", "active")
    assert early.due_at == state.due_at
    await kit.pass_time(7 * DAY)
    late = await kit.run_close(enrollment)
    assert (late.doing, late.status, late.step) == ("ended", "finished_no_response", 2)
    assert (await kit.row(enrollment)).status == "finished_no_response"
    again = await kit.run_close(enrollment)
    assert (again.doing, again.status) == ("ended", "finished_no_response")


async def test_closing_too_soon_returns_what_the_row_waits_for(kit: SendingKit) -> None:
    """A run takes its position from the row."""
    enrollment = await kit.enroll()
    state = await kit.send(enrollment)
    closed = await kit.run_close(enrollment)
    assert (closed.doing, closed.due_at) == ("waiting", state.due_at)


async def test_a_remembered_reply_finishes_with_the_last_text(kit: SendingKit) -> None:
    """With policy ``continue`` the steps go on."""
    sequence = await kit.sequence("One", "Two", on_reply=ReplyPolicy.CONTINUE)
    enrollment = await kit.enroll(sequence)
    await kit.send(enrollment)
    await kit.text_back(enrollment)
    assert (await kit.row(enrollment)).status == "active"
    await kit.pass_time(DAY)
    state = await kit.send(enrollment)
    assert (state.doing, state.status) == ("ended", "finished_responded")
    assert (await kit.row(enrollment)).replied_at is not None


async def test_the_last_message_never_moves_back(kit: SendingKit) -> None:
    """``last_message_at`` is the latest of either way."""
    sequence = await kit.sequence("One", "Two", on_reply=ReplyPolicy.CONTINUE)
    enrollment = await kit.enroll(sequence)
    kit.gateway.lose(to=await kit.phone(enrollment), creates=True)
    await kit.run_step(enrollment)
    await kit.pass_time(timedelta(minutes=3))
    await kit.text_back(enrollment)
    replied_at = (await kit.row(enrollment)).last_message_at
    await kit.run_step(enrollment)
    row = await kit.row(enrollment)
    assert row.step == 1
    assert row.last_message_at == replied_at


# What else keeps a text from going


async def test_an_unapplied_inbound_text_blocks_the_send(kit: SendingKit) -> None:
    """An unapplied inbound from a number blocks sends to it."""
    enrollment, other = await kit.enroll(), await kit.enroll()
    await kit.keep_unapplied(enrollment)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.doing == "waiting"
    assert about(state.due_at, timedelta(seconds=10))
    assert kit.gateway.calls == []
    await kit.send(other)
    await kit.world.run("UPDATE inbound_events SET applied_at = now()")
    await kit.send(enrollment)


async def test_waiting_for_an_inbound_text_does_not_fill_the_timeline(kit: SendingKit) -> None:
    """A wait of seconds is no event in the timeline."""
    enrollment = await kit.enroll()
    await kit.keep_unapplied(enrollment)
    for _ in range(4):
        await kit.run_step(enrollment)
        await kit.pass_time(timedelta(seconds=10))
    notes = await kit.world.rows("SELECT * FROM enrollment_events WHERE kind = 'waits'")
    assert notes == []


async def test_an_unapplied_inbound_text_keeps_the_reply_window_open(kit: SendingKit) -> None:
    """An unapplied inbound text keeps the enrollment from closing too."""
    enrollment = await kit.enroll(await kit.sequence("Only one"))
    await kit.send(enrollment)
    await kit.pass_time(8 * DAY)
    await kit.keep_unapplied(enrollment)
    state = await kit.run_close(enrollment)
    assert (state.doing, state.status) == ("awaiting_reply", "active")
    assert about(state.due_at, timedelta(seconds=10))
    await kit.world.run("UPDATE inbound_events SET applied_at = now()")
    assert (await kit.run_close(enrollment)).status == "finished_no_response"


@pytest.mark.parametrize("sent", [False, True])
async def test_a_suppressed_number_gets_no_further_text(kit: SendingKit, sent: bool) -> None:  # noqa: FBT001
    """Opt-outs are checked again when the first text would go, and before later ones too."""
    [contact] = await kit.world.contacts(1)
    enrollment = await kit.enroll(contact_id=contact)
    if sent:
        await kit.send(enrollment)
        await kit.pass_time(DAY)
    await kit.world.suppress(contact)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    expected = "opted_out" if sent else "omitted_opted_out"
    assert (state.doing, state.status) == ("ended", expected)
    assert (await kit.row(enrollment)).status == expected
    assert len(kit.gateway.calls) == sent


async def test_suppression_for_another_sender_blocks_nothing(kit: SendingKit) -> None:
    """A refusal for one sender blocks that number and sender only."""
    [contact] = await kit.world.contacts(1)
    other = await kit.world.sender(uuid4(), "+14155550199")
    enrollment = await kit.enroll(contact_id=contact)
    await kit.world.suppress(contact, other)
    await kit.send(enrollment)
    await kit.pass_time(DAY)
    await kit.world.run(
        "INSERT INTO suppressions (id, phone, sender_id, source, occurred_at)"
        " SELECT :id, phone, :sender, :source, now() FROM contacts",
        id=uuid4(),
        sender=kit.world.sender_id,
        source=OptOutSource.PROVIDER_ERROR.value,
    )
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.status == "opted_out"


async def test_a_landline_found_before_the_first_text_is_omitted(kit: SendingKit) -> None:
    """A known landline is checked again when the first text would go."""
    enrollment, later = await kit.enroll(), await kit.enroll()
    await kit.landline(enrollment)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "omitted_landline")
    await kit.send(later)
    await kit.landline(later)
    await kit.pass_time(DAY)
    await kit.send(later)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (LineType.LANDLINE, "omitted_landline"),
        (LineType.MOBILE, "active"),
        (LineType.UNKNOWN, "active"),
        (None, "active"),
    ],
)
async def test_an_unknown_line_type_is_looked_up_first(
    kit: SendingKit, found: LineType | None, status: str
) -> None:
    """With look-up switched on, trouble or ``unknown`` never omits."""
    kit = kit.with_rules(look_up_line_types=True)
    enrollment = await kit.enroll()
    kit.gateway.look_ups_fail = found is None
    if found is not None:
        kit.gateway.line_types[await kit.phone(enrollment)] = found
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.status == status
    assert len(kit.gateway.calls) == (status == "active")


async def test_merge_fields_and_pictures_go_with_the_text(kit: SendingKit) -> None:
    [contact] = await kit.world.contacts(1, first_name="", last_name="")
    body = "Hi {{first_name|there}}, {{phone}}"
    step = ongoing(body, 0)
    sequence = await kit.sequence(steps=[step])
    await kit.world.run("""UPDATE steps SET media_urls = '["https://example.com/a.png"]'""")
    enrollment = await kit.enroll(sequence, contact)
    await kit.send(enrollment)
    [call] = kit.gateway.calls
    assert call.body == f"Hi there, {await kit.phone(enrollment)}"
    assert list(call.media_urls) == ["https://example.com/a.png"]
    assert (await kit.message(enrollment)).media_urls == ["https://example.com/a.png"]


async def test_an_enrollment_that_is_gone_has_ended(kit: SendingKit) -> None:
    for state in (
        await kit.run_step(uuid4()),
        await kit.run_message(uuid4()),
        await kit.run_close(uuid4()),
    ):
        assert isinstance(state, EnrollmentState)
        assert (state.doing, state.status) == ("ended", "gone")


async def test_a_decision_tells_what_is_needed_and_begins_nothing(kit: SendingKit) -> None:
    """A text that may not go takes no turn in the paced queue."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    ledger = kit.services.sending
    early = await ledger.decide_step(enrollment)
    assert isinstance(early, EnrollmentState)
    assert (early.doing, early.step, early.needs) == ("waiting", 1, None)
    assert about(early.due_at, DAY)
    await kit.pass_time(2 * DAY)
    due = await ledger.decide_step(enrollment)
    assert isinstance(due, EnrollmentState)
    assert (due.doing, due.needs) == ("waiting", Need.SEND)
    assert await kit.outcomes(enrollment) == ["accepted"]
    await kit.open_call(enrollment)
    assert isinstance(await ledger.decide_step(enrollment), NeedsReconciliation)
    assert (await kit.row(enrollment)).activity == "sending"
    gone = await ledger.decide_step(uuid4())
    assert isinstance(gone, EnrollmentState)
    assert gone.status == "gone"


async def test_decision_is_stored(kit: SendingKit) -> None:
    """A text that may go is shown as due, any other with what keeps it."""
    enrollment = await kit.enroll()
    await kit.world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = 'sender_on_hold',"
        " next_send_at = NULL"
    )
    due = await kit.services.sending.decide_step(enrollment)
    assert isinstance(due, EnrollmentState)
    row = await kit.row(enrollment)
    assert (row.activity, row.held_reason) == ("waiting", None)
    assert row.next_send_at == due.due_at
    await kit.world.run("UPDATE sequences SET state = 'paused'")
    paused = await kit.services.sending.decide_step(enrollment)
    assert isinstance(paused, EnrollmentState)
    assert (paused.doing, paused.needs) == ("paused", None)
    assert (await kit.row(enrollment)).activity == "paused"


async def test_retried_send_needs_reconciliation_and_makes_no_call(kit: SendingKit) -> None:
    """The worker died during the send; the paced queue does not wait for the proof."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    assert (await kit.send_step(enrollment)).needs is Need.RECONCILE
    assert kit.gateway.calls == []


@pytest.mark.parametrize("kind", ["step", "message"])
async def test_late_send_writes_nothing(kit: SendingKit, kind: str) -> None:
    """Nothing is written and the send is retried, also after waiting too long for a lock."""
    enrollment = await kit.enroll()
    message = await kit.one_off(enrollment)
    hasty = kit.with_rules(call_before=timedelta(milliseconds=100)).services.sending
    ask = hasty.open_step(enrollment) if kind == "step" else hasty.open_message(message)
    async with kit.world.database.transaction() as tx:
        await lock_numbers(tx, [await kit.phone(enrollment)])
        asked = asyncio.create_task(ask)
        await asyncio.sleep(0.2)
    with pytest.raises(LateError):
        await asked
    assert await kit.world.rows("SELECT id FROM attempts") == []
    assert (await kit.row(enrollment)).activity == "waiting"


# At most one attempt


async def test_of_twenty_at_once_one_may_call(kit: SendingKit) -> None:
    """A message has at most one live attempt."""
    enrollment = await kit.enroll()
    next_actions = await asyncio.gather(
        *(kit.services.sending.open_step(enrollment) for _ in range(20))
    )
    kinds = [type(next_action) for next_action in next_actions]
    assert (kinds.count(SendRequest), kinds.count(NeedsReconciliation)) == (1, 19)
    assert await kit.outcomes(enrollment) == ["open"]


async def test_of_ten_activities_at_once_one_calls(kit: SendingKit) -> None:
    """The same holds with calls and records included."""
    enrollment = await kit.enroll()
    await asyncio.gather(*(kit.run_step(enrollment) for _ in range(10)))
    assert len(kit.gateway.calls) == 1
    assert await kit.outcomes(enrollment) == ["accepted"]


async def test_the_attempt_is_committed_before_the_call(kit: SendingKit) -> None:
    """The attempt stands, open, when the provider is called."""
    enrollment = await kit.enroll()
    seen: list[tuple[str, UUID]] = []

    async def look(call: SendRequest) -> None:
        [attempt] = await kit.attempts(enrollment)
        seen.append((attempt.outcome, attempt.id))
        assert (await kit.row(enrollment)).activity == "sending"

    kit.gateway.on_call = look
    await kit.send(enrollment)
    assert seen == [("open", kit.gateway.calls[0].attempt_id)]


# What a step asks of PostgreSQL


async def test_step_takes_eleven_statements(kit: SendingKit) -> None:
    """Deciding, opening and recording: every round trip is paid by each text."""
    enrollment = await kit.enroll()
    ledger = kit.services.sending
    async with asked_of(kit.world.database) as asked:
        await ledger.decide_step(enrollment)
        decided = len(asked)
        request = await ledger.open_step(enrollment)
        opened = len(asked)
        assert isinstance(request, SendRequest)
        await ledger.record_answer(request.attempt_id, await kit.gateway.create(request))
    assert (await kit.row(enrollment)).step == 1
    assert (decided, opened - decided, len(asked) - opened) == (1, 3, 7)


async def test_closing_takes_four_statements(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    state = await kit.send_all(enrollment)
    assert state.due_at is not None
    await kit.pass_time(state.due_at - datetime.now(UTC))
    async with asked_of(kit.world.database) as asked:
        closed = await kit.services.sending.close_enrollment(enrollment)
    assert closed.doing == "ended"
    assert len(asked) == 4
