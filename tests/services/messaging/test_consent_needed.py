"""Texts that take a consent: held without it, gone on with once it is there; which one they name.

The rules: docs/design.md, "Sending".
"""

import asyncio
import random
from typing import Any
from uuid import UUID

from domain.statuses.contacts import ConsentNeeded
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase
from domain.statuses.sequences import Purpose
from services.contacts.consents import ConsentFields
from services.messaging.holds import Decision
from storage.contacts import consents
from storage.contacts.consents import NewConsent
from tests.kits.sending import SendingKit

CALL: ConsentFields = {"source": "A call"}
FORM: ConsentFields = {"source": "A form", "wording": "Text me", "written": True}


async def ask_for(kit: SendingKit, **needed: ConsentNeeded) -> None:
    await kit.services.workspace.change(
        {"require_consent": {Purpose(name): one for name, one in needed.items()}},
        kit.world.user_id,
    )


async def of(kit: SendingKit, enrollment: UUID) -> UUID:
    contact_id: UUID = (await kit.row(enrollment)).contact_id
    return contact_id


async def give(kit: SendingKit, enrollment: UUID, consent: ConsentFields) -> UUID:
    contact_id = await of(kit, enrollment)
    row, _ = await kit.services.consents.add(contact_id, consent, kit.world.user_id)
    return row.id


async def looked_at(kit: SendingKit, enrollment: UUID) -> tuple[str, str | None]:
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    return state.doing, state.held_reason


async def named(kit: SendingKit) -> list[Any]:
    """Read which consent each text went under, in the order in which they went."""
    rows = await kit.world.rows("SELECT consent_id FROM messages ORDER BY created_at")
    return [row.consent_id for row in rows]


HELD = ("held", "consent_missing")


async def test_text_without_consent_is_held_and_goes_by_itself_once_it_is_given(
    kit: SendingKit,
) -> None:
    await ask_for(kit, informational=ConsentNeeded.WRITTEN)
    enrollment = await kit.enroll()
    for _ in range(2):  # looking again is no news
        assert await looked_at(kit, enrollment) == HELD
    [released] = await kit.services.holds.release([enrollment], Decision.RETRY, kit.world.user_id)
    assert released.result == "consent_missing"
    assert await looked_at(kit, enrollment) == HELD

    await give(kit, enrollment, CALL)
    assert (await kit.row(enrollment)).held_reason == "consent_missing", "it is none in writing"
    await kit.services.outbox.drain()
    kit.temporal.told.clear()
    form = await give(kit, enrollment, FORM)
    await kit.services.outbox.drain()
    assert kit.temporal.signals_to(enrollment) == [("reconsider", None)]
    await give(kit, enrollment, {"source": "A later call"})
    await kit.send(enrollment)
    assert await named(kit) == [form], "the one in writing, whatever is later"
    notes = await kit.world.rows("SELECT kind, detail FROM enrollment_events ORDER BY id")
    assert [row.detail["because"] for row in notes if row.kind == "blocked"] == [
        "consent_missing",
    ]


async def test_only_purposes_that_ask_for_it_take_it_and_the_setting_applies_at_once(
    kit: SendingKit,
) -> None:
    await ask_for(kit, marketing=ConsentNeeded.ANY, informational=ConsentNeeded.ANY)
    enrollment = await kit.enroll()
    assert await looked_at(kit, enrollment) == HELD
    await ask_for(kit, informational=ConsentNeeded.NONE)
    assert (await kit.row(enrollment)).activity == EnrollmentPhase.WAITING
    await kit.send(enrollment)
    assert await named(kit) == [None]
    kept = (await kit.services.workspace.get()).require_consent
    assert kept == {
        Purpose.TRANSACTIONAL: ConsentNeeded.NONE,
        Purpose.INFORMATIONAL: ConsentNeeded.NONE,
        Purpose.MARKETING: ConsentNeeded.ANY,
    }
    await kit.world.run("UPDATE sequences SET purpose = 'marketing'")
    other = await kit.enroll()
    await kit.world.run("UPDATE sequences SET purpose = 'marketing'")
    assert await looked_at(kit, other) == HELD
    call = await give(kit, other, CALL)
    await kit.send(other)
    assert (await named(kit))[-1] == call


async def test_opt_out_takes_the_consent_and_a_one_off_names_one_but_needs_none(
    kit: SendingKit,
) -> None:
    await ask_for(kit, informational=ConsentNeeded.ANY)
    enrollment = await kit.enroll()
    await kit.run_message(await kit.one_off(enrollment))
    form = await give(kit, enrollment, FORM)
    await kit.run_message(await kit.one_off(enrollment))
    assert await named(kit) == [None, form]
    await kit.text_back(enrollment, "STOP")
    again = await kit.enroll(contact_id=await of(kit, enrollment))
    assert (await kit.row(again)).status == "omitted_opted_out"
    [out] = await kit.world.rows("SELECT id FROM suppressions")
    await kit.world.run(
        "UPDATE suppressions SET lifted_at = now(), lifted_reason = 'x' WHERE id = :id", id=out.id
    )
    again = await kit.enroll(contact_id=await of(kit, enrollment))
    assert await looked_at(kit, again) == HELD, "lifting brings no consent back"
    await kit.text_back(again, "START")
    await kit.send(again)
    [start] = await kit.world.rows("SELECT id FROM consents WHERE message_id IS NOT NULL")
    assert (await named(kit))[-1] == start.id


async def test_giving_consent_while_it_is_decided_loses_no_wake(kit: SendingKit) -> None:
    """Of an import at the same moment at most until the sweep, which looks every minute."""
    await ask_for(kit, informational=ConsentNeeded.ANY)
    sequence = await kit.sequence("Hi")
    for seed in range(8):
        enrollment = await kit.enroll(sequence)
        phone = await kit.phone(enrollment)
        late = random.Random(seed).random() / 50

        async def later(one: UUID = enrollment, number: str = phone, after: float = late) -> None:
            await asyncio.sleep(after)
            if number[-1] in "02468":
                await give(kit, one, CALL)
                return
            async with kit.world.database.transaction() as tx:  # as an import, without the lock
                at = (await kit.row(one)).enrolled_at
                await consents.add(tx, [NewConsent("A file", at, phone=number)])

        await asyncio.gather(kit.run_step(enrollment), later())
        if phone[-1] not in "02468":
            await kit.services.waking.mend()
        row = await kit.row(enrollment)
        assert row.held_reason is None, "it would wait for ever"
        if row.step == 0:
            await kit.send(enrollment)
    assert len(kit.gateway.calls) == 8
