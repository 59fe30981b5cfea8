"""How far what the provider has was fetched, and which texts it should be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import col

from domain.messaging.absence import LIST_SKEW
from domain.statuses.messaging import MessageStatus
from storage.platform.database import Transaction
from storage.platform.rows import made
from storage.tables.messaging import NOT_LOOKED_FOR_AGAIN, BackfillList


@dataclass(frozen=True, kw_only=True)
class _Asking:
    """Questions to the provider of one kind.

    Attributes:
        failures: How many in a row got no answer.
        next_try_at: None is asked before.
        read_at: Now, by the database's clock; a worker's own may be wrong.
    """

    failures: int
    next_try_at: datetime | None
    read_at: datetime

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider is to be left alone."""
        return self.next_try_at is not None and self.next_try_at > self.read_at


@dataclass(frozen=True, kw_only=True)
class Progress(_Asking):
    """How far asking about the states of texts is; ``missed_until``: webhooks may have failed."""

    missed_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class TextList(_Asking):
    """How far one list of inbound texts was read.

    Attributes:
        phone: The number of ours that it is of; None for the whole account's.
        fetched_until: Everything sent until then was looked for.
        reading_until: Where the list ends that is being read.
        page: Where in it the next page is.
    """

    phone: str | None
    fetched_until: datetime
    reading_until: datetime | None
    page: str | None


_BEGIN = "INSERT INTO catch_up (id) VALUES (1) ON CONFLICT DO NOTHING"

_WANTED = "SELECT coalesce(phone, '') FROM senders"
"""SQL: a list for each number of ours, and the whole account's if there is a Messaging Service:
the provider alone knows all numbers of its pool."""

