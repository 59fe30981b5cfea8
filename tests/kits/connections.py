"""Connections to the shared database that outlive a test: a new one costs more than many tests do.

A server process that has just begun reads the catalog before its first statements are planned. What
it has planned it keeps: the driver prepares what it sends again.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, make_url
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_T = TypeVar("_T", bound=AsyncConnection[Any])

_MOST = 25
"""So many rest between tests."""

# Not DISCARD ALL: the driver would not notice that its prepared statements are gone. What the
# session counted is reported, or a later test would count it.
_FORGET = (
    "RESET ALL; SELECT pg_advisory_unlock_all(); UNLISTEN *; SELECT pg_stat_force_next_flush()"
)

_resting: dict[str, list["_Lasting"]] = {}

_to_lend: dict[URL, list[AsyncConnection[Any]]] = {}
"""Those that are in no transaction; nobody changes anything of their sessions."""

_learned: dict[str, object] = {}
"""What the first engine's dialect learned of the server."""


class _Lasting(AsyncConnection[Any]):
    """Rests instead of being closed, unless it is in the middle of something."""

    address = ""

    async def close(self) -> None:
        rests = _resting.setdefault(self.address, [])
        is_idle = not self.closed and self.info.transaction_status is TransactionStatus.IDLE
        if is_idle and len(rests) < _MOST and await self._has_forgotten():
            rests.append(self)
        else:
            await super().close()

    async def _has_forgotten(self) -> bool:
        """Forget all that the session had, the event loop too; return whether that was possible."""
        try:
            await self.set_autocommit(True)
            await self.set_isolation_level(None)
            await self.set_read_only(None)
            await self.set_deferrable(None)
            await self.execute(_FORGET)
            await self.set_autocommit(False)
        except psycopg.Error:
            return False
        self._notice_handlers.clear()
        self.lock = asyncio.Lock()
        return True


async def _connected(address: str, options: dict[str, Any]) -> _Lasting:
    one = await _rested(_resting.get(address, []))
    if one is None:
        one = await _Lasting.connect(**options)
        one.address = address
        _prepare(one)
    return one


@asynccontextmanager
async def lent(url: URL) -> AsyncIterator[AsyncConnection[Any]]:
    """Lend a connection for statements without a transaction."""
    rests = _to_lend.setdefault(url, [])
    one = await _rested(rests)
    if one is None:
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        one = await AsyncConnection.connect(address, autocommit=True)
        _prepare(one)
    try:
        yield one
    except BaseException:
        await AsyncConnection.close(one)
        raise
    one.lock = asyncio.Lock()  # of the next test's event loop
    rests.append(one)


async def _rested(rests: list[_T]) -> _T | None:
    """Take one that rests and is still open."""
    while rests:
        one = rests.pop()
        # The server says something to a session at rest only when it ends it.
        if not select.select([one.fileno()], [], [], 0)[0]:
            return one
        await AsyncConnection.close(one)
    return None


def _prepare(connection: AsyncConnection[Any]) -> None:
    """Let it keep the plans of what it sends a second time."""
    connection.prepare_threshold, connection.prepared_max = 1, 500


async def close_all() -> None:
    """Close those that rest."""
    for one in [*chain(*_resting.values()), *chain(*_to_lend.values())]:
        await AsyncConnection.close(one)


def creator(lasting: str, **always: Any) -> Callable[..., AsyncEngine]:
    """Return what creates engines, whose connections to the database of this name last."""

    def create(url: str, **options: Any) -> AsyncEngine:
        made = make_url(url)
        if made.database == lasting:
            dialect = made.get_dialect()()
            _, connecting = dialect.create_connect_args(made)
            connecting |= options.get("connect_args", {})
            options["async_creator"] = partial(_connected, url, connecting)
        engine = create_async_engine(url, **options, **always)
        if made.database == lasting:
            own = engine.sync_engine.dialect
            own.initialize = partial(_learn_once, own)  # type: ignore[method-assign]
        return engine

    return create


def _learn_once(dialect: Dialect, connection: Connection) -> None:
    """Ask the server what it is, as a dialect does on its first connection; but only the first.

    It takes six statements, and a rollback after which the driver prepares its statements anew.
    """
    if not _learned:
        before = dict(vars(dialect))
        type(dialect).initialize(dialect, connection)
        _learned.update({k: v for k, v in vars(dialect).items() if before.get(k) is not v})
    vars(dialect).update(_learned)
