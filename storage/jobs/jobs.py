"""Queries of background jobs and their rows."""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Select, Uuid, func, insert, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col

from domain.contacts.names import full_name
from domain.platform.names import Named
from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind, JobState
from storage.enrollments.enrollments import LACKS_CONSENT
from storage.event_webhooks import events
from storage.platform.database import Transaction, as_json
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact, GroupMember
from storage.tables.jobs import Job, JobRow

_IMPORTED = ("created", "changed", "exists", "unchanged")

VARIABLES = "variables"
"""What a row that is to be enrolled, and the parameters of its import, hold until then: by key."""

IGNORED_COLUMNS = "ignored_columns"
"""The parameter that an upload gets once it is complete: the columns that are left out."""

MATCHING = "matching"
"""The parameter of a file whose columns a person matches: what is known of them until its end."""

OTHER_NAMES = "other_names"
"""The parameter of a file whose columns a person matched: what is done with rows whose number is
that of a contact with another name."""

OTHER_NAME = "other_name"
"""What a person chose for one such row; in a result, that it was one, and what was done."""

OPT_OUT_REASON = "opt_out_reason"
"""The parameter of opting many contacts out: why, in a person's words."""

_HIDDEN = ("salt", MATCHING, VARIABLES, OPT_OUT_REASON)
"""Parameters that are never shown, and dropped once the job has ended."""

CHECK_OF = "check_of"
"""The parameter of a check of a file that a person looks through: the file. Such a job belongs to
its page alone: it is not listed, nobody is told of its end, and the audit log does not name it."""

_WITHOUT_HIDDEN = " - ".join(("params", *(f"'{one}'" for one in _HIDDEN)))


@dataclass(frozen=True, kw_only=True)
class JobDetails:
    """A job.

    Attributes:
        total: Number of rows.
        done: Number of those that have their result.
        user_id: Who asked for it; the job acts for them.
        params: What to do, in codes and ids.
        error: The first error code that kept rows, or the job, from being done.
        counts: Rows by result, where asked for.
    """

    id: UUID
    kind: JobKind
    state: JobState
    total: int
    done: int
    user_id: UUID
    user_name: str
    params: Mapping[str, Any]
    error: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def user(self) -> Named:
        """Who asked for it."""
        return Named(self.user_id, self.user_name)

    @property
    def about(self) -> Mapping[str, Any]:
        """The parameters to show: without the secret of a dry run, and free text."""
        unseen = {*_HIDDEN, CHECK_OF}
        return {name: value for name, value in self.params.items() if name not in unseen}

    @property
    def is_check(self) -> bool:
        """Whether it checks a file that a person looks through."""
        return CHECK_OF in self.params

    @property
    def is_matched_by_hand(self) -> bool:
        """Whether a person matches the columns of its file; such a file waits for longer."""
        return MATCHING in self.params

    @property
    def awaits_confirmation(self) -> bool:
        """Whether its file is complete, and nobody has started the work yet."""
        return self.state is JobState.RECEIVING and IGNORED_COLUMNS in self.params


class OpenRow(NamedTuple):
    """A row without a result."""

    position: int
    subject_id: UUID | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class RowResult:
    """The result of a row.

    Attributes:
        code: The result; None in lists until the row has one.
        detail: Further codes and ids; replaces what the row held before.
        subject_id: Whom the row is about; as a result, None to leave that unchanged.
    """

    position: int
    code: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    subject_id: UUID | None = None


async def create(
    tx: Transaction,
    kind: JobKind,
    user_id: UUID,
    params: Mapping[str, Any],
    *,
    state: JobState = JobState.QUEUED,
) -> UUID:
    """Insert a job without rows."""
    row = await tx.execute(
        insert(Job)
        .values(kind=kind, user_id=user_id, params=dict(params), state=state, total=0, done=0)
        .returning(col(Job.id))
    )
    return row.scalar_one()


