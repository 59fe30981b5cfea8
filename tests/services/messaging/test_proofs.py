"""The proof of a text: it holds all that is known, and any change of it shows."""

import json
from copy import deepcopy
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.messaging.proofs import ProofError
from domain.platform.errors import ConflictError, NotFoundError
from services.messaging.proof_keys import verified
from storage.messaging import proof_keys
from tests.kits.sending import SendingKit


async def texts(kit: SendingKit, direction: str = "outbound") -> list[UUID]:
    rows = await kit.world.rows(
        "SELECT id FROM messages WHERE direction = :direction ORDER BY created_at, id",
        direction=direction,
    )
    return [row.id for row in rows]


async def test_proof_holds_all_that_is_known_of_a_text(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    row = await kit.row(enrollment)
    await kit.services.consents.add(
        row.contact_id,
        {"source": "A form", "wording": "Text me, Zoë", "written": True, "address": "::1"},
        kit.world.user_id,
    )
    await kit.send(enrollment)
    [attempt] = await kit.world.rows("SELECT * FROM attempts")
    await kit.report(attempt, "delivered")
    await kit.text_back(enrollment, "STOP")
    [message] = await texts(kit)

    bundle = await kit.services.proofs.of(message)
    proof = bundle["proof"]
    text = proof["message"]
    assert (text["id"], text["body"], text["to"]) == (
        str(message),
        "Hi Ann0",
        await kit.phone(enrollment),
    )
    assert (text["step"], text["status"], text["sender"]["name"]) == (1, "delivered", "Front desk")
    assert proof["enrollment"]["enrolled_by"] == {"id": str(kit.world.user_id), "name": "Mia"}
    assert proof["enrollment"]["purpose"] == "informational"
    consent = proof["consent"]
    assert (consent["wording"], consent["address"]) == ("Text me, Zoë", "::1")
    assert consent["revoked_at"] == proof["opt_outs"][0]["occurred_at"]
    [call] = proof["attempts"]
    assert (call["id"], call["outcome"], call["opted_out"]) == (str(attempt.id), "accepted", False)
    assert [one["status"] for one in proof["reports"]] == ["delivered"]
    assert proof["clock"]["zones"] == ["America/New_York"]
    assert proof["clock"]["given"]["time_zone"] == "America/New_York"
    assert proof["clock"]["jurisdictions"]
    assert call["rule_packs"] == [], "they bind marketing"

    [key] = await kit.services.proof_keys.known()
    assert bundle["signature"]["public_key"] == key.public_key
    whole = json.dumps(bundle, indent=2)  # however it is laid out
    assert verified(whole, [key.public_key]).proof["made_at"] == proof["made_at"]
    for path in _leaves(bundle):
        with pytest.raises(ProofError):
            verified(json.dumps(_changed(bundle, path)), [key.public_key])


def _leaves(value: Any, *path: Any) -> list[tuple[Any, ...]]:
    """List the path to every value of a bundle."""
    if isinstance(value, dict):
        return [leaf for name, one in value.items() for leaf in _leaves(one, *path, name)]
    if isinstance(value, list) and value:
        return [leaf for at, one in enumerate(value) for leaf in _leaves(one, *path, at)]
    return [path]


def _changed(bundle: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Give the bundle with another value at a path."""
    changed = deepcopy(bundle)
    at: Any = changed
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = f"{at[path[-1]]}x"
    return changed


async def test_a_new_key_leaves_old_proofs_good_and_strangers_are_refused(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    [message] = await texts(kit)
    before = json.dumps(await kit.services.proofs.of(message))
    old = await kit.services.proof_keys.present()
    new = await kit.services.proof_keys.rotate()
    assert new != old
    known = await kit.services.proof_keys.known()
    assert [(one.public_key, one.retired_at is None) for one in known] == [
        (new, True),
        (old, False),
    ]
    after = await kit.services.proofs.of(message)
    assert after["signature"]["public_key"] == new
    for text in (before, json.dumps(after)):
        verified(text, [old, new])
    with pytest.raises(ProofError, match="signed with another key"):
        verified(before, [new])
    forged = json.loads(before)
    forged["signature"]["public_key"] = new
    with pytest.raises(ProofError, match="was altered"):
        verified(json.dumps(forged), [new])
    with pytest.raises(ProofError, match="no key"):
        verified(before.replace(old, "a2V5"), ["a2V5"])
    async with kit.world.database.transaction() as tx:
        assert await proof_keys.private(tx) is not None
    gone = await kit.world.rows("SELECT private_key FROM proof_keys WHERE retired_at IS NOT NULL")
    assert gone == [(None,)], "it can sign nothing more"


async def test_texts_that_came_in_or_are_not_there_have_no_proof(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.text_back(enrollment, "Yes")
    [inbound] = await texts(kit, "inbound")
    with pytest.raises(ConflictError) as caught:
        await kit.services.proofs.of(inbound)
    assert caught.value.conflict == "not_outbound"
    with pytest.raises(NotFoundError):
        await kit.services.proofs.of(uuid4())
    one_off = await kit.one_off(enrollment)
    unsent = (await kit.services.proofs.of(one_off))["proof"]
    assert (unsent["attempts"], unsent["consent"], unsent["message"]["accepted_at"]) == (
        [],
        None,
        None,
    )
