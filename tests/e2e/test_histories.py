"""Histories hold ids and nothing personal: docs/design.md, "Nothing personal in histories"."""

import asyncio

from tests.e2e import histories
from tests.e2e.people import Desk


def test_histories_hold_no_number_name_or_text(desk: Desk) -> None:
    """The histories of the run so far, and of enrollments that go wrong here.

    When a stack is stopped, all its histories are searched once more.
    """
    line = desk.line()
    text = "Dear {{full_name|Madam}}, your number is {{phone|unknown}}."
    patient, hasty = desk.sequence(line, text), desk.sequence(line, text, reply_window=1)
    people = [desk.person(magic) for magic in ("", "006", "007", "408", "504", "614")]
    enrolled = [*desk.enroll(patient, people[0]), *desk.enroll(hasty, *people[1:])]
    [by_hand] = desk.batch("send-message", enrolled[0], body="A word in your ear, only to you.")
    desk.private.add("A word in your ear, only to you.")
    assert by_hand["result"] == "accepted"
    desk.wait_for_texts(people[0], 2)
    desk.answer(people[0], "How do you know my name and number?", line)
    for enrollment_id, status in zip(
        enrolled,
        ("finished_responded", "omitted_landline", "failed", "", "finished_no_response", ""),
        strict=True,
    ):
        if status:
            desk.wait_for_status(enrollment_id, status)
    desk.wait_for_activity(enrolled[3], "held")
    desk.wait_for_status(enrolled[5], "omitted_landline")
    desk.wait_for_reports()

    searched = asyncio.run(histories.check(desk.stack, desk.private))

    assert searched >= len(enrolled) + 1
    asyncio.run(check_search(desk))


async def check_search(desk: Desk) -> None:
    """Assert that the search finds what histories hold: a search attribute's name."""
    found = await histories.fetch_all(desk.stack)
    assert any(b"SegueSequence" in event for events in found.values() for event in events)
