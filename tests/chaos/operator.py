"""An operator who finds what is held for a person and releases it."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from tests.chaos.crowd import Crowd
from tests.chaos.stack import Site

_ROUND_SECONDS = 1.0


@dataclass(frozen=True)
class _Held:
    """An enrollment that waits for a person, and the text in question."""

    id: UUID
    phone: str
    body: str
    reason: str


_HELD = """
    SELECT e.id, c.phone, s.body, e.held_reason AS reason
    FROM enrollments e JOIN contacts c ON c.id = e.contact_id
    JOIN steps s ON s.version_id = e.version_id AND s.position = e.position
    WHERE e.status = 'active' AND e.held_reason IN ('outcome_unknown', 'destination_not_allowed')
"""
_SENDERS_ON_HOLD = "SELECT id FROM senders WHERE held_at IS NOT NULL"


class Operator:
    """Follows docs/operations.md; leaves a sender on hold to its probe.

    Attributes:
        tally: Counts of decisions by reason, and of senders' holds.
    """

    def __init__(self, site: Site, crowd: Crowd) -> None:
        self._site = site
        self._crowd = crowd
        self._tried_again: set[UUID] = set()
        self._on_hold: set[UUID] = set()
        self.tally: Counter[str] = Counter()

    async def work(self) -> None:
        """Release what is held until canceled."""
        while True:
            held = await self._find_held()
            for one in held:
                await self._release(one)
            await asyncio.sleep(_ROUND_SECONDS)

    async def _find_held(self) -> list[_Held]:
        """List what is held now; nothing while the database is down."""
        try:
            held, senders = await asyncio.to_thread(_read, self._site.database_url)
        except psycopg.OperationalError:
            return []
        self.tally["sender put on hold"] += len(senders - self._on_hold)
        self.tally["sender freed by its probe"] += len(self._on_hold - senders)
        self._on_hold = senders
        return held

    async def _release(self, held: _Held) -> None:
        decision = await self._decide(held)
        if decision == "finish":
            done = await self._crowd.finish(held.phone, held.id, "release", decision=decision)
        else:
            answer = await self._crowd.insist(
                "/api/enrollments/batch/release",
                {"enrollment_ids": [str(held.id)], "decision": decision},
            )
            done = answer["results"][0]["result"] == "released"
        # Evidence may have arrived, or someone may have ended it, since it was read.
        self.tally[f"held, {held.reason}: {decision if done else 'free already'}"] += 1

    async def _decide(self, held: _Held) -> str:
        """Decide by the provider's log; retry a forbidden destination once, then finish it."""
        if held.reason == "outcome_unknown":
            texts = await self._crowd.texts_to(held.phone)
            return "treat_as_sent" if _is_there(texts, held.body) else "retry"
        decision = "finish" if held.id in self._tried_again else "retry"
        self._tried_again.add(held.id)
        return decision


def _is_there(texts: list[dict[str, Any]], body: str) -> bool:
    return any(text["body"] == body for text in texts)


def _read(database_url: str) -> tuple[list[_Held], set[UUID]]:
    with psycopg.connect(database_url, connect_timeout=2) as connection:
        held = connection.cursor(row_factory=class_row(_Held)).execute(_HELD).fetchall()
        senders = connection.execute(_SENDERS_ON_HOLD).fetchall()
    return held, {row[0] for row in senders}
