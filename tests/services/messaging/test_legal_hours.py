"""Marketing texts go in the hours of the law, and keep the rule packs they went under."""

from datetime import time
from zoneinfo import ZoneInfo

import pytest

from domain.platform.moments import written
from domain.sequences import rule_packs
from domain.sequences.rule_packs import read
from domain.sequences.timing import DAYS
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import WaitReason
from domain.statuses.sequences import Purpose
from tests.kits.sending import SendingKit, zone_where_it_is


async def test_marketing_goes_in_the_hours_of_the_law_and_keeps_the_pack_it_went_under(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a send window too; informational texts go at any time, under no pack."""
    hours = "\n".join(f'{day} = ["08:00", "20:00"]' for day in DAYS)
    pack = read(
        "gb",
        f"""
        name = "Britain"
        country = "GB"
        [[versions]]
        version = "7"
        effective_from = 2020-01-01
        retrieved = 2026-11-28
        sources = ["Made up"]
        [versions.hours.marketing]
        {hours}
        """,
    )
    monkeypatch.setattr(rule_packs, "PACKS", {"gb": pack})
    day, night = zone_where_it_is(12).key, zone_where_it_is(23).key
    marketing = await kit.sequence(purpose=Purpose.MARKETING)
    [by_day] = await kit.world.contacts(1, time_zone=day, country="GB")
    [by_night] = await kit.world.contacts(1, time_zone=night, country="GB")
    sent = await kit.enroll(marketing, by_day)
    await kit.send(sent)
    assert [one.rule_packs for one in await kit.attempts(sent)] == [["gb@7"]]
    waits = await kit.enroll(marketing, by_night)
    state = await kit.run_step(waits)
    assert isinstance(state, EnrollmentState)
    assert state.due_at is not None
    assert state.due_at.astimezone(ZoneInfo(night)).time() == time(8)
    assert (await kit.row(waits)).next_send_at == state.due_at
    await kit.run_step(waits)  # the same decision again is told once
    details = await kit.services.enrollment_detail.get(waits)
    [kept] = [one for one in details.timeline if one.kind == "waits"]
    assert kept.detail["until"] == written(state.due_at)
    assert kept.detail["reasons"][0]["detail"]["packs"] == ["gb@7"]
    shown = details.steps[0].reasons[-1]
    assert (shown.code, "Britain" in shown.text) == (WaitReason.PACK, True)
    assert await kit.waiting_for(marketing.id, WaitReason.PACK) == {waits: ("pack",)}
    assert await kit.waiting_for(marketing.id, WaitReason.WINDOW) == {}
    informational = await kit.enroll(None, by_night)
    await kit.send(informational)
    assert [one.rule_packs for one in await kit.attempts(informational)] == [[]]
    await kit.services.workspace.change({"rule_packs": []}, kit.world.user_id)
    assert await kit.pending_signals(waits) == ["reconsider"]
    await kit.send(waits)
    assert [one.rule_packs for one in await kit.attempts(waits)] == [[]]
    assert await kit.waiting_for(marketing.id, *WaitReason) == {}
