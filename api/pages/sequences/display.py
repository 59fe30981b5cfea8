"""How a user wants the Contacts tab: its columns, and how close its rows are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from storage.contacts.fields import FieldDetails

FIELD = "field."
"""What the names of columns begin with that show a field of contacts; its key follows."""

MOST_COLUMNS = 12


class Density(StrEnum):
    """How close rows are."""

    COMPACT = "compact"
    COMFORTABLE = "comfortable"


class Column(NamedTuple):
    """A column beside the name.

    Attributes:
        name: As addresses name it.
        style: Its class, which says how wide it is.
        sort: What the list is sorted by when its heading is clicked; empty if it cannot be.
        field: The field of contacts that it shows, if it shows one.
    """

    name: str
    label: str
    style: str
    sort: str = ""
    field: FieldDetails | None = None


COLUMNS = (
    Column("status", "Status", "is-status"),
    Column("step", "Step", "is-step"),
    Column("next", "Next", "is-next", "next_send_at"),
    Column("enrolled", "Enrolled", "is-enrolled", "enrolled_at"),
    Column("last_message", "Last message", "is-last", "last_message_at"),
)
"""What the tab shows unless told otherwise."""

NAME = Column("name", "Contact", "is-name", "name")


@dataclass(frozen=True)
class Display:
    """What the tab shows of each person, and how.

    Attributes:
        asked: The names of the columns, some of which may be of fields that are gone.
    """

    asked: tuple[str, ...]
    density: Density

    @classmethod
    def of(cls, kept: Mapping[str, Any], *, columns: str, density: Density | None) -> "Display":
        """Take what the address asks for, else what the user chose, else all of ``COLUMNS``."""
        asked = columns.split(",") if columns else kept.get("columns")
        names = tuple(asked if asked is not None else (column.name for column in COLUMNS))
        return cls(names, density or Density(kept.get("density", Density.COMPACT)))

    @property
    def has_fields(self) -> bool:
        """Whether a column shows a field of contacts."""
        return any(name.startswith(FIELD) for name in self.asked)

    def columns(self, own: Sequence[FieldDetails]) -> list[Column]:
        """Return the columns, of those fields that there are."""
        return [column for column in every_column(own) if column.name in self.asked][:MOST_COLUMNS]

    def as_parameters(self) -> dict[str, str]:
        """Write it as parameters of an address."""
        return {"columns": ",".join(self.asked), "density": self.density}


def every_column(own: Sequence[FieldDetails]) -> list[Column]:
    """List the columns to choose from: the tab's, and one for each field of the workspace."""
    fields = [Column(f"{FIELD}{one.key}", one.label, "is-field", field=one) for one in own]
    return [*COLUMNS, *fields]
