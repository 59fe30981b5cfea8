"""A step as it is written: by a request, in a template, before anything is checked."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from domain.sequences.texts import keys_in
from domain.statuses.sequences import LatePolicy

LATE_AFTER = timedelta(hours=1)
"""How long after its time a step is not late yet: a short outage skips nothing."""


class _Written(Protocol):
    @property
    def body(self) -> str: ...
    @property
    def anchor_key(self) -> str | None: ...


def keys_of(steps: Iterable[_Written]) -> tuple[str, ...]:
    """List the keys of fields and variables that steps say or go by, each once."""
    found = list(steps)
    anchors = (one.anchor_key for one in found if one.anchor_key is not None)
    return tuple(dict.fromkeys((*keys_in(*(one.body for one in found)), *anchors)))


def patience(late: LatePolicy, late_hours: int | None) -> timedelta | None:
    """Give how long after its time a step may still go; None for whenever."""
    match late:
        case LatePolicy.SEND:
            return None
        case LatePolicy.EXPIRE:
            return timedelta(hours=late_hours or 0)
        case LatePolicy.SKIP:
            return LATE_AFTER


@dataclass(frozen=True)
class StepDraft:
    """A step, not validated yet.

    Attributes:
        body: With merge fields.
        delay_seconds: After the text before; ongoing sequences only.
        at_time: ``HH:MM``; ongoing sequences only.
        send_at: ``YYYY-MM-DDTHH:MM[:SS]`` on the contact's clock; scheduled sequences only.
        anchor_key: Of the date that times it instead, in ongoing sequences: a contact's field, or a
            variable of that key.
        anchor_offset_seconds: From that date; negative for before.
        late: A ``LatePolicy``.
        late_hours: With ``expire`` only.
    """

    body: str
    media_urls: tuple[str, ...] = ()
    delay_seconds: int | None = None
    at_time: str | None = None
    send_at: str | None = None
    anchor_key: str | None = None
    anchor_offset_seconds: int | None = None
    late: str = LatePolicy.SEND
    late_hours: int | None = None
