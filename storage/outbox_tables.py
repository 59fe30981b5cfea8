"""What Temporal must be told."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from storage.columns import moment, one_of


class ParkedReason(StrEnum):
    """Why an outbox entry is not tried again by itself."""

    UNKNOWN_KIND = "unknown_kind"  # no kind of this build; one that knows it takes it
    REFUSED = "refused"  # Temporal refuses it, and would again
    BROKEN = "broken"  # handing it over fails in our own code


class OutboxEntry(SQLModel, table=True):
    """Something Temporal must be told, written with the fact that causes it.

    ``subject_id`` is what it is about; entries of one subject keep their order. Between subjects a
    lower ``priority`` goes first. A parked entry waits for a person and holds up no other.
    """

    __tablename__: ClassVar[Any] = "outbox"
    __table_args__ = (
        one_of("parked_reason", ParkedReason),
        CheckConstraint("(parked_at IS NULL) = (parked_reason IS NULL)", name="parked_has_reason"),
        Index("ix_outbox_due", "priority", "id", postgresql_where=text("parked_at IS NULL")),
        Index("ix_outbox_parked", "kind", postgresql_where=text("parked_at IS NOT NULL")),
        Index("ix_outbox_subject", "subject_id", "id"),
        Index(
            "ix_outbox_wakes",
            "subject_id",
            text("(payload ->> 'by')"),
            postgresql_where=text("kind = 'wake_events'"),
        ),
    )
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    kind: str
    subject_id: UUID
    payload: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default="{}")
    )
    priority: int = Field(
        default=2, sa_column=Column(SmallInteger, nullable=False, server_default="2")
    )
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime = moment(default_now=True)
    created_at: datetime = moment(default_now=True)
    traceparent: str | None = None
    parked_at: datetime | None = moment(nullable=True)
    parked_reason: str | None = None
