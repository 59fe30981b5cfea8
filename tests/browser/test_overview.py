"""A sequence's Overview in a browser: every number links to the enrollments it counts."""

import re

from playwright.async_api import expect

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.life import Life
from tests.browser.rows import rows
from tests.e2e.people import Desk


async def test_funnel_counts_match_their_lists(visit: Visit, life: Life) -> None:
    page = await visit(path=f"/sequences/{life.sequence_id}")
    links = page.locator(".funnel td a")
    await expect(links.first).to_be_visible()
    numbers = [int(text) for text in await links.all_inner_texts()]
    addresses = [await link.get_attribute("href") for link in await links.all()]
    assert len(numbers) >= 8

    await links.first.click()
    await expect(rows(page)).to_have_count(numbers[0])
    await expect(page.get_by_text("Step 1: ")).to_be_visible()
    for address, number in zip(addresses[1:], numbers[1:], strict=True):
        await page.goto(str(address))
        await expect(rows(page)).to_have_count(number)

    await page.get_by_role("link", name="Show every outcome again").click()
    await expect(page).not_to_have_url(re.compile("outcome"))


async def test_statuses_and_held_link_to_their_lists(visit: Visit, life: Life, desk: Desk) -> None:
    page = await visit(path=f"/sequences/{life.sequence_id}")
    counts = desk.counts(life.sequence_id)
    legend = page.locator(".legend a")
    await expect(legend).to_have_count(8)
    shown = [int(text) for text in await legend.locator("strong").all_inner_texts()]
    assert sum(shown) == sum(counts.values())

    await legend.filter(has_text="Finished, no response").click()
    await expect(rows(page)).to_have_count(counts["finished_no_response"])
    await page.go_back()
    await page.get_by_role("link", name="waiting for you to decide").click()
    await expect(rows(page)).to_have_count(1)
    await expect(rows(page)).to_contain_text("Noor Ortega")
    await page.get_by_label("Everyone on this page").check()
    await page.get_by_role("button", name="Release").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("1 of 1 is held, waiting for you to decide.")
    await expect(dialog.get_by_role("radio")).to_have_count(2)
    await accessible(page)
