"""Background jobs: starting them, running them in chunks, reading and canceling them."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

from domain.jobs.ports import JobProgress
from domain.platform.errors import (
    ConflictError,
    InvalidFieldError,
    NotFoundError,
    SegueError,
    required,
)
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind, JobState
from services.contacts.contacts import clean_filter
from services.contacts.groups import require_group
from services.enrollments.enrolling import (
    Chosen,
    ContactAsked,
    SkipCode,
    check_one_way,
    chosen,
    limit_enrolling,
    open_sequence,
    shared_variables,
)
from services.enrollments.enrollment_list import cleaned
from services.enrollments.finishing import Finishing
from services.messaging.holds import Decision
from services.platform import audit
from storage.contacts.contacts import ContactFilter, ids_matching
from storage.enrollments import enrollment_list
from storage.enrollments.list_filter import ListFilter
from storage.jobs import jobs
from storage.jobs.jobs import VARIABLES, JobDetails, OpenRow, RowResult
from storage.platform import outbox
from storage.platform.database import Database, Transaction, is_unavailable

_logger = logging.getLogger(__name__)

CHUNK_SECONDS = 3.0
"""How long a chunk takes rows; far below its activity's time limit."""

TRIES_MOST = 10
"""How often a chunk may fail unexpectedly before the job ends ``failed``."""

ENROLL_INTO = "enrol_into"
"""The parameter of an import: the sequence that its contacts are enrolled into afterwards."""

_LAST_TEXTS_AT_ONCE = 500


@dataclass(frozen=True)
class Handler:
    """How one kind of job acts on its rows, ``at_once`` in a transaction, and gives their results.

    A ``SegueError`` that ``run`` raises becomes the result of all of them.
    """

    at_once: int
    run: Callable[[Transaction, JobDetails, Many[OpenRow]], Awaitable[list[RowResult]]]


