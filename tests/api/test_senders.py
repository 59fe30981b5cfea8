"""Senders over HTTP."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from services.factory import Services
from storage.messaging import holds
from storage.platform.database import Database

NUMBER: dict[str, Any] = {"name": "Main", "phone": "+1 415 555 0100"}
SERVICE: dict[str, Any] = {"name": "Pool", "messaging_service_sid": "MG" + "0aF" * 10 + "12"}


async def add(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/api/senders", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def paced(database: Database) -> list[UUID]:
    async with database.transaction() as tx:
        rows = await tx.execute(text("SELECT subject_id FROM outbox WHERE kind = 'pace_sender'"))
        return [row.subject_id for row in rows]


async def test_a_number_is_added_with_a_rate_of_one(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await add(admin, NUMBER)

    assert made["phone"] == "+14155550100"
    assert made["messaging_service_sid"] is None
    assert made["segments_per_second"] == 1
    assert made["hold"] is None
    assert made["shows_texts"] is None
    assert (await admin.get(f"/api/senders/{made['id']}")).json() == made
    assert await paced(database) == [UUID(made["id"])]


async def test_a_messaging_service_is_added_with_its_rate(admin: httpx.AsyncClient) -> None:
    made = await add(admin, {**SERVICE, "segments_per_second": 12.5})

    assert made["messaging_service_sid"] == SERVICE["messaging_service_sid"]
    assert made["segments_per_second"] == 12.5


@pytest.mark.parametrize("body", [NUMBER, SERVICE])
async def test_a_taken_sender_is_a_conflict_that_names_it(
    admin: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    for number in range(2):
        await add(admin, {**NUMBER, "phone": f"+1415555012{number}"})
        await add(admin, {**SERVICE, "messaging_service_sid": "MG" + f"{number}" * 32})
    made = await add(admin, body)

    again = await admin.post("/api/senders", json=body)

    assert again.status_code == 409
    assert again.json()["code"] == "sender_taken"
    assert again.json()["sender_id"] == made["id"]


async def test_concurrent_requests_add_a_sender_once(
    admin: httpx.AsyncClient, database: Database
) -> None:
    answers = await asyncio.gather(*(admin.post("/api/senders", json=NUMBER) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    assert len(await paced(database)) == 1


_INVALID: Sequence[tuple[dict[str, Any], str]] = [
    ({"name": "x"}, "phone"),
    ({**NUMBER, **SERVICE}, "phone"),
    ({**NUMBER, "name": " "}, "name"),
    ({**NUMBER, "phone": "12"}, "phone"),
    ({**SERVICE, "messaging_service_sid": "MG123"}, "messaging_service_sid"),
    ({**SERVICE, "messaging_service_sid": "AC" + "0" * 32}, "messaging_service_sid"),
    ({**SERVICE, "messaging_service_sid": "MG" + "0" * 32 + "\n"}, "messaging_service_sid"),
    ({**NUMBER, "segments_per_second": 0}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": -1}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": 1000.1}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": 0.0001}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": "fast"}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": "NaN"}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": 1e400}, "segments_per_second"),
    ({**NUMBER, "segments_per_second": None}, "segments_per_second"),
    ({**NUMBER, "hold": None}, "hold"),
]


async def test_invalid_sender_is_refused_by_field(admin: httpx.AsyncClient) -> None:
    for body, field in _INVALID:
        # Python writes values that are not JSON, such as Infinity; these must be refused as well.
        answer = await admin.post(
            "/api/senders",
            content=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )

        assert answer.status_code == 422, body
        assert [error["field"] for error in answer.json()["errors"]] == [field], body


async def test_new_rate_paces_the_sender_and_a_new_name_does_not(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await add(admin, NUMBER)

    renamed = await admin.patch(f"/api/senders/{made['id']}", json={"name": "Desk"})
    assert len(await paced(database)) == 1
    faster = await admin.patch(f"/api/senders/{made['id']}", json={"segments_per_second": 3})

    assert renamed.json() == {**made, "name": "Desk"}
    assert faster.json() == {**made, "name": "Desk", "segments_per_second": 3}
    assert await paced(database) == [UUID(made["id"])] * 2


@pytest.mark.parametrize(
    "change",
    [
        {"phone": "+14155550101"},
        {"name": None},
        {"name": ""},
        {"segments_per_second": 0},
        {"segments_per_second": None},
    ],
)
async def test_invalid_change_is_refused(admin: httpx.AsyncClient, change: dict[str, Any]) -> None:
    made = await add(admin, NUMBER)

    answer = await admin.patch(f"/api/senders/{made['id']}", json=change)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(change))


async def test_an_unknown_sender_is_not_found(admin: httpx.AsyncClient) -> None:
    path = f"/api/senders/{uuid4()}"

    for answer in (
        await admin.get(path),
        await admin.patch(path, json={}),
        await admin.patch(path, json={"name": "x"}),
        await admin.post(f"{path}/release"),
    ):
        assert answer.status_code == 404


async def test_a_hold_is_shown_with_its_meaning_until_it_is_released(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await add(admin, NUMBER)
    now = datetime.now(UTC).replace(microsecond=0)
    async with database.transaction() as tx:
        await holds.hold_sender(
            tx,
            UUID(made["id"]),
            code=20003,
            from_report=False,
            now=now,
            probe_at=now + timedelta(minutes=5),
        )

    hold = (await admin.get("/api/senders")).json()["items"][0]["hold"]

    assert hold["code"] == 20003
    assert hold["meaning"] == "The provider did not accept our credentials."
    assert datetime.fromisoformat(hold["since"]) == now
    assert datetime.fromisoformat(hold["next_probe_at"]) == now + timedelta(minutes=5)

    released = await admin.post(f"/api/senders/{made['id']}/release")

    assert released.status_code == 200
    assert released.json() == {**made, "released": 0}


async def test_senders_are_listed_by_name_in_pages(admin: httpx.AsyncClient) -> None:
    for number, name in enumerate(["b", "A", "c"]):
        await add(admin, {"name": name, "phone": f"+1415555010{number}"})

    first = (await admin.get("/api/senders", params={"limit": 2})).json()
    rest = (await admin.get("/api/senders", params={"cursor": first["next_cursor"]})).json()

    assert [sender["name"] for sender in first["items"] + rest["items"]] == ["A", "b", "c"]


async def test_only_admins_manage_senders(
    admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    made = await add(admin, NUMBER)
    path = f"/api/senders/{made['id']}"

    for answer in (
        await member.post("/api/senders", json=SERVICE),
        await member.patch(path, json={"name": "x"}),
        await member.post(f"{path}/release"),
    ):
        assert answer.status_code == 403
        assert answer.json()["code"] == "forbidden"
    assert (await member.get("/api/senders")).json()["items"] == [made]


async def test_a_new_rate_reaches_temporal(
    admin: httpx.AsyncClient, services: Services, temporal: Any
) -> None:
    made = await add(admin, {**NUMBER, "segments_per_second": 2})

    assert await services.outbox.drain() == 1
    assert UUID(made["id"]) in temporal.paced
