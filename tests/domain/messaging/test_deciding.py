"""May the next text start now? Every verdict, and which of two wins.

The rules: docs/design.md, "Sending".
"""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messaging.deciding import (
    AwaitReply,
    Cancel,
    Close,
    Decision,
    EndAs,
    Go,
    Held,
    Later,
    LookUp,
    OneOffDecision,
    OneOffFacts,
    Over,
    Paused,
    Reconcile,
    Refuse,
    StepFacts,
    decide,
    decide_one_off,
)
from domain.platform.rules import EARLY_TOLERANCE, INBOUND_WAIT, SendingRules
from domain.sequences.sending_hours import ANY_TIME, SendingHours
from domain.sequences.timing import DAYS, ContactClock, SendWindow
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.sequences import SequenceState

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)  # a Wednesday, 10:00 in New York
HOUR = timedelta(hours=1)
NINE_TO_FIVE = SendWindow(dict.fromkeys(DAYS, (time(9), time(17))))
NEW_YORK = ContactClock(("America/New_York",), "America/New_York")
RULES = SendingRules()
LOOKING_UP = replace(RULES, look_up_line_types=True)

FREE = StepFacts(
    status=EnrollmentStatus.ACTIVE,
    sequence_state=SequenceState.ACTIVE,
    paused=False,
    held_reason=None,
    probing=False,
    position=1,
    step_count=3,
    due_at=NOW,
    next_try_at=None,
    last_sent_at=None,
    gap=timedelta(0),
    reply_until=None,
    last_outcome=None,
    nothing_sent=True,
    suppressed=False,
    inbound_pending=False,
    line_type=LineType.MOBILE,
    sender_on_hold=False,
    clock=NEW_YORK,
    hours=ANY_TIME,
    consent_missing=False,
    missing=(),
)


def decision(rules: SendingRules = RULES, now: datetime = NOW, **changes: Any) -> Decision:
    return decide(replace(FREE, **changes), now, rules)


Rung = tuple[str, dict[str, Any], Decision]

# What stands against a text, strongest first; each alone, and before all that follow.
LADDER: list[Rung] = [
    (
        "outcome_unknown",
        {"held_reason": HeldReason.OUTCOME_UNKNOWN},
        Held(HeldReason.OUTCOME_UNKNOWN),
    ),
    ("outcome unknown", {"last_outcome": AttemptOutcome.UNKNOWN}, Reconcile()),
    (
        "destination",
        {"held_reason": HeldReason.DESTINATION_NOT_ALLOWED},
        Held(HeldReason.DESTINATION_NOT_ALLOWED),
    ),
    ("all_sent", {"position": 4, "reply_until": NOW + HOUR}, AwaitReply(NOW + HOUR)),
    ("paused", {"sequence_state": SequenceState.PAUSED}, Paused()),
    ("due_later", {"due_at": NOW + HOUR}, Later(NOW + HOUR, "delay")),
    ("suppressed", {"suppressed": True}, EndAs(EnrollmentStatus.OPTED_OUT)),
    ("landline", {"line_type": LineType.LANDLINE}, EndAs(EnrollmentStatus.OMITTED_LANDLINE)),
    ("inbound", {"inbound_pending": True}, Later(NOW + INBOUND_WAIT, "inbound")),
    ("consent", {"consent_missing": True}, Held(HeldReason.CONSENT_MISSING)),
    ("missing", {"missing": ("job",)}, Held(HeldReason.MISSING_DATA, ("job",))),
    (
        "window",
        {"hours": SendingHours(SendWindow(dict.fromkeys(DAYS, (time(11), time(17)))))},
        Later(NOW + HOUR, "window"),
    ),
    ("sender", {"sender_on_hold": True}, Held(HeldReason.SENDER_ON_HOLD)),
]


def test_nothing_in_the_way_lets_it_go() -> None:
    """A due text goes; without a window the validity period is the longest."""
    assert decision() == Go(36_000)


@pytest.mark.parametrize(("_name", "changes", "expected"), LADDER, ids=[row[0] for row in LADDER])
def test_each_obstacle_alone(_name: str, changes: dict[str, Any], expected: Decision) -> None:
    """Status, suppression, inbound, sequence, sender, window and spacing are all checked."""
    assert decision(**changes) == expected


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [*combinations(LADDER, 2)],
    ids=[f"{one[0]}-{other[0]}" for one, other in combinations(LADDER, 2)],
)
def test_of_two_obstacles_the_stronger_speaks(stronger: Rung, weaker: Rung) -> None:
    """Which of two wins."""
    _, changes, expected = stronger
    assert decision(**{**weaker[1], **changes}) == expected


