"""The judge reports every violation, and nothing else."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.chaos.evidence import ActionKind, Attempt, Enrollment, Evidence, Text, UserAction
from tests.chaos.judge import Rule, judge

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
PHONE = "+14155550100"
ID, TRY = UUID(int=1), UUID(int=2)
ENDED = Enrollment(
    id=ID,
    phone=PHONE,
    bodies=("Hello",),
    magic="",
    status="finished_responded",
    held_reason=None,
    ended_at=NOON,
    result="finished_responded",
    started=True,
)
SENT = Attempt(TRY, ID, 1, "accepted", NOON - timedelta(seconds=9))
TEXT = Text(1, PHONE, "Hello", "delivered", TRY)
REPLY = UserAction(ActionKind.REPLY, PHONE, ID, NOON - timedelta(seconds=1), NOON, "SM1")
FINE = Evidence([ENDED], [SENT], [TEXT], [REPLY], ["SM1"], Counter(["SM1"]), {"SM1": NOON})


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def enrollment(**changes: object) -> list[Enrollment]:
    return [replace(ENDED, **changes)]  # type: ignore[arg-type]


def finish(newest: int) -> UserAction:
    return replace(REPLY, kind=ActionKind.FINISH, newest=newest)


CASES: list[tuple[Rule, dict[str, object]]] = [
    (Rule.TWICE, {"texts": [TEXT, replace(TEXT, number=2)]}),
    (Rule.UNKNOWN_TEXT, {"texts": [replace(TEXT, attempt_id=UUID(int=9))]}),
    (Rule.UNKNOWN_TEXT, {"attempts": []}),
    (Rule.LATE_ATTEMPT, {"attempts": [replace(SENT, committed_at=at(0.001))]}),
    (
        Rule.LATE_TEXT,
        {
            "actions": [finish(newest=0)],
            "enrollments": enrollment(status="finished_stopped", result="finished_stopped"),
        },
    ),
    (Rule.NOT_ENDED, {"enrollments": enrollment(ended_at=at(1))}),
    (Rule.NOT_FINAL, {"enrollments": enrollment(status="active", ended_at=None), "actions": []}),
    (Rule.WRONG_STATUS, {"actions": []}),
    (Rule.WRONG_STATUS, {"enrollments": enrollment(status="opted_out", result="opted_out")}),
    (Rule.WRONG_STATUS, {"enrollments": enrollment(status="failed", result="failed")}),
    (
        Rule.WRONG_STATUS,
        {"enrollments": enrollment(status="omitted_opted_out", ended_at=None), "actions": []},
    ),
    (
        Rule.LOST_STEP,
        {
            "texts": [replace(TEXT, status="failed")],
            "actions": [],
            "enrollments": enrollment(status="finished_no_response", result="finished_no_response"),
        },
    ),
    (Rule.INBOUND, {"stored": Counter()}),
    (Rule.INBOUND, {"stored": Counter(["SM1", "SM1"])}),
    (Rule.WORKFLOW, {"enrollments": enrollment(result=None)}),
]


def test_correct_run_has_no_violation() -> None:
    assert judge(FINE) == []


@pytest.mark.parametrize(("rule", "wrong"), CASES)
def test_violation_is_reported(rule: Rule, wrong: dict[str, object]) -> None:
    assert {one.rule for one in judge(replace(FINE, **wrong))} == {rule}  # type: ignore[arg-type]


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in CASES} == set(Rule)


def test_failed_text_may_be_sent_again() -> None:
    """At most one text of a step may be accepted and not reported failed."""
    again = [replace(TEXT, status="failed"), replace(TEXT, number=2)]
    assert judge(replace(FINE, texts=again)) == []


def test_kept_event_may_apply_later_but_blocks_sends() -> None:
    """If applying an event fails, the event is kept and blocks sends to the number."""
    later = replace(FINE, enrollments=enrollment(ended_at=at(5)), applied_at={"SM1": at(5)})
    assert judge(later) == []
    meanwhile = replace(later, attempts=[replace(SENT, committed_at=at(3))])
    assert {one.rule for one in judge(meanwhile)} == {Rule.LATE_ATTEMPT}


def test_unprompted_text_may_be_a_reply() -> None:
    """It is one if a text of ours was sent before, seen or not."""
    unprompted = replace(REPLY, enrollment_id=None)
    assert judge(replace(FINE, actions=[unprompted])) == []
    continued = enrollment(status="finished_no_response", result="finished_no_response")
    assert judge(replace(FINE, actions=[unprompted], enrollments=continued)) == []


def test_stop_ends_every_enrollment_of_the_number() -> None:
    """Those that have sent a text, and those that have not."""
    other = enrollment(id=UUID(int=5), status="omitted_opted_out", result=None, started=False)
    stop = replace(REPLY, kind=ActionKind.STOP)
    ended = enrollment(status="opted_out", result="opted_out")
    assert judge(replace(FINE, enrollments=[*ended, *other], actions=[stop])) == []
    alone = replace(FINE, enrollments=other, actions=[])
    assert {one.rule for one in judge(alone)} == {Rule.WRONG_STATUS}
