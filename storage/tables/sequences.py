"""The tables of sequences, their versions and steps."""

from datetime import datetime, time
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from domain.statuses.sequences import (
    CountsAsReply,
    LatePolicy,
    Purpose,
    ReplyPolicy,
    SequenceKind,
    SequenceState,
)
from storage.tables.columns import code, json, moment, one_of, reference


class Sequence(SQLModel, table=True):
    """A sequence; everything but its steps, which live in versions."""

    __tablename__: ClassVar[Any] = "sequences"
    __table_args__ = (
        one_of("kind", SequenceKind),
        one_of("on_reply", ReplyPolicy),
        one_of("counts_as_reply", CountsAsReply),
        one_of("purpose", Purpose),
        one_of("state", SequenceState),
        CheckConstraint("reply_window_seconds >= 0", name="reply_window_not_negative"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    sender_id: UUID = reference("senders.id", index=True)
    kind: SequenceKind = Field(sa_type=code(SequenceKind))
    on_reply: ReplyPolicy = Field(default=ReplyPolicy.FINISH, sa_type=code(ReplyPolicy))
    counts_as_reply: CountsAsReply = Field(
        default=CountsAsReply.HUMAN,
        sa_type=code(CountsAsReply),
        sa_column_kwargs={"server_default": "human"},
    )
    purpose: Purpose = Field(
        default=Purpose.INFORMATIONAL,
        sa_type=code(Purpose),
        sa_column_kwargs={"server_default": "informational"},
    )
    reply_window_seconds: int = Field(default=604_800)
    send_window: dict[str, list[str]] | None = json(nullable=True)
    state: SequenceState = Field(default=SequenceState.DRAFT, sa_type=code(SequenceState))
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class SequenceVersion(SQLModel, table=True):
    """An immutable edition of a sequence's steps; the highest number is the current one."""

    __tablename__: ClassVar[Any] = "sequence_versions"
    __table_args__ = (UniqueConstraint("sequence_id", "number"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    sequence_id: UUID = reference("sequences.id")
    number: int
    step_count: int
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)


class Step(SQLModel, table=True):
    """One text of a version: ``delay_seconds`` (and ``at_time``), or ``send_at`` in local time.

    Or by ``anchor_key``: so long after a date, a contact's field or a variable, or before it.
    ``late_hours`` is how long after its time one that expires may still go.
    """

    __tablename__: ClassVar[Any] = "steps"
    __table_args__ = (
        CheckConstraint("position >= 1", name="position_from_one"),
        CheckConstraint(
            "num_nonnulls(delay_seconds, send_at, anchor_key) = 1", name="delay_or_date"
        ),
        CheckConstraint("at_time IS NULL OR send_at IS NULL", name="time_needs_delay"),
        CheckConstraint(
            "(anchor_key IS NULL) = (anchor_offset_seconds IS NULL)", name="anchor_has_offset"
        ),
        one_of("late", LatePolicy),
        CheckConstraint("(late = 'expire') = (late_hours IS NOT NULL)", name="expires_after_hours"),
        Index(
            "ix_steps_media",
            "media_urls",
            postgresql_using="gin",
            postgresql_ops={"media_urls": "jsonb_path_ops"},
            postgresql_where=text("media_urls <> '[]'"),
        ),
    )
    version_id: UUID = Field(foreign_key="sequence_versions.id", primary_key=True)
    position: int = Field(primary_key=True)
    body: str
    media_urls: list[str] = json("[]")
    delay_seconds: int | None = None
    at_time: time | None = None
    send_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=False))
    segments: int
    anchor_key: str | None = None
    anchor_offset_seconds: int | None = None
    late: LatePolicy = Field(
        default=LatePolicy.SEND,
        sa_type=code(LatePolicy),
        sa_column_kwargs={"server_default": "send"},
    )
    late_hours: int | None = None


class SequenceDraft(SQLModel, table=True):
    """Steps that a user is writing and has not saved, as the form has them; one for each user.

    ``version`` is the number of the version that they began with.
    """

    __tablename__: ClassVar[Any] = "sequence_drafts"
    sequence_id: UUID = Field(foreign_key="sequences.id", primary_key=True, ondelete="CASCADE")
    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    version: int
    content: dict[str, Any] = json()
    saved_at: datetime = moment(default_now=True)


class SequenceTemplate(SQLModel, table=True):
    """Settings and steps that new sequences begin with; those that ship are data in the code."""

    __tablename__: ClassVar[Any] = "sequence_templates"
    __table_args__ = (
        one_of("kind", SequenceKind),
        Index("uq_sequence_templates_name", text("lower(name)"), unique=True),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    description: str = Field(default="", sa_column_kwargs={"server_default": ""})
    kind: SequenceKind = Field(sa_type=code(SequenceKind))
    content: dict[str, Any] = json()
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)
