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
from api.pages.page import InQuery, Page, PageDep
from services.platform.audit import Entry
from storage.platform.audit import AuditFilter

router = APIRouter(dependencies=[AdminOnly])

ACT_WORDS: Mapping[str, str] = {
    "access.refuse": "was refused what their role or token does not allow",
    "access.throttle": "did too much at once and was slowed down",
    "contact.create": "added {a contact}",
    "contact.change": "changed {a contact}",
    "contact.erase": "erased {a contact}",
    "contact.send_message": "texted {a contact}",
    "contacts.export": "exported contacts",
    "enrollment.create": "enrolled {somebody}",
    "enrollment.finish": "marked {an enrollment} as finished",
    "enrollment.pause": "paused {an enrollment}",
    "enrollment.resume": "resumed {an enrollment}",
    "enrollment.release": "released {an enrollment} that was held",
    "enrollment.send_message": "texted {somebody enrolled} by hand",
    "enrollments.export": "exported the people in {a sequence}",
    "event_endpoint.create": "added {a webhook}",
    "event_endpoint.update": "changed {a webhook}",
    "event_endpoint.delete": "removed {a webhook}",
    "event_endpoint.disable": "disabled {a webhook} that answered it is gone",
    "event_endpoint.retry": "had an event delivered again to {a webhook}",
    "event_endpoint.rotate_secret": "gave {a webhook} a new secret",
    "event_endpoint.test": "tested {a webhook}",
    "group.create": "made {a group}",
    "group.change": "renamed {a group}",
    "group.delete": "deleted {a group}",
    "group.add": "put {a contact} into a group",
    "group.remove": "took {a contact} out of a group",
    "job.start": "began {work in the background}",
    "job.cancel": "cancelled {work in the background}",
    "job.export": "exported the rows of {work in the background} that cannot be taken",
    "review.decide": "decided what {a text} meant",
    "sender.create": "added {a sender}",
    "sender.change": "changed {a sender}",
    "sender.release": "took {a sender} off hold",
    "sequence.create": "made {a sequence}",
    "sequence.change": "changed {a sequence}",
    "sequence.activate": "activated {a sequence}",
    "sequence.pause": "paused {a sequence}",
    "sequence.resume": "resumed {a sequence}",
    "sequence.archive": "archived {a sequence}",
    "link.refuse": "opened a link to set a password that does not work",
    "session.end": "ended a session of {a user}",
    "session.sign_in": "signed in",
    "session.sign_out": "signed out",
    "session.refuse": "could not sign in as {a user}",
    "session.throttle": "was slowed down when signing in as {a user}",
    "suppression.create": "opted {a number} out by hand",
    "suppression.repeat": "opted {a number} out once more",
    "suppression.lift": "lifted {an opt-out}",
    "suppressions.export": "exported the opt-outs",
    "token.create": "made {an API token}",
    "token.refuse": "showed an API token that is unknown or no longer good",
    "token.revoke": "revoked {an API token}",
    "user.create": "added {a user}",
    "user.change": "changed {a user}",
    "user.disable": "disabled {a user}",
    "user.enable": "enabled {a user}",
    "user.make_link": "made a link to set the password of {a user}",
    "user.refuse_password": "gave a wrong password of {a user} when asked for it",
    "user.set_password": "set their password by a link",
    "workspace.change": "changed the workspace",
}
"""Actions in words; they follow the user's name, and the words in braces link to the subject."""

_USERS_MOST = 200
_ROWS = 50


@dataclass(frozen=True)
class Told:
    """An entry as a sentence in three parts.

    Attributes:
        before: The action, up to its subject.
        subject: The subject; empty if there is none.
        after: The rest.
        facts: Details by name, each a text or a moment.
    """

    entry: Entry
    before: str
    subject: str
    after: str
    facts: Mapping[str, str | datetime]

    @classmethod
    def of(cls, entry: Entry) -> "Told":
        """Put an entry into words."""
        words = ACT_WORDS.get(entry.action, f"did {entry.action}")
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
        acts=[(act, _plain(words)) for act, words in ACT_WORDS.items()],
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
