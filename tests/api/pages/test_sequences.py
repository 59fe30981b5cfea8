"""The pages of the Sequences list, a sequence's Overview and its Settings."""

import re
from uuid import UUID

import httpx
import pytest

from domain.sequences.timing import DAYS
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose, SequenceState
from services.factory import Services
from storage.platform.database import Database
from tests.worlds import World

HTMX = {"HX-Request": "true"}


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def state(world: World, sequence_id: UUID) -> str:
    rows = await world.rows("SELECT state FROM sequences WHERE id = :id", id=sequence_id)
    return str(rows[0].state)


async def test_new_workspace_shows_first_steps(member: httpx.AsyncClient, world: World) -> None:
    page = await member.get("/sequences")
    assert "Write your first sequence" in page.text
    await world.run("DELETE FROM senders")
    page = await member.get("/sequences")
    assert "Start with a sender" in page.text


async def test_home_leads_to_the_sequences(member: httpx.AsyncClient) -> None:
    assert (await member.get("/")).headers["Location"] == "/sequences"


async def test_list_shows_state_people_and_actions(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    sequence = await world.active(name="<b>Welcome</b>")
    contacts = [str(one) for one in await world.contacts(2)]
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": contacts})
    page = await member.get("/sequences")
    assert "&lt;b&gt;Welcome" in page.text
    assert "<b>Welcome" not in page.text
    assert "2 people, 2 active" in page.text
    assert f"/sequences/{sequence.id}/pause" in page.text
    seen = await viewer.get("/sequences")
    assert "2 people, 2 active" in seen.text
    assert f"/sequences/{sequence.id}/pause" not in seen.text
    assert (await viewer.post(f"/sequences/{sequence.id}/pause")).status_code == 403


async def test_list_links_to_held_enrollments(world: World, member: httpx.AsyncClient) -> None:
    sequence = await world.active()
    contacts = [str(one) for one in await world.contacts(2)]
    path = f"/sequences/{sequence.id}/contacts?held=true"
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": contacts})
    assert path not in (await member.get("/sequences")).text
    await world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = 'outcome_unknown'"
        " WHERE contact_id = :id",
        id=contacts[0],
    )
    page = (await member.get("/sequences")).text
    [words] = re.findall(rf'href="{re.escape(path)}">(.+?)</a>', page)
    assert words.endswith("1 held")
    for filters, number in ((path, "1"), (path.removesuffix("?held=true"), "1")):
        assert f'id="count-held">{number}<' in (await member.get(filters)).text
    searched = (await member.get(f"{path}&search=zzz")).text
    assert 'id="count-held"><' in searched, "not known there"
    assert 'name="held" value="true" checked' in searched


async def test_the_list_is_searched_and_filtered(world: World, member: httpx.AsyncClient) -> None:
    await world.active(name="Nurses")
    await world.draft(name="Drivers")
    found = await member.get("/sequences", params={"search": "nur", "state": ""}, headers=HTMX)
    assert "Nurses" in found.text
    assert "Drivers" not in found.text
    assert "<html" not in found.text
    drafts = await member.get("/sequences", params={"state": "draft"})
    assert "Drivers" in drafts.text
    assert "Nurses" not in drafts.text
    assert "No sequences match" in (await member.get("/sequences?search=zzz")).text


async def test_new_sequence_is_a_draft(world: World, member: httpx.AsyncClient) -> None:
    for kind in ("ongoing", "scheduled"):
        fields = {"name": f"New {kind}", "kind": kind, "sender_id": str(world.sender_id)}
        if kind == "scheduled":
            fields["purpose"] = "marketing"
        made = await member.post("/sequences", data=fields, headers=HTMX)
        assert re.fullmatch(r"/sequences/[0-9a-f-]{36}/steps", made.headers["HX-Redirect"])
    rows = await world.rows("SELECT name, state, purpose FROM sequences ORDER BY name")
    assert [tuple(row) for row in rows] == [
        ("New ongoing", "draft", "informational"),
        ("New scheduled", "draft", "marketing"),
    ]
    dialog = (await member.get("/sequences/new", headers=HTMX)).text
    assert 'name="purpose" value="informational" checked' in dialog
    assert "Any offer or solicitation." in dialog


async def test_errors_of_a_new_sequence_are_shown_beside_it(
    world: World, member: httpx.AsyncClient
) -> None:
    fields = {"name": "", "kind": "ongoing", "sender_id": str(world.sender_id)}
    refused = await member.post("/sequences", data=fields, headers=HTMX)
    assert refused.status_code == 422
    assert 'id="error-name"' in refused.text
    fields = {"name": "Kept", "kind": "ongoing", "sender_id": ""}
    refused = await member.post("/sequences", data=fields, headers=HTMX)
    assert 'value="Kept"' in refused.text
    assert 'id="error-sender_id"' in refused.text


