"""With a skewed clock no text is sent twice, too early or after the end."""

import sys
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from uuid import UUID, uuid4

import pytest

from domain.messaging.ports import ListedText
from tests.kits.event_endpoints import deliveries, receiver, subscribe
from tests.kits.sending import SendingKit, about
from tests.worlds import ongoing

SKEW = timedelta(days=4)


class Ahead(datetime):
    """A clock far ahead of PostgreSQL's."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + SKEW


class Behind(datetime):
    """A clock far behind it."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) - SKEW


def tell_time_by(monkeypatch: pytest.MonkeyPatch, clock: type[datetime]) -> None:
    """Replace this program's clock."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("activities.", "services.")) and hasattr(module, "datetime"):
            monkeypatch.setattr(module, "datetime", clock)


@pytest.mark.parametrize("clock", [Ahead, Behind])
@pytest.mark.parametrize("ends", ["reply", "finish"])
async def test_a_one_off_written_before_the_end_never_goes(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch, ends: str, clock: type[datetime]
) -> None:
    """Nothing after a reply or a finish; PostgreSQL dates the text, so the end too."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    message = await kit.one_off(enrollment)
    tell_time_by(monkeypatch, clock)
    if ends == "reply":
        await kit.text_back(enrollment)
    else:
        await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    await kit.run_message(message)
    assert (await kit.one_off_row(message)).status == "canceled"
    assert len(kit.gateway.calls) == 1


async def test_absence_is_proven_in_the_time_it_takes(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absence takes two lists, 60 s or more apart, the first 2 minutes after the call."""
    enrollment = await kit.enroll()
    kit.gateway.lose(to=await kit.phone(enrollment), creates=False)
    tell_time_by(monkeypatch, Ahead)
    for _ in range(3):
        assert isinstance(await kit.run_step(enrollment), timedelta)
    assert (await kit.attempts(enrollment))[0].absent_once_at is None
    await kit.pass_time(timedelta(seconds=125))
    for _ in range(3):
        assert isinstance(await kit.run_step(enrollment), timedelta)
    assert await kit.outcomes(enrollment) == ["unknown"]
    assert len(kit.gateway.calls) == 1
    await kit.pass_time(timedelta(seconds=60))
    await kit.send(enrollment)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]


async def test_a_lost_text_of_an_ended_enrollment_is_not_given_up_too_early(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep takes as long to prove absence."""
    enrollment = await kit.enroll()
    kit.gateway.lose(to=await kit.phone(enrollment), creates=False)
    await kit.run_step(enrollment)
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    tell_time_by(monkeypatch, Ahead)
    for _ in range(3):
        await kit.services.sweep.sweep()
    assert (await kit.attempts(enrollment))[0].absent_once_at is None


async def test_no_step_goes_before_its_time(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's clock moves no text, and none out of its window."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    tell_time_by(monkeypatch, Ahead)
    await kit.run_step(enrollment)
    assert len(kit.gateway.calls) == 1
    other = await kit.enroll()
    await kit.send(other)
    assert (await kit.row(other)).due_at < datetime.now().astimezone() + timedelta(hours=25)


async def test_only_a_text_begun_since_frees_a_sender(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the provider took before it refused proves nothing about the sender."""
    sequence = await kit.sequence()
    under_way, refused = await kit.enroll(sequence), await kit.enroll(sequence)
    call = await kit.open_call(under_way)
    await kit.refuses(refused, 20003, 401)
    tell_time_by(monkeypatch, Behind)
    await kit.run_step(refused)
    assert (await kit.sender()).held_at is not None
    answer = await kit.gateway.create(call)
    await kit.services.sending.record_answer(call.attempt_id, answer)
    assert (await kit.sender()).held_at is not None


async def texted(kit: SendingKit, enrollment: UUID, body: str, minutes_ago: int) -> None:
    """Add a text from the contact whose webhook never came."""
    sent_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=minutes_ago)
    phone = await kit.phone(enrollment)
    kit.gateway.texts.append(
        ListedText(f"SM{uuid4().hex}", phone, "+14155550100", None, body, 0, sent_at)
    )


@pytest.mark.parametrize("clock", [Ahead, Behind])
async def test_a_stop_that_never_came_is_fetched(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch, clock: type[datetime]
) -> None:
    """Texts are asked for by the database's clock, and dated by the provider's."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.pass_time(timedelta(hours=1))
    tell_time_by(monkeypatch, clock)
    await kit.services.sweep.sweep()
    await texted(kit, enrollment, "START", 4)
    await texted(kit, enrollment, "STOP", 2)
    await kit.pass_time(timedelta(minutes=6))
    await kit.services.sweep.sweep()
    assert (await kit.row(enrollment)).status == "opted_out"
    [suppression] = await kit.world.rows("SELECT lifted_at FROM suppressions")
    assert suppression.lifted_at is None


async def test_remaining_delay_is_kept_between_apis_of_different_clocks(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One API pauses, another lets it go on."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    tell_time_by(monkeypatch, Ahead)
    await kit.services.pausing.pause([enrollment], kit.world.user_id)
    monkeypatch.undo()
    tell_time_by(monkeypatch, Behind)
    await kit.services.pausing.resume([enrollment], kit.world.user_id)
    assert about((await kit.row(enrollment)).next_send_at, timedelta(days=1))
    paused, resumed = await kit.world.rows(
        "SELECT at - now() AS since FROM enrollment_events"
        " WHERE kind IN ('paused', 'resumed') ORDER BY kind"
    )
    assert abs(paused.since) < timedelta(minutes=1) > abs(resumed.since)


@pytest.mark.parametrize("clock", [Ahead, Behind])
async def test_a_changed_zone_moves_a_step_by_no_days(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch, clock: type[datetime]
) -> None:
    """Whether a step is still to come is decided by the database's clock."""
    sequence = await kit.sequence(ongoing("One", at_time="23:59"))
    enrollment = await kit.enroll(sequence)
    before = (await kit.row(enrollment)).next_send_at
    tell_time_by(monkeypatch, clock)
    contact_id = (await kit.row(enrollment)).contact_id
    await kit.services.contacts.update(contact_id, {"time_zone": "America/Los_Angeles"})
    moved = (await kit.row(enrollment)).next_send_at - before
    assert timedelta(0) < moved <= timedelta(hours=3)


async def test_an_event_is_given_up_at_its_age_and_no_sooner(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are tried for three days, by the clock that dates them."""

    async def refuse(_: object) -> int:
        return 503

    async with receiver(refuse) as there:
        made = await subscribe(kit.world.database, kit.world.user_id, there.url)
        await kit.enroll()
        tell_time_by(monkeypatch, Ahead)
        done = await deliveries(kit.world.database).deliver(made.details.id)
    assert done.failed > 0
    assert done.next_at is not None
    [row] = await kit.world.rows("SELECT given_up_at FROM event_deliveries LIMIT 1")
    assert row.given_up_at is None
    assert done.next_at < datetime.now(UTC) + timedelta(hours=1)
