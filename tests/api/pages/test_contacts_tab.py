"""The Contacts tab: columns, saved views, counts of chips, and the pace of a queue."""

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from api.pages.sequences.pace import left_words, rate_words
from domain.statuses.access import Role
from domain.statuses.contacts import FieldType
from services.factory import Services
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX, Browse
from tests.worlds import World


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def enrolled(
    world: World, services: Services, count: int = 2, **values: Any
) -> tuple[str, list[UUID]]:
    """Enroll contacts; return the path of the tab, and the enrollments."""
    sequence = await world.active()
    people = await world.contacts(count, **values)
    answer = await services.enrolling.enroll(sequence.id, world.user_id, contact_ids=people)
    return f"/sequences/{sequence.id}/contacts", [one.id for one in answer.enrolled]


def heads(page: httpx.Response) -> list[str]:
    """List the headings of the columns."""
    found = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page.text)
    return [re.sub(r"<[^>]+>", "", one) for one in found]


def cells(page: httpx.Response, name: str) -> list[str]:
    """List what the rows say in the cells of a class."""
    mark = "data-label" if name == "field" else f'class="people-{name}"'
    found = re.findall(rf"<td {mark}[^>]*>(.*?)</td>", page.text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in found]


def chips(page: httpx.Response) -> dict[str, str]:
    """Return what the chips of the statuses count; those that are folded away are left out."""
    return {
        name: number
        for style, name, number in re.findall(
            r'<span class="(chip-count[^"]*)" id="count-(\w+)"[^>]*>([^<]*)</span>', page.text
        )
        if "is-none" not in style
    }


def hidden(page: httpx.Response, name: str) -> str:
    """Return the value of a hidden input."""
    found = re.search(rf'type="hidden" name="{name}" value="([^"]*)"', page.text)
    assert found is not None
    return html.unescape(found[1])


async def test_chips_count_what_is_searched_for_and_fold_away_without_any(
    world: World, services: Services, browse: Browse
) -> None:
    path, ids = await enrolled(world, services, 4)
    await world.run(
        "UPDATE enrollments SET status = 'failed', activity = NULL, ended_at = now()"
        " WHERE id = :id",
        id=ids[3],
    )
    browser = await browse()
    whole = await browser.get(path)
    assert chips(whole) == {"active": "3", "failed": "1"}
    assert '<span id="chips-folded">+10 more</span>' in whole.text, "six statuses, and four others"
    for query, counted in (
        ({"search": "ann3"}, {"failed": "1"}),
        ({"search": "ann", "status": "failed"}, {"active": "3", "failed": "1"}),
        ({"enrolled_by": str(world.user_id)}, {"active": "3", "failed": "1"}),
        ({"step": "1"}, {}),
        ({"waiting_for_step": "1"}, {"active": "3"}),
        ({"waiting_for_step": "2", "search": "ann"}, {}),
    ):
        part = await browser.get(path, params=query, headers=HTMX)
        assert chips(part) == counted, query
    ticked = await browser.get(path, params={"status": "opted_out"})
    assert "+9 more" in ticked.text, "the one that is ticked stays"


