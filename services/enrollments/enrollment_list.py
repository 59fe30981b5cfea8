"""A sequence's Contacts tab: who is where, and why."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.platform.errors import InvalidFieldError, NotFoundError
from domain.platform.names import clean
from domain.platform.paging import Page, Position, cut
from domain.platform.provider_errors import explain
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.sequences import SequenceState
from storage.enrollments import enrollment_list as rows
from storage.enrollments.enrollment_detail import EnrollmentFacts
from storage.enrollments.enrollment_list import ListedRow, ListFilter, Outlook
from storage.platform.database import Database
from storage.sequences.sequences import count_by_status

SEARCH_LENGTH = 200
"""Most characters one may search for: a first and a last name."""


class Live(Protocol):
    """What a workflow says of itself; ``unavailable`` tells why it says nothing."""

    @property
    def state(self) -> str:
        """An ``EnrollmentPhase`` code or the final status."""
        ...

    @property
    def step(self) -> int:
        """The step last sent."""
        ...

    @property
    def next_due_at(self) -> datetime | None:
        """What it waits for, UTC."""
        ...

    @property
    def unavailable(self) -> str | None:
        """Why there is no answer, else None."""
        ...


class LiveStates(Protocol):
    """Asks workflows what they are doing."""

    async def progress(
        self, enrollment_ids: Many[UUID], *, deadline: timedelta
    ) -> Mapping[UUID, Live]:
        """Ask all of them side by side, under one deadline; never raises."""
        ...


@dataclass(frozen=True)
class ContactName:
    """A contact as lists show it."""

    id: UUID
    name: str
    phone: str


@dataclass(frozen=True)
class UserName:
    """A user as lists show it."""

    id: UUID
    name: str


@dataclass(frozen=True)
class Fault:
    """The provider's error, in words."""

    code: int | None
    meaning: str

    @classmethod
    def of(cls, code: int | None, *, failed: bool = False) -> "Fault | None":
        """Explain a code; None if there is none, unless something failed without one."""
        return cls(code, explain(code)) if failed or code is not None else None

    @classmethod
    def of_enrollment(cls, row: ListedRow | EnrollmentFacts) -> "Fault | None":
        """Explain what an enrollment failed for, is held for, or is tried once more after."""
        if row.failing_code is not None and row.held_reason is None:
            return cls.of(row.failing_code or None, failed=True)
        code = row.error_code if row.error_code is not None else row.held_code
        return cls.of(code, failed=row.status is EnrollmentStatus.FAILED)


@dataclass(frozen=True)
class ListedEnrollment:
    """One line of the tab.

    Attributes:
        time_zone: The contact's, if it was given.
        activity: What an active enrollment is doing; None when final.
        held_reason: Why it waits for a person, if it does.
        step: The step last sent, 0 for none.
        error: What the provider said when it failed, or why it is held; of an active one that is
            not held, why its text was not delivered, which goes again at ``next_send_at``.
        live: What its workflow says; None if that was not asked for, or it is final.
    """

    enrollment_id: UUID
    contact: ContactName
    time_zone: str | None
    status: EnrollmentStatus
    status_label: str
    activity: EnrollmentPhase | None
    held_reason: HeldReason | None
    step: int
    step_count: int
    enrolled_by: UserName
    enrolled_at: datetime
    next_send_at: datetime | None
    last_message_at: datetime | None
    error: Fault | None
    live: Live | None


@dataclass(frozen=True)
class ContactsTab:
    """One page of the tab.

    Attributes:
        page: In the order asked for.
        counts: Of the whole sequence, whatever the filter; all statuses.
    """

    page: Page[ListedEnrollment]
    counts: Mapping[EnrollmentStatus, int]


