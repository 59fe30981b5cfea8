"""Jobs over HTTP."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.factory import Services
from tests.api.conftest import FakeTemporal
from tests.worlds import World, small_world


@pytest.fixture
async def world(database_url: str) -> Any:
    async with small_world(database_url) as world:
        yield world


async def enrolled(world: World, services: Services, count: int) -> UUID:
    """Write a sequence with this many enrollments."""
    sequence = await world.active()
    await services.enrolling.enroll(
        sequence.id, world.user_id, contact_ids=await world.contacts(count)
    )
    return sequence.id


async def finish(services: Services, job_id: str) -> None:
    while (await services.jobs.run_chunk(UUID(job_id))).more:
        pass


async def test_bulk_job_is_started_run_and_read(
    member: httpx.AsyncClient,
    viewer: httpx.AsyncClient,
    world: World,
    services: Services,
    temporal: FakeTemporal,
) -> None:
    sequence_id = await enrolled(world, services, 3)
    body = {"action": "mark_finished", "filter": {"search": "ann", "status": ["active"]}}
    address = f"/api/sequences/{sequence_id}/contacts/batch"
    refused = await member.post(address, json={**body, "at_most": 2})
    assert (refused.status_code, refused.json()["code"]) == (409, "more_match")
    assert (await viewer.get("/api/jobs")).json()["items"] == []
    answer = await member.post(address, json={**body, "at_most": 3})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["Location"] == f"/api/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["total"]) == ("mark_finished", "queued", 3)
    assert job["about"]["sequence_id"] == str(sequence_id)
    await services.outbox.drain()
    assert UUID(job["id"]) in temporal.started
    await finish(services, job["id"])
    read = (await viewer.get(answer.headers["Location"])).json()
    assert (read["state"], read["done"], read["counts"]) == ("done", 3, {"finished": 3})
    page = (await viewer.get(f"/api/jobs/{job['id']}/results?limit=2&code=finished")).json()
    assert [row["position"] for row in page["items"]] == [1, 2]
    assert page["items"][0]["detail"] == {"last_text": "none"}
    rest = (
        await viewer.get(f"/api/jobs/{job['id']}/results?limit=2&cursor={page['next_cursor']}")
    ).json()
    assert [row["position"] for row in rest["items"]] == [3]
    assert rest["next_cursor"] is None


async def test_repeated_request_with_its_key_starts_one_job(
    member: httpx.AsyncClient, world: World, services: Services
) -> None:
    sequence_id = await enrolled(world, services, 1)
    address = f"/api/sequences/{sequence_id}/contacts/batch"
    body = {"action": "pause", "filter": {}}
    headers = {"Idempotency-Key": "k1"}
    first = await member.post(address, json=body, headers=headers)
    again = await member.post(address, json=body, headers=headers)
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert len((await member.get("/api/jobs")).json()["items"]) == 1


_INVALID: Sequence[tuple[dict[str, object], str]] = [
    ({"action": "pause"}, "invalid_request"),
    ({"action": "erase", "filter": {}}, "invalid_request"),
    ({"action": "release", "filter": {}}, "missing"),
    ({"action": "pause", "filter": {}, "decision": "retry"}, "not_for_this_action"),
    ({"action": "pause", "filter": {"search": "\u0007"}}, "invalid_text"),
    ({"action": "add_to_group", "filter": {}, "group_id": str(uuid4())}, "unknown_group"),
]


async def test_invalid_bulk_job_is_refused(
    member: httpx.AsyncClient, world: World, services: Services
) -> None:
    sequence_id = await enrolled(world, services, 1)
    for body, code in _INVALID:
        answer = await member.post(f"/api/sequences/{sequence_id}/contacts/batch", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), body


async def test_unknown_job_is_a_404(member: httpx.AsyncClient) -> None:
    nothing = uuid4()
    batch = {"action": "pause", "filter": {}}
    for answer in (
        await member.post(f"/api/sequences/{nothing}/contacts/batch", json=batch),
        await member.get(f"/api/jobs/{nothing}"),
        await member.get(f"/api/jobs/{nothing}/results"),
        await member.post(f"/api/jobs/{nothing}/cancel"),
    ):
        assert answer.status_code == 404


async def test_viewer_reads_jobs_and_only_members_cancel(
    member: httpx.AsyncClient, viewer: httpx.AsyncClient, world: World, services: Services
) -> None:
    sequence_id = await enrolled(world, services, 2)
    address = f"/api/sequences/{sequence_id}/contacts/batch"
    body = {"action": "pause", "filter": {}}
    assert (await viewer.post(address, json=body)).status_code == 403
    job = (await member.post(address, json=body)).json()
    assert (await viewer.post(f"/api/jobs/{job['id']}/cancel")).status_code == 403
    canceled = await member.post(f"/api/jobs/{job['id']}/cancel")
    assert (canceled.status_code, canceled.json()["state"]) == (200, "canceled")
    assert canceled.json()["counts"] == {"canceled": 2}
    listed = (await viewer.get("/api/jobs?state=canceled")).json()["items"]
    assert [one["id"] for one in listed] == [job["id"]]
    assert (await viewer.get("/api/jobs?mine=true")).json()["items"] == []
    done = (await member.post(address, json={**body, "filter": {"search": "nobody"}})).json()
    refused = await member.post(f"/api/jobs/{done['id']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_ended")


async def test_a_cursor_of_another_list_is_refused(
    member: httpx.AsyncClient, world: World, services: Services
) -> None:
    sequence_id = await enrolled(world, services, 2)
    jobs = [
        (
            await member.post(
                f"/api/sequences/{sequence_id}/contacts/batch",
                json={"action": "pause", "filter": {}},
            )
        ).json()
        for _ in range(2)
    ]
    page = (await member.get(f"/api/jobs/{jobs[0]['id']}/results?limit=1")).json()
    other = (await member.get("/api/jobs?limit=1")).json()
    for cursor in (page["next_cursor"], other["next_cursor"], "nonsense"):
        answer = await member.get(f"/api/jobs/{jobs[1]['id']}/results?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_respond_async_answers_with_a_job(
    member: httpx.AsyncClient, world: World, services: Services
) -> None:
    sequence, people = await world.active(), await world.contacts(2)
    address = f"/api/sequences/{sequence.id}/enrollments"
    body = {"contact_ids": [str(one) for one in people]}
    answer = await member.post(
        address, json=body, headers={"Prefer": "wait=10, Respond-Async; foo=1"}
    )
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    job = answer.json()
    assert (job["kind"], job["total"], job["done"]) == ("enrol", 2, 0)
    await finish(services, job["id"])
    results = (await member.get(f"{answer.headers['Location']}/results")).json()["items"]
    assert [row["code"] for row in results] == ["enrolled"] * 2
    assert [row["subject_id"] for row in results] == body["contact_ids"]
    plain = await member.post(address, json=body, headers={"Prefer": "return=minimal"})
    assert plain.json()["skipped"][0]["code"] == "already_active"
    assert "Location" not in plain.headers


async def test_too_large_group_error_names_respond_async(
    member: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.enrollments.enrolling.MAX_CONTACTS", 2)
    sequence = await world.active()
    group_id = await world.group(await world.contacts(3))
    address = f"/api/sequences/{sequence.id}/enrollments"
    answer = await member.post(address, json={"group_id": str(group_id)})
    assert (answer.status_code, answer.json()["code"]) == (422, "contact_count")
    assert "Prefer: respond-async" in answer.json()["detail"]
    job = await member.post(
        address, json={"group_id": str(group_id)}, headers={"Prefer": "respond-async"}
    )
    assert job.json()["total"] == 3


async def test_closed_sequence_is_refused_before_the_job(
    member: httpx.AsyncClient, world: World
) -> None:
    draft, active = await world.draft(), await world.active()
    prefer = {"Prefer": "respond-async"}
    people = {"contact_ids": [str(uuid4())]}
    answer = await member.post(
        f"/api/sequences/{draft.id}/enrollments", json=people, headers=prefer
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "sequence_not_active")
    empty = {"group_id": str(await world.group())}
    answer = await member.post(
        f"/api/sequences/{active.id}/enrollments", json=empty, headers=prefer
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_group")
    assert (await member.get("/api/jobs")).json()["items"] == []
