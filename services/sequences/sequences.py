"""Sequences: writing them, and moving them through their states."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID, uuid4

from domain.platform.errors import ConflictError, InvalidFieldError, Problems, required
from domain.platform.names import clean, clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from domain.sequences.pictures import OwnPictures
from domain.sequences.placeholders import unwritten
from domain.sequences.sending_hours import SendingHours, check_window
from domain.sequences.steps import StepDraft
from domain.sequences.timing import DEFAULT_WINDOW, SendWindow
from domain.statuses.sequences import (
    CountsAsReply,
    Purpose,
    ReplyPolicy,
    SequenceKind,
    SequenceState,
)
from services.platform import audit
from services.sequences.pictures import own_pictures
from services.sequences.step_checks import check_steps
from storage.platform import outbox, wakes, workspace
from storage.platform.database import Database, Transaction
from storage.sequences import drafts
from storage.sequences import sequences as rows
from storage.sequences.sequences import WINDOW_JSON, SequenceRecord, StepRecord

MAX_NAME = 200
MAX_REPLY_WINDOW = timedelta(days=90)
DEFAULT_REPLY_WINDOW = timedelta(days=7)


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
            steps = check_steps(
                draft.steps,
                draft.kind,
                problems,
                zone,
                ours,
                await rows.date_fields(tx),
                dates_taken=frozenset(),
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
                keys = await rows.date_fields(tx)
                steps = check_steps(
                    change["steps"], old.kind, problems, zone, ours, keys, dates_taken=dates
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
