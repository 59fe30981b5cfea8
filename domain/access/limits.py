"""How long people stay signed in, and how often they may try."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta

TOKEN_LIFETIME = timedelta(days=90)
"""How long a new API token lasts unless its maker says otherwise."""

_FIRST_WAIT = timedelta(seconds=1)
_DOUBLINGS_MOST = 20


def _random_secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class AccessRules:
    """The limits of signing in.

    Attributes:
        secret: Signs session cookies; a new one ends every session.
        session_idle: After this long without a request a session is over.
        session_lifetime: After this long it is over, however busy.
        sign_in_window: The span that wrong tries are counted in; at most a day.
        sign_in_delay_most: The longest wait between two tries at signing in.
        sign_ins_per_email: Wrong tries for one email address from one network address, or from
            one known device, before each further one has to wait.
        sign_ins_per_email_anywhere: The same for one email address from all network addresses.
        sign_ins_per_address: The same for one network address, whoever is tried.
        set_up_link_lifetime: How long a link for setting a password works.
        workspace_words: Words that do not count in a password, such as the site's name.
        enrolments_per_hour: Most contacts one user may enroll in an hour; None for no limit.
    """

    secret: str = field(default_factory=_random_secret, repr=False)
    session_idle: timedelta = timedelta(hours=8)
    session_lifetime: timedelta = timedelta(days=7)
    sign_in_window: timedelta = timedelta(minutes=15)
    sign_in_delay_most: timedelta = timedelta(seconds=30)
    sign_ins_per_email: int = 10
    sign_ins_per_email_anywhere: int = 100
    sign_ins_per_address: int = 50
    set_up_link_lifetime: timedelta = timedelta(hours=72)
    workspace_words: tuple[str, ...] = ()
    enrolments_per_hour: int | None = None

    def delay(self, wrong: int, free: int) -> timedelta:
        """Compute the wait after wrong tries: none for the ``free`` first, then 1 s, doubling."""
        if wrong < free:
            return timedelta()
        doublings = min(wrong - free, _DOUBLINGS_MOST)
        return min(_FIRST_WAIT * (1 << doublings), self.sign_in_delay_most)
