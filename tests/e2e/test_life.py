"""Enrollments from start to end, as users and the contact's handset see them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e import histories
from tests.e2e.people import Desk, Line, Person, eventually
from tests.workflows.histories import without_patches

FIRST = "Hello {{first_name|there}}, we have a vacancy you may like."
SECOND = "Did my note about the vacancy arrive, {{last_name|my friend}}?"
THIRD = "This is my last word on it, {{full_name|whoever you are}}."


def ended_in_temporal(desk: Desk, enrollment_id: str) -> str:
    """Wait for the workflow's end, after which nothing is sent; return its result."""
    _, result = asyncio.run(histories.of_enrollment(desk.stack, enrollment_id))
    assert isinstance(result, dict)
    status: str = result["status"]
    return status


def test_three_steps_send_three_texts(desk: Desk) -> None:
    """And take 42 events in the history."""
    line = desk.line()
    person = desk.person(first_name="Gwendolyn", last_name="")
    sequence_id = desk.sequence(line, FIRST, SECOND, THIRD, delay=1, reply_window=1)
    [enrollment_id] = desk.enroll(sequence_id, person)

    ended = desk.wait_for_status(enrollment_id, "finished_no_response")

    texts = desk.texts_to(person)
    assert [text["body"] for text in texts] == [
        "Hello Gwendolyn, we have a vacancy you may like.",
        "Did my note about the vacancy arrive, my friend?",
        "This is my last word on it, Gwendolyn.",
    ]
    assert {text["from"] for text in texts} == {line.address}
    assert (ended["step"], ended["step_count"], ended["activity"]) == (3, 3, None)
    assert ended["status_label"] == "Finished, no response"
    kinds = [entry["kind"] for entry in desk.enrollment(enrollment_id)["timeline"]]
    assert kinds.count("sent") == 3
    assert (kinds[0], kinds[-1]) == ("enrolled", "ended")
    history, result = asyncio.run(histories.of_enrollment(desk.stack, enrollment_id))
    assert result == {"status": "finished_no_response"}
    events = without_patches(history.events)
    assert len(events) in {42, 43}, [event.event_type for event in events]


def test_scheduled_step_is_due_by_the_contacts_clock(desk: Desk) -> None:
    """A date is in the contact's own time zone."""
    year = datetime.now(UTC).year + 1
    line, person = desk.line(), desk.person(time_zone="Asia/Tokyo")
    steps = [{"body": "A happy new year to you and yours.", "send_at": f"{year}-06-01T09:30"}]
    sequence_id = desk.sequence(line, kind="scheduled", steps=steps)
    [enrollment_id] = desk.enroll(sequence_id, person)
    row = desk.row(enrollment_id)
    assert datetime.fromisoformat(row["next_send_at"]) == datetime(year, 6, 1, 0, 30, tzinfo=UTC)
    assert desk.batch("mark-finished", enrollment_id)[0]["result"] == "finished"


def test_hired_person_gets_nothing_more_but_what_was_scheduled(desk: Desk) -> None:
    """One call ends all sequences while their texts are due; a scheduled one-off goes then."""
    line, person = desk.line(), desk.person()
    texts = [f"Still there, number {number}?" for number in range(1, 60)]
    for _ in range(3):
        desk.enroll(desk.sequence(line, *texts, delay=1), person)
    eventually(lambda: desk.calls_to(person) >= 3)
    send_at = datetime.now(UTC) + timedelta(seconds=5)
    path, body = f"/api/contacts/{person.id}", "Welcome aboard!"
    written = {"body": body, "send_at": send_at.isoformat()}
    text = desk.post(f"{path}/messages", written, status=201)
    assert text["status"] == "scheduled"
    results = desk.post(f"{path}/finish")["results"]
    assert [one["result"] for one in results] == ["finished"] * 3
    gone = desk.calls_to(person)
    assert desk.wait_for_texts(person, gone + 1)[-1]["body"] == body
    assert desk.calls_to(person) == gone + 1
    assert datetime.now(UTC) >= send_at
    assert desk.get(f"/api/messages/{text['id']}")["status"] != "scheduled"


