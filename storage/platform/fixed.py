"""Statements that are built once and sent as SQL ever after."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

from sqlalchemy import Executable, make_url
from sqlalchemy.sql.compiler import ExpandedState, SQLCompiler

DIALECT = make_url("postgresql+psycopg://").get_dialect()()
"""How the driver takes SQL."""


class Fixed:
    """A statement of SQLAlchemy's, with a ``bindparam`` for each value that differs.

    SQLAlchemy goes through all parts of a statement at every call, to find what it has compiled:
    of a large one that takes longer than building the page that shows what it found. What it finds
    here comes as the driver gives it: codes as text, to be made what a row's fields ask for.
    """

    def __init__(self, query: Executable) -> None:
        self._query = query

    @cached_property
    def sql(self) -> str:
        """The statement for the driver."""
        return self._whole.statement

    @cached_property
    def constants(self) -> Mapping[str, object]:
        """The values in it that are always the same, by their names."""
        whole = self._whole
        return {
            name: whole.processors[name](value) if name in whole.processors else value
            for name, value in whole.parameters.items()
            if name not in self._differing
        }

    @cached_property
    def _compiled(self) -> SQLCompiler:
        return cast("SQLCompiler", cast("Any", self._query).compile(dialect=DIALECT))

    @cached_property
    def _differing(self) -> Mapping[str, None]:
        return {one.key: None for one in self._compiled.binds.values() if one.required}

    @cached_property
    def _whole(self) -> ExpandedState:
        return self._compiled.construct_expanded_state(dict(self._differing))
