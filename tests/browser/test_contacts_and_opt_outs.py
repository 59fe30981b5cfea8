"""Contacts, groups, opt-outs and the review list in a browser."""

import re
from pathlib import Path
from uuid import uuid4

from playwright.async_api import Page, expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.e2e.people import Desk


async def test_file_is_matched_fixed_and_imported(desk: Desk, visit: Visit, tmp_path: Path) -> None:
    name = f"Ada{uuid4().hex[:8]}"
    number = f"+1917{uuid4().int % 10_000_000:07}"
    other = f"+1917{uuid4().int % 10_000_000:07}"
    file = tmp_path / "people.csv"
    known, field = desk.person(), f"Shoe {name}"
    text = (
        f"first_name;last_name;Nummer;{field}\n{name};Byron;{number};44\nBo{name};Pe\xf1a;12;\n"
        f"Other{name};Person;{known.phone};\n"
    )
    file.write_text(text, encoding="cp1252")
    page = await visit(Role.MEMBER, path="/contacts")
    await page.get_by_role("link", name="Import").first.click()
    await page.get_by_label("CSV file").set_input_files(file)
    await page.get_by_role("button", name="Continue").click()
    column = page.get_by_label("Import “Nummer” as")
    await expect(page.get_by_role("alert")).to_contain_text("the phone numbers")
    await column.select_option("Phone")
    await page.get_by_label("Or to a new group").fill(f"Group {name}")
    await expect(page.get_by_role("button", name="Import 1 contact")).to_be_visible()
    await expect(page.get_by_text("Phone is too short")).to_be_visible()
    named = page.get_by_role("listitem").filter(has_text="Row 4")
    await expect(named).to_contain_text(f"is {known.name} here; the file says Other{name} Person")
    await accessible(page)
    await named.get_by_label("Row 4").select_option(f"Keep the name {known.name}, change nothing")
    await expect(page.get_by_role("button", name="Import 2 contacts")).to_be_visible()

    await _import_as_a_new_field(page, field)
    await expect(column.locator("option:checked")).to_have_text("Phone")
    await expect(named.get_by_label("Row 4")).to_have_value("keep")
    await expect(page.get_by_label("Or to a new group")).to_have_value(f"Group {name}")

    await page.get_by_role("listitem").get_by_label("Phone").fill(other)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Row 3 will be imported.")).to_be_visible()
    await accessible(page)

    await page.get_by_role("button", name="Import 3 contacts").click()
    await expect(page.get_by_text("2 contacts added")).to_be_visible()
    await page.get_by_role("link", name="View group").click()
    await expect(page.get_by_role("heading", name=f"Group {name}")).to_be_visible()
    await expect(page.get_by_role("link", name=f"{name} Byron")).to_be_visible()

    await page.goto("/contacts")
    await page.get_by_label("Name or phone digits").press_sequentially(name.lower())
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(page).to_have_url(re.compile(rf"search={name.lower()}"))
    await page.get_by_role("link", name=f"{name} Byron").click()
    await accessible(page)
    await page.get_by_role("button", name="Opt out", exact=True).click()
    await page.get_by_label("Reason").fill("Rang us")
    await page.get_by_role("dialog").get_by_role("button", name="Opt out", exact=True).click()
    await expect(page.get_by_text("Rang us")).to_be_visible()
    await page.goto(f"/settings/opt-outs?search={number[1:]}")
    await expect(page.get_by_text("Rang us")).to_be_visible()


async def _import_as_a_new_field(page: Page, heading: str) -> None:
    """Add the field that a column holds in its dialog; the file is checked again by itself."""
    column, dialog = page.get_by_label(f"Import “{heading}” as"), page.locator("#dialog")
    await column.select_option("New field …")
    await expect(dialog.get_by_label("Name")).to_have_value(heading)
    await dialog.get_by_label("Type").select_option("Number")
    await accessible(page)
    await dialog.get_by_role("button", name="Add").click()
    await expect(dialog).to_be_hidden()
    await expect(column.locator("option:checked")).to_have_text(heading)
    await expect(page.get_by_text("Ignored columns")).to_have_count(0)