def test_nothing_is_sent_outside_the_send_window(desk: Desk) -> None:
    """A changed window takes effect at once."""
    line, person = desk.line(), desk.person(time_zone="UTC")
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    away = days[(datetime.now(UTC).weekday() + 3) % 7]
    sequence_id = desk.sequence(line, reply_window=0, send_window={away: ["09:00", "20:00"]})
    [enrollment_id] = desk.enroll(sequence_id, person)
    row = desk.row(enrollment_id)
    assert datetime.fromisoformat(row["next_send_at"]).weekday() == days.index(away)
    assert row["activity"] == "waiting"

    answer = desk.api.patch(f"/api/sequences/{sequence_id}", json={"send_window": None})
    assert answer.status_code == 200, answer.text

    desk.wait_for_status(enrollment_id, "finished_no_response")
    desk.wait_for_texts(person, 1)


def test_reply_finishes_the_enrollment(desk: Desk) -> None:
    """With policy ``finish``."""
    story = desk.start("", FIRST, SECOND, delay=2)
    desk.wait_for_texts(story.person, 1)

    assert desk.answer(story.person, "Yes please, ring me tomorrow", story.line) == 200

    assert desk.row(story.enrollment_id)["status"] == "finished_responded"
    assert ended_in_temporal(desk, story.enrollment_id) == "finished_responded"
    desk.wait_for_texts(story.person, 1)
    received = [
        entry
        for entry in desk.enrollment(story.enrollment_id)["timeline"]
        if entry["kind"] == "received"
    ]
    assert [entry["body"] for entry in received] == ["Yes please, ring me tomorrow"]


def test_picture_without_text_is_a_reply(desk: Desk) -> None:
    """A picture without text is a reply."""
    story = desk.start("", FIRST, SECOND, delay=2)
    desk.wait_for_texts(story.person, 1)
    photo = ["https://example.com/photo.jpg"]
    assert desk.answer(story.person, "", story.line, media_urls=photo) == 200
    assert desk.row(story.enrollment_id)["status"] == "finished_responded"


def test_text_before_the_first_step_is_no_reply(desk: Desk) -> None:
    """A text is a reply only to an enrollment that has sent one."""
    story = desk.start("", FIRST, steps=[{"body": "Much later.", "delay_seconds": 3600}])
    assert desk.answer(story.person, "Who are you people anyway?", story.line) == 200
    assert desk.row(story.enrollment_id)["status"] == "active"


def test_policy_continue_remembers_the_reply(desk: Desk) -> None:
    """The steps continue, and the enrollment ends as responded."""
    story = desk.start("", FIRST, SECOND, delay=1, on_reply="continue")
    desk.wait_for_texts(story.person, 1)
    assert desk.answer(story.person, "Sounds interesting, tell me more", story.line) == 200
    assert desk.row(story.enrollment_id)["status"] == "active"
    desk.wait_for_status(story.enrollment_id, "finished_responded")
    desk.wait_for_texts(story.person, 2)
    assert ended_in_temporal(desk, story.enrollment_id) == "finished_responded"


def test_help_keyword_changes_nothing(desk: Desk) -> None:
    """HELP and INFO neither reply nor end."""
    story = desk.start("", FIRST, SECOND, delay=1, reply_window=1)
    desk.wait_for_texts(story.person, 1)
    assert desk.answer(story.person, "HELP", story.line) == 200
    assert desk.answer(story.person, "info!", story.line) == 200
    desk.wait_for_status(story.enrollment_id, "finished_no_response")
    desk.wait_for_texts(story.person, 2)


def test_clear_intent_opts_out_and_unclear_intent_is_reviewed(desk: Desk) -> None:
    """Clear words opt out as a keyword does; unclear ones need a review."""
    clear, unclear = [desk.start("", FIRST, SECOND, delay=2) for _ in range(2)]
    for story in (clear, unclear):
        desk.wait_for_texts(story.person, 1)

    assert desk.answer(clear.person, "Please stop texting me, wrong number", clear.line) == 200
    assert desk.answer(unclear.person, "Please stop texting me until 5", unclear.line) == 200

    assert desk.row(clear.enrollment_id)["status"] == "opted_out"
    assert desk.row(unclear.enrollment_id)["status"] == "finished_responded"
    assert ended_in_temporal(desk, clear.enrollment_id) == "opted_out"
    [suppression] = desk.get("/api/suppressions", search=clear.person.phone[1:])["items"]
    assert suppression["source"] == "plain_wish"
    waiting = desk.get("/api/reviews", decided=False)["items"]
    [review] = [one for one in waiting if one["contact_id"] == unclear.person.id]
    path = f"/api/reviews/{review['message_id']}/decide"
    decided = desk.api.post(path, json={"decision": "opt_out"})
    assert (decided.status_code, decided.json()["opted_out"]) == (200, True)
    assert desk.get(f"/api/contacts/{unclear.person.id}")["opted_out"] is True
    assert desk.row(unclear.enrollment_id)["status"] == "finished_responded"
    for story in (clear, unclear):
        desk.wait_for_texts(story.person, 1)