async def test_chips_say_that_there_are_more_than_were_counted(
    world: World, services: Services, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.enrollments.list_counts.COUNTED", 3)
    monkeypatch.setattr("api.pages.sequences.contacts.ROWS", 2)
    path, _ = await enrolled(world, services, 5)
    part = await (await browse()).get(path, params={"search": "ann"}, headers=HTMX)
    assert chips(part)["active"] == "3+"
    assert chips(part)["failed"] == "", "it was not looked at all of them"
    assert 'data-many="3+"' in part.text


async def test_columns_and_density_are_kept_for_the_user_alone(
    world: World, services: Services, browse: Browse
) -> None:
    for key, label, kind in (
        ("town", "Town", FieldType.TEXT),
        ("starts", "Starts", FieldType.DATE),
        ("car", "Has a car", FieldType.BOOLEAN),
    ):
        await services.fields.create(key, label, kind)
    path, _ = await enrolled(
        world, services, 1, fields={"town": "Rome", "starts": "2026-12-01", "car": False}
    )
    member, viewer = await browse(), await browse(Role.VIEWER)
    usual = ["Contact", "Status", "Step", "Next", "Enrolled", "Last message"]
    assert heads(await member.get(path)) == usual

    back = f"{path}?search=ann&sort=name"
    chosen = {
        "columns": ["next", "field.starts", "field.car", "field.gone", "nonsense"],
        "density": "comfortable",
        "back": back,
    }
    answer = await viewer.post(f"{path}/display", data=chosen)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    page = await viewer.get(back)
    assert heads(page) == ["Contact", "Next", "Has a car", "Starts"]
    has_car, starts = cells(page, "field")
    assert has_car == "No"
    assert 'data-label="Has a car"' in page.text, "which a phone shows"
    assert "2026" in starts
    assert "2026-12-01" not in starts, "in words"
    assert "is-comfortable" in page.text
    part = await viewer.get(back, headers=HTMX)
    assert heads(part) == heads(page)
    assert heads(await member.get(path)) == usual, "another user's stay"

    by_address = await viewer.get(f"{path}?columns=status,field.town&density=compact")
    assert heads(by_address) == ["Contact", "Status", "Town"]
    assert "is-compact" in by_address.text
    assert hidden(by_address, "columns") == "status,field.town", "filters keep it"
    assert hidden(by_address, "back") == path, "what is chosen for good goes before it"
    away = await viewer.post(f"{path}/display", data={"back": "https://example.com/"})
    assert away.headers["location"] == "/"
    assert heads(await viewer.get(path)) == ["Contact"], "whoever wants none has none"


async def test_actions_take_a_list_with_columns_in_its_address(
    world: World, services: Services, browse: Browse
) -> None:
    path, _ = await enrolled(world, services)
    query = {"everyone": "true", "columns": "status", "density": "compact"}
    asked = await (await browse()).get(f"{path}/act/pause", params=query, headers=HTMX)
    assert asked.status_code == 200
    assert "columns" not in asked.text, "they are no filter"


async def test_views_are_saved_opened_changed_and_deleted(
    world: World, services: Services, browse: Browse
) -> None:
    path, _ = await enrolled(world, services)
    member, viewer = await browse(), await browse(Role.VIEWER)
    page = await viewer.get(f"{path}?status=active&search=ann&sort=name&columns=status")
    shown = {"path": path, "query": hidden(page, "query")}
    assert "Save" in (await viewer.get("/views/new", params=shown, headers=HTMX)).text
    refused = await viewer.post("/views", data={**shown, "name": " "}, headers=HTMX)
    assert (refused.status_code, "Name is blank" in refused.text) == (422, True)

    saved = await viewer.post("/views", data={**shown, "name": "Mine"}, headers=HTMX)
    address = saved.headers["HX-Redirect"]
    assert urlsplit(address).path == path
    opened = await viewer.get(address)
    assert heads(opened) == ["Contact", "Status"]
    assert hidden(opened, "query") == shown["query"], "the same list is the same view"
    menu = (await viewer.get("/views", params=shown, headers=HTMX)).text
    assert 'aria-current="true"' in menu
    other = {**shown, "query": "search=lee"}
    elsewhere = (await viewer.get("/views", params=other, headers=HTMX)).text
    assert "Mine" in elsewhere
    assert "aria-current" not in elsewhere
    assert "Mine" not in (await member.get("/views", params=shown, headers=HTMX)).text

    again = await viewer.post("/views", data={**other, "name": "mine"}, headers=HTMX)
    assert (again.status_code, "another view" in again.text) == (422, True)
    found = re.search(r'hx-get="(/views/[0-9a-f-]+)"', menu)
    assert found is not None
    own = found[1]
    assert "Change view" in (await viewer.get(own, params=other, headers=HTMX)).text
    renamed = await viewer.post(own, data={**other, "name": "Ours"}, headers=HTMX)
    assert renamed.headers["HX-Redirect"] == f"{path}?search=lee"
    kept = (await viewer.get("/views", params=shown, headers=HTMX)).text
    assert "Ours" in kept
    assert 'aria-current="true"' in kept, "only the name was changed"
    await viewer.post(own, data={**other, "name": "Ours", "replace": "true"}, headers=HTMX)
    moved = (await viewer.get("/views", params=other, headers=HTMX)).text
    assert 'aria-current="true"' in moved

    for request in (member.get(own, params=shown), member.post(f"{own}/delete", data=shown)):
        assert (await request).status_code == 404
    gone = await viewer.post(f"{own}/delete", data=other, headers=HTMX)
    assert gone.headers["HX-Redirect"] == f"{path}?search=lee"
    assert "Ours" not in (await viewer.get("/views", params=shown, headers=HTMX)).text


async def test_contacts_and_conversations_have_views_of_their_own(browse: Browse) -> None:
    member = await browse()
    saved = {}
    for page, path, query in (
        ("contacts", "/contacts", "search=ann&sort=-created_at"),
        ("conversations", "/conversations", "only=done&owner=all"),
    ):
        list_ = await member.get(f"{path}?{query}")
        shown = {name: hidden(list_, name) for name in ("page", "path", "query")}
        assert shown == {"page": page, "path": path, "query": query}
        answer = await member.post("/views", data={**shown, "name": f"My {page}"}, headers=HTMX)
        assert answer.headers["HX-Redirect"] == f"{path}?{query}"
        saved[page] = (await member.get("/views", params=shown, headers=HTMX)).text
    assert "My contacts" in saved["contacts"]
    assert "My contacts" not in saved["conversations"]
    assert "Needs reply" in saved["conversations"]


async def test_views_lead_nowhere_else_and_are_not_too_many(
    browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.access.saved_views.MOST_VIEWS", 1)
    browser = await browse()
    away = {"path": "https://example.com/x", "query": "a=1&b", "name": "Away"}
    saved = await browser.post("/views", data=away, headers=HTMX)
    assert saved.headers["HX-Redirect"] == "/x?a=1"
    menu = await browser.get("/views", params=away | {"query": ""}, headers=HTMX)
    assert menu.status_code == 422, "a name is no part of the list"
    assert "example.com" not in menu.text
    long = {"query": "search=" + "x" * 4_000, "name": "Long"}
    more = {"query": "", "name": "More"}
    for form, words in ((long, "has too many filters"), (more, "delete one first")):
        refused = await browser.post("/views", data=form, headers=HTMX)
        assert (refused.status_code, words in refused.text) == (422, True)


async def test_contact_who_is_only_a_number_is_shown_once(
    world: World, services: Services, browse: Browse
) -> None:
    number = "+12125550123"
    path, _ = await enrolled(world, services, 1, first_name="", last_name=number, phone=number)
    page = await (await browse()).get(path)
    assert cells(page, "name") == ["+1 212-555-0123"]
    assert 'aria-label="+1 212-555-0123"' in page.text


async def test_error_is_one_line_that_focus_shows_whole(
    world: World, services: Services, browse: Browse
) -> None:
    path, ids = await enrolled(world, services, 1)
    await world.run(
        "UPDATE enrollments SET status = 'failed', activity = NULL, ended_at = now(),"
        " error_code = 30003 WHERE id = :id",
        id=ids[0],
    )
    page = await (await browse()).get(path)
    error = r'class="people-error" data-tip="([^"]+) \(30003\)" tabindex="0">([^<]+)<'
    found = re.search(error, page.text)
    assert found is not None
    assert found[1] == found[2]


async def test_queue_says_its_pace(world: World, services: Services, browse: Browse) -> None:
    path, _ = await enrolled(world, services, 30)
    pace = f"{path.removesuffix('/contacts')}/pace"
    browser = await browse()
    assert f'hx-get="{pace}"' in (await browser.get(path)).text
    await world.run("UPDATE enrollments SET next_send_at = now() - interval '1 second'")
    shown = (await browser.get(pace, headers=HTMX)).text
    assert "30 texts in line: sending 1 a second, less than a minute left" in shown
    await world.run("UPDATE senders SET segments_per_second = 0.1")
    shown = (await browser.get(pace, headers=HTMX)).text
    assert "30 texts in line: sending 6 a minute, about 5 min left" in shown
    await enrolled(world, services, 30)
    await world.run("UPDATE enrollments SET next_send_at = now() - interval '1 second'")
    shown = (await browser.get(pace, headers=HTMX)).text
    assert "30 texts in line" in shown
    assert "about 10 min left" in shown, "another sequence has the same sender"
    for change in (
        "UPDATE enrollments SET next_send_at = now() + interval '1 hour'",
        "UPDATE senders SET held_at = now(), next_probe_at = now()",
    ):
        await world.run("UPDATE enrollments SET next_send_at = now() - interval '1 second'")
        await world.run(change)
        assert (await browser.get(pace, headers=HTMX)).text == "", change


@pytest.mark.parametrize(
    ("rate", "words"),
    [(1, "1 a second"), (2.5, "2.5 a second"), (0.25, "15 a minute"), (0.01, "36 an hour")],
)
def test_rate_is_told_by_a_unit_of_which_there_is_one(rate: float, words: str) -> None:
    assert rate_words(rate) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (12, "less than a minute left"),
        (121, "about 3 min left"),
        (5_400, "about 1 hr 30 min left"),
        (9_000, "about 2 hr 30 min left"),
    ],
)
def test_time_left_is_told_roughly(seconds: int, words: str) -> None:
    assert left_words(timedelta(seconds=seconds)) == words


async def test_page_of_fifty_with_every_column_weighs_less_than_120_kb(
    world: World, services: Services, browse: Browse
) -> None:
    for number in range(6):
        await services.fields.create(f"field_{number}", f"Field {number}", FieldType.TEXT)
    fields = {f"field_{number}": "some words of it" for number in range(6)}
    path, _ = await enrolled(world, services, 60, fields=fields)
    columns = "status,step,next,enrolled,last_message," + ",".join(f"field.{one}" for one in fields)
    page = await (await browse()).get(path, params={"columns": columns})
    assert len(cells(page, "name")) == 50
    assert len(cells(page, "field")) == 300
    assert len(page.content) < 120_000
