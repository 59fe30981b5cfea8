"""The OpenAPI document as a contract: every route answers as documented, whatever is sent.

Requests are generated from the document, valid and invalid, half of them about resources that
exist, and sent to the API as a program serves it.
"""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ensure_resource_availability,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)
from schemathesis.transport.requests import ManagedCookiesSession

from api import examples
from api.examples import IDS
from api.field_problems import (
    INVALID_FORMAT,
    INVALID_ID,
    INVALID_TYPE,
    TOO_MANY_FIELDS,
    UNKNOWN_FIELD,
)
from domain.statuses.access import Role
from services.factory import Services
from standalone.ports import LOOPBACK, free_port
from storage.platform.database import Database
from tests.api.a_little_of_everything import Little
from tests.api.conftest import make_services, whole_token
from tests.api.record import RECORDED

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
    ignored_auth,
    use_after_free,
    ensure_resource_availability,
)
"""All that apply to single requests, but two. ``positive_data_acceptance``: a schema cannot say
which numbers exist or which cursor belongs to a list; of ours a request that it allows is never
refused for its form. ``unsupported_method`` and ``Allow``: see test_http.py."""

FORMAL = {UNKNOWN_FIELD, INVALID_TYPE, INVALID_ID, INVALID_FORMAT, TOO_MANY_FIELDS}

EXAMPLES = int(os.environ.get("EXAMPLES", "3"))
"""How many requests are generated for each operation; `make contract` generates many."""

LONG = 1000
"""Longer lists are not generated: drawing one id too many takes seconds."""

ROW_BY_ROW = "contacts.upsert_contacts"
"""Takes what is wrong in a row as that row's error: see test_upsert.py."""

NOBODY = "nobody"
WHO = [*Role, NOBODY]

DOCUMENT = json.loads(RECORDED.read_text())
"""The application's own document: see test_document.py."""

OPERATIONS = [
    operation["operationId"]
    for path, operations in DOCUMENT["paths"].items()
    for operation in operations.values()
    if not path.startswith("/webhooks")
]
"""All but Twilio's, which are signed: see test_webhooks.py."""


@cache
def operations() -> dict[str, Any]:
    """Read the document's operations; Schemathesis must understand all of them."""
    schema = schemathesis.openapi.from_dict(_exact(_without_long_lists(DOCUMENT)))
    found = list(schema.get_all_operations())
    assert all(isinstance(one, Ok) for one in found)
    every = [one.ok() for one in found if isinstance(one, Ok)]
    return {one.definition.raw["operationId"]: one for one in every}


