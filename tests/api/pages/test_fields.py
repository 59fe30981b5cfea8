"""Fields on the pages: managed in the settings, shown and edited on contacts, filtered by."""

import re
from uuid import UUID

from api.examples import CONTACT, FIELD, IDS
from domain.statuses.access import Role
from services.factory import Services
from tests.api.pages.conftest import HTMX, Browse

CSV = "First name,Mobile,Job title,Shoe\nAnn,+12125550101,Driver,44\nDi,+12125550104,,\n"


async def test_fields_are_added_renamed_and_deleted_in_the_settings(
    there: dict[str, str], browse: Browse
) -> None:
    member, admin = await browse(Role.MEMBER), await browse(Role.ADMIN)
    path = "/settings/fields"
    assert "Add a field" in (await member.get(f"{path}/new", headers=HTMX)).text
    start = {"label": "Starts", "key": "start_date", "type": "date"}
    made = await member.post(path, data=start, headers=HTMX)
    assert "Starts added" in made.text
    shown = (await member.get(f"{path}/new", headers=HTMX)).text
    assert '<details class="more">' in shown
    for change, words in (
        ({"key": "start_date"}, "there is a field with this key"),
        ({"key": "", "label": "STARTS"}, "there is a field with this name"),
        ({"key": "", "label": " "}, "Name is blank"),
        ({"key": "Start"}, "is not a valid key"),
        ({"type": "list"}, "must be one of"),
    ):
        refused = await member.post(path, data={**start, **change}, headers=HTMX)
        assert words.lower() in refused.text.lower(), change
    easy = await member.post(path, data={"label": "Shoe size", "type": "number"}, headers=HTMX)
    assert "Shoe size added" in easy.text
    own = f"{path}/{there[FIELD]}"
    assert "Job title" in (await member.get(f"{own}/edit", headers=HTMX)).text
    assert (
        "Position saved" in (await member.post(own, data={"label": "Position"}, headers=HTMX)).text
    )
    assert (await member.post(f"{own}/delete", headers=HTMX)).status_code == 403
    assert "Delete Position?" in (await admin.get(f"{own}/delete", headers=HTMX)).text
    assert "Position deleted" in (await admin.post(f"{own}/delete", headers=HTMX)).text
    listed = (await admin.get(path)).text
    assert "start_date" in listed
    assert "shoe_size" in listed
    assert "Position" not in listed


async def test_contact_shows_and_edits_its_fields(there: dict[str, str], browse: Browse) -> None:
    member = await browse(Role.MEMBER)
    for key, kind in (("start_date", "date"), ("has_car", "boolean"), ("level", "number")):
        await member.post(
            "/settings/fields", data={"label": key, "key": key, "type": kind}, headers=HTMX
        )
    path = f"/contacts/{there[CONTACT]}"
    form = await member.get(f"{path}/edit")
    assert 'name="field.job_title" value="Nurse"' in form.text
    assert 'value="crm-4711"' in form.text
    data = {
        "first_name": "Ann",
        "last_name": "Lee",
        "phone": "+12125550101",
        "external_id": "crm-1",
        "owner_id": "",
        "field.job_title": "",
        "field.start_date": "2026-12-01",
        "field.has_car": "false",
        "field.level": "high",
    }
    refused = await member.post(f"{path}/edit", data=data)
    assert refused.status_code == 422
    assert "level is not a number" in refused.text
    saved = await member.post(f"{path}/edit", data={**data, "field.level": "4.50"})
    assert saved.status_code == 303, saved.text
    shown = (await member.get(path)).text
    for words in ("crm-1", "Tue, Dec 1, 2026", '<dd class="is-wrapped">No</dd>', ">4.5<"):
        assert words in shown, words
    assert "Nurse" not in shown

    for query, found in (("field.level=4.5", True), ("field.has_car=true", False)):
        for listed in (
            await member.get(f"/contacts?{query}"),
            await member.get(f"/sequences/{there[IDS['sequence_id']]}/contacts?{query}"),
        ):
            assert ("Ann Lee" in listed.text) is found, query
            assert "Cy Lee" not in listed.text
    new = {"first_name": "Di", "phone": "+12125550104", "field.level": "1"}
    assert (await member.post("/contacts/new", data=new)).status_code == 303


