"""Selecting contacts in their list, and acting on them, without a mouse."""

import re
from uuid import uuid4

from playwright.async_api import Locator, Page, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.rows import rows
from tests.e2e.people import Desk, eventually

_STOPS_MOST = 60


async def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press a key until the focus is on an element."""
    await expect(target).to_be_visible()
    for _ in range(_STOPS_MOST):
        await page.keyboard.press(key)
        if await target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached with {key}")


async def test_contacts_are_selected_grouped_and_enrolled_by_keyboard(
    visit: Visit, desk: Desk
) -> None:
    mark = uuid4().hex[:8]
    people = [desk.person(last_name=mark) for _ in range(3)]
    sequence = desk.sequence(desk.line(), "Hello", name=f"Sequence {mark}")
    page = await visit(Role.MEMBER, path="/contacts")
    dialog, flash = page.locator("#dialog"), page.locator(".flash")
    await page.keyboard.press("/")
    await page.keyboard.type(mark)
    await expect(rows(page)).to_have_count(3)

    await tab_to(page, rows(page).first.get_by_role("checkbox"))
    await page.keyboard.press("Space")
    await expect(page.locator("#toolbar-count")).to_have_text("1 selected")
    await tab_to(page, page.get_by_role("checkbox", name="Everyone on this page"), "Shift+Tab")
    await page.keyboard.press("Space")
    await expect(page.locator("#toolbar-count")).to_have_text("3 selected")
    add = page.get_by_role("button", name="Add to group")
    await tab_to(page, add, "Shift+Tab")
    await page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("3 people")
    await accessible(page)
    name = dialog.get_by_label("New group")
    if not await name.evaluate("(element) => element === document.activeElement"):
        await tab_to(page, name)
    await page.keyboard.type(f"Group {mark}")
    await page.keyboard.press("Enter")
    await expect(flash).to_contain_text("3 added to the group.")
    await expect(add).to_be_focused()
    groups = desk.get("/api/groups", limit=200)["items"]
    [group] = [one for one in groups if one["name"] == f"Group {mark}"]
    assert group["member_count"] == 3
    await tab_to(page, flash.get_by_role("button", name="Undo"))
    await page.keyboard.press("Enter")
    await expect(flash).to_contain_text("3 removed from the group.")
    assert desk.get(f"/api/groups/{group['id']}")["member_count"] == 0

    # They are still selected.
    await tab_to(page, page.get_by_role("button", name="Enroll"), "Shift+Tab")
    await page.keyboard.press("Enter")
    choice = dialog.get_by_label("Sequence", exact=True)
    await expect(dialog).to_contain_text("3 people")
    if not await choice.evaluate("(element) => element === document.activeElement"):
        await tab_to(page, choice)
    await page.keyboard.type(f"Sequence {mark}")
    await tab_to(page, dialog.get_by_role("button", name="Continue"))
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(rf"/sequences/{sequence}/enrol\?"))
    await expect(page.get_by_role("heading", name="3 people will be texted")).to_be_visible()
    await accessible(page)
    await tab_to(page, page.get_by_role("button", name="Enroll 3 people"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name=re.compile("3 Active"))).to_be_visible()
    eventually(lambda: sum(desk.counts(sequence).values()) == len(people))
