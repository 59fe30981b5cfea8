"""Nonsense in every address and form of the pages is refused and is never a 500."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
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

PARAMETERS: Mapping[str, str] = {
    "slug": "everyone",
    "act": "mark-finished",
    "contact_act": "add-to-group",
    "line": "2",
    "talk_act": "done",
    "number": "1",
    "view_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0032",
    **IDS,
}
"""Existing ids, by the name of a path's parameter, and an action."""

UNNAMED = ("body", "file", "group_id")
"""The fields of forms that routes read without a parameter."""

READ_WITHOUT_A_PARAMETER = frozenset(
    {"count_segments", "fill_in", "import_contacts", "import_opt_outs"}
)
"""The routes that read such a form."""

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

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


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


def _takes_fields(route: APIRoute) -> bool:
    """Tell whether a route reads its query or its body."""
    declared = _fields(route, "query") or _fields(route, "body")
    return bool(declared) or route.name in READ_WITHOUT_A_PARAMETER


def _path(route: APIRoute, there: Mapping[str, str]) -> str:
    """Return a route's path with existing ids."""
    return re.sub(
        r"{(\w+)}", lambda name: there.get(PARAMETERS[name[1]], PARAMETERS[name[1]]), route.path
    )


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
    faults = []
    for number, (method, route) in enumerate(_every_route()):
        if not _takes_fields(route):
            continue
        form = _fields(route, "body") or list(UNNAMED)
        answer = await admin.request(
            method,
            f"{_path(route, there)}?{_written(_fields(route, 'query'), value)}",
            content=_written(form, value) if method == "POST" else None,
            headers=FORM | (HTMX if number % 2 else {}),
        )
        if answer.status_code >= 500:
            faults.append(f"{answer.status_code} {method} {route.path}")
    assert faults == []


async def test_nonsense_for_a_route_without_fields_is_ignored(
    there: dict[str, str], admin: httpx.AsyncClient
) -> None:
    """Its body is not even read, so the test above leaves these routes out."""
    faults = []
    query = _written(list(UNNAMED), "\x00")
    for number, (method, route) in enumerate(_every_route()):
        if _takes_fields(route):
            continue
        read: list[str] = []

        async def body(read: list[str] = read) -> AsyncIterator[bytes]:
            for name in UNNAMED:
                read.append(name)
                yield _written([name], "\x00").encode()

        answer = await admin.request(
            method,
            f"{_path(route, there)}?{query}",
            content=body() if method == "POST" else None,
            headers=FORM | (HTMX if number % 2 else {}),
        )
        if answer.status_code >= 500 or read:
            faults.append(f"{answer.status_code} {method} {route.path}, read {read}")
    assert faults == []


def _types_of_ids(route: APIRoute) -> frozenset[object]:
    """Return the types of a path's parameters."""
    ids = route.dependant.path_params
    assert len(ids) == route.path.count("{"), route.path
    return frozenset(one.field_info.annotation for one in ids)


@pytest.mark.parametrize("value", ["\x00", "\ud800", "x", str(UUID(int=0)), "%2e%2e"])
async def test_nonsense_for_any_id_is_no_server_error(admin: httpx.AsyncClient, value: str) -> None:
    written = quote(value, safe="", errors="surrogatepass")
    routes = [(method, route) for method, route in _every_route() if "{" in route.path]
    if value not in {"x", str(UUID(int=0))}:
        # Ids of one type are parsed alike, before the route runs: one route of each is enough.
        alike = {(method, _types_of_ids(route)): (method, route) for method, route in routes}
        routes = list(alike.values())
    assert len(routes) > 3
    faults = []
    for method, route in routes:
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
