"""HTTP to the provider that never starts a send after its deadline."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Retry

from domain.messaging.deadline import Deadline

IDLE_LIMIT = timedelta(seconds=30)
"""Connections idle for longer are not reused: the other end, or a NAT on the way, may be about to
drop them, and a text written to a dying connection has an unknown outcome."""


@dataclass(frozen=True)
class TimeLimits:
    """Time limits of the provider.

    Attributes:
        connect: For each connection.
        read: Between two pieces of an answer.
        late_answer: The same for the answer to a text, which is awaited in the background when
            the caller no longer waits.
    """

    connect: timedelta
    read: timedelta
    late_answer: timedelta


class DeadlinePassedError(Exception):
    """The deadline passed, or the caller gave up, before a byte of the request was sent."""


class Departure:
    """The permission to send one request, and its progress.

    Attributes:
        has_left: Whether bytes of the request may have been sent.
        http_status: Status of the answer, once its first line is read.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._lock = Lock()
        self._revoked = False
        self.has_left = False
        self.http_status: int | None = None

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self._deadline.is_late

    @contextmanager
    def active(self) -> Iterator[None]:
        """Guard every request that this thread makes inside the block."""
        token = _departure.set(self)
        try:
            yield
        finally:
            _departure.reset(token)

    def leave(self) -> None:
        """Record that the request is sent now.

        Raises:
            DeadlinePassedError: It must not be sent.
        """
        with self._lock:
            if self._revoked or self.is_late:
                raise DeadlinePassedError
            self.has_left = True

    def revoke(self) -> bool:
        """Withdraw the permission; return whether nothing was sent and nothing will be."""
        with self._lock:
            self._revoked = True
            return not self.has_left


_departure: ContextVar[Departure | None] = ContextVar("departure", default=None)


class _GuardedConnection(HTTPConnection):
    """A connection that builds the request, connects, checks the permission, and only then sends.

    The order matters. Connecting takes time, and a process can be suspended anywhere for any time:
    everything that takes time comes before the check, and a single write follows it.
    """

    idle_until: Deadline | None = None
    _unsent: bytearray | None = None

    # The parameters are urllib3's.
    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Send a request, if its departure allows it."""
        self._unsent = request = bytearray()
        try:
            super().request(*args, **kwargs)
        finally:
            self._unsent = None
        if self.sock is None:
            self.connect()
        self.idle_until = Deadline.within(IDLE_LIMIT)
        departure = _departure.get()
        if departure is not None:
            departure.leave()
        super().send(request)

    def send(self, data: Any) -> None:  # noqa: ANN401
        """Buffer a piece of a request; send anything else (a proxy's CONNECT) at once."""
        if self._unsent is None:
            super().send(data)
        else:
            self._unsent += data


class _GuardedTlsConnection(_GuardedConnection, HTTPSConnection):
    """The same over TLS, where urllib3 connects before it sends the request."""


class _GuardedPool(HTTPConnectionPool):
    """A pool of guarded connections that drops those idle for too long."""

    ConnectionCls = _GuardedConnection

    def _get_conn(self, timeout: float | None = None) -> Any:  # noqa: ANN401
        connection: Any = super()._get_conn(timeout)
        idle_until: Deadline | None = connection.idle_until
        if idle_until is not None and idle_until.is_late and not connection.is_closed:
            connection.close()
        return connection


class _GuardedTlsPool(_GuardedPool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = _GuardedTlsConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _GuardedPool, "https": _GuardedTlsPool}


class DeadlineAdapter(HTTPAdapter):
    """The transport of the provider's requests: finite timeouts, no retries, guarded departures."""

    def __init__(self, limits: TimeLimits, *, connections: int) -> None:
        super().__init__(pool_maxsize=connections, max_retries=Retry(0, read=False))
        self.poolmanager.pool_classes_by_scheme = _POOLS
        connect = limits.connect.total_seconds()
        self._of_question = (connect, limits.read.total_seconds())
        self._of_text = (connect, limits.late_answer.total_seconds())

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> ProxyManager:  # noqa: ANN401
        """Return the connection pools of a proxy, guarded too."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    # The parameters are those of requests; its timeout is ignored.
    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: object = None,  # noqa: ARG002
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Response:
        """Send a request and record the answer's status."""
        departure = _departure.get()
        time_limits = self._of_question if departure is None else self._of_text
        response = super().send(request, stream, time_limits, *args, **kwargs)
        if departure is not None:
            departure.http_status = response.status_code
        return response
