"""The judge notices each thing that must not be, and nothing else."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from tests.chaos.evidence import Attempt, Deed, DeedKind, Enrollment, Evidence, Text
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
REPLY = Deed(DeedKind.REPLY, PHONE, ID, NOON - timedelta(seconds=1), NOON, "SM1")
FINE = Evidence([ENDED], [SENT], [TEXT], [REPLY], ["SM1"], Counter(["SM1"]), {"SM1": NOON})


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def enrollment(**changes: object) -> list[Enrollment]:
    return [replace(ENDED, **changes)]  # type: ignore[arg-type]


def finish(newest: int) -> Deed:
    return replace(REPLY, kind=DeedKind.FINISH, newest=newest)


CASES: list[tuple[Rule, dict[str, object]]] = [
    (Rule.TWICE, {"texts": [TEXT, replace(TEXT, number=2)]}),
    (Rule.UNKNOWN_TEXT, {"texts": [replace(TEXT, attempt_id=UUID(int=9))]}),
    (Rule.UNKNOWN_TEXT, {"attempts": []}),
    (Rule.LATE_ATTEMPT, {"attempts": [replace(SENT, committed_at=at(0.001))]}),
    (
        Rule.LATE_TEXT,
        {
            "deeds": [finish(newest=0)],
            "enrollments": enrollment(status="finished_stopped", result="finished_stopped"),
        },
    ),
    (Rule.NOT_ENDED, {"enrollments": enrollment(ended_at=at(1))}),
    (Rule.NOT_FINAL, {"enrollments": enrollment(status="active", ended_at=None), "deeds": []}),
    (Rule.WRONG_STATUS, {"deeds": []}),
    (Rule.WRONG_STATUS, {"enrollments": enrollment(status="opted_out", result="opted_out")}),
    (Rule.WRONG_STATUS, {"enrollments": enrollment(status="failed", result="failed")}),
    (
        Rule.WRONG_STATUS,
        {"enrollments": enrollment(status="omitted_opted_out", ended_at=None), "deeds": []},
    ),
    (
        Rule.LOST_STEP,
        {
            "texts": [replace(TEXT, status="failed")],
            "deeds": [],
            "enrollments": enrollment(status="finished_no_response", result="finished_no_response"),
        },
    ),
    (Rule.INBOUND, {"stored": Counter()}),
    (Rule.INBOUND, {"stored": Counter(["SM1", "SM1"])}),
    (Rule.WORKFLOW, {"enrollments": enrollment(result=None)}),
]


def test_what_is_as_it_should_be_is_no_violation() -> None:
    assert judge(FINE) == []


@pytest.mark.parametrize(("rule", "wrong"), CASES)
def test_what_must_not_be_is_noticed(rule: Rule, wrong: dict[str, object]) -> None:
    assert {one.rule for one in judge(replace(FINE, **wrong))} == {rule}  # type: ignore[arg-type]


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in CASES} == set(Rule)


def test_a_text_reported_failed_may_go_again() -> None:
    """At most one attempt is accepted and not reported failed."""
    again = [replace(TEXT, status="failed"), replace(TEXT, number=2)]
    assert judge(replace(FINE, texts=again)) == []


def test_a_kept_text_may_take_effect_later_but_blocks_sends() -> None:
    """If the effect fails the event is kept, and blocks sends to the number."""
    later = replace(FINE, enrollments=enrollment(ended_at=at(5)), applied_at={"SM1": at(5)})
    assert judge(later) == []
    meanwhile = replace(later, attempts=[replace(SENT, committed_at=at(3))])
    assert {one.rule for one in judge(meanwhile)} == {Rule.LATE_ATTEMPT}


def test_a_text_out_of_the_blue_may_be_a_reply() -> None:
    """A text is a reply if one of ours was sent before, seen or not."""
    blue = replace(REPLY, enrollment_id=None)
    assert judge(replace(FINE, deeds=[blue])) == []
    lives_on = enrollment(status="finished_no_response", result="finished_no_response")
    assert judge(replace(FINE, deeds=[blue], enrollments=lives_on)) == []


def test_a_stop_is_about_every_enrollment_of_the_number() -> None:
    """A STOP ends the enrollment whose text was answered, and one that had sent nothing yet."""
    other = enrollment(id=UUID(int=5), status="omitted_opted_out", result=None, started=False)
    stop = replace(REPLY, kind=DeedKind.STOP)
    ended = enrollment(status="opted_out", result="opted_out")
    assert judge(replace(FINE, enrollments=[*ended, *other], deeds=[stop])) == []
    alone = replace(FINE, enrollments=other, deeds=[])
    assert {one.rule for one in judge(alone)} == {Rule.WRONG_STATUS}
