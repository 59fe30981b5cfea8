"""A kit to test an enrollment's transitions: its row, and everything else that they write."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID, uuid4

from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from storage.enrollments import enrolling, enrollments
from storage.enrollments.enrolling import NewRow, Start
from storage.platform.database import Transaction
from tests.worlds import World

NOW = datetime(2026, 10, 5, 12, tzinfo=UTC)

P = ParamSpec("P")
T = TypeVar("T")


class Rows(World):
    """A world with one sequence of three steps, and its enrollments as rows."""

    async def enroll(self, *statuses: EnrollmentStatus, contact_ids: Any = ()) -> list[UUID]:
        """Enroll contacts with these first statuses; return the ids of the rows written."""
        people = contact_ids or await self.contacts(len(statuses))
        sequence_id = (await self.rows("SELECT id FROM sequences"))[0].id
        new = [
            NewRow(uuid4(), contact_id, status, Start(1, NOW, NOW))
            for contact_id, status in zip(people, statuses, strict=True)
        ]
        async with self.database.transaction() as tx:
            snapshot = await enrolling.lock_sequence_snapshot(tx, sequence_id)
            assert snapshot is not None
            written = await enrollments.enroll(tx, sequence_id, snapshot, new, self.user_id)
        return [row.id for row in new if row.id in written]

    async def active(self, **changes: Any) -> UUID:  # type: ignore[override] # an enrollment here
        """Enroll a new contact, and set columns of the row."""
        [one] = await self.enroll(EnrollmentStatus.ACTIVE)
        await self.set(one, **changes)
        return one

    async def set(self, enrollment_id: UUID, **changes: Any) -> None:
        for column, value in changes.items():
            await self.run(
                f"UPDATE enrollments SET {column} = :value WHERE id = :id",  # noqa: S608
                value=value,
                id=enrollment_id,
            )

    async def hold(self, enrollment_id: UUID, reason: HeldReason, code: int | None = None) -> None:
        await self.run(
            "UPDATE enrollments SET activity = 'held', held_reason = :reason, held_code = :code,"
            " next_send_at = NULL WHERE id = :id",
            id=enrollment_id,
            reason=reason,
            code=code,
        )

    async def ended(self) -> UUID:
        """Create an enrollment that has ended."""
        one = await self.active()
        await self.write(enrollments.end, [one], EnrollmentStatus.FAILED, signal=None)
        return one

    async def texted(
        self, enrollment_id: UUID, *, outcome: str = "accepted", status: str = "sent", step: int = 1
    ) -> None:
        """Write a text of a step, with one attempt."""
        await self.run(
            """
            WITH message AS (
                INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id,
                    step, pass, body, status, occurred_at)
                SELECT gen_random_uuid(), 'outbound', c.id, c.phone, :sender_id, e.id, :step, 1,
                    'Hi', 'sent', :now
                FROM enrollments e JOIN contacts c ON c.id = e.contact_id WHERE e.id = :id
                RETURNING id
            )
            INSERT INTO attempts (id, message_id, number, outcome, provider_status, started_at,
                call_before)
            SELECT gen_random_uuid(), id, 1, :outcome, :status, :now, :now FROM message
            """,
            id=enrollment_id,
            sender_id=self.sender_id,
            step=step,
            outcome=outcome,
            status=status,
            now=NOW,
        )

    async def write(
        self,
        transition: Callable[Concatenate[Transaction, P], Awaitable[T]],
        *given: P.args,
        **more: P.kwargs,
    ) -> T:
        """Make a transition in a transaction of its own."""
        async with self.database.transaction() as tx:
            return await transition(tx, *given, **more)

    async def row(self, enrollment_id: UUID) -> Any:
        [row] = await self.rows("SELECT * FROM enrollments WHERE id = :id", id=enrollment_id)
        return row

    async def signals(self, enrollment_id: UUID) -> list[tuple[str, str | None]]:
        rows = await self.rows(
            "SELECT payload FROM outbox WHERE kind = 'signal_enrollment' AND subject_id = :id"
            " ORDER BY id",
            id=enrollment_id,
        )
        return [(row.payload["signal"], row.payload["status"]) for row in rows]

    async def notes(self, enrollment_id: UUID) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.rows(
            "SELECT kind, detail FROM enrollment_events WHERE enrollment_id = :id ORDER BY id",
            id=enrollment_id,
        )
        return [(row.kind, row.detail) for row in rows]

    async def events(self, enrollment_id: UUID) -> list[str]:
        rows = await self.rows(
            "SELECT type FROM events WHERE subject_id = :id ORDER BY id", id=enrollment_id
        )
        return [row.type for row in rows]

    async def everything(self) -> list[Any]:
        """Read every row that a transition may write."""
        tables = ("enrollments", "enrollment_events", "events", "outbox")
        return [await self.rows(f"SELECT * FROM {one} ORDER BY id") for one in tables]  # noqa: S608
