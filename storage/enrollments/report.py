"""The figures of reports: what came of the enrollments of some days, all of it in two statements.

Each number is that of a list: see ``ListFilter``.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from domain.enrollments.day_range import DayRange, TrendUnit
from storage.enrollments.step_outcomes import (
    DUE,
    FAILED,
    FAILED_WITH,
    FIRST_ANSWER,
    HOUR_OF_WEEK,
    OPTED_OUT,
    REPLIED,
    SKIPPED,
)
from storage.platform.database import Transaction
from storage.tables.sent import DELIVERED, SENT

# The chosen rows take the table's name, so that the conditions on enrollments hold of them.
_CHOSEN = """enrollments AS MATERIALIZED (
    SELECT id, contact_id, sequence_id, enrolled_by, enrolled_at, status, position, step,
        step_count, replied_at, replied_late_at, skipped
    FROM enrollments
    WHERE sequence_id = ANY(:ids)
    AND enrolled_at >= coalesce(CAST(:start AS timestamptz), '-infinity')
    AND enrolled_at < coalesce(CAST(:until AS timestamptz), 'infinity')
)"""

_COUNTS = """
    count(*) AS people, count(*) FILTER (WHERE due) AS due,
    count(*) FILTER (WHERE sent) AS sent, count(*) FILTER (WHERE delivered) AS delivered,
    count(*) FILTER (WHERE failed) AS failed, count(*) FILTER (WHERE replied) AS replied,
    count(*) FILTER (WHERE opted_out) AS opted_out,
    count(*) FILTER (WHERE skipped) AS skipped, count(*) FILTER (WHERE late) AS replied_late,
    count(*) FILTER (WHERE omitted) AS omitted_opted_out
"""

_TALLIES = f"""
    WITH {_CHOSEN}, texts AS MATERIALIZED (
        SELECT enrollments.id, m.step, m.sender_id, {FAILED_WITH} AS code,
            bool_or({SENT}) AS sent, bool_or({DELIVERED}) AS delivered, bool_or({FAILED}) AS failed
        FROM enrollments JOIN messages m ON m.enrollment_id = enrollments.id
        JOIN attempts a ON a.message_id = m.id
        WHERE m.step IS NOT NULL
        GROUP BY enrollments.id, m.id
    ), people AS MATERIALIZED (
        SELECT id, sequence_id, enrolled_by,
            CAST(date_trunc(:unit, enrolled_at AT TIME ZONE :zone) AS date) AS part,
            {DUE} AS due, sent, delivered, failed, {REPLIED} AS replied,
            {OPTED_OUT} AS opted_out, {SKIPPED} AS skipped,
            replied_late_at IS NOT NULL AS late, status = 'omitted_opted_out' AS omitted
        FROM enrollments LEFT JOIN (
            SELECT id, bool_or(sent) AS sent, bool_or(delivered) AS delivered,
                bool_or(failed) AS failed
            FROM texts GROUP BY id
        ) told USING (id)
    )
    SELECT CASE grouping(sequence_id, enrolled_by, part)
            WHEN 3 THEN 'sequence' WHEN 5 THEN 'user' WHEN 6 THEN 'part' ELSE 'all'
        END AS kind,
        coalesce(sequence_id, enrolled_by) AS id, part, CAST(NULL AS integer) AS step,
        CAST(NULL AS integer) AS code, {_COUNTS}
    FROM people GROUP BY GROUPING SETS ((), (sequence_id), (enrolled_by), (part))
    UNION ALL
    SELECT 'sender', sender_id, NULL, NULL, NULL, {_COUNTS}
    FROM people JOIN (
        SELECT DISTINCT id, sender_id FROM texts WHERE sender_id IS NOT NULL
    ) tried USING (id)
    GROUP BY sender_id
    UNION ALL
    SELECT 'step', NULL, NULL, step, NULL, count(*), 0, count(*) FILTER (WHERE sent),
        count(*) FILTER (WHERE delivered), count(*) FILTER (WHERE failed), 0, 0, 0, 0, 0
    FROM texts GROUP BY step
    UNION ALL
    SELECT 'failure', NULL, NULL, step, code, 0, 0, 0, 0, count(*), 0, 0, 0, 0, 0
    FROM texts WHERE failed GROUP BY step, code
    UNION ALL
    SELECT 'step', NULL, NULL, position, NULL, 0, count(*), 0, 0, 0, 0, 0, 0, 0, 0
    FROM enrollments WHERE {DUE} GROUP BY position
    UNION ALL
    SELECT 'step', NULL, NULL, step, NULL, 0, 0, 0, 0, 0, 0, count(*), 0, 0, 0
    FROM enrollments WHERE {OPTED_OUT} GROUP BY step
    UNION ALL
    SELECT 'step', NULL, NULL, CAST(one.step AS integer), NULL, 0, 0, 0, 0, 0, 0, 0, count(*), 0, 0
    FROM enrollments, jsonb_array_elements(skipped) AS one(step)
    WHERE {SKIPPED} GROUP BY one.step