async def test_import_recognizes_fields_by_label(
    there: dict[str, str], browse: Browse, services: Services
) -> None:
    member = await browse(Role.MEMBER)
    sent = await member.post("/contacts/import", files={"file": ("people.csv", CSV, "text/csv")})
    path = sent.headers["location"]
    file = (await member.get(path)).text
    held = re.findall(r'<option value="([^"]*)" selected>', file)[:4]
    assert held == ["first_name", "phone", "fields.job_title", ""]
    chosen = {"column": held, "update_existing": "true"}
    checking = (await member.post(f"{path}/check", data=chosen, headers=HTMX)).text
    [check_id] = re.findall(r"/jobs/([0-9a-f-]{36})/", checking)[:1]
    await services.jobs.run_chunk(UUID(check_id))
    begun = await member.post(path, data={**chosen, "confirm": check_id})
    assert begun.status_code == 303
    await services.jobs.run_chunk(UUID(path.rpartition("/")[2]))
    result = (await member.get(path, headers=HTMX)).text
    assert "Ignored columns: Shoe" in result
    assert "<strong>1</strong> updated" in result
    shown = (await member.get(f"/contacts/{there[CONTACT]}")).text
    assert "Driver" in shown


async def test_field_is_added_while_columns_are_matched(
    there: dict[str, str], browse: Browse, services: Services
) -> None:
    member = await browse(Role.MEMBER)
    sent = await member.post("/contacts/import", files={"file": ("people.csv", CSV, "text/csv")})
    path = sent.headers["location"]
    assert '<option value="new">New field …</option>' in (await member.get(path)).text
    chosen = {"column": ["last_name", "phone", "new", "new"]}
    asked = await member.post(f"{path}/check", data=chosen, headers=HTMX)
    assert asked.headers["HX-Retarget"] == "#dialog"
    assert 'value="Job title"' in asked.text
    assert f'hx-post="{path}/columns/3/field" hx-include="#import-form"' in asked.text
    refused = await member.post(path, data=chosen)
    assert "add the field, or ignore the column" in refused.text

    adding = f"{path}/columns/3/field"
    again = await member.post(adding, data={**chosen, "label": "Job title"}, headers=HTMX)
    assert again.status_code == 409
    assert "There is a field with this name" in again.text
    made = await member.post(
        adding, data={**chosen, "label": "Trade", "type": "text"}, headers=HTMX
    )
    assert made.headers["HX-Trigger"] == "close-dialog, fields-changed"
    assert 'id="import-columns" class="table-scroll"' in made.text
    assert 'hx-swap-oob="true"' in made.text
    held = re.findall(r'<option value="([^"]*)" selected>', made.text)
    assert held == ["last_name", "phone", "fields.trade", "new"]
    asked = await member.post(f"{path}/check", data={**chosen, "column": held}, headers=HTMX)
    assert 'value="Shoe"' in asked.text
    beyond = f"{path}/columns/5/field"
    assert (await member.post(beyond, data={"label": "x"}, headers=HTMX)).status_code == 404

    held = ["first_name", "phone", "fields.trade", ""]
    columns = {"column": held, "update_existing": "true"}
    checking = (await member.post(f"{path}/check", data=columns, headers=HTMX)).text
    [check_id] = re.findall(r"/jobs/([0-9a-f-]{36})/", checking)[:1]
    await services.jobs.run_chunk(UUID(check_id))
    await member.post(path, data={**columns, "confirm": check_id})
    await services.jobs.run_chunk(UUID(path.rpartition("/")[2]))
    ann = (await member.get(f"/api/contacts/{there[CONTACT]}")).json()
    assert ann["fields"] == {"job_title": "Nurse", "trade": "Driver"}
