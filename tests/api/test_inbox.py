"""Saved replies, notes and snoozing over the API."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from domain.platform.moments import written
from services.messaging import saved_replies
from storage.platform.database import Database
from tests.worlds import World


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


@pytest.fixture
async def ada(world: World) -> UUID:
    return (await world.contacts(1, first_name="Ada", last_name="Lee"))[0]


async def names(client: httpx.AsyncClient, **query: int) -> list[str]:
    answer = await client.get("/api/saved-replies", params=query)
    return [one["name"] for one in answer.json()["items"]]


async def test_saved_replies_are_everybodys_or_their_users_own(
    member: httpx.AsyncClient, admin: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    path = "/api/saved-replies"
    wanted = {"name": "Hours", "body": "Open from nine, {{first_name|see you}}"}
    key = {"Idempotency-Key": "hours"}
    made = await member.post(path, json=wanted, headers=key)
    assert made.status_code == 201
    assert (made.json()["own"], made.json()["body"]) == (False, wanted["body"])
    assert (await member.post(path, json=wanted, headers=key)).json() == made.json()
    hours = made.headers["Location"]
    assert (await admin.get(hours)).json() == made.json()

    own = await member.post(path, json={**wanted, "name": "hours", "own": True})
    assert own.status_code == 201  # another's list of names
    mine = own.headers["Location"]
    assert sorted(await names(member)) == ["Hours", "hours"]
    assert len(await names(member, limit=1)) == 1
    assert await names(admin) == ["Hours"]
    for act in (admin.get(mine), admin.patch(mine, json={"name": "X"}), admin.delete(mine)):
        assert (await act).status_code == 404
    taken = await member.post(path, json={**wanted, "name": "HOURS"})
    assert (taken.status_code, taken.json()["code"]) == (409, "saved_reply_taken")

    changed = await admin.patch(hours, json={"name": "Opening hours"})
    assert (changed.json()["name"], changed.json()["body"]) == ("Opening hours", wanted["body"])
    assert (await viewer.get(hours)).json() == changed.json()
    assert (await viewer.post(path, json=wanted)).status_code == 403
    wrong: list[tuple[dict[str, str], str]] = [
        ({"name": " ", "body": "Hi"}, "blank"),
        ({"name": "x" * 61, "body": "Hi"}, "too_long"),
        ({"name": "Gap", "body": " "}, "empty_body"),
        ({"name": "Gap", "body": "Hi {{frist_name}}"}, "unknown_merge_field"),
    ]
    for body, code in wrong:
        refused = await member.post(path, json=body)
        assert refused.status_code == 422, body
        assert [one["code"] for one in refused.json()["errors"]] == [code]
    assert (await member.delete(hours)).status_code == 204
    assert (await member.delete(hours)).status_code == 404
    assert await names(admin) == []


async def test_saved_replies_are_no_more_than_a_list_can_show(
    member: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_replies, "MOST", 1)
    await member.post("/api/saved-replies", json={"name": "One", "body": "Hi"})
    refused = await member.post("/api/saved-replies", json={"name": "Two", "body": "Hi"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_saved_replies")


async def test_notes_are_written_listed_and_deleted_by_their_author(
    member: httpx.AsyncClient, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, ada: UUID
) -> None:
    path = f"/api/contacts/{ada}/notes"
    key = {"Idempotency-Key": "note-1"}
    made = await member.post(path, json={"body": " Prefers\r\nmornings "}, headers=key)
    assert made.status_code == 201
    assert (made.json()["body"], made.json()["contact_id"]) == ("Prefers\nmornings", str(ada))
    assert (
        await member.post(path, json={"body": " Prefers\r\nmornings "}, headers=key)
    ).json() == (made.json())
    theirs = await admin.post(path, json={"body": "Called back"})
    listed = (await viewer.get(path)).json()["items"]
    assert [one["body"] for one in listed] == ["Called back", "Prefers\nmornings"]
    first = (await member.get(path, params={"limit": 1})).json()
    rest = (await member.get(path, params={"cursor": first["next_cursor"]})).json()
    assert [*first["items"], *rest["items"]] == listed
    for body, code in ((" ", "blank"), ("x" * 4001, "too_long"), ("a\x00", "invalid_text")):
        refused = await member.post(path, json={"body": body})
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert (
        await member.post(f"/api/contacts/{uuid4()}/notes", json={"body": "Hi"})
    ).status_code == 404
    assert (await viewer.post(path, json={"body": "Hi"})).status_code == 403

    refused = await member.delete(theirs.headers["Location"])
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    for one in (theirs, made):
        assert (await admin.delete(one.headers["Location"])).status_code == 204
        assert (await admin.get(one.headers["Location"])).status_code == 404


async def test_conversation_is_snoozed_until_a_moment(member: httpx.AsyncClient, ada: UUID) -> None:
    path = f"/api/contacts/{ada}/conversation"
    until = written(datetime.now(UTC) + timedelta(hours=2))
    snoozed = (await member.patch(path, json={"snoozed_until": until})).json()
    assert (snoozed["state"], snoozed["snoozed_until"]) == ("snoozed", until)
    assert (await member.get(path)).json() == snoozed
    for body, code in (
        ({"state": "snoozed"}, "computed_state"),
        ({"snoozed_until": "2020-01-01T00:00:00Z"}, "in_the_past"),
    ):
        refused = await member.patch(path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
    awake = (await member.patch(path, json={"snoozed_until": None})).json()
    assert (awake["state"], awake["snoozed_until"]) == ("open", None)
