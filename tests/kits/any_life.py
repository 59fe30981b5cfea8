"""Enrollments with random lives: any rows that the tables take, even what never occurs."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, update
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Attempt, Message
from tests.kits.sending import SendingKit

Row = dict[str, Any]

OUTBOUND = [one for one in MessageStatus if one is not MessageStatus.RECEIVED]
CODES = (None, 21610, 30003, 30006)
STEPS = 4


async def live(
    kit: SendingKit,
    rng: random.Random,
    enrollment_ids: Sequence[UUID],
    *,
    users: Sequence[UUID],
    senders: Sequence[UUID],
) -> None:
    """Let enrollments have been enrolled within ten days, by any of the users, and live on."""
    now = datetime.now(UTC)
    contacts = {
        row.id: row
        for row in await kit.world.rows(
            "SELECT e.id, c.id AS contact_id, c.phone FROM enrollments e"
            " JOIN contacts c ON c.id = e.contact_id"
        )
    }
    texts: list[Row] = []
    attempts: list[Row] = []
    inbound: list[Row] = []
    answers: list[Row] = []
    async with kit.world.database.transaction() as tx:
        for one in enrollment_ids:
            began = now - timedelta(minutes=rng.randint(0, 10 * 24 * 60))
            values = _enrollment(rng, began, now)
            for step in [*range(1, values["step"] + 1), *([None] if rng.random() < 0.2 else [])]:
                text = _text(rng, one, contacts[one].phone, step, senders)
                texts.append(text)
                attempts += _attempts(rng, text["id"], began, step or STEPS)
            if rng.random() < 0.4:
                at = began + timedelta(hours=rng.randint(0, 60))
                inbound.append(_inbound(contacts[one].phone, at))
            for _ in range(rng.choice((0, 0, 1, 3))):
                at = began + timedelta(hours=rng.randint(0, 90))
                answers.append(_answer(rng, contacts[one], at, users))
            await tx.execute(
                update(Enrollment)
                .where(col(Enrollment.id) == one)
                .values(**values, enrolled_by=rng.choice(users))
            )
        for table, rows in (
            (Message, texts),
            (Attempt, attempts),
            (Message, inbound),
            (Message, answers),
        ):
            await tx.execute(insert(table), rows)


def _enrollment(rng: random.Random, began: datetime, now: datetime) -> Row:
    status = rng.choice([EnrollmentStatus.ACTIVE] * 3 + list(EnrollmentStatus))
    replied = rng.choice([None, began + timedelta(hours=rng.randint(0, 60))])
    values: Row = {
        "status": status,
        "enrolled_at": began,
        "step": rng.randint(0, STEPS),
        "position": rng.randint(1, STEPS + 1),
        "replied_at": replied,
    }
    values["skipped"] = list(range(1, values["position"], 3))
    if status.is_final:
        values |= {"activity": None, "ended_at": now}
    if status is EnrollmentStatus.FINISHED_NO_RESPONSE:
        values |= {"replied_at": None, "replied_late_at": replied}
    return values


def _text(
    rng: random.Random, enrollment_id: UUID, phone: str, step: int | None, senders: Sequence[UUID]
) -> Row:
    return {
        "id": uuid4(),
        "direction": Direction.OUTBOUND,
        "phone": phone,
        "enrollment_id": enrollment_id,
        "sender_id": rng.choice(senders),
        "step": step,
        "pass_number": None if step is None else 1,
        "body": "Hi",
        "status": rng.choice(OUTBOUND),
        "error_code": rng.choice(CODES),
    }


def _attempts(rng: random.Random, message_id: UUID, began: datetime, number: int) -> list[Row]:
    later = (AttemptOutcome.REFUSED, AttemptOutcome.ABSENT)
    return [
        {
            "message_id": message_id,
            "number": attempt,
            "outcome": rng.choice(list(AttemptOutcome) if attempt == 1 else later),
            "started_at": began + timedelta(hours=10 * number),
            "call_before": began,
            "provider_status": rng.choice([None, "sent", "delivered", "failed"]),
            "reported_failed": rng.random() < 0.2,
            "error_code": rng.choice(CODES),
        }
        for attempt in range(1, rng.randint(1, 3))
    ]


def _answer(rng: random.Random, contact: Any, at: datetime, users: Sequence[UUID]) -> Row:
    return {
        "direction": Direction.OUTBOUND,
        "contact_id": contact.contact_id,
        "phone": contact.phone,
        "user_id": rng.choice([None, *users]),
        "body": rng.choice(["Hello", "[Test] Hello"]),
        "status": rng.choice(OUTBOUND),
        "created_at": at,
    }


def _inbound(phone: str, at: datetime) -> Row:
    return {
        "direction": Direction.INBOUND,
        "phone": phone,
        "body": "Yes",
        "status": MessageStatus.RECEIVED,
        "occurred_at": at,
    }
