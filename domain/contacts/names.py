"""What contacts are called."""

from typing import NamedTuple
from uuid import UUID


class ContactName(NamedTuple):
    """A contact as lists show it."""

    id: UUID
    name: str
    phone: str


def full_name(first_name: str, last_name: str) -> str:
    """Join a first and a last name; either may be empty."""
    return f"{first_name} {last_name}".strip()
