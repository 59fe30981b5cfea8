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
        "require_consent": dict.fromkeys(("transactional", "informational", "marketing"), "none"),
    }
    for client in (viewer, member):
        assert (await client.patch("/api/settings", json={"hour_cycle": 24})).status_code == 403

    changed = await admin.patch(
        "/api/settings",
        json={
            "hour_cycle": 24,
            "time_zone": "Europe/Madrid",
            "require_consent": {"marketing": "written"},
        },
    )

    assert changed.status_code == 200
    assert changed.json() == {
        "time_zone": "Europe/Madrid",
        "effective_time_zone": "Europe/Madrid",
        "hour_cycle": 24,
        "require_consent": {**before.json()["require_consent"], "marketing": "written"},
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
    assert (await admin.get("/api/settings")).json()["time_zone"] is None