async def test_review_is_decided(desk: Desk, visit: Visit) -> None:
    story = desk.start("", "Hello, shall we talk?")
    desk.wait_for_texts(story.person, 1)
    desk.answer(story.person, "Please stop texting me until five", story.line)
    page = await visit(Role.MEMBER, path="/reviews")
    entry = page.get_by_role("link", name="Review")
    await expect(entry).to_contain_text("to review")
    review = page.locator(".review", has_text=story.person.name)
    await expect(review).to_contain_text("Please stop texting me until five")
    await review.get_by_role("button", name="Opt them out").click()
    await expect(page.get_by_role("status")).to_contain_text(f"{story.person.name} opted out.")
    await expect(review).to_have_count(0)
    await page.goto(f"/contacts/{story.person.id}")
    await expect(page.get_by_text("Asked in their own words")).to_be_visible()
    await expect(page.get_by_text("Please stop texting me until five")).to_be_visible()


async def test_group_is_deleted_after_confirmation(desk: Desk, visit: Visit) -> None:
    name, people = f"Group {uuid4().hex[:8]}", desk.people(2)
    group = desk.post("/api/groups", {"name": name}, status=201)
    members = {"contact_ids": [one.id for one in people]}
    desk.post(f"/api/groups/{group['id']}/members", members)
    page = await visit(Role.MEMBER, path=f"/groups/{group['id']}")
    dialog = page.get_by_role("dialog")
    await page.get_by_role("button", name="Delete").click()
    await expect(dialog).to_contain_text("2 members remain contacts")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text(f"{name} deleted.")).to_be_visible()
    await expect(page).to_have_url(re.compile("/groups$"))
    assert desk.get(f"/api/contacts/{people[0].id}")["id"] == people[0].id


async def test_group_among_many_is_found_by_typing(desk: Desk, visit: Visit) -> None:
    mark, person = uuid4().hex[:8], desk.person()
    for number in range(14):
        desk.post("/api/groups", {"name": f"{mark} {number}"}, status=201)
    page = await visit(Role.MEMBER, path=f"/contacts/{person.id}")
    await page.get_by_role("button", name="Add to group").click()
    dialog = page.get_by_role("dialog")
    box, groups = dialog.get_by_role("searchbox"), dialog.get_by_label("Group", exact=True)
    await expect(box).to_be_focused()
    await box.fill(f"{mark.upper()} 13")
    await expect(dialog.get_by_text("1 found")).to_be_visible()
    await expect(groups.locator("option")).to_have_text(["Choose a group", f"{mark} 13"])
    await box.press("Enter")
    await expect(groups).to_be_focused()
    await accessible(page)
    await dialog.get_by_role("button", name="Add", exact=True).click()
    await expect(page.get_by_role("link", name=f"{mark} 13")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("link", name=f"{mark} 13")).to_have_count(0)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("link", name=f"{mark} 13")).to_be_visible()

    await page.goto("/contacts")
    await page.get_by_role("button", name="Group", exact=True).click()
    menu = page.get_by_role("group", name="Group")
    await menu.get_by_role("searchbox").fill(f"{mark} 1")
    await expect(menu.get_by_text("5 found")).to_be_visible()
    await expect(page).to_have_url(re.compile("/contacts$"))
    await menu.get_by_label(f"{mark} 13").check()
    await expect(page).to_have_url(re.compile(r"\?group="))
    await expect(page.locator("#list tbody tr")).to_have_count(1)
    await menu.get_by_role("searchbox").fill("nothing like it")
    await expect(menu.get_by_role("checkbox")).to_have_count(1)
    await expect(menu.get_by_label(f"{mark} 13")).to_be_checked()
