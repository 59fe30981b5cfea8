"""The ledger of consents: kept as given, revoked by opt-outs, erased with the number."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg.errors import CheckViolation

from services.contacts.consents import ConsentFields
from tests.kits.contact_import import import_contacts, upload
from tests.kits.inbound import receive
from tests.kits.sending import SendingKit

FORM: ConsentFields = {"source": "A form", "wording": "I agree", "written": True}
PHONE = "+12125550101"


async def add(kit: SendingKit, contact_id: UUID, **given: object) -> None:
    await kit.services.consents.add(contact_id, {**FORM, **given}, kit.world.user_id)  # type: ignore[typeddict-item]


async def told(kit: SendingKit, contact_id: UUID) -> list[tuple[str, bool]]:
    """Read a contact's consents: where each is from, and whether it stands."""
    found = (await kit.services.consents.find(contact_id)).items
    return [(one.source, one.revoked_at is None) for one in found]


async def test_opt_out_revokes_what_was_given_before_and_start_is_a_new_consent(
    kit: SendingKit,
) -> None:
    [contact] = await kit.world.numbers([PHONE])
    await add(kit, contact, given_at=datetime(2026, 1, 1, tzinfo=UTC))
    await receive(kit.services, PHONE, "STOP")
    assert await told(kit, contact) == [("A form", False)]
    await receive(kit.services, PHONE, "START")
    assert await told(kit, contact) == [("Text message", True), ("A form", False)]
    [start, _] = (await kit.services.consents.find(contact)).items
    assert (start.message_body, start.written, start.user_id) == ("START", False, None)
    await kit.services.suppressions.suppress(
        contact_id=contact,
        phone=None,
        sender_id=kit.world.sender_id,
        reason="Not from this sender",
        user_id=kit.world.user_id,
    )
    assert (await told(kit, contact))[0] == ("Text message", True)


async def test_what_is_on_record_is_not_written_again_and_never_changed(kit: SendingKit) -> None:
    [contact] = await kit.world.numbers([PHONE])
    at = datetime.now(UTC) - timedelta(days=1)
    for is_new in (True, False):
        row, news = await kit.services.consents.add(
            contact, {**FORM, "given_at": at}, kit.world.user_id
        )
        assert (row.source, row.given_at, row.user_name, news) == ("A form", at, "Mia", is_new)
    await add(kit, contact, given_at=at, wording="I agree to more")
    assert await told(kit, contact) == [("A form", True)] * 2
    with pytest.raises(CheckViolation, match="never changed"):
        await kit.world.run("UPDATE consents SET wording = 'I agree to everything'")
    audited = await kit.world.rows(
        "SELECT subject_id FROM audit_log WHERE action = 'contact.add_consent'"
    )
    assert [row.subject_id for row in audited] == [contact] * 2


async def test_consents_are_the_numbers_and_erased_with_it(kit: SendingKit) -> None:
    [ann, bo] = await kit.world.numbers([PHONE, "+12125550102"])
    await add(kit, ann)
    await kit.services.contacts.update(ann, {"phone": "+12125550109"})
    assert await told(kit, ann) == []
    await add(kit, ann, source="A call", written=False)
    await kit.services.contacts.update(bo, {"phone": PHONE})
    await kit.services.erasure.erase(ann, kit.world.user_id)
    assert await told(kit, bo) == [("A form", True)], "the number is somebody's"
    assert await kit.world.rows("SELECT source FROM consents") == [("A form",)]


HEADING = "first_name,phone,external_id,Consent source,Consent at,Consent wording,Consent written\n"


async def test_consents_are_imported_once_and_errors_name_their_columns(kit: SendingKit) -> None:
    [ann, bea] = await kit.world.numbers([PHONE, "+12125550108"])
    await kit.services.contacts.update(bea, {"external_id": "bea"})
    lines = (
        f"Anna,{PHONE},,Job fair,2026-01-05,Yes,true",
        f"Ann again,{PHONE},,Other,2026-01-05,,",
        "Bo,+12125550102,,A call,2026-02-01T10:00:00-05:00,,",
        "Cy,+12125550103,,,,,",
        "Di,+12125550104,,,,Text me,",
        "Ed,+12125550105,,A form,soon,,perhaps",
        "Fay,+12125550106,,A form,2026-01-05,,yes",
        "Gus,+12125550107,bea,A call,2026-03-01,,",
    )
    text = HEADING + "".join(f"{line}\n" for line in lines)
    [first, *_] = await import_contacts(kit, text, dry_run=True)
    assert first.code == "exists"
    assert await told(kit, ann) == []
    for _ in range(2):
        job = await upload(kit, text)
        await kit.services.jobs.run_chunk(job.id)
    found, _ = await kit.services.jobs.results(job.id)
    assert [row.code for row in found] == [
        *("exists", "duplicate_in_file", "unchanged", "unchanged", "invalid", "invalid", "invalid"),
        "exists",
    ]
    wrong = [
        [(one["field"], one["code"]) for one in row.detail["errors"]]
        for row in found
        if row.code == "invalid"
    ]
    assert wrong == [
        [("consent_source", "missing"), ("consent_at", "missing")],
        [("consent_at", "invalid_value"), ("consent_written", "invalid_value")],
        [("consent_wording", "missing")],
    ]
    assert await kit.world.rows(
        "SELECT phone, source, wording, written, given_at, user_id FROM consents ORDER BY phone"
    ) == [
        (PHONE, "Job fair", "Yes", True, datetime(2026, 1, 5, 12, tzinfo=UTC), kit.world.user_id),
        (
            *("+12125550102", "A call", None, False),
            *(datetime(2026, 2, 1, 15, tzinfo=UTC), kit.world.user_id),
        ),
        (
            *("+12125550107", "A call", None, False),
            *(datetime(2026, 3, 1, 12, tzinfo=UTC), kit.world.user_id),
        ),
    ]
