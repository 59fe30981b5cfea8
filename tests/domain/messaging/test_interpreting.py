"""What follows from a call without acceptance, a list, a person; and what always holds.

The rules: docs/design.md, "Provider answers" and "Never twice, never after".
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Any
from uuid import UUID

import pytest

from domain.messaging.absence import ListEvidence, Rival
from domain.messaging.attempts import Attempt, OneOffAttempt, StepAttempt
from domain.messaging.effects import (
    Effects,
    End,
    HoldStep,
    MessageEvent,
    PutOnHold,
    Reconcile,
    RecordSent,
    RecordText,
    RecountSteps,
    RetryStep,
)
from domain.messaging.interpreting import (
    LATE_WAIT,
    Evidence,
    PersonDecision,
    Scope,
    scope,
)
from domain.messaging.ports import (
    CanaryState,
    ListedMessage,
    NotCalled,
    OutcomeUnknown,
    Refused,
)
from domain.platform.provider_errors import TABLE, Effect, Wait
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from tests.kits.attempts import (
    DAY,
    ENROLLMENT,
    FAILED,
    HELD,
    HOUR,
    LANDLINE,
    MINUTE,
    NO_STEP,
    NOW,
    ONE_OFF,
    OPTED_OUT,
    OTHER,
    OVER,
    OVERTAKEN,
    RULES,
    SECOND,
    SENDER,
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

# The call brought no acceptance


@pytest.mark.parametrize(
    "evidence", [OutcomeUnknown(503, 20503), OutcomeUnknown(), Refused(500, None)]
)
@pytest.mark.parametrize("attempt", [STEP, ONE_OFF], ids=["step", "one_off"])
def test_answer_that_proves_nothing_is_reconciled(attempt: Attempt, evidence: Evidence) -> None:
    effects = follows(attempt, evidence)
    assert effects.attempt["outcome"] is AttemptOutcome.UNKNOWN
    assert effects.message == {"status": MessageStatus.UNKNOWN}
    assert effects.answer == Reconcile(attempt.call_before + RULES.absence_first_list)
    assert effects.transitions == ()


@pytest.mark.parametrize(
    ("evidence", "wait"),
    [(NotCalled(), LATE_WAIT), (Refused(0, None), RULES.retry_short)],
    ids=["too_late", "no_connection"],
)
def test_text_that_never_left_goes_again_uncounted(evidence: Evidence, wait: timedelta) -> None:
    step, one_off = follows(STEP, evidence), follows(ONE_OFF, evidence)
    for effects in (step, one_off):
        assert effects.attempt["outcome"] is AttemptOutcome.ABSENT
        assert effects.message == {
            "status": MessageStatus.PENDING,
            "failed_tries": 0,
            "next_try_at": NOW + wait,
        }
        assert isinstance(effects.answer, EnrollmentState)
        assert (effects.answer.doing, effects.answer.due_at) == ("waiting", NOW + wait)
    assert step.transitions == (RetryStep(ENROLLMENT, 1, NOW + wait),)
    assert one_off.transitions == ()


@pytest.mark.parametrize("outcome", [one for one in AttemptOutcome if one.is_known])
@pytest.mark.parametrize(
    "evidence",
    [refused(FAILED), refused(OPTED_OUT), OutcomeUnknown(), NotCalled(), listing()],
    ids=["refused", "opted_out", "unknown", "not_called", "list"],
)
def test_known_outcome_is_changed_by_nothing_but_proof(
    evidence: Evidence, outcome: AttemptOutcome
) -> None:
    for attempt in (STEP, ONE_OFF):
        known = replace(attempt, outcome=outcome)
        assert follows(known, evidence) == Effects(known.state)


# The provider lists


def test_found_text_is_accepted() -> None:
    attempt = replace(STEP, **UNPROVEN)
    effects = follows(attempt, listing(listed(MessageStatus.SENT)))
    assert effects.attempt["outcome"] is AttemptOutcome.ACCEPTED
    assert isinstance(effects.transitions[0], RecordSent)
    assert effects.signal is None


@pytest.mark.parametrize("attempt", [STEP, ONE_OFF], ids=["step", "one_off"])
def test_absence_takes_two_lists(attempt: Attempt) -> None:
    unproven = replace(attempt, **UNPROVEN)
    first = follows(unproven, listing())
    assert first.attempt == {"absent_once_at": NOW}
    assert first.answer == Reconcile(NOW + RULES.absence_second_list)
    hinted = replace(unproven, absent_once_at=NOW - RULES.absence_second_list)
    second = follows(hinted, listing())
    assert second.attempt["outcome"] is AttemptOutcome.ABSENT
    assert second.message == {
        "status": MessageStatus.PENDING,
        "failed_tries": 1,
        "next_try_at": NOW,
    }
    assert second.transitions == (
        (RetryStep(ENROLLMENT, 1, NOW),) if isinstance(attempt, StepAttempt) else ()
    )


@pytest.mark.parametrize(
    ("changes", "asked_at"),
    [
        ({"call_before": NOW - MINUTE}, NOW),
        ({"absent_once_at": NOW - 30 * SECOND}, NOW),
        ({"absent_once_at": NOW - MINUTE}, NOW - SECOND),
    ],
    ids=["first_too_early", "second_too_early", "second_asked_for_too_early"],
)
def test_list_that_comes_too_early_proves_nothing(
    changes: dict[str, Any], asked_at: datetime
) -> None:
    for attempt in (STEP, ONE_OFF):
        unproven = replace(attempt, **{**UNPROVEN, **changes})
        effects = follows(unproven, listing(asked_at=asked_at))
        assert isinstance(effects.answer, Reconcile)
        assert replace(effects, answer=STEP.state) == Effects(STEP.state)


ANOTHER_TEXT = ListedMessage("SM2", "Something else", MessageStatus.SENT, NOW)
UNPROVABLE = [
    ("no_list", {}, ListEvidence(None)),
    ("another_text", {}, listing(ANOTHER_TEXT)),
    ("altered", {}, listing(canary=CanaryState.ALTERED)),
    ("missing", {}, listing(canary=CanaryState.MISSING)),
    ("nothing_known", {}, listing(canary=CanaryState.NONE)),
    ("alters_texts", {"shows_texts": False, "shows_texts_at": NOW}, listing()),
    (
        "seen_long_ago",
        {"shows_texts": True, "shows_texts_at": NOW - 31 * DAY},
        listing(canary=CanaryState.NONE),
    ),
    (
        "seen_since_the_attempt",
        {"shows_texts": True, "shows_texts_at": NOW - SECOND},
        listing(canary=CanaryState.NONE),
    ),
    (
        "may_be_a_rivals",
        {},
        replace(listing(listed(MessageStatus.SENT)), rivals=(Rival("Hello", NOW),)),
    ),
]


@pytest.mark.parametrize(
    ("_name", "changes", "evidence"), UNPROVABLE, ids=[row[0] for row in UNPROVABLE]
)
def test_list_that_proves_nothing_is_asked_for_again_until_a_person_decides(
    _name: str, changes: dict[str, Any], evidence: ListEvidence
) -> None:
    unproven: dict[str, Any] = {**UNPROVEN, **changes, "absent_once_at": NOW - HOUR}
    given_up: dict[str, Any] = {
        **unproven,
        "started_at": NOW - RULES.reconciliation_timeout - SECOND,
    }
    again = Reconcile(NOW + RULES.absence_second_list)
    for attempt in (STEP, ONE_OFF):
        assert follows(replace(attempt, **unproven), evidence).answer == again
    held = follows(replace(STEP, **given_up), evidence)
    assert held.transitions == (HoldStep(ENROLLMENT, 1, HeldReason.OUTCOME_UNKNOWN),)
    assert held.attempt == {}
    assert follows(replace(STEP, **given_up, **OVER), evidence).answer == again
    one_off = follows(replace(ONE_OFF, **given_up), evidence)
    assert one_off.attempt == {"outcome": AttemptOutcome.ASSUMED_SENT}
    assert one_off.answer == EnrollmentState("ended", "unknown")


@pytest.mark.parametrize(
    ("rival_after", "sid"), [(15 * SECOND, "SM1"), (-15 * SECOND, "SM2")], ids=["before", "after"]
)
def test_texts_alike_belong_to_attempts_in_their_order(rival_after: timedelta, sid: str) -> None:
    """The provider's clock is slow, so the later text is the nearer one to the first attempt."""
    attempt = replace(STEP, **UNPROVEN)
    rival = Rival("Hello", attempt.started_at + rival_after)
    handed_over = sorted([attempt.started_at, rival.started_at])
    first, second = (
        ListedMessage(one, "Hello", MessageStatus.SENT, at - 40 * SECOND)
        for one, at in zip(("SM1", "SM2"), handed_over, strict=True)
    )
    for texts in ((first, second), (second, first)):
        effects = follows(attempt, replace(listing(*texts), rivals=(rival,)))
        assert effects.attempt["provider_sid"] == sid


