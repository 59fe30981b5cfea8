"""A database with one of each resource, for the document's examples and generated requests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID, uuid4

import psycopg
from argon2 import PasswordHasher

from api import examples
from domain.statuses.access import Role, TokenScope
from domain.statuses.contacts import FieldType
from domain.statuses.jobs import JobKind
from domain.statuses.sequences import SequenceKind
from services.factory import Services
from services.sequences.sequences import SequenceDraft
from storage.access import sessions, users
from storage.enrollments.list_filter import ListFilter
from storage.schema import METADATA
from tests.kits.inbound import receive
from tests.worlds import ongoing

PASSWORD = "correct horse battery"

_PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass(frozen=True)
class Little:
    """A copy of that database's rows, quick to load again and again.

    Attributes:
        ids: The id of each resource, by the id that examples give it.
        connection: To the database; the copy lasts as long as it does.
    """

    ids: dict[str, str]
    connection: psycopg.Connection

    @classmethod
    def kept(cls, ids: dict[str, str], connection: psycopg.Connection) -> Self:
        """Copy the rows of a database that was just filled."""
        loading = []
        for table in METADATA.sorted_tables:
            columns = ", ".join(f'"{one.name}"' for one in table.columns if one.computed is None)
            names = {"table": table.name, "columns": columns}
            if connection.execute(_COPY.format(**names).encode()).rowcount:
                loading.append(_LOAD.format(**names))
        connection.execute("SET session_replication_role = replica")
        connection.execute(_PUT.format("".join(loading)).encode())
        return cls(ids, connection)

    def put(self) -> None:
        """Load the rows into the database, which is empty."""
        self.connection.execute("SELECT pg_temp.put_little()")


_COPY = "CREATE TEMP TABLE little_{table} AS SELECT {columns} FROM {table}"
_LOAD = """
        INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE TABLE pg_temp.little_{table};
"""
_PUT = """
    CREATE FUNCTION pg_temp.put_little() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        {}
    END $$
"""


async def found(services: Services) -> dict[str, str]:
    """Create one of each resource; return the ids by the ids that examples give them.

    The admin among them has ``PASSWORD``.
    """
    owner = await services.users.create(email="admin@example.com", role=Role.ADMIN)
    other = await services.users.create(email="other@example.com", role=Role.MEMBER)
    token = await services.tokens.create(other.id, name="old", scopes=TokenScope, expires_at=None)
    own_token = await services.tokens.create(
        owner.id, name="mine", scopes=TokenScope, expires_at=None
    )
    async with services.database.transaction() as tx:
        await users.change(tx, owner.id, {"password_hash": _PASSWORD_HASH})
        signed_in = {"user_id": owner.id, "token_hash": "none", "address": "198.51.100.7"}
        session = await sessions.add(tx, timedelta(days=7), signed_in)
    field = await services.fields.create("job_title", "Job title", FieldType.TEXT)
    people = [
        await services.contacts.create({"first_name": name, "last_name": "Lee", "phone": phone})
        for name, phone in (("Ann", "+12125550101"), ("Bo", "+12125550102"), ("Cy", "+12125550103"))
    ]
    ann, bo, cy = (person.id for person in people)
    own_id = examples.IDS["external_id"]
    await services.contacts.update(
        ann, {"external_id": own_id, "fields": {"job_title": "Nurse"}, "owner_id": owner.id}
    )
    group = await services.groups.create("Everyone")
    await services.groups.add_members(group.id, [ann, cy], owner.id)
    sender = await services.senders.create({"name": "Front desk", "phone": "+14155550100"})
    await services.opt_in_pages.put(
        group.id,
        {
            "title": "Texts for everyone",
            "wording": "I agree to receive texts. Reply STOP to opt out.",
            "terms_url": "https://example.com/terms",
            "slug": "everyone",
            "sender_id": sender.id,
        },
    )
    draft = await _sequence(services, sender.id, owner.id)
    active = await _sequence(services, sender.id, owner.id)
    paused = await _sequence(services, sender.id, owner.id)
    for one in (active, paused):
        await services.sequences.activate(one)
    await services.sequences.pause(paused)
    template = await services.templates.create(draft, "Hello again", "", owner.id)
    enrollment = await services.enrolling.enroll(active, owner.id, contact_ids=[ann, cy])
    suppression, _ = await services.suppressions.suppress(
        contact_id=cy, phone=None, sender_id=None, reason="Asked", user_id=owner.id
    )
    review = await _review(services)
    await receive(services, "+12125550109", "Is the job still open?")
    [unknown] = (await services.unknown_numbers.page()).items
    scheduled = await services.conversations.reply(
        uuid4(), ann, "See you soon", owner.id, send_at=datetime.now(UTC) + timedelta(days=1)
    )
    consent, _ = await services.consents.add(ann, {"source": "Application form"}, owner.id)
    note = await services.notes.add(ann, "Prefers mornings", owner.id)
    saved = await services.saved_replies.create("Hours", "We are open from nine", owner.id)
    endpoint = await services.event_endpoints.create(
        {"url": "https://crm.example.com/events"}, owner.id
    )
    event = await services.event_endpoints.test(endpoint.details.id)
    job = await services.jobs.start_bulk_action(active, JobKind.PAUSE, ListFilter(), owner.id)
    made = {
        examples.CONTACT: ann,
        examples.OTHER_CONTACT: bo,
        examples.FIELD: field.id,
        examples.GROUP: group.id,
        examples.NOTE: note.id,
        examples.SAVED_REPLY: saved.id,
        examples.SENDER: sender.id,
        examples.DRAFT: draft,
        examples.IDS["sequence_id"]: active,
        examples.PAUSED_SEQUENCE: paused,
        examples.ENROLLMENT: enrollment.enrolled[0].id,
        examples.IDS["consent_id"]: consent.id,
        examples.IDS["template_id"]: template.id,
        examples.IDS["user_id"]: other.id,
        examples.IDS["token_id"]: token.details.id,
        examples.OWN_TOKEN: own_token.details.id,
        examples.IDS["session_id"]: session.id,
        examples.IDS["suppression_id"]: suppression.id,
        examples.IDS["message_id"]: review,
        examples.SCHEDULED_MESSAGE: scheduled,
        examples.UNKNOWN_MESSAGE: unknown.id,
        examples.IDS["endpoint_id"]: endpoint.details.id,
        examples.IDS["event_id"]: event.event_id,
        examples.IDS["job_id"]: job.id,
    }
    return {own_id: own_id, **{placeholder: str(actual) for placeholder, actual in made.items()}}


async def _review(services: Services) -> UUID:
    """Receive a text from a contact that may be an opt-out."""
    await receive(services, "+12125550102", "Please stop texting me until five")
    return (await services.reviews.find()).items[0].message_id


async def _sequence(services: Services, sender_id: UUID, user_id: UUID) -> UUID:
    draft = SequenceDraft(
        name="Hello",
        sender_id=sender_id,
        kind=SequenceKind.ONGOING,
        steps=[ongoing("Hi {{first_name|there}}", 0), ongoing("Still there?")],
    )
    return (await services.sequences.create(draft, user_id)).id
