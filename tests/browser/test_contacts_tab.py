"""The Contacts tab in a browser: search, filters and live updates."""

import re

import pytest
from playwright.async_api import Locator, Page, ViewportSize, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.life import GROUP, MEMBER, Life
from tests.browser.rows import row, rows
from tests.e2e.people import Desk

_FLAT: ViewportSize = {"width": 1280, "height": 400}
"""Shows a few rows at a time."""

ALL_STATUSES = {
    "Active",
    "Finished, responded",
    "Finished, no response",
    "Finished, stopped",
    "Failed",
    "Opted Out",
    "Omitted Opted Out",
    "Omitted Landline",
}


async def choose(page: Page, menu: str, *choices: str) -> None:
    """Tick some of a dropdown filter."""
    await page.get_by_role("button", name=re.compile(f"^{menu}")).click()
    for choice in choices:
        await page.get_by_role("group", name=menu).get_by_text(choice).click()
    await page.keyboard.press("Escape")


def tab(life: Life) -> str:
    return f"/sequences/{life.sequence_id}/contacts"


async def test_every_status_is_shown_and_counted(visit: Visit, life: Life, desk: Desk) -> None:
    page = await visit(path=tab(life))
    counts = desk.counts(life.sequence_id)

    await expect(rows(page)).to_have_count(sum(counts.values()))
    badges = await rows(page).locator(".status").all_inner_texts()
    assert set(badges) == ALL_STATUSES
    for status, number in counts.items():
        await expect(page.locator(f"#count-{status}")).to_have_text(str(number))
    badge = row(page, "Imani Grant").locator(".status")
    await badge.scroll_into_view_if_needed()
    await badge.hover()
    await expect(page.get_by_role("tooltip")).to_contain_text("the number is a landline")


async def test_click_right_after_typing_works(visit: Visit, life: Life) -> None:
    """The button is held for longer than the list takes to reload."""
    page = await visit(path=tab(life))
    await page.get_by_role("searchbox").press_sequentially("keiko")
    await expect(page).to_have_url(re.compile(r"\?search=keiko$"))
    await expect(rows(page)).to_have_count(1)
    await page.get_by_role("link", name="Keiko Ishikawa").hover()
    await page.mouse.down()
    await page.wait_for_timeout(500)
    await page.mouse.up()
    await expect(page.get_by_role("heading", name="Activity")).to_be_visible()


async def test_search_finds_while_one_types(visit: Visit, life: Life) -> None:
    page = await visit(path=tab(life))
    everyone = await rows(page).count()

    await page.keyboard.press("/")
    await page.keyboard.type("rosa kow")
    await expect(rows(page)).to_have_count(1)
    await expect(row(page, "Rosa Kowalski")).to_be_visible()
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await expect(page).to_have_url(re.compile(r"\?search=rosa%20kow$"))

    await page.get_by_role("searchbox").fill("646 555 7635")
    await expect(row(page, "Imani Grant")).to_be_visible()
    await expect(rows(page)).to_have_count(1)

    await page.get_by_role("searchbox").fill("nobody of that name")
    await expect(page.get_by_role("heading", name="No matches")).to_be_visible()
    await page.get_by_role("link", name="Clear filters").click()
    await expect(rows(page)).to_have_count(everyone)


async def test_filters_narrow_the_list_and_live_in_the_address(visit: Visit, life: Life) -> None:
    page = await visit(path=tab(life))
    everyone = await rows(page).count()

    await choose(page, "Enrolled by", MEMBER)
    await expect(rows(page)).not_to_have_count(everyone)
    by_member = await rows(page).count()
    assert set(await rows(page).locator("td:nth-child(6) .sub").all_inner_texts()) == {MEMBER}

    await choose(page, "Last step sent", "3: ")
    await expect(page).to_have_url(re.compile(r"step=3"))
    await expect(rows(page)).not_to_have_count(by_member)
    names = await rows(page).locator(".people-name a").all_inner_texts()
    assert {"Carla Castillo", "Farid Joyner", "Jonas Moreau"} <= set(names)
    assert set(await rows(page).locator(".people-step span").all_inner_texts()) == {"3 of 3"}

    await page.get_by_text("Finished, no response").first.click()
    await expect(page).to_have_url(re.compile(r"status=finished_no_response"))
    await expect(rows(page)).to_have_count(3)
    await expect(page.get_by_role("button", name="Enrolled by 1")).to_be_visible()

    await page.reload()
    await expect(rows(page)).to_have_count(3)
    await expect(page.get_by_role("button", name="Last step sent 1")).to_be_visible()
    shared = page.url

    await page.go_back()
    await expect(page).not_to_have_url(re.compile("status="))
    await expect(rows(page)).to_have_count(len(names))
    await expect(page.get_by_role("checkbox", name="Finished, no response")).not_to_be_checked()

    other = await visit(Role.VIEWER, path=shared)
    await expect(rows(other)).to_have_count(3)
    await expect(other.get_by_role("checkbox", name="Finished, no response")).to_be_checked()

    await other.get_by_role("link", name="Clear").click()
    await expect(rows(other)).to_have_count(everyone)


async def test_list_is_filtered_by_group_and_sorted(visit: Visit, life: Life, desk: Desk) -> None:
    page = await visit(path=tab(life))
    members = desk.tab(life.sequence_id, group=life.group_id, limit=200)["items"]

    await choose(page, "Group", GROUP)
    await expect(rows(page)).to_have_count(len(members))
    await page.get_by_role("link", name="Contact", exact=True).click()
    await expect(page.get_by_role("columnheader", name="Contact")).to_have_attribute(
        "aria-sort", "ascending"
    )
    names = await rows(page).locator(".people-name a").all_inner_texts()
    assert names == sorted(names)
    await expect(page).to_have_url(re.compile(r"sort=name"))
    await expect(page).to_have_url(re.compile(r"group="))


