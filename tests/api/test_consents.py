"""Consents over the API: noted, listed page by page, refused with a remedy."""

import httpx

from api import examples

FORM = {"source": "A form", "wording": "I agree", "written": True, "address": "198.51.100.7"}


async def test_consents_are_noted_and_listed(
    there: dict[str, str], member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    bo = "+12125550102"
    [contact] = (await member.get("/api/contacts", params={"phone": bo})).json()["items"]
    path = f"/api/contacts/{contact['id']}/consents"
    before = {**FORM, "given_at": "2026-11-02T15:04:00Z"}
    first = await member.post(path, json=before)
    assert first.status_code == 201, first.text
    assert {name: first.json()[name] for name in FORM} == FORM
    assert (first.json()["phone"], first.json()["revoked_at"]) == (bo, None)
    again = await member.post(path, json=before)
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await viewer.get(first.headers["location"])).json() == first.json()
    later = await member.post(path, json={"source": "A call"})
    newest = await viewer.get(path, params={"limit": 1})
    assert newest.json()["items"] == [later.json()]
    following = await viewer.get(path, params={"limit": 1, "cursor": newest.json()["next_cursor"]})
    assert following.json() == {"items": [first.json()], "next_cursor": None}
    assert (await viewer.post(path, json={"source": "A call"})).status_code == 403

    wrong = await member.post(
        path, json={"source": " ", "written": True, "given_at": "2199-01-01T00:00:00Z"}
    )
    assert wrong.status_code == 422
    assert [(one["field"], one["code"]) for one in wrong.json()["errors"]] == [
        ("source", "blank"),
        ("wording", "missing"),
        ("given_at", "in_the_future"),
    ]
    nobody = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1cffff"
    assert (await member.get(f"/api/contacts/{nobody}/consents")).status_code == 404
    elsewhere = path.replace(contact["id"], there[examples.CONTACT])
    other = await member.get(f"{elsewhere}/{first.json()['id']}")
    assert other.status_code == 404, "it is another number's"
    unknown = await member.post(f"/api/contacts/{nobody}/consents", json={"source": "A call"})
    assert unknown.status_code == 404
