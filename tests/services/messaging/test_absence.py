"""A text is absent if the provider provably does not have it, however it shows texts.

The rules: docs/design.md, "Never twice, never after".
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.messaging.absence import list_texts
from domain.messaging.ports import (
    Accepted,
    CanaryState,
    ListedMessage,
    Listing,
    NeedsReconciliation,
    OutcomeUnknown,
)
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from simulator.habits import Habit
from storage.maintenance import health
from tests.kits.event_endpoints import subscribe
from tests.kits.sending import SendingKit

SECOND = timedelta(seconds=1)
FIRST_LIST, SECOND_LIST = 125 * SECOND, 60 * SECOND
GIVE_UP = timedelta(minutes=61)
TEXT = "It\u2019s time \u2013 \u201creally\u201d\u2026 see you at nine"


@pytest.fixture
async def listening(kit: SendingKit) -> None:
    """An endpoint that wants every event."""
    url = "https://example.com/segue"
    await subscribe(kit.world.database, kit.world.user_id, url)


async def enroll(kit: SendingKit) -> UUID:
    return await kit.enroll(await kit.sequence(TEXT, "And again"))


async def forget_what_is_shown(kit: SendingKit) -> None:
    """Make the sender look as before its first text."""
    await kit.world.run("UPDATE senders SET shows_texts = NULL")


async def lose(kit: SendingKit, enrollment: UUID, *, creates: bool) -> None:
    """Lose the answer to the next text, and its reports."""
    kit.gateway.lose(to=await kit.phone(enrollment), creates=creates)
    assert isinstance(await kit.run_step(enrollment), timedelta)


async def look(kit: SendingKit, enrollment: UUID, *waits: timedelta) -> EnrollmentState | timedelta:
    """Ask again after each wait; return the last answer."""
    found: EnrollmentState | timedelta = timedelta(0)
    for wait in waits:
        await kit.pass_time(wait)
        found = await kit.run_step(enrollment)
    return found


# What the provider makes of texts


@pytest.mark.parametrize("known", [True, False], ids=["after_others", "first_of_all"])
@pytest.mark.parametrize(
    ("habit", "fate"),
    [
        (Habit.TRIAL, "accepted"),
        (Habit.SMART_ENCODING, "accepted"),
        (Habit.REDACTION, "unknown"),
    ],
)
async def test_text_that_is_shown_altered_is_not_sent_twice(
    kit: SendingKit, habit: Habit, fate: str, *, known: bool
) -> None:
    kit.gateway.habit = habit
    await forget_what_is_shown(kit)
    if known:
        await kit.send(await enroll(kit))
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=True)
    calls = len(kit.gateway.calls)

    await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == [fate]
    assert len(kit.gateway.calls) == calls


@pytest.mark.parametrize("habit", list(Habit))
@pytest.mark.parametrize("known", [True, False], ids=["after_others", "first_of_all"])
async def test_text_that_a_list_cannot_prove_absent_is_held(
    kit: SendingKit, habit: Habit, *, known: bool
) -> None:
    kit.gateway.habit = habit
    await forget_what_is_shown(kit)
    if known:
        await kit.send(await enroll(kit))
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)

    state = await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST, GIVE_UP)

    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.held_reason) == ("held", "outcome_unknown")
    assert await kit.outcomes(enrollment) == ["unknown"]


@pytest.mark.parametrize("habit", list(Habit))
async def test_alteration_since_the_last_answer_is_noticed(kit: SendingKit, habit: Habit) -> None:
    await kit.send(await enroll(kit))
    kit.gateway.habit = habit
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)

    await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == ["unknown"]


@pytest.mark.parametrize("habit", list(Habit))
async def test_sender_says_whether_its_texts_are_shown_as_sent(
    kit: SendingKit, habit: Habit
) -> None:
    kit.gateway.habit = habit
    await kit.send(await enroll(kit))
    assert (await kit.sender()).shows_texts is False

    kit.gateway.habit = None
    await kit.send(await enroll(kit))
    assert (await kit.sender()).shows_texts is True


async def test_altered_text_in_the_list_is_noted_on_the_sender(kit: SendingKit) -> None:
    await kit.send(await enroll(kit))
    kit.gateway.habit = Habit.TRIAL
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    assert (await kit.sender()).shows_texts is True

    await look(kit, enrollment, FIRST_LIST)

    assert (await kit.sender()).shows_texts is False


async def test_altered_text_of_another_sender_is_not_noted_on_this_one(kit: SendingKit) -> None:
    """A Messaging Service swaps characters; numbers that send by themselves do not."""
    service = await kit.world.sender(uuid4(), "+14155550199")
    other = await kit.enroll(await kit.sequence(TEXT, sender_id=service))
    await kit.send(other)
    shown = kit.gateway.messages[await kit.phone(other)]
    shown[:] = [replace(text, body=Habit.SMART_ENCODING.body(text.body)) for text in shown]
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)

    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == ["unknown"]
    assert (await kit.sender()).shows_texts is True


# The text that a list must show


async def test_first_text_of_an_account_is_not_absent_before_another_is_known(
    kit: SendingKit,
) -> None:
    await forget_what_is_shown(kit)
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)
    assert (await kit.attempts(enrollment))[0].absent_once_at is None

    await kit.send(await enroll(kit))
    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == ["absent", "accepted"]


async def test_list_without_the_known_text_proves_nothing(kit: SendingKit) -> None:
    await kit.send(await enroll(kit))
    kit.gateway.messages.clear()
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)

    state = await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST, GIVE_UP)

    assert isinstance(state, EnrollmentState)
    assert state.held_reason == "outcome_unknown"


async def test_known_text_is_one_that_the_list_has_had_time_to_show(kit: SendingKit) -> None:
    """A text that was accepted a moment ago may be missing from a list that lags."""
    old = await enroll(kit)
    await kit.send(old)
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    await kit.pass_time(FIRST_LIST)
    await kit.send(await enroll(kit))

    next_action = await kit.services.sending.open_step(enrollment)

    assert isinstance(next_action, NeedsReconciliation)
    assert next_action.canary is not None
    assert next_action.canary.to == await kit.phone(old)


async def test_known_text_to_the_same_number_is_preferred(kit: SendingKit) -> None:
    [contact] = await kit.world.contacts(1)
    sequence = await kit.sequence(TEXT)
    await kit.send(await kit.enroll(sequence, contact))
    for _ in range(3):
        await kit.send(await enroll(kit))
    enrollment = await kit.enroll(await kit.sequence(TEXT), contact)
    await lose(kit, enrollment, creates=False)
    await kit.pass_time(FIRST_LIST)

    next_action = await kit.services.sending.open_step(enrollment)

    assert isinstance(next_action, NeedsReconciliation)
    assert next_action.canary is not None
    assert next_action.canary.to == await kit.phone(enrollment)


async def test_old_text_to_the_same_number_proves_nothing_about_today(
    kit: SendingKit,
) -> None:
    """The account redacts lists since then; answers to calls still show whole texts."""
    [contact] = await kit.world.contacts(1)
    await kit.send(await kit.enroll(await kit.sequence(TEXT), contact))
    await kit.pass_time(timedelta(days=10))
    other = await enroll(kit)
    await kit.send(other)
    enrollment = await kit.enroll(await kit.sequence(TEXT), contact)
    await lose(kit, enrollment, creates=True)
    for phone in (await kit.phone(other), await kit.phone(enrollment)):
        kit.gateway.messages[phone].pop()

    await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == ["unknown"]


async def test_old_altered_text_does_not_prevent_absence(
    kit: SendingKit,
) -> None:
    """It went out while the account was on trial."""
    [contact] = await kit.world.contacts(1)
    await kit.send(await kit.enroll(await kit.sequence(TEXT), contact))
    await kit.pass_time(timedelta(days=10))
    await kit.send(await enroll(kit))
    enrollment = await kit.enroll(await kit.sequence(TEXT), contact)
    await lose(kit, enrollment, creates=False)
    shown = kit.gateway.messages[await kit.phone(enrollment)]
    shown[:] = [
        replace(
            text,
            body=Habit.TRIAL.body(text.body),
            created_at=text.created_at - timedelta(days=10),
        )
        for text in shown
    ]

    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == ["absent", "accepted"]
    assert (await kit.sender()).shows_texts is True


async def test_display_seen_long_ago_proves_nothing(kit: SendingKit) -> None:
    """The account may have begun to redact texts since."""
    await kit.send(await enroll(kit))
    await kit.pass_time(timedelta(days=31))
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=True)
    kit.gateway.messages.clear()

    await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST)

    assert await kit.outcomes(enrollment) == ["unknown"]


# Texts of others


@pytest.mark.parametrize("body", ["Your code is 1234", "", TEXT + " and more"])
async def test_listed_text_without_an_attempt_prevents_absence(kit: SendingKit, body: str) -> None:
    await kit.send(await enroll(kit))
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    phone = await kit.phone(enrollment)
    foreign = ListedMessage(
        f"SM{uuid4().hex}", body, MessageStatus.SENT, datetime.now(UTC).replace(microsecond=0)
    )
    kit.gateway.messages[phone].append(foreign)

    state = await look(kit, enrollment, FIRST_LIST, SECOND_LIST, SECOND_LIST, GIVE_UP)

    assert isinstance(state, EnrollmentState)
    assert state.held_reason == "outcome_unknown"
    assert await kit.outcomes(enrollment) == ["unknown"]


# When a list was asked for


async def frozen_list(kit: SendingKit, enrollment: UUID) -> tuple[UUID, Listing]:
    """Fetch a list without recording it."""
    next_action = await kit.services.sending.open_step(enrollment)
    assert isinstance(next_action, NeedsReconciliation)
    listing = await list_texts(kit.gateway, next_action)
    assert listing is not None
    return next_action.attempt_id, listing


async def test_list_fetched_too_early_is_not_the_second(kit: SendingKit) -> None:
    """One activity is frozen with a fetched list while another records the first one."""
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=True)
    [late] = kit.gateway.messages.pop(await kit.phone(enrollment))
    await kit.pass_time(FIRST_LIST)
    attempt_id, old = await frozen_list(kit, enrollment)
    await kit.run_step(enrollment)
    assert (await kit.attempts(enrollment))[0].absent_once_at is not None
    kit.gateway.messages[await kit.phone(enrollment)].append(late)
    await kit.pass_time(SECOND_LIST)

    assert isinstance(
        await kit.services.sending.record_listing(attempt_id, old), NeedsReconciliation
    )
    assert await kit.outcomes(enrollment) == ["unknown"]

    await kit.run_step(enrollment)
    assert await kit.outcomes(enrollment) == ["accepted"]


async def test_list_fetched_before_it_can_prove_anything_is_not_the_first(
    kit: SendingKit,
) -> None:
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    [attempt] = await kit.attempts(enrollment)
    early = Listing(attempt.call_before + 119 * SECOND, [], CanaryState.NONE)
    await kit.pass_time(timedelta(minutes=10))
    early = Listing(early.asked_at - timedelta(minutes=10), [], CanaryState.NONE)

    assert isinstance(
        await kit.services.sending.record_listing(attempt.id, early), NeedsReconciliation
    )

    assert (await kit.attempts(enrollment))[0].absent_once_at is None


async def test_first_list_counts_from_when_it_was_recorded(kit: SendingKit) -> None:
    """The second list is fetched a minute after the first is recorded, however old that is."""
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    await kit.pass_time(FIRST_LIST)
    attempt_id, listing = await frozen_list(kit, enrollment)
    await kit.pass_time(timedelta(minutes=10))
    listing = Listing(listing.asked_at - timedelta(minutes=10), listing.texts, listing.canary)

    again = await kit.services.sending.record_listing(attempt_id, listing)

    assert isinstance(again, NeedsReconciliation)
    assert again.wait > 55 * SECOND


# A promise that was broken all the same


async def declared_absent(kit: SendingKit, enrollment: UUID) -> None:
    """Lose an accepted text, and hide it from lists until it is sent again."""
    await lose(kit, enrollment, creates=True)
    phone = await kit.phone(enrollment)
    unlisted = kit.gateway.messages.pop(phone)
    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)
    created_at = (await kit.attempts(enrollment))[0].started_at
    kit.gateway.messages[phone] += [replace(text, created_at=created_at) for text in unlisted]


async def doubled(kit: SendingKit) -> tuple[int, int, int]:
    """Count the doubled texts in the metrics, on the timeline and in the events."""
    async with kit.world.database.transaction() as tx:
        counts = await health.read(tx)
    [row] = await kit.world.rows(
        "SELECT (SELECT count(*) FROM enrollment_events WHERE kind = 'doubled') AS noted,"
        " (SELECT count(*) FROM events WHERE type = 'message.doubled') AS told"
    )
    return counts.doubled, row.noted, row.told


async def by_report(kit: SendingKit, enrollment: UUID, status: str = "delivered") -> None:
    """Deliver a report on the attempt that was declared absent."""
    await kit.report((await kit.attempts(enrollment))[0], status, by_sid=False)


async def by_sweep(kit: SendingKit, enrollment: UUID) -> None:
    """Run the sweep's second look at the list."""
    later = timedelta(minutes=11)
    await kit.pass_time(later)
    texts = kit.gateway.messages[await kit.phone(enrollment)]
    texts[:] = [replace(text, created_at=text.created_at - later) for text in texts]
    assert (await kit.services.sweep.sweep()).failures == []


