"""The pages of conversations: the list, the texts, replying."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from domain.messaging.ports import Attachment
from domain.statuses.access import Role
from domain.statuses.messaging import ConversationState
from services.factory import Services
from storage.platform.database import Database
from tests.api.conftest import FakeGateway
from tests.api.pages.conftest import Browse
from tests.kits import pictures
from tests.kits.talks import PHONE, person, said
from tests.worlds import World, ongoing

HTMX = {"HX-Request": "true"}


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def bubbles(html: str) -> list[UUID]:
    return [UUID(one) for one in re.findall(r'id="text-([0-9a-f-]+)"', html)]


async def test_latest_inbound_conversation_is_first_and_unanswered(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    bob = await person(world, "Bob", "+12125550102")
    await said(world, ada, "Hello", inbound=False)
    await said(world, bob, "Are you there?")
    page = await member.get("/conversations", params={"only": "all"})
    assert page.status_code == 200
    assert re.findall(r'<li id="talk-([0-9a-f-]+)"', page.text) == [str(bob), str(ada)]
    assert page.text.count("is-unanswered") == 1
    unanswered = await member.get("/conversations", headers=HTMX)
    assert "<html" not in unanswered.text
    assert str(bob) in unanswered.text
    assert str(ada) not in unanswered.text
    nobody = await member.get("/conversations", params={"search": "zed"})
    assert "No matches" in nobody.text


async def test_reaction_is_a_mark_and_can_be_marked_as_a_persons(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    ada = await person(world)
    ours = await said(world, ada, "Free at five?", inbound=False)
    liked = 'Liked "Free at five?"'
    text_id = await said(world, ada, liked, kind="reaction", about_id=ours)
    page = f"/conversations/{ada}"
    shown = (await member.get(page)).text
    assert "\N{THUMBS UP SIGN}" in shown
    assert "a reaction" in shown
    path = f"/conversations/texts/{text_id}/human"
    assert path in shown
    assert path not in (await viewer.get(page)).text
    assert 'class="talks-row is-unanswered"' not in shown
    done = await member.post(path, headers=HTMX)
    assert "texts-changed" in done.headers["HX-Trigger"]
    shown = (await member.get(page)).text
    assert "a reaction" not in shown
    assert 'class="talks-row is-unanswered"' in shown


async def test_empty_list_says_how_to_fill_it(world: World, member: httpx.AsyncClient) -> None:
    assert "Nothing needs a reply" in (await member.get("/conversations")).text
    everybodys = await member.get("/conversations?only=all&owner=all")
    assert "Enroll contacts in a sequence" in everybodys.text


async def test_filters_change_the_address_and_keep_the_conversation(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    await said(world, ada, "Hello")
    asked = {"search": "ada", "only": "all", "open": str(ada)}
    typed = await member.get(
        "/conversations", params=asked, headers={**HTMX, "HX-Trigger": "filters"}
    )
    assert typed.headers["HX-Replace-Url"] == f"/conversations/{ada}?search=ada&only=all"
    polled = await member.get("/conversations", params=asked, headers=HTMX)
    assert "HX-Replace-Url" not in polled.headers
    assert 'aria-current="true"' in polled.text


async def test_texts_are_escaped_and_show_their_outcome(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world, "<script>alert(1)</script>")
    await said(world, ada, "<b>Hi</b>")
    await said(world, ada, "Lost", inbound=False, status="undelivered", error_code=30003)
    await said(world, ada, "Perhaps", inbound=False, status="unknown")
    page = await member.get(f"/conversations/{ada}")
    assert "<script>alert" not in page.text
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page.text
    assert "Not delivered" in page.text
    assert "(30003)" in page.text
    assert "Not confirmed" in page.text
    part = await member.get(f"/conversations/{ada}", headers=HTMX)
    assert "<html" not in part.text
    assert "talks-filters" not in part.text


async def test_only_pictures_at_https_addresses_are_linked(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    addresses = (
        "https://api.twilio.com/picture",
        "http://example.com/picture",
        "javascript:alert(1)",
        "data:text/html,x",
    )
    text_id = await said(world, ada, "Look")
    await world.run(
        "UPDATE messages SET media_urls = to_jsonb(CAST(:urls AS text[])) WHERE id = :id",
        urls=list(addresses),
        id=text_id,
    )
    page = (await member.get(f"/conversations/{ada}")).text
    assert f'href="{addresses[0]}"' in page
    for address in addresses[1:]:
        assert address not in page
    assert page.count("which is not at an https address") == 3


async def test_pictures_are_shown_from_here_and_from_the_provider_alone(
    world: World, member: httpx.AsyncClient, anonymous: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    """The provider is asked with the account's password, so for nothing but the account's files."""
    ada = await person(world)
    at = f"https://api.twilio.com/2010-04-01/Accounts/AC{'0' * 32}/Messages/MM1/Media/ME"
    picture = pictures.plain()
    gateway.files = {
        f"{at}1": Attachment(picture, "text/html"),
        f"{at}2": Attachment(b"<script>", "text/vcard; charset=utf-8"),
    }
    sent = await member.post("/api/media", files={"file": picture})
    ours = sent.json()["url"]
    theirs = [f"{at}1", f"{at}2", f"{at}3", at.replace("AC0", "AC1"), f"{at}/../x", ours]
    text_ids = [
        await said(world, ada, "Look"),
        await said(world, ada, "Look", inbound=False),
    ]
    for text_id, urls in zip(text_ids, (theirs, [ours, f"{at}1"]), strict=True):
        await world.run(
            "UPDATE messages SET media_urls = to_jsonb(CAST(:urls AS text[])) WHERE id = :id",
            urls=urls,
            id=text_id,
        )

    page = (await member.get(f"/conversations/{ada}")).text
    through = f"/conversations/texts/{text_ids[0]}/pictures"
    small = urlsplit(ours).path.replace(".png", "/thumbnail.webp")
    assert re.findall(r'<img src="([^"]+)"', page) == [
        *(f"{through}/{number}" for number in (1, 2, 3)),
        small,
        small,
    ]

    shown = await member.get(f"{through}/1")
    assert (shown.content, shown.headers["content-type"]) == (picture, "image/png")
    assert shown.headers["cache-control"] == "no-store"
    saved = await member.get(f"{through}/2")
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"] == 'attachment; filename="file-2.vcf"'
    by_api = f"/api/messages/{text_ids[0]}/media"
    same = await member.get(f"{by_api}/1")
    assert (same.content, same.headers["content-type"]) == (picture, "image/png")
    statuses = {
        f"{through}/3": 404,  # no longer at the provider
        f"{through}/7": 404,
        f"{through}/0": 422,
        f"{by_api}/7": 404,
        f"{by_api}/0": 422,
        f"/conversations/texts/{text_ids[1]}/pictures/2": 404,
        f"/conversations/texts/{uuid4()}/pictures/1": 404,
    }
    for path, status in statuses.items():
        assert (await member.get(path)).status_code == status, path
    assert (await anonymous.get(f"{through}/1")).status_code == 303
    gateway.files = None
    assert (await member.get(f"{through}/1")).status_code == 503


async def test_earlier_texts_come_page_by_page_and_the_latest_by_themselves(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    texts = [await said(world, ada, f"Text {number}") for number in range(70)]
    page = (await member.get(f"/conversations/{ada}")).text
    assert bubbles(page) == texts[20:]
    earlier = re.search(r'hx-get="([^"]+/earlier[^"]+)"', page)
    assert earlier is not None
    before = (await member.get(earlier[1], headers=HTMX)).text
    assert bubbles(before) == texts[:20]
    assert "Show earlier" not in before

    new = await said(world, ada, "News")
    poll = re.search(r'hx-get="([^"]+/texts[^"]*)"', page)
    assert poll is not None
    assert bubbles((await member.get(poll[1], headers=HTMX)).text) == [*texts[20:], new]


async def test_reply_sent_twice_goes_once(world: World, member: httpx.AsyncClient) -> None:
    ada = await person(world)
    await said(world, ada, "Are you there?")
    fields = {"body": "Yes, {{first_name|there}}", "message_id": str(uuid4())}
    for _ in range(2):
        sent = await member.post(f"/conversations/{ada}/reply", data=fields, headers=HTMX)
        assert sent.status_code == 200
        assert sent.headers["HX-Trigger"] == "texts-changed"
        assert f'name="message_id" value="{fields["message_id"]}"' not in sent.text
    texts = await world.rows("SELECT body FROM messages WHERE direction = 'outbound'")
    assert [row.body for row in texts] == ["Yes, Ada"]


async def test_refused_reply_keeps_the_typed_text(world: World, member: httpx.AsyncClient) -> None:
    ada = await person(world)
    fields = {"body": "Hi {{nickname}}", "message_id": str(uuid4())}
    refused = await member.post(f"/conversations/{ada}/reply", data=fields, headers=HTMX)
    assert refused.status_code == 422
    assert "Hi {{nickname}}" in refused.text
    assert fields["message_id"] in refused.text
    assert 'id="error-body"' in refused.text


async def test_contact_opted_out_meanwhile_cannot_be_texted_and_page_says_why(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    await said(world, ada, "Hello")
    path = f"/conversations/{ada}"
    assert "<textarea" in (await member.get(path)).text
    quiet = await member.get(f"{path}/texts", headers=HTMX)
    assert "reply-box" not in quiet.text
    await world.suppress(ada)
    polled = await member.get(f"{path}/texts", headers=HTMX)
    assert 'id="reply-box" hx-swap-oob="outerHTML"' in polled.text
    assert "the number opted out" in polled.text
    assert f'<a href="/contacts/{ada}#may-heading">Remove the opt-out first</a>' in polled.text
    assert 'id="may-heading"' in (await member.get(f"/contacts/{ada}")).text
    assert "<textarea" not in (await member.get(path)).text
    late = await member.post(f"{path}/reply", data={"body": "Hello?"}, headers=HTMX)
    assert late.status_code == 409
    assert "the number opted out" in late.text


async def test_reply_without_a_known_sender_asks_for_one(
    world: World, member: httpx.AsyncClient
) -> None:
    second = await world.sender(uuid4(), "+14155550109")
    ada = await person(world)
    page = await member.get(f"/conversations/{ada}")
    assert f'<option value="{second}"' in page.text
    path = f"/conversations/{ada}/reply"
    without = await member.post(path, data={"body": "Hello"}, headers=HTMX)
    assert without.status_code == 422
    assert 'id="error-sender_id"' in without.text
    sent = await member.post(path, data={"body": "Hello", "sender_id": str(second)}, headers=HTMX)
    assert sent.status_code == 200
    texts = await world.rows("SELECT sender_id FROM messages")
    assert [row.sender_id for row in texts] == [second]


async def test_viewer_reads_and_cannot_reply(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    ada = await person(world)
    await said(world, ada, "Hello")
    page = await viewer.get(f"/conversations/{ada}")
    assert "Hello" in page.text.partition('role="log"')[2]
    assert "<textarea" not in page.text
    reply = {"body": "From me", "message_id": str(uuid4())}
    refused = await viewer.post(f"/conversations/{ada}/reply", data=reply)
    assert refused.status_code == 403
    assert await world.rows("SELECT FROM messages WHERE direction = 'outbound'") == []


async def test_unknown_contact_has_no_conversation(member: httpx.AsyncClient) -> None:
    assert (await member.get(f"/conversations/{uuid4()}")).status_code == 404


async def test_texts_of_unknown_numbers_are_read_and_their_number_is_added(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world, phone="+12125550102")
    await said(world, ada, "From a contact", phone="+12125550102")
    texts = [await said(world, None, f"Text {number}") for number in range(70)]
    everyone = await member.get("/conversations")
    assert "Unknown numbers" in everyone.text
    assert "1 unknown number needs a reply" in everyone.text
    assert "+1 212-555-0101" not in everyone.text.partition('id="talk-list"')[2]
    listed = await member.get("/conversations", params={"only": "unknown"}, headers=HTMX)
    assert re.findall(r'<li id="talk-([0-9a-f-]+)"', listed.text) == [str(texts[0])]
    assert "+1 212-555-0101" in listed.text

    path = f"/conversations/unknown/{texts[0]}"
    assert f'href="{path}?only=unknown"' in listed.text
    page = (await member.get(path, params={"only": "unknown"})).text
    assert bubbles(page) == texts[20:]
    assert "<textarea" not in page
    assert 'aria-current="true"' in page
    earlier = re.search(r'hx-get="([^"]+/earlier[^"]+)"', page)
    assert earlier is not None
    assert bubbles((await member.get(earlier[1], headers=HTMX)).text) == texts[:20]
    new = await said(world, None, "News")
    poll = re.search(r'hx-get="([^"]+/texts[^"]*)"', page)
    assert poll is not None
    assert bubbles((await member.get(poll[1], headers=HTMX)).text) == [*texts[20:], new]

    add = re.search(r'href="(/contacts/new[^"]+)"', page)
    assert add is not None
    assert f'value="{PHONE}"' in (await member.get(add[1])).text
    fields = {"first_name": "Bob", "phone": PHONE}
    added = await member.post("/contacts/new", data=fields)
    bob = added.headers["Location"].rpartition("/")[2]
    assert (await member.get(path)).headers["Location"] == f"/conversations/{bob}"
    gone = await member.get(poll[1], headers=HTMX)
    assert gone.headers["HX-Redirect"] == f"/conversations/{bob}"
    assert "News" in (await member.get(f"/conversations/{bob}")).text
    nobody = await member.get("/conversations", params={"only": "unknown"})
    assert "No unknown numbers" in nobody.text


async def test_open_conversation_stays_as_filters_change(
    world: World, member: httpx.AsyncClient
) -> None:
    text_id = await said(world, None, "Hello")
    asked = {"search": "212", "only": "unknown", "number": str(text_id)}
    typed = await member.get(
        "/conversations", params=asked, headers={**HTMX, "HX-Trigger": "filters"}
    )
    where = f"/conversations/unknown/{text_id}?search=212&only=unknown"
    assert typed.headers["HX-Replace-Url"] == where
    assert 'aria-current="true"' in typed.text
    nobody = await member.get("/conversations", params={"only": "unknown", "search": "999"})
    assert "No matches" in nobody.text
    assert (await member.get(f"/conversations/unknown/{uuid4()}")).status_code == 404


async def test_viewer_cannot_add_unknown_number(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    text_id = await said(world, None, "Hello")
    page = await viewer.get(f"/conversations/unknown/{text_id}")
    assert "Hello" in page.text
    assert "Add as contact" not in page.text


def handled(html: str) -> str:
    """The controls of a conversation's head."""
    found = re.search(r'<div class="thread-handling".*', html, re.DOTALL)
    assert found is not None
    return found[0]


