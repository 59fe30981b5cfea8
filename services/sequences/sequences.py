"""Sequences: writing them, and moving them through their states."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypedDict
from uuid import UUID, uuid4

from domain.platform.errors import ConflictError, InvalidFieldError, Problems, required
from domain.platform.names import clean, clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from domain.sequences.pictures import OwnPictures
from domain.sequences.placeholders import unwritten
from domain.sequences.segments import measure
from domain.sequences.sending_hours import SendingHours, check_window
from domain.sequences.steps import StepDraft
from domain.sequences.texts import check_body, check_media
from domain.sequences.timing import DEFAULT_WINDOW, ContactClock, SendWindow, scheduled_due
from domain.statuses.sequences import (
    CountsAsReply,
    LatePolicy,
    Purpose,
    ReplyPolicy,
    SequenceKind,
    SequenceState,
)
from services.platform import audit
from services.sequences.pictures import own_pictures
from storage.platform import outbox, wakes, workspace
from storage.platform.database import Database, Transaction
from storage.sequences import drafts
from storage.sequences import sequences as rows
from storage.sequences.sequences import WINDOW_JSON, SequenceRecord, StepRecord

MAX_NAME = 200
MAX_STEPS = 100
MAX_DELAY = timedelta(days=365)
MAX_AHEAD = timedelta(days=5 * 365)
"""How far ahead a date may be; a later one is a typo."""
MAX_LATE_HOURS = 30 * 24
MAX_REPLY_WINDOW = timedelta(days=90)
DEFAULT_REPLY_WINDOW = timedelta(days=7)

_ONE_DAY_SECONDS = 86_400
AT_TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_AT_TIME = re.compile(AT_TIME_PATTERN)
_SEND_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)


@dataclass(frozen=True)
class SequenceDraft:
    """A sequence as a request writes it, not validated yet.

    Attributes:
        send_window: As ``SendWindow.parse`` reads it; None for any time.
        steps: In order.
    """

    name: str
    sender_id: UUID
    kind: SequenceKind
    steps: Many[StepDraft]
    on_reply: ReplyPolicy = ReplyPolicy.FINISH
    counts_as_reply: CountsAsReply = CountsAsReply.HUMAN
    purpose: Purpose = Purpose.INFORMATIONAL
    reply_window_seconds: int = int(DEFAULT_REPLY_WINDOW.total_seconds())
    send_window: WINDOW_JSON | None = field(default_factory=DEFAULT_WINDOW.dump)


class SequenceChange(TypedDict, total=False):
    """What to change of a sequence, as ``SequenceDraft``; the kind cannot change."""

    name: str
    sender_id: UUID
    kind: SequenceKind
    steps: Many[StepDraft]
    on_reply: ReplyPolicy
    counts_as_reply: CountsAsReply
    purpose: Purpose
    reply_window_seconds: int
    send_window: WINDOW_JSON | None


def _always(_sequence: SequenceRecord) -> None:
    """Change whatever it is."""


class Sequences:
    """Manages sequences.

    ``workspace_zone``, of a workspace that has set none, decides whether dates are past;
    ``public_base_url`` is where our pictures are.
    """

    def __init__(self, database: Database, *, workspace_zone: str, public_base_url: str) -> None:
        self._database = database
        self._zone = workspace_zone
        self._base_url = public_base_url

    async def create(self, draft: SequenceDraft, user_id: UUID) -> SequenceRecord:
        """Add a sequence, as a draft, with the first version of its steps.

        Raises:
            InvalidRequestError: All fields that are invalid.
        """
        problems = Problems()
        values: dict[str, Any] = {
            "id": uuid4(),
            "name": problems.of(lambda: _name(draft.name)),
            "sender_id": draft.sender_id,
            "kind": draft.kind,
            "on_reply": draft.on_reply,
            "counts_as_reply": draft.counts_as_reply,
            "purpose": draft.purpose,
            "reply_window_seconds": problems.of(lambda: _reply_window(draft.reply_window_seconds)),
            "send_window": problems.of(lambda: _window(draft.send_window)),
            "state": SequenceState.DRAFT,
            "created_by": user_id,
        }
        async with self._database.transaction() as tx:
            zone = await workspace.zone(tx, self._zone)
            ours = await self._pictures(tx, draft.steps)
            steps = _check_steps(
                draft.steps, draft.kind, problems, zone, ours, dates_taken=frozenset()
            )
            await _check_sender(tx, draft.sender_id, problems)
            await _check_law(tx, values, problems)
            problems.raise_any()
            await rows.insert_sequence(tx, values)
            await rows.add_version(tx, values["id"], steps, user_id)
            await outbox.add_paces(tx, [draft.sender_id])
            await audit.record(tx, "sequence.create", "sequence", [values["id"]], user_id=user_id)
            return await find(tx, values["id"])

    async def get(self, sequence_id: UUID, *, counted: bool = True) -> SequenceRecord:
        """Read a sequence with its current steps; counting many enrollments takes a while.

        Raises:
            NotFoundError: There is no such sequence.
        """
        async with self._database.transaction() as tx:
            return await find(tx, sequence_id, counted=counted)

    async def page(
        self,
        *,
        states: Many[SequenceState] = (),
        search: str = "",
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[SequenceRecord]:
        """List sequences, newest first, without their steps; ``search`` is part of the name.

        Raises:
            InvalidFieldError: The search cannot match anything.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            found = await rows.page(tx, states=states, search=sought, after=after, limit=limit + 1)
        return cut(found, limit, by_creation)

    async def change(
        self,
        sequence_id: UUID,
        change: SequenceChange,
        user_id: UUID,
        *,
        based_on: int | None = None,
        only_if: Callable[[SequenceRecord], None] = _always,
        activate: bool = False,
        from_draft: bool = False,
    ) -> SequenceRecord:
        """Change a sequence; different steps become its next version.

        Enrollments stay on their version; everything else applies to them at once. ``based_on`` is
        the version that the user saw; None overwrites any. ``only_if`` is called with the locked
        sequence, and raises to leave it unchanged. ``activate`` opens a draft as well, or changes
        nothing. ``from_draft`` drops what the user had not saved yet of its steps.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_archived``, ``version_outdated``; with ``activate`` those of
                that.
            InvalidRequestError: All fields that are invalid; ``unwritten_text`` of a text that is
                not written yet, unless the sequence stays a draft.
        """
        async with self._database.transaction() as tx:
            zone = await workspace.zone(tx, self._zone)
            await lock(tx, sequence_id)
            old = await find(tx, sequence_id)
            if old.state is SequenceState.ARCHIVED:
                raise ConflictError(
                    "sequence_archived", "the sequence is archived; create a new one instead"
                )
            only_if(old)
            if based_on is not None and based_on != old.version:
                raise ConflictError(
                    "version_outdated",
                    f"someone saved version {old.version} of the steps meanwhile; look at it"
                    " first, or save again to put yours in its place",
                    version=old.version,
                )
            problems = Problems()
            values = await _changed_values(tx, old, change, problems)
            steps = old.steps
            if "steps" in change:
                dates = frozenset(step.send_at for step in old.steps)
                ours = await self._pictures(tx, change["steps"])
                steps = _check_steps(
                    change["steps"], old.kind, problems, zone, ours, dates_taken=dates
                )
            if activate or ("steps" in change and old.state is not SequenceState.DRAFT):
                _check_written(steps, problems)
            problems.raise_any()
            if values:
                await rows.update_sequence(tx, sequence_id, values)
            if steps != old.steps:
                await rows.add_version(tx, sequence_id, steps, user_id)
                await rows.update_sequence(tx, sequence_id, {})
            await _tell(tx, old, values, steps_changed=steps != old.steps)
            changed = sorted({*values, *(["steps"] if steps != old.steps else [])})
            if changed:
                await audit.record(
                    tx,
                    "sequence.change",
                    "sequence",
                    [sequence_id],
                    user_id=user_id,
                    fields=" ".join(changed),
                )
            if from_draft:
                await drafts.forget(tx, sequence_id, user_id)
            if activate:
                await _open(tx, sequence_id, old.state)
            return await find(tx, sequence_id)

    async def _pictures(self, tx: Transaction, drafts: Many[StepDraft]) -> OwnPictures:
        urls = {url for draft in drafts for url in draft.media_urls}
        return await own_pictures(tx, urls, self._base_url)

    async def activate(self, sequence_id: UUID) -> SequenceRecord:
        """Open a draft for enrolling and sending; repeating it is harmless.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``invalid_transition``; ``step_unwritten``, with the ``step``, if a text
                is not written yet.
        """
        async with self._database.transaction() as tx:
            state = await lock(tx, sequence_id)
            if state is SequenceState.DRAFT:
                _require_written(await find(tx, sequence_id, counted=False))
            await _open(tx, sequence_id, state)
            return await find(tx, sequence_id)

    async def pause(self, sequence_id: UUID) -> SequenceRecord:
        """Stop sending; due times keep advancing.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``invalid_transition``.
        """
        async with self._database.transaction() as tx:
            state = await lock(tx, sequence_id)
            await _move(tx, sequence_id, "pause", state, SequenceState.ACTIVE, SequenceState.PAUSED)
            return await find(tx, sequence_id)

    async def resume(self, sequence_id: UUID) -> SequenceRecord:
        """Send again, overdue steps one at a time. Raises as ``pause``."""
        async with self._database.transaction() as tx:
            state = await lock(tx, sequence_id)
            moved = await _move(
                tx, sequence_id, "resume", state, SequenceState.PAUSED, SequenceState.ACTIVE
            )
            if moved:
                await wakes.add_changes(tx, sequence_id, ["state"])
            return await find(tx, sequence_id)


