"""Suppressions and erasing contacts over HTTP."""

from typing import Any
from uuid import uuid4

import httpx

ANN = {"first_name": "Ann", "last_name": "Lee", "phone": "+14155550123"}


async def suppress(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/api/suppressions", json={"reason": "Asked on the phone", **body})


async def test_number_is_suppressed_and_lifted(member: httpx.AsyncClient) -> None:
    contact = (await member.post("/api/contacts", json=ANN)).json()

    made = await suppress(member, contact_id=contact["id"])

    assert made.status_code == 201, made.text
    row = made.json()
    assert (row["phone"], row["contact_id"]) == (ANN["phone"], contact["id"])
    assert (row["source"], row["reason"]) == ("by_hand", "Asked on the phone")
    assert (await member.get(f"/api/contacts/{contact['id']}")).json()["opted_out"] is True
    assert (await member.get(f"/api/suppressions/{row['id']}")).json() == row

    again = await suppress(member, phone="(415) 555-0123")
    assert (again.status_code, again.json()) == (200, row)

    lift = f"/api/suppressions/{row['id']}/lift"
    lifted = await member.post(lift, json={"reason": "Signed a form"})
    assert lifted.status_code == 200
    assert lifted.json()["lifted_reason"] == "Signed a form"
    assert (await member.get(f"/api/contacts/{contact['id']}")).json()["opted_out"] is False

    twice = await member.post(lift, json={"reason": "Signed a form"})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_lifted")


async def test_repeated_request_gets_the_first_answer(member: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "one"}
    body = {"phone": ANN["phone"], "reason": "R"}

    first = await member.post("/api/suppressions", json=body, headers=headers)
    second = await member.post("/api/suppressions", json=body, headers=headers)
    known = await member.post("/api/suppressions", json=body, headers={"Idempotency-Key": "two"})
    replayed = await member.post("/api/suppressions", json=body, headers={"Idempotency-Key": "two"})

    assert [one.status_code for one in (first, second, known, replayed)] == [201, 201, 200, 200]
    assert first.json() == second.json() == known.json() == replayed.json()


async def test_list_filters_and_pages(member: httpx.AsyncClient) -> None:
    ids = [
        (await suppress(member, phone=f"+1415555010{number}")).json()["id"] for number in range(3)
    ]
    await member.post(f"/api/suppressions/{ids[0]}/lift", json={"reason": "R"})

    page = (await member.get("/api/suppressions", params={"limit": 2})).json()
    rest = await member.get("/api/suppressions", params={"cursor": page["next_cursor"]})

    assert [item["id"] for item in page["items"] + rest.json()["items"]] == ids[::-1]
    active = await member.get("/api/suppressions", params={"standing": "true"})
    assert [item["id"] for item in active.json()["items"]] == ids[:0:-1]
    found = await member.get("/api/suppressions", params={"search": "0102", "source": "by_hand"})
    assert [item["id"] for item in found.json()["items"]] == [ids[2]]


async def test_invalid_suppression_is_refused(member: httpx.AsyncClient) -> None:
    for body, status, code in (
        ({}, 422, "one_of_two"),
        ({"phone": ANN["phone"], "contact_id": str(uuid4())}, 422, "one_of_two"),
        ({"contact_id": str(uuid4())}, 404, "not_found"),
        ({"phone": "12"}, 422, "invalid_phone"),
        ({"phone": ANN["phone"], "sender_id": str(uuid4())}, 422, "unknown_sender"),
        ({"phone": ANN["phone"], "reason": ""}, 422, "invalid_request"),
        ({"phone": ANN["phone"], "reason": "a" * 501}, 422, "invalid_request"),
    ):
        answer = await suppress(member, **body)
        assert answer.status_code == status, answer.text
        assert answer.json()["code"] in {code, "invalid_request"}
    unknown = await member.post(f"/api/suppressions/{uuid4()}/lift", json={"reason": "R"})
    assert unknown.status_code == 404


async def test_viewer_can_only_read(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/api/suppressions")).status_code == 200
    assert (await suppress(viewer, phone=ANN["phone"])).status_code == 403


async def test_only_admin_can_erase(member: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    contact = (await member.post("/api/contacts", json=ANN)).json()
    await suppress(member, contact_id=contact["id"])
    path = f"/api/contacts/{contact['id']}"

    assert (await member.delete(path)).status_code == 403
    erased = await admin.delete(path)

    assert (erased.status_code, erased.content) == (204, b"")
    assert (await member.get(path)).status_code == 404
    assert (await admin.delete(path)).status_code == 404
    [row] = (await member.get("/api/suppressions")).json()["items"]
    assert (row["phone"], row["contact_id"], row["reason"]) == (None, None, None)
    back = (await member.post("/api/contacts", json=ANN)).json()
    assert back["opted_out"] is True
