"""Confirming and changing one's own password."""

from uuid import UUID

from domain.access.limits import AccessRules
from domain.platform.errors import InvalidFieldError, required
from services.access.passwords import Passwords
from services.access.users import revoke_tokens_of
from services.platform import audit, rate_limits
from storage.access import sessions, users
from storage.platform.database import Database
from storage.tables.access import User


class OwnPassword:
    """Checks and changes the password of somebody who is signed in."""

    def __init__(self, database: Database, rules: AccessRules, passwords: Passwords) -> None:
        self._database = database
        self._rules = rules
        self._passwords = passwords

    async def confirm(self, user_id: UUID, password: str) -> None:
        """Check a user's own password again: somebody else may be at their unlocked screen.

        Raises:
            InvalidFieldError: ``missing`` or ``wrong_password``, of the field ``password``.
            TooManyRequestsError: It was guessed at too often.
        """
        if not password:
            raise InvalidFieldError("password", "is required; enter your own", code="missing")
        await self._require_matching(await self._user(user_id), password, field="password")

    async def change(
        self, user_id: UUID, *, current: str, new: str, revoke_tokens: bool = False
    ) -> None:
        """Change a user's password and end all their sessions.

        With ``revoke_tokens`` their API tokens end too: whoever knew the present password may have
        made some.

        Raises:
            InvalidFieldError: ``invalid_password`` for the new one; ``wrong_password`` if the
                present one is wrong, or there is none.
            TooManyRequestsError: The present one was guessed at too often.
        """
        field = "current_password"
        user = await self._user(user_id)
        # Count before hashing, so that one user's tries cannot keep all others waiting.
        await self._require_matching(user, current, field=field)
        hashed = await self._passwords.hash(
            new, personal=(user.email, user.name), field="new_password"
        )
        async with self._database.transaction() as tx:
            locked = await users.lock(tx, user_id)
            if locked is None or locked.password_hash != user.password_hash:
                raise _wrong(field)
            await users.change(tx, user_id, {"password_hash": hashed})
            await sessions.end_all(tx, user_id)
            if revoke_tokens:
                await revoke_tokens_of(tx, user_id)
            await audit.record(tx, "user.change", "user", [user_id], fields="password")

    async def _user(self, user_id: UUID) -> User:
        async with self._database.transaction() as tx:
            return required(await users.get(tx, user_id), "user", user_id)

    async def _require_matching(self, user: User, password: str, *, field: str) -> None:
        most, window = self._rules.sign_ins_per_email, self._rules.sign_in_window
        await rate_limits.take(self._database, f"password:{user.id}", 1, most, window)
        if not await self._passwords.matches(user.password_hash, password):
            async with self._database.transaction() as tx:
                await audit.record(tx, "user.refuse_password", "user", [user.id])
            raise _wrong(field)


def _wrong(field: str) -> InvalidFieldError:
    return InvalidFieldError(
        field,
        "is incorrect; if you have none, ask an admin for a link to set it",
        code="wrong_password",
    )
