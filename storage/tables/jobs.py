"""The tables of jobs and their rows."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from domain.statuses.jobs import JobKind, JobState
from storage.tables.columns import code, json, moment, one_of, reference


class Job(SQLModel, table=True):
    """Work on many rows, with progress: an import, an enrollment, a batch action.

    ``params`` says what to do and to whom, in codes and ids. ``total`` is how many rows it has,
    ``done`` how many have their result.
    """

    __tablename__: ClassVar[Any] = "jobs"
    __table_args__ = (
        one_of("kind", JobKind),
        one_of("state", JobState),
        Index("ix_jobs_list", "created_at", "id"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    kind: JobKind = Field(sa_type=code(JobKind))
    state: JobState = Field(default=JobState.QUEUED, sa_type=code(JobState))
    user_id: UUID = reference("users.id", index=True)
    params: dict[str, Any] = json("{}")
    total: int = 0
    done: int = 0
    error: str | None = None
    created_at: datetime = moment(default_now=True)
    started_at: datetime | None = moment(nullable=True)
    ended_at: datetime | None = moment(nullable=True)


class JobRow(SQLModel, table=True):
    """One row of a job, and what came of it.

    The result is written in the transaction that acts, so each row is acted on exactly once.
    ``subject_id`` is a contact or an enrollment, ``detail`` what else the result says.
    """

    __tablename__: ClassVar[Any] = "job_rows"
    __table_args__ = (
        Index("ix_job_rows_open", "job_id", "position", postgresql_where=text("code IS NULL")),
        Index("ix_job_rows_code", "job_id", "code", "position"),
        Index("ix_job_rows_subject", "job_id", "subject_id"),
    )
    job_id: UUID = Field(foreign_key="jobs.id", primary_key=True, ondelete="CASCADE")
    position: int = Field(primary_key=True)
    subject_id: UUID | None = None
    code: str | None = None
    detail: dict[str, Any] = json("{}")
