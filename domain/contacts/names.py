"""What contacts are called."""

from typing import NamedTuple
from uuid import UUID


class ContactName(NamedTuple):
    """A contact as lists show it."""

    id: UUID
    name: str
    phone: str

    @property
    def is_nameless(self) -> bool:
        """Whether the number is all that is known: whoever is added by number is named by it."""
        return self.name in {"", self.phone}


def full_name(first_name: str, last_name: str) -> str:
    """Join a first and a last name; either may be empty."""
    return f"{first_name} {last_name}".strip()