async def test_inbox_opens_on_what_waits_for_the_user(
    world: World, browse: Browse, services: Services
) -> None:
    """The number in the menu is that of the list, and tells who wrote last."""
    member = await browse(Role.MEMBER)
    me = await services.users.by_email("member@example.com")
    assert me is not None
    people = {
        name: await person(world, name, f"+1212555010{number}")
        for number, name in enumerate(("Ada", "Bob", "Cid", "Dee"), start=1)
    }
    for name in ("Ada", "Bob", "Cid"):
        await said(world, people[name], f"I am {name}")
    await said(world, people["Dee"], "Hello", inbound=False)
    await services.inbox.change(people["Ada"], {"owner_id": me.id})
    await services.inbox.change(people["Cid"], {"owner_id": world.user_id})

    async def listed(**query: str) -> set[str]:
        html = (await member.get("/conversations", params=query)).text
        ids = set(re.findall(r'<li id="talk-([0-9a-f-]+)"', html))
        return {name for name, one in people.items() if str(one) in ids}

    assert await listed() == {"Ada", "Bob"}
    assert await listed(owner="me") == {"Ada"}
    assert await listed(owner="none") == {"Bob"}
    assert await listed(owner="all") == {"Ada", "Bob", "Cid"}
    assert await listed(owner=str(world.user_id)) == {"Cid"}
    assert await listed(owner="all", only="all") == set(people)
    count = (await member.get("/conversations/count", headers=HTMX)).text
    assert 'data-replies="2"' in count
    assert 'data-from="Bob"' in count
    assert "I am Bob" not in count
    await services.inbox.change(people["Ada"], {"state": ConversationState.DONE})
    await services.inbox.change(people["Bob"], {"state": ConversationState.DONE})
    assert await listed() == set()
    assert not (await member.get("/conversations/count", headers=HTMX)).text.strip()


