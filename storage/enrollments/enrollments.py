"""The enrollment's row: every statement that writes it, each a named transition with its guard.

Only this module, ``pauses``, ``replies``, ``skips``, ``variables`` and ``waits`` write enrollments.
Their life::

    enroll        -> waiting, or final at once
    START         -> sending
    record_sent   -> waiting for the next step, or awaiting_reply after the last
    schedule, postpone, retry_step, resume, release, release_filled -> waiting
    pause, pause_for_replies, wait_for_sequence -> paused
    hold, hold_step, hold_restored        -> held
    end           -> a final status, which never changes

A transition also writes what follows from it everywhere: timeline, events, signals. Its guard is
in its statement, so one that comes too late changes nothing and writes nothing. Where a ``signal``
must be given, None means that the workflow's own activity is asking and needs none. Only
``record_text`` and ``recount_steps`` have no guard: they count texts, of final enrollments too.

Locks are taken in the order of ``storage.platform.locks``, of several enrollments by their ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.enrollments.next_event import NextEvent
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from storage.contacts import consents
from storage.enrollments import timeline, waits
from storage.enrollments.enrolling import NewRow, SequenceSnapshot, Start
from storage.enrollments.waiting_steps import RescheduledStep
from storage.event_webhooks import events
from storage.platform import outbox
from storage.platform.database import Transaction, as_json
from storage.platform.outbox import Signal
from storage.tables.sent import ANYTHING_DELIVERED, ANYTHING_SENT, LAST_SENT_AT, LAST_STEP_SENT

RECONCILED = "reconciled"
"""The timeline's entry about texts at the provider that restored rows did not know."""


async def _write(tx: Transaction, statement: str, **values: object) -> list[UUID]:
    """Run a transition's statement; return whom it changed, by id."""
    return sorted(await tx.column(statement, **values))


async def go_on(tx: Transaction, statement: str, **values: object) -> list[UUID]:
    """Do as ``_write``; those that were held (``held_for``) and are no longer are released.

    The statement joins the row as it was (``WAS``) and returns what held it (``RELEASED``).
    """
    rows = (await tx.run(statement, **values)).all()
    await events.enrollments_released(tx, {row.id: row.held_for for row in rows if row.held_for})
    return sorted(row.id for row in rows)


WAS = "FROM (SELECT id, held_reason AS held_for FROM enrollments WHERE id = :id) was"
RELEASED = "RETURNING e.id, CASE WHEN e.held_reason IS NULL THEN held_for END AS held_for"


async def _signal(tx: Transaction, enrollment_ids: Sequence[UUID], signal: str | None) -> None:
    if signal is not None:
        await outbox.add_signals(tx, enrollment_ids, signal)


async def reconsider(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Ask workflows to look at their rows again."""
    await _signal(tx, enrollment_ids, "reconsider")


# Beginning

_ENROLL = """
    INSERT INTO enrollments (
        id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at, status, activity,
        ended_at, position, step, step_count, due_at, next_send_at, variables
    )
    SELECT
        born.id, :sequence_id, :version_id, born.contact_id, :user_id, :enrolled_at, born.status,
        CASE WHEN born.status = 'active' THEN 'waiting' END,
        CASE WHEN born.status <> 'active' THEN CAST(:enrolled_at AS timestamptz) END,
        coalesce(first.position, 1), 0, :step_count, first.due_at, first.next_send_at,
        coalesce(CAST(:variables AS jsonb) -> CAST(born.contact_id AS text), '{}')
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:contact_ids AS uuid[]), CAST(:statuses AS text[]),
        CAST(:starts AS integer[])
    ) AS born(id, contact_id, status, start)
    JOIN contacts ON contacts.id = born.contact_id
    LEFT JOIN unnest(
        CAST(:positions AS integer[]), CAST(:due AS timestamptz[]), CAST(:next AS timestamptz[])
    ) WITH ORDINALITY AS first(position, due_at, next_send_at, number)
        ON first.number = born.start
    ORDER BY born.contact_id
    FOR KEY SHARE OF contacts
    ON CONFLICT (contact_id, sequence_id) WHERE status = 'active' DO NOTHING
    RETURNING id
