"""The Contacts tab and the batch actions, over HTTP.

The rules: docs/design.md, "HTTP".
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain.statuses.access import TokenScope
from tests.e2e.people import Desk, Line, Person

ONE = "First things first: are you free on Monday?"
BY_HAND = "Written by hand for {{first_name|you}}: the office is closed."


@dataclass(frozen=True)
class Tab:
    """Six contacts of one sequence: two active, three done, one omitted; two users."""

    sequence_id: str
    line: Line
    people: list[Person]
    enrollments: list[str]
    group_id: str
    member_id: str


@pytest.fixture(scope="module")
def tab(desk: Desk) -> Tab:
    line = desk.line()
    sequence_id = desk.sequence(line, ONE, "And on Tuesday, perhaps?", delay=600)
    names = ("Abelard Quist", "Béla Quistorp", "Carla McQuist", "Dora Zweig", "Emil Zweig")
    people = [desk.person(first_name=name.split()[0], last_name=name.split()[1]) for name in names]
    people.append(desk.person(first_name="Frida", last_name="Festnetz", line_type="landline"))
    enrolled = desk.enroll(sequence_id, *people[:3])

    email = f"{uuid4().hex}@example.com"
    member = desk.post("/api/users", {"email": email, "role": "member"}, status=201)
    body = {"name": "e2e", "scopes": list(TokenScope)}
    token = desk.post(f"/api/users/{member['id']}/tokens", body, status=201)["token"]
    with desk.signed_in(token) as api:
        admin, desk.api = desk.api, api
        try:
            enrolled += desk.enroll(sequence_id, *people[3:])
        finally:
            desk.api = admin

    group_id = desk.post("/api/groups", {"name": f"Group {email}"}, status=201)["id"]
    for person in people[:5]:
        desk.wait_for_texts(person, 1)
    for enrollment_id in enrolled[:5]:
        desk.wait_for_activity(enrollment_id, "waiting")
    assert desk.answer(people[1], "Monday suits me very well", line) == 200
    assert desk.answer(people[2], "STOP", line) == 200
    assert desk.batch("mark-finished", enrolled[4])[0]["result"] == "finished"
    return Tab(sequence_id, line, people, enrolled, group_id, member["id"])


def names_of(desk: Desk, tab: Tab, **query: Any) -> list[str]:
    items = desk.tab(tab.sequence_id, **{"sort": "name", **query})["items"]
    return [item["contact"]["name"].split()[0] for item in items]


def test_list_is_searched_and_filtered(desk: Desk, tab: Tab) -> None:
    """Search finds any part of the name in any case, and digits; filters repeat for "any of"."""
    assert names_of(desk, tab) == ["Abelard", "Béla", "Carla", "Dora", "Emil", "Frida"]
    assert names_of(desk, tab, sort="-name", limit=2) == ["Frida", "Emil"]
    assert names_of(desk, tab, search="QUIST") == ["Abelard", "Béla", "Carla"]
    assert names_of(desk, tab, search="lard qui") == ["Abelard"]
    assert names_of(desk, tab, search=tab.people[3].phone[-7:]) == ["Dora"]
    assert names_of(desk, tab, search="nobody of that name") == []
    assert names_of(desk, tab, status="active") == ["Abelard", "Dora"]
    done = ["finished_responded", "opted_out"]
    assert names_of(desk, tab, status=done) == ["Béla", "Carla"]
    assert names_of(desk, tab, step=0) == ["Frida"]
    assert names_of(desk, tab, step=[1, 2], status="active", search="zwei") == ["Dora"]
    assert names_of(desk, tab, enrolled_by=tab.member_id) == ["Dora", "Emil", "Frida"]


def test_counts_ignore_filters(desk: Desk, tab: Tab) -> None:
    """``counts`` is by status for the whole sequence."""
    counts = desk.tab(tab.sequence_id, status="active")["counts"]
    assert len(counts) == 8
    assert {status: count for status, count in counts.items() if count} == {
        "active": 2,
        "finished_responded": 1,
        "opted_out": 1,
        "finished_stopped": 1,
        "omitted_landline": 1,
    }


@pytest.mark.parametrize("sort", ["name", "-enrolled_at", "next_send_at", "-last_message_at"])
def test_pages_hold_every_enrollment_once(desk: Desk, tab: Tab, sort: str) -> None:
    """Lists answer with ``items`` and ``next_cursor``."""
    whole = [one["enrollment_id"] for one in desk.tab(tab.sequence_id, sort=sort)["items"]]
    seen: list[str] = []
    cursor = None
    while True:
        page = desk.tab(tab.sequence_id, sort=sort, limit=2, cursor=cursor)
        seen += [one["enrollment_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == whole
    assert sorted(seen) == sorted(tab.enrollments)


def test_row_shows_contact_progress_and_times(desk: Desk, tab: Tab) -> None:
    row = desk.row(tab.enrollments[3])
    assert row["contact"] == {
        "id": tab.people[3].id,
        "name": "Dora Zweig",
        "phone": tab.people[3].phone,
    }
    assert (row["status"], row["status_label"], row["activity"]) == ("active", "Active", "waiting")
    assert (row["step"], row["step_count"], row["live"]) == (1, 2, None)
    assert row["enrolled_by"]["id"] == tab.member_id
    now = datetime.now(UTC)
    assert datetime.fromisoformat(row["last_message_at"]) <= now
    assert datetime.fromisoformat(row["next_send_at"]) > now


def test_contacts_are_added_to_a_group(desk: Desk, tab: Tab) -> None:
    """The result is by row; the group filters the list and can be enrolled."""
    asked = [tab.enrollments[0], tab.enrollments[5], str(uuid4())]
    done = desk.batch("add-to-group", *asked, group_id=tab.group_id)
    assert [row["result"] for row in done] == ["added", "added", "not_found"]
    again = desk.batch("add-to-group", asked[0], group_id=tab.group_id)
    assert [row["result"] for row in again] == ["already_member"]
    assert names_of(desk, tab, group=tab.group_id) == ["Abelard", "Frida"]
    other = desk.sequence(desk.line(), ONE, reply_window=0)
    answer = desk.post(f"/api/sequences/{other}/enrollments", {"group_id": tab.group_id})
    assert sorted(one["status"] for one in answer["enrolled"]) == ["active", "omitted_landline"]


def test_one_off_to_ten_contacts_is_sent_once_each(desk: Desk, tab: Tab) -> None:
    """Each contact gets the text once; suppressed numbers and landlines get none."""
    newcomers = desk.people(6)
    line = desk.line()
    elsewhere = desk.sequence(line, ONE, delay=600)
    enrolled = desk.enroll(elsewhere, *newcomers)
    again = desk.enroll(desk.sequence(desk.line(), ONE), newcomers[0])
    for person, count in zip(newcomers, (2, 1, 1, 1, 1, 1), strict=True):
        desk.wait_for_texts(person, count)
    four = [tab.enrollments[index] for index in (0, 1, 2, 5)]

    asked = [*enrolled, *again, *four, str(uuid4())]
    rows = desk.batch("send-message", *asked, body=BY_HAND)

    results = [row["result"] for row in rows]
    assert results == [*["accepted"] * 9, "opted_out", "landline", "not_found"]
    assert rows[0]["message_id"] == rows[6]["message_id"]
    for person, before in zip(newcomers, (2, 1, 1, 1, 1, 1), strict=True):
        desk.wait_for_texts(person, before + 1)
    texts = desk.bodies_to(newcomers[0])
    first_name = newcomers[0].name.split()[0]
    assert texts.count(f"Written by hand for {first_name}: the office is closed.") == 1
    assert len(desk.wait_for_texts(tab.people[1], 2)) == 2
    assert desk.bodies_to(tab.people[2]) == [ONE]
    assert desk.calls_to(tab.people[5]) == 0

    # A one-off counts as sent: an answer to it is a reply to the enrollment it was sent from.
    assert desk.answer(newcomers[1], "Thank you for letting me know", line) == 200
    assert desk.row(enrolled[1])["status"] == "finished_responded"


def test_one_off_to_eleven_contacts_is_refused(desk: Desk) -> None:
    """More than 10 distinct contacts: 422 ``too_many_recipients``, and nothing is sent."""
    people = desk.people(11)
    quiet = {"body": "Only after a long, long while.", "delay_seconds": 3600}
    enrolled = desk.enroll(desk.sequence(desk.line(), steps=[quiet]), *people)
    path = "/api/enrollments/batch/send-message"
    answer = desk.api.post(path, json={"enrollment_ids": enrolled, "body": BY_HAND})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_recipients")

    desk.batch("send-message", *enrolled[:10], body=BY_HAND)
    for person in people[:10]:
        desk.wait_for_texts(person, 1)
    assert desk.calls_to(people[10]) == 0


def test_repeated_idempotency_key_acts_once(desk: Desk) -> None:
    """Enrolling and texting honor ``Idempotency-Key``."""
    person = desk.person()
    sequence_id = desk.sequence(desk.line(), ONE, delay=600)
    path = f"/api/sequences/{sequence_id}/enrollments"
    key = {"Idempotency-Key": uuid4().hex}
    body = {"contact_ids": [person.id]}
    first, second = (desk.api.post(path, json=body, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert len(first.json()["enrolled"]) == 1
    desk.wait_for_texts(person, 1)

    text = {"enrollment_ids": [first.json()["enrolled"][0]["id"]], "body": BY_HAND}
    key = {"Idempotency-Key": uuid4().hex}
    path = "/api/enrollments/batch/send-message"
    first, second = (desk.api.post(path, json=text, headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    desk.wait_for_texts(person, 2)
