"""Devices that people signed in from before, known by a signed cookie."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from itsdangerous import BadData, URLSafeTimedSerializer

DEVICE_KEPT = timedelta(days=365)
"""How long a device is known after the last sign-in from it."""

_ID_BYTES = 16
_USERS_MOST = 8
_COOKIE_MOST = 1024


@dataclass(frozen=True)
class Device:
    """A browser that people signed in from; ``user_ids`` the last one first."""

    id: str
    user_ids: tuple[UUID, ...] = ()


class Devices:
    """Reads and writes the cookie, signed with a secret.

    It grants no access: whoever steals it may guess passwords of its users at the pace of one
    device, as anybody may from an address of their own.
    """

    def __init__(self, secret: str) -> None:
        self._serializer = URLSafeTimedSerializer(
            secret, salt="device", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def read(self, cookie: str | None) -> Device | None:
        """Read a device from its cookie; None if the cookie is not ours, or too old."""
        if cookie is None or len(cookie) > _COOKIE_MOST:
            return None
        try:
            kept: dict[str, Any] = self._serializer.loads(
                cookie, max_age=int(DEVICE_KEPT.total_seconds())
            )
        except BadData:
            return None
        return Device(kept["id"], tuple(UUID(hex=one) for one in kept["users"]))

    def write(self, device: Device | None, user_id: UUID) -> str:
        """Write the cookie of a device, None if new, that a user has just signed in from."""
        before = device or Device(secrets.token_hex(_ID_BYTES))
        others = [one for one in before.user_ids if one != user_id]
        users = [user_id, *others][:_USERS_MOST]
        return str(self._serializer.dumps({"id": before.id, "users": [one.hex for one in users]}))
