"""A sequence's Contacts tab: its enrollments, filtered, sorted, counted; and lists of others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from domain.platform.errors import InvalidFieldError, required
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, cut
from domain.sequences.timing import check_time_zone
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, StepOutcome
from domain.statuses.sequences import SequenceState
from services.contacts.contacts import clean_field_filter
from storage.contacts import consents
from storage.enrollments import all_enrollments, enrollment_counts, list_counts, waking
from storage.enrollments import enrollment_list as rows
from storage.enrollments.all_enrollments import EnrollmentAnywhere
from storage.enrollments.enrollment_list import ListedRow, Outlook
from storage.enrollments.list_counts import Count
from storage.enrollments.list_filter import ListFilter
from storage.enrollments.list_order import Order
from storage.platform.database import Database, Transaction
from workflows.client import EnrollmentClient, LiveState

OF_CONTACT_MOST = 50


@dataclass(frozen=True, kw_only=True)
class ListedEnrollment(ListedRow):
    """One line of the tab; ``live`` is None if not asked for, or if the enrollment is final."""

    live: LiveState | None


@dataclass(frozen=True)
class EnrollmentPage:
    """One page of the tab.

    Attributes:
        state: The sequence's.
        counts: Of the whole sequence, regardless of the filter.
        matching: How many the filter matches; None if that was neither asked for nor known anyway.
        by_status: Of those that match the filter but for its statuses; None if not asked for.
        held: How many of those are held; None if that is not known.
    """

    page: Page[ListedEnrollment]
    state: SequenceState
    counts: Mapping[EnrollmentStatus, int]
    matching: Count | None
    by_status: Mapping[EnrollmentStatus, Count] | None
    held: Count | None


class EnrollmentList:
    """Lists and counts a sequence's enrollments; the live states of one page share a deadline."""

    def __init__(
        self, database: Database, temporal: EnrollmentClient, *, live_deadline: timedelta
    ) -> None:
        self._database = database
        self._temporal = temporal
        self._live_deadline = live_deadline

    async def page(
        self,
        sequence_id: UUID,
        wanted: ListFilter,
        *,
        sort: str = "-enrolled_at",
        after: Position | None = None,
        limit: int = 50,
        live: bool = False,
        count: bool = False,
        fields: bool = False,
    ) -> EnrollmentPage:
        """List a sequence's enrollments, with ``live`` asking the workflows of the active ones.

        With ``count`` it also counts what the filter matches, in all and by status; with ``fields``
        each line has its contact's values of fields. ``sort`` is ``name``, ``enrolled_at``,
        ``next_send_at`` or ``last_message_at``, descending with ``-`` before it; those without a
        value come last either way. ``after`` was made for the same ``sort``.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: See ``cleaned``.
        """
        async with self._database.transaction() as tx:
            wanted = await cleaned(tx, wanted)
            summary = required(await rows.summary(tx, sequence_id), "sequence", sequence_id)
            state, cells = summary
            found = await rows.page(
                tx,
                Order.of(sequence_id, sort, after),
                wanted,
                cells,
                limit=limit + 1,
                fields=fields,
                count=count,
            )
            matching = list_counts.known_count(cells, wanted) or found.matching
            by_status = found.by_status
            if count:
                if after is None and not wanted.status and len(found.rows) <= limit:
                    by_status = _counted(found.rows)  # these are all
                by_status = by_status or await list_counts.by_status(
                    tx, sequence_id, wanted, cells, found.share
                )
                matching = matching or list_counts.count_in(by_status, wanted)
                matching = matching or await list_counts.count(tx, sequence_id, wanted, cells)
        page = cut(found.rows, limit, lambda row: Position(row.sort_key, row.id))
        active = [row.id for row in page.items if not row.status.is_final] if live else []
        answers: Mapping[UUID, LiveState] = {}
        if active:
            answers = await self._temporal.progress(active, deadline=self._live_deadline)

        def listed(row: ListedRow) -> ListedEnrollment:
            activity = shown_activity(row.activity, state)
            return ListedEnrollment(**{**vars(row), "activity": activity}, live=answers.get(row.id))

        counts = enrollment_counts.by_status(cells)
        held = list_counts.held_count(cells, wanted)
        return EnrollmentPage(page.showing(listed), state, counts, matching, by_status, held)

    async def of_contact(self, contact_id: UUID) -> Sequence[EnrollmentAnywhere]:
        """List a contact's enrollments, the latest first, at most ``OF_CONTACT_MOST``."""
        return (await self.find(contact_ids=[contact_id], limit=OF_CONTACT_MOST)).items

    async def find(
        self,
        *,
        contact_ids: Sequence[UUID] = (),
        sequence_ids: Sequence[UUID] = (),
        statuses: Sequence[EnrollmentStatus] = (),
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[EnrollmentAnywhere]:
        """List enrollments in whatever sequences, the latest first.

        Of any of these contacts, sequences and statuses; what is empty does not matter.
        """
        async with self._database.transaction() as tx:
            found = await all_enrollments.page(
                tx,
                contact_ids=contact_ids,
                sequence_ids=sequence_ids,
                statuses=statuses,
                after=after,
                limit=limit + 1,
            )
        page = cut(found, limit, lambda row: Position(row.enrolled_at, row.id))
        return page.showing(
            lambda row: replace(row, activity=shown_activity(row.activity, row.sequence_state))
        )

    async def count(self, sequence_id: UUID, wanted: ListFilter) -> Count:
        """Count the enrollments that match a filter, as ``storage.enrollments.enrollment_list``.

        It is 0 if there is no such sequence.

        Raises:
            InvalidFieldError: See ``cleaned``.
        """
        async with self._database.transaction() as tx:
            return await list_counts.count(tx, sequence_id, await cleaned(tx, wanted))

    async def awaiting_consent(self, sequence_id: UUID) -> int:
        """Count the active enrollments to which no text goes without a consent; 0 of no sequence.

        At most ``storage.enrollments.waking.COUNTED`` are counted.
        """
        async with self._database.transaction() as tx:
            if await consents.needed(tx, sequence_id) is ConsentNeeded.NONE:
                return 0
            return await waking.awaiting_consent(tx, sequence_id)

    async def outlook(self, sequence_id: UUID, wanted: ListFilter) -> Outlook:
        """Count the enrollments that match a filter by what they are doing.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: See ``cleaned``.
        """
        async with self._database.transaction() as tx:
            wanted = await cleaned(tx, wanted)
            required(await rows.state_of(tx, sequence_id), "sequence", sequence_id)
            return await rows.outlook(tx, sequence_id, wanted)


async def cleaned(tx: Transaction, wanted: ListFilter, *, path: str = "") -> ListFilter:
    """Check a filter and trim its search; ``path`` is a prefix of field names in errors.

    Raises:
        InvalidFieldError: The search cannot match anyone; a part of a filter without the one that
            it belongs to; a zone that there is not; ``undeclared_field``, or no value of it.
    """
    if wanted.outcome is None and wanted.outcome_step is not None:
        raise _lacks(f"{path}outcome", "outcome_step")
    if wanted.outcome is not StepOutcome.FAILED and wanted.outcome_code is not None:
        raise InvalidFieldError(f"{path}outcome", "must be failed; outcome_code needs it")
    if wanted.replied_hour is None and wanted.replied_zone:
        raise _lacks(f"{path}replied_hour", "replied_zone")
    if wanted.replied_hour is not None and not wanted.replied_zone:
        raise _lacks(f"{path}replied_zone", "replied_hour")
    if wanted.replied_zone:
        check_time_zone(wanted.replied_zone, field=f"{path}replied_zone")
    search = clean_search(wanted.search, field=f"{path}search")
    fields = await clean_field_filter(tx, wanted.fields, path=path)
    return replace(wanted, search=search, fields=fields)


def _lacks(missing: str, given: str) -> InvalidFieldError:
    return InvalidFieldError(missing, f"is missing; {given} needs it", code="missing")


def _counted(found: Sequence[ListedRow]) -> dict[EnrollmentStatus, Count]:
    sizes = Counter(row.status for row in found)
    return {status: Count(sizes[status], is_exact=True) for status in EnrollmentStatus}


def shown_activity(
    activity: EnrollmentPhase | None, state: SequenceState
) -> EnrollmentPhase | None:
    """Give the phase to show: an enrollment that waits in a paused sequence is paused."""
    if activity is EnrollmentPhase.WAITING and state is SequenceState.PAUSED:
        return EnrollmentPhase.PAUSED
    return activity