def test_text_that_another_attempt_claims_is_not_this_ones() -> None:
    evidence = replace(listing(listed(MessageStatus.SENT)), claimed=frozenset({"SM1"}))
    assert follows(replace(STEP, **UNPROVEN), evidence).attempt == {"absent_once_at": NOW}


@pytest.mark.parametrize(("sender", "noted"), [(SENDER, False), (OTHER, None)])
def test_list_that_alters_texts_is_noted_on_the_sender(sender: UUID, noted: bool | None) -> None:  # noqa: FBT001
    evidence = listing(canary=CanaryState.ALTERED, canary_sender=sender)
    assert follows(replace(STEP, **UNPROVEN), evidence).shows_texts is noted


def test_text_absent_for_the_fifth_time_failed() -> None:
    tried: dict[str, Any] = {**UNPROVEN, "failed_tries": 4, "absent_once_at": NOW - MINUTE}
    step = follows(replace(STEP, **tried), listing())
    assert step.transitions == (End(ENROLLMENT, EnrollmentStatus.FAILED),)
    assert step.events == (MessageEvent("failed"),)
    for attempt in (replace(ONE_OFF, **tried), replace(STEP, **tried, **OVER)):
        effects = follows(attempt, listing())
        assert effects.message == {"status": MessageStatus.FAILED, "failed_tries": 5}
        assert effects.transitions == ()


