"""Erase a contact, keeping of an opted-out number only a hash."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl
from uuid import UUID

from domain.access.preferences import Preference
from domain.contacts.names import full_name
from domain.platform import phones
from storage.enrollments import enrollments
from storage.event_webhooks import events
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


async def erasure_key(tx: Transaction, *, create: bool = False) -> str | None:
    """Read the key of the hashes; None if nothing was ever hashed and it is not to be made."""
    if create:
        sql = "INSERT INTO workspace (id) VALUES (1) ON CONFLICT DO NOTHING"
        await tx.run(sql)
    return await tx.value(str, "SELECT erasure_key FROM workspace WHERE id = 1")


async def phone_of(tx: Transaction, contact_id: UUID, *, lock: bool = False) -> str | None:
    """Read a contact's number; None if there is no such contact.

    With ``lock`` nobody can enroll, text or change the contact until the transaction ends.
    """
    suffix = " FOR UPDATE" if lock else ""
    sql = f"SELECT phone FROM contacts WHERE id = :id{suffix}"  # noqa: S608 - two constants
    return await tx.value(str, sql, id=contact_id)


async def numbers_of(tx: Transaction, contact_id: UUID) -> set[str]:
    """Read the numbers a contact has and had, and those that their texts went to or came from."""
    sql = """
        SELECT phone FROM contacts WHERE id = :id
        UNION
        SELECT phone FROM former_phones WHERE contact_id = :id
        UNION
        SELECT phone FROM messages WHERE contact_id = :id
    """
    return set(await tx.column(sql, id=contact_id))


async def known(tx: Transaction, contact_id: UUID, phone: str) -> Known:
    """Find what is kept about a contact."""
    sql = "SELECT id, status FROM enrollments WHERE contact_id = :id ORDER BY id"
    enrollments = (await tx.run(sql, id=contact_id)).all()
    sql = """
        SELECT id FROM messages WHERE contact_id = :id
        UNION
        SELECT m.id FROM messages m JOIN enrollments e ON e.id = m.enrollment_id
        WHERE e.contact_id = :id
        UNION
        SELECT id FROM messages WHERE phone = :phone AND contact_id IS NULL
    """
    return Known(
        enrollments=[row.id for row in enrollments],
        active=[row.id for row in enrollments if row.status == "active"],
        messages=await tx.column(sql, id=contact_id, phone=phone),
    )


async def unsettled_texts(tx: Transaction, message_ids: Sequence[UUID], give_up: timedelta) -> int:
    """Count the texts among these that may be on their way.

    What proof could not settle counts only for as long as a person can still decide about it.
    """
    sql = """
        SELECT count(*) FROM attempts a
        JOIN messages m ON m.id = a.message_id
        LEFT JOIN enrollments e ON e.id = m.enrollment_id
        WHERE a.message_id = ANY(:ids) AND a.outcome IN ('open', 'unknown')
        AND (
            (m.step IS NOT NULL AND e.status = 'active')
            OR a.started_at > now() - CAST(:give_up AS interval)
        )
    """
    return await tx.value(int, sql, ids=message_ids, give_up=give_up) or 0


async def texts_not_applied(tx: Transaction, phones: Sequence[str]) -> int:
    """Count the inbound texts of these numbers that are not applied yet."""
    sql = "SELECT count(*) FROM inbound_events WHERE phone = ANY(:phones) AND applied_at IS NULL"
    return await tx.value(int, sql, phones=phones) or 0


async def nobodys(tx: Transaction, phones: Sequence[str], besides: UUID) -> list[str]:
    """Tell which of these numbers no other contact has or was texted at."""
    sql = """
        SELECT phone FROM unnest(CAST(:phones AS text[])) AS phone WHERE NOT EXISTS (
            SELECT 1 FROM contacts c WHERE c.phone = phone.phone AND c.id <> :besides
        ) AND NOT EXISTS (
            SELECT 1 FROM messages m WHERE m.phone = phone.phone AND m.contact_id <> :besides
        )
    """
    return await tx.column(sql, phones=phones, besides=besides)


async def hash_suppressions(tx: Transaction, hashes: Mapping[str, str]) -> None:
    """Reduce the suppressions of numbers to hashes, with when and how."""
    sql = """
        UPDATE suppressions s SET phone = NULL, phone_hash = h.hash, reason = NULL,
            lifted_reason = NULL, message_id = NULL, attempt_id = NULL,
            lifted_message_id = NULL
        FROM unnest(CAST(:phones AS text[]), CAST(:hashes AS text[])) AS h (phone, hash)
        WHERE s.phone = h.phone
    """
    await tx.run(sql, phones=list(hashes), hashes=list(hashes.values()))


async def delete_consents(tx: Transaction, phones: Sequence[str]) -> None:
    """Delete the consents of numbers."""
    await tx.run("DELETE FROM consents WHERE phone = ANY(:phones)", phones=phones)


async def hashed(tx: Transaction, hashes: Sequence[str]) -> set[str]:
    """Tell which of these hashes belong to suppressions."""
    sql = "SELECT DISTINCT phone_hash FROM suppressions WHERE phone_hash = ANY(:hashes)"
    return set(await tx.column(sql, hashes=hashes))


async def name_suppressions(tx: Transaction, phones: Mapping[str, str]) -> int:
    """Turn hashed suppressions back into plain ones; return how many."""
    sql = """
        UPDATE suppressions s SET phone = h.phone, phone_hash = NULL
        FROM unnest(CAST(:hashes AS text[]), CAST(:phones AS text[])) AS h (hash, phone)
        WHERE s.phone_hash = h.hash
    """
    return await tx.count(sql, hashes=list(phones), phones=list(phones.values()))


_WITHOUT_EXTERNAL_ID = """(
    SELECT coalesce(jsonb_agg(CASE
        WHEN one ->> 'contact_id' = CAST(CAST(:id AS uuid) AS text) THEN one - 'external_id'
        ELSE one END ORDER BY place), '[]')
    FROM jsonb_array_elements(k.answer -> '{}') WITH ORDINALITY AS listed(one, place)
)"""
"""SQL: the rows of an answer, in their order; the contact's own says no external id."""

