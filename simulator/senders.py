"""Numbers of Messaging Services, and opt-outs by recipient and sender."""

from zlib import crc32

POOL_SIZE = 3
_MAX_SERVICES = 2000
_OPT_OUT_WORDS = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
)
_OPT_IN_WORDS = frozenset({"START", "YES", "UNSTOP"})


class ServicePools:
    """Three numbers for every Messaging Service; a recipient always gets texts from one of them."""

    def __init__(self) -> None:
        self._pools: dict[str, tuple[str, ...]] = {}
        self._services: dict[str, str] = {}

    def numbers(self, service_sid: str) -> tuple[str, ...]:
        """Return a service's numbers: ``+1 628 555 0001`` and on."""
        if service_sid not in self._pools:
            first = len(self._pools) % _MAX_SERVICES * POOL_SIZE + 1
            pool = tuple(f"+1628555{first + index:04d}" for index in range(POOL_SIZE))
            self._pools[service_sid] = pool
            self._services.update(dict.fromkeys(pool, service_sid))
        return self._pools[service_sid]

    def choose(self, service_sid: str, recipient: str) -> str:
        """Return the number a service uses for a recipient (Twilio's sticky sender)."""
        return self.numbers(service_sid)[crc32(recipient.encode()) % POOL_SIZE]

    def service_of(self, number: str) -> str | None:
        """Return the service of a number."""
        return self._services.get(number)


class OptOuts:
    """Twilio's default opt-out handling: a text that is just a keyword, per recipient and sender.

    Source: https://help.twilio.com/articles/223134027 (2026-11).
    """

    def __init__(self) -> None:
        self._pairs: set[tuple[str, str]] = set()

    def note(self, handset: str, sender: str, body: str, opt_out_type: str | None) -> None:
        """Block or unblock the pair if the text is a keyword or has an opt-out type."""
        word = opt_out_type or body.strip().upper()
        if word in _OPT_OUT_WORDS:
            self._pairs.add((handset, sender))
        elif word in _OPT_IN_WORDS:
            self._pairs.discard((handset, sender))

    def is_blocked(self, handset: str, sender: str) -> bool:
        """Whether creates from that number or service are refused with 21610."""
        return (handset, sender) in self._pairs

    def clear(self) -> None:
        """Delete every opt-out."""
        self._pairs.clear()