# A person decides


def test_person_who_treats_it_as_sent_moves_it_on() -> None:
    effects = follows(replace(STEP, **HELD), PersonDecision.TREAT_AS_SENT)
    assert effects.attempt["outcome"] is AttemptOutcome.ASSUMED_SENT
    assert effects.attempt["provider_sid"] is None
    [moved] = effects.transitions
    assert isinstance(moved, RecordSent)
    assert moved.at == NOW - 10 * MINUTE
    assert effects.signal is None
    proven = replace(STEP, outcome=AttemptOutcome.ASSUMED_SENT, position=2)
    assert follows(proven, report("sent")).events == ()


def test_person_who_sends_it_again_writes_the_attempt_off() -> None:
    effects = follows(replace(STEP, **HELD), PersonDecision.SEND_AGAIN)
    assert effects.attempt == {"outcome": AttemptOutcome.WRITTEN_OFF}
    assert effects.message == {"status": MessageStatus.PENDING}
    assert effects.transitions == ()


# What must be locked


@pytest.mark.parametrize(
    ("attempt", "evidence", "expected"),
    [
        (STEP, accepted(), Scope(timing=True)),
        (ONE_OFF, accepted(), Scope()),
        (STEP, refused(FAILED), Scope()),
        (STEP, refused(LANDLINE), Scope(contact=True)),
        (STEP, refused(UNREGISTERED), Scope(sender=True)),
        (STEP, refused(OPTED_OUT), Scope(enrollments=True)),
        (STEP, NotCalled(), Scope()),
        (STEP, OutcomeUnknown(), Scope()),
        (STEP, report("sent"), Scope(timing=True)),
        (STEP, report("failed", OPTED_OUT), Scope(timing=True, enrollments=True)),
        (TAKEN, report("sent"), Scope()),
        (TAKEN, report("failed", LANDLINE), Scope(contact=True)),
        (replace(TAKEN, reported_failed=True), report("delivered"), Scope(timing=True)),
        (replace(TAKEN, sender_held_at=NOW), report("delivered"), Scope(sender=True)),
        (replace(STEP, **UNPROVEN), listing(), Scope()),
        (replace(STEP, **UNPROVEN), listing(listed(MessageStatus.SENT)), Scope(timing=True)),
        (STEP, PersonDecision.TREAT_AS_SENT, Scope(timing=True)),
        (STEP, PersonDecision.SEND_AGAIN, Scope()),
    ],
)
def test_only_that_is_locked_which_may_change(
    attempt: Attempt, evidence: Evidence, expected: Scope
) -> None:
    assert scope(attempt, evidence, NOW) == expected


# Whatever the evidence and the state

CODES = [*dict.fromkeys((row.effect, row.wait) for row in TABLE.values())]
ONE_CODE_EACH = [
    next(code for code, row in TABLE.items() if (row.effect, row.wait) == kind) for kind in CODES
]
EVIDENCE: list[Evidence] = [
    accepted(),
    accepted(status=MessageStatus.DELIVERED, is_intact=False),
    OutcomeUnknown(),
    NotCalled(),
    Refused(0, None),
    Refused(429, None),
    Refused(401, None),
    *(refused(code) for code in ONE_CODE_EACH),
    *(report("undelivered", code) for code in [*ONE_CODE_EACH, None, 30004]),
    report("canceled"),
    report("queued"),
    report("delivered"),
    report("delivered", from_phone="+18005550100"),
    *(row[2] for row in UNPROVABLE),
    listing(),
    listing(listed(MessageStatus.SENT)),
    listing(listed(MessageStatus.UNDELIVERED, UNREGISTERED)),
    *PersonDecision,
]

