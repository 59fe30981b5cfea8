"""Writing a sequence's steps, and enrolling a file, in a browser."""

import re

from playwright.async_api import FilePayload, Locator, Page, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.e2e.people import Desk, eventually
from tests.kits import pictures


async def test_steps_are_written_moved_seen_and_published(desk: Desk, visit: Visit) -> None:
    sequence_id = desk.sequence(desk.line(), "Hello {{first_name|there}}", "Still there?")
    someone = desk.person()
    page = await visit(Role.MEMBER, path=f"/sequences/{sequence_id}/steps")
    publish = page.get_by_role("button", name="Publish changes")
    await expect(publish).to_be_disabled()

    second = page.get_by_label("Step 2")
    text, sent = second.get_by_label("Text"), second.locator("[name=body]")
    await text.press("Control+End")
    await text.press_sequentially(" It\N{RIGHT SINGLE QUOTATION MARK}s ")
    await second.get_by_role("button", name="Insert field").click()
    await page.get_by_label("blank, write").fill("me")
    await page.get_by_role("button", name="Insert", exact=True).click()
    await expect(sent).to_have_value(
        "Still there? It\N{RIGHT SINGLE QUOTATION MARK}s {{first_name|me}}"
    )
    await expect(second).to_contain_text("each segment to 70 characters")
    await second.get_by_role("button", name="Use plain characters").click()
    await expect(sent).to_have_value("Still there? It's {{first_name|me}}")
    await expect(second).not_to_contain_text("each segment")

    await page.get_by_role("button", name="Add a step").click()
    third = page.get_by_label("Step 3")
    await expect(third.get_by_label("Text")).to_be_focused()
    await page.keyboard.type("In between")
    await third.get_by_label("Time of day").fill("09:30")
    await page.keyboard.press("Alt+ArrowUp")
    await expect(page.get_by_label("Step 2").get_by_label("Text")).to_have_value("In between")
    preview = page.get_by_role("complementary", name="Preview")
    await expect(preview).to_contain_text("1 day later at 9:30 AM")

    await _has_pictures(page, third, preview)

    await page.get_by_role("button", name="Sample contact").click()
    await page.get_by_label("Find a contact to preview the texts for").fill(someone.name)
    await page.locator("#see-as-people").get_by_text(someone.name).click()
    first_name = someone.name.partition(" ")[0]
    await expect(preview).to_contain_text(f"Hello {first_name}")

    await _comes_back(page)
    await expect(preview).to_contain_text(f"Hello {first_name}")
    await publish.click()
    await page.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.locator("#flashes")).to_contain_text("Version 2 published")
    saved = desk.get(f"/api/sequences/{sequence_id}")
    assert [step["body"] for step in saved["steps"]] == [
        "Hello {{first_name|there}}",
        "In between",
        "Still there? It's {{first_name|me}}",
    ]
    assert saved["version"] == 2
    ours, other = saved["steps"][2]["media_urls"]
    assert other == "https://example.com/y"
    shown = await page.request.get(ours)
    assert shown.headers["content-type"] == "image/jpeg"


async def _has_pictures(page: Page, step: Locator, preview: Locator) -> None:
    """Choose a picture and a file that is none, paste two addresses, remove the first of them."""
    files = [
        FilePayload(name="a.jpg", mimeType="image/jpeg", buffer=pictures.photo()),
        FilePayload(name="b.png", mimeType="image/png", buffer=b"no picture"),
    ]
    await step.get_by_label("Add pictures").set_input_files(files)
    await expect(step.get_by_role("alert")).to_contain_text("b.png is no JPEG, PNG or GIF")
    await expect(step.get_by_role("img", name="Picture 1")).to_be_visible()
    await expect(preview.get_by_role("img", name="Picture 1")).to_be_visible()
    await step.get_by_text("Web addresses", exact=True).click()
    pasted = step.get_by_label("Web addresses of pictures")
    await pasted.press("Control+End")
    await pasted.press_sequentially("\nhttps://example.com/x\nhttps://example.com/y")
    await accessible(page)
    await step.get_by_role("button", name="Remove picture 2").click()


async def _comes_back(page: Page) -> None:
    """Leave the page, which asks nothing, and find all that was written again."""
    await page.get_by_role("link", name="Overview").click()
    await expect(page).not_to_have_url(re.compile("/steps"))
    await page.get_by_role("link", name="Steps", exact=True).click()
    await expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    await expect(page.get_by_text("Not live yet")).to_be_visible()
    await expect(page.get_by_label("Step 2").get_by_label("Text", exact=True)).to_have_value(
        "In between"
    )


async def test_file_is_enrolled_after_the_browser_closes(desk: Desk, visit: Visit) -> None:
    sequence_id = desk.sequence(desk.line(), "Hello {{first_name|there}}", reply_window=600)
    known = desk.person()
    rows = ["Whom,Line", f"Known,{known.phone}", "Neu,+12065550142", "Neu,+12065550142", "Bad,12"]
    file = FilePayload(name="people.csv", mimeType="text/csv", buffer="\n".join(rows).encode())
    page = await visit(Role.MEMBER, path=f"/sequences/{sequence_id}/enrol?way=file")
    await page.get_by_label("CSV file").set_input_files(file)

    await expect(page.get_by_role("alert")).to_contain_text("Choose the column for phone")
    await page.get_by_label("Import \N{LEFT DOUBLE QUOTATION MARK}Whom").select_option("first_name")
    await expect(page.get_by_role("alert")).to_contain_text("for phone.")
    await page.get_by_label("Import \N{LEFT DOUBLE QUOTATION MARK}Line").select_option("phone")
    await expect(page.get_by_role("heading", name="2 people will be texted")).to_be_visible()
    await expect(page.get_by_text("1 is a new contact")).to_be_visible()
    await page.get_by_role("button", name="Enroll 2 people").click()
    await page.wait_for_url(re.compile(r"/enrol/[0-9a-f-]{36}$"))
    address = page.url
    await page.close()

    eventually(lambda: sum(desk.counts(sequence_id).values()) == 2)
    again = await visit(Role.MEMBER, path=address)
    await expect(again.get_by_text("Enrolling", exact=True).last).to_be_visible()
    await expect(again.get_by_role("link", name=re.compile("2 Active"))).to_be_visible()