class ContactList:
    """The use case of the Contacts tab.

    Args:
        database: PostgreSQL.
        live_states: Asks the workflows.
        live_deadline: Time limit of all questions of one page together.
    """

    def __init__(
        self, database: Database, live_states: LiveStates, *, live_deadline: timedelta
    ) -> None:
        self._database = database
        self._live_states = live_states
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
    ) -> ContactsTab:
        """List a sequence's enrollments.

        Args:
            sequence_id: The sequence.
            wanted: Which to list.
            sort: ``name``, ``enrolled_at``, ``next_send_at`` or ``last_message_at``; with ``-``
                before it, the other way round. Those without a value come last either way.
            after: Where the page begins; made for the same ``sort``.
            limit: Most items.
            live: Whether to ask the workflows of the active ones on the page.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: Nobody can be found by this search; half an outcome.
        """
        wanted = cleaned(wanted)
        async with self._database.transaction() as tx:
            state = await rows.state_of(tx, sequence_id)
            if state is None:
                raise NotFoundError("sequence", sequence_id)
            found = await rows.page(
                tx, sequence_id, wanted, sort=sort, after=after, limit=limit + 1
            )
            counted = (await count_by_status(tx, [sequence_id])).get(sequence_id, {})
        page = cut(found, limit, lambda row: Position(row.sort_key, row.enrollment_id))
        answers = await self._ask(page.items) if live else {}
        return ContactsTab(
            page.showing(lambda row: _listed(row, state, answers.get(row.enrollment_id))),
            {status: counted.get(status, 0) for status in EnrollmentStatus},
        )

    async def count(self, sequence_id: UUID, wanted: ListFilter) -> int:
        """Count whom a filter lets through; 0 where there is no such sequence.

        Raises:
            InvalidFieldError: Nobody can be found by this search; half an outcome.
        """
        async with self._database.transaction() as tx:
            return await rows.count(tx, sequence_id, cleaned(wanted))

    async def outlook(self, sequence_id: UUID, wanted: ListFilter) -> Outlook:
        """Count whom a filter lets through, and what is still to come for them.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: Nobody can be found by this search; half an outcome.
        """
        wanted = cleaned(wanted)
        async with self._database.transaction() as tx:
            if await rows.state_of(tx, sequence_id) is None:
                raise NotFoundError("sequence", sequence_id)
            return await rows.outlook(tx, sequence_id, wanted)

    async def _ask(self, shown: Many[ListedRow]) -> Mapping[UUID, Live]:
        active = [row.enrollment_id for row in shown if not row.status.is_final]
        if not active:
            return {}
        return await self._live_states.progress(active, deadline=self._live_deadline)


def cleaned(wanted: ListFilter, *, path: str = "") -> ListFilter:
    """Check a filter, and trim what is searched for.

    Args:
        wanted: The filter.
        path: What goes before its fields' names in errors (``filter.``).

    Raises:
        InvalidFieldError: Nobody can be found by this search; an outcome without its step, or the
            other way round.
    """
    if (wanted.outcome is None) != (wanted.outcome_step is None):
        given, missing = ("outcome", "outcome_step")
        if wanted.outcome is None:
            given, missing = missing, given
        raise InvalidFieldError(f"{path}{missing}", f"is missing; {given} needs it", code="missing")
    search = clean(wanted.search, field=f"{path}search", most=SEARCH_LENGTH, blank=True)
    return replace(wanted, search=search)


def shown_activity(
    activity: EnrollmentPhase | None, state: SequenceState
) -> EnrollmentPhase | None:
    """Say what an enrollment is doing: what waits in a paused sequence is paused."""
    if activity is EnrollmentPhase.WAITING and state is SequenceState.PAUSED:
        return EnrollmentPhase.PAUSED
    return activity


def _listed(row: ListedRow, state: SequenceState, live: Live | None) -> ListedEnrollment:
    return ListedEnrollment(
        enrollment_id=row.enrollment_id,
        contact=ContactName(row.contact_id, f"{row.first_name} {row.last_name}".strip(), row.phone),
        time_zone=row.time_zone,
        status=row.status,
        status_label=STATUS_WORDS[row.status].label,
        activity=shown_activity(row.activity, state),
        held_reason=row.held_reason,
        step=row.step,
        step_count=row.step_count,
        enrolled_by=UserName(row.enrolled_by, row.enrolled_by_name),
        enrolled_at=row.enrolled_at,
        next_send_at=row.next_send_at,
        last_message_at=row.last_message_at,
        error=Fault.of_enrollment(row),
        live=live,
    )