@pytest.mark.parametrize("shown", [by_report, by_sweep])
async def test_text_declared_absent_that_is_found_is_reported_as_doubled(
    kit: SendingKit, shown: Callable[..., object], listening: None
) -> None:
    enrollment = await enroll(kit)
    await declared_absent(kit, enrollment)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]
    assert await doubled(kit) == (0, 0, 0)

    for _ in range(2):
        await shown(kit, enrollment)  # type: ignore[misc] # both are async
        assert await doubled(kit) == (1, 1, 1)

    assert len({one.provider_sid for one in await kit.attempts(enrollment)} - {None}) == 2
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    [entry] = [
        entry
        for entry in (await kit.services.enrollment_detail.get(enrollment)).timeline
        if entry.kind == "doubled"
    ]
    assert entry.step == 1


async def test_text_declared_absent_that_failed_is_not_reported_as_doubled(
    kit: SendingKit, listening: None
) -> None:
    enrollment = await enroll(kit)
    await declared_absent(kit, enrollment)
    await by_report(kit, enrollment, "failed")
    assert await doubled(kit) == (0, 0, 0)


async def test_text_listed_before_its_resend_is_sent_once(kit: SendingKit, listening: None) -> None:
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    await kit.pass_time(FIRST_LIST)
    attempt_id, listing = await frozen_list(kit, enrollment)
    await kit.services.sending.record_listing(attempt_id, listing)
    await kit.pass_time(SECOND_LIST)
    attempt_id, listing = await frozen_list(kit, enrollment)
    await kit.services.sending.record_listing(attempt_id, listing)
    assert await kit.outcomes(enrollment) == ["absent"]

    await by_report(kit, enrollment)
    await kit.run_step(enrollment)

    assert await kit.outcomes(enrollment) == ["accepted"]
    assert await doubled(kit) == (0, 0, 0)


