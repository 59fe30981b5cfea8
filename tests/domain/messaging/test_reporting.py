"""What follows from proof that the provider has a text, and from what it reports of it.

The rules: docs/design.md, "Sending" and "Provider answers".
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.enrollments.next_event import NextEvent
from domain.messaging.attempts import Attempt
from domain.messaging.effects import (
    Effects,
    EndHold,
    MessageEvent,
    OptOut,
    RecordSent,
    RecordText,
)
from domain.messaging.interpreting import (
    Evidence,
)
from domain.messaging.reporting import DELIVERY_REPORTED
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from tests.kits.attempts import (
    DAY,
    ENROLLMENT,
    FAILED,
    HELD,
    HOUR,
    LAST_STEP,
    MINUTE,
    NOW,
    OF_STEP,
    ONE_OFF,
    ONE_OFF_TAKEN,
    OPTED_OUT,
    OVER,
    OVERTAKEN,
    SENDER,
    STARTED,
    STEP,
    TAKEN,
    UNPROVEN,
    accepted,
    follows,
    report,
)

# The provider has the text


def test_accepted_step_moves_to_the_next_one() -> None:
    effects = follows(STEP, accepted(from_phone="+14155550100"))
    due_at = NOW + HOUR
    assert effects == Effects(
        EnrollmentState("waiting", "active", due_at, 1, 3, str(SENDER)),
        attempt={
            "outcome": AttemptOutcome.ACCEPTED,
            "provider_sid": "SM1",
            "provider_status": MessageStatus.QUEUED,
            "answered_at": NOW,
            "from_phone": "+14155550100",
        },
        message={
            "status": MessageStatus.QUEUED,
            "error_code": None,
            "next_try_at": None,
            "occurred_at": NOW,
        },
        shows_texts=True,
        events=(MessageEvent("sent"),),
        transitions=(RecordSent(ENROLLMENT, 1, 1, NextEvent(2, due_at, due_at), NOW),),
    )


def test_accepted_last_step_awaits_a_reply() -> None:
    effects = follows(LAST_STEP, accepted())
    until = NOW + DAY
    assert effects.transitions == (
        RecordSent(ENROLLMENT, 3, 1, NextEvent(4, reply_until=until), NOW),
    )
    assert effects.answer == EnrollmentState("awaiting_reply", "active", until, 3, 3, str(SENDER))


def test_remembered_reply_ends_it_after_the_last_step() -> None:
    effects = follows(replace(LAST_STEP, replied_at=NOW - DAY), accepted())
    responded = EnrollmentStatus.FINISHED_RESPONDED
    [moved] = effects.transitions
    assert isinstance(moved, RecordSent)
    assert moved.ends_as is responded
    assert effects.answer == EnrollmentState("ended", responded, None, 3, 3, str(SENDER))


def test_remembered_reply_does_not_end_it_before_the_last_step() -> None:
    [moved] = follows(replace(STEP, replied_at=NOW), accepted()).transitions
    assert isinstance(moved, RecordSent)
    assert moved.ends_as is None


@pytest.mark.parametrize(
    "changes",
    [OVER, {"position": 2}, {"enrollment_pass": 2}],
    ids=["ended", "moved_on", "another_pass"],
)
def test_accepted_text_of_a_step_it_is_not_at_is_recorded_only(changes: dict[str, Any]) -> None:
    effects = follows(replace(STEP, **changes), accepted())
    assert effects.transitions == (RecordText(ENROLLMENT, 1, NOW),)
    assert effects.attempt["outcome"] is AttemptOutcome.ACCEPTED


def test_accepted_one_off_moves_no_step() -> None:
    effects = follows(ONE_OFF, accepted())
    assert effects.transitions == (RecordText(ENROLLMENT, 0, NOW),)
    assert effects.answer == EnrollmentState("ended", "accepted")
    assert follows(replace(ONE_OFF, enrollment_id=None), accepted()).transitions == ()


@pytest.mark.parametrize("attempt", [STEP, ONE_OFF], ids=["step", "one_off"])
@pytest.mark.parametrize("evidence", [accepted(), report("queued")], ids=["answer", "report"])
def test_overtaken_attempt_changes_nothing_but_itself(attempt: Attempt, evidence: Evidence) -> None:
    """Another attempt at the text is under way or was accepted: that one moves the enrollment."""
    effects = follows(replace(attempt, **OVERTAKEN), evidence)
    assert effects.attempt == {"provider_sid": "SM1", "provider_status": MessageStatus.QUEUED}
    assert (effects.message, effects.transitions, effects.events) == ({}, (), ())


def test_older_attempt_moves_it_if_the_newer_ones_failed() -> None:
    effects = follows(replace(STEP, is_latest=False), accepted())
    assert isinstance(effects.transitions[0], RecordSent)


def test_text_proven_later_was_sent_when_its_attempt_began() -> None:
    effects = follows(replace(STEP, **UNPROVEN), report("queued"))
    assert effects.message["occurred_at"] == NOW - 10 * MINUTE


@pytest.mark.parametrize(
    ("changes", "signal"),
    [
        ({}, None),
        (UNPROVEN, None),
        (HELD, DELIVERY_REPORTED),
        ({"outcome": AttemptOutcome.ABSENT}, DELIVERY_REPORTED),
        ({"outcome": AttemptOutcome.WRITTEN_OFF}, DELIVERY_REPORTED),
    ],
    ids=["open", "unknown", "held", "absent", "written_off"],
)
def test_workflow_is_signaled_if_it_does_not_ask_itself(
    changes: dict[str, Any], signal: str | None
) -> None:
    assert follows(replace(STEP, **changes), report("queued")).signal == signal
    assert follows(replace(STEP, **changes), accepted()).signal == signal


@pytest.mark.parametrize(
    ("held_for", "by_report", "evidence", "freed"),
    [
        (HOUR, False, accepted(), True),
        (HOUR, True, accepted(), False),
        (timedelta(0), False, accepted(), False),
        (HOUR, True, report("sent"), False),
        (HOUR, True, report("delivered"), True),
        (timedelta(0), True, report("delivered"), False),
    ],
)
def test_text_sent_since_the_hold_frees_the_sender(
    held_for: timedelta,
    by_report: bool,  # noqa: FBT001
    evidence: Evidence,
    freed: bool,  # noqa: FBT001
) -> None:
    """Acceptance proves nothing after a hold by a report: 30034 and its like come later."""
    for attempt in (STEP, ONE_OFF):
        held = replace(attempt, sender_held_at=NOW - held_for, hold_from_report=by_report)
        assert follows(held, evidence).sender == ((EndHold(STARTED),) if freed else ())


@pytest.mark.parametrize(
    ("known", "seen", "intact", "noted"),
    [
        (None, None, True, True),
        (True, NOW - HOUR, True, None),
        (True, NOW - 2 * DAY, True, True),
        (True, NOW - HOUR, False, False),
        (False, NOW - HOUR, True, True),
    ],
)
def test_how_texts_are_shown_is_noted_when_new_or_a_day_old(
    known: bool | None,  # noqa: FBT001
    seen: datetime | None,
    intact: bool,  # noqa: FBT001
    noted: bool | None,  # noqa: FBT001
) -> None:
    attempt = replace(STEP, shows_texts=known, shows_texts_at=seen)
    assert follows(attempt, accepted(is_intact=intact)).shows_texts is noted


@pytest.mark.parametrize(
    ("changes", "doubled"),
    [({}, False), ({"outcome": AttemptOutcome.ABSENT}, True), ({"is_contradicted": True}, True)],
)
def test_absent_text_that_is_there_may_be_doubled(
    changes: dict[str, Any],
    doubled: bool,  # noqa: FBT001
) -> None:
    for evidence in (accepted(), report("delivered")):
        assert follows(replace(STEP, **changes), evidence).may_be_doubled is doubled


# The provider reports


@pytest.mark.parametrize("attempt", [TAKEN, ONE_OFF_TAKEN], ids=["step", "one_off"])
def test_delivery_is_recorded_and_told_once(attempt: Attempt) -> None:
    effects = follows(attempt, report("delivered"))
    assert effects.attempt == {"provider_status": MessageStatus.DELIVERED}
    assert effects.message == {"status": MessageStatus.DELIVERED, "error_code": None}
    assert effects.events == (MessageEvent("delivered"),)
    assert effects.transitions == ()
    delivered = replace(attempt, provider_status=MessageStatus.DELIVERED)
    assert follows(delivered, report("delivered")) == Effects(delivered.state)


@pytest.mark.parametrize("word", ["queued", "sent", "accepted", "something_new"])
def test_states_only_move_up(word: str) -> None:
    assert follows(TAKEN, report(word)) == Effects(TAKEN.state)


@pytest.mark.parametrize("code", [code for code, _ in OF_STEP])
def test_failure_after_a_delivery_changes_nothing_but_an_opt_out(code: int) -> None:
    delivered = replace(TAKEN, provider_status=MessageStatus.DELIVERED)
    expected = Effects(delivered.state, opt_out=OptOut(code) if code == OPTED_OUT else None)
    assert follows(delivered, report("undelivered", code)) == expected


def test_second_report_of_a_failure_changes_no_step() -> None:
    failed = replace(TAKEN, reported_failed=True, provider_status=MessageStatus.FAILED)
    effects = follows(failed, report("undelivered", FAILED))
    assert effects.attempt == {"provider_status": MessageStatus.UNDELIVERED}
    assert effects.transitions == ()


def test_text_delivered_after_all_is_not_sent_again() -> None:
    waiting = replace(
        TAKEN,
        reported_failed=True,
        provider_status=MessageStatus.UNDELIVERED,
        position=1,
        last_sent_at=NOW - MINUTE,
    )
    effects = follows(waiting, report("delivered"))
    due_at = NOW - MINUTE + HOUR
    assert effects.attempt["reported_failed"] is False
    assert effects.message["next_try_at"] is None
    assert effects.transitions == (
        RecordSent(ENROLLMENT, 1, 1, NextEvent(2, due_at, due_at), NOW - MINUTE),
    )
    assert effects.signal == DELIVERY_REPORTED
    again = follows(replace(waiting, is_replaced=True), report("delivered"))
    assert (again.transitions, "reported_failed" in again.attempt) == ((), False)


def test_number_that_a_text_went_out_from_is_noted() -> None:
    effects = follows(TAKEN, report("sent", from_phone="+14155550199"))
    assert effects.attempt == {"from_phone": "+14155550199"}
