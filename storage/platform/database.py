"""The engine and its transactions."""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import lru_cache, partial
from types import NoneType
from typing import Any, NoReturn, Self, TypeAlias, TypeVar, cast
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import Connection, CursorResult, Engine, Executable, event, text
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from storage.platform.fixed import DIALECT, Fixed
from storage.platform.rows import all_made, made

_logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_Query = str | Executable | Fixed
_Values: TypeAlias = Mapping[str, object]
_Driver: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]


class _Found(IteratorResult[*tuple[Any, ...]]):
    """What a statement found, and how many rows it changed."""

    rowcount = 0


_Rows: TypeAlias = "CursorResult[*tuple[Any, ...]] | _Found"


class _Sql:
    """SQL as the driver takes it: its ``:names`` are found once, its columns in the first result.

    Finding them in each call would take longer than the rest of it.
    """

    def __init__(self, query: str | Fixed) -> None:
        if isinstance(query, Fixed):
            self.written = query.sql
        else:
            self.written = str(text(query).compile(dialect=DIALECT))
        self._columns: SimpleResultMetaData | None = None
        self._finds_rows = False

    async def sent(self, driver: _Driver, values: _Values) -> _Found:
        """Send it with its values; return what it finds."""
        cursor = await driver.execute(self.written, values)
        if self._columns is None:
            described = cursor.description
            self._finds_rows = described is not None
            self._columns = SimpleResultMetaData([one.name for one in described or ()])
        found = _Found(self._columns, iter(await cursor.fetchall() if self._finds_rows else ()))
        found.rowcount = cursor.rowcount
        return found


_known = lru_cache(maxsize=1024)(_Sql)

_PASSED_AS_THEY_ARE = frozenset({NoneType, UUID, bool, datetime, int, str, timedelta})
"""Types of almost all values; those of others are looked at."""


def _passed(value: object) -> object:
    """Pass a mapping as ``jsonb``, other collections as arrays.

    An array of ids is written here, as text: five times as fast as by the driver, which asks of
    each whether it needs quotes.
    """
    if isinstance(value, Mapping):
        return as_json(value)
    if isinstance(value, str) or not isinstance(value, Collection):
        return value
    if value and all(type(one) is UUID for one in value):
        return f"{{{','.join([one.hex for one in value])}}}"
    return list(value)


def as_json(value: object) -> Jsonb:
    """Pass a value as ``jsonb``, a mapping or a list; ids, moments and the like become text."""
    return Jsonb(value, dumps=partial(json.dumps, default=_plain))


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


class Transaction(AsyncSession):
    """What every query function takes: a session inside one transaction, READ COMMITTED.

    A query is a statement of SQLAlchemy's, or SQL with the values of its ``:names`` as keyword
    arguments: a mapping is passed as ``jsonb``, any other collection as an array. The SQL casts an
    array where PostgreSQL cannot tell from the place what an empty one holds, as in ``unnest``.
    A statement that is asked often is ``Fixed``.
    """

    _connected: tuple[Connection, _Driver] | None = None

    async def run(self, query: _Query, /, **values: object) -> _Rows:
        """Run a query."""
        for name, value in values.items():
            if type(value) not in _PASSED_AS_THEY_ARE:
                values[name] = _passed(value)
        if isinstance(query, str):
            return await self._send(_known(query), values)
        if isinstance(query, Fixed):
            return await self._send(_known(query), {**query.constants, **values})
        return cast("_Rows", await self.execute(query, values or None))

    async def _send(self, sql: _Sql, values: _Values) -> _Found:
        """Send SQL by the driver itself; SQLAlchemy, with nothing to add, would take twice as long.

        A failure is raised as SQLAlchemy raises those of its own statements.
        """
        if self._connected is None:
            self._connected = await self.run_sync(_connected)
        connection, driver = self._connected
        try:
            return await sql.sent(driver, values)
        except (psycopg.Error, asyncio.CancelledError) as error:
            await self.run_sync(partial(_fail, connection, sql.written, error))
            raise

    async def rollback(self) -> None:
        """Roll back; what follows is in another transaction."""
        self._connected = None
        await super().rollback()

    async def limit_statements(self, longest: timedelta) -> None:
        """Let no statement of the transaction take longer; see ``is_statement_timeout``."""
        milliseconds = str(round(longest.total_seconds() * 1000))
        await self.run("SELECT set_config('statement_timeout', :most, true)", most=milliseconds)

    async def count(self, query: _Query, /, **values: object) -> int:
        """Run a statement without RETURNING; return how many rows it changed."""
        return (await self.run(query, **values)).rowcount

    async def column(self, query: _Query, /, **values: object) -> list[Any]:
        """Read the first column of all rows."""
        return list((await self.run(query, **values)).scalars())

    async def value(self, kind: type[_T], query: _Query, /, **values: object) -> _T | None:
        """Read the first column of the only row, as ``kind``; None if it is null, or no row."""
        found = (await self.run(query, **values)).scalar_one_or_none()
        read: Callable[[Any], _T] = kind
        return found if found is None or isinstance(found, kind) else read(found)

    async def unless_taken(self, constraints: Collection[str], statement: Executable) -> bool:
        """Run a statement; False, without its changes, if it violates such a unique constraint."""
        try:
            async with self.begin_nested():
                await self.execute(statement)
        except IntegrityError as error:
            if violated(error) in constraints:
                return False
            raise
        return True

    async def rows(self, kind: Callable[..., _T], query: _Query, /, **values: object) -> list[_T]:
        """Read all rows, each made a ``kind`` of the columns that are named as its fields."""
        result = await self.run(query, **values)
        return all_made(kind, tuple(result.keys()), result)

    async def one(self, kind: Callable[..., _T], query: _Query, /, **values: object) -> _T | None:
        """Read the only row as ``rows`` does; None if there is none."""
        row = (await self.run(query, **values)).mappings().one_or_none()
        return None if row is None else made(kind, row)


