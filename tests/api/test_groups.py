"""Groups over HTTP."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.contacts.values import ContactFields
from services.factory import Services
from tests.api.record import RECORDED_PATHS


@pytest.fixture
async def people(services: Services) -> list[str]:
    """The ids of three contacts, by name."""
    made = [
        await services.contacts.create(ContactFields(first_name=name, phone=f"+1415555012{number}"))
        for number, name in enumerate(["Ann", "Bo", "Cy"])
    ]
    return [str(contact.id) for contact in made]


async def make(client: httpx.AsyncClient, name: str = "Sales") -> dict[str, Any]:
    answer = await client.post("/api/groups", json={"name": name})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_new_group_is_empty(member: httpx.AsyncClient) -> None:
    made = await make(member, " Sales ")

    assert made["name"] == "Sales"
    assert made["member_count"] == 0
    assert (await member.get(f"/api/groups/{made['id']}")).json() == made


async def test_taken_name_is_a_conflict_in_any_case(member: httpx.AsyncClient) -> None:
    made = await make(member)

    again = await member.post("/api/groups", json={"name": "SALES"})

    assert again.status_code == 409
    assert again.json()["code"] == "group_taken"
    assert again.json()["group_id"] == made["id"]


async def test_concurrent_requests_with_one_name_create_one_group(
    member: httpx.AsyncClient,
) -> None:
    answers = await asyncio.gather(
        *(member.post("/api/groups", json={"name": "Sales"}) for _ in range(6))
    )

    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]


_INVALID_NAMES: Sequence[Any] = ["", "  ", "a\x00", "x" * 101, None, 7]


async def test_invalid_group_name_is_refused(member: httpx.AsyncClient) -> None:
    for name in _INVALID_NAMES:
        answer = await member.post("/api/groups", json={"name": name})

        assert answer.status_code == 422, repr(name)
        assert answer.json()["errors"][0]["field"] == "name", repr(name)


async def test_groups_are_listed_by_name_in_pages(member: httpx.AsyncClient) -> None:
    for name in ["sales", "Ops", "Clinic", "ärzte"]:
        await make(member, name)
    everyone = (await member.get("/api/groups")).json()["items"]

    first = (await member.get("/api/groups", params={"limit": 3})).json()
    rest = (
        await member.get("/api/groups", params={"limit": 3, "cursor": first["next_cursor"]})
    ).json()

    assert first["items"] + rest["items"] == everyone
    assert len(everyone) == 4
    assert rest["next_cursor"] is None


async def test_add_members_answers_each_contact_once(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    group = await make(member)
    stranger = str(uuid4())
    path = f"/api/groups/{group['id']}/members"

    first = await member.post(path, json={"contact_ids": people[:2]})
    second = await member.post(
        path, json={"contact_ids": [people[2], stranger, people[0], people[2]]}
    )

    assert first.status_code == 200
    assert first.json() == {"added": people[:2], "already": [], "unknown_contact": []}
    assert second.json() == {
        "added": [people[2]],
        "already": [people[0]],
        "unknown_contact": [stranger],
    }
    assert (await member.get(f"/api/groups/{group['id']}")).json()["member_count"] == 3


async def test_concurrent_additions_add_each_contact_once(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    group = await make(member)
    orders = [people, people[::-1]] * 4

    answers = await asyncio.gather(
        *(
            member.post(f"/api/groups/{group['id']}/members", json={"contact_ids": order})
            for order in orders
        )
    )

    assert {answer.status_code for answer in answers} == {200}
    assert sorted(i for answer in answers for i in answer.json()["added"]) == sorted(people)


async def test_remove_members_answers_each_contact_once(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    group = await make(member)
    path = f"/api/groups/{group['id']}/members"
    await member.post(path, json={"contact_ids": people[:2]})

    answer = await member.request("DELETE", path, json={"contact_ids": people[1:]})

    assert answer.status_code == 200
    assert answer.json() == {"removed": [people[1]], "not_member": [people[2]]}
    left = (await member.get(path)).json()["items"]
    assert [contact["name"] for contact in left] == ["Ann"]


async def test_members_are_listed_by_name_in_pages(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    group = await make(member)
    path = f"/api/groups/{group['id']}/members"
    await member.post(path, json={"contact_ids": people[::-1]})

    first = (await member.get(path, params={"limit": 2})).json()
    rest = (await member.get(path, params={"cursor": first["next_cursor"]})).json()

    assert [contact["name"] for contact in first["items"] + rest["items"]] == ["Ann", "Bo", "Cy"]


async def test_contacts_are_filtered_by_any_of_several_groups(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    groups = [(await make(member, name))["id"] for name in ("One", "Two")]
    for group, person in zip(groups, people, strict=False):
        await member.post(f"/api/groups/{group}/members", json={"contact_ids": [person]})

    one = await member.get("/api/contacts", params={"group": groups[0]})
    both = await member.get("/api/contacts", params={"group": groups})

    assert [contact["name"] for contact in one.json()["items"]] == ["Ann"]
    assert [contact["name"] for contact in both.json()["items"]] == ["Ann", "Bo"]


async def test_deleting_a_group_keeps_its_contacts(
    member: httpx.AsyncClient, admin: httpx.AsyncClient, people: list[str]
) -> None:
    made = await make(member)
    path = f"/api/groups/{made['id']}"
    await member.post(f"{path}/members", json={"contact_ids": people})

    assert (await member.delete(path)).status_code == 204

    for answer in (
        await member.get(path),
        await member.delete(path),
        await member.get(f"{path}/members"),
        await member.post(f"{path}/members", json={"contact_ids": people}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    everyone = (await member.get("/api/contacts")).json()["items"]
    assert [one["id"] for one in everyone] == people
    filtered = await member.get("/api/contacts", params={"group": made["id"]})
    assert filtered.json()["items"] == []
    log = (await admin.get("/api/audit", params={"action": "group.delete"})).json()["items"]
    assert [(one["subject_id"], one["detail"]) for one in log] == [(made["id"], {"members": 3})]
    assert (await make(member))["id"] != made["id"]


async def test_deleting_a_group_while_adding_members_is_atomic(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    for number in range(10):
        made = await make(member, f"Group {number}")
        path = f"/api/groups/{made['id']}"

        added, deleted, again = await asyncio.gather(
            member.post(f"{path}/members", json={"contact_ids": people}),
            member.delete(path),
            member.delete(path),
        )

        assert added.status_code in {200, 404}
        assert sorted([deleted.status_code, again.status_code]) == [204, 404]
        assert (await member.get(path)).status_code == 404


async def test_an_unknown_group_is_not_found(member: httpx.AsyncClient, people: list[str]) -> None:
    path = f"/api/groups/{uuid4()}"
    body = {"contact_ids": people}

    for answer in (
        await member.get(path),
        await member.get(f"{path}/members"),
        await member.post(f"{path}/members", json=body),
        await member.request("DELETE", f"{path}/members", json=body),
    ):
        assert answer.status_code == 404
        assert answer.json()["kind"] == "group"


_INVALID_MEMBERS: Sequence[Any] = [
    {},
    {"contact_ids": []},
    {"contact_ids": "all"},
    {"contact_ids": ["x"]},
    [],
    None,
]


async def test_invalid_members_are_refused(member: httpx.AsyncClient) -> None:
    group = await make(member)
    for body in _INVALID_MEMBERS:
        answer = await member.post(f"/api/groups/{group['id']}/members", json=body)

        assert answer.status_code == 422, body


async def test_more_than_ten_thousand_members_are_refused(
    member: httpx.AsyncClient, people: list[str]
) -> None:
    group = await make(member)
    path = f"/api/groups/{group['id']}/members"
    many = [*people, *(str(uuid4()) for _ in range(9_997))]

    taken = await member.post(path, json={"contact_ids": many})
    refused = await member.post(path, json={"contact_ids": [*many, str(uuid4())]})

    assert taken.json()["added"] == people
    assert len(taken.json()["unknown_contact"]) == 9_997
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "contact_ids"


def test_group_routes_are_documented() -> None:
    assert "/api/groups/{group_id}/members" in RECORDED_PATHS
