"""The secrets of the stack on one machine: made once, kept in the data folder."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from standalone.errors import PartError


@dataclass(frozen=True)
class Secrets:
    """What the parts share, and how to sign in as the demo's administrator once that is known."""

    twilio_account_sid: str
    twilio_auth_token: str
    session_secret: str
    email: str = ""
    password: str = ""
    token: str = ""

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the kept secrets, or make and keep new ones.

        Raises:
            PartError: The file is there but is not what was written.
        """
        if file.exists():
            try:
                return cls(**json.loads(file.read_text()))
            except (TypeError, ValueError):
                raise PartError(
                    f"{file} is damaged. Remove it to have new secrets made; the sign-in it held"
                    " is then replaced with: python -m manage create-admin --email YOURS"
                ) from None
        made = cls(
            twilio_account_sid=f"AC{secrets.token_hex(16)}",
            twilio_auth_token=secrets.token_hex(16),
            session_secret=secrets.token_hex(32),
        )
        made.save(file)
        return made

    def save(self, file: Path) -> None:
        """Keep the secrets."""
        write_private(file, json.dumps(asdict(self), indent=2))

    def with_sign_in(self, printed: str) -> Self:
        """Take over what the seeding printed: lines of JSON with email, password and token."""
        changes: dict[str, str] = {}
        for line in printed.splitlines():
            if line.startswith("{"):
                changes.update(json.loads(line))
        known = {name: changes[name] for name in ("email", "password", "token") if name in changes}
        return replace(self, **known)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    making = file.with_name(f"{file.name}.new")
    making.unlink(missing_ok=True)
    with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    making.replace(file)
