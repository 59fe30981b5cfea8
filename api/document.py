"""The OpenAPI document: what FastAPI says of the routes, made whole for generated clients."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api import documented, events
from api.event_examples import event
from api.examples import EXAMPLES, IDS, Example
from domain.event_webhooks.events import EventType

_Part = dict[str, Any]


def operation_id(route: APIRoute) -> str:
    """Name a route by its tag and its function."""
    return f"{route.tags[0]}.{route.name}" if route.tags else route.name


def install(app: FastAPI) -> None:
    """Let the application serve this document."""
    app.openapi = cache(partial(_build, app))  # type: ignore[method-assign]


def _build(app: FastAPI) -> _Part:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[{"url": "/", "description": "Where this document is served from."}],
        routes=app.routes,
        webhooks=events.webhooks().routes,
    )
    _name_schemas(document)
    for operation in _operations(document):
        operation.setdefault("security", [])
        _simplify_parameters(operation)
        _show(operation, EXAMPLES.get(operation["operationId"], Example()))
        _name_problems(operation)
        _name_headers(operation)
    for kind, operations in document["webhooks"].items():
        for operation in operations.values():
            operation.setdefault("security", [])  # events are signed
            _show(operation, Example(body=event(EventType(kind))))
    _add_shared(document, responses=documented.PROBLEMS, headers=documented.HEADERS)
    _open_answers(document)
    used = {tag for operation in _operations(document) for tag in operation["tags"]}
    document["tags"] = [{"name": tag, "description": documented.TAGS[tag]} for tag in sorted(used)]
    return document


def _operations(document: _Part) -> Iterator[_Part]:
    for operations in document["paths"].values():
        yield from operations.values()


def _simplify_parameters(operation: _Part) -> None:
    """Describe parameters as they are sent: left out rather than null, a header as one text.

    Generators drop operations with a header that may be null or a list.
    """
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:
            del schema["anyOf"]
            schema.update({**kinds[0], **schema})
        if parameter["in"] == "header" and schema.get("type") == "array":
            schema.update(schema.pop("items"))


def _show(operation: _Part, example: Example) -> None:
    """Put an example into an operation, where readers and tools look for it."""
    for parameter in operation.get("parameters", ()):
        values = {**IDS, **example.path} if parameter["in"] == "path" else example.query
        if parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
    if example.body is not None:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example.body


def _name_problems(operation: _Part) -> None:
    """List each error status that an operation answers."""
    responses = operation["responses"]
    for status, response in responses.items():
        if status.startswith(("4", "5")):
            response.setdefault("content", documented.PROBLEM_CONTENT)
    responses.pop("default", None)
    for status in [*sorted(documented.problem_statuses(operation)), "default"]:
        responses.setdefault(status, documented.reference("responses", status))


def _name_headers(operation: _Part) -> None:
    """List the headers of each answer."""
    for status, response in operation["responses"].items():
        listed = {
            name: documented.reference("headers", name)
            for name in documented.header_names(operation, status)
        }
        if listed:
            response["headers"] = {**response.get("headers", {}), **listed}


def _add_shared(document: _Part, **shared: Mapping[str, _Part]) -> None:
    """Add the shared parts that are used; each section may use those that follow."""
    for section, parts in shared.items():
        used = {part["$ref"] for part in _parts(document) if "$ref" in part}
        document["components"][section] = {
            name: part for name, part in parts.items() if f"#/components/{section}/{name}" in used
        }


def _open_answers(document: _Part) -> None:
    """Let answers grow: only what clients send is closed to unknown fields."""
    schemas = document["components"]["schemas"]
    bodies = [operation.get("requestBody", {}) for operation in _operations(document)]
    sent = _reached(bodies, schemas)
    for name, schema in schemas.items():
        if name not in sent and schema.get("additionalProperties") is False:
            del schema["additionalProperties"]


def _name_schemas(document: _Part) -> None:
    """Name schemas as their classes are: FastAPI spells out what a generic one is of.

    Of two classes of one name it tells the modules; that stays, for a test to find.
    """
    schemas = document["components"]["schemas"]
    alike = Counter(schema["title"] for schema in schemas.values())
    names = {
        name: schema["title"] if alike[schema["title"]] == 1 else name
        for name, schema in schemas.items()
    }
    document["components"]["schemas"] = {names[name]: schemas[name] for name in sorted(schemas)}
    for part in _parts(document):
        place, _, name = str(part.get("$ref", "")).rpartition("/")
        if place == "#/components/schemas":
            part["$ref"] = f"{place}/{names[name]}"


def _reached(part: Any, schemas: Mapping[str, _Part]) -> set[str]:  # noqa: ANN401 - any JSON
    """Name the schemas that a part of the document refers to, and those that these refer to."""
    reached: set[str] = set()
    left = [part]
    while left:
        for one in _parts(left.pop()):
            name = str(one.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in reached:
                reached.add(name)
                left.append(schemas[name])
    return reached


def _parts(part: Any) -> Iterator[_Part]:  # noqa: ANN401 - any JSON
    """List a part of the document and all parts within it."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part:
        if isinstance(inner, dict | list):
            yield from _parts(inner)
