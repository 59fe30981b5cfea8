"""ETag and If-Match: no change applies to something that its author has not read."""

import httpx

from services.factory import Services
from tests.api.test_contacts import add


async def test_if_match_of_a_sequence_tells_its_edits_and_no_enrollment(
    member: httpx.AsyncClient, services: Services
) -> None:
    sender = await services.senders.create({"name": "Front desk", "phone": "+14155550100"})
    draft = {"name": "Hello", "sender_id": str(sender.id), "kind": "ongoing"}
    steps = [{"body": "Hi", "delay_seconds": 0}]
    made = await member.post("/api/sequences", json={**draft, "steps": steps})
    path = made.headers["Location"]
    assert path == f"/api/sequences/{made.json()['id']}"
    await member.post(f"{path}/activate")
    read = (await member.get(path)).headers["ETag"]
    enrolled = [(await add(member))["id"]]
    assert (await member.post(f"{path}/enrollments", json={"contact_ids": enrolled})).is_success
    assert (await member.get(path)).json()["counts"]["active"] == 1

    first = await member.patch(path, json={"name": "Mine"}, headers={"If-Match": read})
    second = await member.patch(path, json={"name": "Theirs"}, headers={"If-Match": read})

    assert (first.status_code, second.status_code) == (200, 412)
    assert second.json()["code"] == "precondition_failed"
    assert (await member.get(path)).json()["name"] == "Mine"
    other = {"steps": [{"body": "New", "delay_seconds": 0}]}
    third = await member.patch(path, json=other, headers={"If-Match": first.headers["ETag"]})
    assert third.json()["version"] == 2
    await member.post(f"{path}/pause")
    assert (await member.get(path)).headers["ETag"] != third.headers["ETag"]


async def test_if_match_lets_only_the_first_of_two_editors_change_a_contact(
    member: httpx.AsyncClient,
) -> None:
    path = f"/api/contacts/{(await add(member))['id']}"
    read = (await member.get(path)).headers["ETag"]
    assert (await member.head(path)).headers["ETag"] == read

    first = await member.patch(path, json={"first_name": "Bo"}, headers={"If-Match": read})
    changed = first.headers["ETag"]

    assert first.status_code == 200
    assert changed != read
    assert (await member.get(path)).headers["ETag"] == changed
    for given, status, code in (
        (read, 412, "precondition_failed"),
        (f"W/{changed}", 412, "precondition_failed"),  # compared strongly
        ('"made up"', 412, "precondition_failed"),
        (changed.strip('"'), 422, "invalid_etag"),
        ("", 422, "invalid_etag"),
    ):
        refused = await member.patch(path, json={"first_name": "Cy"}, headers={"If-Match": given})
        assert (refused.status_code, refused.json()["code"]) == (status, code), given
        assert (await member.get(path)).headers["ETag"] == changed, given
    for given in ("*", changed, f'"another",{changed}'):
        same = await member.patch(path, json={}, headers={"If-Match": given})
        assert same.status_code == 200, given
        assert same.headers["ETag"] == changed, given
