"""Whether PostgreSQL answers."""

from sqlalchemy import text

from storage.database import Transaction


async def ping(tx: Transaction) -> None:
    """Make the shortest possible round trip."""
    await tx.execute(text("SELECT 1"))
