"""Queries of work in the background: jobs, their rows, and what came of each."""

import json
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Select, Uuid, bindparam, func, insert, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind, JobState
from storage.platform.database import Transaction
from storage.tables.access import User
from storage.tables.contacts import Contact, GroupMember
from storage.tables.enrollments import Enrollment
from storage.tables.jobs import Job, JobRow

_IMPORTED = ("created", "exists", "unchanged")
_IDS = bindparam("ids", type_=ARRAY(Uuid()))


class JobRecord(NamedTuple):
    """A job and the name of whoever asked for it."""

    job: Job
    user_name: str


class OpenRow(NamedTuple):
    """A row that waits for its result."""

    position: int
    subject_id: UUID | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of a row.

    Attributes:
        position: Which row.
        code: The result.
        detail: What else there is to say, in codes and ids; it takes the place of what was there.
        subject_id: Whom it came to be about; None to leave that as it is.
    """

    position: int
    code: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    subject_id: UUID | None = None


class ResultRow(NamedTuple):
    """A row as it is listed; ``code`` is None until it has its result."""

    position: int
    subject_id: UUID | None
    code: str | None
    detail: Mapping[str, Any]


async def create(
    tx: Transaction,
    kind: JobKind,
    user_id: UUID,
    params: Mapping[str, Any],
    *,
    state: JobState = JobState.QUEUED,
) -> UUID:
    """Write a job without rows."""
    row = await tx.execute(
        insert(Job)
        .values(kind=kind, user_id=user_id, params=dict(params), state=state, total=0, done=0)
        .returning(col(Job.id))
    )
    return row.scalar_one()


async def add_subjects(tx: Transaction, job_id: UUID, subject_ids: Many[UUID]) -> None:
    """Write a row for each of these, in this order, and count them."""
    await tx.execute(
        text(
            """
            INSERT INTO job_rows (job_id, position, subject_id)
            SELECT :job_id, one.position, one.id
            FROM unnest(:ids) WITH ORDINALITY AS one(id, position)
            """
        ).bindparams(_IDS),
        {"job_id": job_id, "ids": list(subject_ids)},
    )
    await _count(tx, job_id)


async def add_selected(tx: Transaction, job_id: UUID, ids: Select[UUID]) -> None:
    """Write a row for each id that a query finds, in the query's order, and count them."""
    found = ids.subquery()
    rows = select(
        literal(job_id, Uuid()), func.row_number().over().cast(Integer), found.c.id
    )  # row_number() without an order of its own counts them as they come
    await tx.execute(
        insert(JobRow).from_select(
            ["job_id", "position", "subject_id"], rows, include_defaults=False
        )
    )
    await _count(tx, job_id)


def members_of(group_id: UUID) -> Select[UUID]:
    """Query a group's members by name."""
    return (
        select(col(Contact.id))
        .join(GroupMember, col(GroupMember.contact_id) == col(Contact.id))
        .where(col(GroupMember.group_id) == group_id)
        .order_by(col(Contact.search_name), col(Contact.id))
    )


def imported_by(job_id: UUID) -> Select[UUID]:
    """Query the contacts that an import named, new ones and others, in the file's order."""
    first = func.min(col(JobRow.position))
    return (
        select(col(Contact.id))
        .join(JobRow, col(JobRow.subject_id) == col(Contact.id))
        .where(col(JobRow.job_id) == job_id, col(JobRow.code).in_(_IMPORTED))
        .group_by(col(Contact.id))
        .order_by(first)
    )


async def _count(tx: Transaction, job_id: UUID) -> None:
    await tx.execute(
        text(
            "UPDATE jobs SET total = (SELECT count(*) FROM job_rows WHERE job_id = :id)"
            " WHERE id = :id"
        ),
        {"id": job_id},
    )


async def get(tx: Transaction, job_id: UUID, *, lock: bool = False) -> JobRecord | None:
    """One job; with ``lock``, kept from changing until the transaction ends."""
    query = _jobs().where(col(Job.id) == job_id)
    if lock:
        query = query.with_for_update(of=Job)
    row = (await tx.execute(query.execution_options(populate_existing=True))).one_or_none()
    return None if row is None else JobRecord(*row)


