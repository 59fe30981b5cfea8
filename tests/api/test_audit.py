"""The audit log: what it records, who may read it, and that entries are permanent."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from domain.statuses.access import Role, TokenScope
from services.factory import Services
from services.platform.rate_limits import TooManyRequestsError
from storage.platform.database import Database
from tests.api.conftest import Connect


async def entries(admin: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await admin.get("/api/audit", params={"limit": 200, **filters})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def actions(admin: httpx.AsyncClient, **filters: Any) -> list[str]:
    """List the recorded actions, oldest first."""
    return [entry["action"] for entry in reversed(await entries(admin, **filters))]


async def user_id(client: httpx.AsyncClient) -> str:
    found: str = (await client.get("/api/me")).json()["id"]
    return found


async def make(client: httpx.AsyncClient, path: str, **body: Any) -> str:
    answer = await client.post(path, json=body)
    assert answer.is_success, answer.text
    made: str = answer.json()["id"]
    return made


async def test_entry_names_user_credential_and_address(
    admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    group = await make(member, "/api/groups", name="Callers")
    token = (await member.get("/api/me/tokens")).json()["items"][0]["id"]

    [entry] = await entries(admin, subject_id=group)

    assert entry.pop("id") > 0
    assert datetime.now(UTC) - datetime.fromisoformat(entry.pop("at")) < timedelta(minutes=1)
    assert entry == {
        "user": {"id": await user_id(member), "name": "member"},
        "token_id": token,
        "action": "group.create",
        "subject_kind": "group",
        "subject_id": group,
        "detail": {},
        "address": "127.0.0.1",
    }


async def test_concurrent_requests_are_not_mixed_up(
    connect: Connect, admin: httpx.AsyncClient
) -> None:
    member = await connect(Role.MEMBER)
    made = await asyncio.gather(
        *(
            make(one, "/api/groups", name=f"{role} {number}")
            for number in range(4)
            for role, one in (("admin", admin), ("member", member))
        )
    )

    by = {e["subject_id"]: e["user"]["name"] for e in await entries(admin, action="group.create")}

    assert [by[group] for group in made] == ["admin", "member"] * 4


async def test_every_change_of_a_sequence_is_audited(
    admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    sender = await make(admin, "/api/senders", name="Desk", phone="+14155550100")
    await admin.patch(f"/api/senders/{sender}", json={"name": "Front desk"})
    await admin.patch(f"/api/senders/{sender}", json={})
    await admin.post(f"/api/senders/{sender}/release")
    sequence = await make(
        member,
        "/api/sequences",
        name="Hello",
        sender_id=sender,
        kind="ongoing",
        steps=[{"body": "Hello", "delay_seconds": 0}],
    )
    address = f"/api/sequences/{sequence}"
    await member.patch(address, json={"name": "Hi", "steps": [{"body": "Hi", "delay_seconds": 0}]})
    await member.patch(address, json={"name": "Hi"})
    for verb in ("activate", "activate", "pause", "resume"):
        assert (await member.post(f"{address}/{verb}")).status_code == 200
    contact = await make(member, "/api/contacts", first_name="Ann", phone="+12125550101")
    enrolled = await member.post(f"{address}/enrollments", json={"contact_ids": [contact]})
    [enrollment] = [one["id"] for one in enrolled.json()["enrolled"]]
    group = await make(member, "/api/groups", name="Callers")
    asked = {"enrollment_ids": [enrollment, str(uuid4())]}
    for path, more in [
        ("add-to-group", {"group_id": group}),
        ("send-message", {"body": "A secret {{first_name}}"}),
        ("mark-finished", {}),
        ("mark-finished", {}),
        ("release", {"decision": "retry"}),
    ]:
        answer = await member.post(f"/api/enrollments/batch/{path}", json={**asked, **more})
        assert answer.status_code == 200, answer.text
    await member.request("DELETE", f"/api/groups/{group}/members", json={"contact_ids": [contact]})
    assert (await member.post(f"{address}/archive")).status_code == 200

    assert await actions(admin, subject_id=sender) == [
        "sender.create",
        "sender.change",
        "sender.release",
    ]
    assert await actions(admin, subject_id=sequence) == [
        "sequence.create",
        "sequence.change",
        "sequence.activate",
        "sequence.pause",
        "sequence.resume",
        "sequence.archive",
    ]
    assert await actions(admin, subject_id=enrollment) == [
        "enrollment.create",
        "enrollment.send_message",
        "enrollment.finish",
    ]
    assert await actions(admin, subject_id=contact) == [
        "contact.create",
        "group.add",
        "group.remove",
    ]
    [changed] = await entries(admin, action="sequence.change")
    assert changed["detail"] == {"fields": "name steps"}
    everything = str(await entries(admin))
    for private in ("secret", "Hello", "Ann", "5550101", "Callers", "Front"):
        assert private not in everything


async def test_changes_of_users_and_tokens_are_audited(admin: httpx.AsyncClient) -> None:
    kim = await make(admin, "/api/users", email="kim@clinic.example", role="viewer")
    for change in (
        {"role": "member", "name": "K"},
        {"disabled": True},
        {"disabled": False},
        {"role": "member"},
    ):
        assert (await admin.patch(f"/api/users/{kim}", json=change)).status_code == 200
    path = f"/api/users/{kim}/tokens"
    token = await make(admin, path, name="ci", scopes=["read"], expires_at=None)
    for _ in range(2):
        await admin.delete(f"/api/users/{kim}/tokens/{token}")

    found = await entries(admin, subject_id=kim)
    assert [(entry["action"], entry["detail"]) for entry in reversed(found)] == [
        ("user.create", {"role": "viewer"}),
        ("user.make_link", {}),
        ("user.change", {"fields": "name role", "role": "member"}),
        ("user.disable", {}),
        ("user.enable", {}),
    ]
    found = await entries(admin, subject_id=token)
    assert [(entry["action"], entry["detail"]) for entry in reversed(found)] == [
        ("token.create", {"of": kim, "scopes": "read", "expires_at": None}),
        ("token.revoke", {"of": kim}),
    ]


async def test_sign_ins_sign_outs_and_failures_are_audited(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, services: Services
) -> None:
    password = "correct horse battery"
    kim = await services.users.create(
        email="kim@clinic.example", role=Role.MEMBER, password=password
    )
    for email, typed in [
        ("kim@clinic.example", "wrong horse battery"),
        ("nobody@clinic.example", password),
        ("kim@clinic.example", password),
    ]:
        answer = await anonymous.post("/api/session", json={"email": email, "password": typed})
    cookie = answer.headers["set-cookie"].partition(";")[0]
    sent = {"Cookie": cookie, "Origin": "https://segue.test"}
    assert (await anonymous.delete("/api/session", headers=sent)).status_code == 204

    found = [e for e in reversed(await entries(admin)) if e["action"].startswith("session.")]

    who = {"id": str(kim.id), "name": "kim"}
    assert [(e["action"], e["subject_id"], e["user"]) for e in found] == [
        ("session.refuse", str(kim.id), None),
        ("session.refuse", None, None),
        ("session.sign_in", str(kim.id), who),
        ("session.sign_out", str(kim.id), who),
    ]
    assert {e["address"] for e in found} == {"127.0.0.1"}
    assert {e["token_id"] for e in found} == {None}
    assert "clinic.example" not in str(found)


async def test_invalid_request_is_not_audited(
    admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    await make(member, "/api/groups", name="Callers")
    before = await entries(admin)

    assert (await member.post("/api/groups", json={"name": "callers"})).status_code == 409
    assert (await member.post(f"/api/sequences/{uuid4()}/activate")).status_code == 404

    assert await entries(admin) == before


async def test_forbidden_request_is_audited(
    admin: httpx.AsyncClient, member: httpx.AsyncClient, connect: Connect, services: Services
) -> None:
    me = (await member.get("/api/me")).json()
    reading = await services.tokens.create(
        UUID(me["id"]), name="reads", scopes=[TokenScope.READ], expires_at=None
    )
    reader = await connect(token=reading.token)

    assert (await member.post("/api/senders", json={})).status_code == 403
    assert (await reader.post("/api/groups", json={"name": "Callers"})).status_code == 403

    found = await entries(admin, action="access.refuse")
    assert [entry["detail"] for entry in reversed(found)] == [
        {"needed": "admin", "route": "POST /api/senders"},
        {"needed": "write", "route": "POST /api/groups", "count": 2},
    ]
    assert {entry["user"]["id"] for entry in found} == {me["id"]}
    assert found[0]["token_id"] == str(reading.details.id)
    assert {entry["address"] for entry in found} == {"127.0.0.1"}


async def test_unknown_tokens_are_audited_and_lock_no_user_out(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    """The guesses come from the same address as a user with a valid token."""
    for number in range(120):
        made_up = {"Authorization": f"Bearer sgt_{number:043d}"}
        assert (await anonymous.get("/api/contacts", headers=made_up)).status_code == 401
    large = {"Content-Type": "application/json", **made_up}
    answer = await anonymous.post("/api/contacts", content=b" " * 100_000, headers=large)
    assert answer.status_code == 401
    assert (await anonymous.get("/api/contacts")).status_code == 401, "no token: nothing to note"

    found = await entries(admin, action="token.refuse", limit=100)
    assert [entry["detail"].get("count", 1) for entry in reversed(found)] == [*range(1, 11), 100]
    assert {entry["detail"]["route"] for entry in found} == {"GET /api/contacts"}
    assert {(entry["user"], entry["address"]) for entry in found} == {(None, "127.0.0.1")}
    assert "sgt_" not in str(found)
    assert (await admin.get("/api/contacts")).status_code == 200


async def test_delayed_sign_ins_are_audited(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, services: Services
) -> None:
    kim = await services.users.create(
        email="kim@clinic.example", role=Role.MEMBER, password="correct horse battery"
    )
    statuses = []
    for email in ["kim@clinic.example"] * 14 + ["nobody@clinic.example"] * 14:
        body = {"email": email, "password": "wrong horse battery"}
        statuses.append((await anonymous.post("/api/session", json=body)).status_code)
    assert statuses == ([401] * 10 + [429] * 4) * 2

    found = await entries(admin, action="session.throttle", limit=100)
    assert [entry["subject_id"] for entry in reversed(found)] == [str(kim.id)] * 4 + [None] * 4
    assert len(await entries(admin, action="session.refuse", limit=100)) == 10


async def test_cross_site_request_is_audited(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    body = {"email": "kim@clinic.example", "password": "correct horse battery"}
    headers = {"Origin": "https://evil.example"}
    assert (await anonymous.post("/api/session", json=body, headers=headers)).status_code == 403

    [entry] = await entries(admin, action="access.refuse")
    assert entry["detail"] == {"reason": "cross_site", "route": "POST /api/session"}


async def test_exceeded_limit_of_a_user_is_audited(
    admin: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find(*_: object, **__: object) -> None:
        raise TooManyRequestsError("at most 1", timedelta(seconds=5))

    monkeypatch.setattr(services.contacts, "find", find)
    assert (await admin.get("/api/contacts")).status_code == 429

    [entry] = await entries(admin, action="access.throttle")
    assert entry["detail"] == {"route": "GET /api/contacts"}
    assert entry["user"]["name"] == "admin"


async def test_entries_come_in_pages_newest_first(admin: httpx.AsyncClient) -> None:
    made = [await make(admin, "/api/groups", name=f"Group {number}") for number in range(5)]
    seen: list[str] = []
    query: dict[str, Any] = {"action": "group.create", "limit": 2}

    while True:
        page = (await admin.get("/api/audit", params=query)).json()
        seen += [entry["subject_id"] for entry in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == made[::-1]


async def test_filters_combine(admin: httpx.AsyncClient, member: httpx.AsyncClient) -> None:
    await make(admin, "/api/groups", name="First")
    second = await make(member, "/api/groups", name="Second")
    me = await user_id(member)
    at = (await entries(admin, subject_id=second))[0]["at"]
    later = (datetime.fromisoformat(at) + timedelta(milliseconds=1)).isoformat()

    async def count(**filters: Any) -> int:
        return len(await entries(admin, **filters))

    assert await count(user_id=me, action="group.create") == 1
    assert await count(user_id=me, action="sender.create") == 0
    assert await count(subject_id=second, **{"from": at, "to": later}) == 1
    assert await count(subject_id=second, **{"from": later}) == 0
    assert await count(subject_id=second, to=at) == 0
    assert await count(user_id=str(uuid4())) == 0


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "x"},
        {"cursor": "WyItaWQiLCJpcyIsbnVsbCwiZmZmZmZmZmYtZmZmZi1mZmZmLWZmZmYtZmZmZmZmZmZmZmZmIl0"},
        {"from": "yesterday"},
        {"from": "2026-01-01T00:00:00"},
        {"action": "x' OR 1=1"},
        {"user_id": "me"},
        {"limit": 1000},
        {"since": "2026-01-01T00:00:00Z"},
    ],
)
async def test_invalid_filters_are_refused(admin: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert (await admin.get("/api/audit", params=query)).status_code == 422


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET action = 'nothing'",
        "UPDATE audit_log SET user_id = NULL",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "INSERT INTO audit_log (id, action) VALUES (1, 'forged')",
    ],
)
async def test_entries_are_never_changed_or_removed(
    admin: httpx.AsyncClient, database: Database, statement: str
) -> None:
    await make(admin, "/api/groups", name="Callers")
    before = await entries(admin)

    with pytest.raises(Exception, match=r"only ever added to|GeneratedAlways") as found:
        async with database.transaction() as tx:
            await tx.execute(text(statement))

    assert isinstance(found.value, IntegrityError) or statement.startswith("INSERT")
    assert await entries(admin) == before
