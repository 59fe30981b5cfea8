"""Choices for pickers: contacts to enroll, and the filters of a Contacts tab."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.platform.names import Named, clean_search
from domain.statuses.sequences import SequenceState
from services.sequences.sequences import find
from storage.contacts import fields
from storage.enrollments import pickers
from storage.enrollments.pickers import PickedContact
from storage.platform.database import Database
from storage.sequences import sequences

CONTACTS_MOST = 20

GROUPS_MOST = 2_000
"""Most groups in a dropdown, which loads all of them and searches as the user types."""


@dataclass(frozen=True)
class StepChoice:
    """A step to filter by, the step last sent: 0 for none yet.

    The body is that of the current version; None for 0, and where that version has fewer steps.
    """

    step: int
    body: str | None


@dataclass(frozen=True)
class FilterChoices:
    """The choices of a Contacts tab's dropdown filters.

    Attributes:
        steps: 0 up to the last of the longest version.
        users: Users who enrolled contacts there, by name.
        groups: Groups of contacts who were enrolled there, by name.
    """

    steps: Many[StepChoice]
    users: Many[Named]
    groups: Many[Named]


class Pickers:
    """Reads choices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def contact_fields(self) -> dict[str, str]:
        """Read the labels of contacts' fields, by key."""
        async with self._database.transaction() as tx:
            return {one.key: one.label for one in await fields.find(tx)}

    async def contacts(
        self, search: str = "", *, sequence_id: UUID | None = None, limit: int = CONTACTS_MOST
    ) -> list[PickedContact]:
        """Find contacts by any part of the name or phone digits, by name.

        ``sequence_id`` is the sequence of ``active_here``, if any.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            return await pickers.contacts(tx, search=sought, sequence_id=sequence_id, limit=limit)

    async def groups(self) -> list[Named]:
        """List the groups by name, up to ``GROUPS_MOST``."""
        async with self._database.transaction() as tx:
            return await pickers.groups(tx, limit=GROUPS_MOST)

    async def open_sequences(self) -> list[Named]:
        """List the sequences that take contacts, by name."""
        async with self._database.transaction() as tx:
            return await pickers.sequences(tx, [SequenceState.ACTIVE, SequenceState.PAUSED])

    async def used_sequences(self) -> list[Named]:
        """List the sequences that have or had contacts, archived ones too, by name."""
        async with self._database.transaction() as tx:
            return await pickers.sequences(tx, set(SequenceState) - {SequenceState.DRAFT})

    async def filters(self, sequence_id: UUID) -> FilterChoices:
        """Read the filter choices of a sequence's Contacts tab.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            record = await find(tx, sequence_id, counted=False)
            step_count = await sequences.most_steps(tx, sequence_id)
            users = await pickers.enrolling_users(tx, sequence_id)
            groups = await pickers.groups_of(tx, sequence_id)
        bodies = {step.position: step.body for step in record.steps}
        return FilterChoices(
            steps=[StepChoice(step, bodies.get(step)) for step in range(step_count + 1)],
            users=users,
            groups=groups,
        )
