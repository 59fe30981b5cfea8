"""Contacts over HTTP."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert

from domain.statuses.suppression import OptOutSource
from storage.platform.database import Database
from storage.tables.suppression import Suppression

ANN: dict[str, Any] = {"first_name": "Ann", "last_name": "Lee", "phone": "(415) 555-0123"}


async def add(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/api/contacts", json={**ANN, **fields})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def test_create_contact_answers_all_fields(member: httpx.AsyncClient) -> None:
    made = await add(member, first_name="  Ann ", time_zone=None)

    assert str(UUID(made["id"])) == made.pop("id")
    assert datetime.fromisoformat(made.pop("created_at")).tzinfo is not None
    assert datetime.fromisoformat(made.pop("updated_at")).tzinfo is not None
    assert made == {
        "first_name": "Ann",
        "last_name": "Lee",
        "name": "Ann Lee",
        "phone": "+14155550123",
        "time_zone": None,
        "time_zones": ["America/Los_Angeles"],
        "country": None,
        "state": None,
        "postal_code": None,
        "jurisdictions": ["US-CA"],
        "line_type": None,
        "external_id": None,
        "fields": {},
        "owner_id": None,
        "opted_out": False,
    }


async def test_created_contact_reads_back_unchanged(member: httpx.AsyncClient) -> None:
    made = await add(member, time_zone="Europe/Madrid", line_type="mobile")

    read = await member.get(f"/api/contacts/{made['id']}")

    assert read.json() == made
    assert made["time_zones"] == ["Europe/Madrid"]


async def test_contact_lives_where_it_is_given(member: httpx.AsyncClient) -> None:
    """What is given is checked together with what is known; whatever is wrong changes nothing."""
    made = await add(member, country="us", state="Texas", postal_code="78701")
    path = f"/api/contacts/{made['id']}"
    assert [made[name] for name in ("country", "state", "postal_code")] == ["US", "TX", "78701"]
    assert made["jurisdictions"] == ["US-TX"]
    refused: list[tuple[dict[str, Any], str, str]] = [
        ({"country": "XX"}, "country", "unknown_region"),
        ({"state": "ZZ"}, "state", "unknown_state"),
        ({"country": "CA"}, "state", "unknown_state"),
        ({"postal_code": "K1A 0B1"}, "postal_code", "unknown_postal_code"),
    ]
    for change, field, code in refused:
        answer = await member.patch(path, json=change)
        assert answer.status_code == 422, change
        [error] = answer.json()["errors"]
        assert (error["field"], error["code"]) == (field, code)
        assert (await member.get(path)).json() == made
    rows = [{"phone": ANN["phone"], "state": "ON", "country": None, "postal_code": "K1A 0B1"}]
    results = await member.post("/api/contacts/upsert", json={"contacts": rows})
    assert results.json()["results"][0]["outcome"] == "changed"
    assert (await member.get(path)).json()["jurisdictions"] == ["CA-ON"]


async def test_one_of_the_names_may_be_empty(member: httpx.AsyncClient) -> None:
    assert (await add(member, last_name=""))["name"] == "Ann"
    assert (await add(member, first_name="", phone="+14155550124"))["name"] == "Lee"


async def test_a_taken_phone_is_a_conflict_that_names_the_contact(
    member: httpx.AsyncClient,
) -> None:
    made = await add(member)

    again = await member.post("/api/contacts", json={**ANN, "phone": "+1 415 555 0123"})

    assert again.status_code == 409
    assert again.json()["code"] == "phone_taken"
    assert again.json()["contact_id"] == made["id"]


async def test_concurrent_requests_with_one_phone_create_one_contact(
    member: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(*(member.post("/api/contacts", json=ANN) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    made = next(answer.json()["id"] for answer in answers if answer.status_code == 201)
    assert {a.json()["contact_id"] for a in answers if a.status_code == 409} == {made}


_INVALID: Sequence[tuple[dict[str, Any], str, str]] = [
    ({"phone": "12"}, "phone", "invalid_phone"),
    ({"phone": ""}, "phone", "invalid_phone"),
    ({"phone": "555-0123"}, "phone", "invalid_phone"),
    ({"phone": "+1415555012x"}, "phone", "invalid_phone"),
    ({"phone": "+1\x00"}, "phone", "invalid_phone"),
    ({"phone": None}, "phone", "invalid_type"),
    ({"phone": 14155550123}, "phone", "invalid_type"),
    ({"phone": "1" * 100_000}, "phone", "too_long"),
    ({"first_name": "", "last_name": "  "}, "first_name", "blank"),
    ({"first_name": "\u200b", "last_name": ""}, "first_name", "blank"),
    ({"first_name": "A\x00nn"}, "first_name", "invalid_text"),
    ({"first_name": "A\nnn"}, "first_name", "invalid_text"),
    ({"first_name": "A\u202enn"}, "first_name", "invalid_text"),
    ({"last_name": "x" * 101}, "last_name", "too_long"),
    ({"last_name": None}, "last_name", "invalid_type"),
    ({"last_name": ["x"]}, "last_name", "invalid_type"),
    ({"time_zone": "Mars/Olympus"}, "time_zone", "invalid_field"),
    ({"time_zone": "../../etc/passwd"}, "time_zone", "invalid_field"),
    ({"line_type": "carrier pigeon"}, "line_type", "unknown_value"),
    ({"nick_name": "A"}, "nick_name", "unknown_field"),
]


async def test_invalid_contact_names_its_field(member: httpx.AsyncClient) -> None:
    for change, field, code in _INVALID:
        answer = await member.post("/api/contacts", json={**ANN, **change})

        assert answer.status_code == 422, change
        assert answer.headers["content-type"] == "application/problem+json", change
        assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [(field, code)], change
        assert (await member.get("/api/contacts")).json()["items"] == [], change


async def test_all_invalid_fields_are_named_at_once(member: httpx.AsyncClient) -> None:
    wrong = {"first_name": "A\n", "phone": "12", "time_zone": "Nowhere"}

    answer = await member.post("/api/contacts", json=wrong)

    assert [e["field"] for e in answer.json()["errors"]] == ["first_name", "phone", "time_zone"]
    assert answer.json()["code"] == "invalid_request"


async def test_lone_surrogate_is_refused(member: httpx.AsyncClient) -> None:
    body = b'{"first_name": "\\ud800", "last_name": "Lee", "phone": "+14155550123"}'

    answer = await member.post(
        "/api/contacts", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "first_name"


async def test_change_keeps_other_fields(member: httpx.AsyncClient) -> None:
    made = await add(member, time_zone="Europe/Madrid")

    answer = await member.patch(f"/api/contacts/{made['id']}", json={"first_name": "Anna"})

    assert answer.status_code == 200
    assert answer.json()["updated_at"] > made["updated_at"]
    kept = {k: v for k, v in answer.json().items() if k not in {"updated_at", "first_name", "name"}}
    assert kept.items() <= made.items()
    assert answer.json()["name"] == "Anna Lee"


async def test_time_zone_can_be_cleared(member: httpx.AsyncClient) -> None:
    made = await add(member, time_zone="Europe/Madrid")

    answer = await member.patch(f"/api/contacts/{made['id']}", json={"time_zone": None})

    assert answer.json()["time_zone"] is None
    assert answer.json()["time_zones"] == ["America/Los_Angeles"]


async def test_an_empty_change_changes_nothing(member: httpx.AsyncClient) -> None:
    made = await add(member)

    answer = await member.patch(f"/api/contacts/{made['id']}", json={})

    assert answer.json() == made


async def test_a_change_to_a_taken_phone_is_a_conflict(member: httpx.AsyncClient) -> None:
    made = await add(member)
    other = await add(member, first_name="Bo", phone="+14155550124")

    answer = await member.patch(
        f"/api/contacts/{other['id']}", json={"first_name": "Bob", "phone": made["phone"]}
    )

    assert answer.status_code == 409
    assert answer.json()["contact_id"] == made["id"]
    assert (await member.get(f"/api/contacts/{other['id']}")).json() == other


_INVALID_CHANGES: Sequence[tuple[Any, str]] = [
    ({"first_name": None}, "first_name"),
    ({"phone": None}, "phone"),
    ({"first_name": "", "last_name": ""}, "first_name"),
    ({"id": "x"}, "id"),
    ([], "body"),
    ("x", "body"),
]


async def test_invalid_change_is_refused(member: httpx.AsyncClient) -> None:
    made = await add(member)
    for change, field in _INVALID_CHANGES:
        answer = await member.patch(f"/api/contacts/{made['id']}", json=change)

        assert answer.status_code == 422, change
        assert answer.json()["errors"][0]["field"] == field, change


async def test_blanking_the_only_name_is_refused(member: httpx.AsyncClient) -> None:
    made = await add(member, last_name="")

    answer = await member.patch(f"/api/contacts/{made['id']}", json={"first_name": " "})

    assert answer.json()["errors"][0]["code"] == "blank"


async def test_an_unknown_contact_is_not_found(member: httpx.AsyncClient) -> None:
    for answer in (
        await member.get(f"/api/contacts/{uuid4()}"),
        await member.patch(f"/api/contacts/{uuid4()}", json={}),
    ):
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


async def test_invalid_id_is_refused(member: httpx.AsyncClient) -> None:
    answer = await member.get("/api/contacts/me")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "contact_id"


async def test_suppression_is_shown_until_it_is_lifted(
    member: httpx.AsyncClient, database: Database
) -> None:
    made = await add(member)
    evidence = {"phone": made["phone"], "source": OptOutSource.KEYWORD}
    now = datetime.now(UTC)
    async with database.transaction() as tx:
        await tx.execute(insert(Suppression).values(**evidence, occurred_at=now, lifted_at=now))
    assert not (await member.get(f"/api/contacts/{made['id']}")).json()["opted_out"]

    async with database.transaction() as tx:
        await tx.execute(insert(Suppression).values(**evidence, occurred_at=now))

    assert (await member.get(f"/api/contacts/{made['id']}")).json()["opted_out"]
    assert (await member.get("/api/contacts")).json()["items"][0]["opted_out"]


_FOUND: Sequence[tuple[str, list[str]]] = [
    ("n LE", ["Ann Lee"]),
    ("lee", ["Ann Lee", "Bo Leeds"]),
    ("  lee ", ["Ann Lee", "Bo Leeds"]),
    ("0124", ["Bo Leeds"]),
    ("(212) 555", ["50% \\_o'", "Émile Ünal"]),
    ("%", ["50% \\_o'"]),
    ("_", ["50% \\_o'"]),
    ("\\", ["50% \\_o'"]),
    ("_o'", ["50% \\_o'"]),
    ("'", []),
    ("\u2019-.", []),
    ("50%", ["50% \\_o'"]),
    ("ÉMILE", ["Émile Ünal"]),
    ("E\u0301mile", ["Émile Ünal"]),
    ("lee 0123", []),
    ("nobody", []),
    ("", ["50% \\_o'", "Ann Lee", "Bo Leeds", "Émile Ünal"]),
]


async def test_search_finds_any_part_of_the_name_or_phone_digits(member: httpx.AsyncClient) -> None:
    await add(member)
    await add(member, first_name="Bo", last_name="Leeds", phone="+14155550124")
    await add(member, first_name="50%", last_name="\\_o'", phone="+12125550150")
    await add(member, first_name="Émile", last_name="Ünal", phone="+12125559950")
    for search, found in _FOUND:
        answer = await member.get("/api/contacts", params={"search": search})

        assert sorted(names(answer)) == sorted(found), search


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
async def test_pages_list_every_contact_once_in_order(member: httpx.AsyncClient, sort: str) -> None:
    for number in range(7):
        await add(member, first_name="ABCab"[number % 5], phone=f"+1415555010{number}")
    everyone = (await member.get("/api/contacts", params={"sort": sort})).json()
    assert everyone["next_cursor"] is None

    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        place: dict[str, str] = {"cursor": cursor} if cursor else {}
        page = (
            await member.get("/api/contacts", params={"sort": sort, "limit": "3", **place})
        ).json()
        assert len(page["items"]) <= 3
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == everyone["items"]
    key = sort.removeprefix("-")
    values = [item[key].lower() for item in seen]
    assert values == sorted(values, reverse=sort.startswith("-"))


_INVALID_LISTS: Sequence[tuple[dict[str, Any], str]] = [
    ({"limit": 0}, "limit"),
    ({"limit": 201}, "limit"),
    ({"limit": "many"}, "limit"),
    ({"sort": "phone"}, "sort"),
    ({"cursor": "x"}, "cursor"),
    ({"cursor": "é"}, "cursor"),
    ({"cursor": "bnVsbA"}, "cursor"),
    ({"cursor": "WyJuYW1lIiwiaXMiLHt9LCIxIl0"}, "cursor"),
    ({"group": "sales"}, "group.0"),
    ({"search": "a\x00"}, "search"),
    ({"search": "a" * 201}, "search"),
    ({"serach": "ann"}, "serach"),
]


async def test_invalid_list_parameters_are_named(member: httpx.AsyncClient) -> None:
    for params, field in _INVALID_LISTS:
        answer = await member.get("/api/contacts", params=params)

        assert answer.status_code == 422, params
        assert [error["field"] for error in answer.json()["errors"]] == [field], params


async def test_a_cursor_of_another_order_is_refused(member: httpx.AsyncClient) -> None:
    await add(member)
    await add(member, phone="+14155550124")
    page = (await member.get("/api/contacts", params={"limit": 1})).json()

    answer = await member.get(
        "/api/contacts", params={"cursor": page["next_cursor"], "sort": "-created_at"}
    )

    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_cursor"


async def test_new_number_clears_the_line_type(member: httpx.AsyncClient) -> None:
    """One number's line type says nothing about another's."""
    made = await add(member, line_type="landline")

    same = await member.patch(f"/api/contacts/{made['id']}", json={"phone": made["phone"]})
    other = await member.patch(f"/api/contacts/{made['id']}", json={"phone": "+14155550177"})

    assert same.json()["line_type"] == "landline"
    assert other.json()["line_type"] is None


async def test_blank_parameter_counts_as_missing(member: httpx.AsyncClient) -> None:
    """Forms write `?search=&group=` for no filter."""
    await add(member)

    answer = await member.get("/api/contacts?search=&group=&cursor=&limit=&sort=")

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == 1
