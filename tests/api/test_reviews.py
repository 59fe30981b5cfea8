"""The review list over HTTP."""

from uuid import uuid4

import httpx

from services.factory import Services
from tests.kits.inbound import receive

ANN = "+14155550123"
UNSURE = "Please stop texting me until 5"


async def test_decision_is_recorded_once(member: httpx.AsyncClient, services: Services) -> None:
    names = {"first_name": "Ann", "last_name": "Lee", "phone": ANN}
    contact = (await member.post("/api/contacts", json=names)).json()
    await receive(services, ANN, UNSURE)
    [row] = (await member.get("/api/reviews", params={"decided": "false"})).json()["items"]
    assert (row["phone"], row["body"], row["decision"]) == (
        ANN,
        "Please stop texting me until 5",
        None,
    )
    assert (row["contact_id"], row["contact_name"]) == (contact["id"], "Ann Lee")
    path = f"/api/reviews/{row['message_id']}"
    assert (await member.get(path)).json() == row

    decided = await member.post(f"{path}/decide", json={"decision": "opt_out"})
    again = await member.post(f"{path}/decide", json={"decision": "opt_out"})
    other = await member.post(f"{path}/decide", json={"decision": "not_an_opt_out"})

    assert (decided.status_code, decided.json()["opted_out"]) == (200, True)
    assert (again.status_code, again.json()) == (200, decided.json())
    assert (other.status_code, other.json()["code"]) == (409, "already_decided")
    assert (await member.get("/api/reviews", params={"decided": "false"})).json()["items"] == []
    [suppression] = (await member.get("/api/suppressions")).json()["items"]
    assert (suppression["source"], suppression["message_id"]) == ("plain_wish", row["message_id"])
    assert suppression["user_id"] == decided.json()["decided_by"]
    assert (await member.get(f"/api/contacts/{contact['id']}")).json()["opted_out"] is True


async def test_reviews_are_listed_in_pages(member: httpx.AsyncClient, services: Services) -> None:
    for number in range(3):
        await receive(services, ANN, f"Please stop texting me until {number}")

    page = (await member.get("/api/reviews", params={"limit": 2})).json()
    rest = (await member.get("/api/reviews", params={"cursor": page["next_cursor"]})).json()

    bodies = [item["body"] for item in page["items"] + rest["items"]]
    assert bodies == [f"Please stop texting me until {number}" for number in (2, 1, 0)]
    assert rest["next_cursor"] is None


async def test_invalid_decision_is_refused(
    member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    path = f"/api/reviews/{uuid4()}/decide"
    unknown = await member.post(path, json={"decision": "opt_out"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (await member.post(path, json={"decision": "perhaps"})).status_code == 422
    assert (await viewer.post(path, json={"decision": "opt_out"})).status_code == 403
    assert (await viewer.get("/api/reviews")).status_code == 200
