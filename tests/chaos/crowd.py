"""Users who enroll and finish, and contacts who reply and opt out at any moment."""

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

from tests.chaos.evidence import ActionKind, UserAction
from tests.e2e.people import FRESH, Desk, Line, Person

_LOOK_SECONDS = 0.15
_TRY_AGAIN_SECONDS = 0.5
_TRIES = 400
"""A killed API leaves the request's key taken for a minute, and may be killed again."""
_AT_ONCE = 5
_STEP_SECONDS = 2
_REPLY_WINDOW_SECONDS = 5

_WORDS = {
    ActionKind.REPLY: ("Sounds good", "Who is this?", "Call me on Monday"),
    ActionKind.STOP: ("STOP", "stop.", "Unsubscribe"),
}

_HABITS: Sequence[tuple[int, str, ActionKind | None, tuple[int, ...]]] = (
    (38, "", None, ()),
    (22, "", ActionKind.REPLY, (0, 1, 1, 2, 2, 3)),
    (14, "", ActionKind.STOP, (0, 1, 1, 2, 3)),
    (14, "", ActionKind.FINISH, (0, 0, 1, 2, 3)),
    (3, "036", None, ()),
    (2, "005", None, ()),
    (2, "006", None, ()),
    (2, "408", None, ()),
    (3, "300", None, ()),
)
"""Weight, magic number, action, and after how many texts (0: at any time)."""


@dataclass
class Member:
    """A contact and the one action they will take.

    Attributes:
        after: After how many of our texts, 0 for any time.
        pause: Seconds from then to the action.
        enrolled: Set when all their enrollments were answered.
    """

    person: Person
    action: ActionKind | None
    after: int
    pause: float
    enrollments: dict[str, UUID] = field(default_factory=dict)
    texts: list[dict[str, Any]] = field(default_factory=list)
    enrolled: asyncio.Event = field(default_factory=asyncio.Event)


class Crowd:
    """Uses the stack over HTTP as users and handsets do, and retries during outages.

    Attributes:
        actions: The actions so far.
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
        self._simulator = httpx.AsyncClient(
            base_url=desk.simulator.base_url, timeout=60, limits=FRESH
        )
        self.actions: list[UserAction] = []

    async def close(self) -> None:
        """Wait for the actions under way and close the connections."""
        await asyncio.gather(*self._tasks)
        await self._api.aclose()
        await self._simulator.aclose()

    def tally(self) -> Counter[str]:
        """Count the actions, and those that were answered, by kind."""
        done = Counter(action.kind.value for action in self.actions)
        answered = [action for action in self.actions if action.answered_at is not None]
        return done + Counter(f"{action.kind} answered" for action in answered)

    def _gather(self, count: int) -> list[Member]:
        """Create contacts for so many enrollments; one in ten is in both sequences."""
        members = []
        weights = [habit[0] for habit in _HABITS]
        left = count
        while left:
            [(_, magic, action, moments)] = self._rng.choices(_HABITS, weights)
            member = Member(
                self._desk.person(magic),
                action,
                self._rng.choice(moments) if moments else 0,
                self._rng.uniform(0, 6 if not action else 1.5),
            )
            both = left > 1 and self._rng.random() < 0.1
            chosen = [*self._line_of] if both else [self._rng.choice([*self._line_of])]
            member.enrollments = dict.fromkeys(chosen, UUID(int=0))
            members.append(member)
            left -= len(chosen)
        return members

    async def enroll_all(self, seconds: float) -> None:
        """Enroll all contacts, a few at a time, over so many seconds."""
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
            # Whoever opted out meanwhile is enrolled with a final status, and listed too.
            member.enrollments[sequence_id] = made[member.person.id]
            if UUID(int=0) not in member.enrollments.values():
                member.enrolled.set()
                if member.action and member.after == 0:
                    self._spawn(member)

    async def watch(self) -> None:
        """Watch texts arrive on the handsets and react; runs until canceled."""
        newest = 0
        while True:
            answer = await self._simulator.get("/messages", params={"after": newest})
            for message in answer.json()["messages"]:
                newest = message["number"]
                member = self._members.get(message["to"])
                if member is not None:
                    member.texts.append(message)
                    if member.action and len(member.texts) == member.after:
                        self._spawn(member)
            await asyncio.sleep(_LOOK_SECONDS)

    def _spawn(self, member: Member) -> None:
        task = asyncio.create_task(self._do(member))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, member: Member) -> None:
        await asyncio.sleep(member.pause)
        if member.action is ActionKind.FINISH:
            await self._finish(member)
        elif member.action is not None:
            await self._text(member, member.action)

    async def _finish(self, member: Member) -> None:
        [sequence_id, *_] = member.enrollments
        enrollment_id = await self._enrollment(member, sequence_id)
        await self.finish(member.person.phone, enrollment_id, "mark-finished")

    async def _enrollment(self, member: Member, sequence_id: str) -> UUID:
        """Wait for the answer to enrolling, which texts may precede; return the enrollment's id."""
        await member.enrolled.wait()
        return member.enrollments[sequence_id]

    async def finish(self, phone: str, enrollment_id: UUID, path: str, **more: str) -> bool:
        """Finish an enrollment by a batch action; return whether that ended it."""
        action = UserAction(ActionKind.FINISH, phone, enrollment_id, datetime.now(UTC))
        self.actions.append(action)
        answer = await self.insist(
            f"/api/enrollments/batch/{path}", {"enrollment_ids": [str(enrollment_id)], **more}
        )
        if answer["results"][0]["result"] != "finished":
            return False
        action.answered_at = datetime.now(UTC)
        action.newest = max((one["number"] for one in await self.texts_to(phone)), default=0)
        return True

    async def texts_to(self, phone: str) -> list[dict[str, Any]]:
        """List what the provider accepted for a number, oldest first."""
        answer = await self._simulator.get("/messages", params={"to": phone})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
        return found

    async def _text(self, member: Member, kind: ActionKind) -> None:
        """Text to the sender of the last text, or without one to a number of ours."""
        last = await self._last_text(member)
        to = {"to": last["from"] if last else self._lines[0].address}
        if last is not None and last["messaging_service_sid"]:
            to["messaging_service_sid"] = last["messaging_service_sid"]
        body = self._rng.choice(_WORDS[kind])
        action = UserAction(kind, member.person.phone, None, datetime.now(UTC))
        self.actions.append(action)
        given = {"from": member.person.phone, "body": body, **to}
        answer = (await self._simulator.post("/inbound", json=given)).json()
        action.sid = answer["sid"]
        if answer["webhook_status"] == 200:
            action.answered_at = datetime.now(UTC)
        if last is not None:
            action.enrollment_id = await self._enrollment(member, self._sequence_of(last["body"]))

    async def _last_text(self, member: Member) -> dict[str, Any] | None:
        """Return the newest text on the handset, once a service has chosen its number."""
        while member.texts:
            there = [one for one in await self.texts_to(member.person.phone) if one["from"]]
            if there:
                return there[-1]
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    def _sequence_of(self, body: str) -> str:
        return [*self._line_of][int(body.split()[1].rstrip(",")) - 1]

    async def insist(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        """Repeat a request until it succeeds, as people do during an outage."""
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
