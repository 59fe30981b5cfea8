"""Erase a contact, keeping of an opted-out number only a hash."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text, Uuid

from storage.enrollments import enrollments
from storage.platform.database import Transaction


@dataclass(frozen=True)
class Known:
    """What is kept about a contact, by id.

    Attributes:
        enrollments: All of theirs.
        active: Those of them that are active.
        messages: Texts both ways, those from their number that nobody was known to have sent too.
    """

    enrollments: Sequence[UUID]
    active: Sequence[UUID]
    messages: Sequence[UUID]


_ERASURE_KEY = text("SELECT erasure_key FROM workspace WHERE id = 1")

_NUMBERS = text(
    """
    SELECT phone FROM contacts WHERE id = :id
    UNION
    SELECT phone FROM former_phones WHERE contact_id = :id
    UNION
    SELECT phone FROM messages WHERE contact_id = :id
    """
)


async def erasure_key(tx: Transaction, *, create: bool = False) -> str | None:
    """The key of the hashes; None if nothing was ever hashed and it is not to be made."""
    if create:
        await tx.execute(text("INSERT INTO workspace (id) VALUES (1) ON CONFLICT DO NOTHING"))
    row = (await tx.execute(_ERASURE_KEY)).one_or_none()
    return None if row is None else row.erasure_key


async def phone_of(tx: Transaction, contact_id: UUID, *, lock: bool = False) -> str | None:
    """A contact's number; None if there is no such contact.

    With ``lock`` nobody can enroll, text or change the contact until the transaction ends.
    """
    suffix = " FOR UPDATE" if lock else ""
    row = await tx.execute(
        text(f"SELECT phone FROM contacts WHERE id = :id{suffix}"),  # noqa: S608 - two constants
        {"id": contact_id},
    )
    return row.scalar_one_or_none()


async def numbers_of(tx: Transaction, contact_id: UUID) -> set[str]:
    """Read the numbers a contact has and had, and those that their texts went to or came from."""
    return set((await tx.execute(_NUMBERS, {"id": contact_id})).scalars())


async def known(tx: Transaction, contact_id: UUID, phone: str) -> Known:
    """Find what is kept about a contact."""
    enrollments = (
        await tx.execute(
            text("SELECT id, status FROM enrollments WHERE contact_id = :id ORDER BY id"),
            {"id": contact_id},
        )
    ).all()
    messages = await tx.execute(
        text(
            """
            SELECT id FROM messages WHERE contact_id = :id
            UNION
            SELECT m.id FROM messages m JOIN enrollments e ON e.id = m.enrollment_id
            WHERE e.contact_id = :id
            UNION
            SELECT id FROM messages WHERE phone = :phone AND contact_id IS NULL
            """
        ),
        {"id": contact_id, "phone": phone},
    )
    return Known(
        enrollments=[row.id for row in enrollments],
        active=[row.id for row in enrollments if row.status == "active"],
        messages=list(messages.scalars()),
    )


async def unsettled_texts(tx: Transaction, message_ids: Sequence[UUID], give_up: timedelta) -> int:
    """Count the texts among these that may be on their way.

    What proof could not settle counts only for as long as a person can still decide about it.
    """
    row = await tx.execute(
        text(
            """
            SELECT count(*) FROM attempts a
            JOIN messages m ON m.id = a.message_id
            LEFT JOIN enrollments e ON e.id = m.enrollment_id
            WHERE a.message_id = ANY(:ids) AND a.outcome IN ('open', 'unknown')
            AND (
                (m.step IS NOT NULL AND e.status = 'active')
                OR a.started_at > now() - CAST(:give_up AS interval)
            )
            """
        ).bindparams(bindparam("ids", type_=ARRAY(Uuid()))),
        {"ids": list(message_ids), "give_up": give_up},
    )
    return int(row.scalar_one())


async def texts_not_applied(tx: Transaction, phones: Sequence[str]) -> int:
    """Count the inbound texts of these numbers that are not applied yet."""
    row = await tx.execute(
        text(
            """
            SELECT count(*) FROM inbound_events WHERE phone = ANY(:phones) AND applied_at IS NULL
            """
        ).bindparams(bindparam("phones", type_=ARRAY(Text()))),
        {"phones": list(phones)},
    )
    return int(row.scalar_one())


async def nobodys(tx: Transaction, phones: Sequence[str], besides: UUID) -> list[str]:
    """Tell which of these numbers no other contact has or was texted at."""
    rows = await tx.execute(
        text(
            """
            SELECT phone FROM unnest(:phones) AS phone WHERE NOT EXISTS (
                SELECT 1 FROM contacts c WHERE c.phone = phone.phone AND c.id <> :besides
            ) AND NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.phone = phone.phone AND m.contact_id <> :besides
            )
            """
        ).bindparams(bindparam("phones", type_=ARRAY(Text()))),
        {"phones": list(phones), "besides": besides},
    )
    return list(rows.scalars())


async def hash_suppressions(tx: Transaction, hashes: Mapping[str, str]) -> None:
    """Reduce the suppressions of numbers to hashes, with when and how."""
    await tx.execute(
        text(
            """
            UPDATE suppressions s SET phone = NULL, phone_hash = h.hash, reason = NULL,
                lifted_reason = NULL, message_id = NULL, attempt_id = NULL,
                lifted_message_id = NULL
            FROM unnest(:phones, :hashes) AS h (phone, hash) WHERE s.phone = h.phone
            """
        ).bindparams(
            bindparam("phones", type_=ARRAY(Text())), bindparam("hashes", type_=ARRAY(Text()))
        ),
        {"phones": list(hashes), "hashes": list(hashes.values())},
    )


async def hashed(tx: Transaction, hashes: Sequence[str]) -> set[str]:
    """Tell which of these hashes belong to suppressions."""
    rows = await tx.execute(
        text(
            "SELECT DISTINCT phone_hash FROM suppressions WHERE phone_hash = ANY(:hashes)"
        ).bindparams(bindparam("hashes", type_=ARRAY(Text()))),
        {"hashes": list(hashes)},
    )
    return set(rows.scalars())


async def name_suppressions(tx: Transaction, phones: Mapping[str, str]) -> int:
    """Turn hashed suppressions back into plain ones; return how many."""
    rows = await tx.execute(
        text(
            """
            UPDATE suppressions s SET phone = h.phone, phone_hash = NULL
            FROM unnest(:hashes, :phones) AS h (hash, phone) WHERE s.phone_hash = h.hash
            RETURNING s.id
            """
        ).bindparams(
            bindparam("phones", type_=ARRAY(Text())), bindparam("hashes", type_=ARRAY(Text()))
        ),
        {"hashes": list(phones), "phones": list(phones.values())},
    )
    return len(rows.all())


_DELETIONS = (
    """
    UPDATE suppressions SET message_id = NULL WHERE message_id = ANY(:messages)
    """,
    """
    UPDATE suppressions SET lifted_message_id = NULL WHERE lifted_message_id = ANY(:messages)
    """,
    """
    UPDATE suppressions SET attempt_id = NULL WHERE attempt_id IN (
        SELECT id FROM attempts WHERE message_id = ANY(:messages)
    )
    """,
    """
    DELETE FROM status_events WHERE attempt_id IN (
        SELECT id FROM attempts WHERE message_id = ANY(:messages)
    ) OR provider_sid IN (
        SELECT provider_sid FROM attempts WHERE message_id = ANY(:messages)
    )
    """,
    """
    UPDATE inbound_events SET phone = '', payload = '{}', applied_at = coalesce(applied_at, now())
    WHERE phone = :phone OR provider_sid IN (
        SELECT provider_sid FROM messages WHERE id = ANY(:messages)
    )
    """,
    "DELETE FROM attempts WHERE message_id = ANY(:messages)",
    "DELETE FROM reviews WHERE message_id = ANY(:messages)",
    "DELETE FROM messages WHERE id = ANY(:messages)",
    "DELETE FROM group_members WHERE contact_id = :id",
    "DELETE FROM former_phones WHERE contact_id = :id",
    """
    DELETE FROM idempotency_keys WHERE answer ->> 'id' = CAST(:id AS text)
        OR EXISTS (
            SELECT 1 FROM unnest(:numbers) AS number WHERE strpos(CAST(answer AS text), number) > 0
        )
    """,
    """
    UPDATE job_rows SET detail = '{}' WHERE detail <> '{}' AND code IS NOT NULL AND (
        subject_id = :id OR subject_id = ANY(:enrollments) OR EXISTS (
            SELECT 1 FROM unnest(:numbers) AS number WHERE strpos(CAST(detail AS text), number) > 0
        )
    )
    """,
)
"""In the order of what refers to what; enrollments and the contact come last. An answer or result
that holds ids alone stays: it keeps a request that is sent again from being done again. Of an
inbound text the provider's id stays for some days: it keeps the text from being fetched again."""


async def delete_all(
    tx: Transaction, contact_id: UUID, phone: str, numbers: Collection[str], what: Known
) -> None:
    """Delete a contact with all that is kept about them; suppressions are hashed before."""
    for statement in _DELETIONS:
        query = text(statement)
        names = {name for name in ("messages", "enrollments") if f":{name}" in statement}
        if names:
            query = query.bindparams(*(bindparam(name, type_=ARRAY(Uuid())) for name in names))
        if ":numbers" in statement:
            query = query.bindparams(bindparam("numbers", type_=ARRAY(Text())))
        values = {
            "id": contact_id,
            "phone": phone,
            "numbers": sorted({phone, *numbers}),
            "messages": list(what.messages),
            "enrollments": list(what.enrollments),
        }
        asked = {name: value for name, value in values.items() if f":{name}" in statement}
        await tx.execute(query, asked)
    await enrollments.erase(tx, what.enrollments)
    await tx.execute(text("DELETE FROM contacts WHERE id = :id"), {"id": contact_id})
