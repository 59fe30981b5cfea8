"""Statements that are built once and sent as SQL ever after."""

from typing import Any, cast

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler

DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
"""How the driver takes SQL."""


class Fixed:
    """A statement of SQLAlchemy's, with a ``bindparam`` for each value that differs.

    SQLAlchemy goes through all parts of a statement at every call, to find what it has compiled:
    of a large one that takes longer than building the page that shows what it found. What it finds
    here comes as the driver gives it: codes as text, to be made what a row's fields ask for.

    Attributes:
        sql: For the driver.
        constants: The values that are always the same, by their names in it.
    """

    def __init__(self, query: Executable) -> None:
        compiled = cast("SQLCompiler", cast("Any", query).compile(dialect=DIALECT))
        differ = {one.key: None for one in compiled.binds.values() if one.required}
        whole = compiled.construct_expanded_state(differ)
        self.sql = whole.statement
        self.constants: dict[str, object] = {
            name: whole.processors[name](value) if name in whole.processors else value
            for name, value in whole.parameters.items()
            if name not in differ
        }
