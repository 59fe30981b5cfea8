"""A small world for tests: a user, a sender, contacts and sequences in a database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import Executable, insert, text

from domain.platform.rules import SendingRules
from domain.sequences.segments import measure
from domain.sequences.steps import StepDraft
from domain.sequences.timing import SendWindow
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import LatePolicy, SequenceKind, SequenceState
from domain.statuses.suppression import OptOutSource
from services.enrollments.archiving import Archiving
from services.enrollments.finishing import Finishing
from services.enrollments.waking import Waking
from services.sequences.sequences import SequenceDraft, Sequences
from storage.platform import outbox
from storage.platform.database import Database, Written, _known, as_json
from storage.sequences.sequences import SequenceRecord, StepRecord
from storage.tables.contacts import Group, GroupMember
from storage.tables.suppression import Suppression
from tests.kits.connections import lent

ZONE = "America/New_York"

ADD_USER = "INSERT INTO users (id, email, name, role) VALUES (:id, :email, :name, 'member')"
_ADD_SENDER = """
    INSERT INTO senders (
        id, name, phone, segments_per_second, hold_from_report, shows_texts, shows_texts_at
    ) VALUES (:id, 'Front desk', :phone, 1, false, true, now())
"""
_ADD_ACTIVE = """
    WITH sequence AS (
        INSERT INTO sequences (
            id, name, sender_id, kind, on_reply, counts_as_reply, purpose, reply_window_seconds,
            send_window, state, created_by
        ) VALUES (
            :id, :name, :sender_id, :kind, :on_reply, :counts_as_reply, :purpose,
            :reply_window_seconds, CAST(:send_window AS jsonb), 'active', :user_id
        ) RETURNING created_at, updated_at
    ), version AS (
        INSERT INTO sequence_versions (id, sequence_id, number, step_count, created_by)
        VALUES (:version_id, :id, 1, :step_count, :user_id)
    ), steps AS (
        INSERT INTO steps (
            version_id, position, body, media_urls, delay_seconds, at_time, send_at, segments,
            anchor_key, anchor_offset_seconds, late, late_hours
        )
        SELECT :version_id, one.* FROM jsonb_to_recordset(:steps) AS one(
            position integer, body text, media_urls jsonb, delay_seconds integer, at_time time,
            send_at timestamp, segments integer, anchor_key text, anchor_offset_seconds integer,
            late text, late_hours integer
        )
    )
    SELECT created_at, updated_at,
        (SELECT name FROM senders WHERE id = :sender_id) AS sender_name,
        (SELECT name FROM users WHERE id = :user_id) AS created_by_name
    FROM sequence