"""


async def enroll(
    tx: Transaction,
    sequence_id: UUID,
    snapshot: SequenceSnapshot,
    rows: Sequence[NewRow],
    user_id: UUID,
) -> set[UUID]:
    """Write enrollments, except of contacts active in the sequence; return those written.

    Rows are written in the order of their contacts, so that two calls for the same people wait
    for each other instead of deadlocking. The workflows of active ones are started.
    """
    if not rows:
        return set()
    starts = list(dict.fromkeys(row.start for row in rows if row.start is not None))
    numbers: dict[Start | None, int] = {one: number for number, one in enumerate(starts, start=1)}
    ids = await tx.column(
        _ENROLL,
        sequence_id=sequence_id,
        version_id=snapshot.version_id,
        user_id=user_id,
        enrolled_at=snapshot.now,
        step_count=len(snapshot.steps),
        ids=[row.id for row in rows],
        contact_ids=[row.contact_id for row in rows],
        statuses=[row.status for row in rows],
        starts=[numbers.get(row.start) for row in rows],
        variables={str(row.contact_id): row.variables for row in rows if row.variables},
        positions=[start.position for start in starts],
        due=[start.due_at for start in starts],
        next=[start.next_send_at for start in starts],
    )
    written = set(ids)
    born = [row for row in rows if row.id in written]
    await events.enrollments_created(tx, [row.id for row in born])
    await events.enrollments_finished(tx, [row.id for row in born if row.status.is_final])
    await outbox.add_starts(tx, [row.id for row in born if not row.status.is_final])
    return written


# Sending

START = """
    UPDATE enrollments SET activity = 'sending', held_reason = NULL, held_code = NULL,
        probing = false, next_send_at = coalesce(next_send_at, now())
    WHERE id = :enrollment_id AND status = 'active'
"""
"""SQL: an active enrollment's text starts; part of the one statement that opens the attempt.

It changes no indexed column, so that PostgreSQL writes to no index (HOT).
"""

_RECORD_SENT = f"""
    UPDATE enrollments e SET step = greatest(step, :step), position = :position, due_at = :due_at,
        next_send_at = CASE WHEN paused_at IS NULL THEN CAST(:next_send_at AS timestamptz) END,
        reply_until = :reply_until, waits_for = :waits_for,
        activity = CASE
            WHEN CAST(:reply_until AS timestamptz) IS NOT NULL THEN 'awaiting_reply'
            WHEN paused_at IS NOT NULL THEN 'paused' ELSE 'waiting'
        END,
        held_reason = NULL, held_code = NULL, last_sent_at = :at,
        last_message_at = greatest(last_message_at, :at)
    {WAS}
    WHERE e.id = was.id AND status = 'active' AND position = :step AND pass = :pass_number
    {RELEASED}
"""  # noqa: S608 - built from constants


async def record_sent(
    tx: Transaction,
    enrollment_id: UUID,
    step: int,
    pass_number: int,
    following: NextEvent,
    *,
    at: datetime,
    signal: str | None,
) -> bool:
    """Move past a step whose text was accepted at ``at``; False if the enrollment is not at it.

    ``following`` is what it waits for next, unless a person has paused it.
    """
    moved = await go_on(
        tx,
        _RECORD_SENT,
        id=enrollment_id,
        step=step,
        pass_number=pass_number,
        at=at,
        position=following.position,
        due_at=following.due_at,
        next_send_at=following.next_send_at,
        reply_until=following.reply_until,
        waits_for=waits.codes(following.reasons),
    )
    if following.reasons and following.next_send_at is not None:
        await waits.note(tx, moved, following.next_send_at, following.reasons, at=at)
    await _signal(tx, moved, signal)
    return bool(moved)


_RECORD_TEXT = """
    UPDATE enrollments SET step = greatest(step, :step),
        last_message_at = greatest(last_message_at, :at)
    WHERE id = :id
