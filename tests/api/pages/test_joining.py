"""A group's public opt-in page: what carriers ask to see, and what becomes of what is entered."""

import re
from typing import Any

import httpx
import pytest

from domain.statuses.access import Role
from services.factory import Services
from services.suppression import opt_in_pages
from tests.api.pages.conftest import Browse
from tests.kits.inbound import receive
from tests.worlds import World

WORDS = {
    "title": "Texts from <Acme>",
    "wording": "I agree to texts.\nReply STOP to opt out.",
    "terms_url": "https://acme.example.com/terms",
    "slug": "acme",
}
PHONE = "+12125550101"
ANN = {"first_name": "Ann", "last_name": "Lee", "phone": "(212) 555-0101", "agreed": "true"}


@pytest.fixture
async def nobody(browse: Browse, services: Services) -> httpx.AsyncClient:
    """Someone who is not signed in, with a page to look at: of the group Nurses."""
    world = World(services.database)
    await world.found()
    group = await services.groups.create("Nurses")
    await services.opt_in_pages.put(group.id, {**WORDS, "sender_id": world.sender_id})  # type: ignore[typeddict-item]
    return await browse(None)


async def enter(nobody: httpx.AsyncClient, **changed: str) -> httpx.Response:
    """Fill in the page that is shown, and send it."""
    shown = (await nobody.get("/join/acme")).text
    edition = re.search(r'name="edition" value="(\w+)"', shown)
    assert edition is not None, shown
    form = {"edition": edition[1], **ANN, **changed}
    return await nobody.post("/join/acme", data={k: one for k, one in form.items() if one})


async def consents(services: Services) -> list[Any]:
    async with services.database.transaction() as tx:
        sql = "SELECT phone, source, wording, written, user_id, address FROM consents"
        return list(await tx.run(sql))


async def members(services: Services) -> list[Any]:
    async with services.database.transaction() as tx:
        sql = """
            SELECT c.first_name, c.phone, m.added_by FROM group_members m
            JOIN contacts c ON c.id = m.contact_id ORDER BY c.phone
        """
        return list(await tx.run(sql))


async def test_who_agrees_is_a_member_with_a_consent_in_the_words_they_saw(
    nobody: httpx.AsyncClient, services: Services
) -> None:
    shown = await nobody.get("/join/acme")
    assert shown.status_code == 200
    assert "Texts from &lt;Acme&gt;" in shown.text
    assert "I agree to texts." in shown.text
    assert 'href="https://acme.example.com/terms"' in shown.text
    assert "text <strong>START</strong> to <strong>+1 415-555-0100" in shown.text
    assert "checked" not in shown.text, "the box is never ticked beforehand"
    assert "script-src 'self'" in shown.headers["content-security-policy"]
    for _ in range(2):  # again: no second contact, a consent more
        joined = await enter(nobody)
        assert (joined.status_code, joined.headers["location"]) == (303, "/join/acme/joined")
    assert "reply <strong>STOP</strong>" in (await nobody.get("/join/acme/joined")).text
    assert await members(services) == [("Ann", PHONE, None)]
    consent = (PHONE, "Opt-in page: Texts from <Acme>", WORDS["wording"], True, None, "127.0.0.1")
    assert await consents(services) == [consent] * 2

    known = await services.contacts.create({"first_name": "Bo", "phone": "+12125550102"})
    await enter(nobody, first_name="Robert", phone="+1 212 555 0102")
    assert await members(services) == [("Ann", PHONE, None), ("Bo", known.phone, None)]


async def test_what_is_wrong_is_said_and_nothing_is_kept(
    nobody: httpx.AsyncClient, services: Services, browse: Browse
) -> None:
    wrong = await enter(nobody, agreed="", phone="12", first_name="")
    assert wrong.status_code == 422
    assert "First name is blank" in wrong.text
    assert "Mobile number" in wrong.text
    assert "The box is not ticked; tick it if you agree." in wrong.text
    assert 'value="Lee"' in wrong.text
    stale = await enter(nobody, edition="0" * 16)
    assert stale.status_code == 422
    assert "for words that have changed since" in stale.text
    assert "checked" not in stale.text
    for elsewhere in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        crossed = await nobody.post("/join/acme", data=ANN, headers=elsewhere)
        assert crossed.status_code == 403
    assert (await nobody.get("/join/acme-2")).status_code == 404
    assert (await nobody.post("/join/acme-2", data=ANN)).status_code == 404
    assert await members(services) == []
    assert await consents(services) == []


