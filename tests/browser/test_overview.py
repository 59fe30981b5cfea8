"""A sequence's Overview, and Reports, in a browser: numbers link to the enrollments they count."""

import re

from playwright.async_api import expect

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.life import NAME, Life
from tests.browser.rows import rows
from tests.e2e.people import Desk

_COUNT_ROWS = """
(addresses) => Promise.all(addresses.map(async (address) => {
  const page = await (await fetch(address)).text();
  const parsed = new DOMParser().parseFromString(page, "text/html");
  return parsed.querySelectorAll("#selection tbody tr").length;
}))
"""


async def test_funnel_counts_match_their_lists(visit: Visit, life: Life) -> None:
    page = await visit(path=f"/sequences/{life.sequence_id}")
    links = page.locator(".funnel td a")
    await expect(links.first).to_be_visible()
    numbers = [int(text) for text in await links.all_inner_texts()]
    addresses = [await link.get_attribute("href") for link in await links.all()]
    assert len(numbers) >= 8

    await links.first.click()
    await expect(rows(page)).to_have_count(numbers[0])
    await expect(page.locator(".chip.is-on", has_text="Step 1: ")).to_be_visible()
    assert await page.evaluate(_COUNT_ROWS, addresses) == numbers

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
    await expect(dialog).to_contain_text("1 of 1 is held and waiting for your decision.")
    await expect(dialog.get_by_role("radio")).to_have_count(2)
    await accessible(page)


async def test_report_of_all_sequences_leads_to_one_and_its_replies(
    visit: Visit, life: Life
) -> None:
    page = await visit(path="/reports")
    await expect(page.get_by_role("link", name="Last 30 days")).to_have_attribute(
        "aria-current", "true"
    )
    line = page.locator(".funnel tbody tr").filter(has_text=NAME)
    enrolled = int(await line.locator("td a").first.inner_text())

    await page.get_by_role("link", name="People", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("th[aria-sort=ascending]")).to_have_text("People")
    await line.get_by_role("link", name=NAME, exact=True).click()
    await expect(page).to_have_url(re.compile(f"/sequences/{life.sequence_id}$"))

    tiles = page.locator("#report .tile")
    await expect(tiles.filter(has_text="Enrolled")).to_contain_text(str(enrolled))
    await expect(page.get_by_role("img", name="Sent, replied and opted out")).to_be_visible()
    hours = page.locator(".heat td a")
    replied = [int(text) for text in await hours.all_inner_texts()]
    rate = tiles.filter(has=page.get_by_text("Reply rate", exact=True))
    await expect(rate).to_contain_text(f"{sum(replied)} replied")
    await hours.first.click()
    await expect(rows(page)).to_have_count(replied[0])
    await expect(page.get_by_text("First reply on ")).to_be_visible()

    await page.goto(f"/sequences/{life.sequence_id}?days=7")
    await page.get_by_label("From").fill("2020-01-01")
    await page.get_by_label("To", exact=True).fill("2020-01-31")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("No one was enrolled in this time")).to_be_visible()