@pytest.mark.parametrize("status", [one for one in EnrollmentStatus if one.is_final])
def test_a_final_enrollment_is_over_whatever_else(status: EnrollmentStatus) -> None:
    """Final statuses never change; nothing is sent for one."""
    for _, changes, _ in LADDER:
        if "last_outcome" not in changes:
            assert decision(**changes, status=status) == Over()


@pytest.mark.parametrize("outcome", [AttemptOutcome.OPEN, AttemptOutcome.UNKNOWN])
def test_open_outcome_is_reconciled_even_after_the_end(outcome: AttemptOutcome) -> None:
    """An attempt without an outcome must be proven first."""
    assert decision(last_outcome=outcome) == Reconcile()
    assert decision(last_outcome=outcome, status=EnrollmentStatus.OPTED_OUT) == Reconcile()


@pytest.mark.parametrize(
    "outcome", [one for one in AttemptOutcome if one not in {"open", "unknown"}]
)
def test_known_outcome_blocks_nothing(outcome: AttemptOutcome) -> None:
    """Only the absent, refused or written off are attempted again (the row counts)."""
    assert decision(last_outcome=outcome) == Go(36_000)


@pytest.mark.parametrize("state", [one for one in SequenceState if one != "active"])
def test_only_an_active_sequence_sends(state: SequenceState) -> None:
    assert decision(sequence_state=state) == Paused()


def test_the_reply_window_runs_through_a_pause() -> None:
    until = NOW + HOUR
    facts: dict[str, Any] = {
        "position": 4,
        "reply_until": until,
        "sequence_state": SequenceState.PAUSED,
    }
    assert decision(**facts) == AwaitReply(until)


@pytest.mark.parametrize("until", [None, NOW - HOUR, NOW + EARLY_TOLERANCE])
def test_passed_reply_window_closes_it(until: datetime | None) -> None:
    assert decision(position=4, reply_until=until) == Close()


@pytest.mark.parametrize("until", [None, NOW - HOUR, NOW + EARLY_TOLERANCE, NOW + HOUR])
def test_unapplied_inbound_text_keeps_it_open(until: datetime | None) -> None:
    """It may be the reply."""
    expected = AwaitReply(max(until or NOW, NOW + INBOUND_WAIT))
    assert decision(position=4, reply_until=until, inbound_pending=True) == expected


# Time


@pytest.mark.parametrize(("early", "goes"), [(250, True), (251, False)])
def test_a_timer_may_fire_a_little_early(early: int, goes: bool) -> None:  # noqa: FBT001
    due_at = NOW + early * timedelta(milliseconds=1)
    assert isinstance(decision(due_at=due_at), Go) == goes
    assert timedelta(milliseconds=250) == EARLY_TOLERANCE


def test_a_due_time_outside_the_window_moves_into_it() -> None:
    evening = NOW + 9 * HOUR  # 19:00 in New York
    expected = Later(datetime(2026, 11, 19, 14, 0, tzinfo=UTC), "window")
    assert decision(due_at=evening, hours=SendingHours(NINE_TO_FIVE)) == expected
    assert decision(now=evening, hours=SendingHours(NINE_TO_FIVE)) == expected


def test_less_than_90_seconds_of_window_are_none() -> None:
    """Less than 90 s of window left counts as outside."""
    closes = datetime(2026, 11, 18, 22, 0, tzinfo=UTC)
    almost, too_late = closes - timedelta(seconds=90), closes - timedelta(seconds=89)
    assert decision(now=almost, hours=SendingHours(NINE_TO_FIVE)) == Go(60)
    assert isinstance(decision(now=too_late, hours=SendingHours(NINE_TO_FIVE)), Later)


def test_a_text_is_valid_until_half_a_minute_before_the_window_ends() -> None:
    """The provider gives up 30 s before the window ends, or after 36,000 s."""
    assert decision(hours=SendingHours(NINE_TO_FIVE)) == Go(7 * 3600 - 30)
    whole_days = SendWindow(dict.fromkeys(DAYS, (time(0), time(0))))
    assert decision(hours=SendingHours(whole_days)) == Go(36_000)