_DELETIONS = (
    "UPDATE suppressions SET message_id = NULL, reason = NULL WHERE message_id = ANY(:messages)",
    "UPDATE suppressions SET lifted_message_id = NULL WHERE lifted_message_id = ANY(:messages)",
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
    "DELETE FROM second_readings WHERE message_id = ANY(:messages)",
    "DELETE FROM messages WHERE id = ANY(:messages)",
    "DELETE FROM group_members WHERE contact_id = :id",
    f"""
    UPDATE idempotency_keys k SET answer = k.answer || jsonb_build_object(
        'enrolled', {_WITHOUT_EXTERNAL_ID.format("enrolled")},
        'skipped', {_WITHOUT_EXTERNAL_ID.format("skipped")}
    )
    WHERE jsonb_exists(k.answer, 'enrolled')
    AND strpos(CAST(k.answer AS text), CAST(CAST(:id AS uuid) AS text)) > 0
    """,  # noqa: S608 - built from constants
    """
    UPDATE job_rows r SET detail = r.detail - 'external_id' FROM contacts c
    WHERE c.id = :id AND r.detail ->> 'external_id' = c.external_id
    """,
    f"""
    DELETE FROM preferences
    WHERE (name = '{Preference.TEST_PHONE}' AND value ->> 'phone' = ANY(:numbers))
        OR (name = '{Preference.PREVIEW_CONTACT}' AND value ->> 'contact_id' = CAST(:id AS text))
    """,  # noqa: S608 - built from constants
    "DELETE FROM former_phones WHERE contact_id = :id",
    """
    DELETE FROM idempotency_keys WHERE answer ->> 'id' = CAST(:id AS text)
        OR (answer ->> 'contact_id' = CAST(:id AS text) AND jsonb_exists(answer, 'author'))
        OR EXISTS (
            SELECT 1 FROM unnest(CAST(:numbers AS text[])) AS number
            WHERE strpos(CAST(answer AS text), number) > 0
        )
    """,
    """
    UPDATE job_rows SET detail = '{}' WHERE detail <> '{}' AND code IS NOT NULL AND (
        subject_id = :id OR subject_id = ANY(:enrollments) OR EXISTS (
            SELECT 1 FROM unnest(CAST(:numbers AS text[])) AS number
            WHERE strpos(CAST(detail AS text), number) > 0
        )
    )
    """,
    """
    WITH waiting AS (
        SELECT r.job_id, r.position, j.kind FROM job_rows r JOIN jobs j ON j.id = r.job_id
        WHERE r.code IS NULL AND r.detail <> '{}' AND j.ended_at IS NULL
        AND jsonb_exists(j.params, 'matching')
        AND (j.state = 'receiving' OR j.params ->> 'dry_run' = 'true')
        AND (
            r.detail ->> (j.params #>> '{matching,columns,external_id}')
                = (SELECT external_id FROM contacts WHERE id = :id)
            OR EXISTS (
                SELECT 1 FROM jsonb_each_text(r.detail) cell, unnest(CAST(:digits AS text[])) number
                WHERE strpos(regexp_replace(cell.value, '[^0-9]', '', 'g'), number) > 0
            )
        )
        FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE job_rows r SET detail = CASE WHEN waiting.kind = 'import_contacts' THEN '{}' ELSE (
        SELECT coalesce(jsonb_object_agg(cell.key, cell.value), '{}')
        FROM jsonb_each_text(r.detail) cell WHERE EXISTS (
            SELECT 1 FROM unnest(CAST(:digits AS text[])) number
            WHERE strpos(regexp_replace(cell.value, '[^0-9]', '', 'g'), number) > 0
        )
    ) END
    FROM waiting WHERE (r.job_id, r.position) = (waiting.job_id, waiting.position)
    """,
    """
    WITH open AS (
        SELECT job_id, position FROM job_rows
        WHERE code IS NULL AND subject_id = :id AND detail <> '{}' FOR UPDATE SKIP LOCKED
    )
    UPDATE job_rows r SET detail = '{}' FROM open
    WHERE (r.job_id, r.position) = (open.job_id, open.position)
    """,
)
"""In the order of what refers to what; enrollments and the contact come last. An answer or result
that holds ids alone stays: it keeps a request that is sent again from being done again. Of an
inbound text the provider's id stays for some days: it keeps the text from being fetched again. A
row that a job is acting on is left to it: its result takes the place of its detail. A row of a file
that waits for a person is emptied and not deleted, as its job counts it; in a file of opt-outs its
number stays, as the opt-out would be lost. The reason of a
suppression by a text is a second reader's, who tells what the text says."""


