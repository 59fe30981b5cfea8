"""The pages of contacts: search, add, change, import, opt out, erase."""

import re
from uuid import UUID

import httpx
import pytest

from domain.statuses.access import Role
from services.factory import Services
from storage.platform.database import Database
from tests.kits.inbound import receive
from tests.worlds import World

HTMX = {"HX-Request": "true"}


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def listed(html: str) -> list[UUID]:
    return [UUID(one) for one in re.findall(r'<tr id="contact-([0-9a-f-]+)"', html)]


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def test_contacts_are_found_by_name_digits_and_group(
    world: World, member: httpx.AsyncClient
) -> None:
    ids = await world.contacts(3)
    group_id = await world.group(ids[:2])
    everyone = await member.get("/contacts")
    assert listed(everyone.text) == ids
    by_name = await member.get("/contacts", params={"search": "ANN1"}, headers=HTMX)
    assert listed(by_name.text) == [ids[1]]
    assert "<html" not in by_name.text
    by_digits = await member.get("/contacts", params={"search": "212 500 0002"})
    assert listed(by_digits.text) == [ids[2]]
    in_group = await member.get("/contacts", params={"group": str(group_id), "sort": "-name"})
    assert listed(in_group.text) == [ids[1], ids[0]]
    nobody = await member.get("/contacts", params={"search": "zzz"})
    assert "No contacts match your search" in nobody.text


async def test_pages_of_contacts_lead_there_and_back(
    world: World, member: httpx.AsyncClient
) -> None:
    ids = await world.contacts(120)
    path, pages = "/contacts?sort=-created_at", []
    while path:
        html = (await member.get(path)).text
        pages.append(listed(html))
        following = re.search(r'href="([^"]+)"[^>]*>Next', html)
        path = following[1].replace("&amp;", "&") if following else ""
    assert [len(page) for page in pages] == [50, 50, 20]
    assert sorted(one for page in pages for one in page) == sorted(ids)
    previous = re.search(r'href="([^"]+)"[^>]*><svg[^>]*><use[^>]*></svg>Previous', html)
    assert previous is not None
    assert listed((await member.get(previous[1].replace("&amp;", "&"))).text) == pages[1]


async def test_names_are_escaped(world: World, member: httpx.AsyncClient) -> None:
    [one] = await world.contacts(1, first_name="<script>alert(1)</script>", last_name="=1+1")
    group_id = await world.group([one])
    await world.suppress(one)
    for path in ("/contacts", f"/contacts/{one}", f"/contacts/{one}/edit", f"/groups/{group_id}"):
        html = (await member.get(path)).text
        assert "<script>alert" not in html, path
        assert "&lt;script&gt;alert(1)" in html, path
    for path in ("/settings/opt-outs", f"/groups/{group_id}/add", f"/contacts/{one}/opt-out"):
        html = (await member.get(path, headers=HTMX)).text
        assert "<script>alert" not in html, path
        assert "&lt;script&gt;alert(1)" in html, path
    exported = (await member.get("/api/contacts/export")).text
    assert "'=1+1" in exported


async def test_contact_is_added_and_changed(member: httpx.AsyncClient) -> None:
    fields = {"first_name": "Ada", "phone": "(415) 555-0123", "line_type": "mobile"}
    added = await member.post("/contacts/new", data=fields)
    assert added.status_code == 303
    path = added.headers["location"]
    shown = await member.get(path)
    assert "+1 415-555-0123" in shown.text
    assert "Los Angeles time" in shown.text
    fields = {"first_name": "Ada", "last_name": "Byron", "phone": "+14155550123"}
    changed = await member.post(f"{path}/edit", data={**fields, "time_zone": "Europe/London"})
    assert changed.status_code == 303
    contact = (await member.get(f"/api{path}")).json()
    assert (contact["last_name"], contact["time_zone"]) == ("Byron", "Europe/London")
    assert contact["line_type"] is None


async def test_of_two_editors_the_second_is_told_before_anything_is_overwritten(
    world: World, member: httpx.AsyncClient
) -> None:
    [one] = await world.contacts(1, first_name="Ada", last_name="")
    path = f"/contacts/{one}/edit"

    def edition(html: str) -> str:
        return str(re.findall(r'name="edition" value="(\w+)"', html)[0])

    async def save(edition: str, **typed: str) -> httpx.Response:
        fields = {"first_name": "Ada", "phone": phone, **typed, "edition": edition}
        return await member.post(path, data=fields)

    async def values() -> tuple[str, str | None]:
        contact = (await member.get(f"/api/contacts/{one}")).json()
        return contact["last_name"], contact["external_id"]

    phone = (await member.get(f"/api/contacts/{one}")).json()["phone"]
    shown = edition((await member.get(path)).text)
    assert (await save(shown, last_name="Byron")).status_code == 303
    second = await save(shown, external_id="ats-7")
    assert second.status_code == 409
    assert "Someone else changed this contact. Look at their changes" in second.text
    assert 'value="ats-7"' in second.text
    assert await values() == ("Byron", None)
    assert (await save(edition(second.text), external_id="ats-7")).status_code == 303
    assert await values() == ("", "ats-7")


async def test_errors_are_shown_beside_their_fields(member: httpx.AsyncClient) -> None:
    bad = await member.post("/contacts/new", data={"first_name": "Ada", "phone": "12"})
    assert bad.status_code == 422
    assert 'id="error-phone"' in bad.text
    assert 'value="Ada"' in bad.text
    await member.post("/contacts/new", data={"first_name": "Ada", "phone": "+14155550123"})
    twice = await member.post("/contacts/new", data={"first_name": "Bo", "phone": "+14155550123"})
    assert twice.status_code == 409
    holder = (await member.get("/api/contacts")).json()["items"][0]["id"]
    assert f'href="/contacts/{holder}"' in twice.text


