"""Importing contacts over HTTP."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import httpx

from api.app import create_app
from services.factory import Services
from settings import ApiSettings

FILE = b"first_name,last_name,phone\nAnn,Lee,+12125550101\nBo,Lee,nonsense\n"
CSV = {"Content-Type": "text/csv; charset=utf-8"}
ADDRESS = "/api/contacts/import"


async def test_import_names_invalid_rows(member: httpx.AsyncClient, services: Services) -> None:
    answer = await member.post(f"{ADDRESS}?update_existing=true", content=FILE, headers=CSV)
    assert answer.status_code == 202
    job = answer.json()
    assert job["about"]["update_existing"] is True
    assert answer.headers["Location"] == f"/api/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["total"]) == ("import_contacts", "queued", 2)
    assert job["about"]["dry_run"] is False
    waiting = (await member.get(f"{answer.headers['Location']}/results")).json()["items"]
    assert [(row["code"], row["detail"]) for row in waiting] == [(None, {})] * 2
    while (await services.jobs.run_chunk(UUID(job["id"]))).more:
        pass
    read = (await member.get(answer.headers["Location"])).json()
    assert (read["state"], read["counts"]) == ("done", {"created": 1, "invalid": 1})
    bad = (await member.get(f"{answer.headers['Location']}/results?code=invalid")).json()["items"]
    assert [row["position"] for row in bad] == [3]
    [error] = bad[0]["detail"]["errors"]
    assert (error["field"], error["code"]) == ("phone", "invalid_phone")
    assert error["message"] == error["reason"]
    assert "nonsense" not in str(bad)


async def test_import_reads_the_columns_that_a_client_names(
    member: httpx.AsyncClient, services: Services
) -> None:
    file = "Who;Cell;Crew;Name\nZoë Peña;+12125550101;Nurses;Z.\n".encode("cp1252")
    columns = {"column": ["full_name=Who", "phone=Cell", "groups=Crew"]}
    answer = await member.post(ADDRESS, content=file, headers=CSV, params=columns)
    assert answer.status_code == 202, answer.text
    assert answer.json()["about"]["ignored_columns"] == ["Name"]
    while (await services.jobs.run_chunk(UUID(answer.json()["id"]))).more:
        pass
    [contact] = (await member.get("/api/contacts")).json()["items"]
    assert (contact["first_name"], contact["last_name"]) == ("Zoë", "Peña")
    [group] = (await member.get("/api/groups")).json()["items"]
    assert (group["name"], group["member_count"]) == ("Nurses", 1)


async def test_import_reads_a_whole_name_where_there_is_no_other(
    member: httpx.AsyncClient, services: Services
) -> None:
    for file, name in (
        (b"Full name,phone,group\nAnn Lee,+12125550101,Nurses\n", "Ann Lee"),
        (b"first_name,name,phone\nBo,Bo Ray,+12125550102\n", "Bo"),
    ):
        answer = await member.post(ADDRESS, content=file, headers=CSV)
        while (await services.jobs.run_chunk(UUID(answer.json()["id"]))).more:
            pass
        names = [one["name"] for one in (await member.get("/api/contacts")).json()["items"]]
        assert name in names
    assert (await member.get("/api/groups")).json()["items"] == []


async def test_repeated_upload_with_its_key_is_one_import(member: httpx.AsyncClient) -> None:
    headers = {**CSV, "Idempotency-Key": "k1"}
    first = await member.post(ADDRESS, content=FILE, headers=headers)
    again = await member.post(ADDRESS, content=FILE, headers=headers)
    other = await member.post(ADDRESS, content=FILE + b"Cy,Lee,1\n", headers=headers)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    jobs = (await member.get("/api/jobs")).json()["items"]
    assert [job["id"] for job in jobs] == [first.json()["id"]]


_INVALID: Sequence[tuple[str, bytes, dict[str, str], int, str]] = [
    ("", FILE, {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
    ("", FILE, {"Content-Type": "text/csv; charset=latin-1"}, 415, "unsupported_media_type"),
    ("", FILE, {"Content-Type": 'text/csv; charset="'}, 415, "unsupported_media_type"),
    ("", b"Ann,Lee,+12125550101\n", CSV, 422, "missing_column"),
    ("", FILE + b"\x81", CSV, 422, "invalid_encoding"),
    ("", b"PK\x03\x04", CSV, 422, "not_csv"),
    ("?column=phone=Cell", FILE, CSV, 422, "unknown_column"),
    ("?column=phone=phone&column=phone=first_name", FILE, CSV, 422, "duplicate_column"),
    ("?column=phone=phone", FILE, CSV, 422, "missing_column"),
    ("?column=phone", FILE, CSV, 422, "invalid_request"),
    ("?region=zz", FILE, CSV, 422, "unknown_region"),
    ("?group_id=00000000-0000-4000-8000-000000000000", FILE, CSV, 422, "unknown_group"),
    ("?dryrun=true", FILE, CSV, 422, "invalid_request"),
]


async def test_invalid_import_is_refused(member: httpx.AsyncClient) -> None:
    for query, content, headers, status, code in _INVALID:
        answer = await member.post(ADDRESS + query, content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (query, content)
        assert (await member.get("/api/jobs")).json()["items"] == [], (query, content)


async def test_viewer_cannot_import(viewer: httpx.AsyncClient) -> None:
    assert (await viewer.post(ADDRESS, content=FILE, headers=CSV)).status_code == 403


async def test_file_has_a_larger_limit_than_other_bodies(
    member: httpx.AsyncClient, settings: ApiSettings, services: Services
) -> None:
    small = create_app(
        settings.model_copy(update={"import_max_bytes": 6_000_000}), services=services
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(small, raise_app_exceptions=False),
        base_url="http://segue.test",
        headers={"Authorization": member.headers["Authorization"], **CSV},
    ) as client:

        async def blanks(count: int) -> AsyncIterator[bytes]:
            yield FILE
            for _ in range(count):
                yield (b" " * 2_997 + b",,\n") * 100

        taken = await client.post(ADDRESS, content=blanks(19))
        assert (taken.status_code, taken.json()["total"]) == (202, 2)
        refused = await client.post(ADDRESS, content=blanks(21))
        assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
        declared = await client.post(ADDRESS, content=b"x" * 6_000_001)
        assert declared.status_code == 413
        other = await client.post("/api/contacts", content=blanks(19))
        assert other.status_code == 413
    assert len((await member.get("/api/jobs")).json()["items"]) == 1
