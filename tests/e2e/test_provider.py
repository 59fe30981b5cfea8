"""A provider that misbehaves; its own record of calls and texts is checked.

The rules: docs/design.md, "Provider answers".
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.people import Desk, Person, eventually
from tests.e2e.stack import CALL_BEFORE, FIRST_LIST, SECOND_LIST

ONE = "Number one: our clinic moves house in May."
TWO = "Number two: the new address is on our door."

COMPLETES = ("201", "202", "203", "204", "205", "429", "501", "503", "504", "506")
"""Magic numbers whose texts arrive, whatever the answers and reports."""

ENDS = {
    # number: status, texts created, code
    "005": ("failed", 1, 30005),
    "006": ("omitted_landline", 1, 30006),
    "007": ("failed", 1, 30007),
    "008": ("failed", 1, 30008),
    "036": ("failed", 5, 30036),
    "610": ("omitted_opted_out", 1, None),
    "614": ("omitted_landline", 0, 21614),
    "635": ("omitted_landline", 0, 21635),
    "700": ("finished_responded", 1, None),
    "701": ("opted_out", 1, None),
}


@dataclass(frozen=True)
class Crowd:
    """One contact for each magic number, enrolled together."""

    people: dict[str, Person]
    enrollments: dict[str, str]


def enroll_crowd(desk: Desk, numbers: tuple[str, ...], *, delay: int) -> Crowd:
    people = {magic: desk.person(magic) for magic in numbers}
    sequence_id = desk.sequence(desk.line(), ONE, TWO, delay=delay, reply_window=1)
    enrolled = desk.enroll(sequence_id, *people.values())
    return Crowd(people, dict(zip(people, enrolled, strict=True)))


@pytest.fixture(scope="module")
def crowd(desk: Desk) -> Crowd:
    return enroll_crowd(desk, COMPLETES, delay=1)


@pytest.fixture(scope="module")
def ending(desk: Desk) -> Crowd:
    """Enroll contacts who end before the second text, and two who must wait."""
    return enroll_crowd(desk, (*ENDS, "001", "408"), delay=10)


@pytest.fixture
def misbehavior(desk: Desk) -> Iterator[None]:
    """Restore the provider's behavior after the test."""
    desk.wait_until_idle()
    yield
    desk.behave(
        fail_next_creates={"count": 0},
        fail_next_lists={"count": 0},
        callbacks="on",
        credentials_ok=True,
        sender_errors={},
    )


@pytest.mark.parametrize("magic", COMPLETES)
def test_each_step_is_sent_exactly_once(crowd: Crowd, desk: Desk, magic: str) -> None:
    """Whatever the provider answers.

    Reports before the answer, doubled, shuffled, ending with `sent`, none at all; 429 for a while
    (transient); 500, 502, a hang and a dropped connection after the text was created.
    """
    desk.wait_for_status(crowd.enrollments[magic], "finished_no_response", seconds=40)
    assert desk.bodies_to(crowd.people[magic]) == [ONE, TWO]
    assert desk.calls_to(crowd.people[magic]) == (5 if magic == "429" else 2)


def test_transient_refusals_fail_no_enrollment(misbehavior: None, desk: Desk) -> None:
    """A transient failure repeats the step."""
    people = desk.people(8)
    sequence_id = desk.sequence(desk.line(), ONE, TWO, delay=1, reply_window=1)
    desk.behave(fail_next_creates={"count": 5, "status": 429})
    desk.enroll(sequence_id, *people)
    desk.wait_for_counts(sequence_id, {"finished_no_response": 8}, seconds=60)
    assert [desk.bodies_to(person) for person in people] == [[ONE, TWO]] * 8
    assert sum(desk.calls_to(person) for person in people) == 16 + 5


@pytest.mark.parametrize("magic", ENDS)
def test_final_answer_or_report_ends_the_enrollment(ending: Crowd, desk: Desk, magic: str) -> None:
    """Landlines at once and late, permanent errors, a late 21610, the maximum of attempts."""
    status, texts, code = ENDS[magic]
    ended = desk.wait_for_status(ending.enrollments[magic], status)
    assert desk.bodies_to(ending.people[magic]) == [ONE] * texts
    error = ended["error"]
    if code is None:
        assert error is None or error["code"] == 21610
    else:
        assert error["code"] == code
        assert len(error["meaning"]) > 10


def test_landline_reported_late_is_omitted_next_time(ending: Crowd, desk: Desk) -> None:
    """A report of 30006 marks the number; enrolling it again omits it."""
    desk.wait_for_status(ending.enrollments["006"], "omitted_landline")
    again = desk.ask_to_enroll(desk.sequence(desk.line(), ONE), ending.people["006"])
    assert [one["status"] for one in again["enrolled"]] == ["omitted_landline"]


def test_late_opt_out_suppresses_the_number(ending: Crowd, desk: Desk) -> None:
    """By a report of 21610."""
    desk.wait_for_status(ending.enrollments["610"], "omitted_opted_out")
    assert desk.get(f"/api/contacts/{ending.people['610'].id}")["opted_out"] is True


def test_full_queue_repeats_the_same_step(ending: Crowd, desk: Desk) -> None:
    """A transient failure in a late report repeats the step after a wait."""

    def is_back() -> bool:
        row = desk.row(ending.enrollments["001"])
        assert row["status"] == "active"
        steps = desk.enrollment(ending.enrollments["001"])["steps"]
        return bool(steps) and steps[0]["position"] == 1

    eventually(is_back)
    assert desk.bodies_to(ending.people["001"]) == [ONE]