async def _open(tx: Transaction, sequence_id: UUID, state: SequenceState) -> None:
    await _move(tx, sequence_id, "activate", state, SequenceState.DRAFT, SequenceState.ACTIVE)


async def _move(
    tx: Transaction,
    sequence_id: UUID,
    verb: str,
    state: SequenceState,
    before: SequenceState,
    after: SequenceState,
) -> bool:
    """Move a locked sequence to another state; False if it is in that already.

    Raises:
        ConflictError: ``invalid_transition``.
    """
    if state is after:
        return False
    if state is not before:
        raise ConflictError(
            "invalid_transition",
            f"the sequence is {state.value}; only one that is {before.value}"
            f" can become {after.value} this way",
            state=state.value,
        )
    await rows.update_sequence(tx, sequence_id, {"state": after})
    await audit.record(tx, f"sequence.{verb}", "sequence", [sequence_id])
    return True


def _check_written(steps: Many[StepRecord], problems: Problems) -> None:
    for index, step in enumerate(steps):
        reason = unwritten(step.body, has_media=bool(step.media_urls))
        if reason is not None:
            problems.add(f"steps.{index}.body", reason, code="unwritten_text")


def _require_written(sequence: SequenceRecord) -> None:
    for step in sequence.steps:
        reason = unwritten(step.body, has_media=bool(step.media_urls))
        if reason is not None:
            raise ConflictError(
                "step_unwritten", f"the text of step {step.position} {reason}", step=step.position
            )