async def find(
    tx: Transaction,
    *,
    user_id: UUID | None,
    states: Many[JobState],
    after: Position | None,
    limit: int,
) -> list[JobRecord]:
    """List jobs, the newest first.

    Args:
        tx: The transaction.
        user_id: Whose; None for everyone's.
        states: In any of these; empty for all.
        after: Where the page begins.
        limit: Most jobs to answer.
    """
    query = _jobs().order_by(col(Job.created_at).desc(), col(Job.id).desc()).limit(limit)
    if user_id is not None:
        query = query.where(col(Job.user_id) == user_id)
    if states:
        query = query.where(col(Job.state).in_(states))
    if after is not None:
        place = tuple_(col(Job.created_at), col(Job.id))
        query = query.where(place < tuple_(literal(after.value), literal(after.id)))
    return [JobRecord(*row) for row in await tx.execute(query)]


def _jobs() -> Select[Job, str]:
    return select(Job, col(User.name)).join(User, col(User.id) == col(Job.user_id))


async def counts(tx: Transaction, job_id: UUID) -> dict[str, int]:
    """Count a job's rows by result."""
    rows = await tx.execute(
        select(col(JobRow.code), func.count())
        .where(col(JobRow.job_id) == job_id, col(JobRow.code).is_not(None))
        .group_by(col(JobRow.code))
        .order_by(col(JobRow.code))
    )
    return {code: count for code, count in rows if code is not None}


async def enrolled_by_status(tx: Transaction, job_id: UUID) -> dict[EnrollmentStatus, int]:
    """Count those whom a job enrolled by the status they were born with."""
    rows = await tx.execute(
        text(
            "SELECT detail->>'status' AS status, count(*) AS count FROM job_rows"
            " WHERE job_id = :id AND code = 'enrolled' GROUP BY 1"
        ),
        {"id": job_id},
    )
    return {EnrollmentStatus(status): count for status, count in rows}


async def names_of(tx: Transaction, subject_ids: Many[UUID]) -> dict[UUID, str]:
    """Name contacts by their own id or by an enrollment's; the number where there is no name."""
    by_contact = select(col(Contact.id), Contact).where(col(Contact.id).in_(subject_ids))
    by_enrollment = (
        select(col(Enrollment.id), Contact)
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .where(col(Enrollment.id).in_(subject_ids))
    )
    found = [*await tx.execute(by_contact), *await tx.execute(by_enrollment)]
    return {
        subject_id: f"{contact.first_name} {contact.last_name}".strip() or contact.phone
        for subject_id, contact in found
    }


async def results(
    tx: Transaction, job_id: UUID, *, codes: Many[str], after: int, limit: int
) -> list[ResultRow]:
    """List a job's rows by position; the detail of one without a result is not shown."""
    query = (
        select(col(JobRow.position), col(JobRow.subject_id), col(JobRow.code), col(JobRow.detail))
        .where(col(JobRow.job_id) == job_id, col(JobRow.position) > after)
        .order_by(col(JobRow.position))
        .limit(limit)
    )
    if codes:
        query = query.where(col(JobRow.code).in_(codes))
    return [
        ResultRow(position, subject_id, code, detail if code is not None else {})
        for position, subject_id, code, detail in await tx.execute(query)
    ]


async def begin(tx: Transaction, job_id: UUID) -> JobRecord | None:
    """Note that a job is being worked on; answers it as it is now."""
    await tx.execute(
        text(
            "UPDATE jobs SET state = 'running', started_at = now()"
            " WHERE id = :id AND state = 'queued'"
        ),
        {"id": job_id},
    )
    return await get(tx, job_id)