"""


async def record_text(tx: Transaction, enrollment_id: UUID, step: int, *, at: datetime) -> None:
    """Note that a text went out, whatever the status; ``step`` is 0 for a one-off text."""
    await tx.run(_RECORD_TEXT, id=enrollment_id, step=step, at=at)


_RECOUNT_STEPS = f"UPDATE enrollments e SET step = {LAST_STEP_SENT} WHERE id = :id RETURNING step"  # noqa: S608


async def recount_steps(tx: Transaction, enrollment_id: UUID) -> int:
    """Count the last step sent again, after a text proved not to be *sent*; return that step."""
    return await tx.value(int, _RECOUNT_STEPS, id=enrollment_id) or 0


_STEP_BACK = f"""
    UPDATE enrollments e SET position = least(position, :step),
        activity = CASE WHEN CAST(:reason AS varchar) IS NULL THEN 'waiting' ELSE 'held' END,
        held_reason = CAST(:reason AS varchar), held_code = :code, next_send_at = :next_send_at,
        due_at = least(paused_at, :at), reply_until = NULL,
        waits_for = CASE WHEN CAST(:reason AS varchar) IS NULL THEN 'retry' ELSE '' END,
        last_sent_at = {LAST_SENT_AT}
    {WAS}
    WHERE e.id = was.id AND status = 'active'
    {RELEASED}
"""  # noqa: S608 - built from constants


async def retry_step(
    tx: Transaction,
    enrollment_id: UUID,
    step: int,
    next_send_at: datetime,
    *,
    at: datetime,
    signal: str | None,
) -> bool:
    """Go back to a step whose text must be sent again, at a moment; False if final."""
    asked = {"id": enrollment_id, "step": step, "next_send_at": next_send_at, "at": at}
    moved = await go_on(tx, _STEP_BACK, **asked, reason=None, code=None)
    await _signal(tx, moved, signal)
    return bool(moved)


async def hold_step(
    tx: Transaction,
    enrollment_id: UUID,
    step: int,
    reason: HeldReason,
    code: int | None,
    *,
    at: datetime,
    signal: str | None,
) -> bool:
    """Go back to a step whose text failed, or may have, and hold there; False if final.

    ``code`` is the provider's.
    """
    asked = {"id": enrollment_id, "step": step, "reason": reason, "code": code, "at": at}
    held = await go_on(tx, _STEP_BACK, **asked, next_send_at=None)
    if held:
        await timeline.note(tx, held, "blocked", at=at, because=reason.value, code=code)
        await events.enrollment_held(tx, enrollment_id)
        await _signal(tx, held, signal)
    return bool(held)


# Waiting

_WAIT = f"""
    UPDATE enrollments e SET activity = :activity, held_reason = NULL, held_code = NULL,
        next_send_at = :at, probing = :probing, waits_for = :waits_for
    {WAS}
    WHERE e.id = was.id AND status = 'active'
    {RELEASED}
"""  # noqa: S608 - built from constants


async def schedule(
    tx: Transaction, enrollment_id: UUID, at: datetime, *, probing: bool = False
) -> None:
    """Let an active enrollment wait for a moment; ``probing`` lets it try a sender on hold then."""
    asked = {"id": enrollment_id, "activity": "waiting", "at": at, "waits_for": ""}
    await go_on(tx, _WAIT, **asked, probing=probing)


async def await_reply(tx: Transaction, enrollment_id: UUID) -> None:
    """Let an active enrollment wait for the end of its reply window."""
    asked = {"id": enrollment_id, "activity": "awaiting_reply", "at": None, "waits_for": ""}
    await go_on(tx, _WAIT, **asked, probing=False)


_SET_REPLY_WINDOW = """
    WITH locked AS (
        SELECT e.id, e.last_sent_at + make_interval(secs => q.reply_window_seconds) AS until
        FROM enrollments e JOIN sequences q ON q.id = e.sequence_id
        WHERE e.id = ANY(:ids) AND e.activity = 'awaiting_reply'
        AND e.last_sent_at IS NOT NULL
        ORDER BY e.id FOR NO KEY UPDATE OF e
    )
    UPDATE enrollments e SET reply_until = locked.until FROM locked
    WHERE e.id = locked.id AND e.reply_until IS DISTINCT FROM locked.until
    RETURNING e.id
