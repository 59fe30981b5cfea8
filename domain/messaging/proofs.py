"""Proofs of texts: what each holds, and the one form in which it is signed."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.platform.errors import SegueError

FORMAT = "segue-proof-1"
"""What a proof says it is; another one for another set of parts."""

ALGORITHM = "Ed25519"

PARTS = (
    *("format", "site", "made_at", "message", "contact", "enrollment", "consent"),
    *("opt_outs", "clock", "attempts", "reports"),
)
"""What every proof holds, be it null or empty."""

_OF_SIGNATURE = ("algorithm", "public_key", "value")


class ProofError(SegueError):
    """A file is no genuine proof; the reason reads on from "The proof"."""

    code = "proof_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the proof {reason}")


@dataclass(frozen=True)
class SignedProof:
    """A proof with its signature, neither of them trusted yet."""

    proof: Mapping[str, Any]
    public_key: str
    signature: bytes


def canonical(proof: Mapping[str, Any]) -> bytes:
    """Write a proof as it is signed: JSON in UTF-8, keys sorted, without spaces (RFC 8785).

    It holds no fractions and no keys but of ASCII, of which the RFC and Python write all alike.
    """
    return json.dumps(
        proof, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def read(text: str) -> SignedProof:
    """Read a signed proof.

    Raises:
        ProofError: It is none, or lacks a part.
    """
    try:
        bundle = json.loads(text, object_pairs_hook=_object, parse_float=_refuse_number)
    except (ValueError, RecursionError):
        raise ProofError("is not JSON") from None
    proof, signature = (_part(bundle, name) for name in ("proof", "signature"))
    _require(signature, _OF_SIGNATURE, "signature.")
    if signature["algorithm"] != ALGORITHM:
        raise ProofError(f"is signed by another algorithm than {ALGORITHM}")
    if proof.get("format") != FORMAT:
        raise ProofError(f"is not of the format {FORMAT}")
    _require(proof, PARTS)
    try:
        key = str(signature["public_key"])
        return SignedProof(proof, key, b64decode(str(signature["value"]), validate=True))
    except ValueError:
        raise ProofError("has a signature that is not Base64") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object, of which nobody may read another value than was signed."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ProofError("was altered: it says something twice")
    return found


def _refuse_number(_number: str) -> None:
    raise ProofError("was altered: it holds a fraction")


def _part(bundle: object, name: str) -> Mapping[str, Any]:
    found = bundle.get(name) if isinstance(bundle, dict) else None
    if not isinstance(found, dict):
        raise ProofError(f"lacks its {name}")
    return found


def _require(part: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> None:
    for name in names:
        if name not in part:
            raise ProofError(f"lacks {prefix}{name}")