def _name(name: str) -> str:
    return clean(name, field="name", most=MAX_NAME)


def _reply_window(seconds: int) -> int:
    most = int(MAX_REPLY_WINDOW.total_seconds())
    if not 0 <= seconds <= most:
        raise InvalidFieldError(
            "reply_window_seconds",
            f"must be 0 to {most} (90 days); left out it is 604800 (7 days)",
            code="out_of_range",
        )
    return seconds


def _window(raw: WINDOW_JSON | None) -> WINDOW_JSON | None:
    return None if raw is None else SendWindow.parse(raw).dump()


def _check_steps(
    drafts: Many[StepDraft],
    kind: SequenceKind,
    problems: Problems,
    zone: str,
    ours: OwnPictures,
    *,
    dates_taken: frozenset[datetime | None],
) -> tuple[StepRecord, ...]:
    """Validate steps and their order; a date that was saved before may be past."""
    if not 1 <= len(drafts) <= MAX_STEPS:
        problems.add("steps", f"has {len(drafts)} steps; write 1 to {MAX_STEPS}", code="step_count")
        return ()
    steps = tuple(
        _check_step(draft, position, kind, problems, ours)
        for position, draft in enumerate(drafts, start=1)
    )
    latest: datetime | None = None
    for index, step in enumerate(steps):
        if step.send_at is None:
            continue
        field = f"steps.{index}.send_at"
        if step.send_at not in dates_taken:
            with problems.collect():
                _check_date(step.send_at, field, zone)
        if latest is not None and step.send_at <= latest:
            problems.add(
                field,
                f"is not later than the date before it, {latest.isoformat()}; put the steps"
                " in order, no two at the same time",
                code="dates_unordered",
            )
        latest = step.send_at if latest is None else max(latest, step.send_at)
    return steps


