"""Users, handsets and the provider of the end-to-end tests, over HTTP only."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import httpx

from tests.e2e.stack import Stack
from tests.kits.polling import pauses

_T = TypeVar("_T")

Json = dict[str, Any]

PATIENCE_SECONDS = 60.0

FRESH = httpx.Limits(keepalive_expiry=1)
"""Servers close connections that were idle for 5 s; by default httpx may use one just then."""

_FIRST_NAMES = ("Zaphira", "Quillon", "Ottoline", "Brünhild", "Xanthippe", "Ignatzius")
_LAST_NAMES = ("Featherstonehaugh", "Wobblesworth", "O'Marmalade", "Ångströmsen")

FINAL = frozenset(
    {
        "finished_responded",
        "finished_no_response",
        "finished_stopped",
        "failed",
        "opted_out",
        "omitted_opted_out",
        "omitted_landline",
    }
)


@dataclass(frozen=True)
class Person:
    """A contact, and the handset in their hand."""

    id: str
    phone: str
    name: str


@dataclass(frozen=True)
class Line:
    """A sender: a number, or a Messaging Service."""

    id: str
    address: str


def eventually(
    check: Callable[[], _T | None],
    *,
    seconds: float = PATIENCE_SECONDS,
    otherwise: Callable[[], object] = lambda: "it did not happen in time",
) -> _T:
    """Poll until a check answers with something true; return that."""
    deadline = time.monotonic() + seconds
    for pause in pauses(0.1, 0.5):
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, otherwise()
        time.sleep(pause)
    raise AssertionError


class Desk:
    """Acts as Segue's users through the API, and as its contacts through the simulator.

    Attributes:
        api: Calls the API with an admin's token.
        simulator: Calls the simulator, which knows what was sent.
        private: Every name, number and text so far; no history may hold one.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api = self.signed_in(stack.admin_token)
        self.simulator = httpx.Client(
            base_url=f"{stack.simulator_url}/_simulator", timeout=30, limits=FRESH
        )
        self.private: set[str] = set()
        self._numbers = itertools.count(1)
        self._sequence_of: dict[str, str] = {}
        self._idle: set[str] = set()
        self._area_codes: dict[str, Iterator[int]] = {}

    def close(self) -> None:
        self.api.close()
        self.simulator.close()

    def signed_in(self, token: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.stack.api_url, headers=headers, timeout=30, limits=FRESH)

    # What users do

    def post(self, path: str, body: object = None, *, status: int = 200) -> Json:
        """Post JSON to the API; assert the answer's status and return the answer."""
        return _answer(self.api.post(path, json=body), status)

    def get(self, path: str, **query: Any) -> Json:
        """Get something that exists from the API."""
        given = {name: value for name, value in query.items() if value is not None}
        return _answer(self.api.get(path, params=given), 200)

    def person(self, magic: str = "", **fields: str) -> Person:
        """Add a contact; ``magic``: the last three digits of a number that misbehaves."""
        number = next(self._numbers)
        first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
        last = f"{_LAST_NAMES[number % len(_LAST_NAMES)]} {number}"
        body = {
            "first_name": first,
            "last_name": last,
            "phone": self.free_number(magic),
            "time_zone": "America/Los_Angeles",
            **fields,
        }
        made = self.post("/api/contacts", body, status=201)
        self._keep_private(made["phone"].lstrip("+"), made["first_name"], made["last_name"])
        return Person(made["id"], made["phone"], made["name"])

    def people(self, count: int) -> list[Person]:
        return [self.person() for _ in range(count)]

    def line(self, *, service: bool = False) -> Line:
        """Add a sender with a high rate."""
        number = next(self._numbers)
        address = f"MG{number:032x}" if service else f"+1206444{number:04d}"
        body = {
            "name": f"Line {number}",
            "messaging_service_sid" if service else "phone": address,
            "segments_per_second": 100,
        }
        made = self.post("/api/senders", body, status=201)
        self._keep_private(address.lstrip("+"))
        return Line(made["id"], address)

    def sequence(
        self,
        line: Line,
        *texts: str,
        delay: int = 1,
        reply_window: int = 60,
        on_reply: str = "finish",
        activate: bool = True,
        **changes: object,
    ) -> str:
        """Add and activate an ongoing sequence, first text at once; return its id."""
        bodies = texts or ("Hello {{first_name|there}}, shall we talk?",)
        body = {
            "name": f"Sequence {next(self._numbers)}",
            "sender_id": line.id,
            "kind": "ongoing",
            "on_reply": on_reply,
            "reply_window_seconds": reply_window,
            "send_window": None,
            "steps": [
                {"body": text, "delay_seconds": delay if index else 0}
                for index, text in enumerate(bodies)
            ],
            **changes,
        }
        made = self.post("/api/sequences", body, status=201)
        self._keep_private(*(text.partition("{{")[0].strip() for text in bodies))
        sequence_id: str = made["id"]
        if activate:
            self.post(f"/api/sequences/{sequence_id}/activate")
        return sequence_id

    def enroll(self, sequence_id: str, *people: Person) -> list[str]:
        """Enroll contacts; assert that none is skipped; return the enrollments' ids in order."""
        answer = self.ask_to_enroll(sequence_id, *people)
        assert not answer["skipped"], answer
        made = {one["contact_id"]: one["id"] for one in answer["enrolled"]}
        return [made[person.id] for person in people]

    def ask_to_enroll(self, sequence_id: str, *people: Person) -> Json:
        """Enroll contacts; return the API's answer."""
        body = {"contact_ids": [person.id for person in people]}
        answer = self.post(f"/api/sequences/{sequence_id}/enrollments", body)
        self._sequence_of.update((one["id"], sequence_id) for one in answer["enrolled"])
        return answer

    def start(self, magic: str = "", *texts: str, **sequence: Any) -> "Story":
        """Enroll a new contact into a new sequence of a new sender."""
        line, person = self.line(), self.person(magic)
        sequence_id = self.sequence(line, *texts, **sequence)
        [enrollment_id] = self.enroll(sequence_id, person)
        return Story(person, line, sequence_id, enrollment_id)

    def batch(self, action: str, *enrollment_ids: str, **more: object) -> list[Json]:
        """Run a batch action; return the rows of the result, in the order asked."""
        body = {"enrollment_ids": list(enrollment_ids), **more}
        answer = self.post(f"/api/enrollments/batch/{action}", body)
        results: list[Json] = answer["results"]
        return results

    # What users see

    def enrollment(self, enrollment_id: str) -> Json:
        """Get one enrollment with its timeline and live state."""
        return self.get(f"/api/enrollments/{enrollment_id}")

    def row(self, enrollment_id: str, **query: Any) -> Json:
        """Get the row of one enrollment in the Contacts tab."""
        items = self.tab(self._sequence_of[enrollment_id], limit=200, **query)["items"]
        [row] = [item for item in items if item["enrollment_id"] == enrollment_id]
        found: Json = row
        return found

    def tab(self, sequence_id: str, **query: Any) -> Json:
        """Get one page of a sequence's Contacts tab."""
        return self.get(f"/api/sequences/{sequence_id}/contacts", **query)

    def counts(self, sequence_id: str) -> dict[str, int]:
        """Count the enrollments of a sequence by status, without zeros."""
        counts: dict[str, int] = self.tab(sequence_id, limit=1)["counts"]
        return {status: count for status, count in counts.items() if count}

    def wait_for_status(
        self, enrollment_id: str, status: str, *, seconds: float = PATIENCE_SECONDS
    ) -> Json:
        """Wait until an enrollment has a status; fail at once if it ends with another."""

        def ended() -> Json | None:
            seen = self.row(enrollment_id)
            assert seen["status"] in {"active", status}, seen
            return seen if seen["status"] == status else None

        return eventually(ended, seconds=seconds, otherwise=lambda: self.enrollment(enrollment_id))

    def wait_for_activity(
        self, enrollment_id: str, activity: str, *, seconds: float = PATIENCE_SECONDS
    ) -> Json:
        """Wait until an active enrollment is in a phase; fail at once if it ends."""

        def doing() -> Json | None:
            seen = self.row(enrollment_id)
            assert seen["status"] == "active", seen
            return seen if seen["activity"] == activity else None

        return eventually(doing, seconds=seconds, otherwise=lambda: self.enrollment(enrollment_id))

    def wait_for_counts(
        self, sequence_id: str, counts: dict[str, int], *, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until the enrollments of a sequence have exactly these statuses."""
        eventually(
            lambda: self.counts(sequence_id) == counts,
            seconds=seconds,
            otherwise=lambda: self.tab(sequence_id, limit=200),
        )

    # What handsets and the provider know

    def texts_to(self, person: Person) -> list[Json]:
        """List every text the provider created for a contact, oldest first."""
        answer = _answer(self.simulator.get("/messages", params={"to": person.phone}), 200)
        texts: list[Json] = answer["messages"]
        return texts

    def bodies_to(self, person: Person) -> list[str]:
        return [text["body"] for text in self.texts_to(person)]

    def calls_to(self, person: Person) -> int:
        """Count the calls that asked the provider to create a text for a contact."""
        answer = _answer(self.simulator.get("/messages", params={"to": person.phone}), 200)
        calls: int = answer["calls"].get(person.phone, 0)
        return calls

    def wait_for_texts(
        self, person: Person, count: int, *, seconds: float = PATIENCE_SECONDS
    ) -> list[Json]:
        """Wait until the provider created so many texts for a contact; fail if there are more."""
        eventually(
            lambda: len(self.texts_to(person)) >= count,
            seconds=seconds,
            otherwise=lambda: self.simulator.get("/messages", params={"to": person.phone}).json(),
        )
        texts = self.texts_to(person)
        assert len(texts) == count, texts
        return texts

    def answer(self, person: Person, body: str, line: Line, **more: object) -> int | None:
        """Text from a contact's handset to a sender; return the webhook's status."""
        self._keep_private(body)
        to: Json = {"to": line.address}
        if line.address.startswith("MG"):
            [*_, last] = self.texts_to(person)
            to = {"to": last["from"], "messaging_service_sid": line.address}
        given = {"from": person.phone, **to, "body": body, **more}
        status: int | None = _answer(self.simulator.post("/inbound", json=given), 200)[
            "webhook_status"
        ]
        return status

    def behave(self, **behavior: object) -> None:
        """Change the provider's behavior."""
        _answer(self.simulator.post("/behaviour", json=behavior), 200)

    def wait_until_idle(self) -> None:
        """Wait until no text is about to be sent, so that the next fault hits the right one."""
        for sequence_id in set(self._sequence_of.values()) - self._idle:
            eventually(partial(self._is_idle, sequence_id))
            self._idle.add(sequence_id)
        self.wait_for_reports()

    def wait_for_reports(self) -> None:
        """Wait until the provider has made all its reports."""
        eventually(
            lambda: _answer(self.simulator.get("/totals"), 200)["open"] == 0,
            seconds=PATIENCE_SECONDS,
            otherwise=lambda: self.simulator.get("/totals").json(),
        )

    def _is_idle(self, sequence_id: str) -> bool:
        soon = datetime.now(UTC) + timedelta(minutes=2)
        return not any(
            row["activity"] == "sending"
            or (row["activity"] == "waiting" and datetime.fromisoformat(row["next_send_at"]) < soon)
            for row in self.tab(sequence_id, status="active", limit=200)["items"]
        )

    def _keep_private(self, *texts: str) -> None:
        """Remember what no history may hold, except short words that may occur by chance."""
        self.private |= {text for text in texts if len(text) > 5}

    def free_number(self, magic: str = "") -> str:
        """Return an unused number; ``magic`` as for ``person``."""
        codes = self._area_codes.setdefault(magic, iter(_area_codes()))
        if magic:
            return f"+1{next(codes)}5557{magic}"
        number = next(self._numbers)
        return f"+1415{555_1000 + number:07d}"


@dataclass(frozen=True)
class Story:
    """One contact in one sequence of one sender."""

    person: Person
    line: Line
    sequence_id: str
    enrollment_id: str


def _area_codes() -> Sequence[int]:
    return [code for code in range(201, 990) if code % 100 != 11 and code // 10 % 10 != 9]


def _answer(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, f"{response.request.url}: {response.text}"
    document: Json = response.json()
    return document
