"""The tables of the workspace, the audit log, rate limits, idempotency keys and the outbox."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, DateTime, ForeignKey, Index, SmallInteger, text
from sqlmodel import Field, SQLModel

from storage.tables.columns import json, moment, one_of, reference, serial


class AuditEntry(SQLModel, table=True):
    """Who did what to whom; never changed, never removed. ``detail`` holds codes and ids only."""

    __tablename__: ClassVar[Any] = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_user", "user_id", "id"),
        Index("ix_audit_log_subject", "subject_id", "id"),
        Index("ix_audit_log_action", "action", "id"),
        Index("ix_audit_log_at", "at", "id"),
    )
    id: int | None = serial()
    at: datetime = moment(default_now=True)
    user_id: UUID | None = reference("users.id", nullable=True)
    token_id: UUID | None = reference("api_tokens.id", nullable=True)
    action: str
    subject_kind: str | None = None
    subject_id: UUID | None = None
    detail: dict[str, Any] = json("{}")
    address: str | None = None


class RateCount(SQLModel, table=True):
    """How often something limited was done in one window of time, for all processes."""

    __tablename__: ClassVar[Any] = "rate_counts"
    __table_args__ = (CheckConstraint("count >= 0", name="count_not_negative"),)
    key: str = Field(primary_key=True)
    window_start: datetime = Field(sa_type=DateTime(timezone=True), primary_key=True)
    count: int


class IdempotencyKey(SQLModel, table=True):
    """The stored answer to a request that carried an ``Idempotency-Key``."""

    __tablename__: ClassVar[Any] = "idempotency_keys"
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), primary_key=True))
    key: str = Field(primary_key=True)
    route: str
    request_hash: str
    status_code: int | None = None
    answer: dict[str, Any] | None = json(nullable=True)
    created_at: datetime = moment(default_now=True)


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
    id: int | None = serial()
    kind: str
    subject_id: UUID
    payload: dict[str, Any] = json("{}")
    priority: int = Field(
        default=2, sa_column=Column(SmallInteger, nullable=False, server_default="2")
    )
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime = moment(default_now=True)
    created_at: datetime = moment(default_now=True)
    traceparent: str | None = None
    parked_at: datetime | None = moment(nullable=True)
    parked_reason: str | None = None


class Workspace(SQLModel, table=True):
    """What holds for everyone; one row.

    ``moving_from`` is the zone that steps which wait may still go by, until all have moved.
    ``rule_packs`` are those that bind; null for all. ``require_consent`` is the consent that texts
    take, by the purpose of their sequence (``ConsentNeeded``); left out, none. ``texts_per_day`` is
    the most that one person gets in 24 hours; null for no limit. ``erasure_key`` keys the hashes of
    erased numbers.
    """

    __tablename__: ClassVar[Any] = "workspace"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("hour_cycle IN (12, 24)", name="hour_cycle_known"),
        CheckConstraint("texts_per_day > 0", name="some_texts_per_day"),
    )
    id: int = Field(default=1, primary_key=True)
    time_zone: str | None = None
    moving_from: str | None = None
    hour_cycle: int = Field(default=12, sa_column_kwargs={"server_default": "12"})
    rule_packs: list[str] | None = json(nullable=True)
    require_consent: dict[str, str] = json("{}")
    texts_per_day: int | None = None
    erasure_key: str = Field(
        sa_column_kwargs={"server_default": text("gen_random_uuid()::text || gen_random_uuid()")}
    )
