"""Syncing contacts by their ids in another system: one by PUT, many by upsert."""

from typing import Any
from uuid import uuid4

import httpx

from tests.api.test_contacts import add
from tests.api.test_fields import add_fields

UPSERT = "/api/contacts/upsert"


async def upsert(client: httpx.AsyncClient, *rows: Any) -> list[dict[str, Any]]:
    answer = await client.post(UPSERT, json={"contacts": list(rows)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["results"]
    assert [one["index"] for one in found] == list(range(len(rows)))
    return found


def outcomes(found: list[dict[str, Any]]) -> list[str]:
    return [one["outcome"] for one in found]


def wrong(row: dict[str, Any]) -> list[tuple[str, str]]:
    assert (row["outcome"], row["id"]) == ("error", None)
    return [(one["field"], one["code"]) for one in row["errors"]]


async def test_put_creates_then_changes_the_contact_with_an_external_id(
    member: httpx.AsyncClient,
) -> None:
    await add_fields(member)
    path = "/api/contacts/by-external-id/crm%2F1"
    assert (await member.get(path)).status_code == 404
    first = {"first_name": "Ann", "phone": "+14155550123", "fields": {"level": 1}}
    missing = {"If-Match": "*"}
    assert (await member.put(path, json=first, headers=missing)).status_code == 412
    created = await member.put(path, json=first)
    assert (created.status_code, created.json()["external_id"]) == (201, "crm/1")
    again = await member.put(path, json=first)
    assert (again.status_code, again.json()) == (200, created.json())
    tag = again.headers["ETag"]
    assert (await member.get(path)).headers["ETag"] == tag == created.headers["ETag"]

    change = {"last_name": "Lee", "fields": {"has_car": True}}
    changed = await member.put(path, json=change, headers={"If-Match": tag})
    assert changed.json()["name"] == "Ann Lee"
    assert changed.json()["fields"] == {"level": 1, "has_car": True}
    stale = await member.put(path, json={"last_name": "Ray"}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (await member.get(path)).json() == changed.json()

    other = await add(member, phone="+14155550124")
    adopted = await member.put("/api/contacts/by-external-id/2", json={"phone": other["phone"]})
    assert (adopted.status_code, adopted.json()["id"]) == (200, other["id"])
    refusals: list[tuple[str, dict[str, Any], int, str]] = [
        ("3", {"first_name": "Bo"}, 422, "missing"),
        ("3", {"phone": "+14155550125"}, 422, "blank"),
        ("3", {"first_name": "Bo", "phone": other["phone"]}, 409, "phone_taken"),
        ("2", {"phone": "+14155550123"}, 409, "phone_taken"),
        ("2", {"external_id": "4"}, 422, "unknown_field"),
        ("%20", {"first_name": "Bo"}, 422, "blank"),
    ]
    for key, body, status, code in refusals:
        refused = await member.put(f"/api/contacts/by-external-id/{key}", json=body)
        found = [refused.json()["code"], *(e["code"] for e in refused.json().get("errors", ()))]
        assert refused.status_code == status, body
        assert code in found, body


async def test_upsert_matches_by_external_id_else_by_phone(admin: httpx.AsyncClient) -> None:
    await add_fields(admin)
    owner = (await admin.get("/api/users")).json()["items"][0]["id"]
    by_phone = await add(admin, time_zone="America/Denver", fields={"level": 2})
    by_id = await add(admin, first_name="Bo", phone="+14155550124", external_id="b")
    rows: list[dict[str, Any]] = [
        {"external_id": "a", "phone": "(415) 555-0123", "fields": {"has_car": True}},
        {"external_id": "b", "first_name": "Bob", "phone": "+14155550177", "owner_id": owner},
        {"external_id": "c", "first_name": "Cy", "phone": "+14155550126"},
        {"external_id": None, "first_name": "Di", "phone": "+14155550127"},
    ]
    found = await upsert(admin, *rows)
    assert outcomes(found) == ["changed", "changed", "created", "created"]
    assert [one["id"] for one in found[:2]] == [by_phone["id"], by_id["id"]]
    read = [(await admin.get(f"/api/contacts/{one['id']}")).json() for one in found]
    assert (read[0]["external_id"], read[0]["time_zone"]) == ("a", "America/Denver")
    assert read[0]["fields"] == {"level": 2, "has_car": True}
    assert [read[1][name] for name in ("name", "phone", "owner_id")] == [
        "Bob Lee",
        "+14155550177",
        owner,
    ]
    again = await upsert(admin, *rows)
    assert outcomes(again) == ["unchanged"] * 4
    assert [one["id"] for one in again] == [one["id"] for one in found]
    assert read == [(await admin.get(f"/api/contacts/{one['id']}")).json() for one in found]


async def test_a_bad_row_costs_itself_alone(member: httpx.AsyncClient) -> None:
    ann = await add(member, external_id="a")
    bo = await add(member, first_name="Bo", phone="+14155550124", external_id="b")
    found = await upsert(
        member,
        {"external_id": "a", "first_name": "Anna"},
        {"external_id": "a", "first_name": "Anne"},
        {"phone": ann["phone"], "first_name": "Annie"},
        {"external_id": "b", "phone": ann["phone"]},
        {"external_id": "c", "phone": bo["phone"], "first_name": "Bob"},
        {"first_name": "Nobody"},
        {"external_id": "d", "first_name": "Di"},
        {"external_id": "e", "phone": "12", "time_zone": "Mars", "fields": {"x": 1}},
        {"external_id": "f", "phone": "+14155550125", "owner_id": str(uuid4())},
        {"external_id": "g", "phone": 5, "nick_name": "G"},
        "a row",
        {"external_id": "h", "phone": "+14155550126"},
        {"external_id": "i", "first_name": "I", "phone": "+14155550127"},
        {"external_id": "j", "first_name": "J", "phone": "+14155550127"},
        {"external_id": "a", "first_name": "", "last_name": ""},
    )
    assert outcomes(found[:1]) == ["changed"]
    assert wrong(found[1]) == [("external_id", "duplicate_row")]
    assert wrong(found[2]) == [("phone", "duplicate_row")]
    assert "row 0" in found[1]["errors"][0]["message"]
    assert wrong(found[3]) == wrong(found[4]) == [("phone", "phone_taken")]
    for contact in (ann, bo):
        assert contact["id"] in found[3]["errors"][0]["message"]
    assert bo["id"] in found[4]["errors"][0]["message"]
    for row in found:  # of use cases and of schemas
        assert all(one["reason"] == one["message"] for one in row["errors"])
    assert wrong(found[5]) == [("external_id", "missing")]
    assert wrong(found[6]) == [("phone", "missing")]
    assert wrong(found[7]) == [
        ("phone", "invalid_phone"),
        ("time_zone", "invalid_field"),
        ("fields.x", "undeclared_field"),
    ]
    assert wrong(found[8]) == [("owner_id", "unknown_user")]
    assert wrong(found[9]) == [("phone", "invalid_type"), ("nick_name", "unknown_field")]
    assert wrong(found[10])[0][1] == "invalid_type"
    assert wrong(found[11]) == [("first_name", "blank")]
    assert outcomes(found[12:13]) == ["created"]
    assert wrong(found[13]) == [("phone", "duplicate_row")]
    assert wrong(found[14]) == [("external_id", "duplicate_row")]
    listed = (await member.get("/api/contacts?sort=created_at")).json()["items"]
    assert [one["name"] for one in listed] == ["Anna Lee", "Bo Lee", "I"]

    for body, field in (
        ({"contacts": [{"phone": "+14155550123"}] * 1001}, "contacts"),
        ({"contacts": []}, "contacts"),
        ({"contacts": {}}, "contacts"),
        ({}, "contacts"),
    ):
        refused = await member.post(UPSERT, json=body)
        assert refused.status_code == 422, body
        assert [one["field"] for one in refused.json()["errors"]] == [field], body


async def test_a_repeated_key_gets_the_first_answer(member: httpx.AsyncClient) -> None:
    body = {"contacts": [{"external_id": "a", "first_name": "Ann", "phone": "+14155550123"}]}
    first, second = [
        await member.post(UPSERT, json=body, headers={"Idempotency-Key": "k"}) for _ in "ab"
    ]
    assert first.json() == second.json()
    assert outcomes(second.json()["results"]) == ["created"]
