"""Texts whose fields or variables nobody has filled in: held, and gone on with once filled in.

The rules: docs/design.md, "Sending".
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.platform.errors import ConflictError, InvalidRequestError
from domain.statuses.contacts import FieldType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, HeldReason
from services.enrollments.enrolling import ContactAsked
from services.messaging.holds import Decision
from services.sequences.sequences import SequenceChange
from storage.enrollments.waking import data_changed
from storage.platform.locks import lock_numbers
from tests.kits.sending import SendingKit
from tests.worlds import ongoing

BODY = "Hi {{first_name}}, {{job}} in {{city}}"
DAY = timedelta(days=1)


async def fill(kit: SendingKit, enrollment: UUID, **fields: object) -> None:
    """Change fields of the contact, as whoever changes contacts does; None removes one."""
    [contact] = await kit.world.rows(
        "SELECT contact_id, phone FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
        " WHERE e.id = :id",
        id=enrollment,
    )
    change = "UPDATE contacts SET fields = jsonb_strip_nulls(fields || :fields) WHERE id = :id"
    async with kit.world.database.transaction() as tx:
        await lock_numbers(tx, [contact.phone])
        await tx.run(change, id=contact.contact_id, fields=fields)
        await data_changed(tx, [contact.contact_id])


async def give(kit: SendingKit, enrollment: UUID, **variables: object) -> None:
    await kit.services.variables.change(enrollment, variables, kit.world.user_id)


async def held_for(kit: SendingKit, enrollment: UUID) -> list[str] | None:
    """Read what holds an enrollment; None if it is not held for missing data."""
    row = await kit.row(enrollment)
    return row.missing_fields if row.held_reason == HeldReason.MISSING_DATA else None


async def test_text_without_its_data_is_held_and_goes_once_filled_in(kit: SendingKit) -> None:
    enrollment = await kit.enroll(await kit.sequence(BODY, "Bye {{first_name}}"))
    for _ in range(2):  # looking again is no news
        state = await kit.run_step(enrollment)
        assert isinstance(state, EnrollmentState)
        assert (state.doing, state.held_reason, state.due_at) == ("held", "missing_data", None)
    assert await held_for(kit, enrollment) == ["job", "city"]
    [released] = await kit.services.holds.release([enrollment], Decision.RETRY, kit.world.user_id)
    assert released.result == "released", "to be looked at again"
    await kit.run_step(enrollment)
    assert await held_for(kit, enrollment) == ["job", "city"]
    [refused] = await kit.services.holds.release(
        [enrollment], Decision.TREAT_AS_SENT, kit.world.user_id
    )
    assert refused.result == "outcome_known"

    await kit.services.outbox.drain()
    kit.temporal.told.clear()
    await fill(kit, enrollment, city="Rome")
    await kit.services.outbox.drain()
    assert kit.temporal.signals_to(enrollment) == [("reconsider", None)]
    await kit.run_step(enrollment)
    assert await held_for(kit, enrollment) == ["job"]
    await give(kit, enrollment, job="Cook", city="Bari")
    assert await held_for(kit, enrollment) is None
    await kit.send(enrollment)
    assert [call.body for call in kit.gateway.calls] == ["Hi Ann0, Cook in Bari"]
    notes = await kit.world.rows("SELECT kind, detail FROM enrollment_events ORDER BY id")
    assert [row.detail.get("missing") for row in notes if row.kind == "blocked"] == [
        ["job", "city"],
        ["job", "city"],
        ["job"],
    ]


async def test_text_that_says_nothing_without_a_name_is_held(kit: SendingKit) -> None:
    [contact] = await kit.world.contacts(1, first_name="", last_name="Lee")
    enrollment = await kit.enroll(await kit.sequence("{{first_name}}"), contact)
    await kit.run_step(enrollment)
    assert await held_for(kit, enrollment) == ["first_name"]
    await kit.services.contacts.update(contact, {"first_name": "Zoë"})
    await kit.send(enrollment)
    assert [call.body for call in kit.gateway.calls] == ["Zoë"]


async def test_who_may_not_be_texted_ends_instead_of_being_held(kit: SendingKit) -> None:
    enrollment = await kit.enroll(await kit.sequence(BODY))
    await kit.run_step(enrollment)
    await kit.text_back(enrollment, "STOP")
    assert (await kit.row(enrollment)).status == "omitted_opted_out"
    with pytest.raises(ConflictError) as caught:
        await give(kit, enrollment, job="Cook")
    assert caught.value.conflict == "already_final"


async def test_variables_are_set_removed_and_checked(kit: SendingKit) -> None:
    sequence = await kit.sequence(BODY, "See you {{start:weekday|soon}}")
    [contact] = await kit.world.contacts(1)
    enrolled = await kit.services.enrolling.enroll(
        sequence.id,
        kit.world.user_id,
        contacts=[
            ContactAsked(contact, variables={"job": "Cook", "city": " ", "start": "2026-12-01"})
        ],
    )
    enrollment = enrolled.enrolled[0].id
    assert (await kit.row(enrollment)).variables == {"job": "Cook", "start": "2026-12-01"}
    await give(kit, enrollment, job=None, city="Rome")
    assert (await kit.row(enrollment)).variables == {"city": "Rome", "start": "2026-12-01"}
    with pytest.raises(InvalidRequestError) as caught:
        await give(kit, enrollment, jobb="Cook", first_name="Bo", Job=1, city=["Rome"], start=2**60)
    assert {one.field: one.field_code for one in caught.value.errors} == {
        "variables.jobb": "unused_variable",
        "variables.first_name": "reserved_key",
        "variables.Job": "invalid_key",
        "variables.city": "invalid_value",
        "variables.start": "invalid_value",
    }
    assert "city, job, start" in caught.value.errors[0].reason
    assert (await kit.row(enrollment)).variables == {"city": "Rome", "start": "2026-12-01"}


async def upsert(kit: SendingKit, enrollment: UUID, **fields: object) -> None:
    """Change fields as a program that syncs contacts does, which waits for nobody's decision."""
    phone = await kit.phone(enrollment)
    [merged] = (
        await kit.services.contacts.upsert({0: {"phone": phone, "fields": fields}})
    ).values()
    assert merged.outcome == "changed"


