"""The engine and its transactions."""

import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Self

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

_logger = logging.getLogger(__name__)

Transaction = AsyncSession
"""What every query function takes: a session inside one transaction, READ COMMITTED."""


class Written(Enum):
    """What a transaction may write that this process acts on after the commit."""

    OUTBOX = auto()
    WAKES = auto()


def note(tx: Transaction, what: Written) -> None:
    """Note that a transaction wrote this; see ``Database.after_commit``."""
    tx.info[what] = True


UNAVAILABLE_ERRORS: tuple[type[Exception], ...] = (OperationalError, PoolTimeoutError, OSError)
"""What the driver raises when PostgreSQL is not there; the same call may succeed later."""


IDLE_IN_TRANSACTION = timedelta(seconds=60)
"""How long a transaction may stand still: one of a process that is frozen, or whose machine lost
its power, must not keep its locks. Longer than the outbox waits for Temporal, its rows locked."""


_COMMIT_TO_DISK = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') <> 'remote_apply'
"""
"""An answered STOP and an attempt before its call must survive a crash of the server, whatever a
role or database defaults to; ``remote_apply`` waits for a standby even longer and stays."""


_BUSY_CLASSES = frozenset({"40", "55"})
"""SQLSTATE classes: transaction rollback (deadlock), object not in prerequisite state (lock)."""


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that PostgreSQL is away rather than that the statement was wrong."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        # Deadlocks and lock timeouts are OperationalErrors too, of a server that is there.
        state = getattr(error.orig, "sqlstate", None)
        if state is not None and state[:2] in _BUSY_CLASSES:
            return False
    return isinstance(error, UNAVAILABLE_ERRORS)


_RESTED_SECONDS = 1.0
"""A connection that was in use less long ago is taken to be alive."""


def _ping_rested(engine: Engine) -> None:
    """Replace connections that died while they rested, as ``pool_pre_ping`` does.

    That pings at each transaction, a round trip in eight of a send's, although a busy pool's
    connections were in use a moment ago.
    """

    @event.listens_for(engine, "checkin")
    def rest(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["resting_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        since = record.info.get("resting_since")
        if since is None or time.monotonic() - since < _RESTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


_DATA_EXCEPTION = "22"
"""SQLSTATE class: a value that cannot be; the server's first words quote it."""


def _quote_nobody(engine: Engine) -> None:
    """Leave of an error the server's first words, for its details quote rows, keys and values.

    Hiding parameters hides them in SQLAlchemy's words alone, and errors get into logs.
    """

    @event.listens_for(engine, "handle_error")
    def shorten(context: ExceptionContext) -> None:
        error, wrapped = context.original_exception, context.sqlalchemy_exception
        said = getattr(getattr(error, "diag", None), "message_primary", None)
        if said is None:  # not the server's
            return
        if getattr(error, "sqlstate", "").startswith(_DATA_EXCEPTION):
            said = re.sub('".*"', '"..."', said, flags=re.DOTALL)
        full, error.args = str(error), (said,)
        if wrapped is not None:
            wrapped.args = (str(wrapped.args[0]).replace(full, said),)


class Database:
    """PostgreSQL as the use cases see it: a source of transactions.

    Args:
        url: ``postgresql+psycopg://...``.
        connections: Most connections at once.
        pool_timeout: Seconds to wait for a free connection.
        around: What each transaction is done in, to trace it.
        idle: How long a transaction may stand still before PostgreSQL ends it.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 20,
        pool_timeout: float = 10.0,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        idle: timedelta = IDLE_IN_TRANSACTION,
    ) -> None:
        self._around = around
        self._after_commit: dict[Written, Callable[[], Awaitable[object] | None]] = {}
        self._engine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=pool_timeout,
            isolation_level="READ COMMITTED",  # named in each BEGIN, whatever a role defaults to
            hide_parameters=True,  # numbers, names and texts stay out of errors and logs
            connect_args={"connect_timeout": 5, "application_name": "segue"},
        )
        _ping_rested(self._engine.sync_engine)
        _quote_nobody(self._engine.sync_engine)
        limit = f"SET idle_in_transaction_session_timeout = {idle // timedelta(milliseconds=1)}"

        # Not among the connection's options, for PgBouncer refuses those.
        @event.listens_for(self._engine.sync_engine, "connect")
        def set_up_session(connection: DBAPIConnection, _: object) -> None:
            cursor = connection.cursor()
            for statement in (limit, _COMMIT_TO_DISK):
                cursor.execute(statement)
            cursor.close()
            connection.commit()

    @property
    def engine(self) -> AsyncEngine:
        """The engine itself, for tests and set-up."""
        return self._engine

    def after_commit(self, what: Written, act: Callable[[], Awaitable[object] | None]) -> None:
        """Run ``act`` after each commit of a transaction that wrote this; its errors are logged."""
        self._after_commit[what] = act

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit at the end of the block, roll back if it raises.

        What ``after_commit`` was given runs before the block is left, the connection given back.
        """
        with self._around():
            async with (
                AsyncSession(self._engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                yield session
        for what, act in self._after_commit.items():
            if what in session.info:
                await _run_after_commit(what, act)

    def within(self, tx: Transaction | None) -> AbstractAsyncContextManager[Transaction]:
        """Work in a caller's transaction, whose end is the caller's; None for one of its own."""
        return self.transaction() if tx is None else nullcontext(tx)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def _run_after_commit(what: Written, act: Callable[[], Awaitable[object] | None]) -> None:
    try:
        if (running := act()) is not None:
            await running
    except Exception as error:  # noqa: BLE001 - it is committed, and the sweep makes up for this
        _logger.warning(
            "not done after a commit", extra={"what": what.name, "error": type(error).__name__}
        )


@dataclass(frozen=True)
class Pools:
    """The connections of a process, in pools that cannot take one another's.

    What waits for a connection waits for those of its own kind alone, so a crowd of jobs keeps no
    text from being sent, and a crowd of texts no answer of the provider from being written down.

    Attributes:
        sends: For opening attempts and writing down their answers.
        decisions: For what an enrollment or a one-off text needs next, and for closing.
        rest: For everything else.
    """

    sends: Database
    decisions: Database
    rest: Database

    @classmethod
    def one(cls, database: Database) -> Self:
        """Take everything from one pool."""
        return cls(database, database, database)

    async def close(self) -> None:
        """Close every connection."""
        for database in (self.sends, self.decisions, self.rest):
            await database.close()
