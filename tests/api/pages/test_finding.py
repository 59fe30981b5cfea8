"""The command palette, the checklist of a new workspace, the keys, and errors in the frame."""

import re

import httpx
import pytest

from domain.statuses.access import Role
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX, Browse
from tests.worlds import World


@pytest.fixture
async def world(database: Database) -> World:
    return World(database)


async def found(client: httpx.AsyncClient, search: str) -> list[str]:
    """Search; return the addresses that are offered."""
    answer = await client.get("/find", params={"search": search}, headers=HTMX)
    assert answer.status_code == 200
    return re.findall(r'role="option" class="palette-option" href="([^"]+)"', answer.text)


async def test_search_finds_people_sequences_groups_and_pages(world: World, browse: Browse) -> None:
    await world.found()
    member, viewer, admin = [await browse(one) for one in (Role.MEMBER, Role.VIEWER, Role.ADMIN)]
    [one] = await world.contacts(1, first_name="Grover", last_name="<b>", phone="+12125550188")
    group = (await member.post("/api/groups", json={"name": "Growers"})).json()["id"]
    sequence = await world.active(name="Groom & go")
    everything = {f"/contacts/{one}", f"/groups/{group}", f"/sequences/{sequence.id}/contacts"}
    assert set(await found(member, "GRO")) == {*everything, "/groups"}
    assert await found(member, "550188") == [f"/contacts/{one}"]
    assert await found(member, "zzz") == []
    assert "No results for “zzz”" in (await member.get("/find?search=zzz", headers=HTMX)).text
    assert "&lt;b&gt;" in (await member.get("/find?search=grover", headers=HTMX)).text
    assert await found(member, "\x00") == []
    assert "/contacts/new" in await found(member, "add cont")
    assert "/contacts/new" not in await found(viewer, "add cont")
    assert "/settings/users" in await found(admin, "users")
    assert "/settings/users" not in await found(member, "users")
    assert f"/contacts/{one}" not in await found(member, "g")  # too short for names
    await world.contacts(12, first_name="Many")
    assert (await found(member, "many"))[8:] == ["/contacts?search=many"]
    shown = (await member.get("/find?search=many", headers=HTMX)).text
    assert "and 4 more: search contacts" in shown
    for number in range(9):
        await world.active(name=f"Plenty {number}")
        await member.post("/api/groups", json={"name": f"Plenty {number}"})
    assert {"/sequences?search=plenty", "/groups"} < set(await found(member, "plenty"))
    assert 0 < len(await found(member, "")) <= 8


async def test_checklist_ticks_itself_and_is_gone_when_done(world: World, browse: Browse) -> None:
    admin, viewer = await browse(Role.ADMIN), await browse(Role.VIEWER)

    def done(html: str) -> list[str]:
        return re.findall(r"<s>([^<]+)</s>", html)

    new = (await admin.get("/sequences")).text
    assert "Welcome to Segue" in new
    assert done(new) == []
    assert 'href="/settings/senders">Add a sender' in new
    assert 'href="/settings/senders">Add a sender' not in (await viewer.get("/sequences")).text
    await world.found()
    assert done((await admin.get("/sequences")).text) == ["Add a sender"]
    [one] = await world.contacts(1)
    sequence = await world.active()
    await world.draft(name="Later")  # the last step leads to what can be enrolled in
    ready = (await admin.get("/sequences")).text
    assert done(ready) == ["Add a sender", "Import contacts", "Write a sequence"]
    assert f"/sequences/{sequence.id}/enrol" in ready
    assert "Welcome to" not in (await admin.get("/sequences", headers=HTMX)).text
    dismissed = await viewer.post("/first-steps/dismiss")
    assert dismissed.headers["location"] == "/sequences"
    assert "Welcome to Segue" not in (await viewer.get("/sequences")).text
    assert "Welcome to Segue" in (await admin.get("/sequences")).text
    await admin.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(one)]})
    assert "Welcome to Segue" not in (await admin.get("/sequences")).text


async def test_single_keys_are_turned_off_for_one_user(browse: Browse) -> None:
    viewer, member = await browse(Role.VIEWER), await browse(Role.MEMBER)
    assert "data-no-keys" not in (await viewer.get("/contacts")).text
    off = await viewer.post("/settings/account/keyboard", data={})
    assert off.headers["location"] == "/settings/account"
    account = (await viewer.get("/settings/account")).text
    assert "data-no-keys" in account
    assert "Single-key shortcuts are off." in account
    assert "data-no-keys" not in (await member.get("/contacts")).text
    await viewer.post("/settings/account/keyboard", data={"single_keys": "true"})
    assert "data-no-keys" not in (await viewer.get("/contacts")).text


async def test_errors_are_shown_in_the_frame_to_whoever_is_signed_in(browse: Browse) -> None:
    member, nobody = await browse(Role.MEMBER), await browse(None)
    for path, status in (
        ("/nowhere", 404),
        ("/contacts/6f1e8a52-3c1f-4b8e-9a55-0d3f5b1cffff", 404),
        ("/settings/users", 403),
        ("/contacts/nonsense", 422),
    ):
        answer = await member.get(path)
        assert answer.status_code == status, path
        assert 'aria-label="Main"' in answer.text, path
        assert "Go to the home page" in answer.text, path
    there = await nobody.get("/nowhere")
    assert there.status_code == 404
    assert 'aria-label="Main"' not in there.text
    assert "Page not found" in there.text
