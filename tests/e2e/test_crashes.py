"""Our processes are killed or stopped in the middle of a sequence."""

import asyncio
import time

import httpx
import pytest

from tests.e2e import histories
from tests.e2e.people import Desk, eventually

ONE = "The first of two: your appointment is on Tuesday."
TWO = "The second of two: please bring your papers."
_PEOPLE = 12


@pytest.mark.timeout(90)
def test_live_states_come_from_the_workflows(desk: Desk) -> None:
    """A worker that is down costs the live column, not the page."""
    story = desk.start("", ONE, TWO, delay=600)
    desk.wait_for_texts(story.person, 1)
    desk.wait_for_activity(story.enrollment_id, "waiting")
    row = desk.row(story.enrollment_id, live="true")
    assert (row["live"]["state"], row["live"]["step"]) == ("waiting", 1)
    assert row["live"]["next_due_at"]
    assert desk.row(story.enrollment_id)["live"] is None

    desk.stack.worker.stop()
    try:
        asked = time.monotonic()
        [away] = desk.tab(story.sequence_id, live="true")["items"]
        took = time.monotonic() - asked
        detail = desk.enrollment(story.enrollment_id)
    finally:
        desk.stack.worker.start()
    assert away["live"]["unavailable"]
    assert took < 2.5
    assert {**away, "live": None} == {**row, "live": None}
    assert detail["status"] == "active"


@pytest.mark.timeout(90)
def test_texts_continue_while_the_api_is_down(desk: Desk) -> None:
    """A lost report neither stops a sequence nor repeats a text."""
    people = desk.people(3)
    sequence_id = desk.sequence(desk.line(), ONE, TWO, delay=1, reply_window=60)
    enrolled = desk.enroll(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    lost = desk.simulator.get("/totals").json()["webhooks_lost"]

    desk.stack.api.kill()
    try:
        for person in people:
            desk.wait_for_texts(person, 2)
        desk.wait_for_reports()
        assert desk.simulator.get("/totals").json()["webhooks_lost"] > lost
    finally:
        desk.stack.api.start()

    for enrollment_id in enrolled:
        row = desk.wait_for_activity(enrollment_id, "awaiting_reply")
        assert row["step"] == 2
    [text, _] = desk.texts_to(people[0])
    answered = desk.simulator.post(
        "/inbound", json={"from": people[0].phone, "to": text["from"], "body": "Still there?"}
    )
    assert answered.json()["webhook_status"] == 200
    desk.wait_for_status(enrolled[0], "finished_responded")
    assert [desk.bodies_to(person) for person in people] == [[ONE, TWO]] * 3


@pytest.mark.timeout(120)
def test_killed_worker_sends_nothing_twice(desk: Desk) -> None:
    """Temporal gives up the sends that were under way after 30 s, their time limit."""
    people = desk.people(8)
    sequence_id = desk.sequence(desk.line(), ONE, TWO, delay=1, reply_window=1)

    def under_way() -> int:
        items = desk.tab(sequence_id, limit=200)["items"]
        return sum(item["activity"] == "sending" for item in items)

    desk.wait_for_reports()
    desk.behave(create_delay_seconds=1.5, callbacks="off")
    try:
        desk.enroll(sequence_id, *people)
        eventually(under_way)
        eventually(lambda: desk.simulator.get("/totals").json()["open"])
        desk.stack.worker.kill()
        cut_off = under_way()
    finally:
        desk.behave(create_delay_seconds=0, callbacks="on")
    desk.stack.worker.start()

    assert cut_off
    desk.wait_for_counts(sequence_id, {"finished_no_response": 8}, seconds=90)
    for person in people:
        assert desk.bodies_to(person) == [ONE, TWO]


@pytest.mark.timeout(120)
def test_second_worker_and_api_continue_when_the_first_are_killed(desk: Desk) -> None:
    """With a second API and a second worker, killing the first of both loses nothing."""
    sequence_id = desk.sequence(desk.line(), ONE, TWO, delay=4, reply_window=1)
    people = desk.people(_PEOPLE)
    half = _PEOPLE // 2
    with desk.stack.another_worker(), desk.stack.another_api() as second_api:
        authorization = {"Authorization": f"Bearer {desk.stack.admin_token}"}
        with httpx.Client(base_url=second_api, headers=authorization, timeout=30) as second:
            enrollments = desk.enroll(sequence_id, *people[:half])
            asked = second.post(
                f"/api/sequences/{sequence_id}/enrollments",
                json={"contact_ids": [person.id for person in people[half:]]},
            )
            enrollments += [one["id"] for one in asked.json()["enrolled"]]
            assert len(enrollments) == _PEOPLE
            for person in people:
                desk.wait_for_texts(person, 1)
            assert len(asyncio.run(histories.workers_of(desk.stack, enrollments))) == 2

            desk.stack.worker.kill()
            desk.stack.api.kill()
            try:
                eventually(
                    lambda: (
                        second.get(f"/api/sequences/{sequence_id}/contacts").json()["counts"][
                            "finished_no_response"
                        ]
                        == _PEOPLE
                    ),
                    seconds=60,
                )
            finally:
                desk.stack.worker.start()
                desk.stack.api.start()
    for person in people:
        assert desk.bodies_to(person) == [ONE, TWO]
