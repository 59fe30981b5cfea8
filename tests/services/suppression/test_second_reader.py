"""A second reader over HTTP: what it is asked, and what its answers do."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from domain.statuses.suppression import OptOutSource, ReviewDecision
from domain.suppression.second_reading import SecondReaderRules
from services.messaging.inbound import Inbound
from services.suppression.erasure import Erasure
from services.suppression.reviews import Reviews
from services.suppression.second_reader import SecondReader
from standalone.ports import free_port
from tests.kits.conversations import ACTIVE, CONTINUE, OPTED_OUT, Person, Talk, ago, talking

PASSED = "you folks are relentless, enough is enough"
DOUBTED = "Please stop texting me until Monday"
DRIVING = "I'm driving with Driving Focus turned on. I'll see your message when I get there."


@dataclass
class Model:
    """An API like OpenAI's on this machine.

    Attributes:
        verdicts: What it answers about texts by their words; None for a status of 503, digits for
            that status.
        raw: What it answers instead, as it stands.
        seen: What it was asked, in order: the header with the key, and the masked text.
        gate: Holds its answers up until it is set.
        arrived: Counts what it is asked.
    """

    verdicts: dict[str, str | None] = field(default_factory=dict)
    raw: str | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    seen: list[tuple[str | None, str]] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    @property
    def asked(self) -> list[str]:
        return [text for _, text in self.seen]

    async def answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked["model"] == "a-model"
        text: str = json.loads(asked["messages"][-1]["content"])["text"]
        self.seen.append((request.headers.get("Authorization"), text))
        self.arrived.release()
        await self.gate.wait()
        if self.raw is not None:
            return web.Response(text=self.raw)
        verdict = self.verdicts.get(text, "no")
        if verdict is None:
            return web.Response(status=503)
        if verdict.isdecimal():
            return web.Response(status=int(verdict))
        content = json.dumps({"verdict": verdict, "reason": f"finds it\n{verdict}"})
        return web.json_response({"choices": [{"message": {"content": content}}]})


@dataclass
class Kit:
    """A world with a second reader."""

    talk: Talk
    model: Model

    def reader(self, **changes: Any) -> SecondReader:
        url = f"http://127.0.0.1:{self.model.port}/v1"
        rules = replace(SecondReaderRules(url, "a-model", "a-key"), **changes)
        return SecondReader(self.talk.database, rules)

    async def texted(self, body: str, **facts: Any) -> Person:
        """Add a contact in a sequence that goes on after replies, and receive a text of theirs."""
        person = await self.talk.texted(on_reply=CONTINUE)
        await self.talk.text(person, body, **facts)
        return person

    async def reviews(self, *people: Person) -> list[str | None]:
        """Return the reasons of people's reviews; "none" where there is no review."""
        found: list[str | None] = []
        for person in people:
            rows = await self.talk.rows(
                "SELECT r.reason FROM reviews r JOIN messages m ON m.id = r.message_id"
                " WHERE m.phone = :phone",
                phone=person.phone,
            )
            found.append(rows[0].reason if rows else "none")
        return found

    async def erase(self, person: Person) -> None:
        erasure = Erasure(self.talk.database, self.talk.rules)
        await erasure.erase(person.contact_id, self.talk.user_id)

    async def notes(self) -> int:
        return len(await self.talk.rows("SELECT FROM second_readings"))

    async def make_due(self) -> None:
        await self.talk.run("UPDATE second_readings SET next_try_at = now()")


@pytest.fixture
async def kit(database_url: str) -> AsyncIterator[Kit]:
    model = Model()
    model.gate.set()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", model.port).start()
    async with talking(database_url) as talk:
        await talk.run("DELETE FROM second_readings")
        talk.inbound = Inbound(talk.database, has_second_reader=True)
        yield Kit(talk, model)
    await runner.cleanup()


async def test_verdicts_add_reviews_once(kit: Kit) -> None:
    """Keywords, clear requests, reactions and automatic answers are no matter for it."""
    for body in ("STOP", "HELP", "Please stop texting me", DRIVING):
        await kit.texted(body)
    assert await kit.notes() == 0
    kit.model.verdicts = {
        "opt": "opt_out",
        "perhaps": "unsure",
        "fine": "no",
        DOUBTED: "opt_out",
        "[name] at [number]": "maybe",
    }
    [opt, perhaps, fine, doubted, named] = [
        await kit.texted(body) for body in ("opt", "perhaps", "fine", DOUBTED, "X")
    ]
    [row] = await kit.talk.rows("SELECT * FROM contacts WHERE id = :id", id=named.contact_id)
    await kit.talk.text(named, f"{row.last_name} at {named.phone}")

    assert await kit.reader().read() == 6
    assert await kit.reader().read() == 0

    assert kit.model.seen == [("Bearer a-key", text) for text in kit.model.asked]
    assert sorted(kit.model.asked) == sorted([*kit.model.verdicts, "X"])
    assert await kit.reviews(opt, perhaps, fine, doubted, named) == [
        "Second reader: finds it opt_out",
        "Second reader: finds it unsure",
        "none",
        "Second reader: finds it opt_out",
        "none",
    ]
    assert await kit.talk.statuses(opt, perhaps, fine, doubted) == [ACTIVE] * 4
    assert await kit.talk.suppressions(opt.phone) == []


