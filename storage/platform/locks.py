"""The locks, and the one order in which everybody takes them.

A transaction takes what it needs of this list from the top down, and nothing above what it holds:

1. the **fields** of contacts (``share_fields``): advisory, shared by those who write values;
   exclusive (``lock_fields``) for whoever adds or deletes a field.
2. **numbers** (``lock_numbers``): advisory, exclusive; several in the order of their keys. Whoever
   decides about a number holds it: sends, answers, inbound texts, opt-outs, changed contacts.
3. **contacts**: rows; all that a transaction may change or enrolls in one statement ordered by id,
   before those that are only kept from being erased.
4. the workspace's **time zone** (``platform.workspace.hold_zone``): advisory, shared by those
   who write times by it.
5. the **sequence** (``share_sequence``): advisory, shared by sends, answers and enrolling;
   exclusive (``lock_sequence``) for whoever changes its state, settings or steps.
6. the **sender** (``SHARE_SENDER``): advisory, shared by those who go by its hold; exclusive
   (``wait_for_sender``) only in a transaction that holds nothing else.
7. **senders**: rows, to put one on hold or claim a probe.
8. **enrollments**: rows, by id. Whoever locks several does so in one statement ordered by id, and
   whoever needs more than one locks all of them at once (``lock_enrollments_of``).
9. **pictures**: rows, by id, for whoever puts them into a text; pruning passes locked ones over.
10. events and the outbox.

Messages and attempts are changed under their number's lock alone, at any time; whoever changes some
without it skips those that are locked, or takes a single one. Work that is shared out (``jobs``,
``wakes``, the outbox when it is drained) is locked before anything of this list.

Sequences and senders are shared by advisory locks, not by row locks: hundreds of sends side by side
hold the same two, and PostgreSQL writes every new set of holders of one row down as a multixact.
For the same reason ``messages.sender_id`` is no foreign key, which would lock the sender's row at
every insert; a trigger keeps the senders of texts from being deleted instead.

Advisory locks of one key (numbers) and of two (class and key) never meet. Two things with the same
key wait for each other needlessly, no more.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from storage.platform.database import Transaction

LOCK_NUMBER = "pg_advisory_xact_lock(hashtextextended({phone}, 0))"
TRY_NUMBER = "pg_try_advisory_xact_lock(hashtextextended({phone}, 0))"
SHARE_SEQUENCE = "pg_advisory_xact_lock_shared(2, hashtext(CAST({id} AS text)))"
SHARE_SENDER = "pg_advisory_xact_lock_shared(3, hashtext(CAST({id} AS text)))"
"""SQL: lock a number, or only if it is free; share a sequence or a sender. Class 1 is the
workspace's zone, class 4 the fields of contacts."""

_LOCK_NUMBERS = """
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended(phone, 0) AS key
        FROM unnest(CAST(:phones AS text[])) AS phone ORDER BY 1
    ) keys
"""

_NUMBERS_OF = """
    SELECT c.phone FROM enrollments e JOIN contacts c ON c.id = e.contact_id WHERE e.id = :id
    UNION
    SELECT phone FROM messages WHERE enrollment_id = :id
"""

ENROLLMENTS_OF_PHONES = """
    SELECT id FROM enrollments
    WHERE contact_id = ANY(ARRAY(SELECT id FROM contacts WHERE phone = ANY(:phones)))
    UNION
    SELECT m.enrollment_id FROM messages m
    WHERE m.phone = ANY(:phones) AND m.direction = 'outbound' AND m.enrollment_id IS NOT NULL
"""
"""SQL: the enrollments of contacts who have these numbers, or had them when texted there."""

MAY_REPLY_LATE = """(
    e.status = 'finished_no_response' AND e.replied_late_at IS NULL
    AND e.last_message_at > {at} - interval '60 days'
)"""
"""SQL: a text of that moment may be the first reply to an enrollment ``e`` that ended without one.

It is one within 30 days of the last text that went out; this is a wider, cheaper condition.
"""

