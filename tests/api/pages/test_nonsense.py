"""Nonsense in every address and form of the pages is refused and is never a 500."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus
from uuid import UUID

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.examples import IDS
from api.pages.routes import PRIVATE, PUBLIC
from domain.statuses.access import Role
from tests.api.pages.conftest import HTMX, Browse

PARAMETERS: Mapping[str, str] = {"act": "mark-finished", **IDS}
"""Existing ids, by the name of a path's parameter, and an action."""

UNNAMED = ("body", "file", "group_id", "mode", "new_group", "reason", "region")
"""The fields of forms that routes read without a parameter."""

NONSENSE = (
    "",
    "\x00",
    "\ud800",
    "-1",
    "9" * 400,
    "1e999",
    "²",
    "9999-12-31T23:59:59-12:00",
    "\u2028🙂\r\n'\"><script>{{first_name|",
    "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1cffff",
)

ENDS_THE_SESSION = frozenset({"sign_out", "change_own_password"})


def _every_route() -> Iterator[tuple[str, APIRoute]]:
    for router in (*PRIVATE, *PUBLIC):
        for route in router.routes:
            if isinstance(route, APIRoute) and route.name not in ENDS_THE_SESSION:
                yield from (
                    (method, route) for method in sorted((route.methods or set()) - {"HEAD"})
                )


def _fields(route: APIRoute, kind: str) -> list[str]:
    """List the fields that a route reads from its query or its body."""
    names: list[str] = []
    for one in getattr(route.dependant, f"{kind}_params"):
        shape = one.field_info.annotation
        is_model = isinstance(shape, type) and issubclass(shape, BaseModel)
        names += shape.model_fields if is_model else [one.alias]
    return names


def _written(names: list[str], value: str) -> str:
    """Encode each field twice; a lone surrogate as its bytes."""
    text = quote_plus(value, errors="surrogatepass")
    return "&".join(f"{name}={text}&{name}={text}" for name in names)


@pytest.fixture
async def admin(there: dict[str, str], browse: Browse) -> httpx.AsyncClient:
    return await browse(Role.ADMIN)


@pytest.mark.parametrize("value", NONSENSE)
async def test_nonsense_in_any_field_is_no_server_error(
    there: dict[str, str], admin: httpx.AsyncClient, value: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    faults = []
    for number, (method, route) in enumerate(_every_route()):
        path = re.sub(
            r"{(\w+)}", lambda name: there.get(PARAMETERS[name[1]], PARAMETERS[name[1]]), route.path
        )
        form = _fields(route, "body") or list(UNNAMED)
        answer = await admin.request(
            method,
            f"{path}?{_written(_fields(route, 'query'), value)}",
            content=_written(form, value) if method == "POST" else None,
            headers=headers | (HTMX if number % 2 else {}),
        )
        if answer.status_code >= 500:
            faults.append(f"{answer.status_code} {method} {route.path}")
    assert faults == []


@pytest.mark.parametrize("value", ["\x00", "\ud800", "x", str(UUID(int=0)), "%2e%2e"])
async def test_nonsense_for_any_id_is_no_server_error(admin: httpx.AsyncClient, value: str) -> None:
    written = quote(value, safe="", errors="surrogatepass")
    faults = []
    for method, route in _every_route():
        if "{" not in route.path:
            continue
        answer = await admin.request(method, re.sub(r"{\w+}", written, route.path))
        if answer.status_code >= 500:
            faults.append(f"{answer.status_code} {method} {route.path}")
    assert faults == []


@pytest.mark.parametrize("charset", ["unicode_escape", "undefined", "utf-16", "idna"])
async def test_form_in_another_encoding_is_refused(browse: Browse, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n\\ud800\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    nobody = await browse(None)
    answer = await nobody.post("/sign-in", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 303
    program = {"Content-Type": kind, "Accept": "*/*"}
    refused = await nobody.post("/api/session", content=body, headers=program)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_request")