async def test_it_is_paused_resumed_duplicated_and_archived(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.draft()
    for act, after in (
        ("activate", SequenceState.ACTIVE),
        ("pause", SequenceState.PAUSED),
        ("resume", SequenceState.ACTIVE),
    ):
        done = await member.post(f"/sequences/{sequence.id}/{act}")
        assert done.status_code == 303
        assert await state(world, sequence.id) == after
    copied = await member.post(f"/sequences/{sequence.id}/duplicate")
    assert copied.headers["Location"].endswith("/steps")
    contact = str((await world.contacts(1))[0])
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [contact]})
    asked = await member.get(f"/sequences/{sequence.id}/archive", headers=HTMX)
    assert "Finish 1 and archive" in asked.text
    await member.post(f"/sequences/{sequence.id}/archive")
    assert await state(world, sequence.id) == SequenceState.ARCHIVED
    rows = await world.rows("SELECT status FROM enrollments")
    assert [row.status for row in rows] == ["finished_stopped"]


async def test_settings_are_shown_and_change_at_once(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active()
    path = f"/sequences/{sequence.id}/settings"
    fields: dict[str, object] = {
        "name": "Other name",
        "sender_id": str(world.sender_id),
        "on_reply": "continue",
        "reply_number": "36",
        "reply_unit": "hours",
        "open": ["mon", "fri"],
        "opens": ["08:30"] * 7,
        "closes": ["00:00"] * 7,
    }
    saved = await member.post(path, data=fields)
    assert saved.status_code == 303
    record = await world.sequences.get(sequence.id)
    assert record.name == "Other name"
    assert record.on_reply == "continue"
    assert record.reply_window_seconds == 36 * 3600
    assert record.send_window == {"mon": ["08:30", "24:00"], "fri": ["08:30", "24:00"]}
    page = await member.get(path)
    assert 'value="36"' in page.text
    assert page.text.count('type="time"') == 2 * len(DAYS)

    asked = {Purpose.MARKETING: ConsentNeeded.WRITTEN}
    await services.workspace.change({"require_consent": asked}, world.user_id)
    people = [str(one) for one in await world.contacts(2)]
    added = await member.post(f"/api{path[:-9]}/enrollments", json={"contact_ids": people})
    assert len(added.json()["enrolled"]) == 2
    saved = await member.post(path, data={**fields, "purpose": "marketing"})
    assert saved.status_code == 303
    assert await services.enrollment_list.awaiting_consent(sequence.id) == 2
    page = await member.get(path)
    assert "Held until a consent in writing is on record." in page.text
    assert 'href="/settings/workspace"' in page.text


async def test_stale_settings_do_not_overwrite_newer_ones(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    path = f"/sequences/{sequence.id}/settings"

    def edition(page: httpx.Response) -> str:
        return str(re.findall(r'name="edition" value="(\w+)"', page.text)[0])

    fields: dict[str, object] = {
        "sender_id": str(world.sender_id),
        "reply_number": "7",
        "any_time": "true",
        "edition": edition(await member.get(path)),
    }
    first = await member.post(path, data={**fields, "name": "Mia's"})
    second = await member.post(path, data={**fields, "name": "Ben's"})
    assert (first.status_code, second.status_code) == (303, 409)
    assert "Someone else changed these settings" in second.text
    assert 'value="Ben&#39;s"' in second.text
    knowing = {**fields, "name": "Ben's", "edition": edition(second)}
    assert (await member.post(path, data=knowing)).status_code == 303
    assert (await world.sequences.get(sequence.id)).name == "Ben's"


async def test_window_that_never_opens_shows_error_beside_the_day(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    fields: dict[str, object] = {
        "name": "Kept as typed",
        "sender_id": str(world.sender_id),
        "reply_number": "x",
        "open": ["tue"],
        "opens": ["20:00"] * 7,
        "closes": ["09:00"] * 7,
    }
    path = f"/sequences/{sequence.id}/settings"
    refused = await member.post(path, data=fields)
    assert refused.status_code == 422
    assert "Kept as typed" in refused.text
    assert 'id="error-reply_number"' in refused.text
    refused = await member.post(path, data={**fields, "reply_number": "7"})
    assert re.search(r"Tuesday [a-z].*before", refused.text)
