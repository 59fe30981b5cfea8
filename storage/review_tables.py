"""The table of texts for a person to decide about."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from domain.statuses import ReviewDecision
from storage.columns import code, moment, one_of, reference


class Review(SQLModel, table=True):
    """An inbound text that may ask for no more texts, for a person to decide about, once."""

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
            "ix_reviews_open",
            "created_at",
            "message_id",
            postgresql_where=text("decision IS NULL"),
        ),
    )
    message_id: UUID = Field(foreign_key="messages.id", primary_key=True)
    created_at: datetime = moment(default_now=True)
    decision: ReviewDecision | None = Field(default=None, sa_type=code(ReviewDecision))
    decided_at: datetime | None = moment(nullable=True)
    decided_by: UUID | None = reference("users.id", nullable=True)
