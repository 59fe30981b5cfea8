"""Alembic's entry: migrates the database that the settings name."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from settings import load_settings
from storage.schema import METADATA

target_metadata = METADATA

_MIGRATION_LOCK = 7_283_001
"""Advisory lock that keeps two set-ups from migrating at once."""


def run_migrations() -> None:
    """Run the migrations in one transaction, one runner at a time."""
    url = context.config.attributes.get("database_url") or load_settings().database_url
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=target_metadata)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            context.run_migrations()


run_migrations()
