"""Values of contacts' fields in words."""

from collections.abc import Mapping
from datetime import date

from api.pages.times import date_words
from domain.contacts.fields import Value, as_text
from domain.statuses.contacts import FieldType


def label_of(key: str, labels: Mapping[str, str]) -> str:
    """Return the label of a field or column; a key without one is written as words."""
    bare = key.removeprefix("fields.")
    return labels.get(key) or labels.get(bare) or bare.replace("_", " ").capitalize()


def in_words(kind: FieldType, value: Value) -> str:
    """Write a value of a field as people read it."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if kind is FieldType.DATE:
        return date_words(date.fromisoformat(str(value)))
    return as_text(value)
