"""Secrets of the stack on one machine, generated once and kept in the data folder."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from standalone.errors import PartError


@dataclass(frozen=True)
class Secrets:
    """Secrets that the parts share, and the demo administrator's sign-in once it exists."""

    twilio_account_sid: str
    twilio_auth_token: str
    session_secret: str
    email: str = ""
    password: str = ""
    token: str = ""

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the stored secrets, or generate and store new ones.

        Raises:
            PartError: The file is damaged.
        """
        if file.exists():
            try:
                return cls(**json.loads(file.read_text()))
            except (TypeError, ValueError):
                raise PartError(
                    f"{file} is damaged. Remove it to generate new secrets, then replace the"
                    " sign-in it held: python -m manage create-admin --email YOURS"
                ) from None
        made = cls(
            twilio_account_sid=f"AC{secrets.token_hex(16)}",
            twilio_auth_token=secrets.token_hex(16),
            session_secret=secrets.token_hex(32),
        )
        made.save(file)
        return made

    def save(self, file: Path) -> None:
        """Store the secrets."""
        write_private(file, json.dumps(asdict(self), indent=2))

    def with_sign_in(self, printed: str) -> Self:
        """Return the secrets with the sign-in that seeding printed as lines of JSON."""
        changes: dict[str, str] = {}
        for line in printed.splitlines():
            if line.startswith("{"):
                changes |= json.loads(line)
        names = changes.keys() & {"email", "password", "token"}
        return replace(self, **{name: changes[name] for name in names})


def write_private(file: Path, text: str) -> None:
    """Write a file readable by its owner only, atomically."""
    making = file.with_name(f"{file.name}.new")
    making.unlink(missing_ok=True)
    with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    making.replace(file)
