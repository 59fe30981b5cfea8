"""Settings > Audit log: who did what to whom, as sentences."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.labels import LABELS
from api.pages.page import Page, PageDep
from api.paging import InQuery
from domain.statuses.suppression import OptOutSource
from services.platform.audit import Act, Subject
from storage.platform.audit import AuditFilter

router = APIRouter(dependencies=[AdminOnly])

_USERS_MOST = 200
_ROWS = 50

_KIND_OF = {called.one: kind for kind, called in LABELS.subjects.items()}
_SUBJECT = re.compile(r"\{([^}]*)\}")

_PAGES: Mapping[str, tuple[str, str]] = {
    "contact": ("show_contact", "contact_id"),
    "enrollment": ("show_enrollment", "enrollment_id"),
    "event_endpoint": ("show_webhook", "endpoint_id"),
    "field": ("show_fields", ""),
    "group": ("show_group", "group_id"),
    "job": ("show_job", "job_id"),
    "sender": ("show_senders", ""),
    "sequence": ("show_sequence_contacts", "sequence_id"),
    "suppression": ("show_opt_outs", ""),
    "user": ("show_user", "user_id"),
}
"""The page of each kind of subject, and the parameter of its path."""


@dataclass(frozen=True)
class Piece:
    """A piece of a sentence; ``path`` leads to what it names, if that has a page."""

    words: str
    path: str = ""


@dataclass(frozen=True)
class Told:
    """An act as a sentence after the user's name, and its details by what they are called."""

    act: Act
    pieces: list[Piece]
    facts: Mapping[str, str | datetime]

    @property
    def words(self) -> str:
        """The sentence as plain text."""
        return "".join(piece.words for piece in self.pieces)


def tell(act: Act, path_to: Callable[..., str]) -> Told:
    """Put an act into words."""
    entry = act.entry
    words = _words_of(entry.action, entry.detail)
    facts = dict(_facts(entry.detail)) if act.count == 1 else {}
    why = [Piece(f": “{act.why}”")] if act.why else []
    return Told(act, [*_pieces(act, words, path_to), *why], facts)


def _words_of(action: str, detail: Mapping[str, Any]) -> str:
    """Find the sentence of an action, for what its details say if there is one."""
    for key, value in detail.items():
        for said in (key, str(value).lower()):
            if (words := LABELS.actions.get(f"{action} {said}")) and value != "":
                return words
    return LABELS.actions.get(action, f"did “{action}”")


def _pieces(act: Act, words: str, path_to: Callable[..., str]) -> Iterator[Piece]:
    counted = act.count == 1
    for at, part in enumerate(_SUBJECT.split(words)):
        if at % 2 == 0:
            if part:
                yield Piece(part)
            continue
        kind = _KIND_OF.get(part, act.entry.subject_kind or "")
        subject, called = act.subjects.get(kind), LABELS.subjects.get(kind)
        if kind == "suppression" and "contact" in act.subjects:
            subject = act.subjects["contact"]  # whose number it is
        if subject is not None:
            yield _named(subject, part, path_to)
        elif act.count > 1 and called is not None:
            yield Piece(called.many if counted else f"{act.count:,} {called.many}")
            counted = True
        else:
            yield Piece(part)


def _named(subject: Subject, words: str, path_to: Callable[..., str]) -> Piece:
    called = LABELS.subjects.get(subject.kind)
    name = subject.name
    if subject.kind == "job" and name:
        name = LABELS.jobs_told.get(name)
    if name is None:
        return Piece(called.gone if called else words)
    route, parameter = _PAGES.get(subject.kind, ("", ""))
    path = path_to(route, **({parameter: subject.id} if parameter else {})) if route else ""
    return Piece(called.named.format(name) if called else name, path)


def _facts(detail: Mapping[str, Any]) -> Iterator[tuple[str, str | datetime]]:
    """Give the details that say something, by what they are called."""
    for key, value in detail.items():
        called = LABELS.audit_details.get(key, key.replace("_", " ").capitalize())
        if called and value not in (None, "", 0) and not _is_id(value):
            yield called, _fact(key, str(value))


class AuditQuery(PlaceQuery):
    """Query of the log; days are the workspace's, both included."""

    user_id: UUID | None = None
    action: Annotated[str, Field(max_length=64, pattern=r"^[a-z_.]*$")] = ""
    subject_id: UUID | None = None
    first_day: date | None = None
    last_day: date | None = None
    cursor: Annotated[str | None, Field(pattern=r"^[0-9]{1,18}$")] = None


@router.get("/settings/audit")
async def show_audit(page: PageDep, query: InQuery[AuditQuery]) -> Response:
    """Show the log, newest first."""
    acts, before = await page.services.audit.acts(
        AuditFilter(
            query.user_id,
            query.action or None,
            query.subject_id,
            _midnight(page, query.first_day),
            _midnight(page, query.last_day, days=1),
        ),
        before_id=int(query.cursor) if query.cursor else None,
        limit=_ROWS,
    )
    users = (await page.services.users.find(limit=_USERS_MOST)).items
    return page.render(
        "settings/audit.html",
        part="settings/_audit.html",
        query=query,
        told=[tell(act, page.path_to) for act in acts],
        acts=[(act, _plain(words)) for act, words in LABELS.actions.items() if " " not in act],
        users=users,
        address=Addresses(page.request.url.path, query, str(before) if before else None),
    )


def _midnight(page: Page, day: date | None, *, days: int = 0) -> datetime | None:
    """Return when a day begins in the workspace's time zone, or a later one."""
    if day is None or day.year in {1, 9999}:
        return None
    zone = ZoneInfo(page.clock.zone)
    return datetime.combine(day + timedelta(days=days), time(), zone)


def _plain(words: str) -> str:
    text = words.replace("{", "").replace("}", "")
    return f"{text[:1].upper()}{text[1:]}"


def _fact(key: str, words: str) -> str | datetime:
    match key:
        case "fields":
            named = [one.removeprefix("fields.") for one in re.split("[ ,]+", words)]
            return re.sub("_(id|seconds)(?=,|$)", "", ", ".join(named)).replace("_", " ")
        case "source":
            return LABELS.opt_out_sources[OptOutSource(words)]
        case "scopes":
            return ", ".join(words.split())
        case _:
            pass
    try:
        moment = datetime.fromisoformat(words)
    except ValueError:
        return words.replace("_", " ")
    return moment if moment.tzinfo else words


def _is_id(value: object) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return False
    return True
