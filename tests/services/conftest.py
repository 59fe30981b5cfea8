"""What the tests of the send path share: one database, emptied after every test."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlmodel import SQLModel

import storage.tables  # noqa: F401 - so that its tables are known
from standalone.postgres import EmbeddedPostgres
from tests.services.sending_kit import SendingKit, sending_kit

_TABLES = sql.SQL("; ").join(
    sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name))
    for table in reversed(SQLModel.metadata.sorted_tables)
)
"""Children first; faster than TRUNCATE for a handful of rows."""


@pytest.fixture(scope="session")
def sending_database(postgres_server: EmbeddedPostgres, database_template: str) -> str:
    """One migrated database for all of them: cloning one for each would take most of the time."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        clone = sql.SQL("CREATE DATABASE segue_sending TEMPLATE {}")
        connection.execute(clone.format(sql.Identifier(database_template)))
    return postgres_server.url("segue_sending")


@pytest.fixture
def sending_url(sending_database: str) -> Iterator[str]:
    """The address of a migrated database that is empty again."""
    yield sending_database.replace("postgresql://", "postgresql+psycopg://", 1)
    with psycopg.connect(sending_database, autocommit=True) as connection:
        connection.execute(_TABLES)


@pytest.fixture
async def kit(sending_url: str) -> AsyncIterator[SendingKit]:
    """The use cases on an empty world with one user and one sender."""
    async with sending_kit(sending_url) as made:
        yield made
