"""Importing opted-out numbers over the API."""

from collections.abc import Sequence
from uuid import UUID

import httpx
import pytest

from services.factory import Services
from storage.platform.database import Database
from tests.worlds import World

ADDRESS = "/api/suppressions/import"
CSV = {"Content-Type": "text/csv"}
FILE = (
    b"phone,reason,lifted_at,sender_id\n"
    b"(212) 500-0000,Wrote a letter,,\n"
    b"+12125000001,,,\n"
    b"12,,,\n"
    b"+12125000002,,2026-11-02T00:00:00+00:00,\n"
)


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def run_job(services: Services, job_id: UUID) -> None:
    while (await services.jobs.run_chunk(job_id)).more:
        pass


async def suppressions(world: World) -> dict[str, tuple[str, str | None]]:
    rows = await world.rows(
        "SELECT phone, source, reason FROM suppressions WHERE lifted_at IS NULL"
    )
    return {row.phone: (row.source, row.reason) for row in rows}


async def results(member: httpx.AsyncClient, job_id: UUID) -> list[tuple[int, str]]:
    items = (await member.get(f"/api/jobs/{job_id}/results")).json()["items"]
    return [(item["position"], item["code"]) for item in items]


async def test_import_suppresses_numbers_by_hand(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    ids = await world.contacts(3)
    await world.suppress(ids[1])
    sequence = await world.active()
    await member.post(
        f"/api/sequences/{sequence.id}/enrollments", json={"contact_ids": [str(ids[0])]}
    )
    answer = await member.post(f"{ADDRESS}?reason=Old%20list", content=FILE, headers=CSV)
    assert answer.status_code == 202, answer.text
    assert answer.json()["about"]["ignored_columns"] == ["sender_id"]
    job_id = UUID(answer.json()["id"])
    await run_job(services, job_id)
    assert await results(member, job_id) == [
        (2, "suppressed"),
        (3, "already_suppressed"),
        (4, "invalid"),
        (5, "lifted"),
    ]
    assert await suppressions(world) == {
        "+12125000000": ("by_hand", "Wrote a letter"),
        "+12125000001": ("keyword", None),
    }
    [enrollment] = await world.rows("SELECT status FROM enrollments")
    assert enrollment.status == "omitted_opted_out"


async def test_dry_run_suppresses_nothing(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    answer = await member.post(f"{ADDRESS}?dry_run=true", content=FILE, headers=CSV)
    job_id = UUID(answer.json()["id"])
    await run_job(services, job_id)
    # A row without a reason needs the import's.
    assert [code for _, code in await results(member, job_id)] == [
        "suppressed",
        "invalid",
        "invalid",
        "lifted",
    ]
    assert await suppressions(world) == {}


async def test_imported_numbers_end_only_their_own_enrollments(
    world: World, member: httpx.AsyncClient, admin: httpx.AsyncClient, services: Services
) -> None:
    ids = await world.contacts(250)
    sequence = await world.active()
    await services.enrolling.enroll(sequence.id, world.user_id, contact_ids=ids)
    nobodys, phones = "+12125559999", [f"+1212500{number:04d}" for number in range(0, 240, 2)]
    rows = [f"{phone},Row {phone}" for phone in (*phones, nobodys, nobodys, phones[0], "12")]
    text = "\n".join(["phone,reason", *rows]).encode()
    answer = await member.post(ADDRESS, content=text, headers=CSV)
    job_id = UUID(answer.json()["id"])
    await run_job(services, job_id)
    results = (await services.jobs.results(job_id, limit=1000))[0]
    assert [row.code for row in results] == [
        *["suppressed"] * 121,
        *["already_suppressed"] * 2,
        "invalid",
    ]
    assert [row.subject_id for row in results] == [*ids[0:240:2], None, None, ids[0], None]
    assert await suppressions(world) == {
        phone: ("by_hand", f"Row {phone}") for phone in (*phones, nobodys)
    }
    left = await world.rows("SELECT contact_id FROM enrollments WHERE status = 'active'")
    assert {row.contact_id for row in left} == {*ids} - {*ids[0:240:2]}
    signals = await world.rows("SELECT count(*) AS n FROM outbox WHERE kind = 'signal_enrollment'")
    assert [row.n for row in signals] == [120]
    log = await world.rows(
        "SELECT user_id, detail FROM audit_log WHERE action = 'suppression.create'"
    )
    assert len(log) == 121
    ended = {row.detail["contact_id"]: row.detail["ended"] for row in log}
    assert ended.pop(None) == 0
    assert ended == {str(one): 1 for one in ids[0:240:2]}


async def test_exported_suppressions_can_be_imported(
    world: World, member: httpx.AsyncClient, services: Services
) -> None:
    for phone in ("+12125550101", "+12125550102"):
        await member.post("/api/suppressions", json={"phone": phone, "reason": "=Asked"})
    exported = (await member.get("/api/suppressions/export")).content
    await world.run("DELETE FROM suppressions")
    answer = await member.post(ADDRESS, content=exported, headers=CSV)
    await run_job(services, UUID(answer.json()["id"]))
    assert await suppressions(world) == {
        "+12125550101": ("by_hand", "=Asked"),
        "+12125550102": ("by_hand", "=Asked"),
    }


_UNREADABLE: Sequence[tuple[str, bytes, str]] = [
    ("", b"number\n1\n", "missing_column"),
    ("", b"", "missing_column"),
    ("", b"phone,mobile\n1,2\n", "duplicate_column"),
    ("?region=zz", FILE, "unknown_region"),
    ("?group_id=00000000-0000-4000-8000-000000000000", FILE, "invalid_request"),
]


async def test_unreadable_suppression_file_is_refused(member: httpx.AsyncClient) -> None:
    for query, content, code in _UNREADABLE:
        answer = await member.post(ADDRESS + query, content=content, headers=CSV)
        assert (answer.status_code, answer.json()["code"]) == (422, code), (query, content)
        assert (await member.get("/api/jobs")).json()["items"] == [], (query, content)
