"""The audit log: who did what to whom, written in the transaction that does it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.platform.filling import filled
from domain.platform.names import Named
from storage.platform import audit
from storage.platform.audit import AuditFilter, AuditRow
from storage.platform.database import Database, Transaction


@dataclass(frozen=True)
class Actor:
    """Who is acting in a request or in background work; ``user_id`` None if nobody is signed in."""

    user_id: UUID | None = None
    token_id: UUID | None = None
    address: str | None = None


_Detail = Mapping[str, str | int | bool | None]
_NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=_NOBODY)


def set_actor(actor: Actor) -> None:
    """Set who acts in the rest of this task, which has a context of its own: a request."""
    _actor.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Set who acts inside the block."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


async def record(
    tx: Transaction,
    action: str,
    subject_kind: str | None = None,
    subject_ids: Iterable[UUID] = (),
    *,
    user_id: UUID | None = None,
    **detail: str | int | bool | None,
) -> None:
    """Audit, in the transaction that does it, what the actor did: one entry for each subject.

    An action such as ``contact.erase`` is the kind of subject, a dot, and what was done to it. The
    detail is codes, ids and counts; never a number, a name, a text or a secret. ``user_id`` counts
    where no actor is set (commands at a terminal).
    """
    await _add(tx, action, subject_kind, [*subject_ids] or [None], [detail], user_id)


async def record_each(
    tx: Transaction,
    action: str,
    subject_kind: str,
    details: Mapping[UUID, _Detail],
    *,
    user_id: UUID | None = None,
) -> None:
    """Audit an action on several subjects, as ``record``, with details of each."""
    await _add(tx, action, subject_kind, list(details), list(details.values()), user_id)


async def _add(
    tx: Transaction,
    action: str,
    subject_kind: str | None,
    subject_ids: Sequence[UUID | None],
    details: Sequence[_Detail],
    user_id: UUID | None,
) -> None:
    actor = _actor.get()
    await audit.add(
        tx,
        user_id=actor.user_id or user_id,
        token_id=actor.token_id,
        address=actor.address,
        action=action,
        subject_kind=subject_kind,
        subject_ids=subject_ids,
        details=details,
    )


@dataclass(frozen=True)
class Entry:
    """Who did what to whom, as it is shown.

    Attributes:
        id: Later entries have greater ones.
        user: None for nobody who was signed in, and for commands at a terminal.
        detail: Codes, ids and counts.
    """

    id: int
    at: datetime
    user: Named | None
    token_id: UUID | None
    action: str
    subject_kind: str | None
    subject_id: UUID | None
    detail: Mapping[str, Any]
    address: str | None

    @classmethod
    def of(cls, row: AuditRow) -> "Entry":
        """Read a row."""
        return filled(cls, row.entry, user=Named.of(row.entry.user_id, row.user_name))


class Audit:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self, wanted: AuditFilter, *, before_id: int | None = None, limit: int = 50
    ) -> tuple[Sequence[Entry], int | None]:
        """List entries, the newest first, from before ``before_id`` on.

        Returns:
            The entries, and ``before_id`` of the next page; None on the last.
        """
        async with self._database.transaction() as tx:
            rows = await audit.find(tx, wanted, before_id=before_id, limit=limit + 1)
        entries = [Entry.of(row) for row in rows[:limit]]
        return entries, entries[-1].id if len(rows) > limit else None
