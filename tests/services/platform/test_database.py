"""Transactions: time limits and durability, whatever the role's defaults."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url, text

from standalone.postgres import EmbeddedPostgres
from storage.platform.database import IDLE_IN_TRANSACTION, Database, is_unavailable
from tests.kits.sending import sending_kit, until


async def test_idle_transaction_loses_its_locks(database_url: str) -> None:
    """A worker that is frozen, or whose machine is gone, must not block the others."""
    frozen, other = Database(database_url, idle=timedelta(seconds=0.3)), Database(database_url)
    lock = text("SELECT pg_advisory_xact_lock(1)")

    async def idle() -> None:
        async with frozen.transaction() as tx:
            await tx.execute(lock)
            await asyncio.sleep(1.5)
            await tx.execute(text("SELECT 1"))

    idling = asyncio.create_task(idle())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(1), other.transaction() as tx:
        await tx.execute(lock)
    with pytest.raises(Exception, match="idle") as lost:
        await idling
    assert is_unavailable(lost.value)
    async with frozen.transaction() as tx:
        assert (await tx.execute(text("SELECT 1"))).scalar_one() == 1
    await frozen.close()
    await other.close()


async def test_every_session_has_the_idle_limit(database_url: str) -> None:
    database = Database(database_url)
    async with database.transaction() as tx:
        shown = await tx.execute(text("SHOW idle_in_transaction_session_timeout"))
        assert shown.scalar_one() == "1min"
    assert timedelta(seconds=30) < IDLE_IN_TRANSACTION
    await database.close()


@pytest.fixture(params=["off", "local", "remote_write", "remote_apply"])
def synchronous_commit(request: pytest.FixtureRequest) -> str:
    """The value that a role has as its default."""
    return str(request.param)


@pytest.fixture
def careless_url(
    postgres_server: EmbeddedPostgres, database_url: str, synchronous_commit: str
) -> Iterator[str]:
    """The database as a role whose defaults are unsafe for sending."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE careless SUPERUSER LOGIN PASSWORD 'careless'")
        for default in (
            "default_transaction_isolation = 'repeatable read'",
            f"synchronous_commit = {synchronous_commit}",
        ):
            connection.execute(f"ALTER ROLE careless SET {default}".encode())
        url = make_url(database_url).set(username="careless", password="careless")
        yield url.render_as_string(hide_password=False)
        connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE usename = 'careless'"
        )
        connection.execute("DROP ROLE careless")


async def test_commits_reach_the_disk_whatever_the_role_defaults_to(
    careless_url: str, synchronous_commit: str
) -> None:
    database = Database(careless_url)
    for _ in range(2):  # a connection that was returned to the pool keeps its settings
        async with database.transaction() as tx:
            isolation = await tx.execute(text("SHOW transaction_isolation"))
            commits = await tx.execute(text("SHOW synchronous_commit"))
            assert isolation.scalar_one() == "read committed"
            stronger = synchronous_commit == "remote_apply"
            assert commits.scalar_one() == ("remote_apply" if stronger else "on")
    await database.close()


@pytest.mark.parametrize("synchronous_commit", ["off"])
async def test_one_off_never_goes_after_a_stop_whatever_the_role_defaults_to(
    database_url: str, careless_url: str
) -> None:
    """The STOP holds the number's lock and commits while the one-off waits for it."""
    async with sending_kit(careless_url) as kit:
        enrollment = await kit.enroll()
        await kit.send(enrollment)
        await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
        message_id = await kit.one_off(enrollment)
        phone = await kit.phone(enrollment)
        stopping = Database(database_url)

        async def waits() -> bool:
            return bool(await kit.world.rows("SELECT FROM pg_locks WHERE NOT granted"))

        async with stopping.transaction() as tx:
            await tx.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:phone, 0))"), {"phone": phone}
            )
            sending = asyncio.create_task(kit.run_message(message_id))
            await until(waits)
            await tx.execute(
                text(
                    "INSERT INTO suppressions (id, phone, source, occurred_at)"
                    " VALUES (gen_random_uuid(), :phone, 'keyword', now())"
                ),
                {"phone": phone},
            )
        await sending
        await stopping.close()
        assert len(kit.gateway.calls_to(phone)) == 1, "the step, before the STOP"
        assert (await kit.one_off_row(message_id)).status == "refused"
