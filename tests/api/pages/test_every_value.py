"""Every named value is shown in words and breaks no page."""

import ast
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import httpx
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlmodel import SQLModel

from api import examples
from api.pages.enrollments import SHAPES
from api.pages.labels import LABELS
from api.pages.settings.users import ROLE_WORDS
from domain.event_webhooks.events import EventType
from domain.platform.provider_errors import explain
from domain.statuses.access import Role
from domain.statuses.enrollments import (
    STATUS_WORDS,
    EnrollmentPhase,
    HeldReason,
    PauseReason,
    StepOutcome,
)
from domain.statuses.messaging import (
    MESSAGE_LABELS,
    AttemptOutcome,
    Direction,
    MessageStatus,
    TextKind,
)
from domain.statuses.progress import FAILURES
from domain.statuses.sequences import (
    CountsAsReply,
    Purpose,
    ReplyPolicy,
    SequenceKind,
    SequenceState,
)
from domain.statuses.suppression import ReviewDecision, TextMeaning
from services.enrollments.selection import ResultCode
from services.messaging.holds import Decision
from storage.platform.database import Database
from tests.api.pages.conftest import Browse

ROOT = Path(__file__).resolve().parents[3]
PANEL = {"HX-Request": "true", "HX-Target": "panel"}

ENROLLMENT = (
    *("/enrollments/{enrollment}", "/contacts/{contact}", "/sequences/{sequence}/contacts"),
    "/sequences/{sequence}/figures",
)
SEQUENCE = (
    *("/sequences/{sequence}", "/sequences", "/sequences/{sequence}/steps"),
    *("/sequences/{sequence}/settings", "/sequences/{sequence}/contacts"),
    *("/sequences/{sequence}/figures", "/sequences/{sequence}/enrol"),
)
TALK = (
    *("/enrollments/{enrollment}", "/conversations/{contact}"),
    "/conversations?only=all&owner=all",
)
CONTACT = (
    *("/contacts/{contact}", "/contacts", "/contacts/{contact}/edit"),
    "/sequences/{sequence}/enrol/people",
)
OPT_OUT = ("/contacts/{opted_out}", "/settings/opt-outs", "/conversations/{opted_out}")
JOB = ("/jobs/{job}", "/jobs/{job}/progress", "/settings/activity")

Words = Mapping[Any, str | None]
"""The words of the first page for each value; None if it shows none."""

