"""What the pages remember of what each user chose."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum

from domain.statuses.jobs import JobKind


class Preference(StrEnum):
    """What a user chose, by the name that it is stored under."""

    SINGLE_KEYS = "single_keys"
    """Whether single keys do something: ``{"on": false}``."""

    CHECKLIST_DISMISSED = "checklist_dismissed"
    """That the first steps are not to be shown any more."""

    SEQUENCE_CONTACTS = "sequence_contacts"
    """The columns and the density of Contacts tabs."""

    PREVIEW_CONTACT = "preview_contact"
    """The contact for whom texts are filled in: ``{"contact_id": ...}``; null for nobody."""

    TEST_PHONE = "test_phone"
    """The number, and its contact, that the last test was sent to; and whether it was ``ADDED``."""


ADDED = "added"
"""In ``TEST_PHONE``: whether that contact was added for the test."""


def columns_of(kind: JobKind, header: Sequence[str]) -> str:
    """Name what remembers how the columns of files with this first line are matched."""
    written = "\0".join(text.casefold() for text in header)
    return f"{kind.value}:{hashlib.sha256(written.encode()).hexdigest()[:32]}"
