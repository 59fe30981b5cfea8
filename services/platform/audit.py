"""The audit log: who did what to whom, written in the transaction that does it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.platform.filling import filled
from domain.platform.names import Named
from domain.platform.phones import readable
from storage.platform import audit, audit_subjects
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


async def record_later(
    tx: Transaction,
    action: str,
    subject_kind: str,
    subject_id: UUID,
    *,
    since: str,
    **detail: str | int | bool | None,
) -> None:
    """Audit, as ``record``, what an act led to in the background: the user is who did that act."""
    user_id = await audit.last_user(tx, since, subject_id)
    with acting(_NOBODY):
        await record(tx, action, subject_kind, [subject_id], user_id=user_id, **detail)


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


@dataclass(frozen=True)
class Subject:
    """Something that an act is about; ``name`` is None if it is gone or has none.

    A job's name is the code of its kind.
    """

    kind: str
    id: UUID
    name: str | None


@dataclass(frozen=True)
class Act:
    """Something that was done, to one subject or to many at once, as a sentence can tell it.

    Attributes:
        entry: The last of its entries.
        count: How many entries it has; with more than one, ``entry`` stands for all.
        subjects: What all of it is about, by what it is in the sentence: its kind, or ``owner``
            and ``original``.
        why: The reason that a person gave, if one is kept.
    """

    entry: Entry
    count: int
    subjects: Mapping[str, Subject]
    why: str | None = None


_NAMED_IN_DETAIL = {
    "contact_id": ("contact", "contact"),
    "group_id": ("group", "group"),
    "sequence_id": ("sequence", "sequence"),
    "copy_of": ("original", "sequence"),
    "owner_id": ("owner", "user"),
    "of": ("user", "user"),
}
"""What an id among the details is in the sentence, and its kind."""

_AT_ONCE = timedelta(minutes=1)
"""Within it, an entry and what it tells of were written by one request."""

_OF_EACH = frozenset({"contact_id"})
"""Ids among the details that differ within an act on many."""


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

    async def acts(
        self, wanted: AuditFilter, *, before_id: int | None = None, limit: int = 50
    ) -> tuple[Sequence[Act], int | None]:
        """List acts with the names of what they are about, the newest first, paged as ``find``."""
        async with self._database.transaction() as tx:
            rows = await audit.find_acts(tx, wanted, before_id=before_id, limit=limit + 1)
            entries = [(Entry.of(row), row.entries) for row in rows[:limit]]
            about = await _subjects(tx, entries)
            reasons = await _reasons(tx, entries)
        acts = [Act(*one, about[one[0].id], reasons.get(one[0].id)) for one in entries]
        return acts, entries[-1][0].id if len(rows) > limit else None


async def _subjects(
    tx: Transaction, entries: Sequence[tuple[Entry, int]]
) -> dict[int, dict[str, Subject]]:
    """Find what entries are about, and what that is called: a query for each kind."""
    found = {entry.id: _given(entry, of_many=count > 1) for entry, count in entries}
    many = [
        entry.id
        for entry, count in entries
        if count > 1 and entry.subject_kind == "enrollment" and "sequence" not in found[entry.id]
    ]
    if many:
        for entry_id, sequence_id in (await audit.only_sequences(tx, many)).items():
            found[entry_id]["sequence"] = ("sequence", sequence_id)
    for kind, ids in _by_kind(found).items():
        parts = await audit_subjects.parts(tx, kind, ids)
        for about in found.values():
            of_kind = about.get(kind)
            for name, one in parts.get(of_kind[1], {}).items() if of_kind else ():
                about.setdefault(name, (name, one))
    names: dict[tuple[str, UUID], str] = {}
    for kind, ids in _by_kind(found).items():
        for one, (name, phone) in (await audit_subjects.names(tx, kind, ids)).items():
            names[kind, one] = name or (readable(phone) if phone else "")
    return {
        entry_id: {
            name: Subject(kind, one, names.get((kind, one)) or None)
            for name, (kind, one) in about.items()
        }
        for entry_id, about in found.items()
    }


async def _reasons(tx: Transaction, entries: Sequence[tuple[Entry, int]]) -> dict[int, str]:
    """Find the reasons of opt-outs and of their removal, which may have been replaced since."""
    alone = [
        (entry, entry.subject_id)
        for entry, count in entries
        if entry.subject_kind == "suppression" and entry.subject_id and count == 1
    ]
    known = await audit_subjects.reasons(tx, {one for _, one in alone})
    return {
        entry.id: why.reason
        for entry, subject_id in alone
        for why in known
        if why.id == subject_id
        and why.lifted == (entry.action == "suppression.lift")
        and abs(why.at - entry.at) < _AT_ONCE
    }


def _given(entry: Entry, *, of_many: bool) -> dict[str, tuple[str, UUID]]:
    """Read what an entry itself says it is about: kinds and ids."""
    about = {}
    for key, (name, kind) in _NAMED_IN_DETAIL.items():
        if entry.detail.get(key) and not (of_many and key in _OF_EACH):
            about[name] = (kind, UUID(entry.detail[key]))
    if entry.subject_kind and entry.subject_id and not of_many:
        about[entry.subject_kind] = (entry.subject_kind, entry.subject_id)
    return about


def _by_kind(found: Mapping[int, Mapping[str, tuple[str, UUID]]]) -> dict[str, set[UUID]]:
    ids: dict[str, set[UUID]] = {}
    for about in found.values():
        for kind, one in about.values():
            ids.setdefault(kind, set()).add(one)
    return ids