class Jobs:
    """Starts, reads, cancels and runs background jobs. Implements ``domain.jobs.ports.JobRunner``.

    One user may enroll ``most_per_hour`` contacts in an hour; None for no limit. Numbers without a
    country code are of ``default_region``.
    """

    def __init__(
        self,
        database: Database,
        finishing: Finishing,
        handlers: Mapping[JobKind, Handler],
        *,
        default_region: str = "US",
        most_per_hour: int | None = None,
    ) -> None:
        self._database = database
        self._default_region = default_region
        self._finishing = finishing
        self._handlers = handlers
        self._most_per_hour = most_per_hour

    async def start_bulk_action(
        self,
        sequence_id: UUID,
        kind: JobKind,
        wanted: ListFilter,
        user_id: UUID,
        *,
        group_id: UUID | None = None,
        decision: Decision | None = None,
        at_most: int | None = None,
    ) -> JobDetails:
        """Start a job on all enrollments of a sequence that match a filter now.

        ``group_id`` is for ``add_to_group`` only, ``decision`` for ``release`` only; ``at_most`` is
        how many the user was shown.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: ``group_id`` or ``decision`` is missing or does not belong to the
                kind; the filter is invalid.
            ConflictError: ``more_match``.
        """
        _check_only_for("group_id", group_id, given_for=JobKind.ADD_TO_GROUP, kind=kind)
        _check_only_for("decision", decision, given_for=JobKind.RELEASE, kind=kind)
        params: dict[str, Any] = {"sequence_id": str(sequence_id)}
        if group_id is not None:
            params["group_id"] = str(group_id)
        if decision is not None:
            params["decision"] = decision.value
        async with self._database.transaction() as tx:
            wanted = await cleaned(tx, wanted, path="filter.")
            required(await enrollment_list.state_of(tx, sequence_id), "sequence", sequence_id)
            if group_id is not None:
                await require_group(tx, group_id)
            job_id = await jobs.create(tx, kind, user_id, params)
            await jobs.add_selected(tx, job_id, enrollment_list.ids_matching(sequence_id, wanted))
            job = await start(tx, job_id, user_id)
            check_not_more(job.total, at_most)
            return job

    async def start_enrolling(  # noqa: PLR0913 - one for each way to say whom
        self,
        sequence_id: UUID,
        user_id: UUID,
        *,
        contact_ids: Many[UUID] | None = None,
        contacts: Many[ContactAsked] | None = None,
        group_id: UUID | None = None,
        import_id: UUID | None = None,
        matching: ContactFilter | None = None,
        variables: Mapping[str, object] = MappingProxyType({}),
        at_most: int | None = None,
        within: Transaction | None = None,
    ) -> JobDetails:
        """Start a job that enrolls contacts: those named, a group's, an import's, or who match now.

        1 to 10,000 may be named. ``variables`` are everybody's, by key; but ``contacts`` have own.
        ``at_most`` is how many the user was shown.

        Raises:
            NotFoundError: There is no such sequence or import.
            ConflictError: ``sequence_not_active``, ``import_not_done``, ``more_match``.
            InvalidFieldError: Not exactly one of the five, too many contacts or none; the filter
                is invalid.
            InvalidRequestError: See ``enrolling.chosen``, ``enrolling.shared_variables``.
            TooManyRequestsError: The user enrolled too many in this hour.
        """
        check_one_way(contact_ids, contacts, group_id, import_id, matching)
        params = {"sequence_id": str(sequence_id)}
        async with self._database.within(within) as tx:
            await open_sequence(tx, sequence_id)
            shared = await shared_variables(tx, sequence_id, variables)
            if group_id is not None:
                await require_group(tx, group_id)
                params["group_id"] = str(group_id)
                selected = jobs.members_of(group_id)
            elif import_id is not None:
                await require_import(tx, import_id)
                params["import_id"] = str(import_id)
                selected = jobs.imported_by(import_id)
            elif matching is not None:
                wanted = await clean_filter(tx, matching, region=self._default_region)
                selected = ids_matching(wanted)
            job_id = await jobs.create(tx, JobKind.ENROLL, user_id, params)
            if contact_ids is None and contacts is None:
                detail = {VARIABLES: shared} if shared else {}
                await jobs.add_selected(tx, job_id, selected, detail)
            else:
                asked = await chosen(tx, sequence_id, contact_ids, contacts)
                if contact_ids is not None:
                    asked = [one._replace(variables=shared) for one in asked]
                await jobs.add_rows(tx, job_id, _rows_of(asked))
            job = await start(tx, job_id, user_id)
            if not job.total:
                raise _nobody(group_id, import_id)
            check_not_more(job.total, at_most)
            await limit_enrolling(tx, user_id, job.total, self._most_per_hour)
            return job

    async def get(self, job_id: UUID) -> JobDetails:
        """Read one job with its counts.

        Raises:
            NotFoundError: There is no such job.
        """
        async with self._database.transaction() as tx:
            return await _counted(tx, job_id)

    async def find(
        self,
        *,
        user_id: UUID | None = None,
        states: Many[JobState] = (),
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[JobDetails]:
        """List jobs without their counts, the newest first.

        ``user_id`` None means everyone's; no ``states`` means all.
        """
        async with self._database.transaction() as tx:
            found = await jobs.find(
                tx, user_id=user_id, states=states, after=after, limit=limit + 1
            )
        return cut(found, limit, by_creation)

    async def results(
        self, job_id: UUID, *, codes: Many[str] = (), after: int = -1, limit: int = 50
    ) -> tuple[list[RowResult], bool]:
        """List a job's rows by position, and tell whether there are more.

        Only rows with any of these ``codes``; without any, all rows, even those without a result.

        Raises:
            NotFoundError: There is no such job.
        """
        async with self._database.transaction() as tx:
            job = await _require(tx, job_id)
            found = await jobs.results(tx, job_id, codes=codes, after=after, limit=limit + 1)
        dry_run = bool(job.params.get("dry_run"))
        shown = [
            replace(
                row,
                detail={name: value for name, value in row.detail.items() if name != "attempts"},
                subject_id=None if dry_run else row.subject_id,
            )
            for row in found[:limit]
        ]
        return shown, len(found) > limit

    async def enrolled_by_status(self, job_id: UUID) -> Mapping[EnrollmentStatus, int]:
        """Count the enrollments that a job has made by the status they started with."""
        async with self._database.transaction() as tx:
            return await jobs.enrolled_by_status(tx, job_id)

    async def awaiting_consent(self, job_id: UUID) -> int:
        """Count the enrollments that a job has made and that now wait for a consent."""
        async with self._database.transaction() as tx:
            return await jobs.awaiting_consent(tx, job_id)

    async def count_imported(self, import_id: UUID) -> int:
        """Count the contacts of an import that is done.

        Raises:
            NotFoundError: There is no such import.
            ConflictError: ``import_not_done``.
        """
        async with self._database.transaction() as tx:
            await require_import(tx, import_id)
            return await jobs.count_imported(tx, import_id)

    async def names(self, rows: Many[RowResult]) -> Mapping[UUID, str]:
        """Read the names of the contacts that rows are about, by ``subject_id``."""
        subjects = [row.subject_id for row in rows if row.subject_id is not None]
        async with self._database.transaction() as tx:
            return await jobs.names_of(tx, subjects)

    async def cancel(self, job_id: UUID, user_id: UUID) -> JobDetails:
        """Cancel the rows that were not started; canceling again changes nothing.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: ``job_ended``.
        """
        async with self._database.transaction() as tx:
            job = await _require(tx, job_id, lock=True)
            state = job.state
            if state in {JobState.DONE, JobState.FAILED}:
                raise ConflictError(
                    "job_ended", "the job has already ended; there is nothing left to cancel"
                )
            if state not in {JobState.CANCELED, JobState.CANCELING}:
                await stop(tx, job_id)
                if not job.is_check:
                    await audit.record(tx, "job.cancel", "job", [job_id], user_id=user_id)
            return await _counted(tx, job_id)

    async def run_chunk(self, job_id: UUID, *, tries: int = 1) -> JobProgress:
        """Act on the next rows of a job for a few seconds; chunks may run in parallel.

        A row's result is stored in the transaction that acts on it, so each row is acted on once
        even if a worker is killed. ``tries`` counts this try too.
        """
        async with self._database.transaction() as tx:
            job = await jobs.begin(tx, job_id)
        if job is None:
            return JobProgress(state="gone", more=False)
        until = time.monotonic() + CHUNK_SECONDS
        acted = 0
        try:
            with audit.acting(audit.Actor(user_id=job.user_id)):
                while taken := await self._run_batch(job, self._handlers[job.kind]):
                    acted += taken
                    if time.monotonic() >= until:
                        break
        except Exception as error:
            if is_unavailable(error) or tries < TRIES_MOST:
                raise
            _logger.exception("a job cannot go on", extra={"job": str(job_id)})
            await self._fail(job_id, type(error).__name__)
        return await self._progress(job, acted=acted)

    async def _run_batch(self, job: JobDetails, handler: Handler) -> int:
        """Act on some rows in one transaction and count them; 0 if none could be taken."""
        async with self._database.transaction() as tx:
            rows = await jobs.take(tx, job.id, handler.at_once)
            if not rows:
                return 0
            try:
                async with tx.begin_nested():
                    results = await handler.run(tx, job, rows)
            except SegueError as error:
                refused = _code_of(error)
                results = [RowResult(row.position, refused) for row in rows]
                await jobs.note_error(tx, job.id, refused)
            await jobs.store_results(tx, job.id, results)
        return len(rows)

    async def _progress(self, job: JobDetails, *, acted: int) -> JobProgress:
        """Tell how far a job is, after ending it if nothing is left to do."""
        async with self._database.transaction() as tx:
            now = await jobs.get(tx, job.id)
            if now is not None and now.state is JobState.CANCELING:
                await jobs.give_up_open(tx, job.id, JobState.CANCELED.value)
            if not acted:
                await self._store_last_texts(tx, job)
            if await jobs.close(tx, job.id):
                await self._enroll_imported(tx, job)
            now = await jobs.get(tx, job.id)
        if now is None:
            return JobProgress(state="gone", more=False)
        return JobProgress(now.state.value, not now.state.is_final, acted, now.done, now.total)

    async def _enroll_imported(self, tx: Transaction, job: JobDetails) -> None:
        """Enroll an import's contacts, if it was asked for, in the transaction that ends it."""
        if ENROLL_INTO not in job.params:
            return
        try:
            async with tx.begin_nested():
                following = await self.start_enrolling(
                    UUID(job.params[ENROLL_INTO]),
                    job.user_id,
                    import_id=job.id,
                    variables=job.params.get(VARIABLES, {}),
                    within=tx,
                )
        except SegueError as error:
            await jobs.note_error(tx, job.id, _code_of(error))
        else:
            await jobs.note_params(tx, job.id, {"enrolling_id": str(following.id)})

    async def _store_last_texts(self, tx: Transaction, job: JobDetails) -> None:
        """Store the outcome of texts that were under way when their enrollment was finished."""
        results = []
        for row in await jobs.awaiting_last_text(tx, job.id, _LAST_TEXTS_AT_ONCE):
            last_text = await self._finishing.last_text_of(
                tx, [UUID(one) for one in row.detail["attempts"]]
            )
            if last_text is not None:
                results.append(RowResult(row.position, "finished", {"last_text": last_text.value}))
        if results:
            await jobs.change_results(tx, job.id, results)

    async def _fail(self, job_id: UUID, error: str) -> None:
        async with self._database.transaction() as tx:
            # Rows are locked before the job, as a chunk does; rows that another chunk is working
            # on too, as it may yet give them back.
            await jobs.give_up_open(tx, job_id, JobState.FAILED.value, waiting=True)
            job = await jobs.get(tx, job_id, lock=True)
            if job is None or job.state.is_final:
                return
            await jobs.note_error(tx, job_id, error)
            await jobs.set_state(tx, job_id, JobState.FAILED)


def check_not_more(total: int, at_most: int | None) -> None:
    """Refuse to act on more contacts than a user was shown; None: they were shown no number.

    Raises:
        ConflictError: ``more_match``.
    """
    if at_most is not None and total > at_most:
        raise ConflictError(
            "more_match",
            f"more contacts match now than you were shown: {total:,} instead of {at_most:,}."
            " Nothing was done; check again",
        )


def _nobody(group_id: UUID | None, import_id: UUID | None) -> InvalidFieldError:
    """Build the error of enrolling nobody."""
    if import_id is not None:
        return InvalidFieldError("import_id", "is an import with no contacts", code="empty_import")
    if group_id is not None:
        reason = "is a group with no members; add some first"
        return InvalidFieldError("group_id", reason, code="empty_group")
    return InvalidFieldError(
        "matching", "selects no one who still exists; select them again", code="contact_count"
    )


def _rows_of(asked: Many[Chosen]) -> list[RowResult]:
    """Give a job's rows; those of nobody have their result already."""
    rows: list[RowResult] = []
    for position, (contact_id, external_id, variables) in enumerate(asked, start=1):
        if contact_id is None:
            who = {"external_id": external_id}
            rows.append(RowResult(position, SkipCode.UNKNOWN_CONTACT.value, who))
        else:
            detail = {VARIABLES: variables} if variables else {}
            rows.append(RowResult(position, None, detail, contact_id))
    return rows


async def _require(tx: Transaction, job_id: UUID, *, lock: bool = False) -> JobDetails:
    return required(await jobs.get(tx, job_id, lock=lock), "job", job_id)


async def _counted(tx: Transaction, job_id: UUID) -> JobDetails:
    job = await _require(tx, job_id)
    return replace(job, counts=await jobs.counts(tx, job_id))


async def require_import(tx: Transaction, import_id: UUID) -> None:
    """Require an import of contacts that is done.

    Raises:
        NotFoundError: There is no such import.
        ConflictError: ``import_not_done``.
    """
    job = await jobs.get(tx, import_id)
    if job is None or job.kind is not JobKind.IMPORT_CONTACTS:
        raise NotFoundError("import", import_id)
    if job.state is not JobState.DONE or job.params.get("dry_run"):
        raise ConflictError(
            "import_not_done", "the import is not done, or was a dry run; wait, or import first"
        )


async def start(tx: Transaction, job_id: UUID, user_id: UUID) -> JobDetails:
    """Start a job whose rows are stored; one without rows is done at once."""
    await jobs.close(tx, job_id)
    job = await _require(tx, job_id)
    if not job.state.is_final:
        await outbox.add_job_starts(tx, [job_id])
    if not job.is_check:
        await audit.record(
            tx, "job.start", "job", [job_id], user_id=user_id, kind=job.kind.value, rows=job.total
        )
    return job


async def stop(tx: Transaction, job_id: UUID) -> None:
    """Give up the open rows of a job whose row is locked; it ends once no chunk holds others."""
    await jobs.set_state(tx, job_id, JobState.CANCELING)
    await jobs.give_up_open(tx, job_id, JobState.CANCELED.value)
    await jobs.close(tx, job_id)


def _check_only_for(field: str, value: object, *, given_for: JobKind, kind: JobKind) -> None:
    if kind is given_for and value is None:
        raise InvalidFieldError(field, f"is missing; {kind.value} needs it", code="missing")
    if kind is not given_for and value is not None:
        raise InvalidFieldError(
            field, f"is only for {given_for.value}; leave it out", code="not_for_this_action"
        )


def _code_of(error: SegueError) -> str:
    match error:
        case ConflictError():
            return error.conflict
        case InvalidFieldError():
            return error.field_code
        case _:
            return error.code