"""


async def set_reply_window(tx: Transaction, enrollment_ids: Sequence[UUID]) -> int:
    """Apply the sequence's reply window, from the last text on, to those that await a reply.

    Return how many changed.
    """
    changed = await _write(tx, _SET_REPLY_WINDOW, ids=enrollment_ids)
    await reconsider(tx, changed)
    return len(changed)


MOMENTS = "unnest(CAST(:ids AS uuid[]), CAST(:due AS timestamptz[]), CAST(:next AS timestamptz[]))"
"""SQL: the moments of steps as rows, ``(id, due, next_at)``."""

_RESCHEDULE = f"""
    UPDATE enrollments e SET due_at = m.due, next_send_at = m.next_at, waits_for = ''
    FROM {MOMENTS} AS m(id, due, next_at)
    WHERE e.id = m.id AND e.status = 'active' AND e.activity = 'waiting'
    RETURNING e.id
"""  # noqa: S608 - built from constants


def moments(steps: Sequence[RescheduledStep]) -> dict[str, Any]:
    """Give the values of ``MOMENTS``."""
    ids, due = [one.id for one in steps], [one.due_at for one in steps]
    return {"ids": ids, "due": due, "next": [one.next_send_at for one in steps]}


async def reschedule(tx: Transaction, steps: Sequence[RescheduledStep]) -> None:
    """Change when the next steps of locked enrollments that wait are due."""
    await reconsider(tx, await _write(tx, _RESCHEDULE, **moments(steps)))


# Blocked by a sequence, a sender or an open question

_BLOCK = """
    UPDATE enrollments e SET
        activity = CASE WHEN CAST(:reason AS varchar) IS NULL THEN 'paused' ELSE 'held' END,
        held_reason = CAST(:reason AS varchar),
        held_code = CASE WHEN e.held_reason = CAST(:reason AS varchar) THEN e.held_code END,
        missing_fields = :missing, next_send_at = NULL, probing = false
    FROM (
        SELECT id, activity, held_reason, missing_fields FROM enrollments
        WHERE id = :id AND status = 'active' FOR NO KEY UPDATE
    ) was
    WHERE e.id = was.id
    RETURNING
        (was.activity, was.held_reason, was.missing_fields)
            IS DISTINCT FROM (e.activity, e.held_reason, e.missing_fields) AS is_news,
        CASE WHEN e.held_reason IS NULL THEN was.held_reason END AS held_for
