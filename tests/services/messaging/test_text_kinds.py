"""Reactions, automatic replies, late replies and pauses for a reply.

The rules: docs/design.md, "Replies and opt-outs".
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.messaging.ports import Accepted
from domain.platform.errors import ConflictError, NotFoundError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import ConversationState, MessageStatus, TextKind
from domain.statuses.sequences import CountsAsReply, ReplyPolicy
from services.enrollments.pausing import Pausing
from services.messaging.conversations import Conversations
from services.messaging.inbox import Inbox
from services.messaging.kind_corrections import KindCorrections
from services.suppression.reviews import Reviews
from storage.messaging.inbox import ConversationFilter
from tests.kits.conversations import (
    ACTIVE,
    CONTINUE,
    NO_RESPONSE,
    PAUSE,
    RESPONDED,
    Person,
    Talk,
    ago,
    new_sid,
    talking,
)
from tests.worlds import ongoing

STOPPED = EnrollmentStatus.FINISHED_STOPPED
LIKED = "Liked \N{LEFT DOUBLE QUOTATION MARK}Text 1\N{RIGHT DOUBLE QUOTATION MARK}"
DRIVING = "I'm driving with Driving Focus turned on. I'll see your message when I get there."
ANY = CountsAsReply.ANY
NEEDS_REPLY = ConversationFilter(states=[ConversationState.NEEDS_REPLY])


@pytest.fixture
async def talk(database_url: str) -> AsyncIterator[Talk]:
    async with talking(database_url) as talk:
        yield talk


async def kinds(talk: Talk, person: Person) -> list[tuple[str, bool]]:
    return [(one.kind, one.is_reply) for one in await talk.received(person.phone)]


async def correct(talk: Talk, message_id: UUID, kind: TextKind = TextKind.HUMAN) -> Any:
    return await KindCorrections(talk.database).correct(message_id, kind, user_id=talk.user_id)


async def unanswered(talk: Talk) -> list[UUID]:
    page = await Inbox(talk.database).page(NEEDS_REPLY)
    return [one.contact.id for one in page.items]


async def ended(talk: Talk, **changes: Any) -> Person:
    """Make an enrollment that finished without a response."""
    person = await talk.texted(2, reply_window_seconds=0, **changes)
    await talk.ledger.close_enrollment(person.enrollment_id)
    assert await talk.statuses(person) == [NO_RESPONSE]
    return person


# What a text is


async def test_reaction_and_automatic_reply_are_no_replies(talk: Talk) -> None:
    person = await talk.texted()
    [ours] = await talk.attempts(person)
    await talk.text(person, LIKED)
    await talk.text(person, DRIVING)
    row = await talk.row(person)
    assert (row.status, row.replied_at, row.paused_at) == (ACTIVE, None, None)
    assert await talk.signals(person) == []
    reaction, automatic = await talk.received(person.phone)
    assert (reaction.kind, reaction.about_id) == ("reaction", ours.message_id)
    assert (automatic.kind, automatic.about_id) == ("auto_reply", None)
    assert await kinds(talk, person) == [("reaction", False), ("auto_reply", False)]
    await talk.send(person)


@pytest.mark.parametrize(
    "body",
    [
        'Liked "Something else"',
        "Loved an image",
        'What do you mean by "Text 1"?',
        "Liked your text",
        "I can't talk right now, tomorrow?",
    ],
)
async def test_text_in_doubt_is_a_persons_reply(talk: Talk, body: str) -> None:
    person = await talk.texted()
    await talk.text(person, body)
    assert await talk.statuses(person) == [RESPONDED]
    assert await kinds(talk, person) == [("human", True)]


async def test_reaction_to_a_text_that_was_not_sent_yet_is_human(talk: Talk) -> None:
    person = await talk.texted()
    await talk.text(person, LIKED.replace("1", "2"))
    assert await talk.statuses(person) == [RESPONDED]


async def test_reaction_to_a_picture_needs_a_picture(talk: Talk) -> None:
    picture = replace(ongoing("Look", 0), media_urls=("https://example.com/a.jpg",))
    sequence = await talk.active(steps=[picture, ongoing("Bye")])
    person = await talk.texted(sequence=sequence)
    await talk.text(person, "Loved an image")
    [text] = await talk.received(person.phone)
    [ours] = await talk.attempts(person)
    assert (text.kind, text.about_id) == ("reaction", ours.message_id)
    assert await talk.statuses(person) == [ACTIVE]


async def test_quoted_stop_opts_nobody_out_and_is_no_matter_for_a_review(talk: Talk) -> None:
    sequence = await talk.active(steps=[ongoing("Free? Reply STOP to stop", 0), ongoing("Bye")])
    person = await talk.texted(sequence=sequence)
    await talk.text(person, 'Disliked "Free? Reply STOP to..."')
    await talk.text(person, 'Disliked "Reply STOP to opt out"')  # not ours: a person's
    assert await kinds(talk, person) == [("reaction", False), ("human", True)]
    assert await talk.suppressions(person.phone) == []
    assert (await Reviews(talk.database).find()).items == []


async def test_any_text_counts_where_the_sequence_says_so(talk: Talk) -> None:
    person = await talk.texted(counts_as_reply=ANY)
    other = await talk.person(like=person)
    await talk.send(other)
    await talk.text(person, LIKED)
    assert await talk.statuses(person, other) == [RESPONDED, ACTIVE]
    assert await kinds(talk, person) == [("reaction", True)]
    assert await unanswered(talk) == [person.contact_id]


async def test_reaction_does_not_make_or_hide_an_unanswered_conversation(talk: Talk) -> None:
    quiet, asking = await talk.texted(), await talk.texted(on_reply=CONTINUE)
    await talk.text(quiet, LIKED)
    await talk.text(asking, "When?")
    await talk.text(asking, LIKED)
    assert await unanswered(talk) == [asking.contact_id]


async def test_marks_are_shown_on_the_text_reacted_to(talk: Talk) -> None:
    person = await talk.texted()
    for body in (
        LIKED,
        LIKED.replace("Liked", "Loved"),
        LIKED.replace("Liked", "Removed a like from"),
    ):
        await talk.text(person, body)
    conversations = Conversations(talk.database, public_base_url="https://segue.test")
    shown = await conversations.get(person.contact_id)
    assert [list(text.marks) for text in shown.texts] == [["\N{HEAVY BLACK HEART}"], [], [], []]
    earlier = await conversations.get(person.contact_id, limit=3)
    assert earlier.earlier is not None
    first = await conversations.get(person.contact_id, before=earlier.earlier)
    assert [list(text.marks) for text in first.texts] == [["\N{HEAVY BLACK HEART}"]]


# Corrected by a person


async def test_corrected_text_ends_what_it_would_have_ended_once(talk: Talk) -> None:
    person = await talk.texted()
    late_comer = await talk.person(like=person)
    came = await talk.text(person, DRIVING)
    await talk.send(late_comer)
    [text] = await talk.received(person.phone)

    corrected = await correct(talk, text.id)
    assert (corrected.kind, corrected.is_reply) == (TextKind.HUMAN, True)
    assert await talk.statuses(person, late_comer) == [RESPONDED, ACTIVE]
    assert (await talk.row(person)).replied_at == came.occurred_at
    assert await correct(talk, text.id) == corrected
    assert len(await talk.signals(person)) == 1
    noted = await talk.rows(
        "SELECT kind, user_id FROM enrollment_events WHERE enrollment_id = :id"
        " AND kind = 'kind_corrected'",
        id=person.enrollment_id,
    )
    assert [one.user_id for one in noted] == [talk.user_id]
    audited = await talk.rows("SELECT detail FROM audit_log WHERE action = 'message.set_kind'")
    assert [one.detail["was"] for one in audited] == ["auto_reply"]


async def test_corrected_text_pauses_or_is_remembered_by_policy(talk: Talk) -> None:
    pausing, going_on = await talk.texted(on_reply=PAUSE), await talk.texted(on_reply=CONTINUE)
    late = await ended(talk)
    for person in (pausing, going_on, late):
        await talk.text(person, LIKED)
        await correct(talk, (await talk.received(person.phone))[0].id)
    assert await talk.statuses(pausing, going_on, late) == [ACTIVE, ACTIVE, NO_RESPONSE]
    assert (await talk.row(pausing)).paused_reason == "replied"
    assert (await talk.row(going_on)).replied_at is not None
    assert (await talk.row(late)).replied_late_at is not None


async def test_corrected_text_that_counted_already_counts_no_second_time(talk: Talk) -> None:
    person = await talk.texted(on_reply=PAUSE, counts_as_reply=ANY)
    await talk.text(person, LIKED)
    await Pausing(talk.database, talk.rules).resume([person.enrollment_id], talk.user_id)
    await talk.text(person, DRIVING)
    await Pausing(talk.database, talk.rules).resume([person.enrollment_id], talk.user_id)
    for text in await talk.received(person.phone):
        await correct(talk, text.id)
    assert (await talk.row(person)).paused_at is None


async def test_correction_counts_where_any_text_counts_only_since(talk: Talk) -> None:
    """The text was one sequence's reply; the other's rule was another one when it came."""
    person = await talk.texted(on_reply=PAUSE, counts_as_reply=ANY)
    other = await talk.person(like=person, on_reply=PAUSE)
    await talk.send(other)
    await talk.text(person, LIKED)
    assert (await talk.row(person)).paused_reason == "replied"
    assert (await talk.row(other)).paused_at is None
    await talk.run(
        "UPDATE sequences SET counts_as_reply = 'any' WHERE id ="
        " (SELECT sequence_id FROM enrollments WHERE id = :id)",
        id=other.enrollment_id,
    )
    await Pausing(talk.database, talk.rules).resume([person.enrollment_id], talk.user_id)
    [text] = await talk.received(person.phone)
    await correct(talk, text.id)
    assert (await talk.row(person)).paused_at is None
    assert (await talk.row(other)).paused_reason == "replied"
    [told] = await talk.rows("SELECT data FROM events WHERE type = 'message.kind_changed'")
    assert told.data["enrollment_ids"] == [str(other.enrollment_id)]
    assert (told.data["was"], told.data["kind"]) == ("reaction", "human")


async def test_correction_long_afterwards_is_a_late_reply_from_the_end_on(talk: Talk) -> None:
    person = await talk.texted(2, reply_window_seconds=0)
    await talk.text(person, DRIVING)
    [text] = await talk.received(person.phone)
    await talk.ledger.close_enrollment(person.enrollment_id)
    for table, column, key in (
        ("enrollments", "ended_at", "contact_id"),
        ("enrollments", "last_message_at", "contact_id"),
        ("messages", "occurred_at", "contact_id"),
        ("attempts", "started_at", "message_id"),
    ):
        of = "SELECT id FROM messages WHERE contact_id = :id" if table == "attempts" else ":id"
        await talk.run(
            f"UPDATE {table} SET {column} = {column} - interval '90 days' WHERE {key} IN ({of})",  # noqa: S608
            id=person.contact_id,
        )
    await correct(talk, text.id)
    row = await talk.row(person)
    assert (row.status, row.replied_late_at) == (NO_RESPONSE, row.ended_at)
    [told] = await talk.rows(
        "SELECT data FROM events WHERE type = 'enrollment.replied_late' AND subject_id = :id",
        id=person.enrollment_id,
    )
    assert told.data["replied_late_at"] == told.data["ended_at"]


async def test_human_text_stays_human(talk: Talk) -> None:
    person = await talk.texted()
    await talk.text(person)
    [text] = await talk.received(person.phone)
    with pytest.raises(ConflictError) as refused:
        await correct(talk, text.id, TextKind.REACTION)
    assert refused.value.conflict == "only_to_human"
    [ours] = await talk.attempts(person)
    with pytest.raises(ConflictError) as refused:
        await correct(talk, ours.message_id)
    assert refused.value.conflict == "not_inbound"
    with pytest.raises(NotFoundError):
        await correct(talk, uuid4())
    assert (await correct(talk, text.id)).kind is TextKind.HUMAN


async def test_corrected_automatic_reply_that_may_opt_out_is_for_review(talk: Talk) -> None:
    person = await talk.texted()
    await talk.text(person, "Message blocking is active.")
    [text] = await talk.received(person.phone)
    assert text.kind == "auto_reply"
    await correct(talk, text.id)
    [review] = (await Reviews(talk.database).find()).items
    assert review.message_id == text.id


async def test_request_among_words_of_a_machine_is_a_reply_and_for_review(talk: Talk) -> None:
    person = await talk.texted()
    await talk.text(person, "I'm out of the office till Tuesday, please stop contacting me")
    [text] = await talk.received(person.phone)
    assert (text.kind, text.is_reply) == ("human", True)
    assert (await talk.row(person)).status == "finished_responded"
    [review] = (await Reviews(talk.database).find()).items
    assert review.message_id == text.id


async def test_quoted_request_that_is_not_ours_is_a_reply_and_for_review(talk: Talk) -> None:
    person = await talk.texted()
    await talk.text(person, '\U0001f44e "stop texting me"')
    assert (await talk.row(person)).status == "finished_responded"
    assert len((await Reviews(talk.database).find()).items) == 1


async def test_words_on_a_picture_are_a_reply_unless_the_last_text_has_one(talk: Talk) -> None:
    person = await talk.texted()
    await talk.text(person, "Loved an image")
    assert (await talk.row(person)).status == "finished_responded"


# Late


async def test_first_late_reply_is_noted_and_the_status_stays(talk: Talk) -> None:
    person = await ended(talk)
    await talk.text(person, LIKED)
    await talk.text(person, "HELP")
    assert (await talk.row(person)).replied_late_at is None
    first = await talk.text(person, "Sorry, I was away")
    await talk.text(person, "Still there?")
    row = await talk.row(person)
    assert (row.status, row.replied_late_at) == (NO_RESPONSE, first.occurred_at)
    assert (row.replied_at, await talk.signals(person)) == (None, [])
    assert await unanswered(talk) == [person.contact_id]


async def test_opt_out_is_no_late_reply(talk: Talk) -> None:
    person = await ended(talk)
    for body in ("STOP", "START", "please take me off your list"):
        await talk.text(person, body)
    assert (await talk.row(person)).replied_late_at is None


async def test_late_reply_has_to_come_within_30_days_from_the_same_sender(talk: Talk) -> None:
    other = uuid4()
    elsewhere = await talk.number(other)
    old, new = await ended(talk), await ended(talk)
    for person, days in ((old, 30.1), (new, 29.9)):
        await talk.run(
            "UPDATE attempts SET started_at = :at WHERE message_id IN"
            " (SELECT id FROM messages WHERE enrollment_id = :id)",
            id=person.enrollment_id,
            at=ago(days=days),
        )
    await talk.text(new, to=elsewhere)
    assert (await talk.row(new)).replied_late_at is None
    await talk.text(new)
    await talk.text(old)
    assert (await talk.row(new)).replied_late_at is not None
    assert (await talk.row(old)).replied_late_at is None


# Paused for a reply


async def test_reply_pauses_until_a_person_resumes_and_pauses_again(talk: Talk) -> None:
    person = await talk.texted(steps=3, on_reply=PAUSE)
    first = await talk.text(person)
    row = await talk.row(person)
    assert (row.status, row.activity, row.paused_reason) == (ACTIVE, "paused", "replied")
    assert (row.replied_at, row.next_send_at) == (first.occurred_at, None)
    assert await talk.signals(person) == []
    state = await talk.ask(person)
    assert isinstance(state, EnrollmentState)
    assert state.doing == "paused"

    pausing = Pausing(talk.database, talk.rules)
    assert (await pausing.pause([person.enrollment_id], talk.user_id))[0].result == "already_paused"
    await pausing.resume([person.enrollment_id], talk.user_id)
    row = await talk.row(person)
    assert (row.paused_at, row.paused_reason) == (None, None)
    await talk.send(person)
    await talk.text(person, "Me again")
    row = await talk.row(person)
    assert (row.paused_reason, row.replied_at) == ("replied", first.occurred_at)
    await pausing.resume([person.enrollment_id], talk.user_id)
    await talk.send(person)
    assert await talk.statuses(person) == [RESPONDED]


async def test_finished_while_paused_for_a_reply_is_responded(talk: Talk) -> None:
    replied, by_hand, both = [await talk.texted(on_reply=PAUSE) for _ in range(3)]
    pausing = Pausing(talk.database, talk.rules)
    await pausing.pause([by_hand.enrollment_id, both.enrollment_id], talk.user_id)
    paused_at = (await talk.row(both)).paused_at
    for person in (replied, both):
        await talk.text(person)
    row = await talk.row(both)
    assert (row.paused_at, row.paused_reason) == (paused_at, "replied")
    people = (replied, by_hand, both)
    await talk.finishing.mark_finished([one.enrollment_id for one in people], talk.user_id)
    assert await talk.statuses(*people) == [RESPONDED, STOPPED, RESPONDED]
    assert await talk.signals(replied) == [("mark_finished", RESPONDED)]


async def test_nothing_is_left_to_pause_after_the_last_text(talk: Talk) -> None:
    person = await talk.texted(2, on_reply=PAUSE)
    await talk.text(person)
    assert await talk.statuses(person) == [RESPONDED]
    assert await talk.signals(person) == [("reply_received", RESPONDED)]


@pytest.mark.parametrize(("steps", "status"), [(1, RESPONDED), (2, ACTIVE)])
async def test_text_under_way_goes_when_a_reply_pauses(
    talk: Talk, steps: int, status: EnrollmentStatus
) -> None:
    person = await talk.person(steps=steps, on_reply=PAUSE)
    call = await talk.open(person)
    await talk.text(person)
    row = await talk.row(person)
    assert (row.status, row.activity, row.paused_reason) == (ACTIVE, "sending", "replied")
    await talk.answer(call, Accepted(new_sid(), MessageStatus.QUEUED))
    row = await talk.row(person)
    assert row.status == status
    assert row.activity == (None if status is RESPONDED else "paused")


# In any order

STEPS = 3


@dataclass
class Expected:
    """What the rules say of one enrollment, told from the acts alone."""

    policy: ReplyPolicy
    counts: CountsAsReply
    status: EnrollmentStatus = ACTIVE
    sent: int = 0
    paused: str | None = None
    replied: bool = False
    late: bool = False
    machines: list[tuple[UUID, bool]] = field(default_factory=list)
    """Texts taken for no person's that somebody may correct, and whether they may be replies."""

    def reply(self) -> None:
        if self.status is NO_RESPONSE:
            self.late = True
        if self.status is not ACTIVE:
            return
        self.replied = True
        if self.policy is ReplyPolicy.FINISH or self.sent == STEPS:
            self.end(RESPONDED)
        elif self.policy is PAUSE:
            self.paused = "replied"

    def end(self, status: EnrollmentStatus) -> None:
        self.status, self.paused = status, None

    def facts(self) -> tuple[object, ...]:
        return self.status, self.paused, self.replied, self.late, self.sent


