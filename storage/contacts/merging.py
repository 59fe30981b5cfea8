"""Queries that write many contacts at once."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from storage.contacts import fields
from storage.contacts.contacts import UNIQUE, StoredContact
from storage.platform.database import Transaction, as_json, violated
from storage.platform.locks import MovedError
from storage.platform.rows import columns_of
from storage.tables.contacts import Contact

_VALUES = """
    jsonb_to_recordset(:contacts) AS n (
        id uuid, external_id text, first_name text, last_name text, phone text, time_zone text,
        country text, state text, postal_code text, line_type text, fields jsonb, owner_id uuid
    )
"""

_INSERT = f"""
    INSERT INTO contacts (
        id, external_id, first_name, last_name, phone, time_zone, country, state, postal_code,
        line_type, fields, owner_id
    )
    SELECT gen_random_uuid(), n.external_id, n.first_name, n.last_name, n.phone, n.time_zone,
        n.country, n.state, n.postal_code, n.line_type, n.fields, n.owner_id
    FROM {_VALUES} ORDER BY n.phone
    ON CONFLICT DO NOTHING RETURNING phone, id
"""  # noqa: S608 - built from constants

_UPDATE = f"""
    UPDATE contacts c SET external_id = n.external_id, first_name = n.first_name,
        last_name = n.last_name, phone = n.phone, time_zone = n.time_zone,
        country = n.country, state = n.state, postal_code = n.postal_code,
        line_type = n.line_type, fields = n.fields, owner_id = n.owner_id,
        updated_at = clock_timestamp()
    FROM {_VALUES} WHERE c.id = n.id
"""  # noqa: S608

_REMEMBER = """
    INSERT INTO former_phones (contact_id, phone)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:phones AS text[]))
    ON CONFLICT DO NOTHING
"""


async def matching(
    tx: Transaction, *, external_ids: Collection[str], phones: Collection[str]
) -> list[StoredContact]:
    """Read the contacts who have any of these external ids or numbers."""
    query = select(*columns_of(StoredContact, Contact, fields=fields.values())).where(
        or_(
            col(Contact.external_id).in_(list(external_ids)),
            col(Contact.phone).in_(list(phones)),
        )
    )
    return await tx.rows(StoredContact, query)


async def lock(tx: Transaction, contact_ids: Collection[UUID], *, keys: bool) -> None:
    """Lock contacts by id; with ``keys`` so that numbers and external ids can change too."""
    query = select(col(Contact.id)).where(col(Contact.id).in_(list(contact_ids)))
    await tx.execute(query.order_by(col(Contact.id)).with_for_update(key_share=not keys))


async def insert(tx: Transaction, contacts: Sequence[Mapping[str, Any]]) -> dict[str, UUID]:
    """Insert contacts, each with all its values; return their ids by number.

    Waits for transactions that are about to take one of the numbers or external ids. The order of
    insertion keeps two imports of the same contacts from deadlocking.

    Raises:
        MovedError: Another transaction was faster with one of them.
    """
    if not contacts:
        return {}
    rows = await tx.run(_INSERT, contacts=as_json(contacts))
    added = {row.phone: row.id for row in rows}
    if len(added) < len(contacts):
        raise MovedError
    return added


async def update(
    tx: Transaction, contacts: Sequence[Mapping[str, Any]], former_phones: Mapping[UUID, str]
) -> None:
    """Change locked contacts, each to all its values, and store the numbers that some had before.

    Raises:
        MovedError: Another transaction was faster with a number or external id.
    """
    if not contacts:
        return
    try:
        await tx.run(_UPDATE, contacts=as_json(contacts))
    except IntegrityError as error:
        if violated(error) in UNIQUE:
            raise MovedError from None
        raise
    if former_phones:
        await tx.run(_REMEMBER, ids=list(former_phones), phones=list(former_phones.values()))
