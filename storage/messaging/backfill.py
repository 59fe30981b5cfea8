"""How far what the provider has was fetched, and which texts it should be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Interval, Text
from sqlmodel import col

from domain.messaging.absence import LIST_SKEW
from domain.statuses.messaging import MessageStatus
from storage.platform.database import Transaction
from storage.tables.messaging import NOT_LOOKED_FOR_AGAIN, BackfillList, BackfillProgress


@dataclass(frozen=True)
class Progress:
    """How far asking the provider is as a whole.

    Attributes:
        missed_until: Until then webhooks may have failed.
        failures: Questions about states in a row that got no answer.
        next_try_at: No state is asked for before.
        read_at: Now, by the database's clock; a worker's own may be wrong.
    """

    missed_until: datetime | None
    failures: int
    next_try_at: datetime | None
    read_at: datetime

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider is to be left alone."""
        return self.next_try_at is not None and self.next_try_at > self.read_at


@dataclass(frozen=True)
class TextList:
    """How far one list of inbound texts was read.

    Attributes:
        phone: The number of ours that it is of; None for the whole account's.
        fetched_until: Everything sent until then was looked for.
        reading_until: Where the list ends that is being read.
        page: Where in it the next page is.
        failures: Questions in a row that got no answer.
        next_try_at: It is not asked for before.
        read_at: Now, by the database's clock.
    """

    phone: str | None
    fetched_until: datetime
    reading_until: datetime | None
    page: str | None
    failures: int
    next_try_at: datetime | None
    read_at: datetime

    @property
    def is_backing_off(self) -> bool:
        """Whether it is to be left alone."""
        return self.next_try_at is not None and self.next_try_at > self.read_at


_BEGIN = text("INSERT INTO catch_up (id) VALUES (1) ON CONFLICT DO NOTHING")

_WANTED = "SELECT coalesce(phone, '') FROM senders"
"""SQL: a list for each number of ours, and the whole account's if there is a Messaging Service:
the provider alone knows all numbers of its pool."""

_ADD_LISTS = text(
    f"""
    INSERT INTO catch_up_lists (phone, fetched_until)
    SELECT DISTINCT wanted.phone, c.fetched_until FROM ({_WANTED}) AS wanted(phone), catch_up c
    ON CONFLICT DO NOTHING
    """  # noqa: S608 - a constant
)


_DROP_LISTS = text(
    f"DELETE FROM catch_up_lists WHERE phone NOT IN ({_WANTED})"  # noqa: S608 - a constant
)


async def progress(tx: Transaction) -> Progress:
    """Read how far it is; a database without the row begins now."""
    await tx.execute(_BEGIN)
    row = (
        await tx.execute(select(BackfillProgress, func.clock_timestamp().label("read_at")))
    ).one()
    return Progress(
        row.BackfillProgress.missed_until,
        row.BackfillProgress.failures,
        row.BackfillProgress.next_try_at,
        row.read_at,
    )


async def text_lists(tx: Transaction) -> list[TextList]:
    """Give the lists of inbound texts that are wanted, the one furthest behind first.

    A new one begins where all others are.
    """
    await tx.execute(_BEGIN)
    await tx.execute(_ADD_LISTS)
    await tx.execute(_DROP_LISTS)
    rows = await tx.execute(
        select(BackfillList, func.clock_timestamp().label("read_at")).order_by(
            col(BackfillList.fetched_until), col(BackfillList.phone)
        )
    )
    return [
        TextList(
            **{**row.BackfillList.model_dump(), "phone": row.BackfillList.phone or None},
            read_at=row.read_at,
        )
        for row in rows
    ]


async def missed(tx: Transaction) -> None:
    """Note that until now webhooks may have failed."""
    await tx.execute(_BEGIN)
    await tx.execute(text("UPDATE catch_up SET missed_until = clock_timestamp()"))


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
    row = await tx.execute(
        update(BackfillList)
        .where(
            col(BackfillList.phone) == (one.phone or ""),
            col(BackfillList.fetched_until) == one.fetched_until,
            col(BackfillList.page).is_not_distinct_from(one.page),
        )
        .values(failures=0, next_try_at=None, **changes)
        .returning(col(BackfillList.phone))
    )
    if row.first() is None:
        return None
    return replace(one, failures=0, next_try_at=None, **changes)


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
    await tx.execute(
        text(
            """
            UPDATE catch_up SET fetched_until =
                coalesce((SELECT min(fetched_until) FROM catch_up_lists), now())
            """
        )
    )


async def failed(tx: Transaction, wait: timedelta) -> None:
    """Note that a question about states got no answer and when the next may be asked."""
    await tx.execute(
        update(BackfillProgress).values(
            failures=col(BackfillProgress.failures) + 1, next_try_at=func.now() + wait
        )
    )


