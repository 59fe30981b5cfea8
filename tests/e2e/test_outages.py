"""Temporal, PostgreSQL or the API is stopped while people work, and started again."""

import asyncio
import time

import psycopg
import pytest

from tests.e2e import histories
from tests.e2e.conftest import StoppableServers
from tests.e2e.people import eventually
from tests.e2e.stack import DATABASE

ONE = "One of two: the library has your book."
TWO = "Two of two: we keep it until Friday."

pytestmark = pytest.mark.timeout(120)


def result_of(stoppable: StoppableServers, enrollment_id: str) -> object:
    _, result = asyncio.run(histories.of_enrollment(stoppable.stack, enrollment_id))
    return result


def states_of(stoppable: StoppableServers, *phones: str) -> set[str]:
    with psycopg.connect(stoppable.postgres.url(DATABASE)) as connection:
        rows = connection.execute(
            "SELECT status FROM messages WHERE direction = 'outbound' AND phone = ANY(%s)",
            [[*phones]],
        ).fetchall()
    return {status for (status,) in rows}


def test_enrolling_and_replies_work_while_temporal_is_down(stoppable: StoppableServers) -> None:
    """The outbox keeps what Temporal is to be told; the rows decide meanwhile."""
    desk = stoppable.desk
    line = desk.line()
    sequence_id = desk.sequence(line, ONE, TWO, delay=3, reply_window=1)
    replies, opts_out, stopped, goes_on = people = desk.people(4)
    enrolled = desk.enroll(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    for enrollment_id in enrolled:
        desk.wait_for_activity(enrollment_id, "waiting")

    stoppable.temporal.stop()
    try:
        ready = desk.api.get("/readyz")
        assert (ready.status_code, ready.json()["away"]) == (503, ["temporal"])
        assert desk.api.get("/healthz").status_code == 200
        late, leaves = newcomers = desk.people(2)
        enrolled += desk.enroll(sequence_id, *newcomers)
        assert desk.answer(replies, "Lovely, I shall fetch it", line) == 200
        assert desk.answer(opts_out, "STOP", line) == 200
        assert desk.answer(leaves, "STOP", line) == 200
        [row] = desk.batch("mark-finished", enrolled[2])
        assert (row["result"], row["last_text"]) == ("finished", "none")
        wanted = {
            enrolled[0]: "finished_responded",
            enrolled[1]: "opted_out",
            enrolled[2]: "finished_stopped",
            enrolled[3]: "active",
            enrolled[4]: "active",
            enrolled[5]: "omitted_opted_out",
        }
        assert {one: desk.row(one)["status"] for one in enrolled} == wanted
        asked = time.monotonic()
        items = desk.tab(sequence_id, live="true")["items"]
        assert time.monotonic() - asked < 2.5
        live = {item["enrollment_id"]: item["live"] for item in items if item["live"]}
        assert set(live) == {enrolled[3], enrolled[4]}
        assert all(one["unavailable"] for one in live.values())
    finally:
        stoppable.temporal.start()

    eventually(lambda: desk.api.get("/readyz").status_code == 200)
    for enrollment_id in (enrolled[3], enrolled[4]):
        desk.wait_for_status(enrollment_id, "finished_no_response", seconds=60)
    for person, count in ((replies, 1), (opts_out, 1), (stopped, 1), (goes_on, 2), (late, 2)):
        assert desk.bodies_to(person) == [ONE, TWO][:count]
    assert desk.texts_to(leaves) == []
    for enrollment_id in enrolled[:5]:
        assert result_of(stoppable, enrollment_id) == {"status": desk.row(enrollment_id)["status"]}


def test_requests_get_503_while_postgresql_is_down(stoppable: StoppableServers) -> None:
    """An inbound text commits before the answer, so the answer is 503 during the outage."""
    desk = stoppable.desk
    line = desk.line()
    sequence_id = desk.sequence(line, ONE, TWO, delay=3, reply_window=2)
    replies, goes_on, sends = people = desk.people(3)
    enrolled = desk.enroll(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    desk.wait_for_reports()

    stoppable.postgres.stop()
    try:
        asked = time.monotonic()
        assert desk.answer(replies, "Is anybody there at all?", line) == 503
        assert time.monotonic() - asked < 2.5
        problem = desk.api.get("/api/me")
        assert time.monotonic() - asked < 6
        assert problem.status_code == 503
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["code"] == "database_unavailable"
        assert problem.headers["retry-after"]
        ready = desk.api.get("/readyz")
        assert (ready.status_code, ready.json()["away"]) == (503, ["database"])
        assert desk.api.get("/healthz").status_code == 200
    finally:
        stoppable.postgres.start()

    eventually(lambda: desk.api.get("/readyz").status_code == 200)
    assert desk.answer(replies, "Now then, is anybody there?", line) == 200
    desk.wait_for_status(enrolled[0], "finished_responded")
    for enrollment_id in enrolled[1:]:
        desk.wait_for_status(enrollment_id, "finished_no_response", seconds=60)
    assert len(desk.texts_to(replies)) <= 2
    assert desk.bodies_to(goes_on) == desk.bodies_to(sends) == [ONE, TWO]
    for enrollment_id in enrolled:
        assert result_of(stoppable, enrollment_id) == {"status": desk.row(enrollment_id)["status"]}


def test_texts_missed_while_the_api_was_down_are_backfilled(stoppable: StoppableServers) -> None:
    """Twilio hardly ever repeats a webhook, so the backfill fetches missed texts and reports."""
    desk = stoppable.desk
    line, pool = desk.line(), desk.line(service=True)
    sequence_id = desk.sequence(line, ONE, TWO, delay=3600)
    pooled_id = desk.sequence(pool, ONE, TWO, delay=3600)
    replies, opts_out, sends_photo, silent, pooled = people = desk.people(5)
    desk.behave(callbacks="off")
    enrolled = desk.enroll(sequence_id, *people[:4]) + desk.enroll(pooled_id, pooled)
    for person in people:
        desk.wait_for_texts(person, 1)
    desk.wait_for_reports()
    desk.behave(callbacks="on")

    stoppable.stack.api.kill()
    try:
        lost = desk.answer(replies, "I was never heard", line)
        assert lost is None
        desk.answer(opts_out, "STOP", line)
        desk.answer(sends_photo, "", line, media_urls=["https://example.com/me.jpg"])
        desk.answer(pooled, "And nor was I", pool)
    finally:
        stoppable.stack.api.start()

    answered = "finished_responded"
    wanted = [answered, "opted_out", answered, "active", answered]
    deadline = time.monotonic() + 60
    while [desk.row(one)["status"] for one in enrolled] != wanted:
        assert time.monotonic() < deadline, "the backfill fetched nothing"
        asyncio.run(histories.sweep(stoppable.stack))
        time.sleep(1)
    for enrollment_id in enrolled[:3]:
        assert result_of(stoppable, enrollment_id) == {"status": desk.row(enrollment_id)["status"]}
    with psycopg.connect(stoppable.postgres.url(DATABASE)) as connection:
        said = connection.execute(
            "SELECT body, media_urls FROM messages WHERE direction = 'inbound' AND phone = ANY(%s)"
            " ORDER BY body",
            [[person.phone for person in people]],
        ).fetchall()
        assert [body for body, _ in said] == ["", "And nor was I", "I was never heard", "STOP"]
        [photo] = said[0][1]
        assert "/Media/ME" in photo
    eventually(lambda: states_of(stoppable, silent.phone, pooled.phone) == {"delivered"})


def test_terminated_workflow_is_restarted_from_its_row(stoppable: StoppableServers) -> None:
    """10 minutes past its next event."""
    desk = stoppable.desk
    sequence_id = desk.sequence(desk.line(), ONE, TWO, delay=3600, reply_window=1)
    ended, runs = people = desk.people(2)
    enrolled = desk.enroll(sequence_id, *people)
    for enrollment_id, person in zip(enrolled, people, strict=True):
        desk.wait_for_texts(person, 1)
        desk.wait_for_activity(enrollment_id, "waiting")
    asyncio.run(histories.terminate(stoppable.stack, enrolled[0]))

    asyncio.run(histories.sweep(stoppable.stack))
    time.sleep(2)
    assert desk.bodies_to(ended) == [ONE], "it is not overdue yet"
    with psycopg.connect(stoppable.postgres.url(DATABASE), autocommit=True) as connection:
        connection.execute(
            "UPDATE enrollments SET due_at = due_at - interval '71 minutes',"
            " next_send_at = next_send_at - interval '71 minutes' WHERE id = %s",
            [enrolled[0]],
        )
    asyncio.run(histories.sweep(stoppable.stack))

    desk.wait_for_status(enrolled[0], "finished_no_response", seconds=60)
    assert desk.bodies_to(ended) == [ONE, TWO]
    assert result_of(stoppable, enrolled[0]) == {"status": "finished_no_response"}
    assert (desk.row(enrolled[1])["status"], desk.bodies_to(runs)) == ("active", [ONE])
