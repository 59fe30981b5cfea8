"""The demo: a small workspace of fictional people, made once."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from domain.platform.errors import ConflictError
from domain.sequences.steps import StepDraft
from domain.statuses.access import Role, TokenScope
from domain.statuses.contacts import LineType
from domain.statuses.sequences import SequenceKind
from services.access.tokens import Tokens
from services.access.users import UserDetails, Users
from services.contacts.contacts import Contacts
from services.contacts.groups import Groups
from services.contacts.values import ContactFields
from services.messaging.saved_replies import SavedReplies
from services.messaging.senders import SenderFields, Senders
from services.sequences.sequences import SequenceDraft, Sequences

ADMIN_EMAIL = "admin@segue.example"

_MEMBER = ("member@segue.example", "Robin Vale", Role.MEMBER)
_VIEWER = ("viewer@segue.example", "Sam Quill", Role.VIEWER)
_ADMIN = (ADMIN_EMAIL, "Alex Moor", Role.ADMIN)

_PASSWORD_BYTES = 12  # 16 characters

_CONTACTS = 60
_FIRST_NAMES = (
    *("Ada", "Ben", "Carla", "Dmitri", "Elena", "Farid", "Grace", "Hugo", "Imani", "Jonas"),
    *("Keiko", "Liam", "Marisol", "Noor", "Oscar", "Priya", "Quinn", "Rosa", "Sven", "Tariq"),
)
_LAST_NAMES = (
    *("Abara", "Brook", "Castillo", "Drummond", "Eriksen", "Farrow", "Grant", "Hale"),
    *("Ishikawa", "Joyner", "Kowalski", "Lund", "Moreau", "Nakamura", "Ortega"),
)
_AREA_CODES = ("212", "415", "312", "303", "808", "907", "602", "305", "206", "504", "615", "787")
"""New York, San Francisco, Chicago, Denver, Honolulu, Anchorage, Phoenix, Miami, Seattle, New
Orleans, Nashville, Puerto Rico."""

_GROUPS = ("Warehouse applicants", "Nurse applicants", "Spring trial users", "Newsletter")
_SENDER = SenderFields(name="Demo number", phone="+16285550100")
_SEEN_HERE = 300

_SAVED_REPLIES = {
    "Call me": "Thank you, {{first_name|there}}! When may I call you, today or tomorrow?",
    "Thanks": "Thanks, {{first_name|there}}, got it! I'll get back to you soon.",
}

_ACTIVE = "Warehouse role: first contact"
_DRAFT = "Nurse role: follow-up"


@dataclass(frozen=True)
class Demo:
    """Adds the demo's data.

    Each part has a natural key, so the next run completes an interrupted one. The administrator is
    made last: once there is one, nothing more is made, even if people rename parts.
    """

    users: Users
    tokens: Tokens
    contacts: Contacts
    groups: Groups
    senders: Senders
    sequences: Sequences
    saved_replies: SavedReplies

    async def create(self) -> Sequence[Mapping[str, str | int]]:
        """Add missing parts.

        Returns:
            What was made, the administrator with password and token last; empty if all was there.
        """
        if await self.users.by_email(ADMIN_EMAIL) is not None:
            return []
        member, made = await self._user(*_MEMBER)
        _, viewer_made = await self._user(*_VIEWER)
        made += viewer_made
        contact_ids = await self._people()
        made.append({"made": "contacts", "count": len(contact_ids)})
        made += await self._fill_groups(contact_ids, member.id)
        sender_id = await self._sender()
        made += await self._write_sequences(sender_id, member.id)
        for name, body in _SAVED_REPLIES.items():
            with suppress(ConflictError):
                await self.saved_replies.create(name, body, member.id)
        _, admin_made = await self._user(*_ADMIN)
        return [*made, *admin_made]

    async def _user(
        self, email: str, name: str, role: Role
    ) -> tuple[UserDetails, list[Mapping[str, str | int]]]:
        known = await self.users.by_email(email)
        if known is not None:
            return known, []
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        user = await self.users.create(email=email, role=role, name=name, password=password)
        token = await self.tokens.create(user.id, name="demo", scopes=TokenScope, expires_at=None)
        line = {"made": "user", "role": role.value, "email": email, "password": password}
        return user, [{**line, "token": token.token}]

    async def _people(self) -> list[UUID]:
        """Add the contacts, and give their ids."""
        ids = []
        for person in _people():
            try:
                ids.append((await self.contacts.create(person)).id)
            except ConflictError as taken:
                ids.append(UUID(str(taken.facts["contact_id"])))
        return ids

    async def _fill_groups(
        self, contact_ids: Sequence[UUID], user_id: UUID
    ) -> list[Mapping[str, str | int]]:
        made: list[Mapping[str, str | int]] = []
        for number, name in enumerate(_GROUPS):
            try:
                group_id = (await self.groups.create(name)).id
                made.append({"made": "group", "name": name, "id": str(group_id)})
            except ConflictError as taken:
                group_id = UUID(str(taken.facts["group_id"]))
            await self.groups.add_members(group_id, contact_ids[number :: len(_GROUPS)], user_id)
        return made

    async def _sender(self) -> UUID:
        try:
            return (await self.senders.create(_SENDER)).id
        except ConflictError as taken:
            return UUID(str(taken.facts["sender_id"]))

    async def _write_sequences(
        self, sender_id: UUID, user_id: UUID
    ) -> list[Mapping[str, str | int]]:
        made: list[Mapping[str, str | int]] = []
        for draft in (_active_sequence(sender_id), _draft_sequence(sender_id)):
            same = await self.sequences.page(search=draft.name, limit=_SEEN_HERE)
            sequence = next((one for one in same.items if one.name == draft.name), None)
            if sequence is None:
                sequence = await self.sequences.create(draft, user_id)
                made.append({"made": "sequence", "name": draft.name, "id": str(sequence.id)})
            if draft.name == _ACTIVE:
                await self.sequences.activate(sequence.id)
        return made


def _people() -> Iterator[ContactFields]:
    """Sixty names, each once, with numbers that are kept for fiction (555-0100 to 555-0199)."""
    for number in range(_CONTACTS):
        area = _AREA_CODES[number % len(_AREA_CODES)]
        person = ContactFields(
            first_name=_FIRST_NAMES[number % len(_FIRST_NAMES)],
            last_name=_LAST_NAMES[number % len(_LAST_NAMES)],
            phone=f"+1{area}55501{number:02d}",
        )
        if number % 15 == 14:  # moved, and kept the number
            person["time_zone"] = "Europe/Madrid"
        if number % 20 == 19:  # is omitted when enrolled
            person["line_type"] = LineType.LANDLINE
        yield person


def _active_sequence(sender_id: UUID) -> SequenceDraft:
    """Three texts within a minute, at any hour, so that one can watch them."""
    return SequenceDraft(
        name=_ACTIVE,
        sender_id=sender_id,
        kind=SequenceKind.ONGOING,
        reply_window_seconds=300,
        send_window=None,
        steps=[
            StepDraft(
                "Hi {{first_name|there}}, this is Robin from Segue Staffing. Are you still looking"
                " for warehouse work? Reply STOP to opt out.",
                delay_seconds=0,
            ),
            StepDraft(
                "{{first_name|Hello}}, we have day and night shifts near you. Which suits you?",
                delay_seconds=20,
            ),
            StepDraft(
                "Last try from me: reply YES and I will call you today. Robin", delay_seconds=20
            ),
        ],
    )


def _draft_sequence(sender_id: UUID) -> SequenceDraft:
    """Two texts over days, in the careful default window."""
    return SequenceDraft(
        name=_DRAFT,
        sender_id=sender_id,
        kind=SequenceKind.ONGOING,
        steps=[
            StepDraft(
                "Hello {{first_name|there}}, thank you for applying. When may we call you?",
                delay_seconds=0,
            ),
            StepDraft(
                "Hello {{first_name|again}}, is the role still of interest?",
                delay_seconds=2 * 24 * 60 * 60,
                at_time="09:30",
            ),
        ],
    )
