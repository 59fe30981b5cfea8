"""Work on many rows in the background: asked for, done in chunks, watched, cancelled."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.jobs.ports import JobProgress
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError, SegueError
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind, JobState
from services.contacts.groups import require_group
from services.enrollments.enrolling import distinct, limit_enrolling, open_course
from services.enrollments.enrollment_list import cleaned
from services.enrollments.finishing import Endings
from services.messaging.holds import Decision
from services.platform import audit
from storage.enrollments import enrollment_list
from storage.enrollments.enrollment_list import ListFilter
from storage.jobs import jobs
from storage.jobs.jobs import JobRecord, OpenRow, Outcome, ResultRow
from storage.platform import outbox
from storage.platform.database import Database, Transaction, is_unavailable

_logger = logging.getLogger(__name__)

CHUNK_SECONDS = 3.0
"""How long a chunk goes on taking rows; far less than the time limit of its activity."""

TRIES_MOST = 10
"""How often a chunk may fail through a fault of ours before the job ends ``failed``."""

CANCELED = "canceled"
"""The result of a row that was not begun when its job was cancelled."""

ENROLL_INTO = "enrol_into"
"""What an import is told about: the sequence that its people are enrolled into once it is done."""

IGNORED_COLUMNS = "ignored_columns"
"""What an upload is told about once all of it is here: the columns that are left out."""

FAILED = "failed"
"""The result of a row that was not begun when its job could not go on."""

_UNSETTLED_AT_ONCE = 500


@dataclass(frozen=True)
class JobTask:
    """A job as its work sees it.

    Attributes:
        id: Which.
        user_id: For whom it acts.
        params: What to do, in codes and ids.
    """

    id: UUID
    user_id: UUID
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Act:
    """How one kind of job deals with its rows.

    Attributes:
        at_once: Rows in one transaction.
        run: Acts on rows in a transaction and answers what came of each; an error that the
            product raises on purpose becomes the result of all of them.
    """

    at_once: int
    run: Callable[[Transaction, JobTask, Many[OpenRow]], Awaitable[list[Outcome]]]


@dataclass(frozen=True)
class JobDetails:
    """A job as it is shown.

    Attributes:
        id: Which.
        kind: What it does.
        state: Where it stands.
        total: How many rows it has.
        done: How many have their result.
        counts: Rows by result.
        user_id: Who asked for it.
        user_name: Who asked for it.
        about: What it is about: ids, codes and flags.
        error: The code of what stood in the way of rows, if something did.
        created_at: UTC.
        started_at: UTC.
        ended_at: UTC.
    """

    id: UUID
    kind: JobKind
    state: JobState
    total: int
    done: int
    counts: Mapping[str, int]
    user_id: UUID
    user_name: str
    about: Mapping[str, Any]
    error: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def awaits_confirmation(self) -> bool:
        """Whether its file is here, and nobody has said yet that the work may begin."""
        return self.state is JobState.RECEIVING and IGNORED_COLUMNS in self.about

    @classmethod
    def of(cls, record: JobRecord, counts: Mapping[str, int]) -> "JobDetails":
        """Read a row."""
        job = record.job
        return cls(
            id=job.id,
            kind=job.kind,
            state=job.state,
            total=job.total,
            done=job.done,
            counts=counts,
            user_id=job.user_id,
            user_name=record.user_name,
            about={name: value for name, value in job.params.items() if name != "salt"},
            error=job.error,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
        )


class Jobs:
    """The use cases of work in the background. Implements ``domain.jobs.ports.JobRunner``.

    Args:
        database: PostgreSQL.
        endings: Tells the fate of texts that were under way.
        acts: How each kind of job deals with its rows.
        most_per_hour: Most contacts one user may enroll in an hour; None for no limit.
    """

    def __init__(
        self,
        database: Database,
        endings: Endings,
        acts: Mapping[JobKind, Act],
        *,
        most_per_hour: int | None = None,
    ) -> None:
        self._database = database
        self._endings = endings
        self._acts = acts
        self._most_per_hour = most_per_hour

    # Asking for it

    async def start_batch(
        self,
        sequence_id: UUID,
        kind: JobKind,
        wanted: ListFilter,
        user_id: UUID,
        *,
        group_id: UUID | None = None,
        decision: Decision | None = None,
    ) -> JobDetails:
        """Do something to all enrollments of a sequence that match a filter now.

        Args:
            sequence_id: The sequence.
            kind: What to do; one that acts on enrollments.
            wanted: As the Contacts tab filters.
            user_id: Who asks.
            group_id: For ``add_to_group``, and only for that.
            decision: For ``release``, and only for that.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: Something is missing or too much, or nobody can be found.
        """
        _check_only_for("group_id", group_id, given_for=JobKind.ADD_TO_GROUP, kind=kind)
        _check_only_for("decision", decision, given_for=JobKind.RELEASE, kind=kind)
        wanted = cleaned(wanted, path="filter.")
        params: dict[str, Any] = {"sequence_id": str(sequence_id)}
        if group_id is not None:
            params["group_id"] = str(group_id)
        if decision is not None:
            params["decision"] = decision.value
        async with self._database.transaction() as tx:
            if await enrollment_list.state_of(tx, sequence_id) is None:
                raise NotFoundError("sequence", sequence_id)
            if group_id is not None:
                await require_group(tx, group_id)
            job_id = await jobs.create(tx, kind, user_id, params)
            await jobs.add_selected(tx, job_id, enrollment_list.ids_matching(sequence_id, wanted))
            record = await start_in(tx, job_id, user_id)
        return JobDetails.of(record, {})

    async def start_enrolling(
        self,
        sequence_id: UUID,
        user_id: UUID,
        *,
        contact_ids: Many[UUID] | None = None,
        group_id: UUID | None = None,
        import_id: UUID | None = None,
        within: Transaction | None = None,
    ) -> JobDetails:
        """Enroll contacts, those who are in a group now, or those an import named, however many.

        Args:
            sequence_id: The sequence; active or paused.
            user_id: Who enrolls.
            contact_ids: 1 to 10,000 contacts; or
            group_id: the members of a group; or
            import_id: everyone in the file of an import that is done.
            within: The caller's transaction; None for one of its own.

        Raises:
            NotFoundError: There is no such sequence or import.
            ConflictError: ``sequence_not_active``, ``import_not_done``.
            InvalidFieldError: Not exactly one of the three, too many contacts or none.
            TooManyRequestsError: The user enrolled too many in this hour.
        """
        if sum(one is not None for one in (contact_ids, group_id, import_id)) != 1:
            raise InvalidFieldError(
                "contact_ids", "give either contact_ids or group_id", code="one_of_two"
            )
        async with self._database.within(within) as tx:
            return await self._start_enrolling(
                tx,
                sequence_id,
                user_id,
                contact_ids=contact_ids,
                group_id=group_id,
                import_id=import_id,
            )

    async def _start_enrolling(
        self,
        tx: Transaction,
        sequence_id: UUID,
        user_id: UUID,
        *,
        contact_ids: Many[UUID] | None = None,
        group_id: UUID | None = None,
        import_id: UUID | None = None,
    ) -> JobDetails:
        """Start it in the caller's transaction."""
        params = {"sequence_id": str(sequence_id)}
        await open_course(tx, sequence_id)
        if group_id is not None:
            await require_group(tx, group_id)
            params["group_id"] = str(group_id)
            chosen = jobs.members_of(group_id)
        elif import_id is not None:
            await _require_import(tx, import_id)
            params["import_id"] = str(import_id)
            chosen = jobs.imported_by(import_id)
        job_id = await jobs.create(tx, JobKind.ENROLL, user_id, params)
        if contact_ids is not None:
            await jobs.add_subjects(tx, job_id, distinct(contact_ids))
        else:
            await jobs.add_selected(tx, job_id, chosen)
        record = await start_in(tx, job_id, user_id)
        if not record.job.total and import_id is not None:
            raise InvalidFieldError(
                "import_id", "names an import without contacts", code="empty_import"
            )
        if not record.job.total:
            raise InvalidFieldError(
                "group_id", "names a group without members; add some first", code="empty_group"
            )
        await limit_enrolling(tx, user_id, record.job.total, self._most_per_hour)
        return JobDetails.of(record, {})

    # Watching it

    async def get(self, job_id: UUID) -> JobDetails:
        """Give one job with its counts.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            return await self._details(tx, job_id)

    async def find(
        self,
        *,
        user_id: UUID | None = None,
        states: Many[JobState] = (),
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[JobDetails]:
        """List jobs without their counts, the newest first.

        Args:
            user_id: Whose; None for everyone's.
            states: In any of these; empty for all.
            after: Where the page begins.
            limit: Most items.
        """
        async with self._database.transaction() as tx:
            found = await jobs.find(
                tx, user_id=user_id, states=states, after=after, limit=limit + 1
            )
        page = cut(found, limit, lambda record: by_creation(record.job))
        return page.showing(lambda record: JobDetails.of(record, {}))

    async def results(
        self, job_id: UUID, *, codes: Many[str] = (), after: int = -1, limit: int = 50
    ) -> tuple[list[ResultRow], bool]:
        """List what came of a job's rows, by position, and whether there are more.

        Args:
            job_id: Which.
            codes: Only rows with any of these results; empty for all rows, those without too.
            after: The position before the page.
            limit: Most rows.

        Raises:
            NotFoundError: There is no such job.
        """
        async with self._database.transaction() as tx:
            record = await jobs.get(tx, job_id)
            if record is None:
                raise NotFoundError("job", job_id)
            found = await jobs.results(tx, job_id, codes=codes, after=after, limit=limit + 1)
        rehearsed = bool(record.job.params.get("dry_run"))
        shown = [
            row._replace(
                detail={name: value for name, value in row.detail.items() if name != "attempts"},
                subject_id=None if rehearsed else row.subject_id,
            )
            for row in found[:limit]
        ]
        return shown, len(found) > limit

    async def enrolled_by_status(self, job_id: UUID) -> Mapping[EnrollmentStatus, int]:
        """Count those whom a job has enrolled so far by the status they were born with."""
        async with self._database.transaction() as tx:
            return await jobs.enrolled_by_status(tx, job_id)

    async def names(self, rows: Many[ResultRow]) -> Mapping[UUID, str]:
        """Name whom rows are about, by ``subject_id``; who is gone is left out."""
        subjects = [row.subject_id for row in rows if row.subject_id is not None]
        async with self._database.transaction() as tx:
            return await jobs.names_of(tx, subjects)

    async def cancel(self, job_id: UUID, user_id: UUID) -> JobDetails:
        """Have the rows that are not begun left alone; cancelling once more does no harm.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: ``job_ended``: everything is done already.
        """
        async with self._database.transaction() as tx:
            record = await jobs.get(tx, job_id, lock=True)
            if record is None:
                raise NotFoundError("job", job_id)
            state = record.job.state
            if state in {JobState.DONE, JobState.FAILED}:
                raise ConflictError(
                    "job_ended", "the job has ended already; nothing of it is left to cancel"
                )
            if state not in {JobState.CANCELED, JobState.CANCELING}:
                await jobs.set_state(tx, job_id, JobState.CANCELING)
                await jobs.give_up_open(tx, job_id, CANCELED)
                await jobs.close(tx, job_id)
                await audit.record(tx, "job.cancel", "job", [job_id], user_id=user_id)
            return await self._details(tx, job_id)

    async def _details(self, tx: Transaction, job_id: UUID) -> JobDetails:
        record = await jobs.get(tx, job_id)
        if record is None:
            raise NotFoundError("job", job_id)
        return JobDetails.of(record, await jobs.counts(tx, job_id))

    # Doing it

    async def run_chunk(self, job_id: UUID, *, tries: int = 1) -> JobProgress:
        """Act on the next rows of a job, for some seconds; any number may do so side by side.

        A row's result is written in the transaction that acts on it, so whatever is killed in
        between, each row is acted on once.

        Args:
            job_id: Which.
            tries: How often this chunk was tried, this time included.
        """
        async with self._database.transaction() as tx:
            record = await jobs.begin(tx, job_id)
        if record is None:
            return JobProgress(state="gone", more=False)
        job = record.job
        task = JobTask(job.id, job.user_id, job.params)
        until = time.monotonic() + CHUNK_SECONDS
        acted = 0
        try:
            with audit.acting(audit.Actor(user_id=job.user_id)):
                while taken := await self._act(task, self._acts[job.kind]):
                    acted += taken
                    if time.monotonic() >= until:
                        break
        except Exception as error:
            if is_unavailable(error) or tries < TRIES_MOST:
                raise
            _logger.exception("a job cannot go on", extra={"job": str(job_id)})
            await self._fail(job_id, type(error).__name__)
        return await self._look(task, acted=acted)

    async def _act(self, task: JobTask, act: Act) -> int:
        """Act on some rows in one transaction; how many, 0 when there are none to take."""
        async with self._database.transaction() as tx:
            rows = await jobs.take(tx, task.id, act.at_once)
            if not rows:
                return 0
            try:
                async with tx.begin_nested():
                    outcomes = await act.run(tx, task, rows)
            except SegueError as error:
                refused = _code_of(error)
                outcomes = [Outcome(row.position, refused) for row in rows]
                await jobs.note_error(tx, task.id, refused)
            await jobs.settle(tx, task.id, outcomes)
        return len(rows)

    async def _look(self, task: JobTask, *, acted: int) -> JobProgress:
        """End the job if there is nothing left to do; else say how far it is."""
        async with self._database.transaction() as tx:
            record = await jobs.get(tx, task.id)
            if record is not None and record.job.state is JobState.CANCELING:
                await jobs.give_up_open(tx, task.id, CANCELED)
            if not acted:
                await self._settle_last_texts(tx, task)
            if await jobs.close(tx, task.id):
                await self._go_on(tx, task)
            record = await jobs.get(tx, task.id)
        if record is None:
            return JobProgress(state="gone", more=False)
        job = record.job
        return JobProgress(
            state=job.state.value,
            more=not job.state.is_final,
            acted=acted,
            done=job.done,
            total=job.total,
        )

    async def _go_on(self, tx: Transaction, task: JobTask) -> None:
        """Have everyone of a file that is imported enrolled, where that was asked for.

        In the transaction that ends the import: nobody has to wait for it, and it happens once.
        """
        if ENROLL_INTO not in task.params:
            return
        try:
            async with tx.begin_nested():
                following = await self._start_enrolling(
                    tx, UUID(task.params[ENROLL_INTO]), task.user_id, import_id=task.id
                )
        except SegueError as error:
            await jobs.note_error(tx, task.id, _code_of(error))
        else:
            await jobs.note_params(tx, task.id, {"enrolling_id": str(following.id)})

    async def _settle_last_texts(self, tx: Transaction, task: JobTask) -> None:
        """Tell what became of texts that were under way when their enrollment was finished."""
        outcomes = []
        for row in await jobs.unsettled(tx, task.id, _UNSETTLED_AT_ONCE):
            fate = await self._endings.fate_of(tx, [UUID(one) for one in row.detail["attempts"]])
            if fate is not None:
                detail = {"last_text": fate.value}
                outcomes.append(Outcome(row.position, "finished", detail))
        if outcomes:
            await jobs.change(tx, task.id, outcomes)

    async def _fail(self, job_id: UUID, error: str) -> None:
        async with self._database.transaction() as tx:
            # The rows before the job, as a chunk takes them; those of one that is still at work
            # too, for it may yet give them back.
            await jobs.give_up_open(tx, job_id, FAILED, waiting=True)
            record = await jobs.get(tx, job_id, lock=True)
            if record is None or record.job.state.is_final:
                return
            await jobs.note_error(tx, job_id, error)
            await jobs.set_state(tx, job_id, JobState.FAILED)


async def _require_import(tx: Transaction, import_id: UUID) -> None:
    record = await jobs.get(tx, import_id)
    if record is None or record.job.kind is not JobKind.IMPORT_CONTACTS:
        raise NotFoundError("import", import_id)
    if record.job.state is not JobState.DONE or record.job.params.get("dry_run"):
        raise ConflictError(
            "import_not_done", "the import is not done, or was a dry run; wait, or import first"
        )


async def start_in(tx: Transaction, job_id: UUID, user_id: UUID) -> JobRecord:
    """Have a job whose rows are written done; one without rows is done."""
    await jobs.close(tx, job_id)
    record = await jobs.get(tx, job_id)
    if record is None:
        raise NotFoundError("job", job_id)
    if not record.job.state.is_final:
        await outbox.add_job_starts(tx, [job_id])
    await audit.record(
        tx,
        "job.start",
        "job",
        [job_id],
        user_id=user_id,
        kind=record.job.kind.value,
        rows=record.job.total,
    )
    return record


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