def _connected(session: Session) -> tuple[Connection, _Driver]:
    """Return the connection of a session's transaction, and the driver's behind it."""
    connection = session.connection()
    return connection, cast("_Driver", connection.connection.driver_connection)


def _fail(connection: Connection, sql: str, error: BaseException, _: Session) -> NoReturn:
    """Raise a driver's error as SQLAlchemy does, and give up a connection that is of no more use.

    It is of none either if its statement was interrupted.
    """
    try:
        raise error
    except type(error):
        connection._handle_dbapi_exception(error, sql, None, None, None)  # noqa: SLF001


def violated(error: IntegrityError) -> str | None:
    """Name the constraint that a statement violates."""
    return getattr(getattr(error.orig, "diag", None), "constraint_name", None)


class Written(Enum):
    """What a transaction may write that this process acts on after the commit."""

    OUTBOX = auto()
    WAKES = auto()


def note(tx: Transaction, what: Written) -> None:
    """Note that a transaction wrote this; see ``Database.after_commit``."""
    tx.info[what] = True


UNAVAILABLE_ERRORS: tuple[type[Exception], ...] = (OperationalError, PoolTimeoutError, OSError)
"""What the driver raises when PostgreSQL is away; the same call may succeed later."""


IDLE_IN_TRANSACTION = timedelta(seconds=60)
"""How long a transaction may be idle: a frozen process, or one whose machine lost power, must not
keep its locks. Longer than the outbox, with rows locked, waits for Temporal."""


_SET_UP = """
    SELECT set_config('idle_in_transaction_session_timeout', '{}', false),
        CASE WHEN current_setting('synchronous_commit') <> 'remote_apply'
        THEN set_config('synchronous_commit', 'on', false) END
"""
"""An answered STOP, and an attempt before its call, must survive a crash of the server whatever a
role or database defaults to; ``remote_apply``, which waits even for a standby, stays."""


_BUSY_CLASSES = frozenset({"40", "55"})
"""SQLSTATE classes: transaction rollback (deadlock), object not in prerequisite state (lock)."""


def is_unavailable(error: BaseException) -> bool:
    """Tell whether an error means that PostgreSQL is away, not that the statement was wrong."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        # Deadlocks and lock timeouts are OperationalErrors too, but the server is up.
        state = getattr(error.orig, "sqlstate", None)
        if state is not None and state[:2] in _BUSY_CLASSES:
            return False
    return isinstance(error, UNAVAILABLE_ERRORS)


_LOCK_NOT_AVAILABLE = "55P03"


def is_lock_timeout(error: BaseException) -> bool:
    """Tell whether a transaction waited for a lock as long as it may (``lock_timeout``)."""
    sqlstate = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return sqlstate == _LOCK_NOT_AVAILABLE


_QUERY_CANCELED = "57014"


def is_statement_timeout(error: BaseException) -> bool:
    """Tell whether a statement took as long as it may (``Transaction.limit_statements``)."""
    sqlstate = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return sqlstate == _QUERY_CANCELED


_RESTED_SECONDS = 1.0
"""A connection used more recently than this is assumed to be alive."""


def _ping_rested(engine: Engine) -> None:
    """Replace connections that died while idle, as ``pool_pre_ping`` does.

    That pings before each transaction, one of a send's eight round trips, although a busy pool's
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
"""SQLSTATE class: an invalid value, which the server's primary message quotes."""


def _quote_nobody(engine: Engine) -> None:
    """Keep only an error's primary message: its details quote rows, keys and values.

    Errors get into logs, and ``hide_parameters`` hides values only in SQLAlchemy's own message.
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
        around: Context that traces each transaction.
        idle: How long a transaction may be idle before PostgreSQL ends it.
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
            hide_parameters=True,  # keeps numbers, names and texts out of errors and logs
            connect_args={"connect_timeout": 5, "application_name": "segue"},
        )
        _ping_rested(self._engine.sync_engine)
        _quote_nobody(self._engine.sync_engine)
        set_up = _SET_UP.format(idle // timedelta(milliseconds=1))

        # Not among the connection's options, for PgBouncer refuses those.
        @event.listens_for(self._engine.sync_engine, "connect")
        def set_up_session(connection: DBAPIConnection, _: object) -> None:
            connection.autocommit = True  # one round trip instead of three
            cursor = connection.cursor()
            cursor.execute(set_up)
            cursor.close()
            connection.autocommit = False

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
                Transaction(self._engine, expire_on_commit=False) as session,
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
    """The connections of a process, in separate pools.

    Each kind of work waits only for its own connections, so many jobs cannot delay a send, nor many
    sends the recording of an answer.

    Attributes:
        sends: For opening attempts and recording their answers.
        decisions: For deciding what an enrollment or a one-off text needs next, and closing.
        webhooks: For what the provider tells us.
        rest: For everything else.
    """

    sends: Database
    decisions: Database
    webhooks: Database
    rest: Database

    @classmethod
    def one(cls, database: Database) -> Self:
        """Use one pool for everything."""
        return cls(database, database, database, database)

    async def close(self) -> None:
        """Close every connection."""
        for database in {self.sends, self.decisions, self.webhooks, self.rest}:
            await database.close()
