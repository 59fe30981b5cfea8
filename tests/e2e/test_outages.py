"""Temporal and PostgreSQL go away while people work, and come back."""

import asyncio
import time

import pytest

from tests.e2e import histories
from tests.e2e.conftest import Fragile
from tests.e2e.people import eventually

ONE = "One of two: the library has your book."
TWO = "Two of two: we keep it until Friday."

pytestmark = pytest.mark.timeout(120)


def result_of(fragile: Fragile, enrollment_id: str) -> object:
    _, result = asyncio.run(histories.of_enrollment(fragile.stack, enrollment_id))
    return result


def test_temporal_is_away_while_people_enrol_and_answer(fragile: Fragile) -> None:
    """Issue 2: Temporal stopped while people enrol and answer. DESIGN 4: outbox, row decides."""
    desk = fragile.desk
    line = desk.line()
    sequence_id = desk.sequence(line, ONE, TWO, delay=3, reply_window=1)
    replies, opts_out, stopped, goes_on = people = desk.people(4)
    enrolled = desk.enrol(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    for enrollment_id in enrolled:
        desk.wait_for_activity(enrollment_id, "waiting")

    fragile.temporal.stop()
    try:
        ready = desk.api.get("/readyz")
        assert (ready.status_code, ready.json()["away"]) == (503, ["temporal"])
        assert desk.api.get("/healthz").status_code == 200
        late, leaves = newcomers = desk.people(2)
        enrolled += desk.enrol(sequence_id, *newcomers)
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
        fragile.temporal.start()

    eventually(lambda: desk.api.get("/readyz").status_code == 200)
    for enrollment_id in (enrolled[3], enrolled[4]):
        desk.wait_for_status(enrollment_id, "finished_no_response", seconds=60)
    for person, count in ((replies, 1), (opts_out, 1), (stopped, 1), (goes_on, 2), (late, 2)):
        assert desk.bodies_to(person) == [ONE, TWO][:count]
    assert desk.texts_to(leaves) == []
    for enrollment_id in enrolled[:5]:
        assert result_of(fragile, enrollment_id) == {"status": desk.row(enrollment_id)["status"]}


def test_postgresql_is_away(fragile: Fragile) -> None:
    """DESIGN 4: an inbound commits before the answer, so no answer but 503; then it goes on."""
    desk = fragile.desk
    line = desk.line()
    sequence_id = desk.sequence(line, ONE, TWO, delay=3, reply_window=2)
    replies, goes_on, sends = people = desk.people(3)
    enrolled = desk.enrol(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    desk.settled()

    fragile.postgres.stop()
    try:
        asked = time.monotonic()
        assert desk.answer(replies, "Is anybody there at all?", line) == 503
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
        fragile.postgres.start()

    eventually(lambda: desk.api.get("/readyz").status_code == 200)
    assert desk.answer(replies, "Now then, is anybody there?", line) == 200
    desk.wait_for_status(enrolled[0], "finished_responded")
    for enrollment_id in enrolled[1:]:
        desk.wait_for_status(enrollment_id, "finished_no_response", seconds=60)
    assert len(desk.texts_to(replies)) <= 2
    assert desk.bodies_to(goes_on) == desk.bodies_to(sends) == [ONE, TWO]
    for enrollment_id in enrolled:
        assert result_of(fragile, enrollment_id) == {"status": desk.row(enrollment_id)["status"]}