"""  # noqa: S608 - built from constants


class TallyRow(NamedTuple):
    """Numbers of enrollments.

    Of ``kind`` ``all``; ``sequence``, ``user``, ``sender`` with an id; ``part`` with the first day
    of a part of the trend; ``step``, in up to four rows that add up; ``failure`` of a step's text
    with a code, 0 for none.
    """

    kind: str
    id: UUID | None
    part: date | None
    step: int | None
    code: int | None
    people: int
    due: int
    sent: int
    delivered: int
    failed: int
    replied: int
    opted_out: int
    skipped: int
    replied_late: int
    omitted_opted_out: int


async def tallies(
    tx: Transaction, sequence_ids: Many[UUID], days: DayRange, unit: TrendUnit
) -> list[TallyRow]:
    """Count the enrollments of sequences that were made in some days, by what came of them."""
    rows = await tx.run(
        _TALLIES,
        ids=sequence_ids,
        start=days.start,
        until=days.until,
        zone=days.zone.key,
        unit=unit.value,
    )
    return [TallyRow(*row) for row in rows]


_REPLIES = f"""
    WITH {_CHOSEN}, replies AS MATERIALIZED (
        SELECT enrollments.sequence_id, coalesce(last.step, 0) AS step,
            {HOUR_OF_WEEK.format(zone=":zone")} AS hour,
            CAST(extract(epoch FROM replied_at - last.at) AS double precision) AS took,
            answer.user_id AS answered_by,
            CAST(extract(epoch FROM answer.at - replied_at) AS double precision) AS answer_took
        FROM enrollments LEFT JOIN LATERAL (
            SELECT m.step, a.started_at AS at
            FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.enrollment_id = enrollments.id AND m.step IS NOT NULL
            AND {SENT} AND a.started_at <= enrollments.replied_at
            ORDER BY m.step DESC, a.started_at DESC LIMIT 1
        ) last ON true LEFT JOIN LATERAL ({FIRST_ANSWER}) answer ON true
        WHERE {REPLIED}
    )
    SELECT CASE grouping(sequence_id, step, hour, answered_by)
            WHEN 7 THEN 'sequence' WHEN 11 THEN 'step' WHEN 13 THEN 'hour' WHEN 14 THEN 'answer'
            ELSE 'all'
        END AS kind,
        coalesce(sequence_id, answered_by) AS id, step, hour, count(*) AS replied,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY took) AS took,
        count(answered_by) AS answered,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY answer_took) AS answer_took
    FROM replies GROUP BY GROUPING SETS ((), (sequence_id), (step), (hour), (answered_by))
"""  # noqa: S608 - built from constants


@dataclass(frozen=True)
class ReplyRow:
    """Numbers of enrollments whose contact replied.

    Of ``kind`` ``all``; ``sequence`` with an id; ``step``, the last one sent before (0: one-off
    texts alone); ``hour`` of the week, 0 on Monday at midnight; ``answer`` with the id of the user
    who first answered, None where nobody did.

    Attributes:
        took: Seconds since that step's text: the median, and what nine of ten stay below; None if
            no step was sent before.
        answered: How many of these replies a person answered.
        answer_took: Seconds from the reply to the answer, as ``took``.
    """

    kind: str
    id: UUID | None
    step: int | None
    hour: int | None
    replied: int
    took: tuple[float | None, ...] | None
    answered: int
    answer_took: tuple[float | None, ...] | None


async def replies(tx: Transaction, sequence_ids: Many[UUID], days: DayRange) -> list[ReplyRow]:
    """Count first replies of the enrollments that ``tallies`` counts."""
    asked = {"start": days.start, "until": days.until, "zone": days.zone.key}
    return await tx.rows(ReplyRow, _REPLIES, ids=sequence_ids, **asked)


_FIRST_ENROLLED = """
    SELECT min(one.at) FROM unnest(CAST(:ids AS uuid[])) AS asked(id), LATERAL (
        SELECT enrolled_at AS at FROM enrollments WHERE sequence_id = asked.id
        ORDER BY enrolled_at LIMIT 1
    ) one
"""


async def first_enrolled(tx: Transaction, sequence_ids: Many[UUID]) -> datetime | None:
    """Read when anyone was first enrolled in any of these sequences; None if nobody was."""
    return await tx.value(datetime, _FIRST_ENROLLED, ids=sequence_ids)


_NAMES = """
    SELECT id, name FROM users WHERE id = ANY(:ids)
    UNION ALL SELECT id, name FROM senders WHERE id = ANY(:ids)
    UNION ALL SELECT id, name FROM sequences WHERE id = ANY(:ids)
"""


async def names(tx: Transaction, ids: Many[UUID]) -> dict[UUID, str]:
    """Read the names of users, senders and sequences."""
    return {row.id: row.name for row in await tx.run(_NAMES, ids=ids)}


async def all_sequences(tx: Transaction) -> list[UUID]:
    """List the ids of all sequences."""
    return await tx.column("SELECT id FROM sequences")
