"""After 429 a text waits, and the attempt is not counted."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.statuses.enrollment_state import EnrollmentState
from tests.kits.sending import TICK, SendingKit


async def test_waits_after_being_throttled_double(kit: SendingKit) -> None:
    """429: from 2 s, doubling, with jitter; it is not counted."""
    enrollment = await kit.enroll()
    for seconds in (2, 4, 8, 16, 32, 60, 60):
        await kit.refuses(enrollment, 20429, 429)
        began = datetime.now(UTC)
        await kit.run_step(enrollment)
        wait = (await kit.row(enrollment)).next_send_at - began
        assert timedelta(seconds=seconds) <= wait
        assert wait <= timedelta(seconds=1.5 * seconds) + TICK
        await kit.pass_time(wait)
    assert (await kit.message(enrollment)).failed_tries == 0
    await kit.send(enrollment)


@pytest.mark.parametrize("code", [20429, None])
async def test_a_one_off_is_not_failed_by_throttling(kit: SendingKit, code: int | None) -> None:
    """429 is not counted."""
    enrollment = await kit.enroll()
    message = await kit.one_off(enrollment)
    for _ in range(6):
        await kit.refuses(enrollment, code, 429)
        state = await kit.run_message(message)
        assert isinstance(state, EnrollmentState)
        assert state.due_at is not None
        await kit.pass_time(state.due_at - datetime.now(UTC))
    sent = await kit.run_message(message)
    assert isinstance(sent, EnrollmentState)
    assert sent.status == "accepted"
