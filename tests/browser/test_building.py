"""Writing and activating a sequence and enrolling contacts, in a browser."""

import asyncio
import contextlib
import re

from playwright.async_api import Error, Locator, Page, Route, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.rows import row, rows
from tests.e2e.people import Desk, Person

UNDER_MESSAGES = """() => {
    const box = document.getElementById("flashes").getBoundingClientRect();
    const controls = document.querySelectorAll("main :is(a, button, input, select, textarea)");
    const isUnder = (one) => {
        const { left, right, top, bottom } = one.getBoundingClientRect();
        return left < box.right && box.left < right && top < box.bottom && box.top < bottom;
    };
    const seen = [...controls].filter((one) => one.checkVisibility() && isUnder(one));
    return seen.map((one) => one.outerHTML.slice(0, 80));
}"""
SEQUENCE_ID = re.compile(r"/sequences/([0-9a-f-]{36})")


async def test_sequence_is_written_activated_and_filled_by_csv(visit: Visit, desk: Desk) -> None:
    line = desk.line()
    page = await visit(path="/sequences")
    await page.get_by_role("button", name="New sequence").first.click()
    dialog = page.locator("#dialog")
    await expect(dialog.get_by_label("Name")).to_be_focused()
    await dialog.get_by_label("Sender").select_option(line.id)
    await dialog.get_by_role("button", name="Continue").click()
    await expect(dialog.get_by_text("Name is blank")).to_be_visible()
    await accessible(page)
    await dialog.get_by_label("Name").fill("Forklift drivers")
    await dialog.get_by_role("button", name="Continue").click()
    await expect(page).to_have_url(re.compile(r"/sequences/[0-9a-f-]{36}/steps$"))
    await write_steps(page)

    await page.get_by_role("button", name="Activate").click()
    await expect(dialog).to_contain_text("2 texts over 2 days")
    await accessible(page)
    await dialog.get_by_role("button", name="Activate").click()
    await expect(page.locator("#flashes")).to_contain_text("“Forklift drivers” activated.")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Active")
    found = SEQUENCE_ID.search(page.url)
    assert found
    await open_all_day(page, found[1])
    await enroll_file(page, desk, found[1])


async def write_steps(page: Page) -> None:
    """Write two texts, the second on the next days, and save them."""
    steps = page.locator("[data-step]")
    first = steps.nth(0)
    await first.get_by_label("Text").fill("Hi ")
    await first.get_by_label("Text").press("End")
    await first.get_by_role("button", name="Insert field").click()
    await page.get_by_label("blank, write").fill("friend")
    await page.get_by_role("button", name="Insert", exact=True).click()
    await expect(first.locator("[name=body]")).to_have_value("Hi {{first_name|friend}}")
    await page.keyboard.type(", do you drive a forklift?")
    await expect(page.locator("#phone")).to_contain_text("Hi friend, do you drive a forklift?")

    await page.get_by_role("button", name="Add a step").click()
    second = steps.nth(1)
    await expect(second.get_by_label("Text")).to_be_focused()
    await page.keyboard.type("Still “there”?")
    await expect(second).to_contain_text("70 characters")
    await second.get_by_label("Text").fill("Still there?")
    await expect(second).not_to_contain_text("70 characters")
    await second.get_by_label("Delay", exact=True).fill("2")
    await second.get_by_label("Unit of the delay").select_option("days")
    await second.get_by_label("Time of day, optional").fill("09:30")

    await page.get_by_role("button", name="Add a step").click()
    await page.keyboard.type("Not wanted")
    await steps.nth(2).get_by_role("button", name="Move this step up").click()
    await expect(steps.nth(1).get_by_label("Text")).to_have_value("Not wanted")
    await delete_during_preview(page, steps.nth(1))
    await expect(steps).to_have_count(2)
    await expect(page.get_by_text("Not in the sequence yet")).to_be_visible()
    await accessible(page)
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#flashes")).to_contain_text("Steps saved")
    assert await page.evaluate(UNDER_MESSAGES) == []
    await expect(steps.nth(1).get_by_label("Text")).to_have_value("Still there?")
    await expect(steps.nth(1).get_by_label("Time of day, optional")).to_have_value("09:30")


async def delete_during_preview(page: Page, step: Locator) -> None:
    """Delete a step before the answer with its size arrives, which must not be swapped in then."""
    asked, deleted, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer_late(route: Route) -> None:
        answer = await route.fetch()
        asked.set()
        await deleted.wait()
        with contextlib.suppress(Error):  # the page gave the request up
            await route.fulfill(response=answer)
        answered.set()

    await page.route("**/steps/preview", answer_late, times=1)
    await step.get_by_label("Text").press_sequentially("!")
    await asked.wait()
    await step.get_by_role("button", name="Delete this step").click()
    deleted.set()
    await answered.wait()
    await expect(page.locator("#phone")).not_to_contain_text("Not wanted")


