"""Settings > Audit log: who did what to whom, as sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated
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
from services.platform.audit import Entry
from storage.platform.audit import AuditFilter

router = APIRouter(dependencies=[AdminOnly])

_USERS_MOST = 200
_ROWS = 50


@dataclass(frozen=True)
class Told:
    """An entry as a sentence in three parts, and its details by name; there may be no subject."""

    entry: Entry
    before: str
    subject: str
    after: str
    facts: Mapping[str, str | datetime]

    @classmethod
    def of(cls, entry: Entry) -> "Told":
        """Put an entry into words."""
        words = LABELS.actions.get(entry.action, f"did {entry.action}")
        before, _, rest = words.partition("{")
        subject, _, after = rest.partition("}")
        facts = {
            name.replace("_", " "): _fact(value)
            for name, value in entry.detail.items()
            if value is not None and not _is_id(value)
        }
        return cls(entry, before, subject, after, facts)


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
    entries, before = await page.services.audit.find(
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
        told=[Told.of(entry) for entry in entries],
        acts=[(act, _plain(words)) for act, words in LABELS.actions.items()],
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


def _fact(value: object) -> str | datetime:
    words = str(value)
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