_ADD_LISTS = f"""
    INSERT INTO catch_up_lists (phone, fetched_until)
    SELECT DISTINCT wanted.phone, c.fetched_until FROM ({_WANTED}) AS wanted(phone), catch_up c
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant


_DROP_LISTS = f"DELETE FROM catch_up_lists WHERE phone NOT IN ({_WANTED})"  # noqa: S608 - a constant


async def progress(tx: Transaction) -> Progress:
    """Read how far it is; a database without the row begins now."""
    await tx.run(_BEGIN)
    sql = """
        SELECT missed_until, failures, next_try_at, clock_timestamp() AS read_at FROM catch_up
    """
    return made(Progress, (await tx.run(sql)).mappings().one())


async def text_lists(tx: Transaction) -> list[TextList]:
    """Give the lists of inbound texts that are wanted, the one furthest behind first.

    A new one begins where all others are.
    """
    await tx.run(_BEGIN)
    await tx.run(_ADD_LISTS)
    await tx.run(_DROP_LISTS)
    sql = """
        SELECT nullif(l.phone, '') AS phone, l.fetched_until, l.reading_until, l.page, l.failures,
            l.next_try_at, clock_timestamp() AS read_at
        FROM catch_up_lists l ORDER BY l.fetched_until, l.phone
    """
    return await tx.rows(TextList, sql)


async def missed(tx: Transaction) -> None:
    """Note that until now webhooks may have failed."""
    await tx.run(_BEGIN)
    await tx.run("UPDATE catch_up SET missed_until = clock_timestamp()")


async def read(
    tx: Transaction, one: TextList, until: datetime, page: str | None
) -> TextList | None:
    """Note that a page was read and where the list goes on; None: it was read to its end.

    Returns:
        The list as it stands now; None if somebody else read on meanwhile, as after a freeze.
    """
    changes: dict[str, Any] = {"page": page, "reading_until": until}
    if page is None:
        changes = {"page": None, "reading_until": None, "fetched_until": until}
    changes |= {"failures": 0, "next_try_at": None}
    read_on = await tx.count(
        update(BackfillList)
        .where(
            col(BackfillList.phone) == (one.phone or ""),
            col(BackfillList.fetched_until) == one.fetched_until,
            col(BackfillList.page).is_not_distinct_from(one.page),
        )
        .values(**changes)
    )
    return replace(one, **changes) if read_on else None


async def list_failed(tx: Transaction, one: TextList, wait: timedelta, *, afresh: bool) -> None:
    """Note that a list could not be had and when it may be asked for again.

    ``afresh``: it is read from its beginning again.
    """
    changes = {"page": None, "reading_until": None} if afresh else {}
    await tx.execute(
        update(BackfillList)
        .where(col(BackfillList.phone) == (one.phone or ""))
        .values(failures=one.failures + 1, next_try_at=func.now() + wait, **changes)
    )


async def all_read(tx: Transaction) -> None:
    """Note up to when every list was read."""
    sql = """
        UPDATE catch_up SET fetched_until =
            coalesce((SELECT min(fetched_until) FROM catch_up_lists), now())
    """
    await tx.run(sql)


async def failed(tx: Transaction, wait: timedelta) -> None:
    """Note that a question about states got no answer and when the next may be asked."""
    sql = "UPDATE catch_up SET failures = failures + 1, next_try_at = now() + :wait"
    await tx.run(sql, wait=wait)


async def known_texts(tx: Transaction, sids: Sequence[str]) -> set[str]:
    """Find which of these texts came already."""
    sql = "SELECT provider_sid FROM inbound_events WHERE provider_sid = ANY(:sids)"
    return set(await tx.column(sql, sids=sids))


@dataclass(frozen=True)
class Unfinished:
    """A text whose end was not reported.

    Attributes:
        sid: The provider's id of the attempt.
        status: The provider's last word on it, as far as we know.
        age: How long the provider has had it.
    """

    attempt_id: UUID
    sid: str
    status: MessageStatus
    age: timedelta


async def unfinished(tx: Transaction, ages: Sequence[timedelta], limit: int) -> list[Unfinished]:
    """Pick some texts that have reached the age of their next look-up.

    Of those that have waited longest some are picked at random, so that those which can never be
    looked up do not keep others out forever.
    There are six ``ages`` at which a text is looked up, ascending.
    """
    sql = """
        SELECT a.* FROM unnest(CAST(:ages AS interval[])) WITH ORDINALITY AS due(age, nth)
        CROSS JOIN LATERAL (
            SELECT id AS attempt_id, provider_sid AS sid, provider_status AS status,
                now() - answered_at AS age
            FROM attempts
            WHERE unfinished AND look_ups = due.nth - 1 AND provider_sid IS NOT NULL
            AND answered_at <= now() - due.age
            ORDER BY answered_at LIMIT :limit
        ) a
        ORDER BY random() LIMIT :limit
    """
    return await tx.rows(Unfinished, sql, ages=ages, limit=limit)


@dataclass(frozen=True)
class Absent:
    """An attempt proven not to be at the provider; its text would be younger than ``list_from``."""

    attempt_id: UUID
    phone: str
    list_from: datetime


async def absent(tx: Transaction, age: timedelta, limit: int) -> list[Absent]:
    """Pick some attempts declared absent this long ago that nobody has looked for since."""
    sql = f"""
        SELECT a.id AS attempt_id, m.phone, a.started_at - :skew AS list_from FROM attempts a
        JOIN messages m ON m.id = a.message_id
        WHERE {NOT_LOOKED_FOR_AGAIN} AND a.answered_at <= now() - :age
        ORDER BY random() LIMIT :limit
    """  # noqa: S608 - a constant
    return await tx.rows(Absent, sql, age=age, limit=limit, skew=LIST_SKEW)


async def stop_looking(tx: Transaction, age: timedelta, limit: int) -> int:
    """Look no more for how texts ended that the provider has had this long; return how many."""
    sql = """
        UPDATE attempts SET look_ups = 6 WHERE id IN (
            SELECT old.id FROM generate_series(0, 5) AS nth CROSS JOIN LATERAL (
                SELECT id FROM attempts
                WHERE unfinished AND look_ups = nth AND answered_at < now() - :age
                ORDER BY answered_at LIMIT :limit FOR UPDATE SKIP LOCKED
            ) old
            LIMIT :limit
        )
    """
    return await tx.count(sql, age=age, limit=limit)


async def looked_up(tx: Transaction, attempt_id: UUID, look_ups: int) -> None:
    """Note that the provider answered, and how many of its look-ups a text has behind it."""
    await tx.run("UPDATE catch_up SET failures = 0, next_try_at = NULL WHERE failures > 0")
    sql = "UPDATE attempts SET look_ups = :look_ups WHERE id = :id"
    await tx.run(sql, id=attempt_id, look_ups=look_ups)


async def forget_erased(tx: Transaction, kept: timedelta) -> None:
    """Forget the ids of erased texts that will not be fetched again."""
    sql = """
        DELETE FROM inbound_events WHERE phone = ''
        AND occurred_at < (SELECT fetched_until FROM catch_up) - CAST(:kept AS interval)
    """
    await tx.run(sql, kept=kept)