async def add_rows(tx: Transaction, job_id: UUID, rows: Many[RowResult]) -> None:
    """Insert rows and count them, those with a ``code`` as done."""
    sql = """
        INSERT INTO job_rows (job_id, position, subject_id, code, detail)
        SELECT :job_id, one.position, one.subject_id, one.code, one.detail
        FROM jsonb_to_recordset(:rows)
            AS one(position integer, code text, detail jsonb, subject_id uuid)
    """
    await tx.run(sql, job_id=job_id, rows=as_json([vars(one) for one in rows]))
    await _count(tx, job_id)
    await _count_done(tx, job_id, sum(one.code is not None for one in rows))


async def add_selected(
    tx: Transaction,
    job_id: UUID,
    ids: Select[UUID],
    detail: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Insert a row for each id that a query finds, in the query's order, and count them.

    ``detail`` is what each of them holds until it has its result.
    """
    found = ids.subquery()
    rows = select(
        literal(job_id, Uuid()),
        func.row_number().over().cast(Integer),
        found.c.id,
        literal(dict(detail), JSONB()),
    )  # row_number() without an ORDER BY keeps the order of the query
    await tx.execute(
        insert(JobRow).from_select(
            ["job_id", "position", "subject_id", "detail"], rows, include_defaults=False
        )
    )
    await _count(tx, job_id)


async def add_again(tx: Transaction, job_id: UUID, *, of: UUID, code: str) -> None:
    """Insert a row for each contact whom another job gave this result, with its detail.

    The other job's rows may be about enrollments; then their contacts are meant.
    """
    sql = """
        INSERT INTO job_rows (job_id, position, subject_id, detail)
        SELECT :job_id, row_number() OVER (ORDER BY min(r.position)),
            coalesce(e.contact_id, r.subject_id), (array_agg(r.detail ORDER BY r.position))[1]
        FROM job_rows r LEFT JOIN enrollments e ON e.id = r.subject_id
        WHERE r.job_id = :of AND r.code = :code
        GROUP BY coalesce(e.contact_id, r.subject_id)
    """
    await tx.run(sql, job_id=job_id, of=of, code=code)
    await _count(tx, job_id)


def members_of(group_id: UUID) -> Select[UUID]:
    """Select a group's members by name."""
    return (
        select(col(Contact.id))
        .join(GroupMember, col(GroupMember.contact_id) == col(Contact.id))
        .where(col(GroupMember.group_id) == group_id)
        .order_by(col(Contact.search_name), col(Contact.id))
    )


def imported_by(job_id: UUID) -> Select[UUID]:
    """Select the contacts in an import's file, new and known ones, in the file's order."""
    first = func.min(col(JobRow.position))
    return (
        select(col(Contact.id))
        .join(JobRow, col(JobRow.subject_id) == col(Contact.id))
        .where(col(JobRow.job_id) == job_id, col(JobRow.code).in_(_IMPORTED))
        .group_by(col(Contact.id))
        .order_by(first)
    )


async def count_imported(tx: Transaction, job_id: UUID) -> int:
    """Count the contacts in an import's file, new and known ones."""
    found = imported_by(job_id).order_by(None).subquery()
    return (await tx.execute(select(func.count()).select_from(found))).scalar_one()


async def _count(tx: Transaction, job_id: UUID) -> None:
    sql = """
        UPDATE jobs SET total = (SELECT count(*) FROM job_rows WHERE job_id = :id)
        WHERE id = :id
    """
    await tx.run(sql, id=job_id)


async def get(tx: Transaction, job_id: UUID, *, lock: bool = False) -> JobDetails | None:
    """Read a job, if there is one; with ``lock``, lock its row."""
    query = _jobs().where(col(Job.id) == job_id)
    return await tx.one(JobDetails, query.with_for_update(of=Job) if lock else query)


async def find(
    tx: Transaction,
    *,
    user_id: UUID | None,
    states: Many[JobState],
    after: Position | None,
    limit: int,
) -> list[JobDetails]:
    """List jobs but for checks, the newest first.

    ``user_id`` None means everyone's, no ``states`` means all.
    """
    listed = _jobs().where(~func.jsonb_exists(col(Job.params), CHECK_OF))
    query = paged(listed, col(Job.created_at), col(Job.id), after, down=True).limit(limit)
    if user_id is not None:
        query = query.where(col(Job.user_id) == user_id)
    if states:
        query = query.where(col(Job.state).in_(states))
    return await tx.rows(JobDetails, query)


@cache
def _jobs() -> Select[*tuple[Any, ...]]:
    query = select(*columns_of(JobDetails, Job, user_name=col(User.name)))
    return query.join(User, col(User.id) == col(Job.user_id))


async def counts(tx: Transaction, job_id: UUID) -> dict[str, int]:
    """Count a job's rows by result."""
    sql = """
        SELECT code, count(*) FROM job_rows WHERE job_id = :id AND code IS NOT NULL
        GROUP BY code ORDER BY code
    """
    return {code: count for code, count in await tx.run(sql, id=job_id)}  # noqa: C416 - rows


async def enrolled_by_status(tx: Transaction, job_id: UUID) -> dict[EnrollmentStatus, int]:
    """Count the enrollments that a job made by the status they started with."""
    sql = """
        SELECT detail->>'status' AS status, count(*) AS count FROM job_rows
        WHERE job_id = :id AND code = 'enrolled' GROUP BY 1
    """
    rows = await tx.run(sql, id=job_id)
    return {EnrollmentStatus(status): count for status, count in rows}


async def awaiting_consent(tx: Transaction, job_id: UUID) -> int:
    """Count the active enrollments that a job made, to which no text goes without a consent."""
    sql = f"""
        SELECT count(*) FROM job_rows r
        JOIN enrollments e ON e.id = CAST(r.detail->>'enrollment_id' AS uuid)
        WHERE r.job_id = :id AND r.code = 'enrolled' AND e.status = 'active' AND {LACKS_CONSENT}
    """  # noqa: S608 - built from constants
    return await tx.value(int, sql, id=job_id) or 0


async def names_of(tx: Transaction, subject_ids: Many[UUID]) -> dict[UUID, str]:
    """Read contacts' names, or numbers without one, by their id or an enrollment's."""
    sql = """
        SELECT id, first_name, last_name, phone FROM contacts WHERE id = ANY(:ids)
        UNION ALL
        SELECT e.id, c.first_name, c.last_name, c.phone
        FROM enrollments e JOIN contacts c ON c.id = e.contact_id WHERE e.id = ANY(:ids)
    """
    rows = await tx.run(sql, ids=subject_ids)
    return {row.id: full_name(row.first_name, row.last_name) or row.phone for row in rows}


async def results(
    tx: Transaction, job_id: UUID, *, codes: Many[str], after: int, limit: int
) -> list[RowResult]:
    """List a job's rows by position; one without a result is listed without its detail."""
    query = (
        select(col(JobRow.position), col(JobRow.subject_id), col(JobRow.code), col(JobRow.detail))
        .where(col(JobRow.job_id) == job_id, col(JobRow.position) > after)
        .order_by(col(JobRow.position))
        .limit(limit)
    )
    if codes:
        query = query.where(col(JobRow.code).in_(codes))
    return [
        RowResult(position, code, detail if code is not None else {}, subject_id)
        for position, subject_id, code, detail in await tx.execute(query)
    ]


async def begin(tx: Transaction, job_id: UUID) -> JobDetails | None:
    """Set a queued job running, and read it."""
    sql = """
        UPDATE jobs SET state = 'running', started_at = now()
        WHERE id = :id AND state = 'queued'
    """
    await tx.run(sql, id=job_id)
    return await get(tx, job_id)


async def take(tx: Transaction, job_id: UUID, limit: int) -> list[OpenRow]:
    """Lock the first rows without a result that no one else has locked.

    Their locks end with the transaction, so a worker that dies gives them back. A job that is
    being canceled gives none.
    """
    sql = """
        SELECT r.position, r.subject_id, r.detail FROM job_rows r
        WHERE r.job_id = :id AND r.code IS NULL AND EXISTS (
            SELECT 1 FROM jobs j WHERE j.id = :id AND j.state = 'running'
        )
        ORDER BY r.position LIMIT :limit FOR UPDATE OF r SKIP LOCKED
    """
    return await tx.rows(OpenRow, sql, id=job_id, limit=limit)


async def store_results(tx: Transaction, job_id: UUID, results: Many[RowResult]) -> None:
    """Store the results of rows that this transaction took, and count them."""
    await change_results(tx, job_id, results)
    await _count_done(tx, job_id, len(results))


async def _count_done(tx: Transaction, job_id: UUID, count: int) -> None:
    await tx.run("UPDATE jobs SET done = done + :count WHERE id = :id", id=job_id, count=count)


async def change_results(tx: Transaction, job_id: UUID, results: Many[RowResult]) -> None:
    """Store the results of locked rows without counting them."""
    sql = """
        UPDATE job_rows SET code = come.code, detail = come.detail,
            subject_id = coalesce(come.subject_id, job_rows.subject_id)
        FROM jsonb_to_recordset(:results)
            AS come(position integer, code text, detail jsonb, subject_id uuid)
        WHERE job_rows.job_id = :id AND job_rows.position = come.position
    """
    await tx.run(sql, id=job_id, results=as_json([vars(one) for one in results]))


async def note_error(tx: Transaction, job_id: UUID, code: str) -> None:
    """Store the error code of a job, unless it has one."""
    sql = "UPDATE jobs SET error = coalesce(error, :code) WHERE id = :id"
    await tx.run(sql, id=job_id, code=code)


_AWAITS_LAST_TEXT = "jsonb_exists(detail, 'attempts')"
"""SQL: a row was finished while an attempt was open, whose outcome is not known yet."""


async def awaiting_last_text(tx: Transaction, job_id: UUID, limit: int) -> list[RowResult]:
    """Lock rows whose last text has no known outcome yet."""
    sql = f"""
        SELECT position, code, detail, subject_id FROM job_rows
        WHERE job_id = :id AND code = 'finished' AND {_AWAITS_LAST_TEXT}
        ORDER BY position LIMIT :limit FOR UPDATE SKIP LOCKED
    """  # noqa: S608 - built from constants
    return await tx.rows(RowResult, sql, id=job_id, limit=limit)


async def set_state(tx: Transaction, job_id: UUID, state: JobState) -> None:
    """Set the state of a job whose row is locked."""
    sql = f"""
        UPDATE jobs SET state = :state,
            params = CASE WHEN :final THEN {_WITHOUT_HIDDEN} ELSE params END,
            ended_at = CASE WHEN :final THEN now() ELSE ended_at END
        WHERE id = :id
    """  # noqa: S608 - built from constants
    await tx.run(sql, id=job_id, state=state, final=state.is_final)
    if state.is_final:
        await events.job_finished(tx, job_id)


async def give_up_open(tx: Transaction, job_id: UUID, code: str, *, waiting: bool = False) -> None:
    """Give every row without a result this one, but for rows that someone has locked.

    With ``waiting``, wait for those rows too; then the job's own row must not be locked.
    """
    locked = "FOR UPDATE" if waiting else "FOR UPDATE SKIP LOCKED"
    sql = f"""
        WITH open AS (
            SELECT position FROM job_rows WHERE job_id = :id AND code IS NULL
            ORDER BY position {locked}
        )
        UPDATE job_rows SET code = :code, detail = '{{}}' FROM open
        WHERE job_id = :id AND job_rows.position = open.position
    """  # noqa: S608 - two constants
    await _count_done(tx, job_id, await tx.count(sql, id=job_id, code=code))


async def close(tx: Transaction, job_id: UUID) -> bool:
    """End a job if all of its rows have their results, and drop the parameters never shown.

    Returns:
        Whether it ended now, and was not canceled.
    """
    sql = f"""
        UPDATE jobs SET ended_at = now(), params = {_WITHOUT_HIDDEN},
            state = CASE WHEN state = 'canceling' THEN 'canceled' ELSE 'done' END
        WHERE id = :id AND state IN ('queued', 'running', 'canceling') AND done >= total
        AND NOT EXISTS (
            SELECT 1 FROM job_rows
            WHERE job_id = :id AND code = 'finished' AND {_AWAITS_LAST_TEXT}
        )
        RETURNING state
    """  # noqa: S608 - built from constants
    ended = await tx.value(JobState, sql, id=job_id)
    if ended is not None:
        await events.job_finished(tx, job_id)
    return ended is JobState.DONE


async def lost(tx: Transaction, age: timedelta, limit: int) -> list[UUID]:
    """Pick some jobs that started this long ago and have not ended."""
    sql = """
        SELECT id FROM jobs WHERE state IN ('queued', 'running', 'canceling')
        AND coalesce(started_at, created_at) < now() - :age
        ORDER BY random() LIMIT :limit
    """
    return await tx.column(sql, age=age, limit=limit)


# Rows that are uploaded


async def receive(
    tx: Transaction, job_id: UUID, rows: Iterable[tuple[int, Mapping[str, Any]]]
) -> bool:
    """Store uploaded rows; False if the upload was discarded meanwhile."""
    given = list(rows)
    sql = """
        UPDATE jobs SET total = total + :count, started_at = clock_timestamp()
        WHERE id = :id AND state = 'receiving'
    """
    if not await tx.count(sql, id=job_id, count=len(given)):
        return False
    sql = """
        INSERT INTO job_rows (job_id, position, detail)
        SELECT :id, CAST(one->0 AS integer), one->1
        FROM jsonb_array_elements(:rows) AS one
    """
    await tx.run(sql, id=job_id, rows=as_json(given))
    return True


async def note_params(tx: Transaction, job_id: UUID, params: Mapping[str, Any]) -> None:
    """Add to a job's parameters."""
    await tx.run(
        "UPDATE jobs SET params = params || :params WHERE id = :id", id=job_id, params=params
    )


async def received(tx: Transaction, job_id: UUID) -> bool:
    """Queue a job whose file is complete; False if the upload was discarded meanwhile."""
    sql = """
        UPDATE jobs SET state = 'queued', started_at = NULL
        WHERE id = :id AND state = 'receiving'
    """
    return await tx.count(sql, id=job_id) > 0


async def discard_upload(tx: Transaction, job_id: UUID) -> None:
    """Delete a job that has not been started, with its rows."""
    await tx.run("DELETE FROM jobs WHERE id = :id AND state = 'receiving'", id=job_id)


async def forget(tx: Transaction, age: timedelta, limit: int) -> int:
    """Delete the oldest jobs that ended this long ago, with their rows, and count them."""
    sql = """
        DELETE FROM jobs WHERE id IN (
            SELECT id FROM jobs WHERE ended_at < now() - CAST(:age AS interval)
            ORDER BY ended_at LIMIT :limit
        )
    """
    return await tx.count(sql, age=age, limit=limit)


async def discard_abandoned(tx: Transaction, age: timedelta, *, waiting: timedelta) -> int:
    """Delete uploads that got no row for this long, and count them.

    A complete file that waits for a person may stay for ``waiting``.
    """
    sql = """
        DELETE FROM jobs WHERE state = 'receiving'
        AND coalesce(started_at, created_at) < now() - CASE
            WHEN jsonb_exists(params, 'matching') THEN CAST(:waiting AS interval)
            ELSE CAST(:age AS interval)
        END
    """
    return await tx.count(sql, age=age, waiting=waiting)
