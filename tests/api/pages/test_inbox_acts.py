"""Working through the inbox: what is put away, what comes next, and what is taken back."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from domain.statuses.access import Role
from domain.statuses.messaging import ConversationState
from services.factory import Services
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX, Browse
from tests.kits.talks import person, said
from tests.worlds import World, ongoing


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def waiting(world: World, *names: str) -> list[UUID]:
    """Add people who wait for a reply, the first of them the longest."""
    found = []
    for number, name in enumerate(names, start=1):
        phone = f"+1212555010{number}"
        found.append(await person(world, name, phone))
        await said(world, found[-1], f"I am {name}", phone=phone)
    return found


def at(path: str) -> dict[str, str]:
    """Make the headers of a part that is asked for by the page at an address."""
    return {**HTMX, "HX-Current-URL": f"https://segue.test{path}"}


def heading(html: str) -> str:
    found = re.search(r'<h2 tabindex="-1" id="thread-heading">([^<]+)</h2>', html)
    assert found is not None, html
    return found[1]


def undo_in(html: str) -> str:
    found = re.search(r'hx-post="([^"]+)"[^>]* data-undo', html)
    assert found is not None, html
    return found[1].replace("&amp;", "&")


def listed(html: str) -> list[str]:
    return re.findall(r'<li id="talk-([0-9a-f-]+)"', html)


async def test_conversation_put_away_makes_room_for_the_next_and_is_taken_back(
    world: World, browse: Browse
) -> None:
    member = await browse(Role.MEMBER)
    ada, bob, cid = await waiting(world, "Ada", "Bob", "Cid")
    here = f"/conversations/{bob}?owner=all"
    done = await member.post(
        f"/conversations/{bob}/handling", data={"state": "done"}, headers=at(here)
    )
    assert heading(done.text) == "Ada"
    assert "Bob is done." in done.text
    assert done.headers["HX-Retarget"] == "#thread"
    assert done.headers["HX-Push-Url"] == f"/conversations/{ada}?owner=all"
    assert done.headers["HX-Trigger-After-Swap"] == "texts-changed"
    assert listed((await member.get("/conversations")).text) == [str(cid), str(ada)]

    here = f"/conversations/{ada}?search=a"
    until = {"snoozed_until": "2100-01-01T09:00"}
    far = await member.post(f"/conversations/{ada}/handling", data=until, headers=at(here))
    assert far.status_code == 422
    assert "HX-Retarget" not in far.headers
    late = await member.post(
        f"/conversations/{ada}/handling", data={"state": "done"}, headers=at(here)
    )
    assert heading(late.text) == "All done", "nobody else whose name has that"
    assert late.headers["HX-Push-Url"] == "/conversations?search=a"

    back = await member.post(undo_in(done.text), headers=at("/conversations?search=a"))
    assert heading(back.text) == "Bob"
    assert "Bob is back in the list." in back.text
    assert back.headers["HX-Push-Url"] == f"/conversations/{bob}?search=a"
    assert listed((await member.get("/conversations")).text) == [str(cid), str(bob)]
    # Other lists stay where they are.
    here = f"/conversations/{cid}?only=open"
    stays = await member.post(
        f"/conversations/{cid}/handling", data={"state": "done"}, headers=at(here)
    )
    assert heading(stays.text) == "Cid"


async def test_text_that_was_not_seen_keeps_the_conversation(world: World, browse: Browse) -> None:
    member = await browse(Role.MEMBER)
    [ada] = await waiting(world, "Ada")
    [seen] = await world.rows("SELECT id FROM messages")
    await said(world, ada, "One more thing")
    path, fields = f"/conversations/{ada}/handling", {"state": "done", "seen": str(seen.id)}
    kept = await member.post(path, data=fields, headers=at(f"/conversations/{ada}"))
    assert "They wrote again meanwhile" in kept.text
    assert "HX-Retarget" not in kept.headers


async def test_contact_opted_out_in_a_conversation_leaves_the_list(
    world: World, browse: Browse
) -> None:
    member = await browse(Role.MEMBER)
    ada, bob = await waiting(world, "Ada", "Bob")
    path, here = f"/conversations/{bob}/opt-out", at(f"/conversations/{bob}")
    asked = (await member.get(path, headers=here)).text
    assert "Opt out Bob?" in asked
    assert re.search(r'name="reason"[^>]* required>\s*Asked by text</textarea>', asked)
    blank = await member.post(path, data={"reason": " "}, headers=here)
    assert blank.status_code == 422
    opted = await member.post(path, data={"reason": "Asked on the phone"}, headers=here)
    assert heading(opted.text) == "Ada"
    assert "Bob is opted out." in opted.text
    assert opted.headers["HX-Trigger"] == "close-dialog"
    assert "data-undo" not in opted.text
    assert listed((await member.get("/conversations")).text) == [str(ada)]
    assert listed((await member.get("/conversations?only=opted_out")).text) == [str(bob)]


async def test_unknown_numbers_are_counted_dismissed_and_opted_out(
    world: World, browse: Browse
) -> None:
    member, viewer = await browse(Role.MEMBER), await browse(Role.VIEWER)
    first = await said(world, None, "Hello 1", phone="+12125550201")
    second = await said(world, None, "Hello 2", phone="+12125550202")
    inbox = (await member.get("/conversations")).text
    assert "2 unknown numbers need a reply" in inbox
    assert 'data-replies="2"' in inbox
    assert 'data-from="+1 212-555-0202"' in (await member.get("/conversations/count")).text
    mine = (await member.get("/conversations?owner=me")).text
    assert "need a reply</span>" not in mine

    path = f"/conversations/unknown/{second}"
    here = f"{path}?only=unknown"
    for reader, may in ((member, True), (viewer, False)):
        shown = (await reader.get(here, headers=HTMX)).text
        assert (f'hx-post="{path}/done"' in shown, f'hx-get="{path}/opt-out"' in shown) == (
            may,
            may,
        )
    done = await member.post(f"{path}/done", data={"seen": str(second)}, headers=at(here))
    assert heading(done.text) == "+1 212-555-0201"
    assert "+1 212-555-0202 is done." in done.text
    assert done.headers["HX-Push-Url"] == f"/conversations/unknown/{first}?only=unknown"
    assert listed((await member.get("/conversations?only=unknown")).text) == [str(first)]
    found = (await member.get("/conversations?only=unknown&search=0202")).text
    assert listed(found) == [str(second)]
    assert "1 unknown number needs a reply" in (await member.get("/conversations")).text

    back = await member.post(undo_in(done.text), headers=at(here))
    assert heading(back.text) == "+1 212-555-0202"
    assert len(listed((await member.get("/conversations?only=unknown")).text)) == 2
    await said(world, None, "Still there?", phone="+12125550202")
    again = await member.post(f"{path}/done", data={"seen": str(second)}, headers=at(here))
    assert "They wrote again meanwhile" in again.text

    assert "Opt out +1 212-555-0202?" in (await member.get(f"{path}/opt-out", headers=HTMX)).text
    opted = await member.post(f"{path}/opt-out", data={"reason": "Asked"}, headers=at(here))
    assert heading(opted.text) == "+1 212-555-0201"
    assert "Opted out" in (await member.get(path)).text
    assert "1 unknown number needs a reply" in (await member.get("/conversations")).text
    short = await said(world, None, "Your code is 1234", phone="22395")
    assert "Opt out" not in (await member.get(f"/conversations/unknown/{short}", headers=HTMX)).text


async def test_conversations_that_are_ticked_are_put_away_and_taken_back(
    world: World, browse: Browse, services: Services
) -> None:
    member, viewer = await browse(Role.MEMBER), await browse(Role.VIEWER)
    ada, bob, cid = await waiting(world, "Ada", "Bob", "Cid")
    page = (await member.get("/conversations")).text
    seen = re.findall(r'name="seen" value="([0-9a-f:-]+)"', page)
    assert [one.partition(":")[0] for one in seen] == [str(cid), str(bob), str(ada)]
    assert page.count('name="contact"') == 3
    assert 'name="contact"' not in (await viewer.get("/conversations")).text
    await said(world, cid, "One more thing", phone="+12125550103")

    ticked = {"contact": [str(ada), str(cid)], "seen": seen}
    done = await member.post("/conversations/act/done", data=ticked, headers=HTMX)
    assert "1 conversation marked done. 1 conversation stayed, as they wrote again" in done.text
    assert "texts-changed" in done.headers["HX-Trigger"]
    assert listed((await member.get("/conversations")).text) == [str(cid), str(bob)]
    back = await member.post(undo_in(done.text), headers=HTMX)
    assert "1 conversation back in the list." in back.text
    assert len(listed((await member.get("/conversations")).text)) == 3
    other = {"contact": [str(ada)], "seen": [f"{ada}:{seen[0].partition(':')[2]}"]}
    refused = await member.post("/conversations/act/done", data=other, headers=HTMX)
    assert refused.status_code == 422
    assert len(listed((await member.get("/conversations")).text)) == 3

    for data in ({**ticked, "snoozed_until": ""}, {"snoozed_until": "2030-01-01T09:00"}):
        refused = await member.post("/conversations/act/snooze", data=data, headers=HTMX)
        assert refused.status_code == 422, data
    offered = re.search(r'act/snooze[^\n]+snoozed_until": "([^"]+)"', page.replace("&#34;", '"'))
    assert offered is not None
    snooze = {"contact": [str(bob)], "snoozed_until": offered[1]}
    snoozed = await member.post("/conversations/act/snooze", data=snooze, headers=HTMX)
    assert "1 conversation snoozed until" in snoozed.text
    until = (await services.inbox.get(bob)).snoozed_until
    assert until == datetime.fromisoformat(offered[1])
    away = {"contact": [str(ada), str(bob)]}
    done = await member.post("/conversations/act/done", data=away, headers=HTMX)
    back = await member.post(undo_in(done.text), headers=HTMX)
    assert "2 conversations as before." in back.text
    assert (await services.inbox.get(bob)).snoozed_until == until
    path = f"/conversations/{bob}"
    done = await member.post(f"{path}/handling", data={"state": "done"}, headers=at(path))
    assert (await services.inbox.get(bob)).state is ConversationState.DONE
    back = await member.post(undo_in(done.text), headers=at(path))
    assert re.search(r"Bob is snoozed until [^.]+ again\.", back.text)
    assert (await services.inbox.get(bob)).snoozed_until == until
    refused = await viewer.post("/conversations/act/done", data=ticked, headers=HTMX)
    assert refused.status_code == 403
    assign = await member.get(f"/contacts/act/assign?contact={ada}&contact={cid}", headers=HTMX)
    assert "2 people" in assign.text


async def test_conversations_are_narrowed_by_sequence_and_group(
    world: World, browse: Browse
) -> None:
    member = await browse(Role.MEMBER)
    ada, bob = await waiting(world, "Ada", "Bob")
    sequence = await world.active(steps=[ongoing("Hi", 60)], name="Night shift")
    enrolled = {"contact_ids": [str(ada)]}
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json=enrolled)
    group = (await member.post("/api/groups", json={"name": "Nurses"})).json()["id"]
    await member.post(f"/api/groups/{group}/members", json={"contact_ids": [str(bob)]})
    page = (await member.get("/conversations", params={"sequence": str(sequence.id)})).text
    assert listed(page) == [str(ada)]
    assert f'value="{sequence.id}" checked' in page
    assert f'href="/conversations/{ada}?sequence={sequence.id}"' in page
    assert listed((await member.get(f"/conversations?group={group}")).text) == [str(bob)]
    both = f"/conversations/{bob}?sequence={sequence.id}&group={group}"
    assert listed((await member.get(both)).text) == []
    done = await member.post(
        f"/conversations/{bob}/handling", data={"state": "done"}, headers=at(both)
    )
    assert heading(done.text) == "All done"
    for wrong in ("sequence=x", "group=x"):
        assert (await member.get(f"/conversations?{wrong}")).status_code == 422
        shown = at(f"/conversations/{ada}?{wrong}")
        assert (await member.post(f"/conversations/{bob}/reopen", headers=shown)).status_code == 200


async def test_numbers_of_the_menu_are_on_the_page_from_the_start(
    world: World, member: httpx.AsyncClient
) -> None:
    await waiting(world, "Ada", "Bob")
    page = (await member.get("/contacts")).text
    assert re.search(r'data-count="count_conversations"[^>]*><span data-replies="2"', page)
    assert 'hx-trigger="load, ' not in page
    nothing = await member.get(f"/contacts/{uuid4()}")
    assert nothing.status_code == 404


async def test_reply_box_offers_pictures_and_later_apart_and_keys_lead_there(
    world: World, member: httpx.AsyncClient
) -> None:
    [ada] = await waiting(world, "Ada")
    page = (await member.get(f"/conversations/{ada}")).text
    assert "Pictures or send later" not in page
    assert re.search(r"<summary[^>]*>.*?Pictures</summary>", page)
    assert re.search(r'popovertarget="send-later-menu"[^>]*>.*?Send later</button>', page)
    thread = page.partition('id="thread"')[2]
    for key in "RDSAN":
        assert thread.count(f'aria-keyshortcuts="{key}"') == 1, key
    assert "<kbd>D</kbd></dt><dd>Mark done" in page
    note = (await member.get(f"/conversations/{ada}/notes/new", headers=HTMX)).text
    assert "<form data-ctrl-enter" in note


async def test_saved_replies_are_shown_with_pills(member: httpx.AsyncClient) -> None:
    await member.post(
        "/api/fields", json={"key": "start_date", "label": "Start date", "type": "date"}
    )
    body = "Hi {{first_name|there}}, you start on {{start_date}}"
    made = await member.post("/api/saved-replies", json={"name": "Start", "body": body})
    page = (await member.get("/settings/saved-replies")).text
    assert "{{" not in page.partition('id="saved-replies-list"')[2]
    assert '<span class="pill">First name · there</span>' in page
    assert '<span class="pill">Start date</span>' in page
    path = f"/settings/saved-replies/{made.json()['id']}/edit"
    form = (await member.get(path, headers=HTMX)).text
    assert 'name="body"' in form
    assert "data-pills" in form
    assert '<option value="start_date" data-fallback="" data-dated>Start date</option>' in form
    assert "Variables, given when you enroll" not in form


async def test_only_schedule_sends_at_the_time_that_is_typed(
    world: World, member: httpx.AsyncClient
) -> None:
    path = f"/conversations/{await person(world, 'Zoë Quill')}"
    move = "UPDATE contacts SET time_zone = :zone"
    await world.run(move, zone="Asia/Tokyo")
    assert 'name="zone" value="Asia/Tokyo"' in (await member.get(path)).text
    typed = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}T09:00"
    wall = {"body": "By their clock", "send_at": typed, "zone": "Asia/Tokyo", "schedule": "yes"}

    async def written(**changed: str) -> tuple[httpx.Response, list[datetime | None]]:
        answer = await member.post(f"{path}/reply", data={**wall, **changed}, headers=HTMX)
        body = changed.get("body", wall["body"])
        rows = await world.rows("SELECT send_at FROM messages WHERE body = :body", body=body)
        return answer, [row.send_at for row in rows]

    _, at_once = await written(body="At once", schedule="")
    assert at_once == [None]
    at_no_time, none = await written(body="Now or never", send_at="")
    assert (at_no_time.status_code, none) == (422, [])
    assert "is missing; choose a date and time" in at_no_time.text
    await world.run(move, zone="Europe/Lisbon")
    moved, none = await written()
    assert (moved.status_code, none) == (422, [])
    assert "time zone is Europe/Lisbon now; check the time" in moved.text
    assert f'value="{typed}"' in moved.text
    assert 'name="zone" value="Europe/Lisbon"' in moved.text
    _, at_typed = await written(zone="Europe/Lisbon")
    there = datetime.fromisoformat(typed).replace(tzinfo=ZoneInfo("Europe/Lisbon"))
    assert at_typed == [there], "as the menu says"


async def test_reply_sent_and_done_leads_to_the_next(world: World, browse: Browse) -> None:
    member = await browse(Role.MEMBER)
    _, bob = await waiting(world, "Ada", "Bob")
    path, here = f"/conversations/{bob}/reply-and-done", at(f"/conversations/{bob}?search=bob")
    shown = (await member.get(f"/conversations/{bob}")).text
    seen = re.search(r'name="seen" value="([^":]+)"', shown[shown.index('id="texts"') :])
    assert seen is not None
    form = {"body": "Yes", "message_id": str(uuid4()), "seen": seen[1]}
    blank = await member.post(path, data={**form, "body": " "}, headers=here)
    assert (blank.status_code, blank.headers.get("HX-Retarget")) == (422, None)
    sent = await member.post(path, data=form, headers=at(f"/conversations/{bob}"))
    assert heading(sent.text) == "Ada"
    assert "Reply sent. Bob is done." in sent.text
    alone = await member.get("/conversations?search=bob", headers=HTMX)
    assert "No matches that need a reply" in alone.text
    assert 'href="/conversations?search=bob&amp;only=all&amp;owner=all">Search all' in alone.text
    await member.post(undo_in(sent.text), headers=here)
    await said(world, bob, "Wait", phone="+12125550102")
    late = await member.post(path, data={**form, "message_id": str(uuid4())}, headers=here)
    assert "They wrote again meanwhile" in late.text
    assert "HX-Retarget" not in late.headers
    texts = await world.rows("SELECT body FROM messages WHERE direction = 'outbound'")
    assert [row.body for row in texts] == ["Yes", "Yes"]


async def test_reply_after_a_colleagues_is_sent_once_it_is_confirmed(
    world: World, browse: Browse
) -> None:
    kim, lee = await browse(Role.MEMBER), await browse(Role.ADMIN)
    [ada] = await waiting(world, "Ada")
    path = f"/conversations/{ada}"

    def last_in(html: str) -> str:
        found = re.search(r'name="last_message_id" value="([^"]*)"', html)
        assert found is not None
        return found[1]

    form = {"body": "Noon?", "last_message_id": last_in((await kim.get(path)).text)}
    theirs = {**form, "body": "At one", "message_id": str(uuid4())}
    for _ in range(2):  # their own, and repeated, asks nothing
        assert (await lee.post(f"{path}/reply", data=theirs, headers=HTMX)).status_code == 200
    form["message_id"] = str(uuid4())
    asked = await kim.post(f"{path}/reply", data=form, headers=HTMX)
    assert asked.status_code == 409
    assert "answered meanwhile" in asked.text
    assert "Noon?" in asked.text
    assert asked.headers["HX-Trigger"] == "texts-changed"
    sql = "SELECT body FROM messages WHERE direction = 'outbound' ORDER BY created_at"
    assert [row.body for row in await world.rows(sql)] == ["At one"]
    again = {**form, "last_message_id": last_in(asked.text)}
    assert (await kim.post(f"{path}/reply", data=again, headers=HTMX)).status_code == 200
    assert [row.body for row in await world.rows(sql)] == ["At one", "Noon?"]
