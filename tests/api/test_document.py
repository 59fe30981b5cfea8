"""The OpenAPI document: written down, with an example for every route that does what it says."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx
import jsonschema_rs
import psycopg
import pytest
from psycopg import sql

from api.examples import EXAMPLES
from storage.platform.database import Database
from storage.schema import METADATA
from tests.api.a_little_of_everything import found
from tests.api.conftest import make_services
from tests.api.record import RECORDED, ROOT, document, edition

DOCUMENT = json.loads(RECORDED.read_text())
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
FOR_PEOPLE = [name for name, (_, path, _) in OPERATIONS.items() if path.startswith("/api/")]


def test_it_is_written_down() -> None:
    """Run `python -m tests.api.record` when this fails, and say in CHANGELOG.md what changed."""
    assert RECORDED.read_text() == document()


def test_a_change_of_it_is_in_the_changelog() -> None:
    unreleased = (ROOT / "CHANGELOG.md").read_text().split("\n## [")[1]
    assert f"openapi {edition(RECORDED.read_text())}" in unreleased


def test_every_route_has_an_example_a_summary_and_a_description() -> None:
    assert sorted(FOR_PEOPLE) == sorted(EXAMPLES)
    for name in FOR_PEOPLE:
        _, _, operation = OPERATIONS[name]
        assert operation["summary"]
        assert operation["description"]


@dataclass(frozen=True)
class Little:
    """A little of everything, to be put into a database again and again: made in a moment.

    Attributes:
        ids: The id of each thing by the one that examples give it.
        rows: Of each table, as COPY writes them.
    """

    ids: dict[str, str]
    rows: dict[str, bytes]

    def put_into(self, database: str) -> None:
        with psycopg.connect(database) as connection:
            connection.execute("SET session_replication_role = replica")
            for table, rows in self.rows.items():
                copying = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))
                with connection.cursor().copy(copying) as copy:
                    copy.write(rows)


@pytest.fixture(scope="module")
def little(shared_database: str, empty: Callable[[], None]) -> Little:
    async def make() -> dict[str, str]:
        database = Database(shared_database.replace("postgresql://", "postgresql+psycopg://", 1))
        try:
            return await found(make_services(database))
        finally:
            await database.close()

    rows = {}
    ids = asyncio.run(make())
    with psycopg.connect(shared_database) as connection:
        for table in METADATA.sorted_tables:
            copying = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table.name))
            with connection.cursor().copy(copying) as copy:
                if kept := b"".join(copy):
                    rows[table.name] = kept
    empty()
    return Little(ids, rows)


@pytest.fixture
def there(little: Little, database_url: str, shared_database: str) -> dict[str, str]:
    """The ids of the things there are."""
    little.put_into(shared_database)
    return little.ids


@pytest.mark.parametrize("name", FOR_PEOPLE)
async def test_an_example_is_answered_as_documented(
    name: str, there: dict[str, str], admin: httpx.AsyncClient
) -> None:
    method, path, operation = OPERATIONS[name]
    example = EXAMPLES[name]
    answer = await admin.request(
        method,
        _with_ids(path.format(**example.path), there),
        params=json.loads(_with_ids(json.dumps(dict(example.query)), there)),
        content=_content(operation, example.body, there),
        headers=_headers(operation),
    )
    assert answer.status_code == example.status, answer.text
    documented = operation["responses"][str(example.status)].get("content", {})
    if "application/json" in documented:
        schema = documented["application/json"]["schema"]
        whole = {**schema, "components": DOCUMENT["components"]}
        jsonschema_rs.validator_for(whole).validate(answer.json())


def _with_ids(text: str, ids: dict[str, str]) -> str:
    """Put the ids of things there are for those of the example."""
    return re.sub("|".join(ids), lambda match: ids[match[0]], text)


def _headers(operation: dict[str, Any]) -> dict[str, str]:
    content = operation.get("requestBody", {}).get("content", {})
    return {"Content-Type": next(iter(content))} if content else {}


def _content(operation: dict[str, Any], body: Any, ids: dict[str, str]) -> bytes | None:
    if body is None:
        return None
    if "application/json" in operation["requestBody"]["content"]:
        return _with_ids(json.dumps(body), ids).encode()
    return cast("str", body).encode()
