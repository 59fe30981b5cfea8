"""HTTP to event endpoints: finite timeouts, no redirects, no way into our own network."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from domain.event_webhooks.events import Post, PostFailedError

_TIMEOUT = aiohttp.ClientTimeout(total=18, sock_connect=5, sock_read=15)
"""With a round of 8 s shorter than the activity's limit of 30 s."""

_IDLE_SECONDS = 2
"""Kept connections that were idle for longer may be about to be closed by the other end."""

_CONNECTIONS = 8

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether an IP address is out on the internet: not ours, not a neighbour's, not everyone's.

    IPv6 addresses that carry an IPv4 address (mapped, 6to4, Teredo) are judged by both.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    return all(_is_out_there(one) for one in (ip, *_carried(ip)))


def _is_out_there(ip: _Address) -> bool:
    return ip.is_global and not (
        ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False)
    )


def _carried(ip: _Address) -> list[_Address]:
    if isinstance(ip, ipaddress.IPv4Address):
        return []
    return [one for one in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if one is not None]


class _AddressRefusedError(OSError):
    """A name leads to no address that may be called."""


class _PublicResolver(ThreadedResolver):
    """Finds the addresses of names and keeps those that are public: they are then connected to."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name."""
        found = await super().resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if not public:
            raise _AddressRefusedError
        return public


class HttpPoster:
    """Implements ``domain.event_webhooks.events.EventPoster``.

    Args:
        allow_local: Whether endpoints may be on this machine or a private network.
    """

    def __init__(self, *, allow_local: bool) -> None:
        self._allow_local = allow_local

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Post]:
        """Keep connections as long as the block lasts."""
        resolver = ThreadedResolver() if self._allow_local else _PublicResolver()
        connector = aiohttp.TCPConnector(
            resolver=resolver,
            use_dns_cache=False,
            limit=_CONNECTIONS,
            keepalive_timeout=_IDLE_SECONDS,
        )
        async with aiohttp.ClientSession(
            connector=connector, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:

            async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
                self._check_literal(url)
                return await _post(session, url, headers, body)

            yield post

    def _check_literal(self, url: str) -> None:
        """Refuse an address that is written as a number, which no resolver sees."""
        host = urlsplit(url).hostname or ""
        try:
            refused = not self._allow_local and not is_public(host)
        except ValueError:  # a name
            return
        if refused:
            raise PostFailedError("address_refused")


async def _post(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], body: bytes
) -> int:
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status
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
