"""Whether PostgreSQL answers, and how much it allows."""

from storage.platform.database import Transaction


async def ping(tx: Transaction) -> None:
    """Make the shortest possible round trip."""
    await tx.run("SELECT 1")


async def connections_allowed(tx: Transaction) -> int:
    """Ask how many connections there may be at once, besides those kept for superusers."""
    sql = """
        SELECT current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0)
    """
    return await tx.value(int, sql) or 0
