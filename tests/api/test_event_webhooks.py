"""Event endpoints over HTTP."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import text

from services.factory import Services
from storage.platform.database import Database

BODY: dict[str, Any] = {
    "url": "https://crm.example.com/segue",
    "description": "The CRM",
    "types": ["enrollment.finished", "contact.opted_out"],
}
ROUTE = "/api/event-endpoints"


async def add(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(ROUTE, json={**BODY, **changes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_secret_is_shown_once_and_can_be_rotated(admin: httpx.AsyncClient) -> None:
    made = await add(admin)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["enabled"] is True
    assert made["types"] == ["contact.opted_out", "enrollment.finished"]
    where = f"{ROUTE}/{made['id']}"
    assert (await admin.get(where)).json() == made
    assert (await admin.get(ROUTE)).json() == {"items": [made], "next_cursor": None}
    rotated = await admin.post(f"{where}/rotate-secret")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] not in {secret, None}
    assert made["previous_secret_until"] is None
    until = datetime.fromisoformat(rotated.json()["previous_secret_until"])
    assert abs(until - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)


async def test_repeated_request_adds_nothing_and_hides_the_secret(
    admin: httpx.AsyncClient, database: Database
) -> None:
    key = {"Idempotency-Key": "once"}
    first = await admin.post(ROUTE, json=BODY, headers=key)
    again = await admin.post(ROUTE, json=BODY, headers=key)
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}
    async with database.transaction() as tx:
        kept = (
            await tx.execute(text("SELECT CAST(answer AS text) FROM idempotency_keys"))
        ).scalars()
        assert first.json()["secret"] not in "".join(kept)
    assert len((await admin.get(ROUTE)).json()["items"]) == 1


async def test_only_admins_see_and_create_endpoints(
    admin: httpx.AsyncClient,
    member: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
) -> None:
    made = await add(admin)
    where = f"{ROUTE}/{made['id']}"
    for client, status in ((member, 403), (viewer, 403), (anonymous, 401)):
        answers = [
            await client.get(ROUTE),
            await client.post(ROUTE, json=BODY),
            await client.get(where),
            await client.patch(where, json={}),
            await client.delete(where),
            await client.post(f"{where}/rotate-secret"),
            await client.post(f"{where}/test"),
            await client.post(f"{where}/replay", json={}),
            await client.get(f"{where}/deliveries"),
            await client.post(f"{where}/deliveries/{uuid4()}/retry"),
        ]
        assert {answer.status_code for answer in answers} == {status}


async def test_events_are_listed_and_sent_again(
    admin: httpx.AsyncClient, viewer: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    contact = {"first_name": "Ada", "last_name": "Byron"}
    made = []
    for phone in ("+14155550123", "+14155550124", "+14155550125"):
        answer = await admin.post("/api/contacts", json={**contact, "phone": phone})
        made.append(answer.json()["id"])
    asked: dict[str, Any] = {"type": "contact.changed", "limit": 2}
    page = (await viewer.get("/api/events", params=asked)).json()
    assert [one["data"]["contact_id"] for one in page["items"]] == made[:2]
    first, second = page["items"]
    assert first.keys() == {"id", "type", "timestamp", "data"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["timestamp"])
    assert first["data"] == {
        "contact_id": made[0],
        "external_id": None,
        "change": "created",
        "fields": sorted([*contact, "phone"]),
    }
    assert page["next_cursor"] == page["last_id"] == second["id"]
    rest = (await viewer.get("/api/events", params={**asked, "after": second["id"]})).json()
    as_elsewhere = await viewer.get("/api/events", params={**asked, "cursor": second["id"]})
    assert as_elsewhere.json() == rest
    assert [one["data"]["contact_id"] for one in rest["items"]] == made[2:]
    assert (rest["next_cursor"], rest["last_id"]) == (None, rest["items"][0]["id"])
    for params, status, code in (
        ({"after": str(uuid4())}, 410, "event_not_kept"),
        ({"after": "yesterday"}, 422, "invalid_request"),
        ({"type": "contact.moved"}, 422, "invalid_request"),
    ):
        refused = await viewer.get("/api/events", params=params)
        assert (refused.status_code, refused.json()["code"]) == (status, code), params
    assert (await anonymous.get("/api/events")).status_code == 401

    where = f"{ROUTE}/{(await add(admin, types=['contact.changed']))['id']}"
    again = await admin.post(f"{where}/replay", json={"after": first["id"]})
    assert (again.status_code, again.json()) == (200, {"queued": 2, "next_after": None})
    log = (await admin.get(f"{where}/deliveries")).json()["items"]
    assert [one["data"]["contact_id"] for one in log] == made[:0:-1]
    gone = await admin.post(f"{where}/replay", json={"after": str(uuid4())})
    assert (gone.status_code, gone.json()["code"]) == (410, "event_not_kept")
    await admin.patch(where, json={"enabled": False})
    assert (await admin.post(f"{where}/replay", json={})).json()["code"] == "endpoint_disabled"


_REFUSED: Sequence[tuple[str, str]] = [
    ("http://crm.example.com/segue", "https_required"),
    ("http://127.0.0.1:9000/segue", "https_required"),
    ("ftp://crm.example.com", "https_required"),
    ("https://127.0.0.1/segue", "private_address"),
    ("https://localhost/segue", "private_address"),
    ("https://169.254.169.254/latest", "private_address"),
    ("https://[::ffff:10.0.0.1]/segue", "private_address"),
    ("https://me:secret@crm.example.com/", "invalid_url"),
    ("https://crm.example.com/#part", "invalid_url"),
    ("https://crm.example.com:99999/", "invalid_url"),
    ("https:///segue", "invalid_url"),
    ("https://crm.example.com/a b", "invalid_url"),
    ("https://[::1/", "invalid_url"),
]


async def test_private_or_malformed_address_is_refused(admin: httpx.AsyncClient) -> None:
    for url, code in _REFUSED:
        answer = await admin.post(ROUTE, json={**BODY, "url": url})
        assert answer.status_code == 422, url
        [error] = answer.json()["errors"]
        assert (error["field"], error["code"]) == ("url", code), url
        assert (await admin.get(ROUTE)).json()["items"] == [], url


async def test_endpoint_can_be_changed_and_removed(admin: httpx.AsyncClient) -> None:
    made = await add(admin)
    where = f"{ROUTE}/{made['id']}"
    off = (await admin.patch(where, json={"enabled": False, "types": []})).json()
    assert (off["enabled"], off["types"], off["url"]) == (False, [], BODY["url"])
    assert off["disabled_at"] is not None
    same = (await admin.patch(where, json={"enabled": False})).json()
    assert same["disabled_at"] == off["disabled_at"]
    ping = await admin.post(f"{where}/test")
    assert (ping.status_code, ping.json()["code"]) == (409, "endpoint_disabled")
    on = (await admin.patch(where, json={"enabled": True})).json()
    assert (on["enabled"], on["disabled_at"]) == (True, None)
    wrong = await admin.patch(where, json={"url": "https://10.0.0.1/"})
    assert wrong.status_code == 422
    assert (await admin.delete(where)).status_code == 204
    gone = [
        await admin.get(where),
        await admin.patch(where, json={}),
        await admin.delete(where),
        await admin.post(f"{where}/rotate-secret"),
        await admin.post(f"{where}/test"),
        await admin.get(f"{where}/deliveries"),
        await admin.post(f"{where}/deliveries/{uuid4()}/retry"),
    ]
    assert {answer.status_code for answer in gone} == {404}


async def test_ping_is_in_the_delivery_log_and_can_be_redelivered(
    admin: httpx.AsyncClient, services: Services
) -> None:
    made = await add(admin)
    where = f"{ROUTE}/{made['id']}"
    events = []
    for _ in range(3):
        answer = await admin.post(f"{where}/test")
        assert answer.status_code == 200
        assert answer.json()["state"] == "pending"
        events.append(answer.json())
    page = (await admin.get(f"{where}/deliveries?limit=2")).json()
    assert page["items"] == [events[2], events[1]]
    rest = await admin.get(f"{where}/deliveries?limit=2&cursor={page['next_cursor']}")
    assert rest.json() == {"items": [events[0]], "next_cursor": None}
    assert (await admin.get(f"{where}/deliveries?state=delivered")).json()["items"] == []
    again = await admin.post(f"{where}/deliveries/{events[0]['event_id']}/retry")
    assert (again.status_code, again.json()["event_id"]) == (200, events[0]["event_id"])
    unknown = await admin.post(f"{where}/deliveries/{uuid4()}/retry")
    assert unknown.status_code == 404
    other = (await admin.get("/api/contacts?limit=1&sort=name")).json()["next_cursor"]
    assert other is None
    wrong = await admin.get(f"{where}/deliveries?cursor=bm9uc2Vuc2U")
    assert wrong.json()["errors"][0]["code"] == "invalid_cursor"


async def test_endpoints_are_limited_and_listed_in_pages(
    admin: httpx.AsyncClient,
) -> None:
    ids = [(await add(admin))["id"] for _ in range(20)]
    refused = await admin.post(ROUTE, json=BODY)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_endpoints")
    first = (await admin.get(f"{ROUTE}?limit=15")).json()
    rest = (await admin.get(f"{ROUTE}?limit=15&cursor={first['next_cursor']}")).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids


async def test_changes_are_audited_without_secrets(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await add(admin)
    where = f"{ROUTE}/{made['id']}"
    await admin.patch(where, json={"url": "https://other.example.com/"})
    rotated = (await admin.post(f"{where}/rotate-secret")).json()
    ping = (await admin.post(f"{where}/test")).json()
    await admin.post(f"{where}/deliveries/{ping['event_id']}/retry")
    await admin.delete(where)
    async with database.transaction() as tx:
        rows = (
            await tx.execute(
                text("SELECT * FROM audit_log WHERE subject_id = :id ORDER BY id"),
                {"id": made["id"]},
            )
        ).all()
    assert [row.action for row in rows] == [
        f"event_endpoint.{what}"
        for what in ("create", "update", "rotate_secret", "test", "retry", "delete")
    ]
    assert all(row.user_id is not None for row in rows)
    said = " ".join(str(row.detail) for row in rows)
    assert not [one for one in (made["secret"], rotated["secret"], "example.com") if one in said]
