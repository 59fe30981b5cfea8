"""What is no proof is refused with a clear word; the one form in which proofs are signed."""

import json
from typing import Any

import pytest

from domain.messaging.proofs import FORMAT, PARTS, ProofError, canonical, read

PROOF: dict[str, Any] = {**dict.fromkeys(PARTS), "format": FORMAT}
SIGNATURE = {"algorithm": "Ed25519", "public_key": "a2V5", "value": "c2ln"}


def bundle(**changed: Any) -> str:
    return json.dumps({"proof": PROOF, "signature": SIGNATURE, **changed})


def without(part: dict[str, Any], name: str) -> dict[str, Any]:
    return {one: value for one, value in part.items() if one != name}


def test_canonical_form_is_sorted_compact_utf_8() -> None:
    said = {"b": ["Zoë", None, True], "a": {"d": 7, "c": 'say "hi"\n\u001f'}}
    expected = '{"a":{"c":"say \\"hi\\"\\n\\u001f","d":7},"b":["Zoë",null,true]}'
    assert canonical(said) == expected.encode()


def test_a_whole_bundle_is_read() -> None:
    found = read(bundle())
    assert (found.proof, found.public_key, found.signature) == (PROOF, "a2V5", b"sig")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("%PDF", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "lacks its proof"),
        (bundle(signature=None), "lacks its signature"),
        *((bundle(proof=without(PROOF, part)), part) for part in PARTS),
        *(
            (bundle(signature=without(SIGNATURE, part)), f"lacks signature.{part}")
            for part in SIGNATURE
        ),
        (bundle(signature={**SIGNATURE, "algorithm": "none"}), "another algorithm"),
        (bundle(signature={**SIGNATURE, "value": "§"}), "not Base64"),
        (bundle(proof={**PROOF, "format": "2"}), "not of the format"),
        (bundle().replace('"site": null', '"site": null, "site": 1'), "says something twice"),
        (bundle(proof={**PROOF, "consent": 1.5}), "holds a fraction"),
    ],
)
def test_what_is_no_proof_is_refused_with_a_clear_word(text: str, why: str) -> None:
    with pytest.raises(ProofError) as caught:
        read(text)
    assert str(caught.value).startswith("the proof ")
    assert why in str(caught.value)