"""


@dataclass
class World:
    """A database with a user and a sender, and methods to add more."""

    database: Database
    user_id: UUID = field(default_factory=uuid4)
    sender_id: UUID = field(default_factory=uuid4)
    phones: int = 0

    def __post_init__(self) -> None:
        self.rules = SendingRules(
            workspace_zone=ZONE,
            call_before=timedelta(milliseconds=200),
            call_margin=timedelta(milliseconds=50),
        )
        self.finishing = Finishing(self.database, self.rules)
        self.archiving = Archiving(self.database, self.finishing)
        self.sequences = Sequences(
            self.database, workspace_zone=ZONE, public_base_url="https://segue.test"
        )
        self.database.after_commit(Written.WAKES, Waking(self.database).begin)
        self._autocommitting = self.database.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def found(self) -> None:
        """Add the user and the sender."""
        await self.run(ADD_USER, id=self.user_id, email="mia@example.com", name="Mia")
        await self.sender(self.sender_id, "+14155550100")

    async def sender(self, sender_id: UUID, phone: str) -> UUID:
        await self.run(_ADD_SENDER, id=sender_id, phone=phone)
        return sender_id

    async def user(self, name: str) -> UUID:
        user_id = uuid4()
        await self.run(ADD_USER, id=user_id, email=f"{user_id}@example.com", name=name)
        return user_id

    async def contacts(self, count: int, **values: Any) -> list[UUID]:
        """Add contacts with unique numbers, by default in New York; return their ids."""
        rows = [
            {
                "id": uuid4(),
                "first_name": f"Ann{self.phones + index}",
                "last_name": "Lee",
                "phone": f"+1212{5_000_000 + self.phones + index}",
                "time_zone": ZONE,
                "line_type": None,
                **values,
            }
            for index in range(count)
        ]
        self.phones += count
        await self._add_contacts(rows)
        return [cast("UUID", row["id"]) for row in rows]

    async def numbers(self, phones: Sequence[str]) -> list[UUID]:
        """Add contacts with these numbers; return their ids."""
        rows = [
            {"id": uuid4(), "first_name": "Ann", "last_name": "Lee", "phone": phone}
            for phone in phones
        ]
        await self._add_contacts(rows)
        return [cast("UUID", row["id"]) for row in rows]

    async def _add_contacts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        names = ", ".join({name: None for row in rows for name in row})
        await self.run(
            f"INSERT INTO contacts ({names})"  # noqa: S608 - names of ours
            f" SELECT {names} FROM jsonb_populate_recordset(CAST(NULL AS contacts), :rows)",
            rows=as_json(rows),
        )

    async def landline(self) -> UUID:
        return (await self.contacts(1, line_type=LineType.LANDLINE))[0]

    async def suppress(self, contact_id: UUID, sender_id: UUID | None = None) -> None:
        """Suppress a contact's number."""
        rows = await self.rows("SELECT phone FROM contacts WHERE id = :id", id=contact_id)
        await self.at_once(
            insert(Suppression).values(
                id=uuid4(),
                phone=rows[0].phone,
                sender_id=sender_id,
                source=OptOutSource.KEYWORD,
                occurred_at=text("now()"),
            )
        )

    async def group(self, contact_ids: Sequence[UUID] = ()) -> UUID:
        group_id = uuid4()
        await self.at_once(insert(Group).values(id=group_id, name=f"Group {group_id}"))
        if contact_ids:
            members = [{"group_id": group_id, "contact_id": one} for one in contact_ids]
            await self.at_once(insert(GroupMember), members)
        return group_id

    async def draft(self, **changes: Any) -> SequenceRecord:
        """Add a draft of three steps without a send window."""
        return await self.sequences.create(self._draft(**changes), self.user_id)

    def _draft(self, **changes: Any) -> SequenceDraft:
        values: dict[str, Any] = {
            "name": "Welcome",
            "sender_id": self.sender_id,
            "kind": SequenceKind.ONGOING,
            "steps": [ongoing("Hi {{first_name|there}}", 0), ongoing("Still?"), ongoing("Bye")],
            "send_window": None,
        }
        return SequenceDraft(**{**values, **changes})

    async def active(self, **changes: Any) -> SequenceRecord:
        """Add an active sequence, as a draft that was activated leaves it, but for the audit log.

        Almost every test needs one, and the use cases take seventeen statements.
        """
        draft = self._draft(**changes)
        sequence_id, version_id = uuid4(), uuid4()
        steps = tuple(_step(*one) for one in enumerate(draft.steps, start=1))
        same: dict[str, Any] = {
            "name": draft.name,
            "sender_id": draft.sender_id,
            "kind": draft.kind,
            "on_reply": draft.on_reply,
            "counts_as_reply": draft.counts_as_reply,
            "purpose": draft.purpose,
            "reply_window_seconds": draft.reply_window_seconds,
            "send_window": draft.send_window and SendWindow.parse(draft.send_window).dump(),
        }
        async with self.database.transaction() as tx:
            written = await tx.run(
                _ADD_ACTIVE,
                **same,
                id=sequence_id,
                version_id=version_id,
                step_count=len(steps),
                steps=as_json([vars(one) for one in steps]),
                user_id=self.user_id,
            )
            row = written.one()
            await outbox.add_paces(tx, [draft.sender_id])
        return SequenceRecord(
            **same,
            **row._mapping,
            id=sequence_id,
            state=SequenceState.ACTIVE,
            version=1,
            version_id=version_id,
            step_count=len(steps),
            created_by_id=self.user_id,
            counts=dict.fromkeys(EnrollmentStatus, 0),
            steps=steps,
        )

    async def rows(self, query: str, **values: Any) -> Sequence[Any]:
        """Read rows by SQL."""
        async with lent(self.database.engine.url) as connection:
            return (await _known(query).sent(connection, values)).all()

    async def run(self, statement: str, **values: Any) -> None:
        """Run a statement of SQL."""
        async with lent(self.database.engine.url) as connection:
            await _known(statement).sent(connection, values)

    async def at_once(self, statement: Executable, values: Any = None) -> None:
        """Run a statement without a transaction, which would take two more round trips."""
        async with self._autocommitting.connect() as connection:
            await connection.execute(statement, values)


def _step(position: int, draft: StepDraft) -> StepRecord:
    return StepRecord(
        position,
        draft.body,
        draft.media_urls,
        draft.delay_seconds,
        time.fromisoformat(draft.at_time) if draft.at_time else None,
        datetime.fromisoformat(draft.send_at) if draft.send_at else None,
        measure(draft.body).count,
        draft.anchor_key,
        draft.anchor_offset_seconds,
        LatePolicy(draft.late),
        draft.late_hours,
    )


def ongoing(body: str, delay: int = 86_400, at_time: str | None = None) -> StepDraft:
    """Build a step of an ongoing sequence, by default a day after the one before."""
    return StepDraft(body, delay_seconds=delay, at_time=at_time)


def scheduled(body: str, send_at: datetime | str) -> StepDraft:
    """Build a step of a scheduled sequence."""
    local = send_at if isinstance(send_at, str) else send_at.strftime("%Y-%m-%dT%H:%M:%S")
    return StepDraft(body, send_at=local)


@asynccontextmanager
async def small_world(database_url: str) -> AsyncIterator[World]:
    """Create a world in an empty database."""
    world = World(Database(database_url))
    try:
        await world.found()
        yield world
    finally:
        await world.database.close()
