"""The tables of enrollments, their events and the wake-ups they are owed."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason, PauseReason
from storage.tables.columns import code, computed, json, moment, one_of, reference, serial


class Enrollment(SQLModel, table=True):
    """One contact in one sequence version: the row that decides.

    ``position`` is the step to send next (``step_count + 1`` once all went out), ``step`` the step
    last sent (0: none). ``due_at`` is when the step at ``position`` may go as far as its own timing
    says; ``next_send_at`` is that moment moved into the send window, null when nothing is to be
    sent or the enrollment waits for a person. ``reply_until`` is the end of the reply window, null
    before the last text is accepted. ``probing``: it may try a sender that is on hold, once.
    ``paused_at`` is since when this enrollment alone is paused; what was left of its delay then is
    left when it goes on. ``paused_reason`` counts only while it is paused: the release before does
    not clear it; null for a person. ``replied_late_at`` is when the contact first replied to one
    that ended without a response. ``variables`` are what texts say besides the contact's fields, by
    name; ``missing_fields`` the names whose lack holds it, and count only while it is held for
    them. ``blocked``: it waits for a person, its sequence or its sender. ``waits_for``: the codes,
    with blanks between them, of what postponed ``next_send_at``; counts only while it waits.
    ``skipped``: the steps that were not sent because their time was past.
    """

    __tablename__: ClassVar[Any] = "enrollments"
    __table_args__ = (
        one_of("status", EnrollmentStatus),
        one_of("activity", EnrollmentPhase),
        one_of("held_reason", HeldReason),
        one_of("paused_reason", PauseReason),
        CheckConstraint("(status = 'active') = (ended_at IS NULL)", name="final_has_an_end"),
        CheckConstraint("(status = 'active') = (activity IS NOT NULL)", name="active_does"),
        CheckConstraint("(activity = 'held') = (held_reason IS NOT NULL)", name="held_has_reason"),
        CheckConstraint("step >= 0 AND position >= 1 AND pass >= 1", name="place"),
        CheckConstraint("paused_at IS NULL OR status = 'active'", name="paused_is_active"),
        Index(
            "uq_enrollments_active",
            "contact_id",
            "sequence_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index("ix_enrollments_list", "sequence_id", "enrolled_at", "id"),
        Index("ix_enrollments_user", "sequence_id", "enrolled_by", "enrolled_at", "id"),
        Index("ix_enrollments_next_send", "sequence_id", "next_send_at", "id"),
        Index("ix_enrollments_last_message", "sequence_id", "last_message_at", "id"),
        Index("ix_enrollments_cell", "sequence_id", "status", "step", "enrolled_at", "id"),
        Index("ix_enrollments_contact", "contact_id", "status"),
        Index(
            "ix_enrollments_next_event",
            text("coalesce(next_send_at, reply_until)"),
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "ix_enrollments_replied_late",
            "sequence_id",
            "enrolled_at",
            "id",
            postgresql_where=text("replied_late_at IS NOT NULL"),
        ),
        Index("ix_enrollments_blocked", "sequence_id", "id", postgresql_where=text("blocked")),
        Index(
            "ix_enrollments_waits_for",
            "sequence_id",
            "enrolled_at",
            "id",
            postgresql_where=text("waits_for <> ''"),
        ),
        Index(
            "ix_enrollments_missing_data",
            "contact_id",
            postgresql_where=text("held_reason = 'missing_data'"),
        ),
        # Without the active ones, whose rows every text writes.
        Index(
            "ix_enrollments_ended",
            "status",
            "enrolled_at",
            "id",
            postgresql_where=text("status <> 'active'"),
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    sequence_id: UUID = reference("sequences.id")
    version_id: UUID = reference("sequence_versions.id", index=True)
    contact_id: UUID = reference("contacts.id")
    enrolled_by: UUID = reference("users.id")
    enrolled_at: datetime = moment()
    status: EnrollmentStatus = Field(
        default=EnrollmentStatus.ACTIVE, sa_type=code(EnrollmentStatus)
    )
    # The phase; no Temporal activity is meant. The API has the column's name.
    activity: EnrollmentPhase | None = Field(
        default=EnrollmentPhase.WAITING, sa_type=code(EnrollmentPhase)
    )
    held_reason: HeldReason | None = Field(default=None, sa_type=code(HeldReason))
    held_code: int | None = None
    ended_at: datetime | None = moment(nullable=True)
    ended_by: UUID | None = reference("users.id", nullable=True)
    error_code: int | None = None
    replied_at: datetime | None = moment(nullable=True)
    replied_late_at: datetime | None = moment(nullable=True)
    position: int = 1
    step: int = 0
    step_count: int
    pass_number: int = Field(
        default=1, sa_column=Column("pass", Integer, nullable=False, server_default="1")
    )
    due_at: datetime | None = moment(nullable=True)
    next_send_at: datetime | None = moment(nullable=True)
    reply_until: datetime | None = moment(nullable=True)
    last_sent_at: datetime | None = moment(nullable=True)
    last_message_at: datetime | None = moment(nullable=True)
    paused_at: datetime | None = moment(nullable=True)
    paused_reason: PauseReason | None = Field(default=None, sa_type=code(PauseReason))
    variables: dict[str, Any] = json("{}")
    missing_fields: list[str] = json("[]")
    probing: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    waits_for: str = Field(default="", sa_column_kwargs={"server_default": ""})
    skipped: list[int] = json("[]")
    # What is in an index must not change whenever a text goes: PostgreSQL would write to them all.
    blocked: bool = computed("coalesce(activity IN ('paused', 'held'), false)")


class EnrollmentCount(SQLModel, table=True):
    """A part of how many enrollments of a sequence are in one state; all parts add up to it.

    Triggers on ``enrollments`` append a part for every change, so that no two transactions wait for
    each other, and the sweep folds them into one row for each state.
    """

    __tablename__: ClassVar[Any] = "enrollment_counts"
    __table_args__ = (
        Index("ix_enrollment_counts_sequence", "sequence_id"),
        Index(
            "uq_enrollment_counts_folded",
            "sequence_id",
            "status",
            "step",
            "held",
            unique=True,
            postgresql_where=text("folded"),
        ),
    )
    id: int | None = serial()
    # No foreign key: its check would lock the sequence's row at every change.
    sequence_id: UUID
    status: EnrollmentStatus = Field(sa_type=code(EnrollmentStatus))
    step: int
    held: bool
    change: int
    folded: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


class EnrollmentSearch(SQLModel, table=True):
    """What lists search and sort an enrollment by and what sending it texts never changes.

    Triggers on ``enrollments`` and ``contacts`` write it. It is a table of its own, because a text
    that goes out changes indexed columns of its enrollment, and PostgreSQL then writes to every
    index of that row: here it would be 40 trigrams for each text.
    """

    __tablename__: ClassVar[Any] = "enrollment_search"
    __table_args__ = (
        Index(
            "ix_enrollment_search_list",
            "sequence_id",
            "enrolled_at",
            "enrollment_id",
            postgresql_include=["search_name", "phone", "contact_id"],
        ),
        Index("ix_enrollment_search_enrolled", "enrolled_at", "enrollment_id"),
        Index(
            "ix_enrollment_search_name",
            "sequence_id",
            "search_name",
            "enrollment_id",
            postgresql_include=["phone", "contact_id"],
        ),
        Index(
            "ix_enrollment_search_contact",
            "contact_id",
            "sequence_id",
            postgresql_include=["enrollment_id"],
        ),
        Index(
            "ix_enrollment_search_trgm",
            "search_name",
            "phone",
            postgresql_using="gin",
            postgresql_ops={"search_name": "gin_trgm_ops", "phone": "gin_trgm_ops"},
            postgresql_with={"gin_pending_list_limit": "1024"},
        ),
    )
    enrollment_id: UUID = Field(primary_key=True)
    sequence_id: UUID
    contact_id: UUID
    enrolled_at: datetime = moment()
    search_name: str = Field(sa_type=Text)
    phone: str


class EnrollmentEvent(SQLModel, table=True):
    """Something in an enrollment's life that no other row tells; ``detail`` holds codes and ids."""

    __tablename__: ClassVar[Any] = "enrollment_events"
    __table_args__ = (Index("ix_enrollment_events_enrollment", "enrollment_id", "id"),)
    id: int | None = serial()
    enrollment_id: UUID = reference("enrollments.id")
    at: datetime = moment()
    kind: str
    user_id: UUID | None = reference("users.id", nullable=True)
    detail: dict[str, Any] = json("{}")


class Wake(SQLModel, table=True):
    """A change whose effects are worked off page by page, written with the change.

    ``subject_id`` is the sender, sequence, contact or field of contacts that changed, ``place`` how
    far the pages have come.
    """

    __tablename__: ClassVar[Any] = "wakes"
    id: int | None = serial()
    kind: str
    subject_id: UUID
    place: dict[str, Any] | None = json(nullable=True)
    created_at: datetime = moment(default_now=True)
