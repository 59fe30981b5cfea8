"""Actions on contacts: selected in a list or a group, on their own page, after an import."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from services.factory import Services
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX
from tests.worlds import World, ongoing

ACT = "/contacts/act"


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def only(*ids: UUID) -> dict[str, list[str]]:
    return {"contact": [str(one) for one in ids]}


async def undo(member: httpx.AsyncClient, done: httpx.Response) -> str:
    """Press the button of the message; return the next message."""
    path = re.search(r'hx-post="(/jobs/[^"]+/undo)"', done.text)
    assert path is not None, done.text
    answer = await member.post(path[1], headers=HTMX)
    assert answer.headers["HX-Trigger"] == "close-dialog, contacts-changed"
    return words(answer.text)


async def test_selected_contacts_are_added_assigned_and_taken_back(
    world: World, member: httpx.AsyncClient
) -> None:
    ids = await world.contacts(60)
    page = (await member.get("/contacts")).text
    assert page.count('name="contact" value=') == 50
    assert 'data-matching="60" data-many="60"' in page
    asked = words((await member.get(f"{ACT}/add-to-group", params=only(*ids[:4]))).text)
    assert "4 people : Ann0 Lee, Ann1 Lee, Ann2 Lee and 1 other" in asked
    neither = await member.post(f"{ACT}/add-to-group", params=only(ids[0]), headers=HTMX)
    assert (neither.status_code, "Name the new group." in neither.text) == (422, True)

    form = {"new_group": "Nights"}
    done = await member.post(f"{ACT}/add-to-group", params=only(*ids[:4]), data=form, headers=HTMX)
    assert "4 added to the group." in words(done.text)
    assert done.headers["HX-Trigger"] == "close-dialog, contacts-changed"
    [group] = (await member.get("/api/groups")).json()["items"]
    assert "4 removed from the group." in await undo(member, done)

    everyone = {"everyone": "true", "search": "ann1"}
    assert "11 people" in words((await member.get(f"{ACT}/assign", params=everyone)).text)
    me = (await member.get("/api/me")).json()["id"]
    missing = await member.post(f"{ACT}/assign", params=everyone, data={"owner_id": ""})
    assert missing.status_code == 422
    done = await member.post(f"{ACT}/assign", params=everyone, data={"owner_id": me}, headers=HTMX)
    assert "11 assigned." in words(done.text)
    owned = "SELECT count(*) FROM contacts WHERE owner_id IS NOT NULL"
    assert (await world.rows(owned))[0].count == 11
    mine = (await member.get("/contacts", params={"owner": me})).text
    assert mine.count('name="contact" value=') == 11
    assert "11 assigned." in await undo(member, done)
    assert (await world.rows(owned))[0].count == 0

    path = f"/groups/{group['id']}"
    await member.post(f"{ACT}/add-to-group", params=only(*ids[:3]), data={"group_id": group["id"]})
    members = (await member.get(path)).text
    assert members.count('name="contact" value=') == 3
    assert f'name="of_group" value="{group["id"]}"' in members
    whole = {"everyone": "true", "of_group": group["id"], "search": "ann1"}
    done = await member.post(f"{ACT}/remove-from-group", params=whole, headers=HTMX)
    assert "1 removed from the group." in words(done.text)
    assert "1 added to the group." in await undo(member, done)
    astray = await member.post(f"{ACT}/remove-from-group", params=only(ids[0]), headers=HTMX)
    assert astray.status_code == 422


async def test_opting_out_shows_what_ends_and_asks_for_the_reason(
    world: World, member: httpx.AsyncClient
) -> None:
    active, gone = await world.contacts(2)
    await world.suppress(gone)
    sequence = await world.active()
    await member.post(
        f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(active)]}
    )
    path, both = f"{ACT}/opt-out", only(active, gone)
    asked = words((await member.get(path, params=both, headers=HTMX)).text)
    assert "1 active enrollment ends now" in asked
    assert "1 already opted out (unchanged)." in asked
    blank = await member.post(path, params=both, data={"reason": " "}, headers=HTMX)
    assert blank.status_code == 422
    assert 'id="error-reason"' in blank.text
    done = await member.post(path, params=both, data={"reason": "Rang us"}, headers=HTMX)
    assert "1 opted out" in words(done.text)
    assert "data-undo" not in done.text
    assert "Rang us" in (await member.get(f"/contacts/{active}")).text


async def test_enrolling_leads_to_the_preview_from_wherever_people_are(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    one, *others = ids = await world.contacts(4)
    group_id = await world.group(others)
    sequence, paused = await world.active(), await world.active(name="Later")
    await member.post(f"/api/sequences/{paused.id}/pause")
    await world.draft(name="Not yet")
    path = f"{ACT}/enroll"
    asked = (await member.get(path, params=only(one), headers=HTMX)).text
    assert str(sequence.id) in asked
    assert str(paused.id) in asked
    assert "Not yet" not in asked
    unchosen = await member.post(path, params=only(one), headers=HTMX)
    assert (unchosen.status_code, "Sequence is missing" in words(unchosen.text)) == (422, True)

    file = {"file": ("people.csv", "phone,last_name\n+14155550123,Ada\n", "text/csv")}
    its_page = (await member.post("/contacts/import", files=file)).headers["location"]
    columns = {"column": ["phone", "last_name"], "region": "US"}
    checking = (await member.post(f"{its_page}/check", data=columns, headers=HTMX)).text
    [check_id] = re.findall(r"/jobs/([0-9a-f-]{36})/", checking)[:1]
    job_id = its_page.rpartition("/")[2]
    for one_job in (check_id, job_id):
        if one_job == job_id:
            confirmed = await member.post(its_page, data={**columns, "confirm": check_id})
            assert confirmed.status_code == 303
        while (await services.jobs.run_chunk(UUID(one_job))).more:
            pass
    imported = await member.get(its_page, headers=HTMX)
    assert "Enroll this contact" in words(imported.text)
    assert f"{path}?imported={job_id}" in imported.text
    assert f"{path}?contact={one}" in (await member.get(f"/contacts/{one}")).text
    group_path = f"{path}?everyone=true&amp;of_group={group_id}"
    assert group_path in (await member.get(f"/groups/{group_id}")).text

    chosen = {"sequence_id": str(sequence.id)}
    for whom, way, count in (
        (only(one), "contacts", 1),
        ({"everyone": "true", "of_group": str(group_id)}, "group", 3),
        ({"everyone": "true", "search": "ann"}, "list", 4),
        ({"everyone": "true"}, "list", 5),
        ({"imported": str(job_id)}, "import", 1),
    ):
        number = f"{count} {'person' if count == 1 else 'people'}"
        assert number in words((await member.get(path, params=whom, headers=HTMX)).text)
        gone = await member.post(path, params=whom, data=chosen, headers=HTMX)
        address = gone.headers["HX-Redirect"]
        assert parse_qs(urlsplit(address).query)["way"] == [way]
        page = (await member.get(address)).text
        assert 'hx-trigger="load, submit"' in page
        form = page.partition('id="enroll-form"')[2].partition("</form>")[0]
        fields: dict[str, list[str]] = {}
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
            fields.setdefault(name, []).append(unescape(value))
        if way == "group":
            fields["group_id"] = re.findall(r'<option value="([^"]+)" selected', form)
        checked = await member.post(
            f"/sequences/{sequence.id}/enrol/check", data=fields, headers=HTMX
        )
        assert f"{number} will be texted" in words(checked.text), way
    assert ids


async def test_all_that_match_are_those_who_were_shown(
    world: World, member: httpx.AsyncClient
) -> None:
    await world.contacts(5)
    sequence = await world.active()
    begun = await member.post(
        f"/sequences/{sequence.id}/enrol", data={"way": "list", "matching": "everyone=true"}
    )
    assert begun.status_code == 303
    await world.contacts(1, first_name="Late")
    everyone = {"way": "list", "matching": "everyone=true", "previewed": "5"}
    grown = await member.post(f"/sequences/{sequence.id}/enrol", data=everyone)
    assert grown.status_code == 409
    assert "More contacts match now than you were shown: 6 instead of 5." in words(grown.text)
    assert "&#34;previewed&#34;: 6" in grown.text
    of_all = f"{ACT}/assign?everyone=true"
    assert 'name="shown" value="6"' in (await member.get(of_all, headers=HTMX)).text
    mine = {"owner_id": "nobody", "shown": "5"}
    refused = await member.post(of_all, data=mine, headers=HTMX)
    assert (refused.status_code, 'name="shown" value="6"' in refused.text) == (409, True)
    assert "6 instead of 5" in words(refused.text)
    for wrong in ("group=x", "", "sort=name", "utter nonsense", "search=+", "everyone=yes"):
        for act in ("enrol/check", "enrol"):
            astray = await member.post(
                f"/sequences/{sequence.id}/{act}", data={"way": "list", "matching": wrong}
            )
            assert astray.status_code == 422, wrong
            assert "Your selection is no list of contacts" in words(astray.text)


async def test_selection_is_exported(world: World, member: httpx.AsyncClient) -> None:
    ids = await world.contacts(3)
    text = (await member.get("/api/contacts/export", params=only(*ids[:2]))).text
    assert [line.partition(",")[0] for line in text.splitlines()] == ["first_name", "Ann0", "Ann1"]


async def test_texts_get_the_variables_of_an_enrollment(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    sequence = await world.active(steps=[ongoing("{{first_name|Hi}}: {{job_title}}?", 0)])
    [one] = await world.contacts(1)
    path = f"/sequences/{sequence.id}/enrol"
    page = await member.get(path, params={"contact": str(one)})
    assert "Job title" in words(page.text)
    assert 'name="variable.job_title"' in page.text
    whom = {"way": "contacts", "contact_id": str(one)}
    blank = words((await member.post(f"{path}/check", data=whom, headers=HTMX)).text)
    assert "1 without Job title: the text that uses it waits" in blank
    assert "will be enrolled, without Job title" in blank
    form = {**whom, "variable.job_title": "Welder"}
    told = words((await member.post(f"{path}/check", data=form, headers=HTMX)).text)
    assert "without" not in told
    wrong = await member.post(
        f"{path}/check", data={**whom, "variable.job_title": "Line\nbreak"}, headers=HTMX
    )
    assert wrong.status_code == 422
    assert "Job title contains control characters" in words(wrong.text)
    assert (await member.post(path, data=form, headers=HTMX)).status_code == 204
    job_id = (await services.jobs.find()).items[0].id
    await services.jobs.run_chunk(job_id)
    [row] = await world.rows("SELECT variables FROM enrollments")
    assert row.variables == {"job_title": "Welder"}


async def test_job_page_offers_undo_to_whoever_started_it(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    ids = await world.contacts(1)
    form = {"group_id": str(await world.group())}
    done = await member.post(f"{ACT}/add-to-group", params=only(*ids), data=form, headers=HTMX)
    details = re.search(r'href="(/jobs/[^"]+)">Details', done.text)
    assert details is not None
    assert "/undo" in (await member.get(details[1])).text
    assert "/undo" not in (await admin.get(details[1])).text
    assert (await admin.post(f"{details[1]}/undo", headers=HTMX)).status_code == 404
    assert (await member.post(f"/jobs/{uuid4()}/undo", headers=HTMX)).status_code == 404


async def test_viewer_selects_nobody(world: World, viewer: httpx.AsyncClient) -> None:
    [one] = await world.contacts(1)
    group_id = await world.group([one])
    for path in ("/contacts", f"/groups/{group_id}", f"/contacts/{one}"):
        html = (await viewer.get(path)).text
        assert 'id="toolbar"' not in html
        assert 'name="contact"' not in html
        assert ACT not in html
    assert (await viewer.get(f"{ACT}/opt-out", params=only(one))).status_code == 403
    assert (await viewer.post(f"{ACT}/opt-out", params=only(one))).status_code == 403
