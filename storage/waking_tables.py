"""The table of what enrollments are still to be told."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from storage.columns import moment


class Wake(SQLModel, table=True):
    """A change that enrollments are told of page by page, written with the change.

    ``subject_id`` is the sender or sequence that changed, ``place`` how far the pages have come.
    """

    __tablename__: ClassVar[Any] = "wakes"
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    kind: str
    subject_id: UUID
    place: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    created_at: datetime = moment(default_now=True)