async def take(tx: Transaction, job_id: UUID, limit: int) -> list[OpenRow]:
    """Lock the first rows without a result that nobody else is working on.

    They stay locked until the transaction ends, so a worker that dies gives them back. A job that
    is to stop gives none.
    """
    rows = await tx.execute(
        text(
            """
            SELECT r.position, r.subject_id, r.detail FROM job_rows r
            WHERE r.job_id = :id AND r.code IS NULL AND EXISTS (
                SELECT 1 FROM jobs j WHERE j.id = :id AND j.state = 'running'
            )
            ORDER BY r.position LIMIT :limit FOR UPDATE OF r SKIP LOCKED
            """
        ),
        {"id": job_id, "limit": limit},
    )
    return [OpenRow(row.position, row.subject_id, row.detail) for row in rows]


async def settle(tx: Transaction, job_id: UUID, outcomes: Many[Outcome]) -> None:
    """Write the results of rows that were taken in this transaction."""
    await change(tx, job_id, outcomes)
    await tx.execute(
        text("UPDATE jobs SET done = done + :count WHERE id = :id"),
        {"id": job_id, "count": len(outcomes)},
    )


async def change(tx: Transaction, job_id: UUID, outcomes: Many[Outcome]) -> None:
    """Write the results of locked rows without counting them."""
    await tx.execute(
        text(
            """
            UPDATE job_rows SET code = come.code, detail = come.detail,
                subject_id = coalesce(come.subject_id, job_rows.subject_id)
            FROM json_to_recordset(CAST(:outcomes AS json))
                AS come(position integer, code text, detail jsonb, subject_id uuid)
            WHERE job_rows.job_id = :id AND job_rows.position = come.position
            """
        ),
        {
            "id": job_id,
            "outcomes": json.dumps(
                [
                    {
                        "position": one.position,
                        "code": one.code,
                        "detail": dict(one.detail),
                        "subject_id": one.subject_id and str(one.subject_id),
                    }
                    for one in outcomes
                ]
            ),
        },
    )


async def note_error(tx: Transaction, job_id: UUID, code: str) -> None:
    """Keep the first thing that stood in the way of a job's rows."""
    await tx.execute(
        text("UPDATE jobs SET error = coalesce(error, :code) WHERE id = :id"),
        {"id": job_id, "code": code},
    )


UNSETTLED = "jsonb_exists(detail, 'attempts')"
"""SQL: a row was finished while a text of it was under way, whose fate is not known yet."""


async def unsettled(tx: Transaction, job_id: UUID, limit: int) -> list[ResultRow]:
    """Lock rows whose last text's fate is still to be told."""
    rows = await tx.execute(
        text(
            f"""
            SELECT position, subject_id, code, detail FROM job_rows
            WHERE job_id = :id AND code = 'finished' AND {UNSETTLED}
            ORDER BY position LIMIT :limit FOR UPDATE SKIP LOCKED
            """  # noqa: S608 - built from constants
        ),
        {"id": job_id, "limit": limit},
    )
    return [ResultRow(*row) for row in rows]


async def set_state(tx: Transaction, job_id: UUID, state: JobState) -> None:
    """Set a job's state while its row is locked."""
    await tx.execute(
        text(
            """
            UPDATE jobs SET state = :state,
                params = CASE WHEN :final THEN params - 'salt' ELSE params END,
                ended_at = CASE WHEN :final THEN now() ELSE ended_at END
            WHERE id = :id
            """
        ),
        {"id": job_id, "state": state.value, "final": state.is_final},
    )


async def give_up_open(tx: Transaction, job_id: UUID, code: str, *, waiting: bool = False) -> None:
    """Give every row that nobody is working on a result without doing anything.

    With ``waiting``, wait for whoever works on the others; the job's own row must not be locked.
    """
    locked = "FOR UPDATE" if waiting else "FOR UPDATE SKIP LOCKED"
    given = await tx.execute(
        text(
            f"""
            WITH open AS (
                SELECT position FROM job_rows WHERE job_id = :id AND code IS NULL
                ORDER BY position {locked}
            )
            UPDATE job_rows SET code = :code, detail = '{{}}' FROM open
            WHERE job_id = :id AND job_rows.position = open.position
            RETURNING job_rows.position
            """  # noqa: S608 - two constants
        ),
        {"id": job_id, "code": code},
    )
    await tx.execute(
        text("UPDATE jobs SET done = done + :count WHERE id = :id"),
        {"id": job_id, "count": len(given.all())},
    )