def test_forbidden_region_waits_for_a_person(ending: Crowd, desk: Desk) -> None:
    """The enrollment stays active and held until a person decides."""
    enrollment_id = ending.enrollments["408"]
    held = desk.wait_for_activity(enrollment_id, "held")
    assert (held["held_reason"], held["error"]["code"]) == ("destination_not_allowed", 21408)
    known = desk.batch("release", enrollment_id, decision="treat_as_sent")
    assert [row["result"] for row in known] == ["outcome_known"]
    done = desk.batch("release", enrollment_id, decision="finish")
    assert [row["result"] for row in done] == ["finished"]
    desk.wait_for_status(enrollment_id, "finished_stopped")


def test_lost_answer_is_reconciled_from_the_list(desk: Desk, misbehavior: None) -> None:
    """Without status callbacks, the provider's list shows that the text was accepted."""
    desk.behave(callbacks="off")
    silent = enroll_crowd(desk, ("501", "504", "506"), delay=1)
    for magic, enrollment_id in silent.enrollments.items():
        desk.wait_for_status(enrollment_id, "finished_no_response", seconds=40)
        assert desk.bodies_to(silent.people[magic]) == [ONE, TWO]
        assert desk.calls_to(silent.people[magic]) == 2


def test_absent_text_is_sent_again(desk: Desk, misbehavior: None) -> None:
    """After two lists without the text."""
    desk.behave(fail_next_creates={"count": 1, "status": 500})
    story = desk.start("", ONE, reply_window=1)
    eventually(lambda: desk.calls_to(story.person) == 1)
    first = time.monotonic()
    eventually(lambda: desk.calls_to(story.person) == 2)
    waited = time.monotonic() - first
    assert waited > CALL_BEFORE + FIRST_LIST + SECOND_LIST - 0.75
    desk.wait_for_status(story.enrollment_id, "finished_no_response")
    assert desk.bodies_to(story.person) == [ONE]
    assert desk.calls_to(story.person) == 2


@pytest.mark.parametrize("decision", ["treat_as_sent", "retry"])
def test_unknown_outcome_without_evidence_is_held(
    desk: Desk, misbehavior: None, decision: str
) -> None:
    """A failed list proves nothing; the enrollment is held, and a person decides."""
    created = decision == "treat_as_sent"
    desk.behave(
        callbacks="off",
        fail_next_creates={"count": 1, "kind": "drop", "creates": created},
        fail_next_lists={"count": 1000, "status": 500},
    )
    story = desk.start("", ONE, TWO, delay=1, reply_window=1)
    held = desk.wait_for_activity(story.enrollment_id, "held")
    assert held["held_reason"] == "outcome_unknown"
    assert desk.calls_to(story.person) == 1
    desk.behave(fail_next_lists={"count": 0})

    done = desk.batch("release", story.enrollment_id, decision=decision)

    assert [row["result"] for row in done] == ["released"]
    desk.wait_for_status(story.enrollment_id, "finished_no_response")
    assert desk.bodies_to(story.person) == [ONE, TWO]
    assert desk.batch("release", story.enrollment_id, decision="retry")[0]["result"] == (
        "already_final"
    )


def test_wrong_password_fails_no_enrollment(desk: Desk, misbehavior: None) -> None:
    """It puts the sender on hold; after a release all continue."""
    line, people = desk.line(), desk.people(4)
    sequence_id = desk.sequence(line, ONE, TWO, delay=1, reply_window=1)
    desk.behave(credentials_ok=False)
    enrolled = desk.enroll(sequence_id, *people)
    for enrollment_id in enrolled:
        row = desk.wait_for_activity(enrollment_id, "held")
        assert row["held_reason"] == "sender_on_hold"
    hold = desk.get(f"/api/senders/{line.id}")["hold"]
    assert hold["code"] == 20003
    assert hold["meaning"]
    assert [desk.texts_to(person) for person in people] == [[]] * 4

    desk.behave(credentials_ok=True)
    released = desk.post(f"/api/senders/{line.id}/release")

    assert (released["released"], released["hold"]) == (4, None)
    desk.wait_for_counts(sequence_id, {"finished_no_response": 4})
    assert [desk.bodies_to(person) for person in people] == [[ONE, TWO]] * 4


def test_sender_on_hold_is_not_called(desk: Desk, misbehavior: None) -> None:
    """Its other texts wait without calling; other senders continue."""
    line, other, people = desk.line(), desk.line(), desk.people(6)
    desk.behave(sender_errors={line.address: 21606})
    sequence_id = desk.sequence(line, ONE, reply_window=1)
    [first] = desk.enroll(sequence_id, people[0])
    desk.wait_for_activity(first, "held")
    for enrollment_id in desk.enroll(sequence_id, *people[1:]):
        desk.wait_for_activity(enrollment_id, "held")
    assert [desk.calls_to(person) for person in people] == [1, 0, 0, 0, 0, 0]
    stranger = desk.person()
    [elsewhere] = desk.enroll(desk.sequence(other, ONE, reply_window=0), stranger)
    desk.wait_for_status(elsewhere, "finished_no_response")

    desk.behave(sender_errors={})
    desk.post(f"/api/senders/{line.id}/release")

    desk.wait_for_counts(sequence_id, {"finished_no_response": 6})
    assert [desk.bodies_to(person) for person in people] == [[ONE]] * 6
