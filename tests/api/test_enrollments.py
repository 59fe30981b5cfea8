"""Enrolling, the Contacts tab, one enrollment and the bulk actions over HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.contacts.values import ContactFields
from services.factory import Services
from tests.api.conftest import FakeTemporal
from workflows.client import LiveState


@pytest.fixture
async def people(services: Services) -> list[str]:
    """The ids of three contacts, by name."""
    made = [
        await services.contacts.create(
            ContactFields(first_name=name, last_name="Lee", phone=f"+1415555012{number}")
        )
        for number, name in enumerate(["Ann", "Bo", "Cy"])
    ]
    return [str(contact.id) for contact in made]


@pytest.fixture
async def sequence_id(services: Services, member: httpx.AsyncClient) -> str:
    """The id of an active sequence."""
    sender = await services.senders.create({"name": "Front desk", "phone": "+14155550100"})
    steps = [{"body": f"Step {number}", "delay_seconds": 86_400} for number in (1, 2, 3)]
    made = await member.post(
        "/api/sequences",
        json={"name": "Plan", "sender_id": str(sender.id), "kind": "ongoing", "steps": steps},
    )
    await member.post(f"/api/sequences/{made.json()['id']}/activate")
    return str(made.json()["id"])


async def enroll(client: httpx.AsyncClient, sequence_id: str, people: list[str]) -> list[str]:
    answer = await client.post(
        f"/api/sequences/{sequence_id}/enrollments", json={"contact_ids": people}
    )
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["enrolled"]]


async def test_enroll_answers_enrolled_and_skipped(
    member: httpx.AsyncClient, services: Services, sequence_id: str, people: list[str]
) -> None:
    await services.contacts.update(UUID(people[1]), {"line_type": "landline"})  # type: ignore[typeddict-item]
    await enroll(member, sequence_id, people[2:])
    unknown = str(uuid4())
    answer = await member.post(
        f"/api/sequences/{sequence_id}/enrollments", json={"contact_ids": [*people, unknown]}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert [(one["contact_id"], one["status"]) for one in body["enrolled"]] == [
        (people[0], "active"),
        (people[1], "omitted_landline"),
    ]
    assert body["skipped"] == [
        {"contact_id": people[2], "code": "already_active"},
        {"contact_id": unknown, "code": "unknown_contact"},
    ]


async def test_repeated_key_replays_the_enroll_answer(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    path = f"/api/sequences/{sequence_id}/enrollments"
    headers = {"Idempotency-Key": "k1"}
    first = await member.post(path, json={"contact_ids": people}, headers=headers)
    again = await member.post(path, json={"contact_ids": people}, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(first.json()["enrolled"]) == 3


async def test_a_group_is_enrolled(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    group = (await member.post("/api/groups", json={"name": "Sales"})).json()
    await member.post(f"/api/groups/{group['id']}/members", json={"contact_ids": people[:2]})
    answer = await member.post(
        f"/api/sequences/{sequence_id}/enrollments", json={"group_id": group["id"]}
    )
    assert {one["contact_id"] for one in answer.json()["enrolled"]} == set(people[:2])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "one_of_two"),
        ({"contact_ids": []}, "contact_count"),
        ({"contact_ids": [str(uuid4()) for _ in range(10_001)]}, "contact_count"),
        ({"group_id": str(uuid4())}, "unknown_group"),
    ],
)
async def test_enrolling_none_or_too_many_is_a_422(
    member: httpx.AsyncClient, sequence_id: str, body: dict[str, Any], code: str
) -> None:
    answer = await member.post(f"/api/sequences/{sequence_id}/enrollments", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_enrolling_into_a_draft_is_a_conflict(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    """Rule: enroll into a draft or archived sequence: 409."""
    await member.post(f"/api/sequences/{sequence_id}/archive")
    answer = await member.post(
        f"/api/sequences/{sequence_id}/enrollments", json={"contact_ids": people}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "sequence_not_active")


async def test_archiving_with_active_enrollments_is_a_conflict(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    """Rule: archiving with active enrollments: 409 unless asked to finish them."""
    await enroll(member, sequence_id, people)
    path = f"/api/sequences/{sequence_id}/archive"
    refused = await member.post(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "active_enrollments")
    assert refused.json()["count"] == 3
    done = await member.post(path, json={"finish_active": True})
    assert done.json()["state"] == "archived"
    assert done.json()["counts"]["finished_stopped"] == 3


async def test_contacts_tab_lists_rows_with_counts(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    ids = await enroll(member, sequence_id, people)
    answer = await member.get(f"/api/sequences/{sequence_id}/contacts", params={"sort": "name"})
    body = answer.json()
    line = body["items"][0]
    path = f"/api/sequences/{sequence_id}/contacts"
    kept = await member.get(path, params={"reason": ["pack", "holiday"]})
    assert (line["waits_for"], kept.json()["items"]) == ([], [])
    assert (await member.get(path, params={"reason": "law"})).status_code == 422
    assert set(line) == {
        "enrollment_id",
        "contact",
        "status",
        "status_label",
        "activity",
        "held_reason",
        "missing_fields",
        "waits_for",
        "paused_reason",
        "step",
        "step_count",
        "enrolled_by",
        "enrolled_at",
        "next_send_at",
        "last_message_at",
        "replied_late_at",
        "error",
        "live",
    }
    assert line["enrollment_id"] == ids[0]
    assert line["contact"] == {"id": people[0], "name": "Ann Lee", "phone": "+14155550120"}
    assert (line["status"], line["status_label"], line["activity"]) == (
        "active",
        "Active",
        "waiting",
    )
    assert (line["step"], line["step_count"], line["live"]) == (0, 3, None)
    assert body["counts"]["active"] == 3
    assert len(body["counts"]) == 8
    assert body["next_cursor"] is None


async def test_contacts_tab_filters_and_pages(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    await enroll(member, sequence_id, people)
    path = f"/api/sequences/{sequence_id}/contacts"

    async def names(**params: Any) -> list[str]:
        answer = await member.get(path, params={"sort": "name", **params})
        assert answer.status_code == 200, answer.text
        return [item["contact"]["name"] for item in answer.json()["items"]]

    assert await names(search="o l") == ["Bo Lee"]
    assert await names(search="0122") == ["Cy Lee"]
    assert await names(status=["failed", "active"], step=[0]) == ["Ann Lee", "Bo Lee", "Cy Lee"]
    assert await names(status="failed") == []
    assert await names(enrolled_by=str(uuid4())) == []
    first = (await member.get(path, params={"sort": "-next_send_at", "limit": 2})).json()
    cursor = first["next_cursor"]
    params = {"sort": "-next_send_at", "limit": 2, "cursor": cursor}
    rest = (await member.get(path, params=params)).json()
    assert len(first["items"] + rest["items"]) == 3
    foreign = await member.get(path, params={"sort": "next_send_at", "cursor": cursor})
    assert (foreign.status_code, foreign.json()["code"]) == (422, "invalid_cursor")


_INVALID_FILTERS: Sequence[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "limit"),
    ({"limit": 201}, "limit"),
    ({"sort": "phone"}, "sort"),
    ({"status": "gone"}, "status.0"),
    ({"step": 10**30}, "step.0"),
    ({"group": "x"}, "group.0"),
    ({"cursor": "x"}, "cursor"),
    ({"search": "a\0"}, "search"),
    ({"color": "red"}, "color"),
]


async def test_invalid_filter_is_a_422(member: httpx.AsyncClient, sequence_id: str) -> None:
    for params, field in _INVALID_FILTERS:
        answer = await member.get(f"/api/sequences/{sequence_id}/contacts", params=params)
        assert answer.status_code == 422, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field], params


async def test_live_parameter_asks_the_workflows(
    member: httpx.AsyncClient,
    temporal: FakeTemporal,
    sequence_id: str,
    people: list[str],
) -> None:
    first, second, third = await enroll(member, sequence_id, people)
    await member.post("/api/enrollments/batch/mark-finished", json={"enrollment_ids": [third]})
    due = datetime(2026, 12, 1, 12, tzinfo=UTC)
    temporal.live[UUID(first)] = LiveState("waiting", 1, due)
    answer = await member.get(f"/api/sequences/{sequence_id}/contacts", params={"live": "true"})
    live = {item["enrollment_id"]: item["live"] for item in answer.json()["items"]}
    assert live == {
        first: {"state": "waiting", "step": 1, "next_due_at": "2026-12-01T12:00:00.000Z"},
        second: {"unavailable": "not_running"},
        third: None,
    }


async def test_one_enrollment_shows_steps_and_timeline(
    viewer: httpx.AsyncClient, member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    (enrollment_id,) = await enroll(member, sequence_id, people[:1])
    answer = await viewer.get(f"/api/enrollments/{enrollment_id}")
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert body["id"] == enrollment_id
    assert body["live"] == {"unavailable": "not_running"}
    assert body["temporal_url"].endswith(
        f"/namespaces/default/workflows/enrollment%2F{enrollment_id}"
    )
    assert [step["position"] for step in body["steps"]] == [1, 2, 3]
    assert body["steps"][0]["at"] == body["next_send_at"]
    assert [entry["kind"] for entry in body["timeline"]] == ["enrolled"]
    assert (await viewer.get(f"/api/enrollments/{uuid4()}")).status_code == 404


async def test_add_to_group_answers_row_by_row(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    ids = await enroll(member, sequence_id, people)
    group = (await member.post("/api/groups", json={"name": "Sales"})).json()
    answer = await member.post(
        "/api/enrollments/batch/add-to-group",
        json={"enrollment_ids": ids, "group_id": group["id"]},
    )
    assert answer.json() == {
        "results": [{"enrollment_id": one, "result": "added"} for one in ids],
    }


async def test_a_message_is_sent_once_under_one_key(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    ids = await enroll(member, sequence_id, people)
    path = "/api/enrollments/batch/send-message"
    body = {"enrollment_ids": ids, "body": "Hi {{first_name}}"}
    headers = {"Idempotency-Key": "k1"}
    first = await member.post(path, json=body, headers=headers)
    again = await member.post(path, json=body, headers=headers)
    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    results = first.json()["results"]
    assert [(one["enrollment_id"], one["result"]) for one in results] == [
        (one, "accepted") for one in ids
    ]
    page = await member.get(f"/api/enrollments/{ids[0]}")
    written = [entry for entry in page.json()["timeline"] if entry["kind"] == "written"]
    assert [entry["body"] for entry in written] == ["Hi Ann"]


async def test_more_than_ten_recipients_are_refused(
    member: httpx.AsyncClient, services: Services, sequence_id: str
) -> None:
    people = [
        str((await services.contacts.create({"first_name": "A", "phone": f"+14155552{n:03d}"})).id)
        for n in range(100, 111)
    ]
    ids = await enroll(member, sequence_id, people)
    answer = await member.post(
        "/api/enrollments/batch/send-message", json={"enrollment_ids": ids, "body": "Hi"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_recipients")


async def test_lone_surrogate_is_not_sent(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    (enrollment_id,) = await enroll(member, sequence_id, people[:1])
    answer = await member.post(
        "/api/enrollments/batch/send-message",
        content=f'{{"enrollment_ids": ["{enrollment_id}"], "body": "\\ud83d"}}',
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")


async def test_finish_returns_a_result_per_row(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    ids = await enroll(member, sequence_id, people[:1])
    unknown = str(uuid4())
    answer = await member.post(
        "/api/enrollments/batch/mark-finished", json={"enrollment_ids": [unknown, *ids]}
    )
    assert answer.json()["results"] == [
        {"enrollment_id": unknown, "result": "not_found", "last_text": None},
        {"enrollment_id": ids[0], "result": "finished", "last_text": "none"},
    ]


async def test_release_applies_the_decision(
    member: httpx.AsyncClient, sequence_id: str, people: list[str]
) -> None:
    ids = await enroll(member, sequence_id, people[:1])
    path = "/api/enrollments/batch/release"
    answer = await member.post(path, json={"enrollment_ids": ids, "decision": "retry"})
    assert [one["result"] for one in answer.json()["results"]] == ["not_held"]
    wrong = await member.post(path, json={"enrollment_ids": ids, "decision": "shrug"})
    assert wrong.status_code == 422


async def test_viewer_cannot_change_enrollments(
    viewer: httpx.AsyncClient, sequence_id: str
) -> None:
    ids = [str(uuid4())]
    for path, body in (
        (f"sequences/{sequence_id}/enrollments", {"contact_ids": ids}),
        ("enrollments/batch/add-to-group", {"enrollment_ids": ids, "group_id": ids[0]}),
        ("enrollments/batch/send-message", {"enrollment_ids": ids, "body": "x"}),
        ("enrollments/batch/mark-finished", {"enrollment_ids": ids}),
        ("enrollments/batch/release", {"enrollment_ids": ids, "decision": "retry"}),
    ):
        assert (await viewer.post(f"/api/{path}", json=body)).status_code == 403
    assert (await viewer.get(f"/api/sequences/{sequence_id}/contacts")).status_code == 200
