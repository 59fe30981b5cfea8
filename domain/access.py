"""How long people stay signed in, and how often things may be tried."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

TOKEN_LIFETIME = timedelta(days=90)
"""How long a new API token lasts unless its maker says otherwise."""


def _random_secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class AccessRules:
    """What the use cases of access go by.

    Attributes:
        secret: What session cookies are signed with; another one ends every session.
        session_idle: After this long without a request a session is over.
        session_lifetime: After this long it is over, however busy.
        sign_in_window: The span that sign-in attempts are counted in; at most a day.
        sign_ins_per_email: Most attempts in one span for one e-mail address from one network
            address.
        sign_ins_per_email_anywhere: Most from all network addresses together: many more, as a
            stranger who reaches it locks the owner out.
        sign_ins_per_address: Most attempts in one span from one network address.
        set_up_link_lifetime: How long somebody has for setting their password by a link.
        workspace_words: What a password must not be made of, such as the site's name.
        enrolments_per_hour: Most contacts one user may enrol in an hour; None for no limit.
    """

    secret: str = field(default_factory=_random_secret, repr=False)
    session_idle: timedelta = timedelta(hours=8)
    session_lifetime: timedelta = timedelta(days=7)
    sign_in_window: timedelta = timedelta(minutes=15)
    sign_ins_per_email: int = 10
    sign_ins_per_email_anywhere: int = 100
    sign_ins_per_address: int = 50
    set_up_link_lifetime: timedelta = timedelta(hours=72)
    workspace_words: tuple[str, ...] = ()
    enrolments_per_hour: int | None = None
