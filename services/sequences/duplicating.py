"""Copying sequences."""

from itertools import count
from uuid import UUID, uuid4

from domain.statuses.sequences import SequenceState
from services.platform import audit
from services.sequences.sequences import MAX_NAME, find
from storage.platform import outbox
from storage.platform.database import Database, Transaction
from storage.sequences import media
from storage.sequences import sequences as rows
from storage.sequences.sequences import SequenceRecord

_COPIED = (
    *("sender_id", "kind", "on_reply", "counts_as_reply"),
    *("purpose", "reply_window_seconds", "send_window"),
)


class Duplicating:
    """Copies sequences."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def duplicate(self, sequence_id: UUID, user_id: UUID) -> SequenceRecord:
        """Add a draft with a sequence's settings and current steps, even those with past dates.

        Its name is "Copy of ...", with a number if that name is taken.

        Raises:
            NotFoundError: There is no such sequence.
        """
        copy_id = uuid4()
        async with self._database.transaction() as tx:
            original = await find(tx, sequence_id)
            await media.keep(tx, {url for step in original.steps for url in step.media_urls})
            values = {
                "id": copy_id,
                "name": await _copy_name(tx, original.name),
                **{name: getattr(original, name) for name in _COPIED},
                "state": SequenceState.DRAFT,
                "created_by": user_id,
            }
            await rows.insert_sequence(tx, values)
            await rows.add_version(tx, copy_id, original.steps, user_id)
            await outbox.add_paces(tx, [original.sender_id])
            await audit.record(
                tx,
                "sequence.create",
                "sequence",
                [copy_id],
                user_id=user_id,
                copy_of=str(sequence_id),
            )
            return await find(tx, copy_id)


async def _copy_name(tx: Transaction, name: str) -> str:
    """Find a free name; two copies made at the same moment may share one."""
    base = f"Copy of {name}"[: MAX_NAME - len(" (9999)")]
    taken = await rows.names_starting(tx, base)
    numbered = (f"{base} ({number})" for number in count(2))
    return base if base not in taken else next(one for one in numbered if one not in taken)
