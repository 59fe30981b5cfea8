"""ETag and If-Match: no change applies to something that its author has not read."""

import httpx

from tests.api.test_contacts import add


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
