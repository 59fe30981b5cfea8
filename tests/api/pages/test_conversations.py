"""The pages of conversations: the list, the texts, replying."""

import re
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from domain.messaging.ports import Attachment
from storage.platform.database import Database
from tests.api.conftest import FakeGateway
from tests.kits import pictures
from tests.worlds import World

HTMX = {"HX-Request": "true"}
PHONE = "+12125550101"


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def person(world: World, name: str = "Ada", phone: str = PHONE) -> UUID:
    return (await world.contacts(1, first_name=name, last_name="", phone=phone))[0]


async def said(
    world: World, contact_id: UUID | None, body: str, *, inbound: bool = True, **values: object
) -> UUID:
    """Add a stored text."""
    text_id = uuid4()
    row = {
        "id": text_id,
        "contact_id": contact_id,
        "phone": PHONE,
        "sender_id": world.sender_id,
        "direction": "inbound" if inbound else "outbound",
        "body": body,
        "status": "received" if inbound else "delivered",
        **values,
    }
    names = ", ".join(row)
    await world.run(
        f"INSERT INTO messages ({names}, media_urls, occurred_at)"  # noqa: S608 - names of ours
        f" VALUES ({', '.join(f':{name}' for name in row)}, '{{}}', now())",
        **row,
    )
    return text_id


def bubbles(html: str) -> list[UUID]:
    return [UUID(one) for one in re.findall(r'id="text-([0-9a-f-]+)"', html)]


async def test_latest_inbound_conversation_is_first_and_unanswered(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    bob = await person(world, "Bob", "+12125550102")
    await said(world, ada, "Hello", inbound=False)
    await said(world, bob, "Are you there?")
    page = await member.get("/conversations")
    assert page.status_code == 200
    assert re.findall(r'<li id="talk-([0-9a-f-]+)"', page.text) == [str(bob), str(ada)]
    assert page.text.count("is-unanswered") == 1
    unanswered = await member.get("/conversations", params={"only": "needs_reply"}, headers=HTMX)
    assert "<html" not in unanswered.text
    assert str(bob) in unanswered.text
    assert str(ada) not in unanswered.text
    nobody = await member.get("/conversations", params={"search": "zed"})
    assert "No conversation fits" in nobody.text


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
    assert "Enroll contacts in a sequence" in (await member.get("/conversations")).text


async def test_filters_change_the_address_and_keep_the_conversation(
    world: World, member: httpx.AsyncClient
) -> None:
    ada = await person(world)
    await said(world, ada, "Hello")
    asked = {"search": "ada", "only": "all", "open": str(ada)}
    typed = await member.get(
        "/conversations", params=asked, headers={**HTMX, "HX-Trigger": "talk-filters"}
    )
    assert typed.headers["HX-Replace-Url"] == f"/conversations/{ada}?search=ada"
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
    assert "talk-filters" not in part.text


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
    statuses = {
        f"{through}/3": 404,  # no longer at the provider
        f"{through}/7": 404,
        f"{through}/0": 422,
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
        assert fields["message_id"] not in sent.text
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
    assert "Hello" in page.text
    assert "<textarea" not in page.text
    refused = await viewer.post(f"/conversations/{ada}/reply", data={"body": "Hi"})
    assert refused.status_code == 403


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
    assert "+1 212-555-0101" not in everyone.text
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
        "/conversations", params=asked, headers={**HTMX, "HX-Trigger": "talk-filters"}
    )
    where = f"/conversations/unknown/{text_id}?search=212&only=unknown"
    assert typed.headers["HX-Replace-Url"] == where
    assert 'aria-current="true"' in typed.text
    nobody = await member.get("/conversations", params={"only": "unknown", "search": "999"})
    assert "No conversation fits" in nobody.text
    assert (await member.get(f"/conversations/unknown/{uuid4()}")).status_code == 404


async def test_viewer_cannot_add_unknown_number(
    world: World, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    text_id = await said(world, None, "Hello")
    page = await viewer.get(f"/conversations/unknown/{text_id}")
    assert "Hello" in page.text
    assert "Add as contact" not in page.text
