"""Errors: all are problem+json with a stable code, wherever they arise."""

import ast
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import MAX_BODY_BYTES, create_app
from api.field_problems import CODES
from services.factory import Services
from settings import ApiSettings
from storage.platform.database import Database
from tests.api.record import ROOT

JSON = {"Content-Type": "application/json"}


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"urn:segue:problem:{code}"
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_an_unknown_route_is_a_problem(anonymous: httpx.AsyncClient) -> None:
    for path in ("/nothing", "/api/nothing", "/api/contacts/", "/healthz/x"):
        assert_problem(await anonymous.get(path), 404, "unknown_route")


async def test_wrong_method_is_a_problem_that_lists_the_allowed_ones(
    anonymous: httpx.AsyncClient,
) -> None:
    answer = await anonymous.put("/api/contacts")

    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b"[1,]", b"nul", b"\x00"])
async def test_malformed_json_is_a_problem(member: httpx.AsyncClient, body: bytes) -> None:
    answer = await member.post("/api/contacts", content=body, headers=JSON)

    assert_problem(answer, 400, "malformed_json")


@pytest.mark.parametrize("body", [b"\xff\xfe\xfd", b'{"first_name": "\xe9"}', b"[" * 100_000])
async def test_undecodable_body_is_a_problem(member: httpx.AsyncClient, body: bytes) -> None:
    answer = await member.post("/api/contacts", content=body, headers=JSON)

    assert_problem(answer, 400, "malformed_request")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
async def test_a_body_that_is_not_json_is_a_problem(member: httpx.AsyncClient, kind: str) -> None:
    answer = await member.post("/api/contacts", content=b'{"a": 1}', headers={"Content-Type": kind})

    assert_problem(answer, 415, "unsupported_media_type")


async def test_a_missing_body_is_named(member: httpx.AsyncClient) -> None:
    problem = assert_problem(await member.post("/api/contacts"), 422, "invalid_request")

    assert [error["field"] for error in problem["errors"]] == ["body"]


async def test_each_wrong_field_is_named_with_code_and_remedy(member: httpx.AsyncClient) -> None:
    answer = await member.post("/api/contacts", json={"last_name": 7, "fax": "1"})

    problem = assert_problem(answer, 422, "invalid_request")
    assert problem["errors"] == [
        {"field": "first_name", "code": "missing", "message": "is missing; give it"},
        {"field": "last_name", "code": "invalid_type", "message": "must be a text"},
        {"field": "phone", "code": "missing", "message": "is missing; give it"},
        {
            "field": "fax",
            "code": "unknown_field",
            "message": "is not a known field; leave it out",
        },
    ]


async def test_field_name_with_a_lone_surrogate_is_a_problem(member: httpx.AsyncClient) -> None:
    body = b'{"first_name": "Ann", "phone": "+14155550123", "\\ud800": 1}'

    answer = await member.post("/api/contacts", content=body, headers=JSON)

    assert_problem(answer, 422, "invalid_request")


async def test_a_declared_body_above_the_limit_is_refused(member: httpx.AsyncClient) -> None:
    answer = await member.post("/api/contacts", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)

    assert_problem(answer, 413, "body_too_large")


async def test_a_streamed_body_above_the_limit_is_refused(member: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(60):
            yield b" " * 100_000

    answer = await member.post("/api/contacts", content=endless(), headers=JSON)

    assert_problem(answer, 413, "body_too_large")


async def test_unexpected_error_reveals_nothing(
    app: FastAPI, services: Services, member: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(**_: Any) -> None:
        raise ValueError("the secret +14155550123")

    monkeypatch.setattr(services.contacts, "find", fail)

    answer = await member.get("/api/contacts")

    assert_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text


@pytest.fixture
async def without_database(
    settings: ApiSettings, services: Services
) -> AsyncIterator[httpx.AsyncClient]:
    """The API while PostgreSQL is away."""
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    services.database = nowhere
    services.users._database = nowhere
    app = create_app(settings, services=services)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://segue.test"
    ) as client:
        yield client
    await nowhere.close()


async def test_request_without_the_database_is_a_retryable_problem(
    without_database: httpx.AsyncClient,
) -> None:
    answer = await without_database.get(
        "/api/contacts", headers={"Authorization": "Bearer sgt_" + "x" * 43}
    )

    assert_problem(answer, 503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_healthz_needs_no_server(without_database: httpx.AsyncClient) -> None:
    answer = await without_database.get("/healthz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


async def test_readyz_names_every_unavailable_server(
    without_database: httpx.AsyncClient, temporal: Any
) -> None:
    temporal.is_ready = False

    answer = await without_database.get("/readyz")

    problem = assert_problem(answer, 503, "not_ready")
    assert problem["away"] == ["database", "temporal"]
    assert "retry-after" in answer.headers


async def test_readyz_succeeds_when_database_and_temporal_answer(
    anonymous: httpx.AsyncClient, temporal: Any
) -> None:
    assert (await anonymous.get("/readyz")).status_code == 200

    temporal.is_ready = False
    problem = assert_problem(await anonymous.get("/readyz"), 503, "not_ready")
    assert problem["away"] == ["temporal"]


def test_every_code_is_in_the_list_of_problems() -> None:
    """docs/problems.md is complete and names no code that is gone."""
    rows = (ROOT / "docs/problems.md").read_text().splitlines()
    # A problem's code stands behind its status.
    cells = [re.sub(r"^\| \d+ ", "", row).split("|")[1] for row in rows if row.startswith("|")]
    listed = {code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell)}
    raised, written = set(CODES), set[str]()
    for layer in ("api", "domain", "services"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                raised |= set(_codes(node))
                written |= {str(node.value)} if isinstance(node, ast.Constant) else set()
    raised -= {
        "error",
        "conflict",
        "gone",
        "nothing_restored",
        "proof_refused",
        "set_up_link_invalid",
    }  # never answered
    assert raised - listed == set()
    assert listed - written - set(CODES) == set()


def _codes(node: ast.AST) -> Iterator[str]:
    """Name the codes of an error that a node of our code makes."""
    found: list[ast.AST] = []
    match node:
        case ast.Call(func=ast.Name("ConflictError" | "unavailable"), args=[first, *_]):
            found = [first]
        case ast.Call(func=ast.Name("Problem"), args=[_, second, *_]):
            found = [second]
        case ast.Call(func=ast.Name("InvalidFieldError") | ast.Attribute(attr="add")):
            found = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        case ast.ClassDef(bases=[ast.Name(base)]) if base.endswith("Error"):
            found = [
                line.value
                for line in node.body
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "code"
            ]
        case _:
            pass
    for one in found:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value
