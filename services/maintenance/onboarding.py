"""The checklist of a new workspace, which ticks itself."""

from uuid import UUID

from domain.access.preferences import Preference
from storage.access import preferences
from storage.maintenance import onboarding
from storage.maintenance.onboarding import FirstSteps
from storage.platform.database import Database


class Onboarding:
    """Tells new users what to do first, until it is done or they do not want to be told."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first_steps(self, user_id: UUID) -> FirstSteps | None:
        """Read what is done of the first steps; None once all is, or the user dismissed them."""
        async with self._database.transaction() as tx:
            found = await onboarding.first_steps(tx, user_id)
        return None if found is None or found.are_done else found

    async def dismiss(self, user_id: UUID) -> None:
        """Show a user the first steps no more."""
        async with self._database.transaction() as tx:
            await preferences.put(tx, user_id, Preference.CHECKLIST_DISMISSED, {})
