"""Signed posts to the application, sent as Twilio sends them."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
)
from yarl import URL

KEEP_ALIVE_SECONDS = 2
"""Shorter than any server keeps an idle connection, so that no post is lost to a race."""

_HEADERS = {
    "User-Agent": "TwilioProxy/1.1",
    "X-Home-Region": "us1",
    "Accept": "*/*",
    "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
}


def signature(auth_token: str, url: str, fields: Mapping[str, str]) -> str:
    """Sign a form: base64 of HMAC-SHA1 over the URL and the fields sorted by name.

    Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security (2026-11).
    """
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode("ascii")


@dataclass(frozen=True)
class Overrides:
    """Timeouts and retries of a webhook, from the fragment of its address.

    Ranges and defaults: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
    (2026-11). Twilio does not publish the wait between two tries; there is none here.

    Attributes:
        connect_seconds: ``ct``, for each connection.
        read_seconds: ``rt``, for each answer.
        total_seconds: ``tt``, for all tries together.
        retries: ``rc``, tries after the first.
        policy: ``rp``, what is retried: ``4xx``, ``5xx``, ``ct``, ``rt`` or ``all``.
    """

    connect_seconds: float = 5
    read_seconds: float = 15
    total_seconds: float = 15
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, fragment: str) -> Self:
        """Read a fragment; clamp numbers to their ranges and ignore other values."""
        given = dict(parse_qsl(fragment))

        def number(name: str, default: int, least: int, most: int) -> int:
            written = given.get(name, "")
            return min(max(int(written), least), most) if written.isdecimal() else default

        return cls(
            connect_seconds=number("ct", 5000, 100, 10000) / 1000,
            read_seconds=number("rt", 15000, 100, 15000) / 1000,
            total_seconds=number("tt", 15000, 100, 15000) / 1000,
            retries=number("rc", 1, 0, 5),
            policy=frozenset(given.get("rp", "ct").split(",")),
        )


class Webhooks:
    """Posts forms to the application, a limited number at a time.

    Attributes:
        answered: Posts that got an answer below 400.
        refused: Posts whose last try got another answer.
        lost: Posts whose last try got none.
    """

    def __init__(self, auth_token: str, max_open: int) -> None:
        self._auth_token = auth_token
        self._max_open = max_open
        self._slots = asyncio.Semaphore(max_open)
        self._session: ClientSession | None = None
        self.answered = 0
        self.refused = 0
        self.lost = 0

    async def open(self) -> None:
        """Open the connections; call it on the loop that posts."""
        connector = TCPConnector(limit=self._max_open, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._session = ClientSession(connector=connector, headers=_HEADERS)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, fields: Mapping[str, str]) -> int | None:
        """Post a signed form and return the last answer's HTTP status; None if there was none.

        The fragment of the address sets the retries; it is neither sent nor signed.
        """
        url, _, fragment = url.partition("#")
        overrides = Overrides.of(fragment)
        headers = {
            "X-Twilio-Signature": signature(self._auth_token, url, fields),
            "I-Twilio-Idempotency-Token": str(uuid4()),
        }
        status: int | None = None
        async with self._slots:
            with suppress(TimeoutError):
                async with asyncio.timeout(overrides.total_seconds):
                    for _ in range(overrides.retries + 1):
                        status, kind = await self._post_once(url, fields, headers, overrides)
                        if not kind or overrides.policy.isdisjoint({kind, "all"}):
                            break
        if status is None:
            self.lost += 1
        elif status < 400:
            self.answered += 1
        else:
            self.refused += 1
        return status

    async def _post_once(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str], overrides: Overrides
    ) -> tuple[int | None, str]:
        """Post once; the URL is sent unchanged, because its query is signed.

        Returns:
            The HTTP status, and the failure in the words of ``rp``; empty on success.
        """
        if self._session is None:
            return None, ""
        target = URL(url, encoded=True)
        body = urlencode(fields).encode("ascii")
        limits = ClientTimeout(
            sock_connect=overrides.connect_seconds, sock_read=overrides.read_seconds
        )
        try:
            async with self._session.post(
                target, data=body, headers=headers, timeout=limits
            ) as response:
                await response.read()
                status = response.status
        except (ClientConnectorError, ConnectionTimeoutError):
            return None, "ct"
        except (ClientError, TimeoutError):
            return None, "rt"
        except ValueError:
            return None, ""
        return status, f"{status // 100}xx" if status >= 400 else ""