"""


async def _block(
    tx: Transaction, enrollment_id: UUID, reason: HeldReason | None, missing: Sequence[str] = ()
) -> bool | None:
    """Block an active enrollment; return whether that is news, None if the enrollment is final."""
    asked = {"id": enrollment_id, "reason": reason, "missing": as_json(missing)}
    row = (await tx.run(_BLOCK, **asked)).one_or_none()
    if row is None:
        return None
    if row.held_for is not None:
        await events.enrollments_released(tx, {enrollment_id: row.held_for})
    return bool(row.is_news)


async def wait_for_sequence(tx: Transaction, enrollment_id: UUID, *, at: datetime) -> None:
    """Let an active enrollment wait for its paused sequence, or for the person who paused it."""
    if await _block(tx, enrollment_id, None):
        await timeline.note(tx, [enrollment_id], "blocked", at=at, because="paused")


async def hold(
    tx: Transaction,
    enrollment_id: UUID,
    reason: HeldReason,
    *,
    at: datetime,
    missing: Sequence[str] = (),
) -> None:
    """Hold an active enrollment; one held for this reason before keeps the provider's code.

    ``missing`` are the names that its next text cannot go without.
    """
    if await _block(tx, enrollment_id, reason, missing):
        why: dict[str, Any] = {
            "because": reason.value,
            **({"missing": list(missing)} if missing else {}),
        }
        await timeline.note(tx, [enrollment_id], "blocked", at=at, **why)
        await events.enrollment_held(tx, enrollment_id)


async def hold_restored(
    tx: Transaction, enrollment_id: UUID, sids: Sequence[str], *, at: datetime
) -> None:
    """Hold a restored enrollment that may have sent these texts, until a person decides."""
    if await _block(tx, enrollment_id, HeldReason.OUTCOME_UNKNOWN) is not None:
        await timeline.note(tx, [enrollment_id], RECONCILED, at=at, sids=list(sids))
        await events.enrollment_held(tx, enrollment_id)


LACKS_CONSENT = consents.IS_MISSING.format(
    phone="(SELECT phone FROM contacts WHERE id = e.contact_id)",
    purpose="(SELECT purpose FROM sequences WHERE id = e.sequence_id)",
)
"""SQL: the consent that texts of an enrollment ``e`` take is not on record."""

CONSENTED = f"(e.held_reason = 'consent_missing' AND NOT {LACKS_CONSENT})"
"""SQL: the consent for whose lack an enrollment ``e`` is held is there, or not asked for."""

UNBLOCKED = f"""(
    (e.activity = 'paused' AND e.paused_at IS NULL AND q.state = 'active')
    OR (e.held_reason = 'sender_on_hold' AND n.held_at IS NULL)
    OR {CONSENTED}
)"""
"""SQL: what blocked an enrollment ``e`` is gone: its sequence runs, its sender is off hold, the
consent that it takes is there."""

GO_ON = """
    UPDATE enrollments e SET activity = 'waiting', held_reason = NULL, held_code = NULL,
        next_send_at = clock_timestamp(), probing = e.probing OR {probing}, waits_for = ''
"""
"""SQL: an enrollment ``e`` that is blocked, or held, goes on; a guard follows."""

_RELEASE = f"""
    {GO_ON.format(probing=":probing")} {WAS}
    WHERE e.id = was.id AND status = 'active'
    AND (activity = 'held' OR (activity = 'paused' AND paused_at IS NULL))
    {RELEASED}
"""

_RELEASE_NEXT = f"""
    WITH locked AS (
        SELECT e.id, e.held_reason AS held_for FROM enrollments e
        JOIN sequences q ON q.id = e.sequence_id JOIN senders n ON n.id = q.sender_id
        WHERE e.sequence_id = :sequence_id AND e.blocked AND {UNBLOCKED}
        AND e.id > coalesce(CAST(:after AS uuid), '{UUID(int=0)}')
        ORDER BY e.id LIMIT :limit FOR NO KEY UPDATE OF e
    )
    {GO_ON.format(probing="false")}
    FROM locked WHERE e.id = locked.id {RELEASED}
