"""Schemas of users, tokens and sessions."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import SHOWN_ONCE, Moment, Omissible, Schema, limits
from api.schemas.contacts import PersonName
from domain.statuses.access import Role, TokenScope
from services.access.passwords import PASSWORD_LENGTH, PASSWORD_LENGTH_MOST
from services.access.users import EMAIL_LENGTH, Caller


class NewUser(Schema):
    """A user to add."""

    email: str = Field(max_length=EMAIL_LENGTH)
    name: PersonName = ""
    role: Role


class User(Schema):
    """A user."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None


class SetUpLink(Schema):
    """A one-time link to set a password."""

    set_up_url: str | None = Field(description=f"For them alone. {SHOWN_ONCE}")
    set_up_expires_at: datetime = Field(description="Until when the link can be used.")


class MadeUser(User, SetUpLink):
    """A user who was just added, and the link for their password."""


class NewSetUpLink(Schema):
    """What ends along with the current password."""

    revoke_tokens: bool = False
    """Whether to revoke their tokens as well."""


class NewToken(Schema):
    """A token to create."""

    name: PersonName
    expires_at: Moment | None = Field(
        default=None,
        description=(
            "Null for never. Left out, 90 days from now, or when the token you use expires if that"
            " is earlier."
        ),
    )
    scopes: list[TokenScope] = Field(
        default_factory=lambda: [TokenScope.READ],
        min_length=1,
        max_length=len(TokenScope),
        description=(
            "What it may be used for, within what its user may do; left out, `read`. `read` (GET),"
            " `write` (changes), `send` (whatever lets texts go out), `admin` (users, tokens,"
            " senders)."
        ),
    )
    password: str = Field(default="", max_length=2000)
    """Yours: needed in a session. A token you use instead bounds the new one."""


class Token(Schema):
    """A token, without its secret."""

    id: UUID
    name: str
    scopes: list[TokenScope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = Field(
        description="Null while it is good; lists leave revoked ones out."
    )
    last_used_at: datetime | None = Field(description="To the minute.")


class MadeToken(Token):
    """A token that was just created."""

    token: str | None = Field(description=SHOWN_ONCE)


class UserChanges(Schema):
    """What to change of a user; what is left out stays."""

    name: PersonName = Omissible
    role: Role = Omissible
    disabled: bool = Field(default_factory=bool, description="Whether to disable them.")


class NewPassword(Schema):
    """A new password in place of the current one."""

    current_password: str = Field(max_length=2000)
    new_password: Annotated[
        str, limits(minLength=PASSWORD_LENGTH, maxLength=PASSWORD_LENGTH_MOST)
    ] = Field(max_length=2000)
    revoke_tokens: bool = False
    """Whether to revoke all your tokens as well."""


class OpenSession(Schema):
    """A session of yours."""

    id: UUID
    device: str = Field(examples=["Firefox on Windows"])
    address: str | None = Field(description="The network address it began from.")
    created_at: datetime
    last_seen_at: datetime = Field(description="To the minute.")
    expires_at: datetime = Field(description="When it ends, however busy.")
    is_current: bool = Field(description="Whether it is the one you use now.")


class SigningIn(Schema):
    """An email address and a password to sign in with."""

    email: str = Field(max_length=320, examples=["kim@example.com"])
    password: str = Field(max_length=2000)


class Session(Schema):
    """Who is signed in."""

    user: User
    role: Role
    scopes: list[TokenScope] = Field(description="All in a session; a token's are its own.")
    expires_at: datetime | None = Field(description="Null for a token that never expires.")

    @classmethod
    def of(cls, caller: Caller) -> "Session":
        """Read what is known of a caller."""
        return cls(
            user=User.model_validate(caller.user),
            role=caller.user.role,
            scopes=[scope for scope in TokenScope if scope in caller.scopes],
            expires_at=caller.expires_at,
        )