@pytest.mark.parametrize(
    ("gap", "apart"),
    [
        (timedelta(0), timedelta(0)),
        (timedelta(minutes=10), timedelta(minutes=10)),
        (HOUR, HOUR),
        (timedelta(days=3), HOUR),
    ],
)
def test_two_texts_keep_their_distance(gap: timedelta, apart: timedelta) -> None:
    """Two texts are at least min(delay, 1 h) apart, whatever was overdue."""
    overdue: dict[str, Any] = {"due_at": NOW - timedelta(days=2), "gap": gap, "last_sent_at": NOW}
    expected = Later(NOW + apart, "spacing") if apart else Go(36_000)
    assert decision(**overdue) == expected
    assert decision(**{**overdue, "last_sent_at": NOW - apart}) == Go(36_000)


def test_a_text_that_failed_waits_for_its_next_try() -> None:
    """A transient failure is tried again after a fitting wait."""
    again = NOW + 4 * HOUR
    assert decision(next_try_at=again) == Later(again, "retry")
    assert decision(next_try_at=NOW - HOUR) == Go(36_000)


@given(
    due=st.integers(-5, 5),
    retry=st.none() | st.integers(-5, 5),
    sent=st.none() | st.integers(-5, 0),
)
def test_the_latest_of_all_times_counts(due: int, retry: int | None, sent: int | None) -> None:
    """Delay, retry and spacing all hold."""
    found = decision(
        due_at=NOW + due * HOUR,
        next_try_at=None if retry is None else NOW + retry * HOUR,
        last_sent_at=None if sent is None else NOW + sent * HOUR,
        gap=2 * HOUR,
    )
    latest = max(due, due if retry is None else retry, 0 if sent is None else sent + 1)
    if latest <= 0:
        assert found == Go(36_000)
    else:
        assert isinstance(found, Later)
        assert found.at == NOW + latest * HOUR


@given(hours=st.integers(0, 24 * 14), due=st.integers(-48, 48))
def test_with_a_window_a_text_goes_inside_it_or_waits_for_it(hours: int, due: int) -> None:
    """Outside the window nothing goes, at any hour of a fortnight."""
    now = NOW + hours * HOUR
    found = decision(now=now, due_at=now + due * HOUR, hours=SendingHours(NINE_TO_FIVE))
    moment = now if isinstance(found, Go) else found.at  # type: ignore[union-attr]
    local = moment.astimezone(NEW_YORK.wall_zone)
    assert time(9) <= local.time() < time(17)
    assert moment >= now
    assert moment >= now + due * HOUR


# Who


def test_an_opt_out_wins_over_a_landline() -> None:
    facts: dict[str, Any] = {"suppressed": True, "line_type": LineType.LANDLINE}
    assert decision(**facts) == EndAs(EnrollmentStatus.OPTED_OUT)


def test_a_landline_matters_before_the_first_text_only() -> None:
    """A known landline omits before the first text, and matters no more after it."""
    assert decision(line_type=LineType.LANDLINE, nothing_sent=False) == Go(36_000)


@pytest.mark.parametrize("line_type", [one for one in LineType if one != "landline"])
def test_no_other_line_type_omits(line_type: LineType) -> None:
    """Only a landline omits; trouble or ``unknown`` never does."""
    assert decision(rules=LOOKING_UP, line_type=line_type) == Go(36_000)


def test_an_unknown_line_type_is_looked_up_before_the_first_text() -> None:
    assert decision(line_type=None) == Go(36_000)
    assert decision(rules=LOOKING_UP, line_type=None) == LookUp()
    assert decision(rules=LOOKING_UP, line_type=None, nothing_sent=False) == Go(36_000)
    assert decision(rules=LOOKING_UP, line_type=None, suppressed=True) == EndAs(
        EnrollmentStatus.OPTED_OUT
    )


# Senders on hold


def test_a_probe_may_try_a_sender_on_hold() -> None:
    """A probe passes the hold and is bound by everything else."""
    assert decision(sender_on_hold=True, probing=True) == Go(36_000)
    for name, changes, expected in LADDER:
        if name != "sender":
            assert decision(**changes, sender_on_hold=True, probing=True) == expected


