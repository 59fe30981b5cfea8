"""Templates of sequences over HTTP: listed, saved, begun with, deleted."""

from uuid import uuid4

import httpx

from domain.sequences.templates import SHIPPED

OF_SEQUENCES = (
    *("kind", "on_reply", "counts_as_reply", "purpose", "reply_window_seconds"),
    *("send_window", "steps"),
)


async def test_template_is_saved_from_a_sequence_and_begins_another(
    admin: httpx.AsyncClient, member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    sender = await admin.post("/api/senders", json={"name": "Desk", "phone": "+14155550100"})
    sequence = {
        "name": "Welders",
        "sender_id": sender.json()["id"],
        "kind": "ongoing",
        "on_reply": "pause",
        "purpose": "marketing",
        "steps": [
            {"body": "Hi {{first_name|there}}", "delay_seconds": 0},
            {"body": "Still?", "delay_seconds": 86_400, "at_time": "09:30"},
        ],
    }
    made = (await member.post("/api/sequences", json=sequence)).json()
    new = {"sequence_id": made["id"], "name": "Welders, again", "description": "Twice"}
    saved = await member.post("/api/sequence-templates", json=new)
    assert saved.status_code == 201, saved.text
    template = saved.json()
    address = saved.headers["location"]
    assert (await viewer.get(address)).json() == template
    taken = await member.post("/api/sequence-templates", json=new)
    assert (taken.status_code, taken.json()["template_id"]) == (409, template["id"])
    assert (await viewer.post("/api/sequence-templates", json=new)).status_code == 403

    listed = (await viewer.get("/api/sequence-templates")).json()
    names = sorted([template["name"], *(one.name for one in SHIPPED)])
    assert [one["name"] for one in listed["items"]] == names
    page = (await viewer.get("/api/sequence-templates?limit=3")).json()
    rest = await viewer.get(f"/api/sequence-templates?limit=200&cursor={page['next_cursor']}")
    assert page["items"] + rest.json()["items"] == listed["items"]

    for one in listed["items"]:
        body = {name: one[name] for name in OF_SEQUENCES}
        again = await member.post(
            "/api/sequences", json={**body, "name": "New", "sender_id": sequence["sender_id"]}
        )
        assert again.status_code == 201, again.text
        assert [step["body"] for step in again.json()["steps"]] == [
            step["body"] for step in one["steps"]
        ]

    assert (await member.delete(address)).status_code == 204
    assert (await member.delete(address)).status_code == 404
    shipped = await member.delete(f"/api/sequence-templates/{SHIPPED[0].id}")
    assert (shipped.status_code, shipped.json()["code"]) == (409, "template_shipped")
    gone = await member.post("/api/sequence-templates", json={**new, "sequence_id": str(uuid4())})
    assert gone.status_code == 404


async def test_unwritten_text_cannot_be_activated_nor_published(
    admin: httpx.AsyncClient, member: httpx.AsyncClient
) -> None:
    sender = await admin.post("/api/senders", json={"name": "Desk", "phone": "+14155550100"})
    sequence = {
        "name": "Welders",
        "sender_id": sender.json()["id"],
        "kind": "ongoing",
        "steps": [{"body": "Hi from [company]", "delay_seconds": 0}],
    }
    made = (await member.post("/api/sequences", json=sequence)).json()
    path = f"/api/sequences/{made['id']}"
    refused = await member.post(f"{path}/activate")
    assert (refused.status_code, refused.json()["code"]) == (409, "step_unwritten")
    assert refused.json()["step"] == 1
    assert "[company]" in refused.json()["detail"]
    written = {"steps": [{"body": "Hi from Acme", "delay_seconds": 0}]}
    assert (await member.patch(path, json=written)).status_code == 200
    assert (await member.post(f"{path}/activate")).status_code == 200
    published = await member.patch(path, json={"steps": sequence["steps"]})
    assert (published.status_code, published.json()["code"]) == (422, "unwritten_text")
