"""Alembic's entry: migrates the database that the settings name."""

import time

from alembic import context
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Engine, create_engine, pool, text
from sqlalchemy.exc import OperationalError

from settings import Settings
from storage.schema import METADATA

target_metadata = METADATA

_MIGRATION_LOCK = 7_283_001
"""Advisory lock that keeps two set-ups from migrating at once."""


_LOCK_TIMEOUT = "900ms"
"""How long a table's lock is waited for, while texts wait behind it. Less than PostgreSQL's
``deadlock_timeout`` of a second, so that of two transactions that wait for each other it is this
one that gives way, not a send."""

_PAUSE_SECONDS = 0.2
_MOST_TRIES = 180
"""Some three minutes: a transaction of ours is ended when it is idle for one."""


def run_migrations() -> None:
    """Run the migrations, each in a transaction of its own, one runner at a time.

    Programs of the release before go on meanwhile, and take the same tables in another order: where
    one of their transactions keeps a migration waiting, it gives way and begins anew.
    """
    url = context.config.attributes.get("database_url") or Settings.load().database_url
    # Whoever waited for the lock sees what was done meanwhile, whatever a role defaults to.
    engine = create_engine(url, poolclass=pool.NullPool, isolation_level="READ COMMITTED")
    for tries_left in reversed(range(_MOST_TRIES)):
        try:
            _run_all(engine)
        except OperationalError as error:
            gave_way = isinstance(error.orig, DeadlockDetected | LockNotAvailable)
            if not gave_way or not tries_left:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _run_all(engine: Engine) -> None:
    with engine.connect() as connection:
        # For the whole session, whose end releases the lock.
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
        connection.commit()
        context.configure(
            connection=connection, target_metadata=target_metadata, transaction_per_migration=True
        )
        with context.begin_transaction():
            context.run_migrations()


run_migrations()
