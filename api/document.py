"""The OpenAPI document: stable operation ids, an example for every route."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.examples import EXAMPLES, Example


def operation_id(route: APIRoute) -> str:
    """Name a route by its tag and its function."""
    return f"{route.tags[0]}.{route.name}" if route.tags else route.name


def install(app: FastAPI) -> None:
    """Have the application answer with the document that has the examples in it."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    """Describe every route of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    for operations in document["paths"].values():
        for operation in operations.values():
            example = EXAMPLES.get(operation["operationId"])
            if example is not None:
                _show(operation, example)
    return document


def _show(operation: dict[str, Any], example: Example) -> None:
    """Put an example into an operation, where readers and tools look for it."""
    for parameter in operation.get("parameters", ()):
        values = example.path if parameter["in"] == "path" else example.query
        if parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
    if example.body is not None:
        for content in operation["requestBody"]["content"].values():
            content["example"] = example.body
