"""The command palette and the keys, without a mouse."""

import re
from uuid import uuid4

from playwright.async_api import expect

from domain.statuses.access import Role
from tests.browser.conftest import Visit
from tests.browser.life import Life
from tests.e2e.people import Desk


async def test_palette_finds_and_goes_there_without_a_mouse(visit: Visit, desk: Desk) -> None:
    name = f"Zo\u00eb{uuid4().hex[:6]}"
    group = desk.post("/api/groups", {"name": f"Crew {name}"}, status=201)
    person = desk.post(
        "/api/contacts",
        {"first_name": name, "phone": f"+1917{uuid4().int % 10_000_000:07}"},
        status=201,
    )
    page = await visit(Role.MEMBER, path="/groups")
    keyboard, box = page.keyboard, page.get_by_role("combobox", name="Find a page")

    find = page.get_by_role("button", name="Find")
    await find.focus()
    await keyboard.press("Control+k")
    await expect(box).to_be_focused()
    await keyboard.type(name)
    options = page.get_by_role("option")
    await expect(options).to_have_count(2)
    await expect(options.first).to_have_attribute("aria-selected", "true")
    await keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(find).to_be_focused()
    await keyboard.press("Control+k")
    await expect(options).not_to_have_count(2)  # what was found before is gone
    await keyboard.insert_text(name)
    await expect(options).to_have_count(2)
    await keyboard.press("ArrowDown")
    await expect(box).to_have_attribute("aria-activedescendant", "palette-1")
    await keyboard.press("Enter")
    await page.wait_for_url(re.compile(f"/groups/{group['id']}$"))  # its script listens
    await keyboard.press("Control+k")
    await keyboard.type(name)
    await keyboard.press("Enter")  # before anything is found
    await expect(page).to_have_url(re.compile(f"/contacts/{person['id']}$"))


async def test_single_keys_move_select_and_act(visit: Visit, desk: Desk, life: Life) -> None:
    line = desk.line()
    for person in desk.people(2):
        desk.answer(person, "Is the job still open?", line)
    page = await visit(Role.MEMBER, path=f"/sequences/{life.sequence_id}/contacts?sort=name")
    keyboard, rows = page.keyboard, page.locator("#people tbody tr")
    await keyboard.press("j")
    await keyboard.press("j")
    await keyboard.press("k")
    await expect(rows.nth(0).get_by_role("link").first).to_be_focused()
    await keyboard.press("x")
    await keyboard.press("j")
    await keyboard.press("x")
    await expect(rows.nth(1).get_by_role("checkbox")).to_be_checked()
    await expect(page.get_by_role("toolbar")).to_contain_text("2 selected")
    await keyboard.press("Control+k")
    await keyboard.type("add to g")
    act = page.get_by_role("option", name="Add to group")
    await expect(act).to_have_attribute("aria-selected", "true")
    await keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_contain_text("roup")
    await keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await keyboard.press("/")
    search = page.get_by_role("searchbox").first
    await expect(search).to_be_focused()
    await keyboard.type("jx?")
    await expect(search).to_have_value("jx?")
    await search.blur()

    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    await keyboard.press("?")
    await expect(sheet).to_be_visible()
    await keyboard.press("g")
    await keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await page.evaluate("document.querySelector('.frame').dataset.noKeys = ''")
    await keyboard.press("?")
    await expect(sheet).to_be_hidden()
    await page.evaluate("delete document.querySelector('.frame').dataset.noKeys")

    await keyboard.press("g")
    await keyboard.press("i")
    await expect(page).to_have_url(re.compile("/conversations"))
    await keyboard.press("j")
    await keyboard.press("j")
    await expect(page.locator(".talks-row").nth(1)).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.locator("#thread-heading")).to_be_focused()
