"""How the tables write their columns."""

from collections.abc import Iterable
from enum import StrEnum
from json import loads
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Enum,
    Identity,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def one_of(column: str, values: Iterable[StrEnum]) -> CheckConstraint:
    """A check that a text column holds one of an enumeration's codes."""
    allowed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


def code(words: type[StrEnum]) -> Enum:
    """A text column that reads and writes an enumeration's codes."""
    return Enum(
        words,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


def moment(*, nullable: bool = False, default_now: bool = False) -> Any:  # noqa: ANN401
    """An aware UTC moment."""
    return Field(
        default=None,
        sa_column_kwargs={"server_default": func.now()} if default_now else {},
        sa_type=DateTime(timezone=True),
        nullable=nullable,
    )


def serial() -> Any:  # noqa: ANN401
    """A primary key that ascends in the order of insertion."""
    column = Column(BigInteger, Identity(always=True), primary_key=True)
    return Field(default=None, sa_column=column)


def json(default: str | None = None, *, nullable: bool = False) -> Any:  # noqa: ANN401
    """A JSON column; ``default``, written as JSON, is what rows have that were given nothing."""
    column = Column(JSONB(none_as_null=True), nullable=nullable, server_default=default)
    return Field(default_factory=lambda: loads(default or "null"), sa_column=column)


def computed(condition: str) -> Any:  # noqa: ANN401
    """Whether a row meets a condition, worked out whenever it is written; never null."""
    column = Column(Boolean, Computed(condition, persisted=True), nullable=False)
    return Field(default=None, sa_column=column)


def reference(target: str, *, nullable: bool = False, index: bool = False) -> Any:  # noqa: ANN401
    """A foreign key to another table's id."""
    return Field(default=None, foreign_key=target, nullable=nullable, index=index)