_SINCE = "coalesce(CAST(:since AS timestamptz), now())"
_LOCK_ENROLLMENTS = f"""
    SELECT e.id FROM enrollments e
    WHERE (e.status = 'active' OR {MAY_REPLY_LATE.format(at=_SINCE)})
    AND e.id = ANY(ARRAY({ENROLLMENTS_OF_PHONES}) || CAST(:also AS uuid[]))
    ORDER BY e.id FOR NO KEY UPDATE
"""  # noqa: S608 - built from constants


class MovedError(Exception):
    """What a lock was chosen by has changed: start over in a new transaction.

    Locking the new one as well would be out of order.
    """


async def limit_waits(tx: Transaction, patience: timedelta) -> None:
    """Wait for no lock longer than this from now on (``database.is_lock_timeout``)."""
    await tx.run(
        "SELECT set_config('lock_timeout', :patience, true)", patience=as_setting(patience)
    )


def as_setting(patience: timedelta) -> str:
    """Write a duration as PostgreSQL's settings take it, in whole milliseconds."""
    return f"{patience // timedelta(milliseconds=1)}ms"


async def lock_numbers(tx: Transaction, phones: Collection[str]) -> None:
    """Keep others from deciding about these numbers until the transaction ends."""
    await tx.run(_LOCK_NUMBERS, phones=phones)


async def lock_numbers_of(tx: Transaction, enrollment_id: UUID) -> None:
    """Lock an enrollment's numbers and contact, before its sequence and row.

    Its texts may have gone to a number that its contact had before.

    Raises:
        MovedError: Its number changed meanwhile.
    """
    numbers = set(await tx.column(_NUMBERS_OF, id=enrollment_id))
    await lock_numbers(tx, numbers)
    sql = """
        SELECT FROM enrollments e JOIN contacts c ON c.id = e.contact_id
        WHERE e.id = :id FOR KEY SHARE OF c
    """
    await tx.run(sql, id=enrollment_id)
    if not set(await tx.column(_NUMBERS_OF, id=enrollment_id)) <= numbers:
        raise MovedError


async def lock_number_at_once(tx: Transaction, phone: str) -> None:
    """Lock a number out of order, therefore without waiting for it.

    Raises:
        MovedError: Somebody else holds it.
    """
    if not await tx.value(bool, f"SELECT {TRY_NUMBER.format(phone=':phone')}", phone=phone):
        raise MovedError


async def share_fields(tx: Transaction) -> None:
    """Keep fields of contacts from being deleted until the transaction ends; read them after."""
    await tx.run("SELECT pg_advisory_xact_lock_shared(4, 1)")


async def lock_fields(tx: Transaction) -> None:
    """Keep others from adding or deleting fields of contacts, and from writing values of them."""
    await tx.run("SELECT pg_advisory_xact_lock(4, 1)")


async def share_sequence(tx: Transaction, sequence_id: UUID) -> None:
    """Keep a sequence from being changed until the transaction ends; read it afterwards."""
    await tx.run(f"SELECT {SHARE_SEQUENCE.format(id=':id')}", id=sequence_id)


async def lock_sequence(tx: Transaction, sequence_id: UUID) -> None:
    """Keep others from changing a sequence, enrolling into it or sending its texts."""
    await tx.run("SELECT pg_advisory_xact_lock(2, hashtext(CAST(:id AS text)))", id=sequence_id)


async def wait_for_sender(tx: Transaction, sender_id: UUID) -> None:
    """Wait until everybody who has read a sender's hold so far has committed.

    Call it in a transaction that holds nothing else.
    """
    await tx.run("SELECT pg_advisory_xact_lock(3, hashtext(CAST(:id AS text)))", id=sender_id)


async def lock_enrollments_of(
    tx: Transaction,
    phones: Sequence[str],
    *,
    also: Sequence[UUID] = (),
    since: datetime | None = None,
) -> None:
    """Lock every enrollment of numbers that texts can change, and others, before one is changed.

    ``since`` is when the earliest of the texts came; None for now.
    """
    await tx.run(_LOCK_ENROLLMENTS, phones=phones, also=also, since=since)
