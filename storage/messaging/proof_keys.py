"""Queries of the keys that proofs are signed with."""

from datetime import datetime
from typing import NamedTuple

from storage.platform.database import Transaction


class ProofKeyRow(NamedTuple):
    """A public key, in Base64; ``retired_at`` is when another took its place."""

    public_key: str
    created_at: datetime
    retired_at: datetime | None


async def known(tx: Transaction) -> list[ProofKeyRow]:
    """List the public keys, the present one first."""
    sql = "SELECT public_key, created_at, retired_at FROM proof_keys ORDER BY created_at DESC"
    return await tx.rows(ProofKeyRow, sql)


async def private(tx: Transaction) -> str | None:
    """Read the present private key; None if there is none."""
    return await tx.value(str, "SELECT private_key FROM proof_keys WHERE retired_at IS NULL")


async def add(tx: Transaction, public_key: str, private_key: str) -> None:
    """Make a key the present one, unless there is one; waits for whoever makes one."""
    sql = """
        INSERT INTO proof_keys (public_key, private_key, created_at)
        VALUES (:public_key, :private_key, clock_timestamp()) ON CONFLICT DO NOTHING
    """
    await tx.run(sql, public_key=public_key, private_key=private_key)


async def retire(tx: Transaction) -> None:
    """Let the present key sign nothing more: its private half is gone."""
    sql = """
        UPDATE proof_keys SET retired_at = clock_timestamp(), private_key = NULL
        WHERE retired_at IS NULL
    """
    await tx.run(sql)
