"""The pages of groups, of opt-outs and of the review list."""

import re

import httpx
import pytest

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


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def test_group_is_created_renamed_and_filled(world: World, member: httpx.AsyncClient) -> None:
    ids = await world.contacts(3)
    assert "No groups yet" in (await member.get("/groups")).text
    made = await member.post("/groups/new", data={"name": "Nurses"}, headers=HTMX)
    path = made.headers["HX-Redirect"]
    taken = await member.post("/groups/new", data={"name": "NURSES"}, headers=HTMX)
    assert taken.status_code == 409
    assert "another group has this name" in taken.text.lower()
    renamed = await member.post(f"{path}/rename", data={"name": "Night shift"}, headers=HTMX)
    assert renamed.headers["HX-Redirect"] == path
    assert "Night shift" in (await member.get("/groups")).text
    found = await member.get(f"{path}/pick", params={"find": "ann2"}, headers=HTMX)
    assert re.findall(r'name="contact_id" value="([^"]+)"', found.text) == [str(ids[2])]
    added = await member.post(f"{path}/add", data={"contact_id": str(ids[2])}, headers=HTMX)
    assert added.headers["HX-Trigger"] == "members-changed"
    numbers = "212 500 0000, +12125000002\n+14155559999; none"
    pasted = await member.post(f"{path}/add-numbers", data={"numbers": numbers}, headers=HTMX)
    assert "1 added, 1 already in the group" in pasted.text
    assert "+14155559999 belongs to no contact" in pasted.text
    members = await member.get(path, params={"search": "ann"}, headers=HTMX)
    assert "2 members" in words(members.text)
    remove = re.search(rf'hx-post="([^"]+contact={ids[0]})"', members.text)
    assert remove is not None
    removed = await member.post(remove[1].replace("&amp;", "&"), headers=HTMX)
    assert "contacts-changed" in removed.headers["HX-Trigger"]
    assert "1 removed from the group." in removed.text
    assert "1 member" in words((await member.get(path, headers=HTMX)).text)


