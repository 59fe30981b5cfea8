"""Fields of contacts over HTTP: what a workspace adds to a contact, written, filtered, deleted."""

from typing import Any
from uuid import uuid4

import httpx

from api.examples import CONTACT, IDS
from services.factory import Services
from tests.api.test_contacts import add, names

FIELDS = (
    {"key": "job_title", "label": "Job title", "type": "text"},
    {"key": "level", "type": "number"},
    {"key": "start_date", "label": "Starts", "type": "date"},
    {"key": "has_car", "label": "Has a car", "type": "boolean"},
)


async def add_fields(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Create the fields above; return them by key."""
    for one in FIELDS:
        made = await client.post("/api/fields", json=one)
        assert made.status_code in (201, 409), made.text
    return {one["key"]: one for one in (await client.get("/api/fields")).json()["items"]}


async def test_fields_are_created_listed_relabeled_and_limited(
    member: httpx.AsyncClient,
) -> None:
    made = await add_fields(member)
    assert made["level"]["label"] == "level"
    listed = (await member.get("/api/fields")).json()
    assert listed == {"items": [made[key] for key in sorted(made)], "next_cursor": None}
    path = f"/api/fields/{made['level']['id']}"
    for body in ({"label": "Level"}, {}):
        assert (await member.patch(path, json=body)).json() == {**made["level"], "label": "Level"}
    assert (await member.get(path)).json()["label"] == "Level"

    for new, status, code in (
        ({"key": "level", "type": "text"}, 409, "field_taken"),
        ({"key": "first_name", "type": "text"}, 422, "reserved_key"),
        ({"key": "external_id", "type": "text"}, 422, "reserved_key"),
        ({"key": "Job", "type": "text"}, 422, "invalid_key"),
        ({"key": "a", "type": "list"}, 422, "unknown_value"),
        ({"key": "a", "type": "text", "label": "a\nb"}, 422, "invalid_text"),
    ):
        refused = await member.post("/api/fields", json=new)
        found = refused.json().get("errors") or [refused.json()]
        assert (refused.status_code, found[0]["code"]) == (status, code), new
    assert refused.status_code == 422
    for change in ({"key": "other"}, {"type": "text"}, {"label": " "}, {"label": None}):
        assert (await member.patch(path, json=change)).status_code == 422, change
    for number in range(46):
        new = {"key": f"field_{number}", "type": "text"}
        assert (await member.post("/api/fields", json=new)).status_code == 201
    full = await member.post("/api/fields", json={"key": "one_more", "type": "text"})
    assert (full.status_code, full.json()["code"]) == (409, "field_limit")


async def test_contacts_hold_typed_values_and_patch_merges_them(
    admin: httpx.AsyncClient, services: Services
) -> None:
    await add_fields(admin)
    owner = (await admin.get("/api/users")).json()["items"][0]["id"]
    made = await add(
        admin,
        external_id=" crm-1 ",
        owner_id=owner,
        fields={"job_title": " Welder ", "level": 3.0, "has_car": False, "start_date": None},
    )
    assert made["fields"] == {"job_title": "Welder", "level": 3, "has_car": False}
    assert (made["external_id"], made["owner_id"]) == ("crm-1", owner)
    path = f"/api/contacts/{made['id']}"
    changed = await admin.patch(
        path, json={"fields": {"level": None, "start_date": "2026-12-01"}, "owner_id": None}
    )
    assert changed.json()["fields"] == {
        "job_title": "Welder",
        "has_car": False,
        "start_date": "2026-12-01",
    }
    assert changed.json()["owner_id"] is None
    same = await admin.patch(path, json={"fields": {"job_title": "Welder", "level": None}})
    assert same.json() == changed.json() == (await admin.get(path)).json()
    entries = [one async for one in _audited(services, "contact.change")]
    assert entries == ["fields.level,fields.start_date,owner_id"]

    for wrong, field, code in (
        ({"fields": {"shoe_size": 44}}, "fields.shoe_size", "undeclared_field"),
        ({"fields": {"level": "high"}}, "fields.level", "invalid_value"),
        ({"fields": {"level": [3]}}, "fields.level", "invalid_value"),
        ({"fields": {"has_car": 1}}, "fields.has_car", "invalid_value"),
        ({"fields": {"start_date": "12/01/2026"}}, "fields.start_date", "invalid_value"),
        ({"fields": None}, "fields", "invalid_type"),
        ({"external_id": " "}, "external_id", "blank"),
        ({"external_id": "x" * 201}, "external_id", "too_long"),
        ({"external_id": "a\tb"}, "external_id", "invalid_text"),
        ({"owner_id": str(uuid4())}, "owner_id", "unknown_user"),
    ):
        for refused in (
            await admin.patch(path, json=wrong),
            await admin.post("/api/contacts", json={"first_name": "B", "phone": "+12", **wrong}),
        ):
            assert refused.status_code == 422, wrong
            found = [(one["field"], one["code"]) for one in refused.json()["errors"]]
            assert (field, code) in found, wrong
    assert (await admin.get(path)).json() == changed.json()
    other = {"first_name": "Bo", "phone": "+14155550199", "external_id": "crm-1"}
    for taken in (
        await admin.post("/api/contacts", json=other),
        await admin.patch(
            f"/api/contacts/{(await add(admin, phone='+14155550188'))['id']}",
            json={"external_id": "crm-1"},
        ),
    ):
        assert (taken.status_code, taken.json()["code"]) == (409, "external_id_taken")
        assert taken.json()["contact_id"] == made["id"]


async def _audited(services: Services, action: str) -> Any:
    async with services.database.transaction() as tx:
        sql = "SELECT detail FROM audit_log WHERE action = :action ORDER BY id"
        for row in await tx.run(sql, action=action):
            yield row.detail["fields"]


async def test_lists_filter_by_what_contacts_hold(admin: httpx.AsyncClient) -> None:
    await add_fields(admin)
    owner = (await admin.get("/api/users")).json()["items"][0]["id"]
    ann = await add(admin, external_id="a", fields={"job_title": "Welder", "level": 3})
    bo = await add(
        admin, first_name="Bo", phone="+14155550124", owner_id=owner, fields={"level": 4}
    )
    await add(admin, first_name="Cy", phone="+14155550125", fields={"has_car": True})
    for query, found in (
        ("field.job_title=Welder", ["Ann Lee"]),
        ("field.job_title=welder", []),
        ("field.level=3.0&field.level=4", ["Ann Lee", "Bo Lee"]),
        ("field.level=3&field.job_title=Welder&search=ann", ["Ann Lee"]),
        ("field.level=3&field.job_title=Driver", []),
        ("field.has_car=yes", ["Cy Lee"]),
        ("field.job_title=", ["Ann Lee", "Bo Lee", "Cy Lee"]),
        ("phone=(415)%20555-0124", ["Bo Lee"]),
        ("external_id=a&external_id=b", ["Ann Lee"]),
        (f"owner={owner}", ["Bo Lee"]),
    ):
        assert names(await admin.get(f"/api/contacts?{query}")) == found, query
    exported = await admin.get("/api/contacts/export?field.level=4")
    assert exported.text.splitlines()[1:] == ["Bo,Lee,+14155550124,,,,,,,admin@example.com,,,4,"]
    for query, field, code in (
        ("field.shoe=1", "field.shoe", "undeclared_field"),
        ("field.*=1", "field.*", "undeclared_field"),
        ("field.level=high", "field.level", "invalid_value"),
        ("phone=12", "phone", "invalid_phone"),
        ("updated_since=2026-01-01", "updated_since", "bad_date"),
    ):
        refused = await admin.get(f"/api/contacts?{query}")
        assert refused.status_code == 422, query
        assert [(one["field"], one["code"]) for one in refused.json()["errors"]] == [
            (field, code)
        ], query

    changed = await admin.patch(f"/api/contacts/{ann['id']}", json={"first_name": "Anna"})
    since = {"updated_since": bo["updated_at"], "sort": "updated_at", "limit": 1}
    seen, cursor = list[str](), dict[str, str]()
    while True:
        page = (await admin.get("/api/contacts", params={**since, **cursor})).json()
        seen += [one["name"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["Bo Lee", "Cy Lee", "Anna Lee"]
    assert changed.json()["updated_at"] > bo["updated_at"]


async def test_the_contacts_tab_its_export_and_jobs_filter_by_fields(
    there: dict[str, str], admin: httpx.AsyncClient
) -> None:
    await add_fields(admin)
    sequence = there[IDS["sequence_id"]]
    ann = f"/api/contacts/{there[CONTACT]}"
    assert (await admin.patch(ann, json={"fields": {"level": 3}})).status_code == 200
    path = f"/api/sequences/{sequence}/contacts"
    for query, found in (
        ("field.level=3", ["Ann Lee"]),
        ("field.level=3&field.level=4&sort=next_send_at", ["Ann Lee"]),
        ("field.level=4", []),
        ("field.level=3&field.job_title=Welder", []),
        ("field.level=", ["Ann Lee", "Cy Lee"]),
    ):
        listed = (await admin.get(f"{path}?{query}&sort=name")).json()
        assert sorted(one["contact"]["name"] for one in listed["items"]) == found, query
    exported = (await admin.get(f"{path}/export?field.level=3")).text
    assert len(exported.splitlines()) == 2

    batches = f"{path}/batch"
    job = await admin.post(batches, json={"action": "pause", "filter": {"field.level": [3]}})
    assert (job.status_code, job.json()["total"]) == (202, 1), job.text
    wrong = await admin.post(batches, json={"action": "pause", "filter": {"field.size": [3]}})
    assert [(one["field"], one["code"]) for one in wrong.json()["errors"]] == [
        ("filter.field.size", "undeclared_field")
    ]
    for query, field in (("field.size=3", "field.size"), ("field.level=x", "field.level")):
        refused = await admin.get(f"{path}?{query}")
        assert [one["field"] for one in refused.json()["errors"]] == [field]


async def test_a_field_is_deleted_with_its_values_unless_a_text_needs_it(
    there: dict[str, str], admin: httpx.AsyncClient, services: Services
) -> None:
    made = await add_fields(admin)
    contact = await add(admin, fields={"job_title": "Welder", "level": 3})
    async with services.database.transaction() as tx:
        sql = """
            UPDATE steps SET body = 'Hi {{ job_title : short |there}}' WHERE version_id IN (
                SELECT id FROM sequence_versions
                WHERE sequence_id = (SELECT id FROM sequences WHERE state = 'draft')
            )
        """
        assert await tx.count(sql)
    used, unused = (f"/api/fields/{made[key]['id']}" for key in ("job_title", "level"))

    refused = await admin.delete(used)
    assert (refused.status_code, refused.json()["code"]) == (409, "field_in_use")
    assert "Hello" in refused.json()["detail"]
    assert (await admin.delete(unused)).status_code == 204
    assert (await admin.delete(unused)).status_code == 404
    left = (await admin.get(f"/api/contacts/{contact['id']}")).json()
    assert left == {**contact, "fields": {"job_title": "Welder"}}

    async with services.database.transaction() as tx:
        await tx.run("UPDATE sequences SET state = 'archived' WHERE state = 'draft'")
    assert (await admin.delete(used)).status_code == 204
    assert [one["key"] for one in (await admin.get("/api/fields")).json()["items"]] == [
        "has_car",
        "start_date",
    ]