STATES: list[list[dict[str, Any]]] = [
    [{"outcome": one} for one in AttemptOutcome],
    [{}, {"is_latest": False}, OVERTAKEN],
    [{}, {"failed_tries": 4, "absent_once_at": NOW - MINUTE}],
    [{}, {"reported_failed": True, "provider_status": MessageStatus.FAILED}],
    [
        {},
        {"sender_held_at": NOW - HOUR},
        {"sender_held_at": NOW - HOUR, "hold_from_report": True},
    ],
    [{}, UNPROVEN, {**UNPROVEN, "started_at": NOW - 2 * HOUR}],
]
STATES_OF_STEP: list[list[dict[str, Any]]] = [
    [{}, OVER, {"phase": EnrollmentPhase.PAUSED}],
    [{}, {"position": 2}],
    [{}, {"replied_at": NOW, "step": 3, "position": 3, "next_step": NO_STEP}],
]


MAY_BE_THERE = {
    AttemptOutcome.OPEN,
    AttemptOutcome.UNKNOWN,
    AttemptOutcome.ACCEPTED,
    AttemptOutcome.ASSUMED_SENT,
}


def _all_states() -> Iterator[Attempt]:
    for attempt, states in ((ONE_OFF, STATES), (STEP, STATES + STATES_OF_STEP)):
        for changes in product(*states):
            merged = {name: value for one in reversed(changes) for name, value in one.items()}
            one = replace(attempt, **merged)
            if one.is_latest or one.outcome.is_known:  # no text has two attempts under way
                yield one


def test_whatever_is_learned_the_promise_holds() -> None:
    """Everything that must hold, over every kind of evidence in every seventeenth state."""
    for attempt, evidence in islice(product(_all_states(), EVIDENCE), 0, None, 17):
        needed = scope(attempt, evidence, NOW)
        read = attempt
        if isinstance(attempt, StepAttempt) and not needed.timing:
            read = replace(attempt, next_step=None)
        effects = follows(read, evidence)
        problems = _problems(attempt, evidence, needed, effects)
        assert not any(problems.values()), (problems, attempt, evidence, effects)


def _problems(
    attempt: Attempt, evidence: Evidence, needed: Scope, effects: Effects
) -> dict[str, bool]:
    moves = [one for one in effects.transitions if not isinstance(one, RecordText | RecountSteps)]
    outcome = effects.attempt.get("outcome", attempt.outcome)
    is_known_failed = effects.attempt.get("reported_failed", attempt.reported_failed)
    goes_again = effects.message.get("next_try_at") is not None
    answer = effects.answer if isinstance(effects.answer, EnrollmentState) else attempt.state
    is_told = bool(moves) and effects.opt_out is None
    return {
        "a text goes again that may be at the provider": (
            (goes_again or evidence is PersonDecision.SEND_AGAIN)
            and outcome in MAY_BE_THERE
            and not is_known_failed
        ),
        "a text goes again because an older attempt failed": goes_again and not attempt.is_latest,
        "an enrollment is moved that is over, or by a one-off": bool(moves)
        and (isinstance(attempt, OneOffAttempt) or attempt.status.is_final),
        "nothing happens next": is_told
        and answer.doing in {"waiting", "awaiting_reply"}
        and answer.due_at is None,
        "an active enrollment is told to have ended": is_told
        and (answer.doing == "ended") == (answer.status == "active"),
        "enrollments end that are not locked": bool(effects.opt_out) and not needed.enrollments,
        "a contact changes that is not locked": effects.is_landline and not needed.contact,
        "a sender is put on hold that is not locked": not needed.sender
        and any(isinstance(one, PutOnHold) for one in effects.sender),
        "a step is timed by what may change": not needed.timing
        and any(isinstance(one, RecordSent) for one in moves),
    }


def test_every_effect_and_wait_has_evidence() -> None:
    effects = {TABLE[code].effect for code in ONE_CODE_EACH}
    assert effects == set(Effect)
    assert {TABLE[code].wait for code in ONE_CODE_EACH} == {None, *Wait}