def test_one_held_for_its_sender_goes_when_the_sender_does() -> None:
    """A probe that succeeds frees all."""
    assert decision(held_reason=HeldReason.SENDER_ON_HOLD) == Go(36_000)


def test_probing_decides_nothing_a_person_must() -> None:
    for reason in (HeldReason.OUTCOME_UNKNOWN, HeldReason.DESTINATION_NOT_ALLOWED):
        assert decision(held_reason=reason, probing=True) == Held(reason)


def test_one_held_for_consent_goes_once_it_is_given() -> None:
    assert decision(held_reason=HeldReason.CONSENT_MISSING) == Go(36_000)
    still = decision(held_reason=HeldReason.CONSENT_MISSING, consent_missing=True)
    assert still == Held(HeldReason.CONSENT_MISSING)


def test_one_held_for_missing_data_goes_once_it_is_filled_in() -> None:
    assert decision(held_reason=HeldReason.MISSING_DATA) == Go(36_000)
    still = Held(HeldReason.MISSING_DATA, ("city",))
    assert decision(held_reason=HeldReason.MISSING_DATA, missing=("city",)) == still


# A one-off text

ONE_OFF = OneOffFacts(
    status=MessageStatus.PENDING,
    last_outcome=None,
    next_try_at=None,
    overtaken=False,
    suppressed=False,
    line_type=None,
    inbound_pending=False,
    sender_on_hold=False,
    next_probe_at=None,
)
OneOffRung = tuple[str, dict[str, Any], OneOffDecision]
ONE_OFF_LADDER: list[OneOffRung] = [
    ("unproven", {"last_outcome": AttemptOutcome.UNKNOWN}, Reconcile()),
    ("sent", {"status": MessageStatus.DELIVERED}, Over()),
    ("overtaken", {"overtaken": True}, Cancel()),
    ("suppressed", {"suppressed": True}, Refuse(21610)),
    ("landline", {"line_type": LineType.LANDLINE}, Refuse(21614)),
    ("retry", {"next_try_at": NOW + HOUR}, Later(NOW + HOUR, "retry")),
    ("inbound", {"inbound_pending": True}, Later(NOW + INBOUND_WAIT, "inbound")),
    ("sender", {"sender_on_hold": True}, Held(HeldReason.SENDER_ON_HOLD)),
]


def one_off_decision(**changes: Any) -> OneOffDecision:
    return decide_one_off(replace(ONE_OFF, **changes), NOW)


def test_one_off_goes_at_any_hour() -> None:
    assert one_off_decision() == Go(36_000)


@pytest.mark.parametrize(
    ("_name", "changes", "expected"), ONE_OFF_LADDER, ids=[row[0] for row in ONE_OFF_LADDER]
)
def test_each_obstacle_to_a_one_off_alone(
    _name: str, changes: dict[str, Any], expected: OneOffDecision
) -> None:
    assert one_off_decision(**changes) == expected


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [pair for pair in combinations(ONE_OFF_LADDER, 2) if pair[1][0] != "retry"],
    ids=lambda rung: rung[0],
)
def test_of_two_obstacles_to_a_one_off_the_stronger_speaks(
    stronger: OneOffRung, weaker: OneOffRung
) -> None:
    _, changes, expected = stronger
    assert one_off_decision(**{**weaker[1], **changes}) == expected


def test_one_off_whose_wait_is_over_goes_again() -> None:
    failed = {"status": MessageStatus.REFUSED, "last_outcome": AttemptOutcome.REFUSED}
    assert one_off_decision(**failed) == Over()
    assert one_off_decision(**failed, next_try_at=NOW + EARLY_TOLERANCE) == Go(36_000)


def test_one_off_that_was_given_up_is_over() -> None:
    given_up = AttemptOutcome.ASSUMED_SENT
    assert one_off_decision(status=MessageStatus.UNKNOWN, last_outcome=given_up) == Over()


@pytest.mark.parametrize(("probe_at", "goes"), [(NOW, True), (NOW + HOUR, False)])
def test_one_off_probes_a_sender_on_hold_when_that_is_due(
    probe_at: datetime,
    goes: bool,  # noqa: FBT001
) -> None:
    decision = one_off_decision(sender_on_hold=True, next_probe_at=probe_at)
    assert isinstance(decision, Go) == goes