async def test_text_listed_during_its_resend_is_reported_once_both_are_accepted(
    kit: SendingKit, listening: None
) -> None:
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    await kit.pass_time(FIRST_LIST)
    attempt_id, listing = await frozen_list(kit, enrollment)
    await kit.services.sending.record_listing(attempt_id, listing)
    await kit.pass_time(SECOND_LIST)
    attempt_id, listing = await frozen_list(kit, enrollment)
    await kit.services.sending.record_listing(attempt_id, listing)
    again = await kit.open_call(enrollment)
    await by_report(kit, enrollment)
    assert await doubled(kit) == (0, 0, 0)

    await kit.services.sending.record_answer(again.attempt_id, OutcomeUnknown())
    await kit.services.sending.record_answer(
        again.attempt_id, Accepted("SM2", MessageStatus.QUEUED)
    )

    assert await doubled(kit) == (1, 1, 1)


async def test_doubled_one_off_is_reported(kit: SendingKit, listening: None) -> None:
    enrollment = await enroll(kit)
    await kit.send(enrollment)
    message = await kit.one_off(enrollment)
    phone = await kit.phone(enrollment)
    kit.gateway.lose(to=phone, creates=False)
    await kit.run_message(message)
    for wait in (FIRST_LIST, SECOND_LIST):
        await kit.pass_time(wait)
        await kit.run_message(message)
    first, second = await kit.world.rows(
        "SELECT * FROM attempts WHERE message_id = :id ORDER BY number", id=message
    )
    assert (first.outcome, second.outcome) == ("absent", "accepted")

    await kit.report(first, "delivered", by_sid=False)

    assert await doubled(kit) == (1, 1, 1)


async def test_absence_is_checked_exactly_once_more(kit: SendingKit) -> None:
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]

    await by_sweep(kit, enrollment)

    first, _ = await kit.attempts(enrollment)
    assert (first.look_ups, first.provider_sid) == (1, None)


async def test_second_look_ignores_a_text_that_may_be_another_attempts(
    kit: SendingKit, listening: None
) -> None:
    """The next attempt's answer is lost too, and the listed text is that attempt's."""
    enrollment = await enroll(kit)
    await lose(kit, enrollment, creates=False)
    kit.gateway.lose(to=await kit.phone(enrollment), creates=True)
    await look(kit, enrollment, FIRST_LIST, SECOND_LIST)
    assert await kit.outcomes(enrollment) == ["absent", "unknown"]

    await by_sweep(kit, enrollment)
    assert [one.provider_sid for one in await kit.attempts(enrollment)] == [None, None]

    await kit.run_step(enrollment)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]
    assert await doubled(kit) == (0, 0, 0)
