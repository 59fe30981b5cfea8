"""Exports over HTTP."""

from uuid import uuid4

import httpx

ANN = {"first_name": "Ann", "last_name": "Lee", "phone": "+14155550123"}


async def test_contact_export_can_be_imported(
    member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    await member.post("/api/contacts", json=ANN)

    answer = await viewer.get("/api/contacts/export", params={"search": "lee", "group": ""})

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="contacts.csv"'
    assert answer.text == (
        "first_name,last_name,phone,time_zone,country,state,postal_code,line_type,external_id,owner"
        "\r\n"
        "Ann,Lee,+14155550123,,,,,,,\r\n"
    )


async def test_suppressions_and_contacts_tab_are_exported(member: httpx.AsyncClient) -> None:
    await member.post("/api/suppressions", json={"phone": ANN["phone"], "reason": "R"})

    answer = await member.get("/api/suppressions/export", params={"standing": "true"})
    assert answer.text.count("\r\n") == 2
    unknown = await member.get(f"/api/sequences/{uuid4()}/contacts/export")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


async def test_unknown_filters_are_refused(member: httpx.AsyncClient) -> None:
    for path in ("/api/contacts/export", "/api/suppressions/export"):
        assert (await member.get(path, params={"limit": 1})).status_code == 422


async def test_export_without_a_token_is_refused(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/api/contacts/export")).status_code == 401
