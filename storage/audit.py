"""The audit log: who did what to whom."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Transaction


async def add(
    tx: Transaction,
    *,
    user_id: UUID | None,
    token_id: UUID | None,
    address: str | None,
    action: str,
    subject_kind: str | None,
    subject_ids: list[UUID],
    detail: Mapping[str, Any],
) -> None:
    """Add one entry for each subject, one without a subject if there is none."""
    subjects: list[UUID] | list[None] = subject_ids or [None]
    await tx.execute(
        text(
            """
            INSERT INTO audit_log
                (user_id, token_id, address, action, subject_kind, subject_id, detail)
            SELECT :user_id, :token_id, :address, :action, :subject_kind, subject_id,
                CAST(:detail AS jsonb)
            FROM unnest(CAST(:subject_ids AS uuid[])) AS subject_id
            """
        ),
        {
            "user_id": user_id,
            "token_id": token_id,
            "address": address,
            "action": action,
            "subject_kind": subject_kind,
            "subject_ids": subjects,
            "detail": json.dumps(detail),
        },
    )
