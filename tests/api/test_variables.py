"""Enrolling with external ids and variables, and filling in what texts miss, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.factory import Services
from services.messaging.sending import Sending
from storage.sequences.sequences import SequenceRecord
from tests.worlds import World, ongoing, small_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with small_world(database_url) as world:
        yield world


@pytest.fixture
async def sequence(world: World) -> SequenceRecord:
    """An active sequence whose first text says a job and a day."""
    first = "{{full_name}}: {{job}} from {{start_date:short}}"
    return await world.active(steps=[ongoing(first, 0), ongoing("{{shift|Any shift}}", 60)])


@pytest.fixture
async def people(world: World) -> list[str]:
    """Three contacts; a CRM knows all as ``crm-0`` and so on."""
    return [str((await world.contacts(1, external_id=f"crm-{at}"))[0]) for at in range(3)]


def wrong(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {one["field"]: one["code"] for one in answer.json()["errors"]}


async def variables_of(member: httpx.AsyncClient, enrollment_id: str) -> Any:
    return (await member.get(f"/api/enrollments/{enrollment_id}")).json()["variables"]


async def test_contacts_are_enrolled_by_external_id_with_variables(
    member: httpx.AsyncClient, sequence: SequenceRecord, people: list[str]
) -> None:
    path = f"/api/sequences/{sequence.id}/enrollments"
    unknown = str(uuid4())
    contacts: list[dict[str, Any]] = [
        {"external_id": "crm-1", "variables": {"job": "Cook", "start_date": "2026-12-01"}},
        {"id": people[0], "variables": {"shift": None}},
        {"external_id": "crm-9", "variables": {"job": "Chef"}},
        {"id": unknown},
    ]
    answer = await member.post(path, json={"contacts": contacts})
    assert answer.status_code == 200, answer.text
    enrolled, skipped = answer.json()["enrolled"], answer.json()["skipped"]
    assert [{**one, "id": None} for one in enrolled] == [
        {"id": None, "contact_id": people[1], "status": "active", "external_id": "crm-1"},
        {"id": None, "contact_id": people[0], "status": "active"},
    ]
    assert skipped == [
        {"contact_id": None, "code": "unknown_contact", "external_id": "crm-9"},
        {"contact_id": unknown, "code": "unknown_contact"},
    ]
    assert await variables_of(member, enrolled[0]["id"]) == contacts[0]["variables"]
    assert await variables_of(member, enrolled[1]["id"]) == {}


async def test_check_takes_contacts_as_enrolling_does(
    member: httpx.AsyncClient, sequence: SequenceRecord, people: list[str]
) -> None:
    path = f"/api/sequences/{sequence.id}/enrollments"
    contacts = [
        {"id": people[0], "variables": {"job": "Cook"}},
        {"external_id": "crm-1"},
        {"external_id": "crm-9"},
    ]
    check = (await member.post(f"{path}/check", json={"contacts": contacts})).json()
    assert (check["total"], check["contact_ids"]) == (3, people[:2])
    asked = {one.get("external_id"): one for one in check["rows"]}
    assert {name: one["outcome"] for name, one in asked.items()} == {
        None: "new",
        "crm-1": "new",
        "crm-9": "unknown_contact",
    }
    assert asked["crm-1"]["contact_id"] == people[1]
    assert {name: one["missing_fields"] for name, one in asked.items()} == {
        None: ["start_date"],
        "crm-1": ["job", "start_date"],
        "crm-9": [],
    }
    assert check["lacking"] == {"job": 1, "start_date": 2}
    wrongly = {"contacts": [{"id": people[0], "variables": {"jobb": "Cook"}}, {"id": people[0]}]}
    assert wrong(await member.post(f"{path}/check", json=wrongly)) == {
        "contacts.0.variables.jobb": "unused_variable",
        "contacts.1": "duplicate_contact",
    }


async def test_whoever_is_enrolled_wrongly_is_named_and_nobody_is_enrolled(
    member: httpx.AsyncClient, sequence: SequenceRecord, people: list[str]
) -> None:
    path = f"/api/sequences/{sequence.id}/enrollments"
    many = {f"key_{at}": at for at in range(51)}
    contacts = [
        {"id": people[0], "variables": {"job": "Cook", "jobb": "Cook"}},
        {"external_id": "crm-0"},
        {},
        {"id": people[1], "external_id": "crm-1"},
        {"external_id": "crm-1", "variables": {"job": {"title": "Cook"}, "phone": "1"}},
        {"external_id": "crm-2", "variables": many},
    ]
    answer = await member.post(path, json={"contacts": contacts})
    assert wrong(answer) == {
        "contacts.0.variables.jobb": "unused_variable",
        "contacts.1": "duplicate_contact",
        "contacts.2": "one_of_two",
        "contacts.3": "one_of_two",
        "contacts.4.variables.job": "invalid_value",
        "contacts.4.variables.phone": "reserved_key",
        "contacts.5.variables": "too_many_variables",
    }
    assert "job, shift, start_date" in answer.text
    two_ways = {"contacts": [{"id": people[0]}], "contact_ids": [people[0]]}
    assert wrong(await member.post(path, json=two_ways)) == {"contact_ids": "one_of_two"}
    assert wrong(await member.post(path, json={"contacts": []})) == {"contacts": "contact_count"}
    page = (await member.get(f"/api/sequences/{sequence.id}/contacts")).json()
    assert page["items"] == []


async def test_external_id_is_read_as_written_elsewhere_and_erased_with_the_contact(
    admin: httpx.AsyncClient, world: World
) -> None:
    sequence = await world.active()
    path, given = f"/api/sequences/{sequence.id}/enrollments", " crm-Zoe\u0301 "
    row = {"external_id": given, "phone": "+14155550123", "first_name": "Zoe"}
    await admin.post("/api/contacts/upsert", json={"contacts": [row]})
    once = {"Idempotency-Key": "hello"}
    asked = {"contacts": [{"external_id": given}]}
    [enrolled] = (await admin.post(path, json=asked, headers=once)).json()["enrolled"]
    assert enrolled["external_id"] == given
    bad = await admin.post(path, json={"contacts": [{"external_id": "a\0b"}]})
    assert wrong(bad) == {"contacts.0.external_id": "invalid_text"}

    assert (await admin.delete(f"/api/contacts/{enrolled['contact_id']}")).status_code == 204
    again = (await admin.post(path, json=asked, headers=once)).json()
    assert again["enrolled"] == [{key: enrolled[key] for key in ("id", "contact_id", "status")}]


async def test_job_enrolls_with_variables(
    member: httpx.AsyncClient, services: Services, sequence: SequenceRecord, people: list[str]
) -> None:
    path = f"/api/sequences/{sequence.id}/enrollments"
    contacts = [
        {"external_id": "crm-9"},
        {"id": people[0], "variables": {"job": "Cook"}},
        {"external_id": "crm-1"},
    ]
    answer = await member.post(
        path, json={"contacts": contacts}, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    assert (answer.json()["total"], answer.json()["done"]) == (3, 1)
    results = (await member.get(f"/api/jobs/{job}/results")).json()["items"]
    assert [row["detail"] for row in results] == [{"external_id": "crm-9"}, {}, {}]
    while (await services.jobs.run_chunk(UUID(job))).more:
        pass
    results = (await member.get(f"/api/jobs/{job}/results")).json()["items"]
    assert [row["code"] for row in results] == ["unknown_contact", "enrolled", "enrolled"]
    made = [row["detail"]["enrollment_id"] for row in results[1:]]
    assert [await variables_of(member, one) for one in made] == [{"job": "Cook"}, {}]
    again = await member.post(
        path,
        json={"contacts": [{"id": people[2], "variables": {"no": 1}}]},
        headers={"Prefer": "respond-async"},
    )
    assert wrong(again) == {"contacts.0.variables.no": "unused_variable"}


async def test_missing_data_is_listed_filled_in_and_goes_on(
    member: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    services: Services,
    world: World,
    sequence: SequenceRecord,
    people: list[str],
) -> None:
    path = f"/api/sequences/{sequence.id}"
    enrolled = await member.post(f"{path}/enrollments", json={"contact_ids": people[:2]})
    one, other = (row["id"] for row in enrolled.json()["enrolled"])
    sending: Sending = services.sending
    await sending.decide_step(UUID(one))

    listed = (await member.get(f"{path}/contacts?held_reason=missing_data")).json()["items"]
    assert [(row["enrollment_id"], row["missing_fields"]) for row in listed] == [
        (one, ["job", "start_date"])
    ]
    assert (await member.get(f"{path}/contacts?held_reason=sender_on_hold")).json()["items"] == []
    everyone = (await member.get(f"{path}/contacts")).json()["items"]
    assert {row["enrollment_id"]: row["missing_fields"] for row in everyone}[other] == []
    shown = (await member.get(f"/api/enrollments/{one}")).json()
    assert (shown["held_reason"], shown["missing_fields"]) == (
        "missing_data",
        ["job", "start_date"],
    )

    change = {"variables": {"job": "Cook", "start_date": "2026-12-01"}}
    assert (await viewer.patch(f"/api/enrollments/{one}", json=change)).status_code == 403
    answer = await member.patch(f"/api/enrollments/{one}", json=change)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["variables"], body["activity"], body["missing_fields"]) == (
        change["variables"],
        "waiting",
        [],
    )
    unused = await member.patch(f"/api/enrollments/{one}", json={"variables": {"nick": "Bo"}})
    assert wrong(unused) == {"variables.nick": "unused_variable"}
    await member.post("/api/enrollments/batch/mark-finished", json={"enrollment_ids": [one]})
    ended = await member.patch(f"/api/enrollments/{one}", json=change)
    assert (ended.status_code, ended.json()["code"]) == (409, "already_final")
    nobody = await member.patch(f"/api/enrollments/{uuid4()}", json=change)
    assert nobody.status_code == 404
    audited = await world.rows("SELECT detail FROM audit_log WHERE action = 'enrollment.change'")
    assert [row.detail for row in audited] == [{"fields": "job start_date"}]