async def close(tx: Transaction, job_id: UUID) -> bool:
    """End a job all of whose rows have their result; what only its work needed is forgotten.

    Returns:
        Whether it ended now, and with everything done.
    """
    ended = await tx.execute(
        text(
            f"""
            UPDATE jobs SET ended_at = now(), params = params - 'salt',
                state = CASE WHEN state = 'canceling' THEN 'canceled' ELSE 'done' END
            WHERE id = :id AND state IN ('queued', 'running', 'canceling') AND done >= total
            AND NOT EXISTS (
                SELECT 1 FROM job_rows
                WHERE job_id = :id AND code = 'finished' AND {UNSETTLED}
            )
            RETURNING state
            """  # noqa: S608 - built from constants
        ),
        {"id": job_id},
    )
    return ended.scalar_one_or_none() == JobState.DONE


async def lost(tx: Transaction, age: timedelta, limit: int) -> list[UUID]:
    """Some jobs that began this long ago and have not ended."""
    rows = await tx.execute(
        text(
            """
            SELECT id FROM jobs WHERE state IN ('queued', 'running', 'canceling')
            AND coalesce(started_at, created_at) < now() - :age
            ORDER BY random() LIMIT :limit
            """
        ),
        {"age": age, "limit": limit},
    )
    return [row.id for row in rows]


# Rows that are uploaded


async def receive(
    tx: Transaction, job_id: UUID, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> bool:
    """Write uploaded rows; False if the upload was given up meanwhile."""
    given = list(rows)
    going_on = await tx.execute(
        text(
            "UPDATE jobs SET total = total + :count, started_at = clock_timestamp()"
            " WHERE id = :id AND state = 'receiving' RETURNING id"
        ),
        {"id": job_id, "count": len(given)},
    )
    if going_on.first() is None:
        return False
    await tx.execute(
        text(
            """
            INSERT INTO job_rows (job_id, position, detail)
            SELECT :id, CAST(one->>0 AS integer), CAST(one->1 AS jsonb)
            FROM json_array_elements(CAST(:rows AS json)) AS one
            """
        ),
        {"id": job_id, "rows": json.dumps([(position, dict(row)) for position, row in given])},
    )
    return True


async def note_params(tx: Transaction, job_id: UUID, params: Mapping[str, Any]) -> None:
    """Add to what a job is about."""
    await tx.execute(
        text("UPDATE jobs SET params = params || CAST(:params AS jsonb) WHERE id = :id"),
        {"id": job_id, "params": json.dumps(dict(params))},
    )


async def received(tx: Transaction, job_id: UUID) -> bool:
    """Have an uploaded job wait for its work; False if the upload was given up meanwhile."""
    row = await tx.execute(
        text(
            """
            UPDATE jobs SET state = 'queued', started_at = NULL
            WHERE id = :id AND state = 'receiving' RETURNING id
            """
        ),
        {"id": job_id},
    )
    return row.first() is not None


async def discard_upload(tx: Transaction, job_id: UUID) -> None:
    """Remove a job whose rows did not all come, and the rows that did."""
    await tx.execute(
        text("DELETE FROM jobs WHERE id = :id AND state = 'receiving'"), {"id": job_id}
    )


async def forget(tx: Transaction, age: timedelta, limit: int) -> int:
    """Remove some jobs that ended this long ago, the oldest first, with their rows; how many."""
    gone = await tx.execute(
        text(
            """
            DELETE FROM jobs WHERE id IN (
                SELECT id FROM jobs WHERE ended_at < now() - CAST(:age AS interval)
                ORDER BY ended_at LIMIT :limit
            )
            RETURNING id
            """
        ),
        {"age": age, "limit": limit},
    )
    return len(gone.all())


async def discard_abandoned(tx: Transaction, age: timedelta) -> int:
    """Remove jobs of which no row has come for so long."""
    gone = await tx.execute(
        text(
            """
            DELETE FROM jobs WHERE state = 'receiving'
            AND coalesce(started_at, created_at) < now() - CAST(:age AS interval) RETURNING id
            """
        ),
        {"age": age},
    )
    return len(gone.all())
