"""The frame of the pages: signing in and out, the settings, themes, phones, the keyboard."""

import re
from datetime import UTC, datetime, timedelta

from playwright.async_api import Browser, Page, expect

from api.pages.times import relative
from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Accounts, Visit
from tests.e2e.people import Desk
from tests.e2e.stack import EMAIL, PASSWORD


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_sign_in_redirects_to_the_wanted_page(visit: Visit) -> None:
    page = await visit(None, path="/settings/account")
    await expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Fsettings%2Faccount$"))

    await sign_in(page, EMAIL, "not the password")
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("The email or password is incorrect.")
    await expect(page.get_by_label("Email")).to_have_value(EMAIL)
    await accessible(page)

    await sign_in(page, EMAIL, PASSWORD)
    await expect(page).to_have_url(re.compile(r"/settings/account$"))
    await expect(page.get_by_role("heading", name="Password")).to_be_visible()


async def test_signing_out_ends_the_session(visit: Visit, accounts: Accounts) -> None:
    accounts.make(Role.MEMBER, "leaving@example.com")
    page = await visit(None)
    await sign_in(page, "leaving@example.com", PASSWORD)
    await page.get_by_role("button", name="Kim member").click()
    await page.get_by_role("button", name="Sign out").click()

    await expect(page).to_have_url(re.compile(r"/sign-in$"))
    await expect(page.get_by_role("status")).to_contain_text("You're signed out.")
    await page.goto("/settings")
    await expect(page).to_have_url(re.compile(r"/sign-in\?next="))


async def test_the_workspace_is_changed_and_times_follow(visit: Visit) -> None:
    page = await visit(path="/settings/workspace")
    await accessible(page, with_sidebar=True)
    await page.get_by_label("Time zone").select_option("Asia/Tokyo")
    await page.get_by_label("21:30").check()
    await page.get_by_role("button", name="Save").click()

    await expect(page.get_by_role("status")).to_contain_text("Workspace saved.")
    now = page.get_by_text(
        re.compile(r"Current time: \w{3}, \w{3} \d+, \d{4}, \d\d:\d\d \(Tokyo\)")
    )
    await expect(now).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Workspace saved.")).to_have_count(0)
    await expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")

    await page.get_by_label("Time zone").select_option("")
    await page.get_by_label("9:30 PM").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("(New York)")).to_be_visible()


async def test_viewer_sees_workspace_without_button(visit: Visit) -> None:
    page = await visit(Role.VIEWER, path="/settings/workspace")

    await expect(page.get_by_text("An admin can change this.")).to_be_visible()
    await expect(page.get_by_label("Time zone")).to_be_disabled()
    await expect(page.get_by_role("button", name="Save")).to_have_count(0)
    await accessible(page, with_sidebar=True)


async def test_token_is_shown_once_and_revoked_after_confirmation(visit: Visit) -> None:
    page = await visit(Role.MEMBER, path="/settings/account")
    await page.get_by_role("button", name="Create token").click()
    error = page.get_by_text("Name is blank")
    await expect(error).to_be_visible()
    await expect(page.get_by_label("Name")).to_be_focused()
    await accessible(page)

    await page.get_by_label("Name").fill("<b>CRM</b>")
    await page.get_by_role("button", name="Create token").click()
    await expect(page.get_by_text("Your password is required")).to_be_visible()
    await page.get_by_label("Your password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create token").click()
    token = page.get_by_label("The token")
    await expect(token).to_have_value(re.compile(r"^sgt_\S{43}$"))
    await accessible(page)
    await page.goto("/settings/account")
    await expect(token).to_have_count(0)

    row = page.get_by_role("row", name="<b>CRM</b>")
    await row.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog", name="Revoke “<b>CRM</b>”?")
    await expect(dialog).to_be_visible()
    await accessible(page)
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Revoke").click()
    await dialog.get_by_role("button", name="Revoke").click()
    await expect(page.get_by_role("status")).to_contain_text("Token revoked.")
    await expect(row).to_have_count(0)


