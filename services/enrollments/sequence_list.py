"""The list of sequences with the figures of each."""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from domain.platform.paging import Page, Position
from domain.statuses.sequences import SequenceState
from services.sequences.sequences import Sequences
from storage.enrollments import sequence_list
from storage.enrollments.sequence_list import Figures
from storage.platform.database import Database
from storage.sequences.sequences import SequenceRecord


@dataclass(frozen=True, kw_only=True)
class ListedSequence(SequenceRecord, Figures):
    """One line of the list."""


class SequenceList:
    """Lists sequences with their figures."""

    def __init__(self, database: Database, sequences: Sequences) -> None:
        self._database = database
        self._sequences = sequences

    async def page(
        self,
        *,
        states: Many[SequenceState] = (),
        search: str = "",
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ListedSequence]:
        """List sequences as ``Sequences.page`` does, each with its figures."""
        found = await self._sequences.page(states=states, search=search, after=after, limit=limit)
        async with self._database.transaction() as tx:
            figures = await sequence_list.figures(tx, [one.id for one in found.items])
        return found.showing(lambda one: ListedSequence(**vars(one), **vars(figures[one.id])))
