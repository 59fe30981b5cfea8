"""Who can be given a contact: one rule for forms, programs, imports and the inbox."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.platform.errors import InvalidFieldError, InvalidRequestError
from services.contacts.merging import Outcome
from tests.kits.contact_import import import_contacts
from tests.kits.sending import SendingKit

ANN, BO = "+12125550101", "+12125550102"


async def a_user(kit: SendingKit, name: str) -> UUID:
    user_id = uuid4()
    await kit.world.run(
        "INSERT INTO users (id, email, name, role) VALUES (:id, :email, :name, 'member')",
        id=user_id,
        email=f"{name}@example.com",
        name=name,
    )
    return user_id


async def owner_of(kit: SendingKit, contact_id: UUID) -> UUID | None:
    return (await kit.services.contacts.get(contact_id)).owner_id


async def test_disabled_user_gets_no_contacts_and_keeps_their_own(kit: SendingKit) -> None:
    contacts, inbox = kit.services.contacts, kit.services.inbox
    lee, max_ = await a_user(kit, "Lee"), await a_user(kit, "Max")
    ann = await contacts.create({"first_name": "Ann", "phone": ANN, "owner_id": lee})
    bo = await contacts.create({"first_name": "Bo", "phone": BO, "external_id": "b"})
    await kit.world.run("UPDATE users SET disabled_at = now() WHERE id = :id", id=lee)

    named: Any = {"first_name": "Cy", "phone": "+12125550103"}
    of_ann: Any = {"phone": ANN}
    of_bo: Any = {"phone": BO}
    for nobody in (lee, uuid4()):
        given: Any = {"owner_id": nobody}
        refusals = (
            contacts.create(named | given),
            contacts.update(bo.id, given),
            contacts.put("b", given),
            inbox.change(bo.id, given),
        )
        for refused in refusals:
            with pytest.raises((InvalidFieldError, InvalidRequestError)) as caught:
                await refused
            [error] = getattr(caught.value, "errors", [caught.value])
            assert (error.field, error.field_code) == ("owner_id", "unknown_user")
        upserted = await contacts.upsert({0: of_bo | given, 1: of_ann})
        assert [upserted[at].outcome for at in (0, 1)] == [Outcome.ERROR, Outcome.UNCHANGED]
        assert [one.field_code for one in upserted[0].errors] == ["unknown_user"]
    heading = "First name,Phone,Owner\n"
    file = f"{heading}Bo,{BO},lee@example.com\nAnnie,{ANN},lee@example.com\n"
    wrong, changed = await import_contacts(kit, file, update_existing=True)
    [error] = wrong.detail["errors"]
    assert (wrong.code, error["field"], error["code"]) == ("invalid", "owner", "unknown_user")
    assert changed.code == "changed"
    assert await owner_of(kit, bo.id) is None

    # What syncs a contact writes the owner that it read: no error, and no change.
    kept: Any = {"owner_id": lee}
    assert (await contacts.update(ann.id, kept)).owner_id == lee
    assert (await contacts.upsert({0: of_ann | kept}))[0].outcome is Outcome.UNCHANGED
    assert (await inbox.change(ann.id, kept)).owner is not None
    [known] = await import_contacts(kit, f"{heading}Annie,{ANN},lee@example.com\n")
    assert known.code == "unchanged"
    await contacts.update(ann.id, {"owner_id": max_})
    assert await owner_of(kit, ann.id) == max_