async def test_deleting_a_group_first_shows_its_size(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    [contact_id, _] = ids = await world.contacts(2)
    group_id = await world.group(ids)
    path = f"/groups/{group_id}"
    assert f"{path}/delete" in (await member.get(path)).text
    assert f"{path}/delete" not in (await viewer.get(path)).text
    asked = await member.get(f"{path}/delete", headers=HTMX)
    assert (
        "Its 2 members remain contacts and stay in their sequences. Only the group is deleted."
        in words(asked.text)
    )
    done = await member.post(f"{path}/delete")
    assert done.headers["Location"] == "/groups"
    assert "No groups yet" in (await member.get("/groups")).text
    assert (await member.post(f"{path}/delete")).status_code == 404
    assert (await member.get(path)).status_code == 404
    assert (await member.get(f"/contacts/{contact_id}")).status_code == 200


async def test_deleted_group_in_a_choice_is_refused(
    world: World, member: httpx.AsyncClient
) -> None:
    [contact_id] = await world.contacts(1)
    sequence = await world.active()
    chosen = {"group_id": str(await world.group([contact_id]))}
    await member.post(f"/groups/{chosen['group_id']}/delete")
    gone = await member.post(f"/contacts/act/add-to-group?contact={contact_id}", data=chosen)
    assert gone.status_code == 422
    filtered = await member.get("/contacts", params={"group": chosen["group_id"]})
    assert "No contacts match your search" in filtered.text
    path = f"/sequences/{sequence.id}"
    tab = await member.get(f"{path}/contacts", params={"group": chosen["group_id"]})
    assert tab.status_code == 200
    for address in (f"{path}/enrol/check", f"{path}/enrol"):
        refused = await member.post(address, data={"way": "group", **chosen}, headers=HTMX)
        assert refused.status_code == 422
        assert "The group does not exist" in refused.text


async def test_every_group_can_be_chosen_wherever_one_is(
    world: World, member: httpx.AsyncClient
) -> None:
    [contact_id] = await world.contacts(1)
    sequence = await world.active()
    await world.run(
        "INSERT INTO groups (id, name) SELECT gen_random_uuid(), 'Group ' || n"
        " FROM generate_series(1000, 1204) n"
    )
    [last] = await world.rows("SELECT id FROM groups WHERE name = 'Group 1204'")
    act = f"/sequences/{sequence.id}/contacts/act/add-to-group?everyone=true"
    of_contact = f"/contacts/act/add-to-group?contact={contact_id}"
    for path in (of_contact, act):
        shown = (await member.get(path, headers=HTMX)).text
        assert f'<option value="{last.id}">Group 1204</option>' in shown, path
        assert 'data-narrow="field-group_id" placeholder="Type to search 205"' in shown, path
    enroll = (await member.get(f"/sequences/{sequence.id}/enrol?way=group")).text
    assert f'<option value="{last.id}">Group 1204</option>' in enroll
    filters = (await member.get("/contacts")).text
    assert f'name="group" value="{last.id}"' in filters
    assert 'data-narrow="filter-group"' in filters
    await world.run("DELETE FROM groups WHERE id <> :id", id=last.id)
    assert "data-narrow" not in (await member.get("/contacts")).text


async def test_invalid_numbers_show_errors_beside_the_fields(
    world: World, member: httpx.AsyncClient
) -> None:
    path = f"/groups/{await world.group()}/add-numbers"
    refused = await member.post(path, data={"numbers": " "}, headers=HTMX)
    assert refused.status_code == 422
    assert 'id="error-numbers"' in refused.text


async def test_opt_outs_are_found_with_their_evidence(
    world: World, member: httpx.AsyncClient
) -> None:
    ids = await world.contacts(2)
    await world.suppress(ids[0])
    fields = {"phone": "(212) 555-0199", "reason": "A letter"}
    done = await member.post("/settings/opt-outs/add", data=fields, headers=HTMX)
    assert done.headers["HX-Redirect"] == "/settings/opt-outs"
    everyone = words((await member.get("/settings/opt-outs")).text)
    assert "Texted a keyword" in everyone
    assert "A letter" in everyone
    by_hand = await member.get("/settings/opt-outs", params={"source": "by_hand"}, headers=HTMX)
    assert "Texted a keyword" not in by_hand.text
    lifted = await member.get("/settings/opt-outs", params={"standing": "false"}, headers=HTMX)
    assert "No opt-outs match" in lifted.text
    bad = await member.post("/settings/opt-outs/add", data={**fields, "phone": "1"}, headers=HTMX)
    assert bad.status_code == 422
    assert 'id="error-phone"' in bad.text
    assert "A letter" in bad.text


async def test_reviews_are_decided(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient, services: Services
) -> None:
    ids = await world.contacts(2)
    sequence = await world.active()
    await member.post(
        f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(one) for one in ids]}
    )
    assert "Nothing to review" in (await member.get("/reviews")).text
    await world.run(
        "INSERT INTO messages (id, direction, contact_id, phone, body, status, occurred_at,"
        " created_at) SELECT gen_random_uuid(), 'outbound', id, phone, 'Are you still looking?',"
        " 'delivered', now(), now() - interval '1 hour' FROM contacts WHERE id = :id",
        id=ids[0],
    )
    for index in range(2):
        text = "<b>Hi</b>, please stop texting me until five"
        await receive(services, f"+1212500000{index}", text)
    assert words((await member.get("/reviews/count", headers=HTMX)).text) == "2 to review"
    await world.run("UPDATE reviews SET reason = 'Second reader: <b>tired</b>'")
    page = (await member.get("/reviews")).text
    assert "Second reader: &lt;b&gt;tired&lt;/b&gt;" in page
    assert "&lt;b&gt;Hi&lt;/b&gt;, please stop texting me until five" in page
    assert sequence.name in page
    assert page.count("Are you still looking?") == 1
    assert page.index("Are you still looking?") < page.index("until five", page.index("looking?"))
    for contact_id in ids:
        assert f'href="/conversations/{contact_id}"' in page
    assert "btn-danger" not in page
    assert "decide" not in (await viewer.get("/reviews", headers=HTMX)).text
    newest, oldest = re.findall(r'hx-post="(/reviews/[^"]+/decide)"', page)
    done = await member.post(newest, data={"decision": "opt_out"}, headers=HTMX)
    assert "Ann1 Lee opted out" in done.text
    assert done.headers["HX-Trigger"] == "reviews-changed"
    assert len(re.findall(r'id="review-', done.text)) == 1
    await member.post(oldest, data={"decision": "not_an_opt_out"})
    assert words((await member.get("/reviews/count", headers=HTMX)).text) == ""
    decided = words((await member.get("/reviews?decided=true")).text)
    assert "Opted out" in decided
    assert "Kept texting" in decided
    evidence = words((await member.get(f"/contacts/{ids[1]}")).text)
    assert "Asked in their own words" in evidence
    assert "please stop texting me until five" in evidence
