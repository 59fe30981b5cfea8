"""Variables of enrollments, and going on once what held an enrollment is filled in."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from domain.sequences.texts import Value
from domain.statuses.enrollments import EnrollmentStatus
from storage.contacts.fields import VALUES
from storage.enrollments.enrollments import CONSENTED, GO_ON, RELEASED, go_on, reconsider
from storage.platform.database import Transaction

LESS_IS_MISSING = f"""(
    e.held_reason = 'missing_data' AND EXISTS (
        SELECT FROM jsonb_array_elements_text(e.missing_fields) AS missing(name)
        WHERE jsonb_exists({VALUES} || e.variables, missing.name)
        OR (missing.name = 'first_name' AND c.first_name <> '')
        OR (missing.name = 'last_name' AND c.last_name <> '')
        OR missing.name = 'full_name'
    )
)"""
"""SQL: what held an enrollment ``e`` of the contact ``c`` is filled in, or some of it is."""


_RELEASE_FILLED = f"""
    WITH locked AS (
        SELECT e.id, e.held_reason AS held_for
        FROM enrollments e JOIN contacts c ON c.id = e.contact_id
        WHERE e.contact_id = :contact_id AND e.status = 'active'
        AND ({LESS_IS_MISSING} OR {CONSENTED})
        ORDER BY e.id FOR NO KEY UPDATE OF e
    )
    {GO_ON.format(probing="false")}
    FROM locked WHERE e.id = locked.id {RELEASED}
"""  # noqa: S608 - built from constants

_CHANGE = """
    UPDATE enrollments SET variables = jsonb_strip_nulls(variables || :variables)
    WHERE id = :id AND status = 'active'
"""


class OfEnrollment(NamedTuple):
    """What bears on changing an enrollment's variables."""

    status: EnrollmentStatus
    contact_id: UUID
    version_id: UUID
    variables: Mapping[str, Value]


async def contact_of(tx: Transaction, enrollment_id: UUID) -> UUID | None:
    """Read whose an enrollment is; None if there is no such enrollment."""
    sql = "SELECT contact_id FROM enrollments WHERE id = :id"
    return await tx.value(UUID, sql, id=enrollment_id)


async def lock(tx: Transaction, enrollment_id: UUID) -> OfEnrollment | None:
    """Lock an enrollment and read its variables; None if there is no such enrollment."""
    sql = """
        SELECT status, contact_id, version_id, variables FROM enrollments
        WHERE id = :id FOR NO KEY UPDATE
    """
    return await tx.one(OfEnrollment, sql, id=enrollment_id)


async def change(
    tx: Transaction, enrollment_id: UUID, variables: Mapping[str, Value | None]
) -> None:
    """Set variables of a locked enrollment, or remove those that are None; the others stay.

    A text that starts from the commit on says them. If it is final, nothing changes.
    """
    await tx.run(_CHANGE, id=enrollment_id, variables=variables)


async def release_filled(tx: Transaction, contact_id: UUID) -> int:
    """Let a contact's enrollments go on whose missing data, some of it, or consent is there now.

    Return how many. One that still misses something is held again when it is decided about.
    """
    released = await go_on(tx, _RELEASE_FILLED, contact_id=contact_id)
    await reconsider(tx, released)
    return len(released)