async def known_texts(tx: Transaction, sids: Sequence[str]) -> set[str]:
    """Which of these texts came already."""
    rows = await tx.execute(
        text("SELECT provider_sid FROM inbound_events WHERE provider_sid = ANY(:sids)").bindparams(
            bindparam("sids", type_=ARRAY(Text()))
        ),
        {"sids": list(sids)},
    )
    return set(rows.scalars())


@dataclass(frozen=True)
class Unfinished:
    """A text whose end was not reported.

    Attributes:
        attempt_id: The attempt.
        sid: The provider's id of it.
        status: The provider's last word on it, as far as we know.
        age: How long the provider has had it.
    """

    attempt_id: UUID
    sid: str
    status: MessageStatus
    age: timedelta


async def unfinished(tx: Transaction, ages: Sequence[timedelta], limit: int) -> list[Unfinished]:
    """Some texts that have reached the age of their next look-up.

    Of those that have waited longest some are picked at random, so that those which can never be
    looked up stand before no others for ever.

    Args:
        tx: The transaction.
        ages: At which it is looked up, ascending; six.
        limit: The most that are wanted.
    """
    rows = await tx.execute(
        text(
            """
            SELECT a.* FROM unnest(:ages) WITH ORDINALITY AS due(age, nth) CROSS JOIN LATERAL (
                SELECT id, provider_sid, provider_status, now() - answered_at AS age FROM attempts
                WHERE unfinished AND look_ups = due.nth - 1 AND provider_sid IS NOT NULL
                AND answered_at <= now() - due.age
                ORDER BY answered_at LIMIT :limit
            ) a
            ORDER BY random() LIMIT :limit
            """
        ).bindparams(bindparam("ages", type_=ARRAY(Interval()))),
        {"ages": list(ages), "limit": limit},
    )
    return [
        Unfinished(row.id, row.provider_sid, MessageStatus(row.provider_status), row.age)
        for row in rows
    ]


@dataclass(frozen=True)
class Absent:
    """An attempt that was proven not to be at the provider.

    Attributes:
        attempt_id: The attempt.
        phone: Its recipient.
        list_from: Its text would be younger.
    """

    attempt_id: UUID
    phone: str
    list_from: datetime


async def absent(tx: Transaction, age: timedelta, limit: int) -> list[Absent]:
    """Some attempts declared absent this long ago that nobody has looked for since, by chance."""
    rows = await tx.execute(
        text(
            f"""
            SELECT a.id, m.phone, a.started_at FROM attempts a
            JOIN messages m ON m.id = a.message_id
            WHERE {NOT_LOOKED_FOR_AGAIN} AND a.answered_at <= now() - :age
            ORDER BY random() LIMIT :limit
            """  # noqa: S608 - a constant
        ),
        {"age": age, "limit": limit},
    )
    return [Absent(row.id, row.phone, row.started_at - LIST_SKEW) for row in rows]


async def stop_looking(tx: Transaction, age: timedelta, limit: int) -> int:
    """Look no more for how texts ended that the provider has had this long; answers how many."""
    rows = await tx.execute(
        text(
            """
            UPDATE attempts SET look_ups = 6 WHERE id IN (
                SELECT old.id FROM generate_series(0, 5) AS nth CROSS JOIN LATERAL (
                    SELECT id FROM attempts
                    WHERE unfinished AND look_ups = nth AND answered_at < now() - :age
                    ORDER BY answered_at LIMIT :limit FOR UPDATE SKIP LOCKED
                ) old
                LIMIT :limit
            )
            RETURNING id
            """
        ).bindparams(bindparam("age", type_=Interval())),
        {"age": age, "limit": limit},
    )
    return len(rows.all())


async def looked_up(tx: Transaction, attempt_id: UUID, look_ups: int) -> None:
    """Note that the provider answered, and how many of its look-ups a text has behind it."""
    await tx.execute(
        text("UPDATE catch_up SET failures = 0, next_try_at = NULL WHERE failures > 0")
    )
    await tx.execute(
        text("UPDATE attempts SET look_ups = :look_ups WHERE id = :id"),
        {"id": attempt_id, "look_ups": look_ups},
    )


async def forget_erased(tx: Transaction, kept: timedelta) -> None:
    """Forget the ids of erased texts that will not be fetched again."""
    await tx.execute(
        text(
            """
            DELETE FROM inbound_events WHERE phone = ''
            AND occurred_at < (SELECT fetched_until FROM catch_up) - CAST(:kept AS interval)
            """
        ),
        {"kept": kept},
    )
