"""The people: users who enroll and finish, contacts who reply and opt out at any moment."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import httpx

from tests.chaos.evidence import Deed, DeedKind
from tests.e2e.people import Desk, Line, Person

_LOOK_SECONDS = 0.15
_TRY_AGAIN_SECONDS = 0.5
_TRIES = 400
"""Of a request whose API was killed, the key is taken for a minute; and it may be killed again."""
_AT_ONCE = 5
_STEP_SECONDS = 2
_REPLY_WINDOW_SECONDS = 5

_WORDS = {
    DeedKind.REPLY: ("Sounds good", "Who is this?", "Call me on Monday"),
    DeedKind.STOP: ("STOP", "stop.", "Unsubscribe"),
}

_HABITS: Sequence[tuple[int, str, DeedKind | None, tuple[int, ...]]] = (
    (38, "", None, ()),
    (22, "", DeedKind.REPLY, (0, 1, 1, 2, 2, 3)),
    (14, "", DeedKind.STOP, (0, 1, 1, 2, 3)),
    (14, "", DeedKind.FINISH, (0, 0, 1, 2, 3)),
    (3, "036", None, ()),
    (2, "005", None, ()),
    (2, "006", None, ()),
    (2, "408", None, ()),
    (3, "300", None, ()),
)
"""How many of a hundred have which number, do what, and after which of our texts (0: any time)."""


@dataclass
class Member:
    """A contact and what they will do, once.

    Attributes:
        after: Of our texts to them, 0 for any moment.
        pause: Seconds from then to the deed.
        enrolled: Once all their enrolling is answered.
    """

    person: Person
    deed: DeedKind | None
    after: int
    pause: float
    enrollments: dict[str, UUID] = field(default_factory=dict)
    texts: list[dict[str, Any]] = field(default_factory=list)
    enrolled: asyncio.Event = field(default_factory=asyncio.Event)


class Crowd:
    """Lives with the stack over HTTP only, as users and handsets do, patient with its outages.

    Attributes:
        deeds: What was done so far.
    """

    def __init__(self, desk: Desk, rng: Random, count: int) -> None:
        self._desk = desk
        self._rng = rng
        self._lines = (desk.line(), desk.line(service=True))
        self._line_of: dict[str, Line] = {}
        for number, line in enumerate(self._lines, 1):
            texts = (f"Series {number}, text {step} of 3" for step in (1, 2, 3))
            sequence_id = desk.sequence(
                line, *texts, delay=_STEP_SECONDS, reply_window=_REPLY_WINDOW_SECONDS
            )
            self._line_of[sequence_id] = line
        self._members = {member.person.phone: member for member in self._gather(count)}
        self._tasks: set[asyncio.Task[None]] = set()
        self._api = httpx.AsyncClient(
            base_url=desk.stack.api_url, headers=dict(desk.api.headers), timeout=20
        )
        self._simulator = httpx.AsyncClient(base_url=desk.simulator.base_url, timeout=60)
        self.deeds: list[Deed] = []

    async def close(self) -> None:
        """Wait for the deeds under way and hang up."""
        await asyncio.gather(*self._tasks)
        await self._api.aclose()
        await self._simulator.aclose()

    def tally(self) -> Counter[str]:
        """How many did what, and how much of it was answered."""
        done = Counter(deed.kind.value for deed in self.deeds)
        answered = [deed for deed in self.deeds if deed.answered_at is not None]
        return done + Counter(f"{deed.kind} answered" for deed in answered)

    def _gather(self, count: int) -> list[Member]:
        """Write so many enrollments' contacts down; one in ten is in both sequences."""
        members = []
        weights = [habit[0] for habit in _HABITS]
        left = count
        while left:
            [(_, magic, deed, moments)] = self._rng.choices(_HABITS, weights)
            member = Member(
                self._desk.person(magic),
                deed,
                self._rng.choice(moments) if moments else 0,
                self._rng.uniform(0, 6 if not deed else 1.5),
            )
            both = left > 1 and self._rng.random() < 0.1
            chosen = [*self._line_of] if both else [self._rng.choice([*self._line_of])]
            member.enrollments = dict.fromkeys(chosen, UUID(int=0))
            members.append(member)
            left -= len(chosen)
        return members

    async def enroll_all(self, seconds: float) -> None:
        """Enroll everyone, a few at a time, over so many seconds."""
        wanted = [(one, member) for member in self._members.values() for one in member.enrollments]
        waves = [
            list(wave)
            for _, wave in itertools.groupby(
                sorted(wanted, key=lambda one: one[0]), key=lambda one: one[0]
            )
        ]
        chunks = [
            wave[start : start + _AT_ONCE]
            for wave in waves
            for start in range(0, len(wave), _AT_ONCE)
        ]
        self._rng.shuffle(chunks)
        for number, chunk in enumerate(chunks):
            await self._enroll(chunk[0][0], [member for _, member in chunk], f"wave-{number}")
            await asyncio.sleep(seconds / len(chunks))

    async def _enroll(self, sequence_id: str, members: Sequence[Member], key: str) -> None:
        answer = await self.insist(
            f"/api/sequences/{sequence_id}/enrollments",
            {"contact_ids": [member.person.id for member in members]},
            key,
        )
        made = {one["contact_id"]: UUID(one["id"]) for one in answer["enrolled"]}
        for member in members:
            # Whoever opted out meanwhile is born final, and listed too.
            member.enrollments[sequence_id] = made[member.person.id]
            if UUID(int=0) not in member.enrollments.values():
                member.enrolled.set()
                if member.deed and member.after == 0:
                    self._spawn(member)

    async def watch(self) -> None:
        """See the texts arrive on the handsets, and react; runs until cancelled."""
        newest = 0
        while True:
            answer = await self._simulator.get("/messages", params={"after": newest})
            for message in answer.json()["messages"]:
                newest = message["number"]
                member = self._members.get(message["to"])
                if member is not None:
                    member.texts.append(message)
                    if member.deed and len(member.texts) == member.after:
                        self._spawn(member)
            await asyncio.sleep(_LOOK_SECONDS)

    def _spawn(self, member: Member) -> None:
        task = asyncio.create_task(self._do(member))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, member: Member) -> None:
        await asyncio.sleep(member.pause)
        if member.deed is DeedKind.FINISH:
            await self._finish(member)
        elif member.deed is not None:
            await self._text(member, member.deed)

    async def _finish(self, member: Member) -> None:
        [sequence_id, *_] = member.enrollments
        enrollment_id = await self._enrollment(member, sequence_id)
        await self.finish(member.person.phone, enrollment_id, "mark-finished")

    async def _enrollment(self, member: Member, sequence_id: str) -> UUID:
        """The enrollment's id, once enrolling is answered: texts may arrive before that."""
        await member.enrolled.wait()
        return member.enrollments[sequence_id]

    async def finish(self, phone: str, enrollment_id: UUID, action: str, **more: str) -> bool:
        """End an enrollment by a batch action; answers whether that ended it."""
        deed = Deed(DeedKind.FINISH, phone, enrollment_id, datetime.now(UTC))
        self.deeds.append(deed)
        answer = await self.insist(
            f"/api/enrollments/batch/{action}", {"enrollment_ids": [str(enrollment_id)], **more}
        )
        if answer["results"][0]["result"] != "finished":
            return False
        deed.answered_at = datetime.now(UTC)
        deed.newest = max((one["number"] for one in await self.texts_to(phone)), default=0)
        return True

    async def texts_to(self, phone: str) -> list[dict[str, Any]]:
        """What the provider accepted for a number, oldest first."""
        answer = await self._simulator.get("/messages", params={"to": phone})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return found

    async def _text(self, member: Member, kind: DeedKind) -> None:
        """Text to whoever texted last, or out of the blue to a number of ours."""
        last = await self._last_text(member)
        to = {"to": last["from"] if last else self._lines[0].address}
        if last is not None and last["messaging_service_sid"]:
            to["messaging_service_sid"] = last["messaging_service_sid"]
        body = self._rng.choice(_WORDS[kind])
        deed = Deed(kind, member.person.phone, None, datetime.now(UTC))
        self.deeds.append(deed)
        given = {"from": member.person.phone, "body": body, **to}
        answer = (await self._simulator.post("/inbound", json=given)).json()
        deed.sid = answer["sid"]
        if answer["webhook_status"] == 200:
            deed.answered_at = datetime.now(UTC)
        if last is not None:
            deed.enrollment_id = await self._enrollment(member, self._sequence_of(last["body"]))

    async def _last_text(self, member: Member) -> dict[str, Any] | None:
        """The newest text on the handset: not there before a service has chosen its number."""
        while member.texts:
            there = [one for one in await self.texts_to(member.person.phone) if one["from"]]
            if there:
                return there[-1]
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    def _sequence_of(self, body: str) -> str:
        return [*self._line_of][int(body.split()[1].rstrip(",")) - 1]

    async def insist(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        """Ask until it is answered, as people do while it says that it is away."""
        headers = {"Idempotency-Key": key} if key else {}
        for _ in range(_TRIES):
            try:
                answer = await self._api.post(path, json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            if answer is not None and answer.status_code not in {409, 500, 503}:
                raise AssertionError(answer.text)
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        raise AssertionError(path)
