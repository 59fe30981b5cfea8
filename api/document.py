"""The OpenAPI document: stable operation ids, an example for every route."""

from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.event_examples import event
from api.examples import EXAMPLES, IDS, Example
from domain.event_webhooks.events import EventType


def operation_id(route: APIRoute) -> str:
    """Name a route by its tag and its function."""
    return f"{route.tags[0]}.{route.name}" if route.tags else route.name


def install(app: FastAPI) -> None:
    """Put the examples into the application's document."""
    app.openapi = cache(partial(_build, app))  # type: ignore[method-assign]


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        webhooks=app.webhooks.routes,
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            _show(operation, EXAMPLES.get(operation["operationId"], Example()))
    for kind, operations in document["webhooks"].items():
        body = Example(body=event(EventType(kind)))
        for operation in operations.values():
            _show(operation, body)
    return document


def _show(operation: dict[str, Any], example: Example) -> None:
    """Put an example into an operation, where readers and tools look for it."""
    for parameter in operation.get("parameters", ()):
        values = {**IDS, **example.path} if parameter["in"] == "path" else example.query
        if parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
    if example.body is not None:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example.body
