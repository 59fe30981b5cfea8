"""The OpenAPI document: docs/openapi.json is current, and its examples work."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast

import httpx
import jsonschema_rs
import pytest
from fastapi import FastAPI

from api.examples import EXAMPLES, IDS, Example
from tests.api.record import RECORDED, ROOT, document, edition
from tests.kits.heads import assert_same_head

DOCUMENT = json.loads(RECORDED.read_text())
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
FOR_PEOPLE = [name for name, (_, path, _) in OPERATIONS.items() if path.startswith("/api/")]
PROBLEM = DOCUMENT["components"]["schemas"]["Problem"]
READS = [name for name in FOR_PEOPLE if OPERATIONS[name][0] == "get"]


def test_recorded_document_is_current(shared_app: FastAPI) -> None:
    """Run `python -m tests.api.record` when this fails, and describe the change in CHANGELOG.md."""
    assert RECORDED.read_text() == document(shared_app)


async def test_api_serves_its_document(anonymous: httpx.AsyncClient) -> None:
    answer = await assert_same_head(anonymous, "/api/openapi.json")
    document = json.dumps(answer.json())
    assert "HTTPValidationError" not in document
    assert "application/problem+json" in document


def test_changelog_names_the_current_document() -> None:
    unreleased = (ROOT / "CHANGELOG.md").read_text().split("\n## [")[1]
    assert f"openapi {edition(RECORDED.read_text())}" in unreleased


def test_every_route_has_a_summary_a_description_and_examples() -> None:
    assert set(EXAMPLES) <= set(FOR_PEOPLE)
    for name in FOR_PEOPLE:
        _, _, operation = OPERATIONS[name]
        assert operation["summary"]
        assert operation["description"]
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["example"]
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "path" or parameter["example"]


def test_document_is_fit_for_generated_clients() -> None:
    """Requests are closed and answers open, nothing in an address is null, errors have a type."""
    schemas = DOCUMENT["components"]["schemas"]
    wrong = [one for name in OPERATIONS for one in _unfit(name)]
    sent, answered = set[str](), set[str]()
    for _, _, operation in OPERATIONS.values():
        sent |= set(reached(operation.get("requestBody")))
        answered |= set(reached(operation["responses"]))
    for name, schema in schemas.items():
        if not re.fullmatch(r"[A-Z][A-Za-z]+", name):
            wrong.append(f"{name}: no name for a class")
        if schema["type"] == "object" and name in sent & answered:
            wrong.append(f"{name}: sent, so closed, and answered, so open")
        is_closed = schema.get("additionalProperties") is False
        if schema["type"] == "object" and is_closed != (name in sent):
            wrong.append(f"{name}: closed {is_closed}, sent {name in sent}")
    assert wrong == []
    assert all(tag["description"] for tag in DOCUMENT["tags"])


def _unfit(name: str) -> Iterator[str]:
    """Say what of an operation generated clients could not use."""
    _, _, operation = OPERATIONS[name]
    for parameter in operation.get("parameters", ()):
        if "null" in str(parameter["schema"]):
            yield f"{name}: {parameter['name']} can be null"
    for status, response in operation["responses"].items():
        shared = response.get("$ref", "").rpartition("/")[2]
        whole = DOCUMENT["components"]["responses"][shared] if shared else response
        leads_to = set(reached(whole))
        if not status.startswith("2") and leads_to != {"Problem", *reached(PROBLEM)}:
            yield f"{name}: {status} is no problem"
        if status == "201" and "Location" not in whole["headers"]:
            yield f"{name}: 201 without Location"
        if status == "202" and "Job" not in leads_to:
            yield f"{name}: 202 without a job"


def reached(part: Any) -> Iterator[str]:
    """Name the schemas that a part of the document leads to, more than once maybe."""
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(part)):
        yield name
        yield from reached(DOCUMENT["components"]["schemas"][name])


async def test_examples_of_reads_are_answered_as_documented(
    there: dict[str, str], admin: httpx.AsyncClient
) -> None:
    for name in READS:
        await check_example(name, there, admin)


@pytest.mark.parametrize("name", [name for name in FOR_PEOPLE if name not in READS])
async def test_example_is_answered_as_documented(
    name: str, there: dict[str, str], admin: httpx.AsyncClient
) -> None:
    await check_example(name, there, admin)


async def check_example(name: str, there: dict[str, str], admin: httpx.AsyncClient) -> None:
    """Ask as the example does; compare the answer with the document."""
    method, path, operation = OPERATIONS[name]
    example = EXAMPLES.get(name, Example())
    status = example.status or int(next(iter(operation["responses"])))
    answer = await admin.request(
        method,
        _with_ids(path.format(**{**IDS, **example.path}), there),
        params=_exploded(json.loads(_with_ids(json.dumps(dict(example.query)), there))),
        **_sent(operation, example.body, there),
    )
    assert answer.status_code == status, f"{name}: {answer.text}"
    if status == HTTPStatus.CREATED:
        made = await admin.get(answer.headers["Location"])
        assert made.status_code == 200, name
        is_shown = made.headers["Content-Type"] == "application/json"
        assert not is_shown or made.json()["id"] == answer.json().get("id", made.json()["id"]), name
    documented = operation["responses"][str(status)].get("content", {})
    if "application/json" in documented:
        schema = documented["application/json"]["schema"]
        whole = {**schema, "components": DOCUMENT["components"]}
        jsonschema_rs.validator_for(whole).validate(answer.json())


def _with_ids(text: str, ids: dict[str, str]) -> str:
    """Replace the example's ids with existing ones."""
    return re.sub("|".join(ids), lambda match: ids[match[0]], text)


def _exploded(query: dict[str, Any]) -> dict[str, Any]:
    """Write a parameter that is an object as one for each of its properties."""
    objects = [one for one in query.values() if isinstance(one, dict)]
    plain = {name: one for name, one in query.items() if not isinstance(one, dict)}
    return {name: value for part in (plain, *objects) for name, value in part.items()}


def _sent(operation: dict[str, Any], body: Any, ids: dict[str, str]) -> dict[str, Any]:
    """Write the body of an example; files in forms are in base64."""
    kind = next(iter(operation.get("requestBody", {}).get("content", {})), None)
    if kind == "multipart/form-data":
        return {"files": {name: b64decode(file) for name, file in body.items()}}
    headers = {"Content-Type": kind} if kind else {}
    if body is None:
        return {"headers": headers}
    text = _with_ids(json.dumps(body), ids) if kind == "application/json" else cast("str", body)
    return {"headers": headers, "content": text.encode()}
