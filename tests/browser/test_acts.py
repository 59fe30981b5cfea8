"""Batch actions of the Contacts tab in a browser, their dialogs, and its pages."""

from dataclasses import dataclass

import pytest
from playwright.async_api import Page, expect

from api.pages.sequences.contacts import ROWS
from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.rows import row, rows
from tests.e2e.people import Desk, Person

DAY_SECONDS = 86_400


_CONFIRM_AT_ONCE = """
() => {
  const dialog = document.getElementById("dialog");
  const watch = new MutationObserver(() => {
    if (!dialog.open) return;
    watch.disconnect();
    dialog.querySelector("form [type=submit]").click();
  });
  watch.observe(dialog, { attributeFilter: ["open"] });
}
"""


@dataclass(frozen=True)
class Crowd:
    """A sequence and its contacts."""

    sequence_id: str
    people: list[Person]


async def see(visit: Visit, sequence_id: str, query: str = "sort=name") -> Page:
    """Open the Contacts tab of a sequence."""
    return await visit(Role.MEMBER, path=f"/sequences/{sequence_id}/contacts?{query}")


async def open_tab(visit: Visit, desk: Desk, count: int) -> tuple[Page, str, list[Person]]:
    """Open the Contacts tab of a sequence with new contacts, who got the first of two texts."""
    people = desk.people(count)
    sequence_id = desk.sequence(desk.line(), "Hello", "Still there?", delay=DAY_SECONDS)
    desk.enroll(sequence_id, *people)
    for person in people:
        desk.wait_for_texts(person, 1)
    page = await see(visit, sequence_id)
    await expect(rows(page).get_by_text("1 of 2")).to_have_count(count)
    return page, sequence_id, people


@pytest.fixture(scope="module")
def many(desk: Desk) -> Crowd:
    """Enroll more contacts than fit on a page, who wait for their first text.

    The last test that uses them finishes them.
    """
    people = desk.people(ROWS + 2)
    steps = [{"body": "Hello", "delay_seconds": DAY_SECONDS}]
    sequence_id = desk.sequence(desk.line(), steps=steps)
    desk.enroll(sequence_id, *people)
    return Crowd(sequence_id, people)


async def tick(page: Page, *people: Person) -> None:
    for person in people:
        await row(page, person.name).get_by_role("checkbox").check()


async def test_the_ticked_are_added_to_a_group(visit: Visit, desk: Desk) -> None:
    page, _, people = await open_tab(visit, desk, 3)
    group_id = desk.post("/api/groups", {"name": "Called back"}, status=201)["id"]
    dialog = page.locator("#dialog")
    await expect(page.locator("#toolbar")).to_be_hidden()

    await tick(page, *people[:2])
    await expect(page.locator("#toolbar-count")).to_have_text("2 selected")
    await page.get_by_role("button", name="Add to group").click()
    await expect(dialog).to_contain_text("2 people")
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog.get_by_text("Group is missing")).to_be_visible()
    await accessible(page)
    await dialog.get_by_label("Group", exact=True).select_option("Called back")
    await dialog.get_by_role("button", name="Add").click()

    flash = page.locator(".flash")
    await expect(flash).to_contain_text("2 added to the group.")
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#toolbar-count")).to_have_text("2 selected")
    await accessible(page)
    members = desk.get("/api/contacts", group=group_id)["items"]
    assert {one["id"] for one in members} == {one.id for one in people[:2]}
    await flash.get_by_role("button", name="Undo").click()
    await expect(flash).to_contain_text("2 removed from the group.")
    assert desk.get("/api/contacts", group=group_id)["items"] == []


async def test_message_goes_once_to_ticked_contacts(visit: Visit, desk: Desk) -> None:
    page, _, people = await open_tab(visit, desk, 3)
    dialog = page.locator("#dialog")

    await tick(page, people[0], people[2])
    await page.get_by_role("button", name="Send message").click()
    await expect(dialog).to_contain_text(people[0].name)
    text = dialog.get_by_label("Message", exact=True)
    preview = dialog.get_by_role("group", name="Preview of the message")
    await expect(text).to_be_focused()
    await page.keyboard.type("Are you free, ")
    await dialog.get_by_role("button", name="Insert field").press("Enter")
    await dialog.get_by_role("button", name="Insert", exact=True).press("Enter")
    await expect(dialog.locator("[name=body]")).to_have_value("Are you free, {{first_name|there}}")
    await expect(dialog.locator(".pill")).to_contain_text("First name")
    await expect(text).to_be_focused()
    await dialog.get_by_label("Preview", exact=True).select_option(people[2].name)
    await expect(preview).to_contain_text(f"Are you free, {people[2].name.partition(' ')[0]}")
    await text.fill("Are you free at three? “Yes” will do")
    await expect(dialog.locator(".segments")).to_contain_text(
        "shorten each segment to 70 characters"
    )
    await text.fill("Are you free at three?")
    await expect(dialog.locator(".segments")).to_contain_text("1 segment")
    await accessible(page)
    await dialog.get_by_role("button", name="Send to 2").dblclick()

    await expect(page.locator("#flashes")).to_contain_text("2 texted.")
    for person in (people[0], people[2]):
        texts = desk.wait_for_texts(person, 2)
        assert texts[-1]["body"] == "Are you free at three?"
    assert desk.bodies_to(people[1]) == ["Hello"]


async def test_pages_go_forth_and_back(visit: Visit, many: Crowd) -> None:
    page = await see(visit, many.sequence_id)

    await expect(rows(page)).to_have_count(50)
    first = await rows(page).first.get_attribute("id")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
    await expect(rows(page)).to_have_count(2)
    await page.reload()
    await expect(rows(page)).to_have_count(2)
    await page.get_by_role("link", name="Previous").click()
    await expect(rows(page)).to_have_count(50)
    assert await rows(page).first.get_attribute("id") == first


