"""The tables of suppressed numbers, of reviews and of texts that a second reader is to read."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from domain.statuses.suppression import OptOutSource, ReviewDecision
from storage.tables.columns import code, moment, one_of, reference


class Review(SQLModel, table=True):
    """An inbound text that may ask for no more texts, for a person to decide about, once.

    ``reason`` is what a second reader said of it.
    """

    __tablename__: ClassVar[Any] = "reviews"
    __table_args__ = (
        one_of("decision", ReviewDecision),
        CheckConstraint(
            "(decision IS NULL) = (decided_at IS NULL)"
            " AND (decision IS NULL) = (decided_by IS NULL)",
            name="decided_by_somebody",
        ),
        Index("ix_reviews_list", "created_at", "message_id"),
        Index(
            "ix_reviews_open", "created_at", "message_id", postgresql_where=text("decision IS NULL")
        ),
    )
    message_id: UUID = Field(foreign_key="messages.id", primary_key=True)
    created_at: datetime = moment(default_now=True)
    reason: str | None = None
    decision: ReviewDecision | None = Field(default=None, sa_type=code(ReviewDecision))
    decided_at: datetime | None = moment(nullable=True)
    decided_by: UUID | None = reference("users.id", nullable=True)


class SecondReading(SQLModel, table=True):
    """An inbound text that a second reader is still to be asked about; ``tries`` is how often."""

    __tablename__: ClassVar[Any] = "second_readings"
    __table_args__ = (Index("ix_second_readings_due", "next_try_at"),)
    message_id: UUID = Field(foreign_key="messages.id", primary_key=True)
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime = moment(default_now=True)


class Suppression(SQLModel, table=True):
    """An opted-out number with its evidence; ``sender_id`` narrows it to one sender.

    ``occurred_at`` is the provider's time of the fact. A lifted one stays as evidence. Of an erased
    contact's number only ``phone_hash`` is left, its HMAC-SHA-256 under the workspace's key.
    ``asked``: the person, or the provider for them, said so, whatever was done by hand besides.
    """

    __tablename__: ClassVar[Any] = "suppressions"
    __table_args__ = (
        one_of("source", OptOutSource),
        CheckConstraint("(phone IS NULL) <> (phone_hash IS NULL)", name="phone_or_hash"),
        Index("ix_suppressions_phone_hash", "phone_hash"),
        Index("ix_suppressions_phone", "phone", "occurred_at"),
        Index(
            "uq_suppressions_standing",
            "phone",
            "sender_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("lifted_at IS NULL AND phone IS NOT NULL"),
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    phone: str | None = None
    phone_hash: str | None = None
    asked: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    sender_id: UUID | None = reference("senders.id", nullable=True)
    source: OptOutSource = Field(sa_type=code(OptOutSource))
    reason: str | None = None
    message_id: UUID | None = reference("messages.id", nullable=True)
    attempt_id: UUID | None = reference("attempts.id", nullable=True)
    user_id: UUID | None = reference("users.id", nullable=True)
    occurred_at: datetime = moment()
    created_at: datetime = moment(default_now=True)
    lifted_at: datetime | None = moment(nullable=True)
    lifted_by: UUID | None = reference("users.id", nullable=True)
    lifted_reason: str | None = None
    lifted_message_id: UUID | None = reference("messages.id", nullable=True)
