"""The dialogs of the settings in a browser."""

import re

from playwright.async_api import expect

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit


async def test_sender_is_added_in_a_dialog(visit: Visit) -> None:
    page = await visit(path="/settings/senders")
    await page.get_by_role("button", name="Add sender").first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill("Night desk")
    await dialog.get_by_label("Number or Messaging Service").fill("12")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog.locator(".field-error")).to_have_count(1)
    await expect(dialog.get_by_label("Name", exact=True)).to_have_value("Night desk")
    await accessible(page)
    await dialog.get_by_label("Number or Messaging Service").fill("+1 206 445 0100")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#senders")).to_contain_text("Night desk")


async def test_user_is_added_and_opened(visit: Visit) -> None:
    page = await visit(path="/settings/users")
    await page.get_by_role("button", name="Add user").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Email").fill("new@example.com")
    await dialog.get_by_role("button", name="Add", exact=True).click()
    link = re.compile(r"/set-up[?]token=\S{43}$")
    await expect(dialog.get_by_label("The link")).to_have_value(link)
    await accessible(page)
    await dialog.get_by_role("link", name="View user").click()
    await expect(page.get_by_role("heading", name="new", exact=True)).to_be_visible()
    await page.get_by_role("button", name="New link").click()
    dialog = page.get_by_role("dialog", name="New password link for new?")
    await expect(dialog.get_by_label("Revoke their API tokens")).to_be_checked()
    await accessible(page)
    await dialog.get_by_role("button", name="Create link").click()
    await expect(page.get_by_label("The link")).to_have_value(link)
    await accessible(page)


async def test_webhook_is_added_and_tested(visit: Visit) -> None:
    page = await visit(path="/settings/webhooks/new")
    await page.get_by_label("Address").fill("https://127.0.0.1:9/events")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("textbox", name="Signing secret")).to_have_value(
        re.compile("^whsec_")
    )
    await page.get_by_role("button", name="Send a test").click()
    await expect(page.locator("#deliveries")).to_contain_text("A test")
    await accessible(page)
