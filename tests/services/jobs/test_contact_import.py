"""Importing contacts: a result for every row, no contact twice, no personal data left behind."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from domain.platform.errors import ConflictError, InvalidFieldError
from domain.statuses.contacts import FieldType
from domain.statuses.jobs import JobState
from services.jobs import jobs as jobs_module
from storage.jobs.jobs import JobDetails, RowResult
from tests.kits.contact_import import HEADER, chunks, import_contacts, upload
from tests.kits.sending import SendingKit


def results_of(rows: list[RowResult]) -> list[tuple[int, str | None]]:
    return [(row.position, row.code) for row in rows]


async def test_each_row_gets_its_result(kit: SendingKit) -> None:
    text = (
        "Last Name;ignore me;First-Name;Mobile Phone;TimeZone;Line type;Country;State;Zip\n"
        "Lee;x;Ann;(212) 555-0101;America/Denver;MOBILE;USA;Texas;78701\n"
        "Lee;x;Bo;+12125550102;;;;;\n"
        "\n"
        "Ray;x;Ann again;212 555 0101;;;;;\n"
        "Doe;x;Cy;12;Mars/Olympus;fax;Atlantis;;\n"
        ";x; ;+12125550103;;;;;\n"
        "Fay;x;Di;+12125550104;;;;TX;K1A 0B1\n"
    )
    job = await upload(kit, text)
    assert job.about["ignored_columns"] == ["ignore me"]
    assert "salt" not in job.about
    await kit.services.jobs.run_chunk(job.id)
    found, _ = await kit.services.jobs.results(job.id)
    assert results_of(found) == [
        (2, "created"),
        (3, "created"),
        (5, "duplicate_in_file"),
        (6, "invalid"),
        (7, "invalid"),
        (8, "invalid"),
    ]
    wrong = [(one["field"], one["code"]) for one in found[3].detail["errors"]]
    assert wrong == [
        ("phone", "invalid_phone"),
        ("country", "unknown_region"),
        ("time_zone", "invalid_field"),
        ("line_type", "unknown_line_type"),
    ]
    assert [one["code"] for one in found[4].detail["errors"]] == ["blank"]
    assert [one["code"] for one in found[5].detail["errors"]] == ["unknown_postal_code"]
    contacts = await kit.world.rows(
        "SELECT id, first_name, last_name, phone, time_zone, line_type, country, state, postal_code"
        " FROM contacts ORDER BY phone"
    )
    assert [row[1:] for row in contacts] == [
        ("Ann", "Lee", "+12125550101", "America/Denver", "mobile", "US", "TX", "78701"),
        ("Bo", "Lee", "+12125550102", None, None, None, None, None),
    ]
    assert [row.subject_id for row in found[:3]] == [contacts[0].id, contacts[1].id, contacts[0].id]


async def test_second_import_of_a_file_changes_nothing(kit: SendingKit) -> None:
    text = HEADER + "Ann,Lee,+12125550101,America/Denver,\nBo,,+12125550102,,landline\n"
    first = await import_contacts(kit, text)
    before = await kit.world.rows("SELECT * FROM contacts ORDER BY phone")
    again = await import_contacts(kit, text)
    assert [row.code for row in again] == ["unchanged"] * 2
    assert [row.subject_id for row in again] == [row.subject_id for row in first]
    assert await kit.world.rows("SELECT * FROM contacts ORDER BY phone") == before


async def test_known_number_keeps_its_data(kit: SendingKit) -> None:
    await import_contacts(kit, HEADER + "Ann,Lee,+12125550101,America/Denver,mobile\n")
    [contact] = await kit.world.rows("SELECT * FROM contacts")
    for line, code in (
        ("Anna,Lee,+12125550101,,", "exists"),
        ("Ann,Lee,+12125550101,America/New_York,", "exists"),
        ("Ann,Lee,+12125550101,,", "unchanged"),
    ):
        [row] = await import_contacts(kit, f"{HEADER}{line}\n")
        assert (row.code, row.detail) == (code, {"contact_id": str(contact.id)})
    assert await kit.world.rows("SELECT * FROM contacts") == [contact]


async def test_dry_run_gives_results_and_writes_nothing(kit: SendingKit) -> None:
    await import_contacts(kit, HEADER + "Ann,Lee,+12125550101,,\n")
    text = HEADER + "".join(
        f"{line}\n"
        for line in (
            "Ann,Lee,+12125550101,,",
            "Bo,Ray,+12125550102,,",
            "Bo,Ray,+12125550102,,",
            "Cy,Ray,nothing,,",
        )
    )
    text += "".join(f"Di,Doe,+1212{5_560_000 + number},,\n" for number in range(1_500))
    text += "Bo,Ray,+12125550102,,\nAnn,Lee,+12125550101,,\n"
    dry_run = await import_contacts(kit, text, dry_run=True)
    assert all(row.subject_id is None for row in dry_run)
    assert len(await kit.world.rows("SELECT id FROM contacts")) == 1
    [job] = await kit.world.rows("SELECT params FROM jobs WHERE params->>'dry_run' = 'true'")
    assert "salt" not in job.params
    real = await import_contacts(kit, text)
    assert results_of(dry_run) == results_of(real)
    assert [row.code for row in real[:4]] == [
        "unchanged",
        "created",
        "duplicate_in_file",
        "invalid",
    ]
    assert [row.code for row in real[-2:]] == ["duplicate_in_file"] * 2


async def test_external_ids_owners_and_fields_are_read_and_merged(kit: SendingKit) -> None:
    """A row is matched by external id, else by phone; known data changes only if asked for."""
    for key, label, kind in (
        ("job_title", "Job title", FieldType.TEXT),
        ("level_2", "Größe", FieldType.NUMBER),
        ("has_car", "", FieldType.BOOLEAN),
    ):
        await kit.services.fields.create(key, label, kind)
    heading = "First name,Phone,External ID,Owner,JOB TITLE,größe,has_car,Level\n"
    lines = (
        "Ann,+12125550101,a,MIA@example.com,Welder,1.50,yes,x",
        "Bo,+12125550102,b,,,,,",
        "Cy,+12125550103,c,nobody@example.com,,high,maybe,",
        "Di,+12125550104,a,,,,,",
        "Ed,+12125550101,e,,,,,",
        "Fay,+12125550106,f,,,,,",
    )
    job = await upload(kit, heading + "".join(f"{line}\n" for line in lines))
    assert job.about["ignored_columns"] == ["Level"]
    await kit.services.jobs.run_chunk(job.id)
    found, _ = await kit.services.jobs.results(job.id)
    assert [row.code for row in found] == [
        *("created", "created", "invalid", "duplicate_in_file", "duplicate_in_file", "created")
    ]
    assert {(one["field"], one["code"]) for one in found[2].detail["errors"]} == {
        ("fields.level_2", "invalid_value"),
        ("fields.has_car", "invalid_value"),
        ("owner", "unknown_user"),
    }
    [ann, bo, _] = await kit.world.rows("SELECT * FROM contacts ORDER BY phone")
    assert ann.fields == {"job_title": "Welder", "level_2": 1.5, "has_car": True}
    assert (ann.external_id, ann.owner_id, bo.fields) == ("a", kit.world.user_id, {})

    again = "first_name,phone,external_id,job_title\n" + "".join(
        f"{line}\n"
        for line in (
            "Fay,+12125550102,f,",
            "Anna,+12125550177,a,",
            "Bo,+12125550102,,Driver",
            "Bo,+12125550102,x,Driver",
        )
    )
    for how, codes in (
        ({}, ["exists", "exists"]),
        ({"update_existing": True, "dry_run": True}, ["changed", "changed"]),
        ({"update_existing": True}, ["changed", "changed"]),
        ({"update_existing": True}, ["unchanged", "unchanged"]),
    ):
        rows = await import_contacts(kit, again, **how)
        assert [row.code for row in rows] == ["invalid", *codes, "duplicate_in_file"], how
        kept = [
            (one.first_name, one.phone)
            for one in await kit.world.rows(
                "SELECT first_name, phone FROM contacts ORDER BY external_id"
            )
        ]
        is_done = how == {"update_existing": True}
        assert kept[0] == (("Anna", "+12125550177") if is_done else ("Ann", "+12125550101")), how
    assert [one["code"] for one in rows[0].detail["errors"]] == ["phone_taken"]
    [anna, bo, _] = await kit.world.rows("SELECT * FROM contacts ORDER BY external_id")
    assert anna.fields == ann.fields
    assert bo.fields == {"job_title": "Driver"}

    exported = [piece async for piece in await kit.services.exporting.contacts(kit.world.user_id)]
    job = await upload(kit, b"".join(exported).decode(), update_existing=True)
    assert job.about["ignored_columns"] == []
    await kit.services.jobs.run_chunk(job.id)
    assert (await kit.services.jobs.get(job.id)).counts == {"unchanged": 3}


async def test_import_adds_all_contacts_to_the_group(kit: SendingKit) -> None:
    await import_contacts(kit, HEADER + "Ann,Lee,+12125550101,,\n")
    group_id = await kit.world.group()
    text = HEADER + "Anna,Lee,+12125550101,,\nBo,Ray,+12125550102,,\nCy,Ray,no,,\n"
    await import_contacts(kit, text, group_id=group_id, dry_run=True)
    assert await kit.world.rows("SELECT * FROM group_members") == []
    rows = await import_contacts(kit, text, group_id=group_id)
    members = await kit.world.rows("SELECT contact_id, added_by FROM group_members")
    assert {one.contact_id for one in members} == {row.subject_id for row in rows[:2]}
    assert {one.added_by for one in members} == {kit.world.user_id}


async def test_deleted_group_is_the_result_of_every_row(kit: SendingKit) -> None:
    group_id = await kit.world.group()
    job = await upload(kit, HEADER + "Ann,Lee,+12125550101,,\n", group_id=group_id)
    await kit.services.groups.remove(group_id)
    await kit.services.jobs.run_chunk(job.id)
    ended = await kit.services.jobs.get(job.id)
    assert (ended.state, ended.error) == (JobState.DONE, "unknown_group")
    assert ended.counts == {"unknown_group": 1}
    assert await kit.world.rows("SELECT * FROM contacts") == []


async def test_imported_opted_out_number_stays_opted_out(kit: SendingKit) -> None:
    [contact] = await kit.world.contacts(1, phone="+12125550101")
    await kit.world.suppress(contact)
    await kit.world.run("DELETE FROM contacts")
    [row] = await import_contacts(kit, HEADER + "Ann,Lee,+12125550101,,\n")
    assert row.code == "created"
    assert row.subject_id is not None
    assert (await kit.services.contacts.get(row.subject_id)).opted_out


async def test_numbers_without_a_country_code_use_the_given_region(kit: SendingKit) -> None:
    await import_contacts(kit, HEADER + "Ann,Lee,020 7946 0018,,\n", region="gb")
    [contact] = await kit.world.rows("SELECT phone FROM contacts")
    assert contact.phone == "+442079460018"


async def test_done_rows_hold_nothing_personal(kit: SendingKit) -> None:
    text = HEADER + (
        "Rosalind,Lee,+12125550187,,\nRosalind,Lee,212555018x,,\nRosalind,Lee,+12125550187,,\n"
        "Rosalind,Lee,+12125550188,,,surplus\nRosalind\x00,Lee,+12125550189,,\n"
        f"{'Rosalind' * 100},Lee,+12125550189,,\n"
    )
    rows = await import_contacts(kit, text)
    assert [row.code for row in rows] == [
        "created",
        "invalid",
        "duplicate_in_file",
        "invalid",
        "invalid",
        "invalid",
    ]
    kept = await kit.world.rows(
        "SELECT CAST(job_rows AS text) AS row FROM job_rows"
        " UNION ALL SELECT CAST(jobs AS text) FROM jobs"
        " UNION ALL SELECT CAST(audit_log AS text) FROM audit_log"
    )
    written = json.dumps([row.row for row in kept])
    for personal in ("Rosalind", "2125550187", "212555018x", "surplus"):
        assert personal not in written


async def test_canceled_rows_hold_nothing_personal(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "CHUNK_SECONDS", 0)
    text = HEADER + "".join(f"Di,Doe,+1212{5_560_000 + one},,\n" for one in range(1_200))
    job = await upload(kit, text)
    await kit.services.jobs.run_chunk(job.id)
    canceled = await kit.services.jobs.cancel(job.id, kit.world.user_id)
    assert canceled.counts == {"created": 1_000, "canceled": 200}
    left = await kit.world.rows("SELECT detail FROM job_rows WHERE detail ? 'phone'")
    assert left == []
    assert len(await kit.world.rows("SELECT id FROM contacts")) == 1_000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "missing_column"),
        ("\n\n", "missing_column"),
        ("Ann,Lee,+12125550101\n", "missing_column"),
        ("phone,zip\n+12125550101,10001\n", "missing_column"),
        ("first_name,phone,mobile\nAnn,+12125550101,+12125550102\n", "duplicate_column"),
        (HEADER + 'Ann,Lee,"+12125550101,,\n' + "Bo,Lee,+12125550102,,\n" * 9_000, "invalid_csv"),
    ],
)
async def test_invalid_file_leaves_nothing(kit: SendingKit, text: str, code: str) -> None:
    with pytest.raises(InvalidFieldError) as raised:
        await upload(kit, text)
    assert (raised.value.field, raised.value.field_code) == ("body", code)
    assert await kit.world.rows("SELECT id FROM jobs") == []
    assert await kit.world.rows("SELECT position FROM job_rows") == []


async def test_interrupted_upload_leaves_nothing(kit: SendingKit) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield (HEADER + "Ann,Lee,+12125550101,,\n" * 9_000).encode()
        assert await kit.world.rows("SELECT 1 FROM job_rows LIMIT 1") != []
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await kit.services.importing.receive(breaks(), kit.world.user_id)
    assert await kit.world.rows("SELECT id FROM jobs") == []
    assert await kit.world.rows("SELECT position FROM job_rows") == []


async def test_sweep_deletes_uploads_of_dead_processes(kit: SendingKit) -> None:
    text = HEADER + "Ann,Lee,+12125550101,,\n"
    job_id = await kit.services.importing.receive(chunks(text), kit.world.user_id)
    await kit.pass_time(timedelta(minutes=14))
    assert (await kit.services.sweep.sweep()).failures == []
    assert (await kit.services.jobs.get(job_id)).state is JobState.RECEIVING
    await kit.pass_time(timedelta(minutes=2))
    assert (await kit.services.sweep.sweep()).failures == []
    assert await kit.world.rows("SELECT id FROM jobs") == []
    with pytest.raises(ConflictError) as raised:
        await kit.services.importing.start(job_id, kit.world.user_id)
    assert raised.value.conflict == "upload_canceled"


async def test_upload_can_be_canceled(kit: SendingKit) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield (HEADER + "Ann,Lee,+12125550101,,\n" * 9_000).encode()
        [job] = await kit.world.rows("SELECT id FROM jobs")
        canceled = await kit.services.jobs.cancel(job.id, kit.world.user_id)
        assert canceled.state is JobState.CANCELED
        yield b"Ann,Lee,+12125550101,,\n" * 9_000

    with pytest.raises(ConflictError) as raised:
        await kit.services.importing.receive(slow(), kit.world.user_id)
    assert raised.value.conflict == "upload_canceled"
    left = await kit.world.rows("SELECT 1 FROM job_rows WHERE detail ? 'phone' LIMIT 1")
    assert left == []


async def test_twenty_thousand_contacts_with_two_hundred_bad_ones(kit: SendingKit) -> None:
    """Each bad row is reported, the good ones are in, and a second import changes nothing."""
    # A smaller file proves as much the second time: chunks have the same size.
    total, again_total = 20_000, 3_000

    async def file(rows: int) -> AsyncIterator[bytes]:
        yield HEADER.encode()
        for start in range(0, rows, 500):
            yield "".join(
                f"Ann{one},Lee,{'nobody' if one % 100 == 7 else f'+1{2_125_000_000 + one}'},,\n"
                for one in range(start, start + 500)
            ).encode()

    async def run(rows: int) -> JobDetails:
        job_id = await kit.services.importing.receive(file(rows), kit.world.user_id)
        await kit.services.importing.start(job_id, kit.world.user_id)
        while (await kit.services.jobs.run_chunk(job_id)).more:
            pass
        return await kit.services.jobs.get(job_id)

    job = await run(total)
    assert job.counts == {"created": 19_800, "invalid": 200}
    bad, _ = await kit.services.jobs.results(job.id, codes=["invalid"], limit=2_000)
    assert [row.position for row in bad] == [one + 2 for one in range(7, total, 100)]
    assert all(row.detail["errors"][0]["field"] == "phone" for row in bad)
    [count] = await kit.world.rows("SELECT count(*) AS contacts FROM contacts")
    assert count.contacts == 19_800
    again = await run(again_total)
    assert again.counts == {"unchanged": 2_970, "invalid": 30}
    [changed] = await kit.world.rows(
        "SELECT count(*) AS contacts FROM contacts WHERE updated_at <> created_at"
    )
    assert changed.contacts == 0
    assert isinstance(job.id, UUID)