def test_stop_ends_every_sequence_of_the_number(desk: Desk) -> None:
    """START lifts the suppression, and nothing resumes by itself."""
    person, line, other = desk.person(), desk.line(), desk.line()
    texted = [desk.sequence(one, FIRST, SECOND, delay=2) for one in (line, other)]
    later = desk.sequence(line, steps=[{"body": "Much, much later.", "delay_seconds": 3600}])
    enrolled = [desk.enroll(sequence_id, person)[0] for sequence_id in (*texted, later)]
    desk.wait_for_texts(person, 2)

    assert desk.answer(person, "Stop!", line) == 200

    wanted = ["opted_out", "opted_out", "omitted_opted_out"]
    assert [desk.row(enrollment_id)["status"] for enrollment_id in enrolled] == wanted
    assert [ended_in_temporal(desk, enrollment_id) for enrollment_id in enrolled] == wanted
    desk.wait_for_texts(person, 2)
    assert desk.get(f"/api/contacts/{person.id}")["opted_out"] is True

    again = desk.sequence(other, FIRST)
    assert [one["status"] for one in desk.ask_to_enroll(again, person)["enrolled"]] == [
        "omitted_opted_out"
    ]

    assert desk.answer(person, "START", line) == 200
    assert desk.get(f"/api/contacts/{person.id}")["opted_out"] is False
    assert [desk.row(enrollment_id)["status"] for enrollment_id in enrolled] == wanted
    [enrollment_id] = desk.enroll(desk.sequence(line, FIRST, reply_window=0), person)
    desk.wait_for_status(enrollment_id, "finished_no_response")
    desk.wait_for_texts(person, 3)


def test_reply_counts_for_its_sender_and_opt_out_for_all(desk: Desk) -> None:
    """A reply counts for its own sender, an opt-out for all."""
    person, number, service = desk.person(), desk.line(), desk.line(service=True)
    [by_number] = desk.enroll(desk.sequence(number, FIRST, SECOND, delay=600), person)
    [by_service] = desk.enroll(desk.sequence(service, FIRST, SECOND, delay=600), person)
    desk.wait_for_texts(person, 2)
    desk.wait_for_reports()

    assert desk.answer(person, "Thanks, but who is calling?", service) == 200
    assert desk.row(by_service)["status"] == "finished_responded"
    assert desk.row(by_number)["status"] == "active"

    assert desk.answer(person, "unsubscribe", service) == 200
    assert desk.row(by_service)["status"] == "finished_responded"
    assert desk.row(by_number)["status"] == "opted_out"
    desk.wait_for_texts(person, 2)


def test_known_landline_is_omitted(desk: Desk) -> None:
    """It is omitted when it is enrolled."""
    person = desk.person(line_type="landline")
    sequence_id = desk.sequence(desk.line(), FIRST)
    [enrollment_id] = desk.enroll(sequence_id, person)
    row = desk.row(enrollment_id)
    assert (row["status"], row["status_label"]) == ("omitted_landline", "Omitted Landline")
    assert desk.calls_to(person) == 0


def test_waiting_enrollment_is_marked_finished(desk: Desk) -> None:
    story = desk.start("", FIRST, SECOND, delay=2)
    desk.wait_for_texts(story.person, 1)
    desk.wait_for_activity(story.enrollment_id, "waiting")

    [row] = desk.batch("mark-finished", story.enrollment_id)

    assert (row["result"], row["last_text"]) == ("finished", "none")
    assert desk.row(story.enrollment_id)["status"] == "finished_stopped"
    assert ended_in_temporal(desk, story.enrollment_id) == "finished_stopped"
    desk.wait_for_texts(story.person, 1)
    missing = "00000000-0000-4000-8000-000000000000"
    again = desk.batch("mark-finished", story.enrollment_id, missing)
    assert [row["result"] for row in again] == ["already_final", "not_found"]


