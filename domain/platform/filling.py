"""Making one dataclass out of what has the same attributes."""

from dataclasses import fields
from typing import Any, TypeVar

_Made = TypeVar("_Made")


def filled(kind: type[_Made], source: object, **others: object) -> _Made:
    """Make a dataclass from the attributes of the same names of a row or of settings.

    Fields that it does not have take their defaults; ``others`` override its attributes.
    """
    names = [one.name for one in fields(kind) if one.name not in others]  # type: ignore[arg-type]
    found: dict[str, Any] = {name: getattr(source, name) for name in names if hasattr(source, name)}
    return kind(**found, **others)