SHOWN: Mapping[str, tuple[Sequence[str], Words]] = {
    "users.role": (
        ("/settings/users", "/settings/users/{user}"),
        {role: f">{label}</span>" for role, label, _ in ROLE_WORDS},
    ),
    "contacts.line_type": (CONTACT, LABELS.line_types),
    "contact_fields.type": (("/settings/fields",), LABELS.field_types),
    "sequences.kind": (
        SEQUENCE[1:],
        {SequenceKind.ONGOING: "Relative delays", SequenceKind.SCHEDULED: "Fixed dates"},
    ),
    "sequence_templates.kind": (
        ("/sequences/new",),
        {
            SequenceKind.ONGOING: "2 texts, relative delays",
            SequenceKind.SCHEDULED: "2 texts, fixed dates",
        },
    ),
    "sequences.on_reply": (
        ("/sequences/{sequence}/settings",),
        {policy: f'value="{policy.value}" checked' for policy in ReplyPolicy},
    ),
    "sequences.counts_as_reply": (
        ("/sequences/{sequence}/settings",),
        {counts: f'value="{counts.value}" checked' for counts in CountsAsReply},
    ),
    "sequences.purpose": (
        ("/sequences/{sequence}/settings",),
        {purpose: f'value="{purpose.value}" checked' for purpose in Purpose},
    ),
    "steps.late": (
        ("/sequences/{sequence}/steps",),
        {late: f'"{late.value}" selected>{words}<' for late, words in LABELS.late.items()},
    ),
    "sequences.state": (SEQUENCE, {state: state.value.capitalize() for state in SequenceState}),
    "enrollments.status": (
        ENROLLMENT,
        {status: f"{words.label}</span>" for status, words in STATUS_WORDS.items()},
    ),
    "enrollments.activity": (
        ENROLLMENT,
        {
            EnrollmentPhase.WAITING: "Next text",
            EnrollmentPhase.SENDING: "Sending",
            EnrollmentPhase.AWAITING_REPLY: "Waiting for a reply",
            EnrollmentPhase.PAUSED: "Paused",
            EnrollmentPhase.HELD: "Held",
        },
    ),
    "enrollments.held_reason": (
        ENROLLMENT,
        {reason: words.why for reason, words in LABELS.held.items()},
    ),
    "enrollments.paused_reason": (
        ENROLLMENT,
        {PauseReason.BY_HAND: "Paused", PauseReason.REPLIED: " because they replied."},
    ),
    "messages.kind": (TALK, {**LABELS.text_kinds, TextKind.HUMAN: None}),
    "messages.direction": (
        TALK,
        {Direction.INBOUND: "bubble is-inbound", Direction.OUTBOUND: "bubble is-outbound"},
    ),
    "messages.status": (TALK, MESSAGE_LABELS),
    "attempts.outcome": (
        TALK,
        {
            AttemptOutcome.OPEN: "is being sent",
            AttemptOutcome.UNKNOWN: "the provider gave no answer",
            AttemptOutcome.ACCEPTED: "Step 1 was sent",
            AttemptOutcome.REFUSED: "Step 1 failed",
            AttemptOutcome.ABSENT: "never reached the provider",
            AttemptOutcome.ASSUMED_SENT: "Step 1 was sent",
            AttemptOutcome.WRITTEN_OFF: None,
        },
    ),
    "attempts.provider_status": (
        TALK,
        {
            **dict.fromkeys(MessageStatus, "Step 1 was sent"),
            **dict.fromkeys((MessageStatus.DELIVERED, MessageStatus.READ), "Step 1 was delivered"),
            **dict.fromkeys(FAILURES, "Step 1 failed"),
        },
    ),
    "suppressions.source": (OPT_OUT, LABELS.opt_out_sources),
    "jobs.kind": (JOB, LABELS.jobs),
    "jobs.state": (JOB[::-1], LABELS.job_states),
    "reviews.decision": (
        ("/reviews?decided=true",),
        {
            ReviewDecision.OPT_OUT: ">Opted out <time",
            ReviewDecision.NOT_AN_OPT_OUT: ">Kept texting <time",
        },
    ),
}
"""By column: the pages that read it, and the words of the first for each value."""

BESIDES: Mapping[str, str] = {
    "steps.late": "late_hours = CASE WHEN :value = 'expire' THEN 5 END",
    "enrollments.status": "activity = CASE WHEN :value = 'active' THEN 'waiting' END,"
    " ended_at = CASE WHEN :value <> 'active' THEN now() END, error_code = 30003",
    "enrollments.activity": "held_reason = CASE WHEN :value = 'held' THEN 'outcome_unknown' END,"
    " paused_at = CASE WHEN :value = 'paused' THEN now() END",
    "enrollments.held_reason": "activity = 'held', held_code = 21408",
    "enrollments.paused_reason": "activity = 'paused', paused_at = now()",
    "messages.direction": "step = NULL, pass = NULL",
    "attempts.outcome": "error_code = 30003",
    "attempts.provider_status": "outcome = 'accepted', error_code = 30003",
    "jobs.kind": "state = 'done'",
    "reviews.decision": "decided_at = now(), decided_by = (SELECT id FROM users LIMIT 1)",
}
"""Other columns to set, for the table's constraints or to show more."""

ONLY: Mapping[str, str] = {
    "users.role": "email <> 'admin@example.com'",
    "enrollments.activity": "status = 'active'",
    "enrollments.held_reason": "status = 'active'",
    "enrollments.paused_reason": "status = 'active'",
    "messages.direction": "provider_sid IS NULL AND enrollment_id IS NOT NULL",
}
"""The rows to change, if not all."""

TIMELINE: Mapping[str, tuple[str, str]] = {
    "because paused": ("blocked", '{"because": "paused"}'),
    **{
        f"because {reason.value}": ("blocked", f'{{"because": "{reason.value}", "code": 21408}}')
        for reason in HeldReason
    },
    **{
        f"waits for {because}": (
            "waits",
            f'{{"because": "{because}", "until": "2026-12-01T09:00:00+00:00"}}',
        )
        for because in ("window", "cap", "spacing", "retry", "due", "settling", "something new")
    },
    **{
        f"released to {decision.value}": ("released", f'{{"decision": "{decision.value}"}}')
        for decision in Decision
    },
    "reconciled": ("reconciled", '{"sids": ["SM1", "SM2"]}'),
    "doubled": ("doubled", '{"step": 1}'),
    "skipped": ("skipped", '{"step": 2, "missed": "2026-12-01T09:00:00.000Z"}'),
    "paused": ("paused", "{}"),
    "paused for a reply": ("paused", '{"because": "replied"}'),
    "replied late": ("replied_late", "{}"),
    "corrected": ("kind_corrected", '{"was": "reaction"}'),
    "resumed": ("resumed", "{}"),
}
"""The kinds and details of timeline notes."""


