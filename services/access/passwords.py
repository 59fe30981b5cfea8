"""Hashing and checking passwords, by argon2id."""

import asyncio
import base64
import secrets
from collections.abc import Iterable

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain.platform.errors import InvalidFieldError
from services.access.password_strength import require_strong

PASSWORD_LENGTH = 12
"""Fewest characters of a password."""

PASSWORD_LENGTH_MOST = 1024
"""Most characters of a password, lest hashing long ones keep the API busy."""

_AT_ONCE = 4  # each takes 64 MiB
_PRODUCT = "segue"


class Passwords:
    """Hashes and checks passwords in threads, a few at once.

    New ones may not consist of ``workspace``: words that any colleague could think of.
    """

    def __init__(self, workspace: Iterable[str] = ()) -> None:
        self._workspace = (_PRODUCT, *workspace)
        self._hasher = PasswordHasher()
        self._nobodys = _hash_of_nothing(self._hasher)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str, *, personal: Iterable[str], field: str = "password") -> str:
        """Hash a new password; ``personal`` is as ``require_strong`` takes it.

        Raises:
            InvalidFieldError: ``invalid_password``: too short, too long or too easy to guess.
        """
        if not PASSWORD_LENGTH <= len(password) <= PASSWORD_LENGTH_MOST:
            raise InvalidFieldError(
                field,
                f"must have {PASSWORD_LENGTH} to {PASSWORD_LENGTH_MOST} characters",
                code="invalid_password",
            )
        known = (*personal, *self._workspace)
        async with self._slots:
            await asyncio.to_thread(require_strong, password, field=field, personal=known)
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, hashed: str | None, password: str) -> bool:
        """Check a password; takes as long if there is none to match."""
        async with self._slots:
            right = await asyncio.to_thread(self._verify, hashed or self._nobodys, password)
        return right and hashed is not None

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """Write a hash as the hasher would, which no password matches."""

    def random(length: int) -> str:
        return base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")

    return (
        f"$argon2{hasher.type.name.lower()}$v=19"
        f"$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
        f"${random(hasher.salt_len)}${random(hasher.hash_len)}"
    )
