"""What there is to pick from: contacts for a sequence, and the filters of its Contacts tab."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.platform.errors import NotFoundError
from domain.platform.names import clean
from domain.statuses.contacts import LineType
from services.contacts.groups import GroupName
from services.enrollments.enrollment_list import SEARCH_LENGTH, UserName
from storage.enrollments import pickers
from storage.platform.database import Database
from storage.sequences import sequences

CONTACTS_MOST = 20

GROUPS_MOST = 2_000
"""Most groups that dropdowns offer: they hold them all at once, to be searched as one types."""


@dataclass(frozen=True)
class PickedContact:
    """A contact that may be picked.

    Attributes:
        opted_out: Whether the number is suppressed for the whole deployment.
        active_here: Whether it is active in the sequence already.
    """

    id: UUID
    name: str
    phone: str
    line_type: LineType | None
    opted_out: bool
    active_here: bool


@dataclass(frozen=True)
class StepChoice:
    """A step to filter by: the step last sent.

    Attributes:
        step: 0 for none yet.
        body: Of the current version; None for 0, and where the current version has fewer steps.
    """

    step: int
    body: str | None


@dataclass(frozen=True)
class FilterChoices:
    """What the dropdown filters of a sequence's Contacts tab offer.

    Attributes:
        steps: 0 up to the last of the longest version.
        users: Who enrolled somebody there, by name.
        groups: With members who were enrolled there, by name.
    """

    steps: Many[StepChoice]
    users: Many[UserName]
    groups: Many[GroupName]


class Pickers:
    """The use case of picking."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def contacts(
        self, search: str = "", *, sequence_id: UUID | None = None, limit: int = CONTACTS_MOST
    ) -> list[PickedContact]:
        """Find contacts by any part of the name or phone digits, by name.

        Args:
            search: Empty for the first of all.
            sequence_id: The sequence that ``active_here`` is about; None if there is none.
            limit: Most contacts.

        Raises:
            InvalidFieldError: Nobody can be found by this search.
        """
        sought = clean(search, field="search", most=SEARCH_LENGTH, blank=True)
        async with self._database.transaction() as tx:
            found = await pickers.contacts(tx, search=sought, sequence_id=sequence_id, limit=limit)
        return [
            PickedContact(
                row.id,
                f"{row.first_name} {row.last_name}".strip(),
                row.phone,
                row.line_type,
                row.opted_out,
                row.active_here,
            )
            for row in found
        ]

    async def groups(self) -> list[GroupName]:
        """List the groups by name, up to ``GROUPS_MOST``."""
        async with self._database.transaction() as tx:
            return [GroupName(*row) for row in await pickers.groups(tx, limit=GROUPS_MOST)]

    async def filters(self, sequence_id: UUID) -> FilterChoices:
        """Say what a sequence's people can be filtered by.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            record = await sequences.find(tx, sequence_id, counted=False)
            if record is None:
                raise NotFoundError("sequence", sequence_id)
            step_count = await sequences.most_steps(tx, sequence_id)
            users = await pickers.enrolling_users(tx, sequence_id)
            groups = await pickers.groups_present(tx, sequence_id)
        bodies = {step.position: step.body for step in record.steps}
        return FilterChoices(
            steps=[StepChoice(step, bodies.get(step)) for step in range(step_count + 1)],
            users=[UserName(*row) for row in users],
            groups=[GroupName(*row) for row in groups],
        )
