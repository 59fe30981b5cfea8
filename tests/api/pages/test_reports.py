"""The figures of a sequence's Overview and of Reports: numbers lead to the people they count."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest

from api.pages.figures import chart, lasting
from services.factory import Services
from storage.platform.database import Database
from tests.api.pages.conftest import HTMX
from tests.worlds import World

LINK = re.compile(r'href="(/sequences/[^"]*/contacts[^"]*)"[^>]*aria-label="(\d+) ')


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def follow(member: httpx.AsyncClient, figures: str) -> int:
    """Follow a link of each kind that numbers have; return how many kinds there are."""
    links = dict[str, tuple[str, str]]()
    for address, number in LINK.findall(figures):
        links[re.sub(r"=[^a-z&]+[^&]*", "", address.partition("?")[2])] = address, number
    for address, number in links.values():
        people = await member.get(address.replace("&amp;", "&"))
        assert len(re.findall(r'<tr id="row-', people.text)) == int(number), address
    return len(links)


async def test_numbers_lead_to_the_people_they_count(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    contacts = [str(one) for one in await world.contacts(3)]
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": contacts})
    [(one, _, two)] = [
        [row.id for row in await world.rows("SELECT id FROM enrollments ORDER BY id")]
    ]
    await world.run(
        "INSERT INTO messages (id, direction, phone, enrollment_id, sender_id, step, pass, body,"
        " status, error_code) SELECT gen_random_uuid(), 'outbound', '+12125550100', id, :sender,"
        " 1, 1, 'Hi', 'failed', 30003 FROM enrollments WHERE id = ANY(:ids)",
        ids=[one, two],
        sender=world.sender_id,
    )
    await world.run(
        "INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before)"
        " SELECT gen_random_uuid(), id, 1, 'accepted', now() - interval '1 hour', now()"
        " FROM messages"
    )
    await world.run(
        "UPDATE enrollments SET replied_at = now(), status = 'failed', activity = NULL,"
        " ended_at = now(), step = 1 WHERE id = :id",
        id=one,
    )
    await world.run(
        "INSERT INTO messages (id, direction, contact_id, phone, user_id, body, status)"
        " SELECT gen_random_uuid(), 'outbound', contact_id, '+12125550100', :user, 'Hello', 'sent'"
        " FROM enrollments WHERE id = :id",
        id=one,
        user=world.user_id,
    )
    shell = await member.get(f"/sequences/{sequence.id}")
    assert f'hx-get="/sequences/{sequence.id}/figures"' in shell.text
    assert f'hx-get="/sequences/{sequence.id}/report"' in shell.text
    figures = await member.get(f"/sequences/{sequence.id}/report", headers=HTMX)
    assert await follow(member, figures.text) > 12
    assert "outcome_code=30003" in figures.text
    assert 'Hi <span class="pill">First name · there</span>' in figures.text
    assert "replied_hour=" in figures.text
    assert f"answered_by={world.user_id}" in figures.text
    assert "1</a> of 1 reply answered" in figures.text
    assert "1 hr" in figures.text

    everything = await member.get("/reports/figures", headers=HTMX)
    assert await follow(member, everything.text) >= 5


async def test_report_that_takes_too_long_says_so_in_its_place(
    world: World, member: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = await world.active()
    monkeypatch.setattr(services.reports, "_turn", asyncio.Semaphore(0))
    monkeypatch.setattr(services.reports, "_longest_wait", timedelta(0))
    for path in ("/reports/figures", f"/sequences/{sequence.id}/report"):
        busy = await member.get(path, headers=HTMX)
        assert (busy.status_code, busy.headers["HX-Retarget"]) == (503, "#report")
        assert "Retry-After" in busy.headers
        assert "Choose fewer days" in busy.text
    program = await member.get("/api/reports/sequences")
    assert (program.status_code, program.json()["code"]) == (503, "busy")


async def test_texts_to_come_are_shown_on_an_axis_with_their_number(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    contacts = [str(one) for one in await world.contacts(3)]
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": contacts})
    figures = (await member.get(f"/sequences/{sequence.id}/figures", headers=HTMX)).text
    assert "<strong>3</strong><span>texts planned" in figures
    assert "<span>4</span><span>2</span><span>0</span>" in figures
    assert re.search(r"<title>\d+:00 [ap]m: 3</title>", figures, re.IGNORECASE)
    assert re.search(r"<td>3</td></tr></tbody>", figures)
    assert "Nothing needs attention" in figures


async def test_filters_of_a_report_are_told_and_taken_back_one_by_one(
    world: World, member: httpx.AsyncClient
) -> None:
    sequence = await world.active()
    path = f"/sequences/{sequence.id}/contacts"
    query = (
        "outcome=failed&outcome_code=30003&enrolled_from=2026-11-01T04:00:00Z"
        "&enrolled_until=2026-12-01T05:00:00Z&replied_hour=37&replied_zone=America/New_York"
        f"&sender={world.sender_id}&answered=true&answered_by={world.user_id}"
    )
    shown = await member.get(f"{path}?{query}")
    assert shown.status_code == 200
    for words in (
        *("Any step: failed (", "First reply on Tuesday at 1:00", "Texted from Front desk"),
        *("Reply answered", "Answered by Mia"),
    ):
        assert words in shown.text
    assert re.search(r"Enrolled from \w+,? .*2026 until \w+,? .*2026", shown.text)
    for name in ("outcome", "enrolled_from", "replied_zone", "sender", "answered_by"):
        assert f'type="hidden" name="{name}"' in shown.text
    without = re.search(r'href="([^"]*)" aria-label="Show every outcome again"', shown.text)
    assert without
    assert "outcome" not in without[1]
    assert "replied_hour=37" in without[1]


@pytest.mark.parametrize(
    "path", ["/sequences/{}", "/sequences/{}?days=all", "/reports", "/reports?days=7&sort=-replied"]
)
async def test_range_stays_in_the_address(
    world: World, member: httpx.AsyncClient, path: str
) -> None:
    sequence = await world.active()
    page = await member.get(path.format(sequence.id))
    assert 'aria-current="true"' in page.text
    part = re.search(r'id="report" hx-get="([^"]*)"', page.text)
    assert part
    figures = await member.get(part[1].replace("&amp;", "&"), headers=HTMX)
    assert "No one was enrolled in this time" in figures.text


async def test_wrong_range_is_told_beside_its_field(
    world: World, member: httpx.AsyncClient
) -> None:
    for path in (f"/sequences/{(await world.active()).id}", "/reports"):
        page = await member.get(f"{path}?first_day=2026-02-02&last_day=2026-02-01")
        assert page.status_code == 422
        assert "The last day is before the first day, 2026-02-02" in page.text
        assert 'value="2026-02-02"' in page.text
        assert 'id="report"' not in page.text


async def test_sequences_are_sorted_by_any_column(world: World, member: httpx.AsyncClient) -> None:
    for name, count in (("Alpha", 1), ("Beta", 3), ("Gamma", 2)):
        sequence = await world.active(name=name)
        contacts = [str(one) for one in await world.contacts(count)]
        path = f"/api/sequences/{sequence.id}/enrollments"
        await member.post(path, json={"contact_ids": contacts})
    for sort, expected in (
        ("", ["Beta", "Gamma", "Alpha"]),
        ("?sort=people", ["Alpha", "Gamma", "Beta"]),
        ("?sort=name", ["Alpha", "Beta", "Gamma"]),
        ("?sort=-median_reply_seconds", ["Beta", "Gamma", "Alpha"]),
    ):
        figures = await member.get(f"/reports/figures{sort}", headers=HTMX)
        assert re.findall(r'<th scope="row"><a[^>]*>(\w+)</a>', figures.text) == expected, sort


def test_axis_ends_at_a_number_that_reads_well() -> None:
    for most, top in ((0, 2), (1, 2), (3, 4), (195, 200), (1_201, 2_000)):
        laid = chart([("", [("blue", most)]), ("", [("blue", 0)])])
        assert laid.ticks == (top, top // 2, 0)
        assert laid.columns[0].bars[0].height == pytest.approx(100 * most / top, abs=0.01)


def test_how_long_is_told_in_two_units() -> None:
    told = {0.2: "0 sec", 59: "59 sec", 3_600: "1 hr", 7_500: "2 hr 5 min", 180_000: "2 days 2 hr"}
    assert {seconds: lasting(seconds) for seconds in told} == told