async def test_eleventh_contact_gets_no_message(visit: Visit, desk: Desk, many: Crowd) -> None:
    page = await see(visit, many.sequence_id, "search=wobblesworth")
    names = await rows(page).locator(".people-name a").all_inner_texts()
    people = [next(one for one in many.people if one.name == name) for name in names[:11]]
    send = page.get_by_role("button", name="Send message")
    dialog = page.locator("#dialog")

    await tick(page, *people[:10])
    await expect(send).to_have_attribute("aria-disabled", "false")
    await tick(page, people[10])
    await expect(send).to_have_attribute("aria-disabled", "true")
    await send.hover()
    await expect(page.get_by_role("tooltip")).to_contain_text("up to 10 contacts")
    await accessible(page)
    await send.click(force=True)
    await send.press("Enter")
    await expect(dialog).to_be_hidden()

    await row(page, people[10].name).get_by_role("checkbox").uncheck()
    await expect(send).to_have_attribute("aria-disabled", "false")
    await send.click()
    await expect(dialog.get_by_role("button", name="Send to 10")).to_be_visible()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert {desk.calls_to(person) for person in people} == {0}


async def test_message_to_more_than_ten_matches_is_refused(
    visit: Visit, desk: Desk, many: Crowd
) -> None:
    page, people = await see(visit, many.sequence_id), many.people
    send = page.get_by_role("button", name="Send message")

    await page.get_by_role("checkbox", name="Everyone on this page").check()
    await page.get_by_role("button", name="Select all 52 that match").click()
    await expect(page.locator("#toolbar-count")).to_have_text("52 selected")
    await expect(send).to_have_attribute("aria-disabled", "true")
    refused = await page.evaluate(
        """(path) => fetch(path, {
            method: "POST", headers: { "HX-Request": "true" },
            body: new URLSearchParams({ body: "To all of you", send_id: crypto.randomUUID() }),
        }).then((answer) => answer.status)""",
        page.url.partition("?")[0] + "/act/send-message?everyone=true",
    )
    assert refused == 422

    await page.get_by_role("button", name="Mark finished").click()
    dialog = page.locator("#dialog")
    await expect(dialog).to_contain_text("52 people")
    await dialog.get_by_role("button", name="Mark finished").click()
    await expect(dialog.get_by_role("progressbar")).to_be_visible()
    await expect(dialog).to_contain_text("52 of 52")
    await expect(dialog).to_contain_text("Done")
    await accessible(page)
    await expect(page.locator("#count-finished_stopped")).to_have_text("52")

    await dialog.get_by_role("link", name="Details").click()
    results = page.locator("#results tbody tr")
    await expect(results).to_have_count(50)
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Next").click()
    await expect(results).to_have_count(2)
    await accessible(page)
    assert {desk.calls_to(person) for person in people} == {0}


async def test_marking_as_finished_asks_first(visit: Visit, desk: Desk) -> None:
    page, sequence_id, people = await open_tab(visit, desk, 3)
    dialog = page.locator("#dialog")
    finish = page.get_by_role("button", name="Mark finished")

    await tick(page, *people[:2])
    await finish.click()
    await expect(dialog.get_by_role("heading", name="Mark finished?")).to_be_visible()
    await expect(dialog).to_contain_text("2 people")
    await expect(dialog).to_contain_text("2 upcoming texts")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await finish.click()
    await expect(dialog.get_by_role("button", name="Mark finished")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert desk.counts(sequence_id) == {"active": 3}

    await finish.click()
    await dialog.get_by_role("button", name="Mark finished").click()
    await expect(page.locator("#flashes")).to_contain_text("2 marked as finished.")
    for person in people[:2]:
        await expect(row(page, person.name).locator(".status")).to_have_text("Finished, stopped")
    await expect(row(page, people[2].name).locator(".status")).to_have_text("Active")
    assert desk.counts(sequence_id) == {"active": 1, "finished_stopped": 2}

    await finish.click()
    await expect(dialog.get_by_role("button", name="Mark finished")).to_be_disabled()


async def test_pausing_and_resuming_are_a_menu_away(visit: Visit, desk: Desk) -> None:
    page, _, people = await open_tab(visit, desk, 2)
    dialog = page.locator("#dialog")
    doing = row(page, people[0].name).locator(".people-next")

    await tick(page, people[0])
    for act, said, becomes in (
        ("Pause", "1 paused.", "Paused"),
        ("Resume", "1 resumed.", "Next text"),
    ):
        await page.get_by_role("button", name="More", exact=True).click()
        await page.locator("#more-acts").get_by_role("button", name=act).click()
        await dialog.get_by_role("button", name=act).click()
        await expect(page.locator("#flashes")).to_contain_text(said)
        await expect(doing).to_contain_text(becomes)


async def test_dialog_can_be_answered_at_once(visit: Visit, desk: Desk) -> None:
    """A form that htmx does not handle yet would reload the page."""
    page, _, people = await open_tab(visit, desk, 2)
    await page.evaluate(_CONFIRM_AT_ONCE)
    await tick(page, people[0])
    await page.get_by_role("button", name="Mark finished").click()
    await expect(page.locator("#flashes")).to_contain_text("1 marked as finished.")


async def test_filtered_list_is_exported(visit: Visit, desk: Desk) -> None:
    page, _, people = await open_tab(visit, desk, 2)

    await tick(page, people[1])
    await page.get_by_role("button", name="More", exact=True).click()
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Export these as CSV").click()
    path = await (await downloading.value).path()
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 2
    assert people[1].phone.lstrip("+") in lines[1]
