"""What is around every page: the workspace's settings, a user's keys, what waits for them."""

from dataclasses import dataclass
from uuid import UUID

from services.maintenance.workspace import WorkspaceClock, WorkspaceSettings
from services.messaging.inbox import WAIT_MOST
from storage.maintenance import frames
from storage.messaging.waiting import WaitingCounts
from storage.platform.database import Database


@dataclass(frozen=True)
class Frame:
    """What is around a page.

    Attributes:
        single_keys: Whether single keys do something; they do unless the user turned them off.
    """

    workspace: WorkspaceClock
    single_keys: bool
    waiting: WaitingCounts


class Frames:
    """Reads what every page shows besides its own, in one statement."""

    def __init__(self, database: Database, workspace: WorkspaceSettings) -> None:
        self._database = database
        self._workspace = workspace

    async def of(self, user_id: UUID, *, most: int) -> Frame:
        """Read what is around a user's page; the counts are at most so many, as ``Inbox``'s."""
        async with self._database.transaction() as tx:
            row = await frames.read(tx, user_id, WAIT_MOST, most=most)
        return Frame(
            self._workspace.clock(row.time_zone, row.hour_cycle or 12),
            bool((row.single_keys or {}).get("on", True)),
            WaitingCounts(row.conversations, row.numbers, row.reviews),
        )