async def text_us(talk: Talk, person: Person, what: str, expected: Expected) -> None:
    """Receive a text, and say what follows by the rules."""
    is_active, answers = expected.status is ACTIVE, expected.sent > 0
    await talk.text(person, {"reaction": LIKED, "auto_reply": DRIVING, "human": "Hi"}[what])
    text = (await talk.received(person.phone))[-1]
    is_machine = what == "auto_reply" or (what == "reaction" and answers)
    assert text.kind == (what if is_machine else "human")
    counted = expected.counts is CountsAsReply.ANY and is_active and answers
    assert text.is_reply == (counted or not is_machine)
    if answers and (counted or not is_machine):
        expected.reply()
    if is_machine:
        expected.machines.append((text.id, answers and not counted))


async def send_or_close(talk: Talk, person: Person, what: str, expected: Expected) -> None:
    """Do what the workflow does, and say what follows by the rules."""
    is_active, may_send = expected.status is ACTIVE, expected.sent < STEPS
    if what == "send" and is_active and may_send and not expected.paused:
        await talk.send(person)
        expected.sent += 1
        if expected.sent == STEPS and expected.replied:
            expected.end(RESPONDED)
    elif what == "close":
        await talk.ledger.close_enrollment(person.enrollment_id)
        if is_active and not may_send:
            expected.end(NO_RESPONSE)


