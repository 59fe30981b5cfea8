"""Queries whose columns are the fields of the dataclass that holds a row."""

from dataclasses import MISSING, fields
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression
from sqlmodel import SQLModel


def columns_of(
    shape: type[Any], table: type[SQLModel], **others: SQLColumnExpression[Any]
) -> list[ColumnElement[Any]]:
    """Select what a dataclass needs, in the order of its fields, each under its field's name.

    Args:
        shape: The dataclass; a field with a default is selected only if ``others`` names it.
        table: Has the columns of fields that are not in ``others``, by the same name.
        others: The other columns, by field.
    """
    return [
        (others[one.name] if one.name in others else getattr(table, one.name)).label(one.name)
        for one in fields(shape)
        if one.name in others or one.default is one.default_factory is MISSING
    ]