@pytest.mark.parametrize("way", [fill, give, upsert])
async def test_filling_in_while_it_is_decided_loses_no_wake(
    kit: SendingKit, way: Callable[..., Awaitable[None]]
) -> None:
    """Of an upsert at the same moment at most until the sweep, which looks every minute."""
    for key in ("job", "city"):
        await kit.services.fields.create(key, key, FieldType.TEXT)
    sequence = await kit.sequence(BODY)
    for seed in range(15):
        enrollment = await kit.enroll(sequence)
        late = random.Random(seed).random() / 50

        async def later(one: UUID = enrollment, after: float = late) -> None:
            await asyncio.sleep(after)
            await way(kit, one, job="Cook", city="Rome")

        await asyncio.gather(kit.run_step(enrollment), later())
        if way is upsert:
            await kit.services.waking.mend()
        row = await kit.row(enrollment)
        assert row.held_reason is None, "it would wait for ever"
        if row.step == 0:
            await kit.send(enrollment)
    bodies = {call.body.partition(", ")[2] for call in kit.gateway.calls}
    assert bodies == {"Cook in Rome"}
    assert len(kit.gateway.calls) == 15


async def test_field_that_somebody_still_waits_for_is_not_deleted(kit: SendingKit) -> None:
    field = await kit.services.fields.create("city", "City", FieldType.TEXT)
    sequence = await kit.sequence("Hi", "from {{city}}")
    enrollment = await kit.enroll(sequence)
    change: SequenceChange = {"steps": [ongoing("Hi", 0)]}
    await kit.services.sequences.change(sequence.id, change, kit.world.user_id)
    with pytest.raises(ConflictError, match="city"):
        await kit.services.fields.remove(field.id)
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    await kit.services.fields.remove(field.id)


async def test_whom_a_change_forgot_the_sweep_finds(kit: SendingKit) -> None:
    enrollment = await kit.enroll(await kit.sequence(BODY))
    await kit.run_step(enrollment)
    await kit.world.run("""UPDATE contacts SET fields = '{"job": "Cook"}'""")
    assert await kit.services.waking.mend() == 1
    assert (await kit.row(enrollment)).activity == EnrollmentPhase.WAITING
    await kit.run_step(enrollment)
    assert await held_for(kit, enrollment) == ["city"]
    assert await kit.services.waking.mend() == 0


@pytest.mark.parametrize("seed", range(4))
async def test_it_never_says_nothing_and_always_goes_on_in_any_order(
    kit: SendingKit, seed: int
) -> None:
    """Whatever is filled in, removed, paused and released: no gap is sent, nobody is forgotten."""
    dice = random.Random(seed)
    sequence = await kit.sequence("{{job}} in {{city}}", "{{city}} {{job|?}}", "{{job}}, {{pay}}")
    enrollment = await kit.enroll(sequence)
    user = kit.world.user_id

    def value() -> dict[str, object]:
        return {dice.choice(["job", "city", "pay"]): dice.choice(["X", 7, None, True])}

    moves: list[Callable[[], Awaitable[Any]]] = [
        lambda: fill(kit, enrollment, **value()),
        lambda: give(kit, enrollment, **value()),
        lambda: kit.services.pausing.pause([enrollment], user),
        lambda: kit.services.pausing.resume([enrollment], user),
        lambda: kit.services.holds.release([enrollment], Decision.RETRY, user),
        lambda: kit.pass_time(DAY),
        lambda: kit.run_step(enrollment),
        lambda: kit.run_step(enrollment),
    ]
    for _ in range(30):
        if (await kit.row(enrollment)).activity == EnrollmentPhase.AWAITING_REPLY:
            break
        await dice.choice(moves)()
        assert await _is_told_of_all(kit, enrollment)
    await fill(kit, enrollment, job="J", city="C", pay=9)
    await kit.services.pausing.resume([enrollment], user)
    for _ in range(4):
        await kit.run_step(enrollment)
        await kit.pass_time(DAY)
    assert (await kit.row(enrollment)).step == 3
    said = r"J|X|7|yes", r"C|X|7|yes", r"9|X|7|yes"
    shapes = (
        rf"({said[0]}) in ({said[1]})",
        rf"({said[1]}) ({said[0]}|\?)",
        rf"({said[0]}), ({said[2]})",
    )
    bodies = [call.body for call in kit.gateway.calls]
    assert len(bodies) == len(shapes)
    for body, shape in zip(bodies, shapes, strict=True):
        assert re.fullmatch(shape, body), body


async def _is_told_of_all(kit: SendingKit, enrollment: UUID) -> bool:
    """Whether one that is held lacks all that it is held for."""
    [row] = await kit.world.rows(
        "SELECT e.held_reason, e.missing_fields, c.fields || e.variables AS known"
        " FROM enrollments e JOIN contacts c ON c.id = e.contact_id WHERE e.id = :id",
        id=enrollment,
    )
    known: Mapping[str, object] = row.known
    return row.held_reason is None or not set(row.missing_fields) & set(known)
