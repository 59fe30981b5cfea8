"""How far what the provider has was fetched."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

from storage.columns import moment


class CatchUp(SQLModel, table=True):
    """How far what the provider has was fetched in all; one row.

    Every text sent until ``fetched_until`` was looked for; until ``missed_until`` webhooks may have
    failed. After ``failures`` questions about states in a row without an answer none is asked
    before ``next_try_at``. The release before reads ``reading_until`` and ``page``.
    """

    __tablename__: ClassVar[Any] = "catch_up"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(default=1, primary_key=True)
    fetched_until: datetime = moment(default_now=True)
    missed_until: datetime | None = moment(nullable=True)
    reading_until: datetime | None = moment(nullable=True)
    page: str | None = None
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = moment(nullable=True)


class CatchUpList(SQLModel, table=True):
    """How far one list of inbound texts was fetched from the provider.

    ``phone`` is the number of ours that the list is of; empty for the whole account's. Everything
    sent until ``fetched_until`` was looked for. A list that is longer than one sweep reads goes on
    at ``page`` and ends with ``reading_until``. After ``failures`` questions in a row without an
    answer none is asked before ``next_try_at``.
    """

    __tablename__: ClassVar[Any] = "catch_up_lists"
    phone: str = Field(primary_key=True)
    fetched_until: datetime = moment()
    reading_until: datetime | None = moment(nullable=True)
    page: str | None = None
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = moment(nullable=True)
