"""Texts, conversations and what was only on the pages, over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.factory import Services
from storage.platform.database import Database
from tests.kits.inbound import receive
from tests.worlds import World, ongoing

ADA, BOB, NOBODY = "+12125550101", "+12125550102", "+12125550199"
PICTURE = "https://example.com/map.png"


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


@pytest.fixture
async def ada(world: World) -> UUID:
    return (await world.contacts(1, first_name="Ada", last_name="Lee", phone=ADA))[0]


def soon(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


async def items(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_texts_are_read_written_scheduled_and_canceled(
    member: httpx.AsyncClient, services: Services, world: World, ada: UUID
) -> None:
    path = f"/api/contacts/{ada}/messages"
    await receive(services, ADA, "Are you there?")
    key = {"Idempotency-Key": "reply-1"}
    wanted = {"body": "Yes, {{first_name|there}}", "media_urls": [PICTURE]}
    made = await member.post(path, json=wanted, headers=key)
    assert made.status_code == 201
    text = made.json()
    assert made.headers["Location"] == f"/api/messages/{text['id']}"
    assert (await member.post(path, json=wanted, headers=key)).json() == text
    assert (await member.get(made.headers["Location"])).json() == text
    assert {name: text[name] for name in ("direction", "body", "media_urls", "status")} == {
        "direction": "outbound",
        "body": "Yes, Ada",
        "media_urls": [PICTURE],
        "status": "pending",
    }
    assert (text["contact_id"], text["phone"], text["send_at"]) == (str(ada), ADA, None)
    assert text["sender"]["id"] == str(world.sender_id)
    assert text["user"]["name"]
    assert (text["enrollment_id"], text["step"], text["error"], text["kind"]) == (None,) * 4

    later = (await member.post(path, json={"body": "See you", "send_at": soon(days=2)})).json()
    assert (later["status"], later["status_label"]) == ("scheduled", "Scheduled")
    listed = await items(member, path)
    assert [one["body"] for one in listed] == ["See you", "Yes, Ada", "Are you there?"]
    assert (listed[2]["direction"], listed[2]["kind"], listed[2]["is_reply"]) == (
        "inbound",
        "human",
        True,
    )
    first = (await member.get(path, params={"sort": "created_at", "limit": 2})).json()
    assert [one["body"] for one in first["items"]] == ["Are you there?", "Yes, Ada"]
    rest = {"sort": "created_at", "cursor": first["next_cursor"]}
    assert [one["id"] for one in await items(member, path, **rest)] == [later["id"]]

    cancel = f"/api/messages/{later['id']}/cancel"
    for _ in range(2):
        canceled = await member.post(cancel)
        assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    inbound = await member.post(f"/api/messages/{listed[2]['id']}/cancel")
    assert (inbound.status_code, inbound.json()["code"]) == (409, "not_waiting")


async def test_texts_that_cannot_go_are_refused_with_the_remedy(
    member: httpx.AsyncClient, viewer: httpx.AsyncClient, world: World, ada: UUID
) -> None:
    [bob] = await world.contacts(1, phone=BOB)
    await world.suppress(bob)
    [line] = await world.contacts(1, phone="+12125550103")
    await world.run("UPDATE contacts SET line_type = 'landline' WHERE id = :id", id=line)
    cases: list[tuple[UUID, dict[str, Any], int, str]] = [
        (ada, {}, 422, "empty_body"),
        (ada, {"body": "Hi {{nick}}"}, 422, "missing_data"),
        (ada, {"body": "Hi {{frist_name}}"}, 422, "unknown_merge_field"),
        (ada, {"body": "Hi", "media_urls": ["http://x"]}, 422, "bad_media_url"),
        (ada, {"media_urls": [PICTURE] * 11}, 422, "too_many_media"),
        (ada, {"body": "Hi", "sender_id": str(uuid4())}, 422, "unknown_sender"),
        (ada, {"body": "Hi", "send_at": soon(hours=-1)}, 422, "in_the_past"),
        (ada, {"body": "Hi", "send_at": soon(days=400)}, 422, "too_far_ahead"),
        (bob, {"body": "Hi"}, 409, "opted_out"),
        (bob, {"body": "Hi", "send_at": soon(days=1)}, 409, "opted_out"),
        (line, {"body": "Hi"}, 409, "landline"),
        (uuid4(), {"body": "Hi"}, 404, "not_found"),
    ]
    for contact_id, body, status, code in cases:
        answer = await member.post(f"/api/contacts/{contact_id}/messages", json=body)
        problem = answer.json()
        codes = [problem["code"], *(one["code"] for one in problem.get("errors", ()))]
        assert answer.status_code == status, (body, problem)
        assert code in codes, (body, problem)
    naive = {"body": "Hi", "send_at": "2030-01-01T09:00"}
    assert (await member.post(f"/api/contacts/{ada}/messages", json=naive)).status_code == 422
    refused = await viewer.post(f"/api/contacts/{ada}/messages", json={"body": "Hi"})
    assert refused.status_code == 403
    assert await world.rows("SELECT id FROM messages") == []


async def test_inbox_is_listed_by_state_and_owner(
    member: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    services: Services,
    world: World,
    ada: UUID,
) -> None:
    await world.contacts(1, first_name="Bob", last_name="", phone=BOB)
    await receive(services, ADA, "Hello?")
    await receive(services, BOB, "Hi there")
    await receive(services, NOBODY, "Who is this?")
    me = (await member.get("/api/me")).json()
    me = me.get("user", me)["id"]

    async def listed(**query: Any) -> list[str]:
        return [
            one["contact"]["name"] for one in await items(member, "/api/conversations", **query)
        ]

    path = f"/api/contacts/{ada}/conversation"
    assert await listed() == await listed(state="needs_reply", owner="none") == ["Bob", "Ada Lee"]
    changed = await member.patch(path, json={"owner_id": me, "state": "done"})
    assert changed.status_code == 200
    assert (changed.json()["owner"]["id"], changed.json()["state"]) == (me, "done")
    assert changed.json() == (await member.get(path)).json()
    assert changed.json()["last_message"]["snippet"] == "Hello?"
    assert await listed(owner="me") == await listed(owner=me) == await listed(state="done")
    assert await listed(owner=["me", "none"], state=["done", "needs_reply"]) == ["Bob", "Ada Lee"]
    assert await listed(search="bob") == await listed(owner="none") == ["Bob"]
    group = (await member.post("/api/groups", json={"name": "Nurses"})).json()["id"]
    await member.post(f"/api/groups/{group}/members", json={"contact_ids": [str(ada)]})
    sequence = await world.active(steps=[ongoing("Hi", 60)])
    assert await listed(group_id=group) == await listed(group_id=[group, str(uuid4())])
    assert await listed(group_id=group) == ["Ada Lee"]
    assert await listed(sequence_id=str(sequence.id)) == []
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(ada)]})
    assert await listed(sequence_id=str(sequence.id)) == ["Ada Lee"]
    assert (await member.patch(path, json={"owner_id": None})).json()["owner"] is None
    refused = await member.patch(path, json={"owner_id": str(uuid4())})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_user")
    assert (await member.patch(path, json={"state": "gone"})).status_code == 422
    assert (await viewer.patch(path, json={"state": "open"})).status_code == 403
    assert (await member.get(f"/api/contacts/{uuid4()}/conversation")).status_code == 404

    [number] = await items(member, "/api/unknown-numbers")
    assert (number["phone"], number["unanswered"]) == (NOBODY, True)
    texts = f"/api/unknown-numbers/{number['id']}/messages"
    assert [one["body"] for one in await items(member, texts)] == ["Who is this?"]
    path = f"/api/unknown-numbers/{number['id']}"
    done = (await member.patch(path, json={"state": "done"})).json()
    assert done == {**number, "state": "done", "unanswered": False}
    assert await items(member, "/api/unknown-numbers", state="done") == [done]
    assert await items(member, "/api/unknown-numbers", state=["needs_reply", "open"]) == []
    assert (await member.patch(path, json={"state": "open"})).json() == number
    assert (await member.patch(path, json={"state": "snoozed"})).status_code == 422
    assert (await viewer.patch(path, json={"state": "done"})).status_code == 403
    person = {"first_name": "Cy", "phone": NOBODY}
    cy = (await member.post("/api/contacts", json=person)).json()["id"]
    assert await items(member, "/api/unknown-numbers") == await items(member, texts) == []
    assert (await member.get(f"/api/messages/{number['id']}")).json()["contact_id"] == cy
    refused = await member.patch(path, json={"state": "done"})
    assert (refused.status_code, refused.json()["code"]) == (409, "is_contact")


async def test_enrollments_of_one_person_are_listed_and_finished(
    member: httpx.AsyncClient, viewer: httpx.AsyncClient, world: World, ada: UUID
) -> None:
    sequences = [await world.active(steps=[ongoing("Hi", 0)], name=f"S{one}") for one in range(3)]
    for one in sequences:
        body = {"contact_ids": [str(ada)]}
        await member.post(f"/api/sequences/{one.id}/enrollments", json=body)
    lines = await items(member, "/api/enrollments", contact_id=str(ada), status="active")
    assert [one["sequence"]["name"] for one in lines] == ["S2", "S1", "S0"]
    assert {one["contact"]["id"] for one in lines} == {str(ada)}
    page = (await member.get("/api/enrollments", params={"limit": 2})).json()
    rest = await items(member, "/api/enrollments", cursor=page["next_cursor"])
    assert [*page["items"], *rest] == lines
    assert [one["id"] for one in lines] == [one["enrollment_id"] for one in lines]
    first = f"/api/enrollments/{lines[0]['id']}"
    picture = {"enrollment_ids": [lines[0]["enrollment_id"]], "media_urls": [PICTURE]}
    await member.post("/api/enrollments/batch/send-message", json=picture)
    [text] = await items(member, f"/api/contacts/{ada}/messages")
    assert (text["media_urls"], text["body"], text["step"]) == ([PICTURE], "", None)
    assert text["enrollment_id"] == lines[0]["enrollment_id"]

    for act, result in (
        ("pause", "paused"),
        ("pause", "already_paused"),
        ("resume", "resumed"),
        ("resume", "not_paused"),
        ("release", "not_held"),
        ("finish", "finished"),
        ("finish", "already_final"),
    ):
        how = {"decision": "retry"} if act == "release" else None
        answer = await member.post(f"{first}/{act}", json=how)
        assert (answer.status_code, answer.json()["result"]) == (200, result), act
        unknown = await member.post(f"/api/enrollments/{uuid4()}/{act}", json=how)
        assert unknown.status_code == 404
        assert (await viewer.post(f"{first}/{act}", json=how)).status_code == 403

    path = f"/api/contacts/{ada}/finish"
    assert (await viewer.post(path)).status_code == 403
    results = (await member.post(path)).json()["results"]
    assert [(one["enrollment_id"], one["result"], one["last_text"]) for one in results] == [
        (one["enrollment_id"], "finished", "none") for one in reversed(lines[1:])
    ]
    assert (await member.post(path)).json() == {"results": []}
    assert (await member.post(f"/api/contacts/{uuid4()}/finish")).status_code == 404
    of_one = {"sequence_id": str(sequences[0].id), "status": "finished_stopped"}
    assert len(await items(member, "/api/enrollments", **of_one)) == 1


async def test_what_pages_do_has_routes(member: httpx.AsyncClient, world: World, ada: UUID) -> None:
    group = (await member.post("/api/groups", json={"name": "Old"})).json()
    renamed = await member.patch(f"/api/groups/{group['id']}", json={"name": "New"})
    assert renamed.json() == {**group, "name": "New"}
    other = (await member.post("/api/groups", json={"name": "Other"})).json()
    taken = await member.patch(f"/api/groups/{other['id']}", json={"name": "new"})
    assert (taken.status_code, taken.json()["group_id"]) == (409, group["id"])

    sequence = await world.active(steps=[ongoing("Hi {{first_name|there}}", 0)], name="One")
    path = f"/api/sequences/{sequence.id}"
    copy = await member.post(f"{path}/duplicate")
    assert (copy.status_code, copy.json()["name"], copy.json()["state"]) == (
        201,
        "Copy of One",
        "draft",
    )
    assert (await member.get(copy.headers["Location"])).json() == copy.json()

    [bob] = await world.contacts(1, phone=BOB)
    await world.suppress(bob)
    asked = {"contact_ids": [str(ada), str(bob), str(ada)]}
    check = (await member.post(f"{path}/enrollments/check", json=asked)).json()
    assert (check["total"], check["counts"]["new"], check["counts"]["opted_out"]) == (2, 1, 1)
    assert check["rows"][0]["outcome"] == "opted_out"
    numbers = {"numbers": [ADA, "+12125550177", "no number"]}
    check = (await member.post(f"{path}/enrollments/check", json=numbers)).json()
    assert check["unknown_numbers"] == ["+12125550177"]
    [error] = [one for row in check["rows"] for one in row["errors"]]
    assert (error["field"], error["code"]) == ("phone", "invalid_phone")
    older = [one for row in check["rows"] for one in row["reasons"]]
    assert older == [{"field": "phone", "reason": error["message"]}]
    both = await member.post(f"{path}/enrollments/check", json={**asked, **numbers})
    assert both.json()["errors"][0]["code"] == "one_of_three"

    for body, texts in (
        (None, ["Hi there"]),
        ({"contact_id": str(ada)}, ["Hi Ada"]),
        (
            {"contact_id": str(ada), "steps": [{"body": "{{full_name}}"}, {"body": "Two"}]},
            ["Ada Lee", "Two"],
        ),
    ):
        shown = (await member.post(f"{path}/preview", json=body)).json()["steps"]
        assert [one["text"] for one in shown] == texts
        assert {one["segments"]["count"] for one in shown} == {1}
    wrong = {"contact_id": str(uuid4()), "steps": [{"body": "Hi"}, {"body": "{{frist_name}}"}]}
    refused = (await member.post(f"{path}/preview", json=wrong)).json()["errors"]
    assert [one["field"] for one in refused] == ["contact_id", "steps.1.body"]

    await member.post(f"{path}/enrollments", json={"contact_ids": [str(ada), str(bob)]})
    figures = (await member.get(f"{path}/overview")).json()
    counts = {one["status"]: one["count"] for one in figures["statuses"]}
    assert (figures["total"], counts["active"], counts["omitted_opted_out"]) == (2, 1, 1)
    assert (len(figures["hours"]), figures["funnel"][0]["step"], figures["reply_rate"]) == (
        25,
        1,
        None,
    )
    assert (await member.get(f"/api/sequences/{uuid4()}/overview")).status_code == 404
