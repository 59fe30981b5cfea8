"""What a use case asks PostgreSQL, and how much that reads."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncCursor

from storage.platform.database import Database


@asynccontextmanager
async def asked_of(database: Database) -> AsyncIterator[list[tuple[str, Any]]]:
    """Record the statements that are sent inside the block, with their parameters.

    Not those by which a pool sets up a connection, or asks whether it is alive.
    """
    asked: list[tuple[str, Any]] = []
    name = database.engine.url.database

    def noting(send: Any) -> Any:
        async def note(cursor: Any, statement: str, parameters: Any = None, **more: Any) -> Any:
            is_of_pool = statement == ";" or "idle_in_transaction_session_timeout" in statement
            if cursor.connection.info.dbname == name and not is_of_pool:
                asked.append((statement, parameters))
            return await send(cursor, statement, parameters, **more)

        return note

    with pytest.MonkeyPatch.context() as patch:
        for way in ("execute", "executemany"):
            patch.setattr(AsyncCursor, way, noting(getattr(AsyncCursor, way)))
        yield asked


async def plan_of(database: Database, statement: str, parameters: Any) -> Mapping[str, Any]:
    """Run a statement and return its plan."""
    async with database.engine.connect() as connection:
        found = await connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
        )
        [plan] = found.scalar_one()
    top: Mapping[str, Any] = plan["Plan"]
    return top


def rows_read(node: Mapping[str, Any], table: str) -> list[float]:
    """Return how many rows each step of a plan that reads a table went through."""
    lost = node.get("Rows Removed by Filter", 0)
    own = [(node["Actual Rows"] + lost) * node["Actual Loops"]]
    here = own if node.get("Relation Name") == table else [0.0]
    return here + [rows for child in node.get("Plans", ()) for rows in rows_read(child, table)]


def read_by(node: Mapping[str, Any], table: str) -> set[str]:
    """Return the indexes by which a plan reads a table; "" for reading all of it."""
    index = node.get("Index Name", "")
    names = {index} if f"_{table}_" in index else set()
    if node.get("Relation Name") == table and node["Node Type"].endswith("Seq Scan"):
        names.add("")
    return names.union(*(read_by(child, table) for child in node.get("Plans", ())))
