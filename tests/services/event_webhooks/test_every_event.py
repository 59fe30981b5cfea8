"""Every type of event as it is posted: signed by the standard, of the shape the document says."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jsonschema_rs
from standardwebhooks import Webhook

from api.event_examples import event
from api.schemas.events import DATA
from domain.event_webhooks.events import EventType
from domain.statuses.jobs import JobKind
from domain.statuses.messaging import TextKind
from domain.statuses.sequences import ReplyPolicy
from services.contacts.values import ContactFields
from services.event_webhooks.endpoints import EventEndpoints
from storage.enrollments.list_filter import ListFilter
from storage.event_webhooks import events
from tests.api.record import RECORDED
from tests.kits.event_endpoints import QUICK, deliver_all, deliveries, receiver, subscribe
from tests.kits.sending import SendingKit

DOCUMENT = json.loads(RECORDED.read_text())
DRIVING = "I'm driving with Driving Focus turned on. I'll see your message when I get there."


def documented(kind: str) -> Any:
    """Make the validator of a type's request."""
    [content] = DOCUMENT["webhooks"][kind]["post"]["requestBody"]["content"].values()
    whole = {**content["schema"], "components": DOCUMENT["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)


async def external_ids(kit: SendingKit) -> dict[str, str]:
    """Give every contact an id in another system; by contact."""
    await kit.world.run("UPDATE contacts SET external_id = 'crm-' || id")
    return {str(one.id): one.external_id for one in await kit.world.rows("SELECT * FROM contacts")}


async def cause_all(kit: SendingKit) -> UUID:
    """Make an event of every type but the ping; return a contact that was erased."""
    services, user = kit.services, kit.world.user_id
    replied, failing, held = await kit.enroll(), await kit.enroll(), await kit.enroll()
    paused = await kit.enroll(await kit.sequence("Hi", "Bye", on_reply=ReplyPolicy.PAUSE))
    late = await kit.enroll(await kit.sequence("Hi", reply_window_seconds=0))
    await external_ids(kit)

    await kit.send(replied)
    [attempt] = await kit.attempts(replied)
    await kit.report(attempt, "delivered")
    async with kit.world.database.transaction() as tx:
        await events.message_doubled(tx, attempt.message_id)
    await kit.text_back(replied, DRIVING)
    [text] = await kit.world.rows("SELECT id FROM messages WHERE direction = 'inbound'")
    await services.kind_corrections.correct(text.id, TextKind.HUMAN, user_id=user)

    await kit.refuses(failing, 21211)
    await kit.run_step(failing)

    await kit.send(paused)
    await kit.text_back(paused)
    await services.pausing.resume([paused], user)
    await services.pausing.pause([paused], user)

    await kit.send(late)
    await kit.run_close(late)
    await kit.text_back(late)
    await kit.text_back(late, "STOP")
    await kit.text_back(late, "START")

    made = await services.contacts.create(
        ContactFields(first_name="Kim", last_name="Doe", phone="+14155550123")
    )
    await services.contacts.update(made.id, {"last_name": "Day", "first_name": "Kim"})
    await services.contacts.update(made.id, {"last_name": "Day"})  # nothing changes
    await services.erasure.erase(made.id, user)

    await kit.refuses(held, 20003, 401)
    await kit.run_step(held)
    await services.holds.release([held], "retry", user)

    row = await kit.row(held)
    talk, later = services.conversations, datetime.now(UTC) + timedelta(hours=1)
    text_id = await talk.reply(uuid4(), row.contact_id, "Later", user, send_at=later)
    for _ in range(2):
        await talk.cancel(text_id)

    job = await services.jobs.start_bulk_action(row.sequence_id, JobKind.PAUSE, ListFilter(), user)
    while (await services.jobs.run_chunk(job.id)).more:
        pass
    return made.id


async def test_every_type_is_posted_as_documented(kit: SendingKit) -> None:
    async with receiver() as there:
        made = await subscribe(kit.world.database, kit.world.user_id, there.url)
        erased = await cause_all(kit)
        await EventEndpoints(kit.world.database, QUICK).test(made.details.id)
        await deliver_all(deliveries(kit.world.database), made.details.id)
        known = await external_ids(kit)
    of_type: dict[str, list[Any]] = {}
    for one in there.seen:
        assert Webhook(made.secret).verify(one.raw, one.headers) == one.body
        kind, data = one.body["type"], one.body["data"]
        documented(kind).validate(one.body)
        assert data.keys() == DATA[EventType(kind)].model_fields.keys(), kind
        if data.get("contact_id") in known and kind != EventType.ENROLLMENT_CREATED:
            assert data["external_id"] == known[data["contact_id"]], kind
        moments = [
            value for name, value in data.items() if name.endswith("_at") and value is not None
        ]
        assert all(len(at) == 24 and at[-5] == "." for at in (one.body["timestamp"], *moments))
        of_type.setdefault(kind, []).append(data)
    assert set(of_type) == set(EventType), set(EventType) - set(of_type)

    changes = [(one["change"], one["fields"]) for one in of_type["contact.changed"]]
    assert changes == [
        ("created", ["first_name", "last_name", "phone"]),
        ("updated", ["last_name"]),
        ("erased", []),
    ]
    assert of_type["contact.changed"][-1]["contact_id"] == str(erased)
    [corrected] = of_type["message.kind_changed"]
    assert (corrected["was"], len(corrected["enrollment_ids"])) == ("auto_reply", 1)
    received = [(one["kind"], len(one["enrollment_ids"])) for one in of_type["message.received"]]
    assert sorted(received) == [("auto_reply", 0), ("human", 0), ("human", 0)] + [("human", 1)] * 2
    [canceled] = of_type["message.canceled"]
    assert canceled["reason"] == "by_hand"
    [job] = of_type["job.finished"]
    assert (job["kind"], job["state"], job["counts"]) == ("pause", "done", {"paused": 1})
    assert [one["reason"] for one in of_type["enrollment.paused"]] == [
        "replied",
        "by_hand",
        "by_hand",
    ]
    [released] = of_type["enrollment.released"]
    assert (released["reason"], released["probing"]) == ("sender_on_hold", True)


def test_every_type_has_an_example_of_its_shape() -> None:
    assert set(DOCUMENT["webhooks"]) == set(EventType) == set(DATA)
    for kind in EventType:
        [content] = DOCUMENT["webhooks"][kind]["post"]["requestBody"]["content"].values()
        assert content["example"] == event(kind)
        documented(kind).validate(content["example"])


async def test_erased_contact_leaves_no_external_id(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await external_ids(kit)
    await kit.send(enrollment)
    await kit.text_back(enrollment)
    await kit.pass_time(timedelta(hours=1))
    named = "SELECT count(*) AS n FROM events WHERE CAST(data AS text) LIKE '%crm-%'"
    assert (await kit.world.rows(named))[0].n == 3
    row = await kit.row(enrollment)
    await kit.services.erasure.erase(row.contact_id, kit.world.user_id)
    assert (await kit.world.rows(named))[0].n == 0
