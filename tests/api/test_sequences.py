"""Sequences over HTTP."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.factory import Services


@pytest.fixture
async def sender_id(services: Services) -> str:
    made = await services.senders.create({"name": "Front desk", "phone": "+14155550100"})
    return str(made.id)


def sequence(sender_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Welcome",
        "sender_id": sender_id,
        "kind": "ongoing",
        "steps": [
            {"body": "Hi {{first_name|there}}", "delay_seconds": 0},
            {"body": "Still?", "delay_seconds": 172_800, "at_time": "09:30"},
        ],
        **changes,
    }


async def make(client: httpx.AsyncClient, sender_id: str, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/api/sequences", json=sequence(sender_id, **changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def wrong_fields(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["field"]: error["code"] for error in answer.json()["errors"]}


async def test_create_sequence_answers_all_fields(
    member: httpx.AsyncClient, sender_id: str
) -> None:
    made = await make(member, sender_id)
    assert made["state"] == "draft"
    assert (made["version"], made["step_count"]) == (1, 2)
    assert made["reply_window_seconds"] == 604_800
    assert made["on_reply"] == "finish"
    assert made["send_window"]["sun"] == ["12:00", "20:00"]
    assert made["sender_name"] == "Front desk"
    assert len(made["counts"]) == 8
    assert set(made["counts"].values()) == {0}
    assert made["steps"][1] == {
        "position": 2,
        "body": "Still?",
        "media_urls": [],
        "delay_seconds": 172_800,
        "at_time": "09:30",
        "send_at": None,
        "anchor": None,
        "late": "send",
        "late_hours": None,
        "segments": {
            "count": 1,
            "encoding": "GSM-7",
            "units": 6,
            "characters": 6,
            "ucs2_characters": [],
        },
    }
    assert (await member.get(f"/api/sequences/{made['id']}")).json() == made


async def test_step_answers_its_segments(member: httpx.AsyncClient, sender_id: str) -> None:
    body = "\N{GRINNING FACE}" * 36
    made = await make(member, sender_id, steps=[{"body": body, "delay_seconds": 0}])
    assert made["steps"][0]["segments"] == {
        "count": 2,
        "encoding": "UCS-2",
        "units": 72,
        "characters": 36,
        "ucs2_characters": ["\N{GRINNING FACE}"],
    }


async def test_step_by_a_date_and_its_late_policy_are_answered_as_sent(
    member: httpx.AsyncClient, admin: httpx.AsyncClient, sender_id: str
) -> None:
    field = {"key": "interview_at", "label": "Interview", "type": "date"}
    assert (await admin.post("/api/fields", json=field)).status_code == 201
    anchor = {"key": "interview_at", "offset_seconds": -86_400, "at_time": "10:00"}
    steps = [
        {"body": "Hi", "delay_seconds": 0, "late": "skip"},
        {"body": "Until tomorrow", "anchor": anchor, "late": "expire", "late_hours": 6},
    ]
    made = await make(member, sender_id, steps=steps)
    for one, step in zip(steps, made["steps"], strict=True):
        assert {name: step[name] for name in one} == one
    assert (made["steps"][1]["delay_seconds"], made["steps"][1]["at_time"]) == (None, None)
    kept = {"sequence_id": made["id"], "name": "Interviews"}
    template = (await member.post("/api/sequence-templates", json=kept)).json()
    assert [one["anchor"] for one in template["steps"]] == [None, anchor]


async def test_a_scheduled_sequence_keeps_its_local_dates(
    member: httpx.AsyncClient, sender_id: str
) -> None:
    made = await make(
        member,
        sender_id,
        kind="scheduled",
        send_window=None,
        steps=[{"body": "Hi", "send_at": "2029-12-01T09:30"}],
    )
    assert made["send_window"] is None
    assert made["steps"][0]["send_at"] == "2029-12-01T09:30"


async def test_all_invalid_sequence_fields_are_named(
    member: httpx.AsyncClient, sender_id: str
) -> None:
    answer = await member.post(
        "/api/sequences",
        json=sequence(
            sender_id,
            send_window={"mon": ["9", "20:00"]},
            steps=[
                {"body": "Hi {{firstname}}", "delay_seconds": 0},
                {"body": "x" * 1601, "delay_seconds": -1},
                {"body": "x", "send_at": "2029-12-01T09:30"},
            ],
        ),
    )
    assert wrong_fields(answer) == {
        "send_window.mon": "invalid_field",
        "steps.0.body": "unknown_merge_field",
        "steps.1.body": "body_too_long",
        "steps.1.delay_seconds": "out_of_range",
        "steps.2.send_at": "wrong_timing",
        "steps.2.delay_seconds": "missing",
    }
    assert (await member.get("/api/sequences")).json()["items"] == []


_INVALID: Sequence[tuple[dict[str, Any], str]] = [
    ({"kind": "weekly"}, "kind"),
    ({"sender_id": "x"}, "sender_id"),
    ({"name": 7}, "name"),
    ({"name": "a\0"}, "name"),
    ({"steps": None}, "steps"),
    ({"steps": [{"body": None, "delay_seconds": 0}]}, "steps.0.body"),
    ({"steps": [{"body": "a\0", "delay_seconds": 0}]}, "steps.0.body"),
    ({"steps": [{"body": "x", "delay_seconds": "5"}]}, "steps.0.delay_seconds"),
    ({"steps": [{"body": "x", "delay_seconds": True}]}, "steps.0.delay_seconds"),
    ({"steps": [{"body": "x", "delay_seconds": 10**30}]}, "steps.0.delay_seconds"),
    ({"reply_window_seconds": 10**30}, "reply_window_seconds"),
    ({"reply_window_seconds": None}, "reply_window_seconds"),
    ({"send_window": {}}, "send_window"),
    ({"send_window": {"monday": ["09:00", "10:00"]}}, "send_window.monday"),
    ({"color": "red"}, "color"),
]


async def test_invalid_sequence_is_a_422(member: httpx.AsyncClient, sender_id: str) -> None:
    for changes, field in _INVALID:
        answer = await member.post("/api/sequences", json={**sequence(sender_id), **changes})
        assert list(wrong_fields(answer)) == [field], changes


async def test_lone_surrogate_is_a_422(member: httpx.AsyncClient, sender_id: str) -> None:
    text = f"""{{"name": "x", "sender_id": "{sender_id}", "kind": "ongoing",
        "steps": [{{"body": "\\ud83d", "delay_seconds": 0}}]}}"""
    answer = await member.post(
        "/api/sequences", content=text, headers={"content-type": "application/json"}
    )
    assert list(wrong_fields(answer)) == ["steps.0.body"]


async def test_repeated_request_with_its_key_creates_one_sequence(
    member: httpx.AsyncClient, sender_id: str
) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await member.post("/api/sequences", json=sequence(sender_id), headers=headers)
    again = await member.post("/api/sequences", json=sequence(sender_id), headers=headers)
    assert again.json() == first.json()
    assert len((await member.get("/api/sequences")).json()["items"]) == 1


async def test_sequence_change_applies_given_fields(
    member: httpx.AsyncClient, sender_id: str
) -> None:
    made = await make(member, sender_id)
    path = f"/api/sequences/{made['id']}"
    changed = (await member.patch(path, json={"name": "Other", "send_window": None})).json()
    assert (changed["name"], changed["send_window"], changed["version"]) == ("Other", None, 1)
    assert changed["steps"] == made["steps"]
    steps = [{"body": "One", "delay_seconds": 60}]
    changed = (await member.patch(path, json={"steps": steps})).json()
    assert (changed["version"], changed["step_count"]) == (2, 1)
    assert (await member.patch(path, json={})).json() == changed


@pytest.mark.parametrize(
    "field", ["name", "sender_id", "kind", "on_reply", "reply_window_seconds", "steps"]
)
async def test_a_change_to_null_is_a_422(
    member: httpx.AsyncClient, sender_id: str, field: str
) -> None:
    made = await make(member, sender_id)
    answer = await member.patch(f"/api/sequences/{made['id']}", json={field: None})
    assert list(wrong_fields(answer)) == [field]


async def test_kind_cannot_change(member: httpx.AsyncClient, sender_id: str) -> None:
    made = await make(member, sender_id)
    answer = await member.patch(f"/api/sequences/{made['id']}", json={"kind": "scheduled"})
    assert wrong_fields(answer) == {"kind": "kind_is_fixed"}


async def test_routes_move_a_sequence_through_its_states(
    member: httpx.AsyncClient, sender_id: str
) -> None:
    made = await make(member, sender_id)
    path = f"/api/sequences/{made['id']}"
    refused = await member.post(f"{path}/resume")
    assert refused.status_code == 409
    assert refused.json()["code"] == "invalid_transition"
    assert refused.json()["state"] == "draft"
    for move, state in (
        ("activate", "active"),
        ("pause", "paused"),
        ("resume", "active"),
        ("archive", "archived"),
    ):
        answer = await member.post(f"{path}/{move}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert (await member.post(f"{path}/{move}")).status_code == 200


async def test_sequence_list_filters_and_pages(member: httpx.AsyncClient, sender_id: str) -> None:
    made = [await make(member, sender_id, name=f"Plan {number}") for number in range(3)]
    await member.post(f"/api/sequences/{made[0]['id']}/activate")
    first = (await member.get("/api/sequences", params={"limit": 2})).json()
    rest = (
        await member.get("/api/sequences", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()
    names = [item["name"] for item in first["items"] + rest["items"]]
    assert names == ["Plan 2", "Plan 1", "Plan 0"]
    assert rest["next_cursor"] is None
    assert "steps" not in first["items"][0]
    active = (await member.get("/api/sequences", params={"state": ["active", "paused"]})).json()
    assert [item["name"] for item in active["items"]] == ["Plan 0"]


async def test_viewer_reads_sequences_and_anonymous_cannot(
    member: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    sender_id: str,
) -> None:
    made = await make(member, sender_id)
    path = f"/api/sequences/{made['id']}"
    assert (await viewer.get(path)).status_code == 200
    assert (await viewer.post("/api/sequences", json=sequence(sender_id))).status_code == 403
    assert (await viewer.patch(path, json={"name": "x"})).status_code == 403
    assert (await viewer.post(f"{path}/activate")).status_code == 403
    assert (await anonymous.get(path)).status_code == 401


async def test_an_unknown_sequence_is_a_404(member: httpx.AsyncClient) -> None:
    path = f"/api/sequences/{uuid4()}"
    assert (await member.get(path)).status_code == 404
    assert (await member.patch(path, json={"name": "x"})).status_code == 404
    assert (await member.post(f"{path}/archive")).status_code == 404
