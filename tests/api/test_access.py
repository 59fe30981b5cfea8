"""Roles and scopes, checked on every route, new ones included."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, params
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import create_app
from api.dependencies import AdminOnly, Sends, authorize, needed_role, needed_scope
from domain.platform.moments import written
from domain.statuses.access import Role, TokenScope
from services.factory import Services
from settings import ApiSettings
from tests.api.conftest import Connect

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/openapi.json"),
    ("HEAD", "/api/openapi.json"),
    ("POST", "/api/session"),
    ("POST", "/webhooks/twilio/inbound"),  # signed by Twilio
    ("POST", "/webhooks/twilio/status"),
    ("GET", "/media/{name}"),  # whoever knows the address of a picture may see it
    ("GET", "/media/{token}/thumbnail.webp"),
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/set-up"),  # with the token of a set-up link
    ("POST", "/set-up"),
    ("GET", "/join/{slug}"),  # on which people agree to texts
    ("POST", "/join/{slug}"),
    ("GET", "/join/{slug}/joined"),
}
"""The routes that answer anyone."""

SENDING = {
    "POST /api/sequences/{}/enrollments",
    "POST /api/sequences/{}/activate",
    "POST /api/sequences/{}/resume",
    "POST /api/enrollments/batch/send-message",
    "POST /api/enrollments/batch/release",
    "POST /api/enrollments/batch/resume",
    "POST /conversations/{}/reply",
    "POST /conversations/{}/reply-and-done",
    "POST /sequences/{}/steps/activate",
    "POST /sequences/{}/test",
}
ADMINISTERING = {
    "GET /api/audit",
    "GET /api/users",
    "POST /api/users",
    "GET /api/users/{}",
    "PATCH /api/users/{}",
    "POST /api/users/{}/set-up-links",
    "GET /api/users/{}/tokens",
    "POST /api/users/{}/tokens",
    "DELETE /api/users/{}/tokens/{}",
    "POST /api/senders",
    "PATCH /api/senders/{}",
    "POST /api/senders/{}/release",
    "POST /settings/workspace",
    "POST /settings/senders",
    "POST /settings/senders/{}",
    "POST /settings/senders/{}/release",
    "GET /settings/users",
    "POST /settings/users/{}",
    "POST /settings/users/{}/set-up-links",
    "POST /settings/users/{}/tokens",
    "GET /settings/webhooks/{}",
    "POST /settings/webhooks/{}/secret",
    "GET /settings/audit",
}
OWN = {
    "DELETE /api/session",
    "PUT /api/me/password",
    "DELETE /api/me/sessions",
    "DELETE /api/me/sessions/{}",
    "POST /api/me/tokens",
    "DELETE /api/me/tokens/{}",
    "POST /sign-out",
    "POST /sequences/{}/contacts/display",
    "POST /sequences/preview-contact",
    "POST /views",
    "POST /views/{}",
    "POST /views/{}/delete",
    "POST /settings/account/password",
    "POST /settings/account/sessions/end-others",
    "POST /settings/account/sessions/{}/end",
    "POST /settings/account/keyboard",
    "POST /settings/account/tokens",
    "POST /settings/account/tokens/{}/revoke",
    "POST /first-steps/dismiss",
}


class Asked(NamedTuple):
    """One method of one route."""

    method: str
    path: str
    dependencies: tuple[params.Depends, ...]

    @property
    def name(self) -> str:
        return f"{self.method} {re.sub(r'{[^}]*}', '{}', self.path)}"

    @property
    def role(self) -> Role:
        return needed_role(self.dependencies, self.method)

    @property
    def scope(self) -> TokenScope:
        return needed_scope(self.dependencies, self.method)

    @property
    def is_page(self) -> bool:
        return not self.path.startswith("/api/")

    async def ask(self, client: httpx.AsyncClient) -> httpx.Response:
        path = re.sub(r"{[^}]*}", str(uuid4()), self.path)
        body: dict[str, str] | None = None if self.method in {"GET", "HEAD"} else {}
        return await client.request(self.method, path, json=body)


def every_route(app: FastAPI) -> Iterator[Asked]:
    for context in iter_route_contexts(app.routes):
        original = context.original_route
        own = tuple(original.dependencies) if isinstance(original, APIRoute) else ()
        for method in sorted(context.methods or ()):
            yield Asked(method, context.path or "", own)


def private_routes(app: FastAPI) -> list[Asked]:
    return [asked for asked in every_route(app) if (asked.method, asked.path) not in PUBLIC]


def test_only_these_routes_are_public(app: FastAPI) -> None:
    found = {(asked.method, asked.path) for asked in every_route(app)}

    assert found >= PUBLIC
    assert len(private_routes(app)) > 40
    pages = {asked.path for asked in private_routes(app) if asked.is_page}
    assert {
        path for path in pages if path.startswith(("/webhooks", "/healthz", "/readyz"))
    } == set()
    assert pages >= {"/", "/settings", "/sign-out"}


def test_routes_require_their_scopes(app: FastAPI) -> None:
    routes = {asked.name: asked for asked in private_routes(app)}

    assert {name for name in SENDING if routes[name].scope is not TokenScope.SEND} == set()
    assert {name for name in ADMINISTERING if routes[name].scope is not TokenScope.ADMIN} == set()
    assert {name for name in ADMINISTERING if routes[name].role is not Role.ADMIN} == set()
    assert {name for name in OWN if routes[name].scope is not TokenScope.ADMIN} == set()
    assert routes["GET /api/contacts"].scope is TokenScope.READ
    assert routes["POST /api/contacts"].scope is TokenScope.WRITE
    assert routes["POST /api/sequences/{}/pause"].scope is TokenScope.WRITE


def test_viewers_change_only_their_own_account(app: FastAPI) -> None:
    changes = {
        asked.name
        for asked in private_routes(app)
        if asked.method not in {"GET", "HEAD"} and asked.role is Role.VIEWER
    }

    assert changes == OWN


async def test_every_route_refuses_a_request_without_a_token(
    app: FastAPI, anonymous: httpx.AsyncClient
) -> None:
    for asked in private_routes(app):
        answer = await asked.ask(anonymous)
        if asked.is_page:
            assert answer.status_code == 303, asked.name
            assert answer.headers["location"].partition("?")[0] == "/sign-in", asked.name
            continue
        assert answer.status_code == 401, asked.name
        assert answer.json()["code"] == "unauthorized", asked.name
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_every_route_refuses_a_role_that_is_too_weak(
    app: FastAPI, connect: Connect, role: Role
) -> None:
    client = await connect(role)
    ranks = list(Role)
    above = [a for a in private_routes(app) if ranks.index(a.role) > ranks.index(role)]
    assert above

    for asked in above:
        answer = await asked.ask(client)
        assert answer.status_code == 403, asked.name
        if asked.is_page:
            assert f"this requires the role {asked.role.value}" in answer.text.lower(), asked.name
            continue
        assert answer.json()["code"] == "forbidden", asked.name
        assert answer.json()["needed_role"] == asked.role.value, asked.name


@pytest.mark.parametrize("scope", list(TokenScope))
async def test_every_route_refuses_a_token_without_its_scope(
    app: FastAPI, connect: Connect, services: Services, scope: TokenScope
) -> None:
    user = await services.users.create(email="all@example.com", role=Role.ADMIN)
    others = [other for other in TokenScope if other is not scope]
    lacking = await services.tokens.create(user.id, name="lacking", scopes=others, expires_at=None)
    client = await connect(token=lacking.token)
    taken = [asked for asked in private_routes(app) if asked.scope is scope]
    assert taken

    for asked in taken:
        answer = await asked.ask(client)
        assert answer.status_code == 403, asked.name
        if asked.is_page:
            assert f"a token with the scope {scope.value}" in answer.text, asked.name
            continue
        assert answer.json()["code"] == "missing_scope", asked.name
        assert answer.json()["needed_scope"] == scope.value, asked.name


@pytest.mark.parametrize("scope", list(TokenScope))
async def test_scope_opens_its_own_routes_and_no_others(
    app: FastAPI, connect: Connect, services: Services, scope: TokenScope
) -> None:
    user = await services.users.create(email="all@example.com", role=Role.ADMIN)
    made = await services.tokens.create(user.id, name="only", scopes=[scope], expires_at=None)
    client = await connect(token=made.token)
    own = [asked for asked in private_routes(app) if asked.scope is scope]
    # Of the others one page and one route of the API for each scope: the test above has asked
    # each of them with a token that has even more scopes than this.
    others = {(one.scope, one.is_page): one for one in private_routes(app) if one not in own}
    assert {wanted for wanted, _ in others} == {*TokenScope} - {scope}

    for asked in (*own, *others.values()):
        answer = await asked.ask(client)
        if asked.scope is scope:
            assert answer.status_code not in {401, 403}, asked.name
        elif asked.is_page:
            assert answer.status_code == 403, asked.name
        else:
            assert answer.json()["code"] == "missing_scope", asked.name


async def test_scope_does_not_raise_a_role(connect: Connect, services: Services) -> None:
    user = await services.users.create(email="viewer@clinic.example", role=Role.VIEWER)
    made = await services.tokens.create(user.id, name="all", scopes=TokenScope, expires_at=None)
    client = await connect(token=made.token)

    assert (await client.post("/api/contacts", json={})).json()["code"] == "forbidden"
    assert (await client.get("/api/users")).json()["code"] == "forbidden"
    assert (await client.get("/api/contacts")).status_code == 200


async def test_unprotected_new_route_is_detected(settings: ApiSettings, services: Services) -> None:
    app = create_app(settings, services=services)
    known = len(private_routes(app))
    forgotten, guarded = APIRouter(), APIRouter()

    @forgotten.get("/forgotten")
    async def forgotten_route() -> str:
        return "open to all"

    @guarded.post("/guarded/{thing_id}")
    async def guarded_route(thing_id: str) -> str:
        return thing_id

    @guarded.get("/texting", dependencies=[Sends])
    async def texting_route() -> str:
        return "sent"

    @guarded.get("/managing", dependencies=[AdminOnly])
    async def managing_route() -> str:
        return "managed"

    app.include_router(forgotten, prefix="/api")
    app.include_router(guarded, prefix="/api", dependencies=[Depends(authorize)])

    new = private_routes(app)[known:]
    assert {asked.name: (asked.scope, asked.role) for asked in new} == {
        "GET /api/forgotten": (TokenScope.READ, Role.VIEWER),
        "POST /api/guarded/{}": (TokenScope.WRITE, Role.MEMBER),
        "GET /api/texting": (TokenScope.SEND, Role.VIEWER),
        "GET /api/managing": (TokenScope.ADMIN, Role.ADMIN),
    }
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://segue.test"
    ) as client:
        refused = {asked.name: (await asked.ask(client)).status_code for asked in new}
    assert refused.pop("GET /api/forgotten") == 200  # as the tests of every route would see it
    assert set(refused.values()) == {401}


async def test_token_is_created_with_scopes_and_an_expiry(
    admin: httpx.AsyncClient, connect: Connect
) -> None:
    me = (await admin.get("/api/me")).json()
    until = written(datetime.now(UTC) + timedelta(days=1))

    made = await admin.post(
        f"/api/users/{me['id']}/tokens",
        json={"name": "crm", "scopes": ["send", "read", "send"], "expires_at": until},
    )
    whole = await admin.post(f"/api/users/{me['id']}/tokens", json={"name": "all"})

    assert made.status_code == 201, made.text
    assert made.json()["scopes"] == ["read", "send"]
    assert whole.json()["scopes"] == ["read"]
    session = (await (await connect(token=made.json()["token"])).get("/api/session")).json()
    assert session["scopes"] == ["read", "send"]
    assert session["expires_at"] == until
    listed = (await admin.get(f"/api/users/{me['id']}/tokens")).json()["items"]
    assert {tuple(token["scopes"]) for token in listed if token["name"] == "crm"} == {
        ("read", "send")
    }


_INVALID_SCOPES: Sequence[object] = [[], ["all"], None, "read", ["read"] * 9]


async def test_invalid_scopes_are_refused(admin: httpx.AsyncClient) -> None:
    me = (await admin.get("/api/me")).json()
    for scopes in _INVALID_SCOPES:
        answer = await admin.post(
            f"/api/users/{me['id']}/tokens", json={"name": "crm", "scopes": scopes}
        )

        assert answer.status_code == 422, scopes


async def test_enrolling_too_many_in_an_hour_is_refused_and_rolled_back(
    member: httpx.AsyncClient, admin: httpx.AsyncClient, services: Services
) -> None:
    services.enrolling._most_per_hour = 3
    sender = await admin.post("/api/senders", json={"name": "Desk", "phone": "+14155550100"})
    sequence = await member.post(
        "/api/sequences",
        json={
            "name": "Hello",
            "sender_id": sender.json()["id"],
            "kind": "ongoing",
            "steps": [{"body": "Hello", "delay_seconds": 0}],
        },
    )
    assert sequence.status_code == 201, sequence.text
    address = f"/api/sequences/{sequence.json()['id']}"
    await member.post(f"{address}/activate")
    people = [
        (
            await member.post(
                "/api/contacts", json={"first_name": "Ann", "phone": f"+1212555010{number}"}
            )
        ).json()["id"]
        for number in range(5)
    ]

    first = await member.post(f"{address}/enrollments", json={"contact_ids": people[:2]})
    again = await member.post(f"{address}/enrollments", json={"contact_ids": people[:2]})
    second = await member.post(f"{address}/enrollments", json={"contact_ids": people})
    third = await member.post(f"{address}/enrollments", json={"contact_ids": people[:3]})
    other = await admin.post(f"{address}/enrollments", json={"contact_ids": people})
    services.jobs._most_per_hour = 3
    later = await member.post(
        f"{address}/enrollments",
        json={"contact_ids": people[:1]},
        headers={"Prefer": "respond-async"},
    )

    assert [len(first.json()["enrolled"]), len(again.json()["enrolled"])] == [2, 0]
    assert second.status_code == 429
    assert second.json()["code"] == "too_many_requests"
    wait = int(second.headers["retry-after"])
    assert 1 <= wait <= 3600
    assert second.headers["ratelimit"] == f'"default";r=0;t={wait}'
    assert re.fullmatch(r'"default";q=\d+;w=3600', second.headers["ratelimit-policy"])
    assert len(third.json()["enrolled"]) == 1  # refused enrollments were not counted
    assert later.status_code == 429
    assert len(other.json()["enrolled"]) == 2  # each user has a limit of their own