async def test_opted_out_number_is_told_to_text_start_and_not_opted_in(
    nobody: httpx.AsyncClient, services: Services
) -> None:
    await receive(services, PHONE, "STOP")
    told = await enter(nobody)
    assert told.status_code == 409
    assert "This number has opted out of our texts" in told.text
    assert "text START to +1 415-555-0100 from it" in told.text
    assert await members(services) == []
    assert await consents(services) == []
    await receive(services, PHONE, "START")
    assert (await enter(nobody)).status_code == 303
    assert [one.written for one in await consents(services)] == [False, True]


async def test_so_many_from_one_network_address_and_no_more(
    nobody: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opt_in_pages, "_AN_ADDRESS_PER_HOUR", 1)
    assert (await enter(nobody)).status_code == 303
    refused = await enter(nobody, phone="+12125550102")
    assert refused.status_code == 429
    assert "The limit is 1 in 3600 seconds" in refused.text
    assert len(await members(services)) == 1


async def test_admins_write_pages_and_take_them_down(
    nobody: httpx.AsyncClient, services: Services, browse: Browse
) -> None:
    admin, member = await browse(Role.ADMIN), await browse(Role.MEMBER)
    [nurses] = (await services.groups.find()).items
    [sender] = (await services.senders.find()).items
    whole = (await admin.get(f"/groups/{nurses.id}/opt-in-page")).text
    assert f'<option value="{sender.id}" selected>' in whole
    group = await services.groups.create("Cooks")
    path = f"/groups/{group.id}/opt-in-page"
    empty = await admin.get(path)
    assert "Reply STOP to opt out, HELP for help." in empty.text
    assert "View page" not in empty.text
    form = {"title": " ", "wording": "I agree", "terms_url": "acme", "slug": "No Good"}
    refused = await admin.post(path, data=form)
    assert refused.status_code == 422
    for said in ("Title is blank", "is not a web address", "is not an address; use 3 to 60"):
        assert said in refused.text
    suggested = {**WORDS, "slug": "", "wording": "Texts from [Your Company] to me"}
    assert "Wording still says [your company]" in (await admin.post(path, data=suggested)).text
    taken = await admin.post(path, data={**WORDS, "slug": "acme"})
    assert taken.status_code == 409
    assert "another group" in taken.text.lower()
    saved = await admin.post(path, data={**WORDS, "slug": ""})
    assert saved.status_code == 303
    page = await services.opt_in_pages.of_group(group.id)
    assert page is not None
    assert re.fullmatch("[0-9a-f]{16}", page.slug), "nobody guesses it"
    assert (await nobody.get(f"/join/{page.slug}")).status_code == 200
    await admin.post(path, data={**WORDS, "slug": "", "title": "Texts"})
    again = await services.opt_in_pages.of_group(group.id)
    assert again is not None
    assert (again.slug, again.title) == (page.slug, "Texts")
    assert f"https://segue.test/join/{page.slug}" in (await admin.get(path)).text
    for refusing in (await member.get(path), await member.post(f"{path}/delete")):
        assert refusing.status_code == 403
    assert (await admin.post(f"{path}/delete")).status_code == 303
    assert (await nobody.get(f"/join/{page.slug}")).status_code == 404
    await services.groups.remove((await services.groups.find()).items[1].id)
    assert (await nobody.get("/join/acme")).status_code == 404, "it goes with its group"


async def test_pages_are_written_over_the_api(
    there: dict[str, str], admin: httpx.AsyncClient
) -> None:
    [group] = (await admin.get("/api/groups")).json()["items"]
    path = f"/api/groups/{group['id']}/opt-in-page"
    before = (await admin.get(path)).json()
    assert before["address"] == "https://segue.test/join/everyone"
    changed = await admin.put(path, json={**WORDS, "slug": None})
    assert {name: changed.json()[name] for name in ("title", "slug", "sender_id")} == {
        "title": WORDS["title"],
        "slug": "everyone",
        "sender_id": None,
    }
    nobody = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1cffff"
    for body, field in (({"sender_id": nobody}, "sender_id"), ({"terms_url": " "}, "terms_url")):
        wrong = await admin.put(path, json={**WORDS, **body})
        assert wrong.status_code == 422, wrong.text
        assert [one["field"] for one in wrong.json()["errors"]] == [field]
    assert (await admin.delete(path)).status_code == 204
    for gone in (await admin.get(path), await admin.delete(path)):
        assert gone.status_code == 404