async def decide(talk: Talk, person: Person, what: str, expected: Expected) -> None:
    """Do what a person does, and say what follows by the rules."""
    pausing, ids = Pausing(talk.database, talk.rules), [person.enrollment_id]
    is_active = expected.status is ACTIVE
    match what:
        case "correct" if expected.machines:
            text_id, answers = expected.machines.pop()
            await correct(talk, text_id)
            if answers:
                expected.reply()
        case "pause":
            await pausing.pause(ids, talk.user_id)
            if is_active and expected.sent < STEPS:
                expected.paused = expected.paused or "by_hand"
        case "resume":
            await pausing.resume(ids, talk.user_id)
            expected.paused = None
        case "finish" if expected.sent > 1:
            await talk.finishing.mark_finished(ids, talk.user_id)
            if is_active:
                expected.end(RESPONDED if expected.paused == "replied" else STOPPED)


ACTS = {
    **dict.fromkeys(("human", "reaction", "auto_reply"), text_us),
    **dict.fromkeys(("send", "close"), send_or_close),
    **dict.fromkeys(("correct", "pause", "resume", "finish"), decide),
}
WEIGHTS = (2, 3, 2, 9, 3, 3, 1, 2, 1)


@pytest.mark.parametrize("policy", [ReplyPolicy.FINISH, CONTINUE, PAUSE])
@pytest.mark.parametrize("counts", CountsAsReply)
async def test_enrollments_end_as_the_rules_say_in_any_order(
    talk: Talk, policy: ReplyPolicy, counts: CountsAsReply
) -> None:
    sequence = await talk.sequence(
        steps=STEPS, on_reply=policy, counts_as_reply=counts, reply_window_seconds=0
    )
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    for _ in range(5):
        person, expected = await talk.person(sequence), Expected(policy, counts)
        done = []
        for what in chance.choices(list(ACTS), WEIGHTS, k=12):
            done.append(what)
            await ACTS[what](talk, person, what, expected)
            row = await talk.row(person)
            paused = row.paused_reason if row.paused_at is not None else None
            late, replied = row.replied_late_at is not None, row.replied_at is not None
            found = (EnrollmentStatus(row.status), paused, replied, late, row.step)
            assert found == expected.facts(), (seed, done)
