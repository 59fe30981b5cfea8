"""Writing a sequence in a browser: nothing is lost when the session ends, and it goes live."""

import re

from playwright.async_api import Locator, Page, expect

from api.dependencies import SESSION_COOKIE
from domain.sequences.placeholders import FIRST_TEXT
from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Accounts, Visit
from tests.e2e.people import Desk
from tests.e2e.stack import PASSWORD
from tests.kits import pictures

EMAIL = "writing@example.com"

LONG = (
    "Hi {{first_name|there}}, call 1 (415) 111-0111 at 11:11 about {{job_title|walk-in shift}}\n"
    "Room 1111, [company]. {{full_name}}{{phone}} See you 11/11, {{start_date:weekday|soon}}!\n"
)

LINES_APART = """area => {
    const frame = area.parentElement;
    const layer = frame.querySelector(".pill-layer");
    const apart = [];
    for (const one of [area, layer]) Object.assign(one.style, { alignSelf: "start", minHeight: 0 });
    for (let width = 180; width < 900; width += 7.3) {
        frame.style.width = `${width}px`;
        const [top, below] = [area, layer].map((one) => one.getBoundingClientRect().height);
        if (Math.abs(top - below) > 0.5) apart.push(width);
    }
    for (const one of [frame, area, layer]) one.removeAttribute("style");
    return apart;
}"""

COPIED = """area => {
    const [copied, dragged] = [new DataTransfer(), new DataTransfer()];
    area.select();
    area.dispatchEvent(new ClipboardEvent("copy", { clipboardData: copied, cancelable: true }));
    area.dispatchEvent(new DragEvent("dragstart", { dataTransfer: dragged }));
    const [one, other] = [copied, dragged].map((data) => data.getData("text/plain"));
    return one === other ? one : [one, other];
}"""

CHANGE_WITHIN_A_FIELD = """(area, [letters, typed]) => {
    area.focus();
    const at = area.value.indexOf("First") + 2;
    area.setSelectionRange(at, at + letters);
    document.execCommand(typed ? "insertText" : "delete", false, typed);
}"""

DROP = """bytes => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], "a.jpg", { type: "image/jpeg" }));
    return transfer;
}"""


async def test_text_outlives_an_ended_session_and_goes_live(
    desk: Desk, visit: Visit, accounts: Accounts
) -> None:
    accounts.make(Role.MEMBER, EMAIL)
    sequence_id = desk.sequence(desk.line(), FIRST_TEXT, activate=False)
    page = await visit(None, path=f"/sequences/{sequence_id}/steps")
    await page.locator("[name=email]").fill(EMAIL)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()

    dialog = page.locator("#dialog")
    await page.get_by_role("button", name="Activate").click()
    await expect(dialog).to_contain_text("still has only the greeting")
    await page.keyboard.press("Escape")

    text = page.get_by_label("Text", exact=True)
    await _fields_lie_on_their_words(text)
    await _change_the_field_by_keyboard(page)
    await text.press("Control+End")
    await text.press_sequentially("are you free on Friday?")
    await expect(page.locator("#draft-state")).to_contain_text("Draft saved")
    transfer = await page.evaluate_handle(DROP, list(pictures.photo()))
    await page.get_by_label("Step 1").dispatch_event("drop", {"dataTransfer": transfer})
    await expect(page.get_by_role("img", name="Picture 1").first).to_be_visible()

    await page.context.clear_cookies(name=SESSION_COOKIE)
    await text.press_sequentially(" Or Monday?")
    await expect(page.locator("#flashes")).to_contain_text("been signed out")
    await expect(text).to_be_focused()
    await page.get_by_role("button", name="Activate").click()
    again = page.get_by_role("dialog", name="Sign in to continue")
    await expect(again.get_by_label("Email")).to_have_value(EMAIL)
    await again.get_by_label("Password").fill("not the password")
    await again.get_by_role("button", name="Sign in").click()
    await expect(again.get_by_role("alert")).to_contain_text("password is incorrect")
    await accessible(page)
    await _sign_in_again(page)

    await expect(dialog).to_contain_text("1 text")
    await expect(dialog).to_contain_text("Or Monday?")
    await expect(page.locator("#flashes")).not_to_contain_text("signed out")
    await page.context.clear_cookies(name=SESSION_COOKIE)
    await dialog.get_by_role("button", name="Save and activate").click()
    await _sign_in_again(page)
    await expect(page.locator("#flashes")).to_contain_text("activated.")
    saved = desk.get(f"/api/sequences/{sequence_id}")
    assert saved["state"] == "active"
    [step] = saved["steps"]
    assert step["body"] == "Hi {{first_name|you}}, are you free on Friday? Or Monday?"
    assert len(step["media_urls"]) == 1
    await expect(page.locator("#kept-here")).to_be_hidden()
    await expect(page.locator("#steps-unsaved")).to_be_hidden()


async def _fields_lie_on_their_words(text: Locator) -> None:
    """Write fields as texts have them: each is one word, colored where it stands at any width."""
    before = await text.evaluate(COPIED)
    await text.fill(LONG)
    await expect(text).not_to_have_value(re.compile("[{}]"))
    assert await text.evaluate(LINES_APART) == []
    assert await text.evaluate(COPIED) == LONG
    for letters, typed, left in ((0, "!", "Hi {{first_name}}!, you"), (1, "", "Hi , you")):
        await text.fill("Hi {{first_name}}, you")
        await text.evaluate(CHANGE_WITHIN_A_FIELD, [letters, typed])
        sent = text.locator("xpath=../input")
        await expect(sent).to_have_value(left)
        await text.press("Control+z")
        await expect(sent).to_have_value("Hi {{first_name}}, you")
    await text.fill(before)


async def _change_the_field_by_keyboard(page: Page) -> None:
    """Move the cursor onto the merge field, which selects it whole, and change its fallback."""
    text = page.get_by_label("Text", exact=True)
    pill, said = page.locator(".pill-layer .pill"), page.locator(".pill-frame > p")
    await expect(said).to_contain_text("First name, or “there” if blank.")
    await text.focus()
    await text.press("Control+Home")
    for _ in "Hi ":
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    await expect(pill).to_have_class(re.compile("is-selected"))
    await page.keyboard.press("Enter")
    change = page.get_by_role("dialog", name="Change the field")
    await change.get_by_label("blank, write").fill("you")
    await accessible(page)
    await page.keyboard.press("Enter")
    await expect(said).to_contain_text("First name, or “you” if blank.")
    await page.keyboard.press("Backspace")
    await expect(pill).to_have_count(0)
    await page.keyboard.press("Control+z")
    await expect(said).to_contain_text("First name, or “you” if blank.")
    await pill.click(force=True)
    await expect(change).to_be_visible()
    await page.keyboard.press("Escape")


async def _sign_in_again(page: Page) -> None:
    again = page.get_by_role("dialog", name="Sign in to continue")
    await again.get_by_label("Password").fill(PASSWORD)
    await again.get_by_role("button", name="Sign in").click()
    await expect(again).to_have_count(0)