async def test_contact_page_shows_groups_sequences_and_evidence(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    [one] = await world.contacts(1)
    group_id = await world.group()
    sequence = await world.active()
    enrolled = await member.post(
        f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(one)]}
    )
    await world.run(
        "UPDATE enrollments SET activity = 'paused', paused_at = now(), paused_reason = 'replied'"
    )
    assert "Paused: replied" in words((await member.get(f"/contacts/{one}")).text)
    chosen = {"group_id": str(group_id)}
    await member.post(f"/contacts/act/add-to-group?contact={one}", data=chosen)
    blank = await member.post(f"/contacts/{one}/opt-out", data={"reason": " "}, headers=HTMX)
    assert blank.status_code == 422
    assert 'id="error-reason"' in blank.text
    done = await member.post(f"/contacts/{one}/opt-out", data={"reason": "Rang us"}, headers=HTMX)
    assert done.headers["HX-Redirect"] == f"/contacts/{one}"
    html = (await member.get(f"/contacts/{one}")).text
    assert f'href="/groups/{group_id}"' in html
    assert f'href="/enrollments/{enrolled.json()["enrolled"][0]["id"]}"' in html
    assert "Omitted Opted Out" in html
    assert "Rang us" in html
    lifting = re.search(r'hx-get="([^"]+/lift)"', html)
    assert lifting is not None
    lifted = await member.post(lifting[1], data={"reason": "Rang again"}, headers=HTMX)
    assert lifted.status_code == 204
    after = words((await member.get(f"/contacts/{one}")).text)
    assert "Can be texted." in after
    assert "Rang again" in after.partition("Removed")[2]
    leaving = re.search(r'hx-post="([^"]+remove-from-group[^"]+)"', html)
    assert leaving is not None
    await member.post(leaving[1].replace("&amp;", "&"), headers=HTMX)
    assert "Not in any group" in (await member.get(f"/contacts/{one}")).text


async def test_opt_out_by_request_is_lifted_by_admins_only(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    [one] = await world.contacts(1)
    await world.suppress(one)
    assert "/lift" not in (await member.get(f"/contacts/{one}")).text
    html = (await admin.get(f"/contacts/{one}")).text
    lifting = re.search(r'hx-get="([^"]+/lift)"', html)
    assert lifting is not None
    refused = await member.post(lifting[1], data={"reason": "Please"}, headers=HTMX)
    assert refused.status_code == 403
    lifted = await admin.post(lifting[1], data={"reason": "They wrote to us"}, headers=HTMX)
    assert lifted.status_code == 204


async def test_erasing_says_what_stays_and_needs_an_admin(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    [one] = await world.contacts(1)
    assert 'id="erase"' not in (await member.get(f"/contacts/{one}")).text
    assert "an opt-out of the number" in (await admin.get(f"/contacts/{one}")).text
    assert (await member.post(f"/contacts/{one}/erase")).status_code == 403
    assert (await admin.post(f"/contacts/{one}/erase")).headers["location"] == "/contacts"
    assert (await admin.get(f"/contacts/{one}")).status_code == 404


async def test_viewer_sees_no_actions(world: World, viewer: httpx.AsyncClient) -> None:
    [one] = await world.contacts(1)
    group_id = await world.group([one])
    await world.suppress(one)
    for path in ("/contacts", f"/contacts/{one}", "/groups", f"/groups/{group_id}"):
        html = (await viewer.get(path)).text.partition("<main")[2].partition("</main>")[0]
        assert "btn-primary" not in html.replace("btn-primary sheet-only", ""), path
        assert 'method="post"' not in html, path
        assert "hx-post" not in html, path
    assert "/lift" not in (await viewer.get("/settings/opt-outs")).text


async def test_disabled_owner_is_named_but_offered_only_where_they_own(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    gone = await services.users.create(email="g@example.com", role=Role.MEMBER, name="Gone Girl")
    [ada, bob] = await world.contacts(2)
    given = await member.patch(f"/api/contacts/{ada}", json={"owner_id": str(gone.id)})
    assert given.status_code == 200
    await services.users.change(gone.id, {"disabled": True})
    assert "Gone Girl" in (await member.get("/contacts")).text
    assert "Gone Girl" in (await member.get(f"/contacts/{ada}")).text
    assert "Gone Girl" in (await member.get(f"/contacts/{ada}/edit")).text
    assert "Gone Girl" not in (await member.get(f"/contacts/{bob}/edit")).text


async def test_consent_is_recorded_shown_and_seen_revoked(
    world: World, services: Services, member: httpx.AsyncClient
) -> None:
    [one] = await world.numbers(["+12125550101"])
    path = f"/contacts/{one}/consent"
    assert "Record a consent" in (await member.get(path, headers=HTMX)).text
    typed = {"source": "Job fair", "given_at": "2026-11-02", "written": "true"}
    refused = await member.post(path, data=typed, headers=HTMX)
    assert refused.status_code == 422
    assert "Wording is missing; a written consent takes the words" in words(refused.text)
    assert 'value="Job fair"' in refused.text
    recorded = await member.post(path, data={**typed, "wording": "<b>Text me"}, headers=HTMX)
    assert recorded.headers["hx-redirect"] == f"/contacts/{one}"
    html = (await member.get(f"/contacts/{one}")).text
    assert "&lt;b&gt;Text me" in html
    assert "In writing Job fair" in words(html)
    await receive(services, "+12125550101", "STOP")
    shown = words((await member.get(f"/contacts/{one}")).text)
    assert "Revoked Job fair" in shown
    assert "Revoked by their opt-out" in shown
