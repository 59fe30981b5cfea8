"""Deleting a field of contacts: hidden at once, its values deleted page by page."""

from typing import Any
from uuid import UUID

import pytest

from domain.platform.errors import ConflictError
from domain.statuses.contacts import FieldType
from services.platform import audit
from services.platform.audit import Actor
from storage.contacts import fields
from storage.enrollments import waking
from storage.platform.database import Transaction
from tests.kits.sending import SendingKit

_PAGE = 2
_COUNT = 5


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "PAGE", _PAGE)
    monkeypatch.setattr(waking, "PAGE", 1)  # so one page before the answer


async def stored(kit: SendingKit) -> list[dict[str, Any]]:
    rows = await kit.world.rows("SELECT fields FROM contacts ORDER BY id")
    return [row.fields for row in rows]


async def test_deleted_field_is_hidden_at_once_and_its_values_go_page_by_page(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = kit.services
    field = await services.fields.create("city", "City", FieldType.TEXT)
    await services.fields.create("team", "Team", FieldType.TEXT)
    people = await kit.world.contacts(_COUNT)
    both = {"city": "Lyon", "team": "A"}
    for one in people:
        await services.contacts.update(one, {"fields": both})
    before = [await services.contacts.get(one) for one in people]

    with audit.acting(Actor(kit.world.user_id)):
        await services.fields.remove(field.id)
    assert [one.key for one in await services.fields.all()] == ["team"]
    shown = [await services.contacts.get(one) for one in people]
    assert [one.fields for one in shown] == [{"team": "A"}] * _COUNT
    assert [one.updated_at for one in shown] == [one.updated_at for one in before]
    assert await stored(kit) == [{"team": "A"}] * _PAGE + [both] * (_COUNT - _PAGE)
    with pytest.raises(ConflictError) as refused:
        await services.fields.create("city", "Town", FieldType.NUMBER)
    assert refused.value.conflict == "field_being_deleted"
    town = await services.fields.create("", "City", FieldType.TEXT)
    assert town.key == "city_2"
    # What a text says is what everybody is shown.
    enrollment = await kit.enroll(await kit.sequence("{{team}} in {{city|town}}"), max(people))
    await kit.send(enrollment)
    assert [call.body for call in kit.gateway.calls] == ["A in town"]

    clear_page, pages = fields.clear_page, list[int]()

    async def dying(tx: Transaction, field_id: UUID, after: UUID | None) -> Any:
        found = await clear_page(tx, field_id, after)
        pages.append(found[0])
        if len(pages) == 2:
            raise ConnectionResetError
        return found

    monkeypatch.setattr(fields, "clear_page", dying)
    with pytest.raises(ConnectionResetError):
        await services.waking.wake()
    assert (await stored(kit)).count(both) == 1
    await services.waking.wake()
    assert pages == [2, 1, 1]
    assert await stored(kit) == [{"team": "A"}] * _COUNT
    assert await kit.world.rows("SELECT 1 FROM wakes") == []
    told = "SELECT user_id, detail FROM audit_log WHERE action = 'field.clear'"
    [entry] = await kit.world.rows(told)
    assert (entry.user_id, entry.detail) == (kit.world.user_id, {"contacts": _COUNT})
    made = await services.fields.create("city", "Town", FieldType.NUMBER)
    assert (made.label, made.type) == ("Town", FieldType.NUMBER)
