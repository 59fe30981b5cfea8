"""Exports: every row once, safe in a spreadsheet, streamed page by page."""

import csv
import io
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from domain.platform.errors import InvalidFieldError, NotFoundError
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.suppression import OptOutSource
from services.jobs import exports as module
from services.jobs.exports import CONTACT_COLUMNS, Exporting
from storage.contacts.contacts import ContactFilter
from storage.enrollments.list_filter import ListFilter
from tests.kits.sending import SendingKit


@pytest.fixture
def exports(kit: SendingKit, monkeypatch: pytest.MonkeyPatch) -> Exporting:
    """Exports in pages of three rows."""
    monkeypatch.setattr(module, "PAGE", 3)
    return kit.services.exporting


async def read(pieces: AsyncIterator[bytes]) -> list[dict[str, str]]:
    text = b"".join([piece async for piece in pieces]).decode()
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def audited(kit: SendingKit) -> list[tuple[str, int, bool]]:
    rows = await kit.world.rows(
        "SELECT action, detail FROM audit_log WHERE action LIKE '%.export' ORDER BY id"
    )
    return [(row.action, row.detail["count"], row.detail["whole"]) for row in rows]


@pytest.mark.parametrize("count", [0, 1, 3, 7])
async def test_export_has_every_contact_once_across_pages(
    kit: SendingKit, exports: Exporting, count: int
) -> None:
    if count:
        await kit.world.contacts(count)

    rows = await read(await exports.contacts(kit.world.user_id))

    known = await kit.world.rows("SELECT phone FROM contacts")
    assert sorted(row["phone"] for row in rows) == sorted(row.phone for row in known)
    assert len(rows) == count
    assert all(tuple(row) == CONTACT_COLUMNS for row in rows)
    assert await audited(kit) == [("contacts.export", count, True)]


async def test_export_applies_the_lists_filters(kit: SendingKit, exports: Exporting) -> None:
    ids = await kit.world.contacts(5)
    group_id = await kit.world.group(ids[:4])

    rows = await read(
        await exports.contacts(
            kit.world.user_id, ContactFilter("ann", group=[group_id]), sort="-created_at"
        )
    )

    assert len(rows) == 4
    with pytest.raises(InvalidFieldError):
        await exports.contacts(kit.world.user_id, ContactFilter("a\x00"))


async def test_export_guards_formulas_and_keeps_numbers(
    kit: SendingKit, exports: Exporting
) -> None:
    named = {"=1+1": "'=1+1", "+Ann": "'+Ann", "-Ann": "'-Ann", "@Ann": "'@Ann"}
    for index, name in enumerate(named):
        await kit.world.contacts(1, first_name=name, last_name=f'a,"b"\n{index}')
    await kit.world.contacts(1, first_name="\tAnn", last_name="\uff1dx")

    rows = await read(await exports.contacts(kit.world.user_id, sort="created_at"))

    assert {row["first_name"] for row in rows} == {*named.values(), "'\tAnn"}
    assert {row["last_name"] for row in rows} == {
        *(f'a,"b"\n{index}' for index in range(4)),
        "'\uff1dx",
    }
    assert all(row["phone"].startswith("+1") for row in rows)


async def test_interrupted_export_is_audited(kit: SendingKit, exports: Exporting) -> None:
    await kit.world.contacts(7)
    pieces = await exports.contacts(kit.world.user_id)
    assert await anext(pieces)
    assert await anext(pieces)

    await pieces.aclose()  # type: ignore[attr-defined]

    assert await audited(kit) == [("contacts.export", 3, False)]


async def test_contacts_tab_is_exported(kit: SendingKit, exports: Exporting) -> None:
    sequence = await kit.sequence("Hi")
    people = [await kit.enroll(sequence) for _ in range(5)]
    await kit.services.finishing.mark_finished(people[:1], kit.world.user_id)
    await kit.enroll()

    for sort in ("-enrolled_at", "next_send_at", "name"):
        rows = await read(
            await exports.enrollments(sequence.id, ListFilter(), kit.world.user_id, sort=sort)
        )
        assert {row["enrollment_id"] for row in rows} == {str(one) for one in people}
        assert len(rows) == 5

    finished = ListFilter(status=[EnrollmentStatus.FINISHED_STOPPED])
    [row] = await read(await exports.enrollments(sequence.id, finished, kit.world.user_id))
    assert (row["status"], row["status_label"]) == ("finished_stopped", "Finished, stopped")
    assert row["enrolled_by"] == "Mia"
    with pytest.raises(NotFoundError):
        await exports.enrollments(uuid4(), ListFilter(), kit.world.user_id)


async def test_suppressions_are_exported_with_their_evidence(
    kit: SendingKit, exports: Exporting
) -> None:
    ids = await kit.world.contacts(5)
    for contact_id in ids:
        await kit.services.suppressions.suppress(
            contact_id=contact_id,
            phone=None,
            sender_id=None,
            reason="=asked",
            user_id=kit.world.user_id,
        )
    await kit.services.erasure.erase(ids[0], kit.world.user_id)

    rows = await read(await exports.suppressions(kit.world.user_id))

    assert len(rows) == 5
    assert [row["phone"] for row in rows].count("") == 1
    assert {row["reason"] for row in rows} == {"'=asked", ""}
    assert {row["user"] for row in rows} == {"Mia"}
    none = await exports.suppressions(kit.world.user_id, sources=[OptOutSource.KEYWORD])
    assert await read(none) == []