class Everything:
    """One row of each table, and the pages about them."""

    def __init__(
        self, database: Database, client: httpx.AsyncClient, ids: Mapping[str, str]
    ) -> None:
        self.database = database
        self.client = client
        self.ids = {
            "contact": ids[examples.CONTACT],
            "enrollment": ids[examples.ENROLLMENT],
            "sequence": ids[examples.IDS["sequence_id"]],
            "job": ids[examples.IDS["job_id"]],
            "user": ids[examples.IDS["user_id"]],
            "endpoint": ids[examples.IDS["endpoint_id"]],
        }

    async def run(self, statement: str, **values: object) -> None:
        """Run SQL without the triggers that keep final statuses final."""
        async with self.database.transaction() as tx:
            await tx.execute(text("SET LOCAL session_replication_role = replica"))
            await tx.execute(text(statement), values)

    async def write_texts(self) -> None:
        """Add a text to the contact with an attempt, and one from them."""
        about = {"contact": self.ids["contact"], "enrollment": self.ids["enrollment"]}
        for direction, status, step in (("outbound", "sent", 1), ("inbound", "received", None)):
            await self.run(
                "INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id,"
                " step, pass, body, status) SELECT :id, :direction, id, phone,"
                " (SELECT id FROM senders), :enrollment, :step, :step, 'Hi', :status"
                " FROM contacts WHERE id = :contact",
                **about,
                id=uuid4(),
                direction=direction,
                status=status,
                step=step,
            )
        await self.run(
            "INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before,"
            " answered_at, provider_status)"
            " SELECT :id, id, 1, 'accepted', now(), now(), now(), 'sent' FROM messages"
            " WHERE step = 1",
            id=uuid4(),
        )
        await self.run("UPDATE contacts SET line_type = 'mobile'")
        async with self.database.transaction() as tx:
            opted_out = await tx.scalar(
                text("SELECT id FROM contacts WHERE phone = (SELECT phone FROM suppressions)")
            )
        self.ids["opted_out"] = str(opted_out)

    async def shown(
        self, *paths: str, case: object, headers: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the text of pages; a failure names the case."""
        texts = []
        for path in paths:
            answer = await self.client.get(path.format(**self.ids), headers=headers)
            assert answer.status_code == 200, f"{case}, {path}: {answer.text[-500:]}"
            texts.append(answer.text)
        return texts

    async def parts(self, *paths: str, case: object) -> list[str]:
        """Return what htmx gets of pages: templates that the whole pages include."""
        return await self.shown(*paths, case=case, headers=PANEL)


@pytest.fixture
async def everything(there: dict[str, str], browse: Browse, database: Database) -> Everything:
    everything = Everything(database, await browse(Role.ADMIN), there)
    await everything.write_texts()
    return everything


def columns() -> dict[str, type[Enum]]:
    """Find the columns that hold one of an enumeration's values, but for copies of others."""
    return {
        f"{table.name}.{column.name}": column.type.enum_class
        for table in SQLModel.metadata.tables.values()
        if table.name != "enrollment_counts"  # its statuses are those of `enrollments`
        for column in table.columns
        if isinstance(column.type, sqlalchemy.Enum) and column.type.enum_class is not None
    }


def test_every_column_of_named_values_is_shown_by_some_page() -> None:
    assert columns().keys() == SHOWN.keys()
    for column, (_, words) in SHOWN.items():
        assert words.keys() == set(columns()[column]), column


@pytest.mark.parametrize("column", SHOWN)
async def test_every_value_of_a_column_is_shown(everything: Everything, column: str) -> None:
    paths, words = SHOWN[column]
    table, name = column.split(".")
    besides = f", {BESIDES[column]}" if column in BESIDES else ""
    for value, said in words.items():
        await everything.run(
            f"UPDATE {table} SET {name} = CAST(:value AS varchar){besides}"  # noqa: S608 - ours
            f" WHERE {ONLY.get(column, 'true')}",
            value=value.value,
        )
        first, *_ = await everything.shown(*paths, case=value)
        assert said is None or said in first, f"{value}: {said}"
    await everything.parts(*paths, case=column)


async def test_conversation_is_shown_for_every_kind_of_text(everything: Everything) -> None:
    for meaning in TextMeaning:
        await everything.run(
            "UPDATE messages SET keyword = :keyword WHERE direction = 'inbound'",
            keyword=meaning.value,
        )
        panel, talk, _ = await everything.shown(*TALK, case=meaning)
        assert LABELS.meanings[meaning] in panel, meaning
        assert LABELS.meanings[meaning] in talk, meaning
    await everything.parts(*TALK, case="as parts")


async def test_every_note_is_shown(everything: Everything) -> None:
    path = "/enrollments/{enrollment}"
    for number, (name, (kind, detail)) in enumerate(TIMELINE.items()):
        await everything.run(
            "INSERT INTO enrollment_events (enrollment_id, at, kind, detail)"
            " VALUES (:id, now(), :kind, CAST(:detail AS jsonb))",
            id=everything.ids["enrollment"],
            kind=kind,
            detail=detail,
        )
        (panel,) = await everything.shown(path, case=name)
        assert panel.count('<span class="timeline-mark') == number + 4, name
    (part,) = await everything.parts(path, case="as a part")
    assert part.count('<span class="timeline-mark') == len(TIMELINE) + 3


def test_every_timeline_note_has_words() -> None:
    noted = {
        argument.value
        for layer in ("services", "storage")
        for path in (ROOT / layer).rglob("*.py")
        if "timeline.note" in (source := path.read_text())
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", None) == "note"
        and ast.unparse(call.func) == "timeline.note"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
    assert noted >= {"blocked", "released", "paused", "resumed"}
    assert noted <= SHAPES.keys()


async def test_retried_text_shows_reason_and_time(everything: Everything) -> None:
    """It does not look like an ordinary wait."""
    await everything.run(
        "UPDATE messages SET status = 'undelivered', error_code = 30003,"
        " next_try_at = '2099-12-01T14:30Z' WHERE step = 1"
    )
    await everything.run("UPDATE attempts SET reported_failed = true, error_code = 30003")
    await everything.run(
        "UPDATE enrollments SET due_at = now(), next_send_at = '2099-12-01T14:30Z'"
        " WHERE status = 'active'"
    )
    pages = ("/enrollments/{enrollment}", "/sequences/{sequence}/contacts")
    panel, people = await everything.shown(*pages, case="whole")
    await everything.parts(*pages, case="as parts")
    at = "Tue, Dec 1, 2099, 9:30 AM (New York)"
    reason = explain(30003)
    for html in (panel, people):
        assert reason in html
        assert f'data-tip="{at}"' in html
        assert "Next text" not in html
    assert "Not delivered, retrying" in people
    assert f"<strong>Not delivered</strong> <em>{reason} (30003)</em>" in panel
    assert f"Step 1 was not delivered, retrying {at}" in panel
    assert f"not delivered ({reason.rstrip('.')}), so it is tried again" in panel
    assert "moved into the send window" not in panel


async def test_every_outcome_of_a_step_can_be_listed(everything: Everything) -> None:
    for outcome in StepOutcome:
        path = f"/sequences/{{sequence}}/contacts?outcome={outcome.value}&outcome_step=1"
        (shown,) = await everything.shown(path, case=outcome)
        assert LABELS.step_outcomes[outcome] in shown, outcome
        await everything.parts(path, case=outcome)


async def test_every_type_of_event_is_shown(everything: Everything) -> None:
    path = "/settings/webhooks/{endpoint}"
    (form,) = await everything.shown("/settings/webhooks/new", case="form")
    for kind in EventType:
        await everything.run("UPDATE events SET type = :type", type=kind.value)
        (endpoint,) = await everything.shown(path, case=kind)
        assert LABELS.event_types[kind] in endpoint, kind
        assert LABELS.event_types[kind] in form or kind is EventType.TEST_PING, kind
    await everything.parts(path, case="as a part")


def test_every_row_result_has_words() -> None:
    told = set(get_args(ResultCode))
    assert told
    assert told <= LABELS.results.keys()
