"""What follows from a text that failed, at once or in a later report, in every state.

The rules: docs/design.md, "Provider answers".
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.enrollments.next_event import NextEvent
from domain.messaging.attempts import StepAttempt
from domain.messaging.effects import (
    End,
    MessageEvent,
    OptOut,
    PutOnHold,
    RecordSent,
    RecountSteps,
    Transition,
)
from domain.messaging.ports import NotCalled, Refused
from domain.messaging.reporting import DELIVERY_REPORTED
from domain.platform.rules import EARLY_TOLERANCE
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import AttemptOutcome, CancelReason, MessageStatus
from tests.kits.attempts import (
    ENROLLMENT,
    FAILED,
    GAP,
    HOUR,
    LANDLINE,
    LAST_STEP,
    MINUTE,
    NO_ROUTE,
    NOW,
    OF_STEP,
    ONE_OFF,
    ONE_OFF_TAKEN,
    OPTED_OUT,
    OVER,
    PROBE,
    QUEUE_FULL,
    REGION,
    RULES,
    STEP,
    TAKEN,
    UNPROVEN,
    UNREGISTERED,
    accepted,
    follows,
    listed,
    listing,
    refused,
    report,
)


@pytest.mark.parametrize(("code", "fate"), OF_STEP, ids=[str(code) for code, _ in OF_STEP])
def test_refused_step_does_what_its_code_says(code: int, fate: tuple[Transition, ...]) -> None:
    effects = follows(STEP, refused(code))
    assert effects.attempt == {
        "outcome": AttemptOutcome.REFUSED,
        "error_code": code,
        "http_status": 400,
        "answered_at": NOW,
    }
    assert effects.message["status"] is MessageStatus.REFUSED
    assert effects.transitions == fate
    assert effects.signal is None


@pytest.mark.parametrize(("code", "fate"), OF_STEP, ids=[str(code) for code, _ in OF_STEP])
def test_step_reported_failed_does_what_its_code_says(
    code: int, fate: tuple[Transition, ...]
) -> None:
    effects = follows(TAKEN, report("undelivered", code))
    assert effects.attempt == {
        "provider_status": MessageStatus.UNDELIVERED,
        "reported_failed": True,
        "error_code": code,
    }
    assert effects.message["status"] is MessageStatus.UNDELIVERED
    assert effects.transitions == (RecountSteps(ENROLLMENT), *fate)
    assert effects.signal == (DELIVERY_REPORTED if fate else None)


@pytest.mark.parametrize(("code", "fate"), OF_STEP, ids=[str(code) for code, _ in OF_STEP])
def test_failure_as_first_news_follows_acceptance(code: int, fate: tuple[Transition, ...]) -> None:
    """A report of failure that comes before the answer to the call."""
    effects = follows(STEP, report("undelivered", code))
    moved = RecordSent(ENROLLMENT, 1, 1, NextEvent(2, NOW + HOUR, NOW + HOUR), NOW)
    assert effects.transitions == (moved, RecountSteps(ENROLLMENT), *fate)
    assert effects.attempt["outcome"] is AttemptOutcome.ACCEPTED
    assert effects.attempt["reported_failed"]
    assert effects.events[0] == MessageEvent("sent")
    found = follows(replace(STEP, **UNPROVEN), listing(listed(MessageStatus.UNDELIVERED, code)))
    assert found.transitions[1:] == effects.transitions[1:]
    assert found.signal is None


def test_failure_of_the_last_step_after_a_reply_leaves_it_responded() -> None:
    effects = follows(replace(LAST_STEP, replied_at=NOW), report("failed", FAILED))
    assert [type(one) for one in effects.transitions] == [RecordSent, RecountSteps]


@pytest.mark.parametrize("code", [code for code, _ in OF_STEP])
@pytest.mark.parametrize("late", [False, True], ids=["refused", "reported"])
def test_failure_changes_no_enrollment_that_is_over(code: int, late: bool) -> None:  # noqa: FBT001
    """Its sender is held, its number suppressed all the same."""
    attempt, evidence = (TAKEN, report("failed", code)) if late else (STEP, refused(code))
    active, ended = follows(attempt, evidence), follows(replace(attempt, **OVER), evidence)
    assert ended.transitions == ((RecountSteps(ENROLLMENT),) if late else ())
    assert (ended.sender, ended.opt_out) == (active.sender, active.opt_out)
    assert ended.events == (MessageEvent("failed", code),)
    assert "next_try_at" not in ended.message


@pytest.mark.parametrize("code", [code for code, _ in OF_STEP])
@pytest.mark.parametrize("late", [False, True], ids=["refused", "reported"])
def test_failure_of_an_older_attempt_changes_no_text_and_no_step(
    code: int,
    late: bool,  # noqa: FBT001
) -> None:
    attempt, evidence = (TAKEN, report("failed", code)) if late else (STEP, refused(code))
    effects = follows(replace(attempt, is_latest=False), evidence)
    assert (effects.message, effects.events) == ({}, ())
    assert effects.transitions == ((RecountSteps(ENROLLMENT),) if late else ())
    assert effects.opt_out == (OptOut(code) if code == OPTED_OUT else None)


OF_ONE_OFF: list[tuple[int, datetime | None, datetime | None]] = [
    (FAILED, None, None),
    (NO_ROUTE, None, None),
    (LANDLINE, None, None),
    (QUEUE_FULL, NOW + GAP, None),
    (UNREGISTERED, NOW + PROBE, None),
    (REGION, None, None),
    (OPTED_OUT, None, None),
]
"""When a one-off text goes again that was refused with a code, or failed later; None for never."""


@pytest.mark.parametrize(
    ("code", "again_at", "later"), OF_ONE_OFF, ids=[str(row[0]) for row in OF_ONE_OFF]
)
def test_one_off_waits_out_what_passes_and_ends_no_enrollment(
    code: int, again_at: datetime | None, later: datetime | None
) -> None:
    refusal, failure = (
        follows(ONE_OFF, refused(code)),
        follows(ONE_OFF_TAKEN, report("failed", code)),
    )
    for effects, moment in ((refusal, again_at), (failure, later)):
        assert effects.message["next_try_at"] == moment
        assert isinstance(effects.answer, EnrollmentState)
        assert effects.answer.doing == ("ended" if moment is None else "waiting")
        assert effects.events == (() if moment else (MessageEvent("failed", code),))
    assert refusal.transitions == ()
    assert failure.transitions == (RecountSteps(ENROLLMENT),)


def test_canceled_one_off_that_was_under_way_is_not_tried_again() -> None:
    """What fails for good failed; what was sent was sent."""
    attempt = replace(ONE_OFF, cancel_reason=CancelReason.ENROLLMENT_ENDED)
    unproven = replace(attempt, **UNPROVEN, absent_once_at=NOW - MINUTE)
    for one, evidence in (
        (attempt, refused(QUEUE_FULL)),
        (attempt, refused(UNREGISTERED)),
        (attempt, Refused(429, 20429)),
        (attempt, NotCalled()),
        (unproven, listing()),
    ):
        effects = follows(one, evidence)
        assert effects.message["status"] is MessageStatus.CANCELED
        assert effects.message["next_try_at"] is None
        assert effects.events == (MessageEvent("canceled"),)
        assert isinstance(effects.answer, EnrollmentState)
        assert (effects.answer.doing, effects.answer.status) == ("ended", "canceled")
    assert follows(attempt, refused(FAILED)).events == (MessageEvent("failed", FAILED),)
    assert follows(attempt, accepted()).events == (MessageEvent("sent"),)


@pytest.mark.parametrize("held_for", [None, MINUTE], ids=["first", "on_hold"])
def test_fault_of_the_sender_puts_it_on_hold(held_for: timedelta | None) -> None:
    held_at = None if held_for is None else NOW - held_for
    for attempt, evidence, by_report in (
        (STEP, refused(UNREGISTERED), False),
        (TAKEN, report("undelivered", UNREGISTERED), True),
        (ONE_OFF, refused(UNREGISTERED), False),
        (ONE_OFF_TAKEN, report("undelivered", UNREGISTERED), True),
    ):
        probe_at = NOW + (PROBE if held_at is None else timedelta(seconds=40))
        effects = follows(replace(attempt, sender_held_at=held_at), evidence)
        assert effects.sender == (PutOnHold(UNREGISTERED, by_report, probe_at),)
        if isinstance(attempt, StepAttempt):
            assert isinstance(effects.answer, EnrollmentState)
            assert effects.answer.due_at == probe_at + EARLY_TOLERANCE


@pytest.mark.parametrize(
    ("code", "sure"), [(21614, False), (21635, True), (30006, True), (FAILED, False)]
)
def test_only_a_landline_for_sure_is_remembered(code: int, sure: bool) -> None:  # noqa: FBT001
    for attempt in (STEP, ONE_OFF):
        assert follows(attempt, refused(code)).is_landline is sure


@pytest.mark.parametrize("phone", ["+18005550100", "+14155550142"])
def test_30004_is_an_opt_out_from_a_toll_free_number_only(phone: str) -> None:
    expected = OptOut(30004) if phone.startswith("+1800") else None
    by_row = follows(replace(TAKEN, sender_phone=phone), report("failed", 30004))
    by_report = follows(TAKEN, report("failed", 30004, from_phone=phone))
    assert (by_row.opt_out, by_report.opt_out) == (expected, expected)


def test_the_fifth_failure_is_the_last() -> None:
    tried: dict[str, Any] = {"failed_tries": RULES.max_attempts - 1}
    step, one_off = (follows(replace(one, **tried), refused(QUEUE_FULL)) for one in (STEP, ONE_OFF))
    assert step.transitions == (End(ENROLLMENT, EnrollmentStatus.FAILED, QUEUE_FULL),)
    assert step.message["failed_tries"] == RULES.max_attempts
    assert one_off.message["status"] is MessageStatus.FAILED
    assert step.events == one_off.events == (MessageEvent("failed", QUEUE_FULL),)


def test_throttled_text_goes_again_however_often_it_failed() -> None:
    """Not counted, and no failure that anyone is told of."""
    for attempt in (STEP, ONE_OFF):
        tried = replace(attempt, failed_tries=RULES.max_attempts - 1, throttled=2)
        effects = follows(tried, Refused(429, 20429))
        assert effects.events == ()
        assert effects.message["failed_tries"] == RULES.max_attempts - 1
        again_at = effects.message["next_try_at"]
        assert again_at is not None
        assert timedelta(seconds=8) <= again_at - NOW <= timedelta(seconds=12)


def test_jitter_is_of_the_attempt() -> None:
    """A crowd that was throttled together does not come back together."""
    moments = {
        follows(replace(STEP, id=UUID(int=one)), Refused(429, None)).message["next_try_at"]
        for one in range(100)
    }
    assert len(moments) == 100