async def test_clear_opt_out_opts_out_as_of_the_text_if_so_set(kit: Kit) -> None:
    """With the reason, which an erasure of the text takes along."""
    kit.model.verdicts = {PASSED: "opt_out", "hmm": "unsure"}
    clear, unclear, back = [
        await kit.texted(body, at=ago(minutes=5)) for body in (PASSED, "hmm", PASSED)
    ]
    await kit.talk.text(back, "START", at=ago(minutes=1))

    assert await kit.reader(opts_out=True).read() == 3

    assert await kit.talk.statuses(clear, unclear) == [OPTED_OUT, ACTIVE]
    [evidence] = await kit.talk.suppressions(clear.phone)
    assert (evidence.source, evidence.user_id) == (OptOutSource.PLAIN_OPT_OUT, None)
    assert evidence.reason == "Second reader: finds it opt_out"
    assert evidence.occurred_at < ago(minutes=4)
    assert await kit.talk.signals(clear) == [("opted_out", OPTED_OUT)]
    assert await kit.talk.suppressions(back.phone) == []
    assert await kit.reviews(clear, unclear) == ["none", "Second reader: finds it unsure"]
    await kit.erase(clear)
    [kept] = await kit.talk.rows("SELECT * FROM suppressions WHERE id = :id", id=evidence.id)
    assert (kept.phone, kept.reason, kept.message_id, kept.lifted_at) == (None, None, None, None)


async def test_what_is_decided_or_suppressed_stays(kit: Kit) -> None:
    """Whether that was before the question or while it was asked; an erased text is no matter."""
    kit.model.verdicts = dict.fromkeys((DOUBTED, "a", "b"), "opt_out")
    reviews = Reviews(kit.talk.database)

    async def decide(person: Person) -> None:
        [text] = await kit.talk.received(person.phone)
        decision = ReviewDecision.NOT_AN_OPT_OUT
        await reviews.decide(text.id, decision, user_id=kit.talk.user_id)

    before = [await kit.texted(body) for body in (DOUBTED, "a", "b")]
    await decide(before[0])
    await kit.talk.suppress_by_hand(before[1].phone)
    await kit.erase(before[2])
    assert await kit.reader(opts_out=True).read() == 0
    assert (kit.model.asked, await kit.notes()) == ([], 0)

    meanwhile = [await kit.texted(body) for body in (DOUBTED, "a", "b")]
    kit.model.gate.clear()
    reading = asyncio.create_task(kit.reader(opts_out=True).read())
    for _ in range(3):
        await kit.model.arrived.acquire()
    await decide(meanwhile[0])
    await kit.talk.suppress_by_hand(meanwhile[1].phone)
    await kit.erase(meanwhile[2])
    kit.model.gate.set()
    assert await reading == 3

    for decided, suppressed in (before[:2], meanwhile[:2]):
        assert await kit.talk.statuses(decided, suppressed) == [ACTIVE, ACTIVE]
        assert await kit.talk.suppressions(decided.phone) == []
        [evidence] = await kit.talk.suppressions(suppressed.phone)
        assert evidence.source == OptOutSource.BY_HAND
        assert await kit.reviews(decided, suppressed) == [None, "none"]


async def test_text_without_an_answer_comes_again_until_it_is_old(kit: Kit) -> None:
    """One that the reader cannot answer holds up no other for long; nonsense is an answer."""
    kit.model.verdicts = {"a": None, "b": "unsure"}
    people = [await kit.texted(body) for body in "ab"]

    assert await kit.reader().read() == 1  # the same four at once
    assert await kit.reader().read() == 0  # not due
    waits = await kit.talk.rows(
        "SELECT tries, next_try_at - now() > interval '50 seconds' AS later FROM second_readings"
    )
    assert [(row.tries, row.later) for row in waits] == [(1, True)]
    await kit.make_due()
    kit.model.gate.clear()
    assert await kit.reader(answer_within=timedelta(milliseconds=50)).read() == 0
    kit.model.gate.set()
    await kit.make_due()
    assert await kit.reader(url=f"http://127.0.0.1:{free_port()}").read() == 0
    assert await kit.notes() == 1
    await kit.make_due()
    asked = len(kit.model.asked)
    assert await kit.reader(give_up=timedelta(0)).read() == 0
    assert (len(kit.model.asked), await kit.notes()) == (asked, 0)

    kit.model.raw = "I would rather talk about the weather"
    people.append(await kit.texted("c"))
    assert await kit.reader(opts_out=True).read() == 1
    assert await kit.notes() == 0
    assert await kit.reviews(*people) == ["none", "Second reader: finds it unsure", "none"]


async def test_text_that_the_reader_refuses_holds_up_no_other(kit: Kit) -> None:
    """A wrong key or too many questions are no answer: nothing is taken that is not asked then."""
    kit.model.verdicts = {"a": "400", "b": "unsure", "c": "401", "f": "429"}
    people = [await kit.texted(body) for body in "ab"]
    assert await kit.reader().read() == 2
    assert await kit.reviews(*people) == ["none", "Second reader: finds it unsure"]

    for body in "cdefgh":
        await kit.texted(body)
    kit.model.seen.clear()
    assert await kit.reader().read() == 2
    assert sorted(kit.model.asked) == list("cdef")
    waits = await kit.talk.rows(
        "SELECT tries, next_try_at > now() AS later FROM second_readings ORDER BY tries"
    )
    assert [(row.tries, row.later) for row in waits] == [(0, False)] * 2 + [(1, True)] * 2


async def test_nothing_is_noted_without_a_second_reader(kit: Kit) -> None:
    kit.talk.inbound = Inbound(kit.talk.database)
    await kit.texted(PASSED)
    assert await kit.notes() == 0
