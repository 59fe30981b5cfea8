"""Enrollments that wait for a sender on hold, and how soon the sender is probed."""

from datetime import timedelta
from uuid import UUID

from domain.messaging.ports import Refused
from tests.kits.sending import SendingKit
from tests.worlds import ongoing

FIRST_PROBE = timedelta(seconds=10)
PROBE = timedelta(minutes=5)
WRONG_PASSWORD = Refused(401, 20003)


async def three_waiting(kit: SendingKit) -> list[UUID]:
    """Hold three enrollments: the provider refused their sender's credentials."""
    sequence = await kit.sequence(steps=[ongoing("One", 0), ongoing("Two", 0)])
    everyone = [await kit.enroll(sequence) for _ in range(3)]
    await kit.answers(everyone[0], WRONG_PASSWORD)
    for enrollment in everyone:
        await kit.run_step(enrollment)
    return everyone
