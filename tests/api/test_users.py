"""Users, tokens and roles over HTTP."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from domain.platform.errors import ConflictError
from domain.statuses.access import Role
from services.factory import Services
from storage.platform.database import Database
from storage.tables.access import ApiToken, User
from tests.api.conftest import Connect

KIM: dict[str, Any] = {"email": "kim@clinic.example", "role": "member"}


async def make(admin: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/api/users", json={**KIM, **fields})
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


async def make_token(admin: httpx.AsyncClient, user: dict[str, Any], **fields: Any) -> Any:
    answer = await admin.post(f"/api/users/{user['id']}/tokens", json={"name": "ci", **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer sgt_" + "x" * 43,
        "Bearer sgt_" + "é" * 43,
        "Bearer sgt_" + "x" * 9_000,
        "Basic a2ltOnB3",
    ],
)
async def test_request_without_a_valid_token_is_refused(
    anonymous: httpx.AsyncClient, header: str | None
) -> None:
    headers = {} if header is None else {b"Authorization": header.encode()}

    for method, path in [
        ("GET", "/api/me"),
        ("GET", "/api/contacts"),
        ("POST", "/api/contacts"),
        ("GET", f"/api/contacts/{uuid4()}"),
        ("DELETE", f"/api/groups/{uuid4()}/members"),
        ("POST", "/api/senders"),
        ("GET", "/api/users"),
    ]:
        answer = await anonymous.request(method, path, headers=headers)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unauthorized"


async def test_me_is_the_tokens_user(member: httpx.AsyncClient) -> None:
    me = (await member.get("/api/me")).json()

    assert me["email"] == "member@example.com"
    assert me["role"] == "member"
    assert "password_hash" not in me


async def test_viewer_can_only_read(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.get("/api/contacts")).status_code == 200
    assert (await viewer.get("/api/senders")).status_code == 200

    for method, path in [
        ("POST", "/api/contacts"),
        ("PATCH", f"/api/contacts/{uuid4()}"),
        ("POST", "/api/groups"),
        ("POST", f"/api/groups/{uuid4()}/members"),
        ("DELETE", f"/api/groups/{uuid4()}/members"),
    ]:
        answer = await viewer.request(method, path, json={})
        assert answer.status_code == 403, path
        assert answer.json()["code"] == "forbidden"
        assert answer.json()["needed_role"] == "member"


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
async def test_only_admin_can_see_and_create_users_and_tokens(connect: Connect, role: Role) -> None:
    client = await connect(role)

    for method, path in [
        ("GET", "/api/users"),
        ("POST", "/api/users"),
        ("GET", f"/api/users/{uuid4()}/tokens"),
        ("POST", f"/api/users/{uuid4()}/tokens"),
        ("DELETE", f"/api/users/{uuid4()}/tokens/{uuid4()}"),
    ]:
        answer = await client.request(method, path, json=KIM)
        assert answer.status_code == 403, path


async def test_created_user_is_returned_without_secrets(
    admin: httpx.AsyncClient, database: Database
) -> None:
    made = await make(admin)

    assert made["name"] == "kim"
    link = {"set_up_url", "set_up_expires_at"}
    assert made.keys() == {"id", "email", "name", "role", "created_at", "disabled_at", *link}
    shown = (await admin.get(f"/api/users/{made['id']}")).json()
    assert shown.keys() == made.keys() - link
    async with database.transaction() as tx:
        query = select(User).where(col(User.id) == UUID(made["id"]))
        stored = (await tx.execute(query)).scalar_one()
    assert stored.password_hash is None


async def test_taken_address_is_a_conflict_in_any_case(admin: httpx.AsyncClient) -> None:
    await make(admin)

    again = await admin.post("/api/users", json={**KIM, "email": "KIM@Clinic.example"})

    assert again.status_code == 409
    assert again.json()["code"] == "email_taken"


_INVALID: Sequence[tuple[dict[str, Any], str]] = [
    ({"email": "kim"}, "email"),
    ({"email": "kim@"}, "email"),
    ({"email": "a b@c.example"}, "email"),
    ({"email": "kim@clinic.example\x00"}, "email"),
    ({"email": "k" * 300 + "@clinic.example"}, "email"),
    ({"role": "owner"}, "role"),
    ({"role": None}, "role"),
    ({"password": "correct horse battery"}, "password"),
    ({"name": "a\nb"}, "name"),
    ({"password_hash": "x"}, "password_hash"),
]


async def test_invalid_user_is_refused_by_field(admin: httpx.AsyncClient) -> None:
    for change, field in _INVALID:
        answer = await admin.post("/api/users", json={**KIM, **change})

        assert answer.status_code == 422, change
        assert [error["field"] for error in answer.json()["errors"]] == [field], change


async def test_a_password_is_never_echoed(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/users", json={**KIM, "password": ["hunter2hunter2"]})

    assert answer.status_code == 422
    assert "hunter2" not in answer.text


async def test_users_are_listed_in_pages(admin: httpx.AsyncClient) -> None:
    for name in "abc":
        await make(admin, email=f"{name}@clinic.example")

    first = (await admin.get("/api/users", params={"limit": 2})).json()
    rest = (await admin.get("/api/users", params={"cursor": first["next_cursor"]})).json()

    emails = [user["email"] for user in first["items"] + rest["items"]]
    assert emails == ["admin@example.com", *(f"{name}@clinic.example" for name in "abc")]


async def test_a_token_is_shown_once_and_works(
    admin: httpx.AsyncClient, connect: Connect, database: Database
) -> None:
    user = await make(admin)

    made = await make_token(admin, user)

    assert made["token"].startswith("sgt_")
    assert len(made["token"]) == 47
    listed = await admin.get(f"/api/users/{user['id']}/tokens")
    assert made["token"] not in listed.text
    assert listed.json()["items"][0]["last_used_at"] is None
    kim = await connect(token=made["token"])
    assert (await kim.get("/api/me")).json()["email"] == "kim@clinic.example"
    async with database.transaction() as tx:
        hashes = (await tx.execute(select(col(ApiToken.token_hash)))).scalars().all()
    assert made["token"] not in hashes


async def test_revoked_token_is_refused(admin: httpx.AsyncClient, connect: Connect) -> None:
    user = await make(admin)
    made = await make_token(admin, user)
    kim = await connect(token=made["token"])
    path = f"/api/users/{user['id']}/tokens/{made['id']}"

    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 204

    assert (await kim.get("/api/me")).status_code == 401
    assert (await admin.get(f"/api/users/{user['id']}/tokens")).json()["items"] == []


async def test_expired_token_is_refused(
    admin: httpx.AsyncClient, connect: Connect, database: Database
) -> None:
    user = await make(admin)
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = await make_token(admin, user, expires_at=soon.isoformat())
    kim = await connect(token=made["token"])
    assert (await kim.get("/api/me")).status_code == 200

    async with database.transaction() as tx:
        await tx.execute(
            update(ApiToken)
            .where(col(ApiToken.id) == UUID(made["id"]))
            .values(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        )

    assert (await kim.get("/api/me")).status_code == 401


async def test_a_disabled_user_is_locked_out(
    admin: httpx.AsyncClient, member: httpx.AsyncClient, database: Database
) -> None:
    assert (await member.get("/api/me")).status_code == 200
    async with database.transaction() as tx:
        await tx.execute(
            update(User)
            .where(col(User.email) == "member@example.com")
            .values(disabled_at=datetime.now(UTC))
        )

    assert (await member.get("/api/me")).status_code == 401


async def test_last_use_is_recorded_at_most_once_a_minute(
    member: httpx.AsyncClient, database: Database
) -> None:
    async def last_used() -> datetime | None:
        async with database.transaction() as tx:
            found: datetime | None = (
                await tx.execute(select(col(ApiToken.last_used_at)))
            ).scalar_one()
            return found

    await member.get("/api/me")
    first = await last_used()
    await member.get("/api/me")
    assert await last_used() == first
    assert first is not None

    async with database.transaction() as tx:
        await tx.execute(update(ApiToken).values(last_used_at=first - timedelta(minutes=2)))
    await member.get("/api/me")
    assert await last_used() > first  # type: ignore[operator]


@pytest.mark.parametrize(
    "expires_at", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00", "never", 1e400, "0001-01-01Z"]
)
async def test_invalid_expiry_is_refused(admin: httpx.AsyncClient, expires_at: Any) -> None:
    user = await make(admin)

    answer = await admin.post(
        f"/api/users/{user['id']}/tokens", json={"name": "ci", "expires_at": str(expires_at)}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "expires_at"


async def test_tokens_of_an_unknown_user_are_not_found(admin: httpx.AsyncClient) -> None:
    path = f"/api/users/{uuid4()}/tokens"

    assert (await admin.post(path, json={"name": "ci"})).status_code == 404
    assert (await admin.get(path)).status_code == 404
    assert (await admin.delete(f"{path}/{uuid4()}")).status_code == 404


async def test_a_token_is_revoked_only_through_its_own_user(
    admin: httpx.AsyncClient, services: Services
) -> None:
    user, other = await make(admin), await make(admin, email="lou@clinic.example")
    made = await make_token(admin, user)

    answer = await admin.delete(f"/api/users/{other['id']}/tokens/{made['id']}")

    assert answer.status_code == 404
    assert (await services.users.authenticate(made["token"])).user.email == user["email"]


async def test_last_admin_cannot_be_demoted_or_disabled(
    admin: httpx.AsyncClient, services: Services
) -> None:
    me = (await admin.get("/api/me")).json()

    for change in ({"role": "member"}, {"disabled": True}):
        answer = await admin.patch(f"/api/users/{me['id']}", json=change)
        assert answer.status_code == 409
        assert answer.json()["code"] == "last_admin"

    other = await services.users.create(email="other@clinic.example", role=Role.ADMIN)
    assert (await admin.patch(f"/api/users/{other.id}", json={"disabled": True})).is_success
    assert (await admin.patch(f"/api/users/{other.id}", json={"disabled": False})).is_success
    assert (await admin.patch(f"/api/users/{me['id']}", json={"role": "member"})).is_success
    assert (await admin.get("/api/users")).status_code == 403


async def test_two_admins_cannot_demote_each_other(services: Services) -> None:
    pair = [
        await services.users.create(email=f"{name}@clinic.example", role=Role.ADMIN)
        for name in ("ann", "bo")
    ]

    ends = await asyncio.gather(
        *(services.users.change(one.id, {"role": Role.MEMBER}) for one in pair),
        return_exceptions=True,
    )

    assert [type(end) for end in ends if isinstance(end, Exception)] == [ConflictError]
    roles = {(await services.users.get(one.id)).role for one in pair}
    assert roles == {Role.ADMIN, Role.MEMBER}
