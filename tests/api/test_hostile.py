"""Hostile requests: refused briefly and cheaply."""

import base64
import itertools
import json

import httpx
import pytest

from api.problems import _ERRORS_MOST


async def test_thousands_of_unknown_fields_are_one_error(anonymous: httpx.AsyncClient) -> None:
    heap = {f"field{number}": 1 for number in range(4_000)}
    answer = await anonymous.post("/api/session", json=heap)
    assert answer.status_code == 422
    assert len(answer.content) < 2_000


async def test_too_many_ids_are_one_error(member: httpx.AsyncClient) -> None:
    path = "/api/sequences/6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0006/enrollments"
    answer = await member.post(path, json={"contact_ids": [1] * 500_000})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1


async def test_long_list_of_errors_is_cut(member: httpx.AsyncClient) -> None:
    answer = await member.post(
        "/api/enrollments/batch/mark-finished", json={"enrollment_ids": ["x"] * 9_000}
    )
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == _ERRORS_MOST


@pytest.mark.parametrize("own", ["audit", "users", "contacts", "jobs"])
async def test_made_up_cursor_is_refused(admin: httpx.AsyncClient, own: str) -> None:
    """Whatever it holds; one that names another list is refused for that alone."""
    orders = ("id", "-id", "name", "created_at", "-created_at")
    values: list[list[object]] = [
        ["is", None],
        ["is", "Ann"],
        ["at", "2026-11-22T00:00:00Z"],
        ["at", 1],
        [{}, 1],
    ]
    others = [of for of in ("audit", "users", "contacts", "jobs", None, 1) if of != own]
    cursors: list[tuple[object, str, list[object]]] = [
        *itertools.product([own], orders, values),
        *zip(others, orders, values, strict=True),
    ]
    for of, sort, value in cursors:
        raw = json.dumps([of, sort, *value, "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0006"])
        cursor = base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")
        answer = await admin.get(f"/api/{own}", params={"cursor": cursor})
        expected = {200, 422} if of == own else {422}
        assert answer.status_code in expected, (raw, answer.text)


async def test_cursor_of_another_list_is_refused(admin: httpx.AsyncClient) -> None:
    people = [
        (await admin.post("/api/contacts", json={"first_name": "A", "phone": phone})).json()["id"]
        for phone in ("+14155550171", "+14155550172")
    ]
    lists = ["/api/contacts"]
    for name in ("one", "two"):
        group = (await admin.post("/api/groups", json={"name": name})).json()["id"]
        await admin.post(f"/api/groups/{group}/members", json={"contact_ids": people})
        lists.append(f"/api/groups/{group}/members")
    lists.append("/api/groups")
    cursors = {
        path: (await admin.get(path, params={"limit": 1})).json()["next_cursor"] for path in lists
    }
    assert all(cursors.values())
    for path in lists:
        for owner, cursor in cursors.items():
            answer = await admin.get(path, params={"cursor": cursor})
            if owner == path:
                assert (answer.status_code, len(answer.json()["items"])) == (200, 1)
            else:
                assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


@pytest.mark.parametrize("origin", ["http://[bad", "http://a]b", "null", ""])
async def test_malformed_origin_is_refused(anonymous: httpx.AsyncClient, origin: str) -> None:
    answer = await anonymous.post(
        "/api/session", json={"email": "a@b.example", "password": "x"}, headers={"Origin": origin}
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
async def test_absurd_dates_are_refused(admin: httpx.AsyncClient, moment: str) -> None:
    made = await admin.post("/api/me/tokens", json={"name": "x", "expires_at": moment})
    asked = await admin.get("/api/audit", params={"from": moment})
    assert (made.status_code, asked.status_code) == (422, 422)
