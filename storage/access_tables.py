"""The tables of who may do what, who asked for what, and who did what."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from storage.columns import moment, reference


class SignIn(SQLModel, table=True):
    """A session of someone at a browser; only the SHA-256 of its token is kept.

    ``address`` and ``user_agent`` are of the sign-in, for people to recognize their sessions.
    """

    __tablename__: ClassVar[Any] = "sessions"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = reference("users.id", index=True)
    token_hash: str = Field(unique=True)
    created_at: datetime = moment(default_now=True)
    last_seen_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)
    address: str | None = None
    user_agent: str | None = None


class SetUpLink(SQLModel, table=True):
    """A link on which a user gives themselves a password, once; only its token's SHA-256 is kept.

    A user has one at most: making another replaces it, using it removes it.
    """

    __tablename__: ClassVar[Any] = "set_up_links"
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), primary_key=True))
    token_hash: str = Field(unique=True)
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()


class AuditEntry(SQLModel, table=True):
    """Who did what to whom; never changed, never removed. ``detail`` holds codes and ids only."""

    __tablename__: ClassVar[Any] = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_user", "user_id", "id"),
        Index("ix_audit_log_subject", "subject_id", "id"),
        Index("ix_audit_log_action", "action", "id"),
        Index("ix_audit_log_at", "at", "id"),
    )
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    at: datetime = moment(default_now=True)
    user_id: UUID | None = reference("users.id", nullable=True)
    token_id: UUID | None = reference("api_tokens.id", nullable=True)
    action: str
    subject_kind: str | None = None
    subject_id: UUID | None = None
    detail: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default="{}")
    )
    address: str | None = None


class RateCount(SQLModel, table=True):
    """How often something limited was done in one window of time, for all processes."""

    __tablename__: ClassVar[Any] = "rate_counts"
    __table_args__ = (CheckConstraint("count >= 0", name="count_not_negative"),)
    key: str = Field(primary_key=True)
    window_start: datetime = Field(sa_type=DateTime(timezone=True), primary_key=True)
    count: int


class WrongTries(SQLModel, table=True):
    """How often something was tried in vain in one span of time, for all processes."""

    __tablename__: ClassVar[Any] = "wrong_tries"
    __table_args__ = (CheckConstraint("wrong >= 0", name="wrong_not_negative"),)
    key: str = Field(primary_key=True)
    wrong: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime | None = moment(nullable=True)
    since: datetime = moment(default_now=True)


class IdempotencyKey(SQLModel, table=True):
    """The stored answer to a request that carried an ``Idempotency-Key``."""

    __tablename__: ClassVar[Any] = "idempotency_keys"
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), primary_key=True))
    key: str = Field(primary_key=True)
    route: str
    request_hash: str
    status_code: int | None = None
    answer: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    created_at: datetime = moment(default_now=True)