async def test_conversation_is_snoozed_and_taken_back(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    await said(world, ada, "Are you there?")
    page = f"/conversations/{ada}"
    offered = handled((await member.get(page)).text)
    assert re.search("Tomorrow, 9:00 am", offered, re.IGNORECASE)
    until = re.findall(r"hx-vals='({\"snoozed_until\": [^']+})'", offered)
    snoozed = await member.post(
        f"{page}/handling", data=json.loads(html.unescape(until[-1])), headers=HTMX
    )
    assert "Ada snoozed until" in snoozed.text
    assert snoozed.headers["HX-Trigger-After-Swap"] == "texts-changed"
    assert "Snoozed until" in handled((await member.get(page)).text)
    assert str(ada) not in (await member.get("/conversations")).text
    assert str(ada) in (await member.get("/conversations?only=snoozed")).text
    again = await member.post(f"{page}/handling", data={"state": "open"}, headers=HTMX)
    assert "Snoozed until" not in again.text
    past = await member.post(
        f"{page}/handling", data={"snoozed_until": "2020-01-01T09:00"}, headers=HTMX
    )
    assert past.status_code == 422
    assert "The time is in the past" in past.text


async def test_head_shows_sequences_and_ends_them_and_adds_to_a_group(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    ada = await person(world)
    sequence = await world.active(steps=[ongoing("Hi", 60)], name="Night shift")
    enrolled = {"contact_ids": [str(ada)]}
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json=enrolled)
    group = (await member.post("/api/groups", json={"name": "Nurses"})).json()
    page = f"/conversations/{ada}"
    head = handled((await member.get(page)).text)
    assert "Night shift" in head
    assert "Active</span>" in head
    to_group = f"/contacts/act/add-to-group?contact={ada}"
    seen = (await viewer.get(page)).text
    for act in (f"{page}/finish", to_group, f"{page}/notes/new"):
        assert f'hx-get="{act}"' in head
        assert act not in seen
    assert f'hx-get="{page}/opt-out"' in head

    asked = await member.get(f"{page}/finish", headers=HTMX)
    assert "Night shift, 0 of 1 sent" in asked.text
    done = await member.post(f"{page}/finish", headers=HTMX)
    assert "Marked finished in 1 sequence." in done.text
    head = handled((await member.get(f"{page}/handling", headers=HTMX)).text)
    assert "Finished, stopped</span>" in head
    assert f"{page}/finish" not in head

    added = await member.post(to_group, data={"group_id": group["id"]}, headers=HTMX)
    assert added.status_code == 200
    members = (await member.get(f"/api/groups/{group['id']}/members")).json()["items"]
    assert [one["id"] for one in members] == [str(ada)]


async def test_notes_stand_where_they_were_written_and_only_their_author_deletes_them(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    ada = await person(world)
    page = f"/conversations/{ada}"
    texts = [await said(world, ada, f"Text {number}") for number in range(60)]
    added = await member.post(
        f"{page}/notes", data={"body": "<b>Prefers</b>\nmornings"}, headers=HTMX
    )
    assert "Note added." in added.text
    last = await said(world, ada, "The last word")
    blank = await member.post(f"{page}/notes", data={"body": " "}, headers=HTMX)
    assert blank.status_code == 422
    assert 'id="error-note"' in blank.text
    shown = (await member.get(page)).text
    [note] = re.findall(r'id="note-([0-9a-f-]+)"', shown)
    assert "&lt;b&gt;Prefers&lt;/b&gt;\nmornings" in shown
    places = [shown.index(f'id="{one}"') for one in (f"text-{texts[-1]}", f"note-{note}")]
    assert places == sorted(places)
    assert shown.index(f'id="text-{last}"') > places[1]
    earlier = re.search(r'hx-get="([^"]+/earlier[^"]+)"', shown)
    assert earlier is not None
    assert note not in (await member.get(earlier[1], headers=HTMX)).text
    polled = await member.get(f"{page}/texts?first={texts[-1]}", headers=HTMX)
    assert note in polled.text

    delete = f"{page}/notes/{note}/delete"
    assert delete in shown
    await world.run("UPDATE contact_notes SET author_id = :id", id=world.user_id)
    assert delete not in (await member.get(page)).text
    assert (await member.post(delete, headers=HTMX)).status_code == 403
    assert "Prefers" in (await admin.get(delete, headers=HTMX)).text
    assert "Note deleted." in (await admin.post(delete, headers=HTMX)).text
    assert note not in (await member.get(page)).text


async def test_saved_replies_are_filled_in_for_the_contact(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    ada = await person(world)
    await member.post(
        "/api/fields", json={"key": "start_date", "label": "Start date", "type": "date"}
    )
    for fields in (
        {"name": "Directions", "body": "Hi {{first_name|there}}, we are at 12 Main St"},
        {"name": "Start", "body": "You start on {{start_date}}", "whose": "own"},
    ):
        made = await member.post("/settings/saved-replies", data=fields, headers=HTMX)
        assert f"{fields['name']} created." in made.text
    path = f"/conversations/{ada}/saved-replies"
    found = (await member.get(path, headers=HTMX)).text
    assert re.findall(r'data-text="([^"]*)"', found) == [
        "Hi Ada, we are at 12 Main St",
        "You start on {{start_date}}",
    ]
    assert re.findall(r'data-missing="([^"]*)"', found) == ["Start date"]
    others = (await admin.get(path, headers=HTMX)).text
    assert re.findall(r'data-name="([^"]*)"', others) == ["directions"]
    unfilled = {"body": "You start on {{start_date}}", "message_id": str(uuid4())}
    refused = await member.post(f"/conversations/{ada}/reply", data=unfilled, headers=HTMX)
    assert refused.status_code == 422


async def test_reply_at_night_says_so_and_offers_the_next_good_time(
    world: World, member: httpx.AsyncClient
) -> None:
    """A contact in whose zone it is night now, whatever hour it is here."""
    ada = await person(world, "Zoë Quill")
    now = datetime.now(UTC)
    zones = {(now + timedelta(hours=one)).hour: -one for one in range(-11, 13)}
    page = f"/conversations/{ada}"

    async def at_hour(hour: int) -> str:
        offset = zones[hour]
        await world.run(
            "UPDATE contacts SET time_zone = :zone",
            zone=f"Etc/GMT{offset:+d}" if offset else "Etc/GMT",
        )
        return (await member.get(page)).text

    night = await at_hour(2)
    assert re.search(r"It\Ws [23]:\d\d (am|AM) for Zoë\.", night)
    offered = re.search(r'id="send-later-menu".*?</div>\n</div>', night, re.DOTALL)
    assert offered is not None
    times = re.findall(r">(In 1 hour|Tomorrow), (\d+):\d\d (?:AM|am)<", offered[0])
    assert times[0] in {("In 1 hour", "3"), ("In 1 hour", "4")}, "by Zoë's clock"
    assert times[1:] == [("Tomorrow", "9")]
    later = re.search(r'name="send_next" value="([^"]+)"', night)
    assert later is not None
    opens = datetime.fromisoformat(later[1])
    assert timedelta(hours=6) < opens - now <= timedelta(hours=10)
    submits = re.findall(r'<button type="submit"[^>]*>', night[night.index('<form id="reply"') :])
    assert ["send_next" in one for one in submits[:2]] == [False, True], "Enter presses the first"
    sent = await member.post(
        f"{page}/reply",
        data={"body": "Good morning", "send_next": later[1], "send_at": "2030-01-01T09:00"},
        headers=HTMX,
    )
    assert sent.status_code == 200
    said = re.search(r"Reply scheduled for ([^<]+\))\.", sent.text)
    assert said is not None
    [text] = await world.rows(
        "SELECT id, send_at, status FROM messages WHERE body = 'Good morning'"
    )
    assert (text.send_at, text.status) == (opens, "pending")
    assert f'hx-post="/conversations/texts/{text.id}/cancel"' in sent.text
    shown = (await member.get(page)).text
    assert f"Reply scheduled for {said[1]}" in handled(shown), "by the same clocks everywhere"
    assert re.search(rf">Scheduled</a> for {re.escape(said[1])}<", shown)
    assert '<a href="tel:+' in shown
    late = re.compile(r"for Zoë\.|btn-sm\" name=\"send_next\"")
    assert late.search(night)
    assert not late.search(await at_hour(13))
    assert not late.search((await member.get(f"{page}/hours", headers=HTMX)).text)
