"""The key that proofs are signed with, and those before it.

See docs/decisions/0018-proof-of-a-text.md for why it is in the database.
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.messaging import proofs
from domain.messaging.proofs import ALGORITHM, ProofError, SignedProof, canonical
from services.platform import audit
from storage.messaging import proof_keys
from storage.messaging.proof_keys import ProofKeyRow
from storage.platform.database import Database, Transaction


class ProofKeys:
    """Makes keys, and tells them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self) -> list[ProofKeyRow]:
        """List the public keys, the present one first; none before the first proof."""
        async with self._database.transaction() as tx:
            return await proof_keys.known(tx)

    async def present(self) -> str:
        """Give the present public key; make it if there is none."""
        async with self._database.transaction() as tx:
            return _public(await private_key(tx))

    async def rotate(self) -> str:
        """Make a new key, and give it. The one before signs nothing more; its proofs stay good."""
        async with self._database.transaction() as tx:
            await proof_keys.retire(tx)
            key = _public(await private_key(tx))
            await audit.record(tx, "workspace.rotate_proof_key")
        return key


async def private_key(tx: Transaction) -> Ed25519PrivateKey:
    """Read the present key; make it if there is none."""
    stored = await proof_keys.private(tx)
    while stored is None:
        made = Ed25519PrivateKey.generate()
        private = b64encode(made.private_bytes_raw()).decode()
        await proof_keys.add(tx, _public(made), private)
        stored = await proof_keys.private(tx)
    return Ed25519PrivateKey.from_private_bytes(b64decode(stored))


def signed(proof: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Sign a proof; give the bundle of both."""
    signature = {
        "algorithm": ALGORITHM,
        "public_key": _public(key),
        "value": b64encode(key.sign(canonical(proof))).decode(),
    }
    return {"proof": dict(proof), "signature": signature}


def verified(text: str, trusted: Collection[str]) -> SignedProof:
    """Read a bundle and let it through if one of the trusted keys has signed just what it says.

    Raises:
        ProofError: Why not.
    """
    found = proofs.read(text)
    if found.public_key not in trusted:
        raise ProofError(f"is signed with another key: {found.public_key[:100]}")
    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(found.public_key, validate=True))
        key.verify(found.signature, canonical(found.proof))
    except ValueError:
        raise ProofError("is signed with what is no key") from None
    except InvalidSignature:
        raise ProofError("was altered: its signature does not fit what it says") from None
    return found


def _public(key: Ed25519PrivateKey) -> str:
    return b64encode(key.public_key().public_bytes_raw()).decode()
