"""How users want the pages: what they chose last, remembered for them alone.

The names are in ``domain/access/preferences.py``.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from storage.access import preferences
from storage.platform.database import Database


class Preferences:
    """Remembers what users chose, one value for each name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: UUID, name: str) -> Mapping[str, Any]:
        """Read what a user chose; empty if they chose nothing yet."""
        async with self._database.transaction() as tx:
            return await preferences.get(tx, user_id, name) or {}

    async def put(self, user_id: UUID, name: str, value: Mapping[str, Any]) -> None:
        """Remember what a user chose."""
        async with self._database.transaction() as tx:
            await preferences.put(tx, user_id, name, value)
