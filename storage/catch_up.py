"""How far what the provider has was fetched, and which texts it should be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Interval, Text
from sqlmodel import col

from domain.absence import LIST_SKEW
from domain.statuses import MessageStatus
from storage.catch_up_tables import CatchUp
from storage.database import Transaction


@dataclass(frozen=True)
class Progress:
    """How far inbound texts were fetched.

    Attributes:
        fetched_until: Everything sent until then was looked for.
        missed_until: Until then webhooks may have failed.
        reading_until: Where the list ends that is being read.
        page: Where in it the next page is.
        failures: Questions in a row that got no answer.
        next_try_at: None is asked before.
        read_at: Now, by the database's clock; a worker's own may be wrong.
    """

    fetched_until: datetime
    missed_until: datetime | None
    reading_until: datetime | None
    page: str | None
    failures: int
    next_try_at: datetime | None
    read_at: datetime

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider is to be left alone."""
        return self.next_try_at is not None and self.next_try_at > self.read_at


_BEGIN = text("INSERT INTO catch_up (id) VALUES (1) ON CONFLICT DO NOTHING")


async def progress(tx: Transaction) -> Progress:
    """Read how far it is; a database without the row begins now."""
    await tx.execute(_BEGIN)
    row = (await tx.execute(select(CatchUp, func.clock_timestamp().label("read_at")))).one()
    known = row.CatchUp.model_dump(exclude={"id"})
    return Progress(**known, read_at=row.read_at)


async def missed(tx: Transaction) -> None:
    """Note that until now webhooks may have failed."""
    await tx.execute(_BEGIN)
    await tx.execute(text("UPDATE catch_up SET missed_until = clock_timestamp()"))


async def read(tx: Transaction, until: datetime, page: str | None) -> None:
    """Note that a page was read and where the list goes on; None: it was read to its end."""
    changes = {"page": page, "reading_until": until}
    if page is None:
        changes = {"page": None, "reading_until": None, "fetched_until": until}
    await tx.execute(update(CatchUp).values(failures=0, next_try_at=None, **changes))


async def failed(tx: Transaction, wait: timedelta, *, afresh: bool) -> None:
    """Note that a question got no answer and when the next may be asked.

    ``afresh``: the list is read from its beginning again.
    """
    changes = {"page": None, "reading_until": None} if afresh else {}
    await tx.execute(
        update(CatchUp).values(
            failures=col(CatchUp.failures) + 1, next_try_at=func.now() + wait, **changes
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


UNFINISHED = """
    outcome = 'accepted' AND NOT reported_failed AND look_ups < 6
    AND provider_status NOT IN ('canceled', 'failed', 'undelivered', 'delivered', 'read')
"""
"""SQL: the provider has the text and has not said how it ended (``ix_attempts_unfinished``)."""


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

    Picked at random, so that those which can never be looked up stand before no others for ever.

    Args:
        tx: The transaction.
        ages: At which it is looked up, ascending; six.
        limit: The most that are wanted.
    """
    rows = await tx.execute(
        text(
            f"""
            SELECT id, provider_sid, provider_status, now() - answered_at AS age FROM attempts
            WHERE {UNFINISHED} AND provider_sid IS NOT NULL
            AND answered_at <= now() - (CAST(:ages AS interval[]))[1]
            AND answered_at <= now() - (CAST(:ages AS interval[]))[look_ups + 1]
            ORDER BY random() LIMIT :limit
            """  # noqa: S608 - a constant
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
            """
            SELECT a.id, m.phone, a.started_at FROM attempts a
            JOIN messages m ON m.id = a.message_id
            WHERE a.outcome = 'absent' AND a.absent_once_at IS NOT NULL AND a.look_ups = 0
            AND a.answered_at <= now() - :age
            ORDER BY random() LIMIT :limit
            """
        ),
        {"age": age, "limit": limit},
    )
    return [Absent(row.id, row.phone, row.started_at - LIST_SKEW) for row in rows]


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