async def test_reply_updates_the_row_without_reload(visit: Visit, desk: Desk) -> None:
    line, people = desk.line(), desk.people(6)
    sequence_id = desk.sequence(line, "Hello", "Still there?", delay=86_400)
    desk.enroll(sequence_id, *people)
    page = await visit(path=f"/sequences/{sequence_id}/contacts?sort=name")
    await page.set_viewport_size(_FLAT)
    await expect(rows(page).get_by_text("1 of 2")).to_have_count(len(people))

    names = await rows(page).locator(".people-name a").all_inner_texts()
    answering = next(one for one in people if one.name == names[-1])
    await row(page, names[-2]).get_by_role("checkbox").check()
    last = row(page, answering.name)
    await last.scroll_into_view_if_needed()
    positions = await _positions(page, last)
    assert positions[0] > 0
    await expect(last.locator(".status")).to_have_text("Active")
    await page.evaluate("window.sameDocument = true")

    assert desk.answer(answering, "Yes please", line) == 200

    await expect(last.locator(".status")).to_have_text("Finished, responded")
    await expect(page.locator("#count-finished_responded")).to_have_text("1")
    await expect(row(page, names[-2]).get_by_role("checkbox")).to_be_checked()
    await expect(page.locator("#toolbar-count")).to_have_text("1 selected")
    assert await _positions(page, last) == positions
    assert await page.evaluate("window.sameDocument")


async def _positions(page: Page, row: Locator) -> list[float]:
    """Return the scroll position of the page and the position of a row on the screen."""
    top = await row.evaluate("(element) => element.getBoundingClientRect().top")
    return [await page.evaluate("scrollY"), top]


async def test_viewer_sees_no_action_and_is_refused(visit: Visit, life: Life, desk: Desk) -> None:
    page = await visit(Role.VIEWER, path=tab(life))

    await expect(rows(page).first).to_be_visible()
    await expect(page.locator("#toolbar")).to_have_count(0)
    await expect(rows(page).get_by_role("checkbox")).to_have_count(0)
    for name in ("Activate", "Pause", "Duplicate", "Mark finished", "Send message"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await accessible(page)

    await page.get_by_role("link", name="Keiko Ishikawa").click()
    panel = page.get_by_role("dialog")
    await expect(panel.get_by_role("heading", name="Upcoming")).to_be_visible()
    await expect(panel.get_by_role("button", name="Mark finished")).to_have_count(0)

    before = desk.counts(life.sequence_id)
    act = f"{tab(life)}/act/mark-finished?everyone=true"
    status = await page.evaluate(
        "(path) => fetch(path, { method: 'POST' }).then((answer) => answer.status)", act
    )
    assert status == 403
    await page.goto(act)
    await expect(page.get_by_role("heading", level=1)).to_have_text("You don't have access to this")
    assert desk.counts(life.sequence_id) == before


async def test_script_in_a_name_is_escaped(visit: Visit, desk: Desk) -> None:
    name = "<script>document.title='ran'</script>"
    person = desk.person(first_name=name, last_name='"><img src=x onerror=alert(1)>')
    line = desk.line()
    sequence_id = desk.sequence(line, delay=86_400)
    [enrollment_id] = desk.enroll(sequence_id, person)
    desk.wait_for_texts(person, 1)
    desk.answer(person, "<b>Yes</b><script>alert(2)</script>", line)

    page = await visit(path=f"/sequences/{sequence_id}/contacts")
    link = page.get_by_role("link", name=name)
    await expect(link).to_have_text(person.name)
    await page.get_by_role("checkbox", name=name).check()
    await page.get_by_role("button", name="Add to group").click()
    await expect(page.locator("#dialog")).to_contain_text(person.name)
    await page.locator("#dialog").get_by_role("button", name="Cancel").click()
    await link.click()
    panel = page.locator("#panel")
    await expect(panel.get_by_role("heading", name=name)).to_be_visible()
    await expect(panel.get_by_text("<b>Yes</b><script>alert(2)</script>")).to_be_visible()

    for path in (f"/enrollments/{enrollment_id}", f"/conversations/{person.id}"):
        await page.goto(path)
        await expect(page.get_by_text(name).first).to_be_visible()
        assert name in await page.title()


@pytest.mark.parametrize("phone", [False, True], ids=["wide", "phone"])
async def test_panel_shows_the_whole_timeline(visit: Visit, life: Life, *, phone: bool) -> None:
    page = await visit(path=f"{tab(life)}?search=keiko", phone=phone)
    await page.get_by_role("link", name="Keiko Ishikawa").click()
    panel = page.locator("#panel")

    await expect(panel.get_by_text("Next text in 1 day 23 hr")).to_be_visible()
    ahead = panel.get_by_role("listitem").filter(has_text="Step 2:")
    await expect(ahead).to_contain_text("Keiko, two places near you are open from Monday.")
    await expect(ahead).to_contain_text("2 days")
    await expect(panel.get_by_text("Hi Keiko, Robin from Segue")).to_be_visible()
    await expect(panel.get_by_role("heading", name="Activity")).to_be_visible()
    await expect(panel.locator(".timeline-list")).to_contain_text("Enrolled")
    await expect(panel.locator(".timeline-list")).to_contain_text("elivered")
    await panel.get_by_text("Details for operators").click()
    workflow = panel.get_by_role("link", name="View workflow")
    await expect(workflow).to_have_attribute("href", re.compile(r"/workflows/enrollment"))
    await accessible(page)

    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(page.get_by_role("link", name="Keiko Ishikawa")).to_be_focused()
