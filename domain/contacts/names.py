"""What contacts are called."""

from typing import NamedTuple
from uuid import UUID

from domain.platform.phones import readable

_AFTER_NAMES = frozenset(
    (
        "jr",
        "sr",
        "ii",
        "iii",
        "iv",
        "esq",
        "phd",
        "md",
        "do",
        "dds",
        "rn",
        "lpn",
        "cpa",
        "mba",
        "pe",
    )
)
"""What may follow a name behind a comma, in lower case and without periods."""


class ContactName(NamedTuple):
    """A contact as lists show it."""

    id: UUID
    name: str
    phone: str


def is_nameless(name: str | None, phone: str) -> bool:
    """Whether the number is all that is known: whoever is added by number is named by it."""
    return not name or name == phone


def called(name: str | None, phone: str) -> str:
    """Return what a contact is called: by name, or the number where that is all that is known."""
    return readable(phone) if not name or is_nameless(name, phone) else name


def full_name(first_name: str, last_name: str) -> str:
    """Join a first and a last name; either may be empty."""
    return f"{first_name} {last_name}".strip()


def split_name(name: str) -> tuple[str, str]:
    """Split a whole name into first and last: ``Ann Lee`` or ``Lee, Ann``.

    The first word is the first name, which texts greet by; a single word is one too.
    """
    before, comma, after = (part.strip() for part in name.partition(","))
    is_suffix = after.replace(".", "").lower() in _AFTER_NAMES
    if comma and after and before and not is_suffix:
        return after, before
    first, _, last = before.partition(" ")
    return (
        first or after,
        f"{last.strip()}, {after}" if first and last and is_suffix else last.strip(),
    )
