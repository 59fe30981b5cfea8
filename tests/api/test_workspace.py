"""The workspace's settings over HTTP."""

import httpx


async def test_everyone_reads_settings_and_admins_change_them(
    viewer: httpx.AsyncClient, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    before = await viewer.get("/api/settings")
    assert before.json() == {
        "time_zone": None,
        "effective_time_zone": "America/New_York",
        "hour_cycle": 12,
        "rule_packs": None,
        "require_consent": dict.fromkeys(("transactional", "informational", "marketing"), "none"),
        "texts_per_day": None,
    }
    for client in (viewer, member):
        assert (await client.patch("/api/settings", json={"hour_cycle": 24})).status_code == 403

    changed = await admin.patch(
        "/api/settings",
        json={
            "hour_cycle": 24,
            "time_zone": "Europe/Madrid",
            "require_consent": {"marketing": "written"},
            "texts_per_day": 3,
        },
    )

    assert changed.status_code == 200
    assert changed.json() == {
        "time_zone": "Europe/Madrid",
        "effective_time_zone": "Europe/Madrid",
        "hour_cycle": 24,
        "rule_packs": None,
        "require_consent": {**before.json()["require_consent"], "marketing": "written"},
        "texts_per_day": 3,
    }
    assert (await viewer.get("/api/settings")).json() == changed.json()
    kept = await admin.patch("/api/settings", json={"time_zone": None})
    assert kept.json() == {
        **changed.json(),
        "time_zone": None,
        "effective_time_zone": "America/New_York",
    }


WRONG = ({"require_consent": {"marketing": "some"}}, {"require_consent": {"fun": "any"}})


async def test_invalid_settings_are_refused(admin: httpx.AsyncClient) -> None:
    for body in ({"hour_cycle": 13}, {"time_zone": "Mars/Olympus"}, {"erasure_key": "x"}, *WRONG):
        answer = await admin.patch("/api/settings", json=body)
        assert answer.status_code == 422, answer.text
    for most in (0, 101):
        answer = await admin.patch("/api/settings", json={"texts_per_day": most})
        [wrong] = answer.json()["errors"]
        assert (answer.status_code, wrong["field"]) == (422, "texts_per_day")
        assert "must be 1 to 100" in wrong["message"]
    assert (await admin.get("/api/settings")).json()["time_zone"] is None


async def test_rule_packs_are_listed_chosen_and_checked_against_windows(
    viewer: httpx.AsyncClient, member: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    listed = (await viewer.get("/api/rule-packs")).json()
    packs = {one["id"]: one for one in listed["items"]}
    assert listed["next_cursor"] is None
    assert {"us", "us-fl", "us-ri", "ca"} <= packs.keys()
    [florida] = packs["us-fl"]["versions"]
    assert florida["hours"]["marketing"]["sun"] == ["08:00", "20:00"]
    assert (florida["texts_per_day"], florida["closed_on_holidays"]) == (3, False)
    unknown = await admin.patch("/api/settings", json={"rule_packs": ["us", "us-xx"]})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_pack")
    sender = await admin.post("/api/senders", json={"name": "Desk", "phone": "+14155550100"})
    sequence = {
        "name": "Evenings",
        "sender_id": sender.json()["id"],
        "kind": "ongoing",
        "purpose": "marketing",
        "send_window": {"mon": ["18:30", "20:00"]},
        "steps": [{"body": "Hi", "delay_seconds": 0}],
    }
    refused = await member.post("/api/sequences", json=sequence)
    assert (refused.status_code, refused.json()["code"]) == (422, "window_outside_law")
    assert "Rhode Island" in refused.json()["detail"]

    chosen = await admin.patch("/api/settings", json={"rule_packs": ["us-fl", "us"]})
    assert chosen.json()["rule_packs"] == ["us", "us-fl"]
    made = (await member.post("/api/sequences", json=sequence)).json()
    assert made["purpose"] == "marketing"
    again = await admin.patch("/api/settings", json={"rule_packs": None})
    assert (again.status_code, again.json()["code"]) == (422, "window_outside_law")
    assert "Evenings" in again.json()["detail"]
    assert (await viewer.get("/api/settings")).json()["rule_packs"] == ["us", "us-fl"]
    path = f"/api/sequences/{made['id']}"
    freed = await member.patch(path, json={"purpose": "transactional"})
    assert freed.json()["purpose"] == "transactional"
    assert (await admin.patch("/api/settings", json={"rule_packs": None})).status_code == 200
    stuck = await member.patch(path, json={"purpose": "marketing"})
    assert (stuck.status_code, stuck.json()["code"]) == (422, "window_outside_law")
