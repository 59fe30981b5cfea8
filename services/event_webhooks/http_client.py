"""HTTP to event endpoints: with timeouts, no redirects, no way into our own network."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

_TIMEOUT = aiohttp.ClientTimeout(total=18, sock_connect=5, sock_read=15)
"""Together with a round of 8 s shorter than the activity's limit of 30 s."""

_IDLE_SECONDS = 2
"""The other end may be about to close connections that were idle for longer."""

_CONNECTIONS = 8

_MOST_SECONDS = 10**8
_DIGITS = 9

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Tell whether an IP address is a public unicast one.

    An IPv6 address that carries an IPv4 address (mapped, 6to4, Teredo) is judged by both.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    return all(_is_unicast(one) for one in (ip, *_carried(ip)))


def _is_unicast(ip: _Address) -> bool:
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False)
    )


def _carried(ip: _Address) -> list[_Address]:
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    return [one for one in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if one is not None]


class _AddressRefusedError(OSError):
    """A name resolves to no public address."""


class _PublicResolver(ThreadedResolver):
    """Resolves names to their public addresses, to which the connection is then made."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name."""
        found = await super().resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise _AddressRefusedError
        return public


class PostFailedError(Exception):
    """An endpoint did not answer.

    Attributes:
        code: Why: ``timeout``, ``connection_failed``, ``name_not_found``, ``tls_failed``,
            ``address_refused`` or ``invalid_url``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class EndpointAnswer:
    """What an endpoint answered: an HTTP status, and how long to wait, if it says so."""

    status: int
    retry_after: timedelta | None = None


Post = Callable[[str, Mapping[str, str], bytes], Awaitable[EndpointAnswer]]
"""Posts headers and a body to an address and follows no redirect. Raises ``PostFailedError``."""


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a ``Retry-After``: seconds or an HTTP date (RFC 9110, 10.2.3); None for any other."""
    if value is None:
        return None
    words = value.strip()
    if words.isascii() and words.isdecimal():
        return timedelta(seconds=min(int(words[:_DIGITS]), _MOST_SECONDS))
    try:
        at = parsedate_to_datetime(words)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC) - now, timedelta(0))


@asynccontextmanager
async def connections(*, allow_local: bool) -> AsyncIterator[Post]:
    """Keep connections open for the block; to this machine or private networks only if allowed."""
    connector = aiohttp.TCPConnector(
        resolver=ThreadedResolver() if allow_local else _PublicResolver(),
        use_dns_cache=False,
        limit=_CONNECTIONS,
        keepalive_timeout=_IDLE_SECONDS,
    )
    async with aiohttp.ClientSession(
        connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def post(url: str, headers: Mapping[str, str], body: bytes) -> EndpointAnswer:
            if not allow_local:
                _require_public(url)
            return await _post(session, url, headers, body)

        yield post


def _require_public(url: str) -> None:
    """Refuse a private address given as a number, which no resolver sees."""
    try:
        refused = not is_public(urlsplit(url).hostname or "")
    except ValueError:  # a name
        return
    if refused:
        raise PostFailedError("address_refused")


async def _post(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: bytes
) -> EndpointAnswer:
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            asked = response.headers.get("Retry-After")
            return EndpointAnswer(response.status, read_retry_after(asked, datetime.now(UTC)))
    except TimeoutError:
        raise PostFailedError("timeout") from None
    except aiohttp.ClientConnectorDNSError as error:
        refused = isinstance(error.os_error, _AddressRefusedError)
        raise PostFailedError("address_refused" if refused else "name_not_found") from None
    except aiohttp.ClientSSLError:
        raise PostFailedError("tls_failed") from None
    except (aiohttp.InvalidURL, ValueError):
        raise PostFailedError("invalid_url") from None
    except (aiohttp.ClientError, OSError):
        raise PostFailedError("connection_failed") from None
