"""Wakes: what a change leads to for very many rows, written with it, taken page by page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from storage.platform.database import Transaction, Written, note


class WakeKind(StrEnum):
    """What enrollments are to be told, or contacts to lose; ``subject_id`` is in brackets."""

    OFF_HOLD = "off_hold"  # (sender) those that wait for it go on
    UNBLOCKED = "unblocked"  # (sequence) those that nothing blocks any more go on
    REPLY_WINDOW = "reply_window"  # (sequence) those that await a reply wait as long as it says now
    SEND_WINDOW = "send_window"  # (sequence) those that wait for their moment look again
    DATA_FILLED = "data_filled"  # (contact) those that wait for what is filled in go on
    FIELD_REMOVED = "field_removed"  # (field of contacts) their values of it are deleted


@dataclass(frozen=True)
class Wake:
    """One change; ``place`` is where the next page begins."""

    id: int
    kind: WakeKind
    subject_id: UUID
    place: dict[str, Any] | None


async def add(
    tx: Transaction, kind: WakeKind, subject_ids: Sequence[UUID], *, at_once: bool = True
) -> None:
    """Ask for the pages of a change of senders, sequences, contacts or fields.

    ``at_once``: begin before the change is answered; else within a second, in the background.
    """
    await _insert(tx, kind, subject_ids)
    if at_once:
        note(tx, Written.WAKES)


async def replace(tx: Transaction, wake: Wake, kind: WakeKind, subject_ids: Sequence[UUID]) -> None:
    """Replace a wake by others, which its taker takes next."""
    await _insert(tx, kind, subject_ids)
    await go_on_from(tx, wake, None)


async def _insert(tx: Transaction, kind: WakeKind, subject_ids: Sequence[UUID]) -> None:
    sql = "INSERT INTO wakes (kind, subject_id) SELECT :kind, unnest(CAST(:ids AS uuid[]))"
    await tx.run(sql, kind=kind, ids=subject_ids)


_TOLD_OF = {
    "state": (WakeKind.UNBLOCKED,),
    "sender_id": (WakeKind.UNBLOCKED,),
    "reply_window_seconds": (WakeKind.REPLY_WINDOW,),
    "send_window": (WakeKind.SEND_WINDOW,),
    "purpose": (WakeKind.SEND_WINDOW, WakeKind.UNBLOCKED),
}


async def add_changes(tx: Transaction, sequence_id: UUID, changed: Iterable[str]) -> None:
    """Ask for a sequence's enrollments to be told of its changed columns."""
    for kind in sorted({kind for name in changed for kind in _TOLD_OF.get(name, ())}):
        await add(tx, kind, [sequence_id])


async def take(tx: Transaction) -> Wake | None:
    """Lock the oldest wake that nobody else has; None if there is none.

    Those that nobody waits for come last. Wakes of kinds that only a later release knows are left
    to it.
    """
    sql = """
        SELECT id, kind, subject_id, place FROM wakes WHERE kind = ANY(:known)
        ORDER BY kind = 'field_removed', id LIMIT 1 FOR UPDATE SKIP LOCKED
    """
    return await tx.one(Wake, sql, known=list(WakeKind))


async def go_on_from(tx: Transaction, wake: Wake, place: dict[str, Any] | None) -> None:
    """Note where the next page of a wake begins; None removes the wake."""
    if place is None:
        await tx.run("DELETE FROM wakes WHERE id = :id", id=wake.id)
    else:
        await tx.run("UPDATE wakes SET place = :place WHERE id = :id", id=wake.id, place=place)