def _without_long_lists(part: Any) -> Any:
    """Copy a part of the document without the limits of long lists."""
    if isinstance(part, list):
        return [_without_long_lists(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: _without_long_lists(one)
        for name, one in part.items()
        if name != "maxItems" or one <= LONG
    }


def _exact(document: Any) -> Any:
    """Take out the answers that would allow any status."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default")
    return document


class LongList(NamedTuple):
    """A field of a request's body that holds at most so many ids."""

    operation_id: str
    method: str
    path: str
    field: str
    most: int


def _long_lists() -> Iterator[LongList]:
    schemas = DOCUMENT["components"]["schemas"]
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            fields = schemas.get(reference.rpartition("/")[2], {}).get("properties", {})
            for name, field in fields.items():
                for shape in field.get("anyOf", [field]):
                    is_of_ids = shape.get("items", {}).get("format") == "uuid"
                    if is_of_ids and shape.get("maxItems", 0) > LONG:
                        yield LongList(
                            operation["operationId"], method, path, name, shape["maxItems"]
                        )


@dataclass(frozen=True)
class Served:
    """The API on a port, its callers, and existing ids by path parameter.

    ``session`` keeps the connection open: opening one takes as long as most answers.
    """

    url: str
    session: ManagedCookiesSession
    tokens: dict[str, str]
    known: dict[str, str]


@pytest.fixture(scope="module")
def served(
    shared_database: str, empty: Callable[[], None], little: Little, shared_app: FastAPI
) -> Iterator[Served]:
    url = shared_database.replace("postgresql://", "postgresql+psycopg://", 1)

    def services() -> Services:
        return make_services(Database(url))

    async def prepare() -> dict[str, str]:
        made = services()
        try:
            tokens = {}
            for role in Role:
                email = f"{role.value}@generated.example.com"
                user = await made.users.create(email=email, role=role)
                tokens[role.value] = await whole_token(made, user.id)
        finally:
            await made.database.close()
        return tokens

    little.put()
    tokens = asyncio.run(prepare())
    known = {name: little.ids[example] for name, example in IDS.items()}
    port = free_port()
    used = shared_app.state.services = services()
    config = uvicorn.Config(
        shared_app, host=LOOPBACK, port=port, log_level="critical", lifespan="off"
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        await server.serve()
        await used.database.close()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    while not server.started:
        threading.Event().wait(0.05)
    with ManagedCookiesSession() as session:
        session.headers.clear()
        session.trust_env = False
        yield Served(f"http://{LOOPBACK}:{port}", session, tokens, known)
    server.should_exit = True
    thread.join()
    empty()


def test_every_operation_is_tested() -> None:
    assert len(OPERATIONS) > 40
    assert set(OPERATIONS) == {
        name for name, one in operations().items() if not one.path.startswith("/webhooks")
    }


def test_one_id_too_many_is_refused(served: Served) -> None:
    headers = {"Authorization": f"Bearer {served.tokens[Role.ADMIN]}"}
    long_lists = list(_long_lists())
    assert len(long_lists) >= 5

    for one in long_lists:
        others = {} if one.field == "contact_ids" else examples.EXAMPLES[one.operation_id].body
        answer = httpx.request(
            one.method,
            served.url + one.path.format(**served.known),
            json={**others, one.field: [str(uuid4()) for _ in range(one.most + 1)]},
            headers=headers,
            timeout=60,  # many ids, and maybe a busy machine
        )
        assert answer.status_code == 422, one
        errors = [error["message"] for error in answer.json()["errors"] if one.field in str(error)]
        assert len(errors) == 1, (one, answer.json())
        assert str(one.most) in errors[0], one


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_match_the_document(name: str, served: Served) -> None:
    """No role gets a server error, an undocumented answer or a body that breaks its schema."""
    operation = operations()[name]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        ),
        who=st.sampled_from(WHO),
        known=st.booleans(),
    )
    def attack(case: Any, who: str, known: bool) -> None:  # noqa: FBT001
        if known:
            there = {
                name: value for name, value in served.known.items() if name in case.path_parameters
            }
            case.path_parameters = {**case.path_parameters, **there}
        token = served.tokens.get(who)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        response = case.call(base_url=served.url, session=served.session, headers=headers)
        is_judged = name != ROW_BY_ROW and still_wrong(case, known)
        checks = [one for one in CHECKS if one is not negative_data_rejection or is_judged]
        case.validate_response(response, checks=checks)
        if case.meta.generation.mode.is_positive and response.status_code == 422:
            assert not FORMAL & {error["code"] for error in response.json()["errors"]}

    attack()


def still_wrong(case: Any, known: bool) -> bool:  # noqa: FBT001
    """Whether what was generated to be wrong was sent: ids and tokens may have been replaced since.

    A blank parameter of a list counts as left out.
    """
    wrong = {place for place, one in case.meta.components.items() if one.mode.is_negative}
    token = str((case.headers or {}).get("Authorization", "Bearer"))
    was_replaced = (known and ParameterLocation.PATH in wrong) or (
        wrong == {ParameterLocation.HEADER} and not token.startswith("Bearer")
    )
    return not was_replaced and "" not in map(str, (case.query or {}).values())
