"""One enrollment, beside the list it was opened from or as a page of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import MembersOnly, Sends
from api.pages.labels import LABELS
from api.pages.page import Page, PageDep, PageEvent
from api.pages.times import Clock
from api.pages.values import label_of
from domain.sequences.departures import Reason
from domain.sequences.texts import MERGE_FIELDS
from domain.statuses.enrollments import STATUS_WORDS, EnrollmentStatus, HeldReason, PauseReason
from domain.statuses.messaging import TextKind
from domain.statuses.suppression import TextMeaning
from services.enrollments.enrollment_detail import EnrollmentDetails, TimelineEntry
from services.enrollments.step_plan import StepAhead
from services.messaging.holds import Decision

router = APIRouter()

_TEXTS_MOST = 50
_NAMED_MOST = 3
_VARIABLE = "variables."


@dataclass(frozen=True)
class Shape:
    """How an entry of the timeline looks; ``words`` is empty if the entry has its own."""

    words: str
    icon: str
    tone: str = "grey"


SHAPES: Mapping[str, Shape] = {
    "enrolled": Shape("Enrolled", icon="user-plus", tone="blue"),
    "written": Shape("A message was sent by hand", icon="pencil", tone="blue"),
    "sent": Shape("sent", icon="send", tone="blue"),
    "delivered": Shape("delivered", icon="checks", tone="green"),
    "failed": Shape("failed", icon="alert-triangle", tone="red"),
    "doubled": Shape("sent twice", icon="alert-triangle", tone="red"),
    "received": Shape("They wrote", icon="message", tone="green"),
    "blocked": Shape("Held", icon="lock", tone="orange"),
    "waits": Shape("Waited", icon="clock-pause"),
    "skipped": Shape("skipped", icon="clock-pause", tone="orange"),
    "reconciled": Shape("Held after a restore", icon="lock", tone="orange"),
    "released": Shape("Released", icon="lock-open"),
    "paused": Shape("Paused", icon="player-pause", tone="orange"),
    "resumed": Shape("Resumed", icon="player-play"),
    "replied_late": Shape("They replied after it ended", icon="message", tone="green"),
    "kind_corrected": Shape("A text was marked as written by a person", icon="message"),
    "ended": Shape("Ended", icon="flag", tone="grey"),
}
_OTHER = Shape("", icon="point")


@dataclass(frozen=True)
class Told:
    """An entry of the timeline, its words as a sentence without the period, and its look."""

    entry: TimelineEntry
    words: str
    shape: Shape


@router.get("/enrollments/{enrollment_id}")
async def show_enrollment(page: PageDep, enrollment_id: UUID) -> Response:
    """Show an enrollment: its next texts and why then, its conversation, its timeline."""
    details = await page.services.enrollment_detail.get(enrollment_id)
    talk = await page.services.conversations.get(
        details.contact.id, sender_id=details.sender.id, limit=_TEXTS_MOST
    )
    return page.render(
        "enrollments/enrollment.html",
        part="enrollments/_panel.html",
        one=details,
        talk=talk,
        told=list(_told(page.clock, details)),
        why=partial(_reasons, page.clock, details),
        field_labels=await page.services.pickers.contact_fields(),
    )


@router.get("/enrollments/{enrollment_id}/missing", dependencies=[MembersOnly, Sends])
async def ask_missing(page: PageDep, enrollment_id: UUID) -> Response:
    """Ask for what an enrollment's next text is missing."""
    return await _ask_missing(page, enrollment_id, {})


@router.post("/enrollments/{enrollment_id}/missing", dependencies=[Sends])
async def fill_in(page: PageDep, enrollment_id: UUID) -> Response:
    """Fill in what an enrollment's next text is missing: fields on the contact, else variables."""
    form = await page.request.form()
    typed = {
        name.removeprefix(_VARIABLE): value
        for name, value in form.items()
        if name.startswith(_VARIABLE) and isinstance(value, str)
    }
    given = {key: value for key, value in typed.items() if value.strip()}
    fields = await page.services.pickers.contact_fields()
    with page.refusing(**{f"fields.{key}": f"{_VARIABLE}{key}" for key in fields}):
        await page.services.variables.fill_in(
            enrollment_id,
            page.user.id,
            fields={key: value for key, value in given.items() if key in fields},
            variables={key: value for key, value in given.items() if key not in fields},
        )
        return page.done("Saved. Sending resumes by itself.", event=PageEvent.PEOPLE_CHANGED)
    return await _ask_missing(page, enrollment_id, typed)


async def _ask_missing(page: Page, enrollment_id: UUID, typed: Mapping[str, str]) -> Response:
    details = await page.services.enrollment_detail.get(enrollment_id)
    missing = [key for key in details.missing_fields if key not in MERGE_FIELDS]
    keys = list(dict.fromkeys((*missing, *typed)))
    fields = await page.services.pickers.contact_fields()
    asked = [(key, label_of(key, fields), typed.get(key, "")) for key in keys]
    is_whole = fields.keys() >= set(keys)
    return page.part("enrollments/_missing.html", one=details, asked=asked, is_whole=is_whole)


def _reasons(clock: Clock, details: EnrollmentDetails, step: StepAhead) -> str:
    """Say why a step goes out when it does, in the workspace's way of writing times."""
    zone = _zone(details)
    return "; ".join(_reason(clock, zone, one) for one in step.reasons)