async def open_all_day(page: Page, sequence_id: str) -> None:
    """Remove the send window, so that texts go at any time."""
    await page.goto(f"/sequences/{sequence_id}/settings")
    await page.get_by_label("At any time of day").check()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#flashes")).to_contain_text("Settings saved.")
    await expect(page.get_by_label("At any time of day")).to_be_checked()


async def enroll_file(page: Page, desk: Desk, sequence_id: str) -> None:
    """Enroll a CSV file: preview it, then confirm."""
    known, out = desk.person(), desk.person()
    desk.post("/api/suppressions", {"phone": out.phone, "reason": "Asked us to"}, status=201)
    lines = [
        "Mobile,Given,Family",
        f"{known.phone},Kim,Known",
        "+14155550199,Ana,Lima",
        "+14155550199,Ana,Again",
        f"{out.phone},Ole,Out",
        "12,Too,Short",
    ]
    await page.goto(f"/sequences/{sequence_id}/contacts")
    await page.get_by_role("link", name="Enroll contacts").first.click()
    await page.get_by_role("link", name="A CSV file").click()
    await page.get_by_label("CSV file").set_input_files(
        {"name": "drivers.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    )
    await page.get_by_label("Import “Mobile” as").select_option("Phone")
    await page.get_by_label("Import “Given” as").select_option("First name")
    await page.get_by_label("Import “Family” as").select_option("Last name")
    summary = page.locator("#summary")
    await expect(summary).to_contain_text("2 people will be texted")
    await expect(summary).to_contain_text("1 opted out: listed as omitted, never texted")
    await expect(summary).to_contain_text("1 duplicate, counted once")
    await expect(summary).to_contain_text("1 with errors")
    assert desk.tab(sequence_id)["items"] == []

    await summary.get_by_role("button", name="Enroll 2 people").click()
    await expect(page.get_by_role("heading", name="Enrolling").first).to_be_visible()
    result = page.locator(".enroll-result")
    await expect(result).to_contain_text("2 Active")
    await expect(result).to_contain_text("1 Omitted Opted Out")
    await accessible(page)
    await page.get_by_role("link", name="View contacts").click()
    await expect(rows(page)).to_have_count(3)
    await expect(row(page, "Ana Lima")).to_contain_text("1 of 2")
    ana = Person("", "+14155550199", "Ana Lima")
    assert desk.bodies_to(ana) == ["Hi Ana, do you drive a forklift?"]


async def test_sequence_is_found_duplicated_paused_and_archived(visit: Visit, desk: Desk) -> None:
    line = desk.line()
    made = [desk.sequence(line, name=name, delay=86_400) for name in ("Zebra one", "Zebra two")]
    desk.enroll(made[0], desk.person())
    page = await visit(Role.MEMBER, path="/sequences")
    sequences = page.locator("#sequences tbody tr")

    await page.get_by_role("searchbox").fill("zebra")
    await expect(sequences).to_have_count(2)
    await expect(page).to_have_url(re.compile("search=zebra"))
    await page.reload()
    await expect(sequences).to_have_count(2)
    first = page.locator(f"#sequence-{made[0]}")

    for act, state in (("Pause", "Paused"), ("Resume", "Active")):
        await first.get_by_role("button", name="More for Zebra one").click()
        await first.get_by_role("button", name=act).click()
        await expect(first.locator(".status")).to_have_text(state)
        await expect(page).to_have_url(re.compile("search=zebra"))

    await first.get_by_role("button", name="More for Zebra one").click()
    await accessible(page)
    await first.get_by_role("button", name="Archive").click()
    dialog = page.locator("#dialog")
    await expect(dialog).to_contain_text("1 person is still active in it.")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await first.get_by_role("button", name="More for Zebra one").click()
    await first.get_by_role("button", name="Archive").click()
    await dialog.get_by_role("button", name="Finish 1 and archive").click()
    await expect(page.locator("#flashes")).to_contain_text("archived")
    await expect(first).to_have_count(0)
    assert desk.counts(made[0]) == {"finished_stopped": 1}

    await page.get_by_role("button", name="More for Zebra two").click()
    await page.locator(f"#sequence-{made[1]}").get_by_role("button", name="Duplicate").click()
    await expect(page).to_have_url(re.compile(r"/steps$"))
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Zebra two")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Draft")
