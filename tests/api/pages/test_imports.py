"""Importing a file on the pages: upload, columns, rows to fix, confirmation, result."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
import phonenumbers
import pytest

from api.pages.countries import COUNTRIES
from services.factory import Services
from storage.platform.database import Database
from tests.api.conftest import Connect
from tests.worlds import World

HTMX = {"HX-Request": "true"}
FILE = "Full name,Cell,favorite\nAda Byron,+14155550123,tea\nBo Ray,12,\nCy Doe,+14155550124,\n"
COLUMNS = {"column": ["full_name", "phone", ""], "region": "US"}


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


async def uploaded(
    client: httpx.AsyncClient, content: bytes | str = FILE, path: str = "/contacts/import"
) -> str:
    """Upload a file; return the path of its columns."""
    file = {"file": ("people.csv", content, "text/csv")}
    answer = await client.post(path, files=file)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def checked(
    client: httpx.AsyncClient, services: Services, path: str, data: Mapping[str, Any]
) -> str:
    """Check a file; return what was found."""
    answer = await client.post(f"{path}/check", data=data, headers=HTMX)
    assert answer.status_code == 200, answer.text
    [check_id] = re.findall(r"/jobs/([0-9a-f-]{36})/", answer.text)[:1]
    while (await services.jobs.run_chunk(UUID(check_id))).more:
        pass
    return (await client.get(f"{path}/found", headers=HTMX)).text


def check_of(found: str) -> str:
    """Read which check the button confirms."""
    [button] = re.findall(r'form="import-form" name="confirm" value="([^"]+)"', found)
    return str(button)


async def test_file_is_matched_fixed_and_imported_into_a_new_group(
    member: httpx.AsyncClient, services: Services
) -> None:
    path = await uploaded(member)
    form = (await member.get(path)).text
    assert re.findall(r'<option value="([^"]*)" selected>', form)[:3] == ["full_name", "phone", ""]
    assert "Ada Byron" in form
    assert "Read as UTF-8, separated by commas" in form
    assert '<option value="US" selected>United States</option>' in form
    assert "Nothing is imported until you confirm." in (await member.get("/contacts/import")).text
    first_button = re.findall(r"<button[^>]*>", form.partition('id="import-form"')[2])[0]
    assert "disabled" in first_button  # so that Enter in a field confirms nothing

    found = await checked(member, services, path, COLUMNS)
    assert "2 new contacts" in words(found)
    assert "1 row has an error" in words(found)
    assert "Ignored columns: favorite" in words(found)
    assert "Row 3 Bo Ray Phone" in words(found)
    assert 'value="12"' in found
    assert "Phone is too short for its country" in words(found)
    assert "Import 2 contacts" in words(found)
    assert (await member.get("/api/contacts")).json()["items"] == []

    fixing = f"{path}/rows/3"
    wrong = await member.post(fixing, data={"field": "phone", "value": "<12>"}, headers=HTMX)
    assert 'value="&lt;12&gt;"' in wrong.text
    fixed = await member.post(
        fixing, data={"field": "phone", "value": "(415) 555-0125"}, headers=HTMX
    )
    assert "Row 3 will be imported." in words(fixed.text)
    assert "Import 3 contacts" in words(fixed.text)
    assert "Rows with errors" not in (await member.get(f"{path}/found", headers=HTMX)).text

    unseen = await member.post(path, data=COLUMNS)
    assert unseen.status_code == 409
    assert "The file is not checked as it is now; wait" in words(unseen.text)
    assert "Match columns" in (await member.get(path)).text

    sent = {**COLUMNS, "new_group": "Nurses", "confirm": check_of(found)}
    begun = await member.post(path, data=sent)
    assert begun.headers["location"] == path
    assert "Match columns" not in (await member.get(path)).text
    await services.jobs.run_chunk(UUID(path.rpartition("/")[2]))
    done = (await member.get(path, headers=HTMX)).text
    assert "3 contacts added" in words(done)
    assert "View group" in done
    assert "3 contacts added" in words((await member.get(path)).text), "when it is opened again"
    [group] = (await member.get("/api/groups")).json()["items"]
    assert (group["name"], group["member_count"]) == ("Nurses", 3)
    assert (await member.post(f"{path}/check", data=COLUMNS, headers=HTMX)).status_code == 404


async def test_wrong_choice_says_what_to_do_and_keeps_the_form(
    member: httpx.AsyncClient, services: Services
) -> None:
    path = await uploaded(member)
    for change, sentence in (
        ({"column": ["full_name", "", ""]}, "Choose which column holds the phone numbers."),
        ({"column": ["", "phone", ""]}, "Choose which column holds the names"),
        ({"column": ["phone", "phone", ""]}, "Two columns hold “Phone”. Ignore one of them."),
        ({"region": "zz"}, "Country is"),
        ({"group_id": "x"}, "Group is not a group"),
        ({"column": ["full_name", "phone", "fields.gone"]}, "must be one of"),
    ):
        sent = {**COLUMNS, **change}
        refused = await member.post(f"{path}/check", data=sent, headers=HTMX)
        assert refused.status_code == 422, change
        assert sentence in words(refused.text), change
        sent |= {"new_group": "Kept <b>", "confirm": str(uuid4())}
        again = await member.post(path, data=sent)
        assert again.status_code == 422, change
        assert sentence.replace("Group is", "Add everyone to a group is") in words(again.text)
        assert 'value="Kept &lt;b&gt;"' in again.text, change
    assert (await member.get("/api/jobs")).json()["items"][0]["state"] == "receiving"
    assert (await member.get("/api/groups")).json()["items"] == []
    assert (await services.jobs.find()).items[0].total == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04", "CSV file is an Excel workbook"),
        (b"phone\n\x81", "neither UTF-8, UTF-16 nor Windows-1252"),
        (b"", "CSV file is empty"),
        (None, "CSV file is missing; choose one"),
    ],
)
async def test_unreadable_file_shows_its_error_beside_the_field(
    member: httpx.AsyncClient, content: bytes | None, sentence: str
) -> None:
    sent = {"file": ("people.csv", content, "text/csv")} if content is not None else None
    for path in ("/contacts/import", "/settings/opt-outs/import"):
        answer = await member.post(path, files=sent, headers=HTMX)
        assert answer.status_code == 422
        assert sentence in words(answer.text)
    assert (await member.get("/api/jobs")).json()["items"] == []


async def test_many_bad_rows_come_page_by_page(
    member: httpx.AsyncClient, services: Services
) -> None:
    rows = "".join(f"Ann{one},1\n" for one in range(45))
    path = await uploaded(member, f"name,phone\n{rows}")
    found = await checked(member, services, path, {"column": ["full_name", "phone"]})
    seen = re.findall(r'<li id="row-(\d+)"', found)
    while more := re.search(r'hx-get="([^"]*after=\d+)"', found):
        found = (await member.get(more[1], headers=HTMX)).text
        seen += re.findall(r'<li id="row-(\d+)"', found)
    assert seen == [str(line) for line in range(2, 47)]


async def test_row_whose_number_has_another_name_shows_both_and_a_choice(
    member: httpx.AsyncClient, services: Services, world: World
) -> None:
    await world.contacts(1, first_name="Zoë", last_name="<Alba>", phone="+14155550123")
    path = await uploaded(member)
    assert "If a number belongs to a contact with another name" in (await member.get(path)).text
    found = await checked(member, services, path, COLUMNS)
    assert (
        "Row 2: +1 415-555-0123 is Zoë &lt;Alba&gt; here; the file says Ada Byron Skip this row"
        " Keep the name Zoë &lt;Alba&gt;, change nothing Change the name to Ada Byron"
        in words(found)
    )
    assert "1 row skipped: the number belongs to a contact with another name" in words(found)
    assert "Import 1 contact" in words(found)
    choosing = f"{path}/rows/2/name"
    kept = (await member.post(choosing, data={"other_name": "keep"}, headers=HTMX)).text
    assert '<option value="keep" selected>' in kept
    assert "Import 2 contacts" in words(kept)
    assert "row skipped" not in words(kept)
    wrong = await member.post(choosing, data={"other_name": "guess"}, headers=HTMX)
    assert wrong.status_code == 422
    sent = {**COLUMNS, "confirm": check_of(found), "other_names": "guess"}
    assert "must be one of skip, keep, take" in (await member.post(path, data=sent)).text


async def test_hostile_values_are_shown_as_text(
    member: httpx.AsyncClient, services: Services
) -> None:
    evil = "\"'><script>alert(1)</script>{{7*7}}"
    quoted = '"' + evil.replace('"', '""') + '"'
    path = await uploaded(member, f"{quoted},phone\n{quoted},{quoted}\n")
    found = await checked(member, services, path, {"column": ["full_name", "phone"]})
    for html in ((await member.get(path)).text, found):
        assert "<script>alert" not in html
        assert "{{7*7}}" in html


async def test_file_can_be_continued_or_discarded_later(
    member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    path = await uploaded(member)
    other = await uploaded(member, "phone\n1\n", "/settings/opt-outs/import")
    start = (await member.get("/contacts/import")).text
    assert f'href="{path}"' in start
    assert "3 rows, uploaded" in words(start)
    assert other not in start
    assert "deleted a day after" in (await admin.get("/settings/activity")).text
    assert path not in (await admin.get("/contacts/import")).text
    assert (await admin.post(f"{path}/discard")).status_code == 404
    discarded = await member.post(f"{path}/discard")
    assert discarded.headers["location"] == "/contacts/import"
    assert path not in (await member.get("/contacts/import")).text
    assert (await member.get(path)).status_code == 404


async def test_another_users_file_is_not_there(
    member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    path = await uploaded(member)
    assert (await admin.get(path)).status_code == 404
    assert (await admin.post(path, data=COLUMNS)).status_code == 404
    assert (await admin.post(f"{path}/rows/3", data={}, headers=HTMX)).status_code == 404


async def test_job_of_another_kind_is_not_an_import(
    world: World, member: httpx.AsyncClient, connect: Connect
) -> None:
    sequence = await world.active()
    contact = [str(one) for one in await world.contacts(1)]
    path, prefer = f"/api/sequences/{sequence.id}/enrollments", {"Prefer": "respond-async"}
    job = (await member.post(path, json={"contact_ids": contact}, headers=prefer)).json()
    assert (await member.get(f"/imports/{job['id']}")).status_code == 404
    assert (await member.get(f"/imports/{uuid4()}")).status_code == 404


async def test_opt_outs_are_matched_and_imported(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    await world.contacts(1)
    file = "Mobile;Why\n+12125000000;Wrote a letter\n12;\n"
    path = await uploaded(member, file, "/settings/opt-outs/import")
    form = (await member.get(path)).text
    assert "separated by semicolons" in form
    assert "Update contacts" not in form
    chosen = {"column": ["phone", "reason"], "region": "US", "reason": "Old list"}
    found = await checked(member, services, path, chosen)
    assert "1 number will be opted out" in words(found)
    assert "Opt out 1 number" in words(found)
    assert await world.rows("SELECT id FROM suppressions") == []
    await member.post(path, data={**chosen, "confirm": check_of(found)})
    await services.jobs.run_chunk(UUID(path.rpartition("/")[2]))
    assert "1 number opted out" in words((await member.get(path, headers=HTMX)).text)
    [one] = await world.rows("SELECT phone, reason FROM suppressions")
    assert tuple(one) == ("+12125000000", "Wrote a letter")


def test_every_country_of_phone_numbers_has_a_name() -> None:
    assert {code for code, _ in COUNTRIES} == set(phonenumbers.SUPPORTED_REGIONS)
    assert all(name.strip() for _, name in COUNTRIES)
