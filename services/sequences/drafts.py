"""Steps that users are writing: kept as they are, so that nothing is lost before it is saved."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.platform.errors import ConflictError, InvalidFieldError
from domain.statuses.sequences import SequenceState
from services.sequences.sequences import find, lock
from services.sequences.step_checks import MAX_STEPS
from storage.platform.database import Database
from storage.sequences import drafts
from storage.sequences.drafts import Publisher
from storage.sequences.sequences import SequenceRecord

WrittenStep = Mapping[str, str]
"""A step as a form has it, by the names of its fields; nothing of it is valid yet."""

_MOST_CHARACTERS = 500_000
_NOT_STORED = {0: None, **dict.fromkeys(range(0xD800, 0xE000))}  # PostgreSQL's jsonb takes neither


@dataclass(frozen=True)
class Draft:
    """Steps that a user has not saved.

    Attributes:
        version: Number of the version that they began with.
        saved_at: UTC.
        published: Who saved other steps since, the latest first.
        page: The page that wrote it, by an id of its own; other pages do not discard it unasked.
    """

    version: int
    steps: Many[WrittenStep]
    saved_at: datetime
    published: Many[Publisher]
    page: UUID | None = None


class Drafts:
    """Keeps one draft of a sequence's steps for each user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(
        self,
        sequence_id: UUID,
        user_id: UUID,
        version: int,
        steps: Many[WrittenStep],
        *,
        page: UUID | None = None,
        is_saved: Callable[[SequenceRecord], bool] = lambda _: False,
    ) -> datetime | None:
        """Keep a user's draft in place of the one before; return when that was.

        Gives None if ``is_saved`` says that the sequence has these steps: then the draft that the
        same page wrote is dropped. Nobody saves steps meanwhile.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_archived``.
            InvalidFieldError: Of ``steps``: more than any sequence could hold.
        """
        kept = [{name: text.translate(_NOT_STORED) for name, text in one.items()} for one in steps]
        size = sum(len(text) for one in kept for text in one.values())
        if len(kept) > MAX_STEPS * 2 or size > _MOST_CHARACTERS:
            raise InvalidFieldError("steps", "is too long to be kept; shorten it", code="too_long")
        async with self._database.transaction() as tx:
            await lock(tx, sequence_id)
            record = await find(tx, sequence_id, counted=False)
            if is_saved(record):
                await drafts.forget_of_page(tx, sequence_id, user_id, str(page or ""))
                return None
            if record.state is SequenceState.ARCHIVED:
                raise ConflictError(
                    "sequence_archived", "the sequence is archived; write a new one instead"
                )
            content = {"steps": kept, "page": str(page or "")}
            begun_with = max(1, min(version, record.version))
            return await drafts.put(tx, sequence_id, user_id, begun_with, content)

    async def get(self, sequence_id: UUID, user_id: UUID) -> Draft | None:
        """Read a user's draft, if they have one."""
        async with self._database.transaction() as tx:
            record = await drafts.get(tx, sequence_id, user_id)
            if record is None:
                return None
            published = await drafts.publishers(tx, sequence_id, after=record.version)
        page = record.content.get("page")
        return Draft(
            record.version,
            record.content["steps"],
            record.saved_at,
            published,
            UUID(page) if page else None,
        )

    async def discard(self, sequence_id: UUID, user_id: UUID) -> None:
        """Delete a user's draft; repeating it is harmless."""
        async with self._database.transaction() as tx:
            await drafts.forget(tx, sequence_id, user_id)