async def test_changed_password_refuses_the_old_one(visit: Visit, accounts: Accounts) -> None:
    accounts.make(Role.VIEWER, "changing@example.com")
    page = await visit(None, path="/settings/account")
    await sign_in(page, "changing@example.com", PASSWORD)

    async def change(current: str, new: str, repeated: str) -> None:
        await page.get_by_label("Current password").fill(current)
        await page.get_by_label("New password", exact=True).fill(new)
        await page.get_by_label("Confirm new password").fill(repeated)
        await page.get_by_role("button", name="Change password").click()

    await change(PASSWORD, "a new long password", "another long password")
    await expect(page.get_by_text("does not match the new password")).to_be_visible()
    await change("a guess", "a new long password", "a new long password")
    await expect(page.get_by_text("Current password is incorrect")).to_be_visible()
    await change(PASSWORD, "a new long password", "a new long password")
    await expect(page.get_by_role("status")).to_contain_text("Password changed.")

    await sign_in(page, "changing@example.com", PASSWORD)
    await expect(page.get_by_role("alert")).to_be_visible()
    await sign_in(page, "changing@example.com", "a new long password")
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def test_link_sets_password_and_other_session_can_be_ended(visit: Visit, desk: Desk) -> None:
    body = {"email": "invited@example.com", "role": "member"}
    link = desk.post("/api/users", body, status=201)["set_up_url"]
    page = await visit(None, path=link)
    await accessible(page)
    await page.get_by_label("Password", exact=True).fill("passwordpassword")
    await page.get_by_label("Confirm password").fill("passwordpassword")
    await page.get_by_role("button", name="Set password").click()
    await expect(page.get_by_text("Password repeats one letter or word")).to_be_visible()
    await accessible(page)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Confirm password").fill(PASSWORD)
    await page.get_by_role("button", name="Set password").click()
    await expect(page.get_by_role("status")).to_contain_text("Password set.")

    other = await visit(None)
    for each in (page, other):
        await sign_in(each, "invited@example.com", PASSWORD)
        await expect(each.get_by_role("navigation", name="Main")).to_be_visible()
    await page.goto("/settings/account")
    rows = page.get_by_role("region", name="Where you are signed in").get_by_role("row")
    await expect(rows).to_have_count(3)
    await accessible(page)
    await page.get_by_role("button", name="Sign out everywhere else").click()
    await expect(rows).to_have_count(2)
    await expect(rows.last).to_contain_text("This device")
    await other.goto("/settings/account")
    await expect(other).to_have_url(re.compile(r"/sign-in[?]next="))
    await page.goto(link)
    await expect(page.get_by_role("heading", name="This link doesn't work")).to_be_visible()


async def test_the_theme_is_chosen_and_kept(visit: Visit) -> None:
    page = await visit()
    await page.emulate_media(color_scheme="light")
    html = page.locator("html")
    await expect(html).to_have_attribute("data-bs-theme", "light")
    await page.emulate_media(color_scheme="dark")
    await expect(html).to_have_attribute("data-bs-theme", "dark")

    await page.get_by_role("button", name="Admin").click()
    await accessible(page, with_sidebar=True)
    await page.get_by_role("radio", name="Light").check()
    await expect(html).to_have_attribute("data-bs-theme", "light")
    await page.reload()
    await expect(html).to_have_attribute("data-bs-theme", "light")


async def test_phone_has_the_menu_behind_a_button(visit: Visit) -> None:
    page = await visit(phone=True)
    settings = page.get_by_role("navigation", name="Main").get_by_role("link", name="Settings")
    await expect(settings).to_be_hidden()

    await page.get_by_role("button", name="Menu").click()
    await expect(settings).to_be_visible()
    await accessible(page, with_sidebar=True)
    await page.keyboard.press("Escape")
    await expect(settings).to_be_hidden()
    await expect(page.get_by_role("button", name="Menu")).to_be_focused()
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)


async def test_skip_link_reaches_the_content(visit: Visit) -> None:
    page = await visit(path="/settings/workspace")

    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    await expect(skip).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()


async def test_missing_page_is_friendly(visit: Visit) -> None:
    page = await visit()
    for path in ("/nothing", "/settings/nothing", "/jobs/nothing/progress"):
        await page.goto(path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await page.get_by_role("link", name="Go to the home page").click()
        await expect(page).to_have_url(re.compile("/sequences$"))


async def test_scripts_and_handlers_in_a_page_do_not_run(browser: Browser, desk: Desk) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(f"{desk.stack.api_url}/sign-in")

    await page.evaluate(
        """() => {
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 1'>");
            const script = document.createElement("script");
            script.textContent = "window.ran = 1";
            document.body.append(script);
            return new Promise((go) => setTimeout(go, 300));
        }"""
    )

    assert await page.evaluate("window.ran") is None
    assert len([text for text in said if "Content Security Policy" in text]) == 2
    await context.close()


async def test_open_page_updates_its_times(visit: Visit) -> None:
    page = await visit(path="/settings/workspace")
    now = datetime(2026, 12, 2, 14, 30, tzinfo=UTC)
    offsets = [-100_000, -3_600, -61, -1, 0, 1, 59, 60, 3_599, 3_600, 8_039, 86_400, 3_542_400]
    moments = [now + timedelta(seconds=offset) for offset in offsets]
    await page.clock.install(time=now - timedelta(minutes=5))
    await page.clock.pause_at(now - timedelta(seconds=10))
    await page.reload()
    await page.evaluate(
        """([moments, pasts]) => document.body.append(...pasts.flatMap((past) =>
            moments.map((moment) => {
                const time = document.createElement("time");
                Object.assign(time, { className: past || "tried", dateTime: moment });
                Object.assign(time.dataset, { relative: "" }, past && { past });
                return time;
            })
        ))""",
        [[moment.isoformat() for moment in moments], [None, "due"]],
    )

    await page.clock.run_for(10_000)

    shown = await page.locator("time.tried").all_text_contents()
    assert shown == [relative(moment, now) for moment in moments]
    coming = await page.locator("time.due").all_text_contents()
    assert coming == [relative(one, now) if one > now else "due" for one in moments]
