"""Finding sequences, groups and contacts with one search, a few of each."""

from collections.abc import Sequence as Many
from dataclasses import dataclass

from domain.platform.names import Named, clean_search
from storage.contacts import contacts
from storage.contacts.contacts import ContactFilter
from storage.enrollments import finding, pickers
from storage.enrollments.finding import FoundSequence
from storage.enrollments.pickers import PickedContact
from storage.platform.database import Database

FOUND_MOST = 8
"""Most of each kind."""

SHORTEST = 2
"""Fewest characters to search for: one is in almost every name."""


COUNTED_MOST = 1_000
"""So many contacts are counted; of more, that there are."""


@dataclass(frozen=True)
class Found:
    """What a search found, by name.

    Attributes:
        more_sequences: Whether there are more of them, as there may be groups.
        more_contacts: How many contacts more there are; at most as many as are counted.
    """

    sequences: Many[FoundSequence] = ()
    groups: Many[Named] = ()
    contacts: Many[PickedContact] = ()
    more_sequences: bool = False
    more_groups: bool = False
    more_contacts: int = 0


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
        limit = FOUND_MOST + 1
        async with self._database.transaction() as tx:
            sequences = await finding.sequences(tx, sought, limit)
            groups = await finding.groups(tx, sought, limit)
            people = await pickers.contacts(tx, search=sought, sequence_id=None, limit=limit)
            more = len(people) - FOUND_MOST
            if more > 0:
                wanted = ContactFilter(search=sought)
                more = await contacts.count(tx, wanted, most=COUNTED_MOST) - FOUND_MOST
        return Found(
            sequences[:FOUND_MOST],
            groups[:FOUND_MOST],
            people[:FOUND_MOST],
            more_sequences=len(sequences) > FOUND_MOST,
            more_groups=len(groups) > FOUND_MOST,
            more_contacts=max(more, 0),
        )
