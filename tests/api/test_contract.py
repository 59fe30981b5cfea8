"""The OpenAPI document as a contract: every route answers as documented, whatever is sent.

Requests are generated from the document, valid and invalid, half of them about resources that
exist, and sent to the API as a program serves it.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.examples import IDS
from domain.statuses.access import Role
from services.factory import Services
from standalone.ports import LOOPBACK, free_port
from storage.platform.database import Database
from tests.api import a_little_of_everything as little
from tests.api.conftest import make_services, make_settings, whole_token
from tests.api.record import RECORDED, document

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
EXAMPLES = 10
NOBODY = "nobody"
WHO = [*Role, NOBODY]

OPERATIONS = [
    operation["operationId"]
    for path, operations in json.loads(RECORDED.read_text())["paths"].items()
    for operation in operations.values()
    if not path.startswith("/webhooks")
]
"""All but Twilio's, which are signed: see test_webhooks.py."""


@cache
def operations() -> dict[str, Any]:
    """Read the document's operations; Schemathesis must understand all of them."""
    schema = schemathesis.openapi.from_dict(json.loads(document()))
    found = list(schema.get_all_operations())
    assert all(isinstance(one, Ok) for one in found)
    every = [one.ok() for one in found if isinstance(one, Ok)]
    return {one.definition.raw["operationId"]: one for one in every}


@dataclass(frozen=True)
class Served:
    """The API on a port, its callers, and existing ids by path parameter."""

    url: str
    tokens: dict[str, str]
    known: dict[str, str]


@pytest.fixture(scope="module")
def served(shared_database: str, empty: Callable[[], None]) -> Iterator[Served]:
    url = shared_database.replace("postgresql://", "postgresql+psycopg://", 1)

    def services() -> Services:
        return make_services(Database(url))

    async def prepare() -> tuple[dict[str, str], dict[str, str]]:
        made = services()
        try:
            ids = await little.found(made)
            tokens = {}
            for role in Role:
                email = f"{role.value}@generated.example.com"
                user = await made.users.create(email=email, role=role)
                tokens[role.value] = await whole_token(made, user.id)
        finally:
            await made.database.close()
        return tokens, {name: ids[example] for name, example in IDS.items()}

    tokens, known = asyncio.run(prepare())
    port = free_port()
    used = services()
    app = create_app(make_settings(url), services=used)
    server = uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="critical"))

    async def serve() -> None:
        await server.serve()
        await used.database.close()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    while not server.started:
        threading.Event().wait(0.05)
    yield Served(f"http://{LOOPBACK}:{port}", tokens, known)
    server.should_exit = True
    thread.join()
    empty()


def test_every_operation_is_tested() -> None:
    assert len(OPERATIONS) > 40
    assert set(OPERATIONS) == {
        name for name, one in operations().items() if not one.path.startswith("/webhooks")
    }


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
        response = case.call(base_url=served.url, headers=headers)
        case.validate_response(response, checks=list(CHECKS))

    attack()
