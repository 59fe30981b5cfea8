"""Lists of people in a browser: nothing moves, much fits, a phone has its filters in a sheet."""

import re

from playwright.async_api import Locator, Page, ViewportSize, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.life import Life
from tests.browser.rows import row, rows

LAPTOP: ViewportSize = {"width": 1440, "height": 900}

_WATCH = """
() => {
  window.shifted = 0;
  const add = (list) => list.getEntries().forEach((entry) => (window.shifted += entry.value));
  new PerformanceObserver(add).observe({ type: "layout-shift" });
}
"""

_SHIFTED = """
async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  for (let number = 0; number < 5; number += 1) await frame();
  return window.shifted;
}
"""

_IN_SIGHT = """
(rows) => rows.filter((row) => {
  const box = row.getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
}).length
"""

_HEIGHTS = "(rows) => rows.map((row) => row.getBoundingClientRect().height)"


async def in_sight(some: Locator) -> int:
    """Count those that are on the screen as a whole."""
    found: int = await some.evaluate_all(_IN_SIGHT)
    return found


async def open_menu(page: Page, name: str) -> Locator:
    """Open a menu of the list's tools."""
    await page.get_by_role("button", name=name, exact=True).click()
    return page.get_by_role("group", name=name, exact=True)


async def test_selecting_moves_nothing_and_much_is_in_sight(visit: Visit, life: Life) -> None:
    path = f"/sequences/{life.sequence_id}/contacts"
    page = await visit(Role.MEMBER, path=path)
    await page.set_viewport_size(LAPTOP)
    assert await in_sight(rows(page)) >= 14
    assert max(await rows(page).evaluate_all(_HEIGHTS)) <= 40, "an error is one line"

    await page.evaluate(_WATCH)
    first = await rows(page).first.bounding_box()
    for number in range(3):
        await rows(page).nth(number).get_by_role("checkbox").check()
    await expect(page.locator("#toolbar-count")).to_have_text("3 selected")
    await page.get_by_role("checkbox", name="Everyone on this page").check()
    await expect(page.get_by_role("button", name="Mark finished")).to_be_in_viewport(ratio=1)
    assert await page.evaluate(_SHIFTED) <= 0.02
    assert await rows(page).first.bounding_box() == first
    await page.get_by_role("button", name="Clear", exact=True).click()
    await expect(page.locator("#toolbar")).to_be_hidden()

    rare = page.locator("label.chip", has_text="Missing data")
    await expect(rare).to_be_hidden()
    await page.get_by_role("button", name="+3 more").click()
    await expect(rare).to_be_visible()

    columns = await open_menu(page, "Columns")
    await columns.get_by_label("Step", exact=True).uncheck()
    await columns.get_by_label("Comfortable").check()
    await columns.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("columnheader", name="Step")).to_have_count(0)
    assert min(await rows(page).evaluate_all(_HEIGHTS)) > 40

    await page.get_by_role("searchbox").fill("hale")
    await expect(page).to_have_url(re.compile(r"search=hale"))
    await expect(page.locator("#count-opted_out")).to_have_text("1")
    views = await open_menu(page, "Views")
    await views.get_by_role("button", name="Save this view").click()
    dialog = page.locator("#dialog")
    await dialog.get_by_label("Name").fill("The Hales")
    await accessible(page)
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("View The Hales saved.")).to_be_visible()

    # What is chosen for good comes back once the view is left.
    columns = await open_menu(page, "Columns")
    await columns.get_by_label("Step", exact=True).check()
    await columns.get_by_label("Compact").check()
    await columns.get_by_role("button", name="Apply").click()
    await expect(page.get_by_role("columnheader", name="Step")).to_be_visible()
    views = await open_menu(page, "Views")
    await views.get_by_role("link", name="The Hales").click()
    await expect(page.get_by_role("columnheader", name="Step")).to_have_count(0)
    await expect(rows(page)).to_have_count(2)
    views = await open_menu(page, "Views")
    await expect(views.get_by_role("link", name="The Hales")).to_have_attribute(
        "aria-current", "true"
    )
    await accessible(page)
    await views.get_by_role("button", name="Change The Hales").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("View deleted.")).to_be_visible()


async def test_phone_has_filters_in_a_sheet_and_the_bar_at_the_thumb(
    visit: Visit, life: Life
) -> None:
    page = await visit(
        Role.MEMBER, path=f"/sequences/{life.sequence_id}/contacts?sort=name", phone=True
    )
    assert await in_sight(rows(page)) >= 1
    sheet = page.locator("#filters-sheet")
    await expect(sheet).to_be_hidden()
    await page.get_by_role("button", name="Filters").click()
    await sheet.get_by_text("Finished, no response").click()
    await expect(rows(page)).to_have_count(3)
    await accessible(page)
    await sheet.get_by_role("button", name="Done").click()
    await expect(sheet).to_be_hidden()
    await expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()

    await row(page, "Carla Castillo").get_by_role("checkbox").check()
    bar = await page.locator("#toolbar").bounding_box()
    assert bar is not None
    assert bar["y"] > 600
    assert bar["y"] + bar["height"] == 844
    await expect(page.get_by_role("button", name="Add to group")).to_be_in_viewport(ratio=1)
    await accessible(page)

    await page.goto("/contacts")
    assert await in_sight(page.locator("#list tbody tr")) >= 1
    await page.get_by_role("button", name="Filters").click()
    await expect(sheet.get_by_role("button", name="Group", exact=True)).to_be_visible()