def _check_date(send_at: datetime, field: str, zone: str) -> None:
    now = datetime.now(UTC)
    due = scheduled_due(send_at, ContactClock((zone,), zone))
    if due <= now:
        raise InvalidFieldError(
            field, f"is in the past in {zone}; choose a later date", code="date_past"
        )
    if due > now + MAX_AHEAD:
        raise InvalidFieldError(
            field, "is more than five years ahead; choose an earlier date", code="date_too_far"
        )


def _check_step(
    draft: StepDraft, position: int, kind: SequenceKind, problems: Problems, ours: OwnPictures
) -> StepRecord:
    path = f"steps.{position - 1}"
    with problems.collect():
        check_body(draft.body, field=f"{path}.body", has_media=bool(draft.media_urls))
    with problems.collect():
        check_media(draft.media_urls, ours, field=f"{path}.media_urls")
    step = StepRecord(
        position, draft.body, draft.media_urls, None, None, None, measure(draft.body).count
    )
    match kind:
        case SequenceKind.ONGOING:
            if draft.send_at is not None:
                problems.add(
                    f"{path}.send_at",
                    "belongs to a scheduled sequence; give delay_seconds instead",
                    code="wrong_timing",
                )
            with problems.collect():
                step = replace(step, delay_seconds=_delay(draft.delay_seconds, path))
            with problems.collect():
                step = replace(step, at_time=_at_time(draft, path))
        case SequenceKind.SCHEDULED:
            for field in ("delay_seconds", "at_time"):
                if getattr(draft, field) is not None:
                    problems.add(
                        f"{path}.{field}",
                        "belongs to an ongoing sequence; give send_at instead",
                        code="wrong_timing",
                    )
            with problems.collect():
                step = replace(step, send_at=_send_at(draft.send_at, path))
    with problems.collect():
        late = _late(draft, path)
        hours = _late_hours(late, draft.late_hours, path)
        step = replace(step, late=late, late_hours=hours)
    return step  # noqa: RET504 - as the problems leave it


def _delay(seconds: int | None, path: str) -> int:
    most = int(MAX_DELAY.total_seconds())
    if seconds is None:
        raise InvalidFieldError(
            f"{path}.delay_seconds",
            "is missing; give the seconds after the previous text, 0 for right away",
            code="missing",
        )
    if not 0 <= seconds <= most:
        raise InvalidFieldError(
            f"{path}.delay_seconds", f"must be 0 to {most} (365 days)", code="out_of_range"
        )
    return seconds


def _at_time(draft: StepDraft, path: str) -> time | None:
    if draft.at_time is None:
        return None
    field = f"{path}.at_time"
    if not _AT_TIME.fullmatch(draft.at_time):
        raise InvalidFieldError(
            field, "is not a time of day; write HH:MM, like 09:30", code="bad_time"
        )
    if draft.delay_seconds is not None and draft.delay_seconds % _ONE_DAY_SECONDS:
        raise InvalidFieldError(
            field,
            f"needs a delay of whole days, a multiple of {_ONE_DAY_SECONDS} seconds; correct"
            " delay_seconds or leave at_time out",
            code="time_needs_whole_days",
        )
    return time.fromisoformat(draft.at_time)


