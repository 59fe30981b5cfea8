"""Conversations in a browser: live updates, typed text that stays, replies sent once."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from playwright.async_api import Locator, Page, Route, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.e2e.people import Desk, Line, Person

EVERYBODYS = "/conversations?only=all&owner=all"


async def test_conversation_updates_while_replying(desk: Desk, visit: Visit) -> None:
    story = desk.start("", "Hello, shall we talk?")
    desk.wait_for_texts(story.person, 1)
    page = await visit(Role.MEMBER, path=EVERYBODYS)
    await page.get_by_role("link", name=story.person.name).click()
    await expect(page).to_have_url(re.compile(rf"/conversations/{story.person.id}\?only=all&"))
    title = re.compile(rf"^(\(\d+\+?\) )?{story.person.name} · Conversations · Segue$")
    await expect(page).to_have_title(title)
    thread = page.get_by_role("region", name="Conversation", exact=True)
    await expect(thread.get_by_text("Hello, shall we talk?")).to_be_visible()
    await expect(page.locator(".talks-row[aria-current]")).to_contain_text(story.person.name)

    box = thread.get_by_label("Reply")
    await box.fill("We could talk on")
    await expect(thread.get_by_text("1 segment")).to_be_visible()
    desk.answer(story.person, "Yes, when?", story.line)
    await expect(thread.get_by_text("Yes, when?")).to_be_visible()
    unanswered = page.locator(".talks-row.is-unanswered", has_text=story.person.name)
    await expect(unanswered).to_contain_text("Yes, when?")
    await expect(box).to_have_value("We could talk on")

    await box.fill("Tuesday?")
    await thread.get_by_role("button", name="Send", exact=True).dblclick()
    await expect(thread.locator(".bubble", has_text="Tuesday?")).to_contain_text("Kim member")
    await expect(box).to_have_value("")
    await expect(box).to_be_focused()
    await box.fill("Or Friday?")
    await box.press("Control+Enter")
    await expect(thread.locator(".bubble", has_text="Or Friday?")).to_be_visible()
    texts = desk.wait_for_texts(story.person, 3)
    assert [text["body"] for text in texts[1:]] == ["Tuesday?", "Or Friday?"]

    desk.answer(story.person, "STOP", story.line)
    await expect(thread.get_by_text("the number opted out")).to_be_visible()
    await expect(box).to_have_count(0)


async def test_text_is_scheduled_and_canceled_and_the_conversation_is_handled(
    desk: Desk, visit: Visit
) -> None:
    story = desk.start("", "Hello, shall we talk?")
    desk.wait_for_texts(story.person, 1)
    desk.answer(story.person, "Tomorrow, please", story.line)
    page = await visit(Role.MEMBER, path=f"/conversations/{story.person.id}?owner=all")
    thread, row = page.locator("#thread"), page.locator(".talks-row", has_text=story.person.name)
    await thread.get_by_label("Reply").fill("Good morning!")
    await thread.get_by_role("button", name="Send later").click()
    menu = page.get_by_role("group", name="Send later")
    ahead = datetime.now(UTC) + timedelta(days=1)
    await menu.get_by_label("Another time").fill(f"{ahead:%Y-%m-%dT%H:%M}")
    await accessible(page)
    await menu.get_by_label("Another time").press("Enter")
    text = thread.locator(".bubble", has_text="Good morning!")
    await expect(text).to_contain_text("Scheduled for")
    await expect(page.get_by_text("Reply scheduled for").first).to_be_visible()
    await expect(row).to_have_count(0)
    await accessible(page)
    await text.get_by_role("button", name="Cancel").click()
    await expect(text).to_contain_text("Canceled")
    await expect(row).to_be_visible()

    await thread.get_by_role("button", name="Assigned to").click()
    await thread.get_by_role("button", name="Kim member", exact=True).click()
    await expect(row).to_contain_text("Kim member")
    await thread.get_by_role("button", name="Mark done").click()
    await expect(row).to_have_count(0)
    await expect(page.get_by_text(f"{story.person.name} is done.")).to_be_visible()
    desk.answer(story.person, "Are you still there?", story.line)
    await expect(row).to_be_visible()
    assert desk.calls_to(story.person) == 1


def _three_who_wrote(desk: Desk) -> str:
    """Add a group of three who wait for a reply; return its id."""
    line, contact_ids = desk.line(), []
    for name in ("Kay First", "Kay Second", "Kay Third"):
        phone = desk.free_number()
        contact = {"first_name": name, "phone": phone}
        contact_ids.append(desk.post("/api/contacts", contact, status=201)["id"])
        desk.answer(Person("", phone, ""), "Hello?", line)
    group = desk.post("/api/groups", {"name": "Worked by keys"}, status=201)["id"]
    desk.post(f"/api/groups/{group}/members", {"contact_ids": contact_ids})
    return str(group)


async def test_inbox_is_worked_through_by_keys(desk: Desk, visit: Visit) -> None:
    group = _three_who_wrote(desk)
    page = await visit(Role.MEMBER, path=f"/conversations?group={group}")
    who, rows, keyboard = page.locator("#thread-heading"), page.locator(".talks-row"), page.keyboard

    async def expect_shown(name: str, left: int) -> None:
        await expect(who).to_have_text(name)
        await expect(who).to_be_focused()
        await expect(rows).to_have_count(left)

    for key in ("j", "Enter", "d"):  # faster than the conversation is there
        await keyboard.press(key)
    await expect_shown("Kay Second", 2)
    await (
        page.locator(".flash", has_text="Kay Third is done.")
        .get_by_role("button", name="Undo")
        .click()
    )
    await expect_shown("Kay Third", 3)
    for key in ("s", "Enter", "n"):  # the note is about who comes next
        await keyboard.press(key)
    await expect(page.get_by_text("Kay Third snoozed until")).to_be_visible()
    await expect(page.get_by_role("heading", name="Note about Kay Second")).to_be_visible()
    await expect(page.locator("#dialog").get_by_label("Note")).to_be_focused()
    await expect(who).to_have_text("Kay Second")
    await expect(rows).to_have_count(2)
    await keyboard.type("Prefers d and s")
    await keyboard.press("Control+Enter")
    await expect(page.locator(".talk-note")).to_contain_text("Prefers d and s")
    await keyboard.press("a")
    await _check_that_letters_only_choose(page)
    await keyboard.press("r")
    box = page.locator("#thread").get_by_label("Reply")
    await expect(box).to_be_focused()
    await keyboard.type("drsan")
    await expect(box).to_have_value("drsan")
    await keyboard.press("Control+Enter")
    await expect(page.locator(".bubble", has_text="drsan")).to_be_visible()
    await expect_left(rows, "Kay First")
    await expect(box).to_have_value("")
    await _check_that_escape_leaves_the_reply(page)

    await _check_that_keys_act_on_what_is_ticked(page, rows)
    await rows.click()
    await expect_shown("Kay First", 1)
    await keyboard.press("r")
    await keyboard.type("Bye")
    await keyboard.press("Control+Shift+Enter")
    await expect_shown("All done", 0)
    sent = page.locator(".flash", has_text="Reply sent. Kay First is done.")
    await sent.get_by_role("button", name="Undo").click()
    await expect_shown("Kay First", 0)
    await expect(page.locator(".bubble", has_text="Bye")).to_have_count(1)
    await keyboard.press("d")
    await expect_shown("All done", 0)
    await accessible(page)


async def _check_that_letters_only_choose(page: Page) -> None:
    keyboard, who = page.keyboard, page.locator("#thread-heading")
    menu = page.get_by_role("group", name="Assign to")
    await expect(menu.get_by_role("button", name="Unassigned")).to_be_focused()
    await keyboard.type("kd")  # in the menu letters choose, and do nothing else
    await expect(menu.get_by_role("button", name="Kim member")).to_be_focused()
    await keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(who).to_have_text("Kay Second")


async def _check_that_escape_leaves_the_reply(page: Page) -> None:
    keyboard, who = page.keyboard, page.locator("#thread-heading")
    box = page.locator("#thread").get_by_label("Reply")
    await keyboard.type("d")
    await keyboard.press("Escape")  # leaves the reply: the next key is no text
    await expect(who).to_be_focused()
    await keyboard.press("n")
    await expect(page.get_by_role("heading", name="Note about Kay Second")).to_be_visible()
    await keyboard.press("Escape")
    await expect(box).to_have_value("d")


async def _check_that_keys_act_on_what_is_ticked(page: Page, rows: Locator) -> None:
    keyboard = page.keyboard
    await page.get_by_label("Kay First").check()
    await keyboard.press("a")  # what is ticked, not what is shown
    await expect(page.get_by_role("heading", name="Assign")).to_be_visible()
    await keyboard.press("Escape")
    bar = page.get_by_role("toolbar", name="Actions on the conversations you selected")
    await accessible(page)
    await keyboard.press("d")
    await expect(rows).to_have_count(0)
    await expect(page.locator("#talk-list")).to_contain_text("All done")
    await expect(bar).to_be_hidden()
    await page.locator(".flash", has_text="marked done").get_by_role("button", name="Undo").click()
    await expect_left(rows, "Kay First")


async def expect_left(rows: Locator, name: str) -> None:
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text(name)


async def test_earlier_texts_are_shown_on_demand(desk: Desk, visit: Visit) -> None:
    line, person = desk.line(), desk.person()
    for text in ("The very first text", *(f"Text number {number}" for number in range(52))):
        desk.answer(person, text, line)
    page = await visit(path=f"/conversations/{person.id}")
    thread = page.locator("#thread")
    await expect(thread.get_by_text("Text number 51", exact=True)).to_be_in_viewport()
    await expect(thread.get_by_text("The very first text")).to_have_count(0)
    await page.get_by_role("button", name="Show earlier").click()
    first = thread.get_by_text("The very first text")
    await expect(first).to_have_count(1)
    await expect(thread.locator(".talk-day:visible")).to_have_count(1)
    desk.answer(person, "And one more", line)
    await expect(thread.get_by_text("And one more")).to_be_visible()
    await expect(first).to_have_count(1)


async def test_phone_shows_the_list_or_one_conversation(desk: Desk, visit: Visit) -> None:
    story = desk.start("", "Hello on the phone")
    desk.wait_for_texts(story.person, 1)
    page = await visit(path=EVERYBODYS, phone=True)
    await page.get_by_label("Name or phone digits").fill(story.person.name)
    await expect(page).to_have_url(re.compile(r"\?search="))
    await page.get_by_role("link", name=story.person.name).click()
    await expect(page.locator("#talk-list")).to_be_hidden()
    await expect(page.locator("#thread").get_by_label("Reply")).to_be_visible()
    screen = page.viewport_size
    assert await page.locator(".talks").bounding_box() == {"x": 0, "y": 0, **(screen or {})}
    await expect(page.locator("#handling").get_by_role("button", name="Assigned to")).to_be_hidden()
    await page.get_by_role("button", name="More about this conversation").click()
    await expect(
        page.locator("#handling").get_by_role("button", name="Assigned to")
    ).to_be_visible()
    await accessible(page)
    await page.locator("#thread").get_by_label("Reply").fill("Half a thought")
    await page.get_by_role("link", name="Back to the conversations").click()
    await expect(page.locator("#talk-list")).to_be_visible()
    await expect(page.get_by_label("Name or phone digits")).to_have_value(story.person.name)
    await page.get_by_role("link", name=story.person.name).click()
    await expect(page.locator("#thread").get_by_label("Reply")).to_have_value("Half a thought")


async def test_unknown_number_is_read_and_added_as_contact(desk: Desk, visit: Visit) -> None:
    line = desk.line()
    stranger = Person("", desk.free_number(), "")
    desk.answer(stranger, "Is the job still open?", line)
    page = await visit(Role.MEMBER, path="/conversations")
    await page.get_by_text("Unknown numbers").click()
    await expect(page).to_have_url(re.compile(r"\?only=unknown$"))
    row = page.locator(".talks-row", has_text="Is the job still open?")
    await row.click()
    await expect(page).to_have_url(re.compile(r"/conversations/unknown/[0-9a-f-]+\?only=unknown$"))
    await expect(row).to_have_attribute("aria-current", "true")
    thread = page.locator("#thread")
    await expect(thread.get_by_text("Is the job still open?")).to_be_visible()
    desk.answer(stranger, "I could start on Monday", line)
    await expect(thread.get_by_text("I could start on Monday")).to_be_visible()
    await expect(row).to_have_count(0)

    await thread.get_by_role("link", name="Add as contact").click()
    await expect(page.get_by_label("Phone")).to_have_value(stranger.phone)
    await page.get_by_label("First name").fill("Noor Newcomer")
    await page.get_by_role("button", name="Add contact").click()
    # A page that is still on its way would end the next one's.
    await expect(page.get_by_role("heading", name="Noor Newcomer")).to_be_visible()
    await page.goto("/conversations?search=noor+newcomer")
    await page.get_by_role("link", name="Noor Newcomer").click()
    await expect(page.locator("#thread").get_by_text("Is the job still open?")).to_be_visible()
    await page.locator("#thread").get_by_label("Reply").fill("It is. Shall we talk?")
    await page.get_by_role("button", name="Send", exact=True).click()
    desk.wait_for_texts(stranger, 1)


async def test_phone_shows_unknown_numbers_or_one_of_them(desk: Desk, visit: Visit) -> None:
    stranger = Person("", desk.free_number(), "")
    desk.answer(stranger, "Hello from a phone", desk.line())
    page = await visit(path="/conversations?only=unknown", phone=True)
    await page.locator(".talks-row", has_text="Hello from a phone").click()
    await expect(page.locator("#talk-list")).to_be_hidden()
    await expect(page.get_by_role("link", name="Add as contact")).to_be_visible()
    await accessible(page)
    await page.get_by_role("link", name="Back to the conversations").click()
    await expect(page.locator("#talk-list")).to_be_visible()
    await expect(page.get_by_role("radio", name="Unknown numbers")).to_be_checked()


_NOTIFICATIONS = """
window.told = [];
window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { return (this.permission = "granted"); }
  constructor(words) { super(); window.told.push(words); }
};
"""
"""Stands in for a desktop, which a browser without windows has none of."""


async def test_saved_reply_is_inserted_by_its_name_and_new_replies_are_told(
    desk: Desk, visit: Visit
) -> None:
    line = desk.line()
    stranger = Person("", desk.free_number(), "")
    contact = desk.post(
        "/api/contacts", {"first_name": "Zora", "phone": stranger.phone}, status=201
    )
    for name, body in (
        ("Zora directions", "Hi {{first_name|there}}, 12 Main St"),
        ("Zora start", "Your shift: {{shift_of_zora}}. See you"),
    ):
        desk.post("/api/saved-replies", {"name": name, "body": body}, status=201)
    desk.answer(stranger, "Where are you?", line)
    page = await visit(Role.MEMBER, path=f"/conversations/{contact['id']}", fresh=True)
    await page.add_init_script(_NOTIFICATIONS)
    await page.reload()
    box = page.locator("#thread").get_by_label("Reply")
    offered = page.get_by_role("listbox", name="Saved replies").get_by_role("option")
    await box.fill("Hello\n")
    await box.press("End")
    await box.press_sequentially("/zora")
    await expect(offered).to_have_count(2)
    await box.press("Escape")
    await expect(offered).to_have_count(0)
    await box.press_sequentially(" d")
    await expect(offered).to_have_count(0)  # closed for this line
    await box.fill("Hello\n")
    await box.press("End")
    await box.press_sequentially("/zora")
    await expect(offered.first).to_have_attribute("aria-selected", "true")
    await box.press("ArrowDown")
    await box.press("ArrowUp")
    await box.press("Enter")
    await expect(box).to_have_value("Hello\nHi Zora, 12 Main St")
    await expect(offered).to_have_count(0)

    await box.fill("")
    await page.get_by_role("button", name="Saved replies").click()
    await expect(box).to_have_value("/")
    await box.press("Escape")
    await expect(box).to_have_value("")  # what the button wrote is not left to be sent
    await page.get_by_role("button", name="Saved replies").click()
    await box.press_sequentially("zora s")
    await offered.click()
    await expect(box).to_have_value("Your shift: {{shift_of_zora}}. See you")
    await expect(page.get_by_text("Blank for this contact: Shift of zora")).to_be_visible()
    await page.keyboard.type("at nine")
    await expect(box).to_have_value("Your shift: at nine. See you")
    await _is_shown_while_it_is_sent(page, box, "Your shift: at nine.")

    await _check_notifications(desk, page, stranger, line)


async def _is_shown_while_it_is_sent(page: Page, box: Locator, words: str) -> None:
    may_go = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_go.wait()
        await route.continue_()

    await page.route("**/reply", hold)
    await box.press("Control+Enter")
    bubble = page.locator(".bubble", has_text=words)
    await expect(bubble).to_contain_text("Sending …")
    may_go.set()
    await expect(bubble).not_to_contain_text("Sending …")
    await page.unroute("**/reply")


async def _check_notifications(desk: Desk, page: Page, stranger: Person, line: Line) -> None:
    told: Callable[[], Awaitable[list[str]]] = partial(page.evaluate, "() => window.told")
    await page.get_by_role("button", name="Notify me of replies").click()
    notifies = page.get_by_role("button", name="Notifications are on")
    await expect(notifies).to_have_attribute("aria-pressed", "true")
    assert await told() == []
    await page.evaluate("() => { document.hasFocus = () => false }")
    desk.answer(stranger, "Thank you, where is that?", line)
    await expect(page.locator(".bubble", has_text="where is that?")).to_be_visible()
    await page.evaluate("() => document.body.dispatchEvent(new Event('texts-changed'))")
    await expect(page).to_have_title(re.compile(r"^\(\d+\+?\) Zora "))
    await page.wait_for_function("() => window.told.length > 0")
    assert await told() == ["New reply from Zora"]
    await notifies.click()
    await expect(page.get_by_role("button", name="Notify me of replies")).to_be_visible()