async def _delete_views(tx: Transaction, contact_id: UUID, numbers: Collection[str]) -> None:
    """Delete saved views that look for a contact by name or number; ``numbers`` are digits."""
    sql = "SELECT first_name, last_name FROM contacts WHERE id = :id"
    [(first_name, last_name)] = await tx.run(sql, id=contact_id)
    name = full_name(first_name, last_name).casefold()
    is_whole = bool(first_name and last_name)
    found = []
    for view_id, query in await tx.run("SELECT id, query FROM saved_views"):
        for _, value in parse_qsl(query):
            said = " ".join(value.casefold().split())
            is_name = (name and said == name) or (is_whole and name in said)
            if is_name or any(number in phones.digits(value) for number in numbers):
                found.append(view_id)
    await tx.run("DELETE FROM saved_views WHERE id = ANY(:ids)", ids=found)


async def delete_all(
    tx: Transaction, contact_id: UUID, phone: str, numbers: Collection[str], what: Known
) -> None:
    """Delete a contact with all that is kept about them; suppressions are hashed before."""
    digits = sorted({phones.digits_in_any_form(number) for number in {phone, *numbers}})
    await _delete_views(tx, contact_id, digits)
    for statement in _DELETIONS:
        await tx.run(
            statement,
            id=contact_id,
            phone=phone,
            numbers=sorted({phone, *numbers}),
            digits=digits,
            messages=what.messages,
            enrollments=what.enrollments,
        )
    await enrollments.erase(tx, what.enrollments)
    await tx.run("DELETE FROM contacts WHERE id = :id", id=contact_id)
    await events.contact_erased(tx, contact_id, [*what.enrollments, *what.messages])
