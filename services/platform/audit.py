"""Who did what to whom: written in the transaction that does it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storage.platform import audit
from storage.platform.audit import AuditRow
from storage.platform.database import Database, Transaction


@dataclass(frozen=True)
class Actor:
    """Who is acting, for as long as a request or a piece of background work lasts.

    Attributes:
        user_id: Who; None for nobody who is signed in.
        token_id: The API token that was shown, if one was.
        address: The network address the request came from, if one did.
    """

    user_id: UUID | None = None
    token_id: UUID | None = None
    address: str | None = None


_NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=_NOBODY)


def set_actor(actor: Actor) -> None:
    """Say who acts from here on in this task: a request, which has a context of its own."""
    _actor.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Say who acts inside the block."""
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
    """Write down that the one who acts did something; it stands if the transaction does.

    Args:
        tx: The transaction of what is done.
        action: What, such as ``contact.erase``: the kind of thing, a dot, what was done to it.
        subject_kind: Of what; ``contact``, ``enrollment``, ``user`` and so on.
        subject_ids: To which; one entry each, and one without a subject if there are none.
        user_id: Who, where the one who acts is not set (commands at a terminal).
        detail: Codes, ids and counts; never a number, a name, a text or a secret.
    """
    subjects: list[UUID | None] = [*subject_ids] or [None]
    await _add(tx, action, subject_kind, [(one, detail) for one in subjects], user_id)


async def record_each(
    tx: Transaction,
    action: str,
    subject_kind: str,
    details: Mapping[UUID, Mapping[str, str | int | bool | None]],
    *,
    user_id: UUID | None = None,
) -> None:
    """Write down that something was done to several, as ``record``, with a detail of each."""
    await _add(tx, action, subject_kind, list(details.items()), user_id)


async def _add(
    tx: Transaction,
    action: str,
    subject_kind: str | None,
    subjects: Sequence[tuple[UUID | None, Mapping[str, str | int | bool | None]]],
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
        subjects=subjects,
    )


@dataclass(frozen=True)
class Who:
    """A user as an entry names them."""

    id: UUID
    name: str


@dataclass(frozen=True)
class Entry:
    """Who did what to whom.

    Attributes:
        id: Later entries have greater ones.
        at: UTC.
        user: Who; None for nobody who was signed in, and for commands at a terminal.
        token_id: The API token they showed, if one.
        action: The kind of thing, a dot, what was done to it.
        subject_kind: Of what.
        subject_id: To which.
        detail: Codes, ids and counts.
        address: The network address it came from.
    """

    id: int
    at: datetime
    user: Who | None
    token_id: UUID | None
    action: str
    subject_kind: str | None
    subject_id: UUID | None
    detail: Mapping[str, Any]
    address: str | None

    @classmethod
    def of(cls, row: AuditRow) -> "Entry":
        """Read a row."""
        entry = row.entry
        who = None if entry.user_id is None else Who(entry.user_id, row.user_name or "")
        return cls(
            entry.id or 0,
            entry.at,
            who,
            entry.token_id,
            entry.action,
            entry.subject_kind,
            entry.subject_id,
            entry.detail,
            entry.address,
        )


class Audit:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self,
        *,
        user_id: UUID | None = None,
        action: str | None = None,
        subject_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> tuple[Sequence[Entry], int | None]:
        """List entries, the newest first.

        Args:
            user_id: Only what this one did.
            action: Only this.
            subject_id: Only what was done to this.
            since: Only from this moment on.
            until: Only before this moment.
            before_id: Only entries before this one: where the page begins.
            limit: Most entries.

        Returns:
            The entries, and ``before_id`` of the next page; None on the last.
        """
        async with self._database.transaction() as tx:
            rows = await audit.find(
                tx,
                user_id=user_id,
                action=action,
                subject_id=subject_id,
                since=since,
                until=until,
                before_id=before_id,
                limit=limit + 1,
            )
        entries = [Entry.of(row) for row in rows[:limit]]
        return entries, entries[-1].id if len(rows) > limit else None