def _zone(details: EnrollmentDetails) -> str | None:
    """Return the contact's time zone; None if the number allows several."""
    return details.time_zones[0] if len(details.time_zones) == 1 else None


def _reason(clock: Clock, zone: str | None, reason: Reason) -> str:
    detail = reason.detail
    match reason.code:
        case "date":
            local = datetime.fromisoformat(detail["local"]).replace(tzinfo=UTC)
            return f"scheduled for {clock.date_of(local, 'UTC')}, {clock.time_of(local, 'UTC')}"
        case "delay" if detail["at_time"]:
            at = datetime.fromisoformat(f"2000-01-01T{detail['at_time']}+00:00")
            return reason.text.removesuffix(detail["at_time"]) + clock.time_of(at, "UTC")
        case "window":
            due, at = (datetime.fromisoformat(detail[end]) for end in ("from", "to"))
            return (
                f"moved into the send window, from {clock.date_of(due, zone)},"
                f" {clock.time_of(due, zone)} to {clock.exact(at, zone)}"
            )
        case "pack" if detail["is_open"]:
            at = datetime.fromisoformat(detail["to"])
            return f"held back until {clock.exact(at, zone)} by the rules of {_some(detail)}"
        case _:
            return reason.text


def _some(detail: Mapping[str, Any]) -> str:
    """Name the rule packs of a reason, or the first few of many."""
    names = detail["names"]
    more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
    return ", ".join(names[:_NAMED_MOST]) + more


def _waited(entry: TimelineEntry, clock: Clock, zone: str | None) -> str:
    """Say why a text waited, as was kept when that was decided, or that it was skipped."""
    detail = entry.detail
    if entry.kind == "skipped":
        missed = clock.exact(datetime.fromisoformat(detail["missed"]), zone)
        return f"Step {detail['step']} was skipped: it could not be sent at {missed}"
    codes = [str(one["code"]) for one in detail.get("reasons", ())] or [str(detail.get("because"))]
    return f"Waited, {' and '.join(LABELS.waits.get(one, 'until later') for one in codes)}"


def _told(clock: Clock, details: EnrollmentDetails) -> Iterator[Told]:
    """Put the timeline into words, latest first; skip attempts whose outcome is an entry itself."""
    zone = _zone(details)
    for entry in reversed(details.timeline):
        if entry.kind == "attempt" and entry.status not in {"open", "unknown", "absent"}:
            continue
        yield Told(entry, _sentence(entry, clock, zone), SHAPES.get(entry.kind, _OTHER))


def _blocked(detail: Mapping[str, Any]) -> str:
    because = str(detail.get("because"))
    if because == "paused":
        return "On pause"
    keys = ", ".join(detail.get("missing", ())).replace("_", " ")
    missing = f": {keys}" if keys else ""
    return f"Held: {LABELS.held[HeldReason(because)].why}{missing}"


def _received(entry: TimelineEntry) -> str:
    kind = entry.detail.get("kind")
    if kind == TextKind.REACTION:
        return "They reacted to a text"
    if kind == TextKind.AUTO_REPLY:
        return "They sent an automatic reply"
    if entry.detail.get("is_reply"):
        return "They replied"
    keyword = entry.detail.get("keyword")
    return LABELS.received[TextMeaning(keyword)] if keyword else "They wrote"


def _reconciled(entry: TimelineEntry) -> str:
    count = len(entry.detail["sids"])
    texts = "a text" if count == 1 else f"{count} texts"
    return f"Held after a restore: the provider has {texts} that this backup is missing"


def _fate(entry: TimelineEntry, clock: Clock, zone: str | None) -> str:
    """Say what happened to a text; follows its name."""
    match entry.kind:
        case "attempt":
            return LABELS.attempts[entry.status or "open"]
        case "doubled":
            return "was sent twice: the first one had gone out after all"
        case "failed" if "again_at" not in entry.detail:
            return "failed"
        case "failed":
            at = entry.detail["again_at"]
            again = f", retrying {clock.exact(datetime.fromisoformat(at), zone)}" if at else ""
            return f"was not delivered{again}"
        case kind:
            return f"was {kind}"


def _sentence(entry: TimelineEntry, clock: Clock, zone: str | None) -> str:
    who = f" by {entry.user.name}" if entry.user else ""
    match entry.kind:
        case "attempt" | "sent" | "delivered" | "failed" | "doubled":
            text = f"Step {entry.step}" if entry.step else "The message by hand"
            return f"{text} {_fate(entry, clock, zone)}"
        case "ended" if entry.status:
            return f"{STATUS_WORDS[EnrollmentStatus(entry.status)].label}{who}"
        case "waits" | "skipped":
            return _waited(entry, clock, zone)
        case "blocked":
            return _blocked(entry.detail)
        case "released":
            return f"Released{who}, {LABELS.releases[Decision(entry.detail['decision'])]}"
        case "paused" if entry.detail.get("because") == PauseReason.REPLIED:
            return "Paused because they replied"
        case "received":
            return _received(entry)
        case "reconciled":
            return _reconciled(entry)
        case kind:
            words = SHAPES[kind].words if kind in SHAPES else kind.replace("_", " ").capitalize()
            return f"{words}{who}"
