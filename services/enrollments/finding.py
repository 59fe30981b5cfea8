"""Finding sequences, groups and contacts with one search, a few of each."""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from domain.platform.names import Named, clean_search
from storage.enrollments import finding, pickers
from storage.enrollments.finding import FoundSequence
from storage.enrollments.pickers import PickedContact
from storage.platform.database import Database

FOUND_MOST = 8
"""Most of each kind."""

SHORTEST = 2
"""Fewest characters to search for: one is in almost every name."""


@dataclass(frozen=True)
class Found:
    """What a search found, by name."""

    sequences: Many[FoundSequence] = ()
    groups: Many[Named] = ()
    contacts: Many[PickedContact] = ()


class Finding:
    """Finds where someone wants to go."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, search: str) -> Found:
        """Search names, and the numbers of contacts by their digits.

        Raises:
            InvalidFieldError: The search cannot match anything.
        """
        sought = clean_search(search)
        if len(sought) < SHORTEST:
            return Found()
        async with self._database.transaction() as tx:
            return Found(
                await finding.sequences(tx, sought, FOUND_MOST),
                await finding.groups(tx, sought, FOUND_MOST),
                await pickers.contacts(tx, search=sought, sequence_id=None, limit=FOUND_MOST),
            )
