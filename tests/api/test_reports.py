"""The routes of reports."""

from uuid import uuid4

import httpx
import pytest

from storage.platform.database import Database
from tests.worlds import ZONE, World


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.found()
    return world


async def test_reports_are_read_as_json_and_as_files(
    world: World, viewer: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    sequence = await world.active(name="=Welcome")
    people = [str(one) for one in await world.contacts(3)]
    enrolling = {"contact_ids": people}
    await member.post(f"/api/sequences/{sequence.id}/enrollments", json=enrolling)

    path = f"/api/sequences/{sequence.id}/report"
    report = (await viewer.get(path)).json()
    assert (report["first_day"], report["last_day"], report["time_zone"]) == (None, None, ZONE)
    assert (report["total"]["people"], report["total"]["due"]) == (3, 3)
    assert report["total"]["reply_rate"] is None
    assert [one["step"] for one in report["steps"]] == [1, 2, 3]
    assert [len(hours) for hours in report["reply_hours"]] == [24] * 7
    [user] = report["users"]
    assert user["people"] == 3

    past = {"first_day": "2026-01-01", "last_day": "2026-01-31"}
    assert (await viewer.get(path, params=past)).json()["total"]["people"] == 0

    everything = (await viewer.get("/api/reports/sequences")).json()
    assert [(one["name"], one["people"]) for one in everything["sequences"]] == [("=Welcome", 3)]

    for address in (f"{path}/export", "/api/reports/sequences/export"):
        file = await viewer.get(address)
        assert file.headers["content-type"].startswith("text/csv")
        assert file.headers["content-disposition"] == 'attachment; filename="report.csv"'
        total = file.text.splitlines()[1].split(",")
        assert total[:2] == ["total", "All people"]
        assert total[5] == "3"
    assert "'=Welcome" in file.text


async def test_range_that_makes_no_sense_names_the_field(viewer: httpx.AsyncClient) -> None:
    path = "/api/reports/sequences"
    backwards = {"first_day": "2026-01-31", "last_day": "2026-01-01"}
    for query, field in (
        (backwards, "last_day"),
        ({"first_day": "yesterday"}, "first_day"),
        ({"last_day": "9999-12-31"}, "last_day"),
    ):
        refused = await viewer.get(path, params=query)
        assert refused.status_code == 422
        assert [one["field"] for one in refused.json()["errors"]] == [field]
    assert (await viewer.get(f"/api/sequences/{uuid4()}/report")).status_code == 404
