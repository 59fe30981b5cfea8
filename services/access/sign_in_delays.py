"""Growing delays after wrong tries at signing in: strangers slow down, owners get in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from domain.access.limits import AccessRules
from services.access.users import digest
from services.platform.rate_limits import TooManyRequestsError
from storage.access import sign_in_delays
from storage.access.sign_in_delays import Tries
from storage.platform.database import Database, Transaction

_HOST_BITS = 128 - 56
"""The part of an IPv6 address that its owner chooses."""


@dataclass(frozen=True)
class Try:
    """A try at signing in that may go ahead; counted as wrong until it turns out right.

    Attributes:
        pair: Key of the count for this email address from this network address or device.
        place: Key of the count for the network address; empty for a known device.
        account: Key of the count for the email address; empty for a known device.
    """

    pair: str
    place: str = ""
    account: str = ""

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all its counts."""
        return [key for key in (self.pair, self.place, self.account) if key]


class SignInTries:
    """Counts tries at signing in, in PostgreSQL, for all processes together.

    Three things are counted, and no one of them lets a stranger lock anybody out:

    * One email address from one network address: after some wrong tries each further one waits,
      longer every time. Wrong tries from elsewhere do not use these waits up.
    * One network address, whomever the tries are for: likewise, after more of them. All new devices
      behind it share its turns, strangers' among them.
    * One email address from everywhere: after many, a network address that has not tried yet
      waits once before its first try. The wait is its own, so it passes however many others try.

    A device that its user signed in from before is counted by itself alone, for each user apart, so
    nothing that strangers do slows it down. No wait is longer than
    ``AccessRules.sign_in_delay_most``, and each count begins anew after
    ``AccessRules.sign_in_window``.
    """

    def __init__(self, database: Database, rules: AccessRules) -> None:
        self._database = database
        self._rules = rules

    async def begin(self, email: str, address: str | None, device_id: str | None) -> Try:
        """Count a try that is about to be made, as a wrong one, even if there is no such user.

        ``email`` is as addresses are compared; ``device_id`` is given if this user signed in from
        the device before.

        Raises:
            TooManyRequestsError: It comes too soon, and was not counted.
        """
        wanted = _try_of(email, address, device_id)
        async with self._database.transaction() as tx:
            now, found = await sign_in_delays.lock(tx, wanted.keys, self._rules.sign_in_window)
            wait = self._wait(wanted, now, found)
            if wait is None:
                left = self._counted(wanted, now, found)
            elif wait.appointed is not None:
                left = {wanted.pair: wait.appointed}
            else:
                # Rolls back: a refused try leaves no rows, whatever addresses it names.
                raise _too_soon(wait)
            await sign_in_delays.write(tx, left, now, self._rules.sign_in_window)
        if wait is not None:
            raise _too_soon(wait)
        return wanted

    async def end_right(self, tx: Transaction, right: Try) -> None:
        """Take back a try that turned out right."""
        now, found = await sign_in_delays.lock(tx, right.keys, self._rules.sign_in_window)
        left = {right.pair: Tries()}
        for key, free in self._shared(right):
            wrong = max(0, found[key].wrong - 1)
            # Others' wrong tries still count.
            left[key] = Tries(wrong, found[key].next_at if wrong >= free else None)
        await sign_in_delays.write(tx, left, now, self._rules.sign_in_window)

    def _wait(self, wanted: Try, now: datetime, found: Mapping[str, Tries]) -> "_Wait | None":
        """Decide whether a try has to wait."""
        nexts = [found[key].next_at for key in (wanted.pair, wanted.place) if key]
        left = max((at - now for at in nexts if at is not None), default=timedelta())
        if left > timedelta():
            return _Wait(left)
        pressure = self._pressure(wanted, found)
        if pressure and found[wanted.pair].next_at is None:
            return _Wait(pressure, Tries(found[wanted.pair].wrong, now + pressure))
        return None

    def _counted(
        self, wanted: Try, now: datetime, found: Mapping[str, Tries]
    ) -> Mapping[str, Tries]:
        """Add one wrong try to each count."""
        more = {key: Tries(found[key].wrong + 1) for key in wanted.keys}
        own = self._rules.delay(more[wanted.pair].wrong, self._rules.sign_ins_per_email)
        pressure = self._pressure(wanted, more)
        more[wanted.pair] = more[wanted.pair]._replace(next_at=now + max(own, pressure))
        if wanted.place:
            wrong = more[wanted.place].wrong
            delay = self._rules.delay(wrong, self._rules.sign_ins_per_address)
            more[wanted.place] = Tries(wrong, now + delay)
        return more

    def _pressure(self, wanted: Try, found: Mapping[str, Tries]) -> timedelta:
        """Compute how long all wrong tries for an email address make each new network wait."""
        if not wanted.account:
            return timedelta()
        wrong = found[wanted.account].wrong
        return self._rules.delay(wrong, self._rules.sign_ins_per_email_anywhere)

    def _shared(self, one: Try) -> Sequence[tuple[str, int]]:
        """List the counts shared with others' tries, and how many of each are free."""
        counts = (
            (one.place, self._rules.sign_ins_per_address),
            (one.account, self._rules.sign_ins_per_email_anywhere),
        )
        return [(key, free) for key, free in counts if key]


@dataclass(frozen=True)
class _Wait:
    """A wait, and the count to be written if it begins only now."""

    left: timedelta
    appointed: Tries | None = None


def _too_soon(wait: _Wait) -> TooManyRequestsError:
    return TooManyRequestsError("too many failed attempts", wait.left)


def _try_of(email: str, address: str | None, device_id: str | None) -> Try:
    account = f"sign-in:as:{digest(email)}"
    if device_id is not None:
        # A count per user: signing in as oneself forgives no guesses at a colleague's.
        return Try(f"{account}:device:{device_id}")
    place = network_of(address)
    return Try(f"{account}:from:{place}", f"sign-in:from:{place}" if place else "", account)


def network_of(address: str | None) -> str:
    """Reduce an address to the network to count by; IPv6 customers mostly have a whole /56."""
    if address is None:
        return ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return digest(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> _HOST_BITS << _HOST_BITS))
    return str(parsed)
