"""Correcting what a text was taken for, and the proof of one, over the API."""

from uuid import UUID, uuid4

import httpx

from api import examples
from domain.statuses.messaging import TextKind
from services.factory import Services
from services.messaging.proof_keys import verified
from storage.messaging import kind_corrections
from storage.platform.database import Database
from tests.kits.inbound import receive

DRIVING = "I'm driving with Driving Focus turned on. I'll see your message when I get there."


async def received(services: Services, database: Database, body: str) -> UUID:
    sid = (await receive(services, "+12125550199", body)).sid
    async with database.transaction() as tx:
        sql = "SELECT id FROM messages WHERE provider_sid = :sid"
        message_id = await tx.value(UUID, sql, sid=sid)
        assert message_id is not None
        assert await kind_corrections.get(tx, message_id) is not None
    return message_id


async def test_automatic_reply_is_corrected_once(
    member: httpx.AsyncClient, services: Services, database: Database
) -> None:
    path = f"/api/messages/{await received(services, database, DRIVING)}/kind"
    answer = await member.post(path, json={"kind": "human"})
    assert answer.status_code == 200
    text = answer.json()
    assert (text["kind"], text["is_reply"], text["about_message_id"]) == ("human", True, None)
    assert (await member.post(path, json={"kind": "human"})).json() == text
    refused = await member.post(path, json={"kind": TextKind.AUTO_REPLY})
    assert (refused.status_code, refused.json()["code"]) == (409, "only_to_human")


async def test_viewer_cannot_correct_a_text(
    viewer: httpx.AsyncClient, member: httpx.AsyncClient, services: Services, database: Database
) -> None:
    path = f"/api/messages/{await received(services, database, DRIVING)}/kind"
    assert (await viewer.post(path, json={"kind": "human"})).status_code == 403
    unknown = await member.post(f"/api/messages/{uuid4()}/kind", json={"kind": "human"})
    assert unknown.status_code == 404
    assert (await member.post(path, json={"kind": "robot"})).status_code == 422


async def test_proof_of_a_text_is_signed_as_it_is_answered(
    there: dict[str, str], viewer: httpx.AsyncClient, services: Services
) -> None:
    ours = there[examples.SCHEDULED_MESSAGE]
    answer = await viewer.get(f"/api/messages/{ours}/proof")
    [key] = await services.proof_keys.known()
    assert verified(answer.text, [key.public_key]).proof["message"]["body"] == "See you soon"
    theirs = await viewer.get(f"/api/messages/{there[examples.IDS['message_id']]}/proof")
    assert (theirs.status_code, theirs.json()["code"]) == (409, "not_outbound")
    assert (await viewer.get(f"/api/messages/{uuid4()}/proof")).status_code == 404