def test_marking_finished_waits_for_a_text_under_way(desk: Desk) -> None:
    """The answer comes when the open attempt is recorded."""
    desk.behave(create_delay_seconds=1)
    try:
        story = desk.start("", FIRST, SECOND, delay=1)
        desk.wait_for_activity(story.enrollment_id, "sending")
        [row] = desk.batch("mark-finished", story.enrollment_id)
    finally:
        desk.behave(create_delay_seconds=0)
    assert (row["result"], row["last_text"]) == ("finished", "sent")
    desk.wait_for_texts(story.person, 1)
    assert ended_in_temporal(desk, story.enrollment_id) == "finished_stopped"
    desk.wait_for_texts(story.person, 1)


def test_paused_sequence_sends_nothing_until_resumed(desk: Desk) -> None:
    """A paused sequence accepts contacts and sends nothing; after resume all get every text."""
    people, line = desk.people(5), desk.line()
    sequence_id = desk.sequence(line, FIRST, SECOND, delay=1, reply_window=1)
    enrolled = desk.enroll(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    paused = desk.post(f"/api/sequences/{sequence_id}/pause")
    assert paused["state"] == "paused"
    before = {person: len(desk.texts_to(person)) for person in people}
    late = desk.person()
    enrolled += desk.enroll(sequence_id, late)

    # The workflows came to their due time, asked, and were told to wait.
    def all_asked() -> bool:
        details = [desk.enrollment(enrollment_id) for enrollment_id in enrolled]
        return all((one["live"] or {}).get("state") in {"paused", None} for one in details)

    eventually(all_asked)
    desk.wait_for_reports()
    assert {person: len(desk.texts_to(person)) for person in people} == before
    assert desk.texts_to(late) == []

    desk.post(f"/api/sequences/{sequence_id}/resume")

    desk.wait_for_counts(sequence_id, {"finished_no_response": 6})
    for person in (*people, late):
        desk.wait_for_texts(person, 2)


def test_draft_and_archived_sequence_refuse_enrolling(desk: Desk) -> None:
    """With 409; active and unknown contacts are skipped; archiving with active ones is refused."""
    line, person = desk.line(), desk.person()
    draft = desk.sequence(line, FIRST, SECOND, delay=600, activate=False)
    path = f"/api/sequences/{draft}"
    refused = desk.api.post(f"{path}/enrollments", json={"contact_ids": [person.id]})
    assert refused.status_code == 409, refused.text

    desk.post(f"{path}/activate")
    [enrollment_id] = desk.enroll(draft, person)
    stranger = Person("00000000-0000-4000-8000-000000000000", "", "")
    again = desk.ask_to_enroll(draft, person, stranger)
    assert again["enrolled"] == []
    assert {one["contact_id"]: one["code"] for one in again["skipped"]} == {
        person.id: "already_active",
        stranger.id: "unknown_contact",
    }

    assert desk.api.post(f"{path}/archive").status_code == 409
    desk.post(f"{path}/archive", {"finish_active": True})
    desk.wait_for_status(enrollment_id, "finished_stopped")
    refused = desk.api.post(f"{path}/enrollments", json={"contact_ids": [person.id]})
    assert refused.status_code == 409, refused.text


@pytest.mark.parametrize("service", [False, True], ids=["number", "messaging service"])
def test_reply_to_number_or_service_is_matched(desk: Desk, *, service: bool) -> None:
    """A reply counts for the Messaging Service that the text names, else for its number."""
    line: Line = desk.line(service=service)
    person = desk.person()
    [enrollment_id] = desk.enroll(desk.sequence(line, FIRST, SECOND, delay=600), person)
    desk.wait_for_texts(person, 1)
    desk.wait_for_reports()
    assert desk.answer(person, "I am all ears, go on", line) == 200
    assert desk.row(enrollment_id)["status"] == "finished_responded"
