"""Signed posts to the application, sent as Twilio sends them."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, TCPConnector
from yarl import URL

from simulator.signing import signature

TIMEOUT = ClientTimeout(total=15, sock_connect=5)
"""Twilio's defaults (connection overrides #ct and #tt,
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides, 2026-11)."""

KEEP_ALIVE_SECONDS = 2
"""Shorter than any server keeps an idle connection, so none is lost to a race."""

_HEADERS = {
    "User-Agent": "TwilioProxy/1.1",
    "X-Home-Region": "us1",
    "Accept": "*/*",
    "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
}


class Webhooks:
    """Posts forms to the application, a bounded number at a time.

    Attributes:
        answered: Posts that got an answer below 400.
        refused: Posts that got any other answer; never repeated, as with Twilio.
        lost: Posts that got none.
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
        """Start; call on the loop that will post."""
        connector = TCPConnector(limit=self._max_open, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._session = ClientSession(connector=connector, timeout=TIMEOUT, headers=_HEADERS)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, fields: Mapping[str, str]) -> int | None:
        """Post a signed form and return the answer's HTTP status, ``None`` if there was none.

        Only a connection that could not be made is tried once more.
        """
        url = url.partition("#")[0]
        headers = {
            "X-Twilio-Signature": signature(self._auth_token, url, fields),
            "I-Twilio-Idempotency-Token": str(uuid4()),
        }
        status: int | None
        async with self._slots:
            try:
                status = await self._post_once(url, fields, headers)
            except ClientConnectorError:
                status = await self._post_last(url, fields, headers)
            except (ClientError, TimeoutError, ValueError):
                status = None
        self._count(status)
        return status

    async def _post_last(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]
    ) -> int | None:
        """Post once more, for good or ill."""
        try:
            return await self._post_once(url, fields, headers)
        except (ClientError, TimeoutError, ValueError):
            return None

    async def _post_once(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]
    ) -> int:
        """Post; the URL goes out as it is, for its query string is signed."""
        if self._session is None:
            raise ClientError("not open")
        target = URL(url, encoded=True)
        body = urlencode(fields).encode("ascii")
        async with self._session.post(target, data=body, headers=headers) as response:
            await response.read()
            return response.status

    def _count(self, status: int | None) -> None:
        if status is None:
            self.lost += 1
        elif status < 400:
            self.answered += 1
        else:
            self.refused += 1
