"""Archiving sequences, with the enrollments that are still active in them."""

from uuid import UUID

from domain.platform.errors import ConflictError
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceState
from services.enrollments.finishing import Finishing
from services.platform import audit
from services.sequences.sequences import find, lock
from storage.platform.database import Database
from storage.sequences import sequences as rows
from storage.sequences.sequences import SequenceRecord

_PAGE = 500


class Archiving:
    """Closes sequences for good."""

    def __init__(self, database: Database, finishing: Finishing) -> None:
        self._database = database
        self._finishing = finishing

    async def archive(
        self, sequence_id: UUID, user_id: UUID, *, finish_active: bool = False
    ) -> SequenceRecord:
        """Close a sequence for good.

        With ``finish_active`` its active enrollments are marked finished once nobody can be
        enrolled any more; if that is interrupted, archiving again goes on with the rest.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``active_enrollments`` with their ``count``, without ``finish_active``.
        """
        async with self._database.transaction() as tx:
            state = await lock(tx, sequence_id)
            if state is not SequenceState.ARCHIVED:
                counts = await rows.count_by_status(tx, [sequence_id])
                active = counts[sequence_id][EnrollmentStatus.ACTIVE]
                if active and not finish_active:
                    raise ConflictError(
                        "active_enrollments",
                        f"{active} enrollments are still active; wait for them, mark them finished,"
                        ' or archive with {"finish_active": true}',
                        count=active,
                    )
                await rows.update_sequence(tx, sequence_id, {"state": SequenceState.ARCHIVED})
                await audit.record(
                    tx, "sequence.archive", "sequence", [sequence_id], user_id=user_id
                )
        if finish_active:
            await self._finish_all(sequence_id, user_id)
        async with self._database.transaction() as tx:
            return await find(tx, sequence_id)

    async def _finish_all(self, sequence_id: UUID, user_id: UUID) -> None:
        last: UUID | None = None
        while True:
            async with self._database.transaction() as tx:
                active = await rows.active_ids(tx, sequence_id, after=last, limit=_PAGE)
            if not active:
                return
            await self._finishing.mark_finished(active, user_id)
            last = active[-1]
