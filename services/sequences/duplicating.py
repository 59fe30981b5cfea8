"""Writing a sequence once more, as a draft to begin from."""

from itertools import count
from uuid import UUID, uuid4

from domain.platform.errors import NotFoundError
from domain.statuses.sequences import SequenceState
from services.platform import audit
from services.sequences.sequences import MAX_NAME
from storage.platform import outbox
from storage.platform.database import Database, Transaction
from storage.sequences import sequences as rows
from storage.sequences.sequences import SequenceRecord


class Duplicating:
    """The use case of duplicating a sequence.

    Args:
        database: PostgreSQL.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def duplicate(self, sequence_id: UUID, user_id: UUID) -> SequenceRecord:
        """Write a draft with a sequence's settings and current steps, dates that are past too.

        Its name is "Copy of ...", with a number behind it if there is such a copy already.

        Raises:
            NotFoundError: There is no such sequence.
        """
        copy_id = uuid4()
        async with self._database.transaction() as tx:
            original = await rows.find(tx, sequence_id)
            if original is None:
                raise NotFoundError("sequence", sequence_id)
            values = {
                "id": copy_id,
                "name": await _copy_name(tx, original.name),
                "sender_id": original.sender_id,
                "kind": original.kind,
                "on_reply": original.on_reply,
                "reply_window_seconds": original.reply_window_seconds,
                "send_window": original.send_window,
                "state": SequenceState.DRAFT,
                "created_by": user_id,
            }
            await rows.insert_sequence(tx, values)
            await rows.add_version(tx, copy_id, original.steps, user_id)
            await outbox.add_pace(tx, original.sender_id)
            await audit.record(
                tx,
                "sequence.create",
                "sequence",
                [copy_id],
                user_id=user_id,
                copy_of=str(sequence_id),
            )
            saved = await rows.find(tx, copy_id)
        assert saved is not None  # noqa: S101 - it was written above
        return saved


async def _copy_name(tx: Transaction, name: str) -> str:
    """Find a name that no sequence has yet, unless two are copied at the same moment."""
    base = f"Copy of {name}"[: MAX_NAME - len(" (9999)")]
    taken = await rows.names_starting(tx, base)
    numbered = (f"{base} ({number})" for number in count(2))
    return base if base not in taken else next(one for one in numbered if one not in taken)
