"""A form accepts only its choices: any other value is refused and changes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api import examples
from domain.statuses.access import Role
from storage.platform.database import Database
from tests.api.pages.conftest import Browse

Form = Mapping[str, str | Sequence[str]]

SETTINGS: Form = {
    "name": "Hello",
    "sender_id": examples.SENDER,
    "on_reply": "continue",
    "counts_as_reply": "any",
    "purpose": "marketing",
    "reply_number": "7",
    "reply_unit": "days",
    "open": ["mon"],
    "opens": ["09:00"] * 7,
    "closes": ["17:00"] * 7,
}
STEP: Form = {"key": "s1", "body": "Hi", "delay": "2", "unit": "days", "version": "1"}
CONTACT: Form = {"first_name": "Ann", "phone": "+12125550101", "line_type": "mobile"}
SEQUENCE: Form = {"name": "New", "kind": "scheduled", "sender_id": examples.SENDER}

FORMS: Mapping[str, Form] = {
    f"/sequences/{examples.IDS['sequence_id']}/settings": SETTINGS,
    f"/sequences/{examples.DRAFT}/steps": STEP,
    f"/contacts/{examples.CONTACT}/edit": CONTACT,
    "/sequences": SEQUENCE,
    "/settings/workspace": {"time_zone": "", "hour_cycle": "24", "shows_packs": "true"},
}

CHOICES = [
    (f"/sequences/{examples.IDS['sequence_id']}/settings", "on_reply"),
    (f"/sequences/{examples.IDS['sequence_id']}/settings", "counts_as_reply"),
    (f"/sequences/{examples.IDS['sequence_id']}/settings", "purpose"),
    (f"/sequences/{examples.IDS['sequence_id']}/settings", "reply_unit"),
    (f"/sequences/{examples.IDS['sequence_id']}/settings", "open"),
    (f"/sequences/{examples.DRAFT}/steps", "unit"),
    (f"/contacts/{examples.CONTACT}/edit", "line_type"),
    ("/sequences", "kind"),
    ("/settings/workspace", "hour_cycle"),
    ("/settings/workspace", "marketing"),
    ("/settings/workspace", "texts_per_day"),
]


@pytest.fixture
async def admin(there: dict[str, str], browse: Browse) -> httpx.AsyncClient:
    return await browse(Role.ADMIN)


async def post(
    admin: httpx.AsyncClient, there: Mapping[str, str], path: str, **changes: str
) -> httpx.Response:
    form: dict[str, Any] = {**FORMS[path], **changes}
    for placeholder, actual in there.items():
        path = path.replace(placeholder, actual)
    return await admin.post(path, data={k: there.get(str(v), v) for k, v in form.items()})


async def everything(database: Database) -> list[Any]:
    async with database.transaction() as tx:
        return [
            (await tx.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))).all()  # noqa: S608
            for table in ("sequences", "steps", "contacts", "workspace")
        ]


@pytest.mark.parametrize("path", FORMS)
async def test_known_choice_is_accepted(
    admin: httpx.AsyncClient, there: Mapping[str, str], path: str
) -> None:
    answer = await post(admin, there, path)
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize(("path", "field"), CHOICES)
async def test_unknown_choice_is_refused(
    admin: httpx.AsyncClient,
    there: Mapping[str, str],
    database: Database,
    path: str,
    field: str,
) -> None:
    before = await everything(database)
    for value in ("pause everything", "FINISH", "0"):
        answer = await post(admin, there, path, **{field: value})
        assert answer.status_code == 422
        assert "must be " in answer.text or "opens on a day" in answer.text
        assert await everything(database) == before
