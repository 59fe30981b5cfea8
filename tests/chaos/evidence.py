"""The evidence of a run: the provider's record, rows, workflows and people's actions."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg.rows import dict_row
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from tests.chaos.stack import Site
from workflows.client import DATA_CONVERTER, enrollment_workflow_id

_ENDING_SECONDS = 5
"""How long a workflow may take to end after its row became final."""

FAILED_WORDS = frozenset({"failed", "undelivered", "canceled"})


class ActionKind(StrEnum):
    """An action of a person that ends an enrollment."""

    REPLY = "reply"
    STOP = "stop"
    FINISH = "finish"


@dataclass
class UserAction:
    """An action of a person, seen from outside.

    Attributes:
        phone: The contact's.
        enrollment_id: The enrollment that was finished or whose text was answered. A STOP is
            about all; a text from someone who had seen none of ours, None, may be a reply or not.
        asked_at: A moment before the request.
        answered_at: A moment after the answer with 2xx; None: there was none.
        sid: The provider's id of a text.
        newest: For a finish: the provider's newest message when it was answered.
    """

    kind: ActionKind
    phone: str
    enrollment_id: UUID | None
    asked_at: datetime
    answered_at: datetime | None = None
    sid: str | None = None
    newest: int | None = None


@dataclass(frozen=True)
class Text:
    """An outbound text that the provider accepted."""

    number: int
    to: str
    body: str
    status: str
    attempt_id: UUID | None

    @property
    def failed(self) -> bool:
        """Return whether the provider says that it did not arrive."""
        return self.status in FAILED_WORDS


@dataclass(frozen=True)
class Attempt:
    """An attempt's row and the time of its commit."""

    id: UUID
    enrollment_id: UUID
    step: int
    outcome: str
    committed_at: datetime


@dataclass(frozen=True)
class Enrollment:
    """An enrollment's row and the time of the commit that ended it.

    Attributes:
        bodies: Its steps' texts.
        magic: The last digits of a number that misbehaves, or empty.
        result: Its workflow's result; None: it has not ended.
        started: Whether it has a workflow: not if it ended before Temporal was told.
    """

    id: UUID
    phone: str
    bodies: tuple[str, ...]
    magic: str
    status: str
    held_reason: str | None
    ended_at: datetime | None
    result: str | None
    started: bool


@dataclass(frozen=True)
class Evidence:
    """All that the judge uses.

    Attributes:
        received: The provider's ids of all texts from handsets.
        stored: How often each is in the conversation.
        applied_at: When each took effect.
    """

    enrollments: Sequence[Enrollment]
    attempts: Sequence[Attempt]
    texts: Sequence[Text]
    actions: Sequence[UserAction]
    received: Sequence[str] = ()
    stored: Counter[str] = field(default_factory=Counter)
    applied_at: Mapping[str, datetime | None] = field(default_factory=dict)


_ENROLLMENTS = """
    SELECT e.id, c.phone, e.status, e.held_reason,
        (SELECT pg_xact_commit_timestamp(k.xmin) FROM chaos_commits k
            WHERE k.kind = 'end' AND k.subject_id = e.id) AS ended_at,
        ARRAY(SELECT s.body FROM steps s WHERE s.version_id = e.version_id ORDER BY s.position)
            AS bodies
    FROM enrollments e JOIN contacts c ON c.id = e.contact_id
"""
_ATTEMPTS = """
    SELECT a.id, m.enrollment_id, m.step, a.outcome,
        pg_xact_commit_timestamp(k.xmin) AS committed_at
    FROM attempts a JOIN messages m ON m.id = a.message_id
    JOIN chaos_commits k ON k.kind = 'attempt' AND k.subject_id = a.id
"""


async def collect(site: Site, actions: Sequence[UserAction]) -> Evidence:
    """Collect the evidence when all work has ended."""
    with psycopg.connect(site.database_url, row_factory=dict_row) as connection:
        enrollments = connection.execute(_ENROLLMENTS).fetchall()
        attempts = connection.execute(_ATTEMPTS).fetchall()
        stored = connection.execute(
            "SELECT provider_sid FROM messages WHERE direction = 'inbound'"
        ).fetchall()
        applied = connection.execute(
            "SELECT provider_sid, applied_at FROM inbound_events"
        ).fetchall()
    return Evidence(
        enrollments=await _with_results(site, enrollments),
        attempts=[Attempt(**row) for row in attempts],
        texts=texts_of(site),
        actions=actions,
        received=[one["sid"] for one in messages_of(site) if one["direction"] == "inbound"],
        stored=Counter(row["provider_sid"] for row in stored),
        applied_at={row["provider_sid"]: row["applied_at"] for row in applied},
    )


def messages_of(site: Site) -> list[dict[str, Any]]:
    """List all messages of the provider."""
    answer = httpx.get(f"{site.stack.simulator_url}/_simulator/messages", timeout=30)
    found: list[dict[str, Any]] = answer.raise_for_status().json()["messages"]
    return found


def texts_of(site: Site) -> list[Text]:
    """List the outbound texts that the provider accepted, oldest first."""
    return [
        Text(one["number"], one["to"], one["body"], one["status"], _attempt_id(one))
        for one in messages_of(site)
        if one["direction"] != "inbound"
    ]


def _attempt_id(message: Mapping[str, Any]) -> UUID | None:
    found = re.search(r"attempt=([0-9a-f]{32})", message["status_callback"] or "")
    return UUID(found[1]) if found else None


async def _with_results(site: Site, rows: Sequence[dict[str, Any]]) -> list[Enrollment]:
    client = await Client.connect(site.temporal.address, data_converter=DATA_CONVERTER)
    found = []
    for row in rows:
        magic = re.search(r"5557(\d{3})$", row["phone"])
        known = {**row, "bodies": tuple(row["bodies"]), "magic": magic[1] if magic else ""}
        final = row["status"] != "active"
        started, result = await _result(client, row["id"]) if final else (True, None)
        found.append(Enrollment(**known, started=started, result=result))
    return found


async def _result(client: Client, enrollment_id: UUID) -> tuple[bool, str | None]:
    """Return whether an enrollment has a workflow, and its result; wait a little for that."""
    handle = client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
    try:
        described = await handle.describe()
        if described.status is WorkflowExecutionStatus.RUNNING:
            async with asyncio.timeout(_ENDING_SECONDS):
                return True, str((await handle.result())["status"])
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND, None
    except TimeoutError:
        return True, None
    if described.status is not WorkflowExecutionStatus.COMPLETED:
        return True, None
    return True, str((await handle.result())["status"])