"""  # noqa: S608 - built from constants


async def release(tx: Transaction, enrollment_id: UUID, *, probing: bool = False) -> bool:
    """Let one go on that is held, or waits for its sequence; False if none, or a person paused it.

    ``probing`` lets it try a sender on hold.
    """
    released = await go_on(tx, _RELEASE, id=enrollment_id, probing=probing)
    await reconsider(tx, released)
    return bool(released)


async def release_next(
    tx: Transaction, sequence_id: UUID, *, after: str | None, limit: int
) -> list[UUID]:
    """Let the next of a sequence's enrollments go on that nothing blocks any more, by id.

    A page that is not full is the last one.
    """
    asked = {"sequence_id": sequence_id, "after": after, "limit": limit}
    released = await go_on(tx, _RELEASE_NEXT, **asked)
    await reconsider(tx, released)
    return released


# Ending

_END = f"""
    WITH locked AS (
        SELECT e.id, asked.status, asked.replied_at
        FROM enrollments e JOIN unnest(
            CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:replied AS timestamptz[])
        ) AS asked(id, status, replied_at) USING (id)
        WHERE e.status = 'active'
        ORDER BY e.id FOR NO KEY UPDATE OF e
    )
    UPDATE enrollments e SET status = CASE
            WHEN locked.status = 'opted_out' AND NOT {ANYTHING_SENT} THEN 'omitted_opted_out'
            WHEN locked.status = 'omitted_landline' AND {ANYTHING_DELIVERED} THEN 'failed'
            WHEN locked.status = 'finished_stopped' AND e.paused_at IS NOT NULL
                AND e.paused_reason = 'replied' THEN 'finished_responded'
            ELSE locked.status
        END,
        activity = NULL, held_reason = NULL, held_code = NULL, next_send_at = NULL,
        paused_at = NULL, paused_reason = NULL, probing = false, ended_at = clock_timestamp(),
        ended_by = :user_id, error_code = :error_code,
        replied_at = coalesce(e.replied_at, locked.replied_at)
    FROM locked WHERE e.id = locked.id
    RETURNING e.id, e.status
"""  # noqa: S608 - built from constants


@dataclass(frozen=True)
class Ending:
    """How an enrollment is to end.

    Attributes:
        enrollment_id: Which.
        status: A final status.
        signal: What to tell the workflow.
        replied_at: When the contact replied, if that ends it.
    """

    enrollment_id: UUID
    status: EnrollmentStatus
    signal: str | None
    replied_at: datetime | None = None


async def end(
    tx: Transaction,
    enrollment_ids: Sequence[UUID],
    status: EnrollmentStatus,
    *,
    signal: str | None,
    user_id: UUID | None = None,
    error_code: int | None = None,
) -> dict[UUID, EnrollmentStatus]:
    """Give active enrollments the same final status; see ``end_each``."""
    endings = [Ending(one, status, signal) for one in enrollment_ids]
    return await end_each(tx, endings, user_id=user_id, error_code=error_code)


async def end_each(
    tx: Transaction,
    endings: Sequence[Ending],
    *,
    user_id: UUID | None = None,
    error_code: int | None = None,
) -> dict[UUID, EnrollmentStatus]:
    """Give active enrollments their final status; return who ended, and how.

    ``opted_out`` becomes ``omitted_opted_out`` where nothing was *sent*, ``omitted_landline``
    becomes ``failed`` where something was *delivered*, and ``finished_stopped`` becomes
    ``finished_responded`` where the enrollment is paused for a reply. They end now by the
    database's clock, which dates the one-off texts that the end overtakes.

    Those that are final stay as they are; of two endings of one enrollment the first counts.
    """
    asked = {one.enrollment_id: one for one in reversed(endings)}
    rows = await tx.run(
        _END,
        ids=list(asked),
        statuses=[one.status for one in asked.values()],
        replied=[one.replied_at for one in asked.values()],
        user_id=user_id,
        error_code=error_code,
    )
    ended = {row.id: EnrollmentStatus(row.status) for row in rows}
    signals = [
        Signal(one, signal, ended[one])
        for one in sorted(ended)
        if (signal := asked[one].signal) is not None
    ]
    await outbox.add_each_signal(tx, signals)
    await events.enrollments_finished(tx, list(ended))
    return ended


async def status_of(tx: Transaction, enrollment_id: UUID) -> EnrollmentStatus | None:
    """Read an enrollment's status; None if there is no such enrollment."""
    sql = "SELECT status FROM enrollments WHERE id = :id"
    return await tx.value(EnrollmentStatus, sql, id=enrollment_id)


_ERASE = """
    WITH told AS (DELETE FROM enrollment_events WHERE enrollment_id = ANY(:ids))
    DELETE FROM enrollments WHERE id = ANY(:ids)
"""


async def erase(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Delete enrollments with their timelines; their texts are deleted already."""
    await tx.run(_ERASE, ids=enrollment_ids)
