"""Before a sequence is activated: a summary of who would be texted what, from where and when."""

from collections.abc import Sequence as Many
from datetime import time, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep
from api.pages.sequences.frame import consents_taken
from api.pages.sequences.steps import SeenStep, seen_steps, unsaved
from api.pages.sequences.written import StepFields, WrittenStep, is_same
from api.pages.times import Clock
from domain.platform.durations import in_units
from domain.sequences.placeholders import unwritten
from domain.sequences.timing import DAYS, SendWindow
from domain.statuses.sequences import SequenceKind
from storage.sequences.sequences import WINDOW_JSON, SequenceRecord

router = APIRouter()

_MIDNIGHT = "24:00"


@router.get("/sequences/{sequence_id}/activate")
async def ask_activation(page: PageDep, sequence_id: UUID) -> Response:
    """Show the dialog that asks before a sequence is activated as it is saved."""
    sequence = await page.services.sequences.get(sequence_id)
    steps = [WrittenStep.of(step) for step in sequence.steps]
    draft = await unsaved(page, sequence)
    return await _ask(page, sequence, steps, leaves_out=draft is not None)


@router.post("/sequences/{sequence_id}/steps/activation")
async def ask_activation_of_edits(
    page: PageDep, sequence_id: UUID, form: InForm[StepFields]
) -> Response:
    """Show the dialog that asks before steps are saved and the sequence is activated."""
    sequence = await page.services.sequences.get(sequence_id)
    return await _ask(page, sequence, form.steps(), in_editor=True)


async def _ask(
    page: Page,
    sequence: SequenceRecord,
    steps: Many[WrittenStep],
    *,
    in_editor: bool = False,
    leaves_out: bool = False,
) -> Response:
    seen = await seen_steps(page, sequence, steps)
    window = SendWindow.parse(sequence.send_window) if sequence.send_window else None
    first = None
    if steps:
        first = steps[0].first_text(sequence.kind, window, page.clock.zone, page.now)
    return page.part(
        "sequences/_activate.html",
        sequence=sequence,
        in_editor=in_editor,
        leaves_out=leaves_out,
        is_saved=is_same(steps, sequence.steps, sequence.kind),
        seen=seen,
        lacking=_lacking(steps, seen),
        length=_length(sequence.kind, steps),
        window=window_words(sequence.send_window, page.clock),
        first=first,
        consents=await consents_taken(page),
    )


class Lacking(NamedTuple):
    """A step whose text keeps the sequence from being activated; the reason follows "the text"."""

    number: int
    key: str
    reason: str


def _lacking(steps: Many[WrittenStep], seen: Many[SeenStep]) -> list[Lacking]:
    """List all steps that keep the sequence from being activated."""
    found = []
    for number, (step, shown) in enumerate(zip(steps, seen, strict=True), start=1):
        reason = unwritten(step.body, has_media=bool(step.media_urls)) or shown.wrong
        if reason:
            found.append(Lacking(number, step.key, reason))
    return found


def _length(kind: SequenceKind, steps: Many[WrittenStep]) -> str:
    """Say how long after the first text the last one goes; empty where that is not known."""
    if kind is SequenceKind.SCHEDULED:
        return ""
    if any(step.anchor for step in steps):
        return ""
    total = sum(step.delay_seconds or 0 for step in steps[1:])
    return in_units(timedelta(seconds=min(total, 10**9))) if total else ""


def window_words(window: WINDOW_JSON | None, clock: Clock) -> str:
    """Write a send window: ``Mon-Sat 9 AM-8 PM, Sun 12 PM-8 PM``, with en dashes."""
    if window is None:
        return "At any time"
    open_days = [(number, tuple(window[day])) for number, day in enumerate(DAYS) if day in window]
    # Days in a row with the same hours differ alike in their number and their place in the list.
    runs = groupby(enumerate(open_days), key=lambda one: (one[0] - one[1][0], one[1][1]))
    words = []
    for (_, (opens, closes)), run in runs:
        days = [LABELS.days[DAYS[number]][:3] for _, (number, _) in run]
        which = days[0] if len(days) == 1 else f"{days[0]}\N{EN DASH}{days[-1]}"
        hours = f"{_hour(opens, clock)}\N{EN DASH}{_hour(closes, clock)}"
        words.append(f"{which} {hours}")
    return ", ".join(words)


def _hour(written: str, clock: Clock) -> str:
    """Write a time of day as shortly as it can be."""
    if written == _MIDNIGHT:
        return "midnight"
    if clock.hour_cycle != 12:
        return written
    at = time.fromisoformat(written)
    minutes = f":{at.minute:02}" if at.minute else ""
    return f"{at.hour % 12 or 12}{minutes} {'AM' if at.hour < 12 else 'PM'}"
