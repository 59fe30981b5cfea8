"""The tables of events, their endpoints and their deliveries."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Column, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from storage.tables.columns import json, moment, reference, serial


class EventEndpoint(SQLModel, table=True):
    """An address that is told events; ``types`` are the ones it wants, none for all.

    ``previous_secret`` signs beside ``secret`` until ``previous_secret_until``. Nothing is sent to
    it before ``rests_until``, as it asked. One that was removed is disabled as well, and stays
    until its deliveries are deleted.
    """

    __tablename__: ClassVar[Any] = "event_endpoints"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    url: str
    description: str = ""
    types: list[str] = json("[]")
    secret: str
    previous_secret: str | None = None
    previous_secret_until: datetime | None = moment(nullable=True)
    rests_until: datetime | None = moment(nullable=True)
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)
    disabled_at: datetime | None = moment(nullable=True)
    removed_at: datetime | None = moment(nullable=True)


class Event(SQLModel, table=True):
    """Something that happened, as it is told: codes and ids, no numbers, no names, no texts.

    ``subject_id`` is what it is about, an enrollment or a contact; events of one subject are told
    in their order.
    """

    __tablename__: ClassVar[Any] = "events"
    __table_args__ = (Index("ix_events_subject", "subject_id", "id"),)
    id: int | None = serial()
    event_id: UUID = Field(default_factory=uuid4, unique=True)
    type: str
    subject_id: UUID
    data: dict[str, Any] = json()
    occurred_at: datetime = moment(default_now=True)


class EventDelivery(SQLModel, table=True):
    """One event on its way to one endpoint, and how the latest try went.

    ``queued_at`` is when it was to be sent, or to be sent again, whatever the event's age.
    """

    __tablename__: ClassVar[Any] = "event_deliveries"
    __table_args__ = (
        Index("ix_event_deliveries_event", "event_id"),
        Index(
            "ix_event_deliveries_open",
            "endpoint_id",
            "next_try_at",
            postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        ),
        Index(
            "ix_event_deliveries_order",
            "endpoint_id",
            "subject_id",
            "event_id",
            postgresql_where=text("delivered_at IS NULL AND given_up_at IS NULL"),
        ),
    )
    endpoint_id: UUID = Field(
        foreign_key="event_endpoints.id", primary_key=True, ondelete="CASCADE"
    )
    event_id: int = Field(sa_column=Column(BigInteger, ForeignKey("events.id"), primary_key=True))
    subject_id: UUID
    queued_at: datetime = moment(default_now=True)
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime = moment(default_now=True)
    last_tried_at: datetime | None = moment(nullable=True)
    last_status: int | None = None
    last_error: str | None = None
    delivered_at: datetime | None = moment(nullable=True)
    given_up_at: datetime | None = moment(nullable=True)