def _send_at(text: str | None, path: str) -> datetime:
    field = f"{path}.send_at"
    if text is None:
        raise InvalidFieldError(
            field, "is missing; write a local date and time, like 2027-12-01T09:30", code="missing"
        )
    try:
        moment = datetime.fromisoformat(text) if _SEND_AT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or not 2000 <= moment.year <= 9000:
        raise InvalidFieldError(
            field,
            "is not a local date and time; write it like 2027-12-01T09:30, without a zone: it is on"
            " the contact's own clock",
            code="bad_date",
        )
    return moment


def _late(draft: StepDraft, path: str) -> LatePolicy:
    if draft.late not in set(LatePolicy):
        raise InvalidFieldError(
            f"{path}.late", f"must be {', '.join(LatePolicy)}", code="unknown_value"
        )
    return LatePolicy(draft.late)


def _late_hours(late: LatePolicy, hours: int | None, path: str) -> int | None:
    field, expires = f"{path}.late_hours", late is LatePolicy.EXPIRE
    if hours is None:
        if expires:
            raise InvalidFieldError(
                field, "is missing; say after how many hours the step expires", code="missing"
            )
        return None
    if not expires:
        raise InvalidFieldError(
            field, 'belongs to late "expire"; leave it out otherwise', code="wrong_timing"
        )
    if not 1 <= hours <= MAX_LATE_HOURS:
        raise InvalidFieldError(field, f"must be 1 to {MAX_LATE_HOURS}", code="out_of_range")
    return hours


async def _check_sender(tx: Transaction, sender_id: UUID, problems: Problems) -> None:
    if not await rows.has_sender(tx, sender_id):
        problems.add(
            "sender_id", "does not exist; use an id from GET /api/senders", code="unknown_sender"
        )


async def _changed_values(
    tx: Transaction, old: SequenceRecord, change: SequenceChange, problems: Problems
) -> dict[str, Any]:
    """Validate the columns of a change, and keep those that differ."""
    values: dict[str, Any] = {**change}
    values.pop("steps", None)
    if values.pop("kind", old.kind) is not old.kind:
        problems.add(
            "kind",
            f"cannot change from {old.kind.value}; create a new sequence for the other kind",
            code="kind_is_fixed",
        )
    if "name" in change:
        values["name"] = problems.of(lambda: _name(change["name"]))
    if "sender_id" in change:
        await _check_sender(tx, change["sender_id"], problems)
    if "reply_window_seconds" in change:
        seconds = change["reply_window_seconds"]
        values["reply_window_seconds"] = problems.of(lambda: _reply_window(seconds))
    if "send_window" in change:
        values["send_window"] = problems.of(lambda: _window(change["send_window"]))
    changed = {name: value for name, value in values.items() if value != getattr(old, name)}
    if {"send_window", "purpose"} & changed.keys():
        await _check_law(tx, {**vars(old), **changed}, problems)
    return changed


async def _check_law(tx: Transaction, values: Mapping[str, Any], problems: Problems) -> None:
    """Check that no rule pack of the workspace leaves a valid send window empty."""
    if values["send_window"] is not None:
        window, packs = (
            SendWindow.parse(values["send_window"]),
            (await workspace.read(tx)).rule_packs,
        )
        with problems.collect():
            check_window(SendingHours(window, values["purpose"], packs), datetime.now(UTC).date())


async def _tell(
    tx: Transaction, old: SequenceRecord, values: Mapping[str, Any], *, steps_changed: bool
) -> None:
    """Wake waiting enrollments for the change, and update the senders' pace."""
    await wakes.add_changes(tx, old.id, values)
    new_sender = values.get("sender_id")
    if new_sender is not None:
        await outbox.add_paces(tx, [new_sender])
    if new_sender is not None or steps_changed:
        await outbox.add_paces(tx, [old.sender_id])


async def lock(tx: Transaction, sequence_id: UUID) -> SequenceState:
    """Lock a sequence against changes, enrolling and sending, and give its state.

    Raises:
        NotFoundError: There is no such sequence.
    """
    return required(await rows.lock_for_change(tx, sequence_id), "sequence", sequence_id)


async def find(tx: Transaction, sequence_id: UUID, *, counted: bool = True) -> SequenceRecord:
    """Read a sequence.

    Raises:
        NotFoundError: There is no such sequence.
    """
    return required(await rows.find(tx, sequence_id, counted=counted), "sequence", sequence_id)
