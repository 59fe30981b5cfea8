"""Schemas of the audit log and the workspace's settings."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.schemas.base import Named, Schema
from api.schemas.contacts import ZoneName
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose


class AuditUser(Named):
    """Who did something."""


class AuditEntry(Schema):
    """Who did what to whom."""

    id: int
    at: datetime
    user: AuditUser | None = Field(description="Null if no one was signed in.")
    token_id: UUID | None = Field(description="The API token it was done with.")
    action: str = Field(examples=["enrollment.finish"])
    subject_kind: str | None = Field(examples=["enrollment"])
    subject_id: UUID | None
    detail: dict[str, str | int | bool | None] = Field(description="Codes, ids and counts.")
    address: str | None = Field(description="The network address it came from.")


class WorkspaceSettings(Schema):
    """Settings that apply to everyone."""

    time_zone: str | None
    """IANA name; null where `WORKSPACE_TIME_ZONE` decides."""
    effective_time_zone: str = Field(description="The one that applies.")
    hour_cycle: Literal[12, 24] = Field(description="Whether pages show 12 or 24 hours.")
    require_consent: dict[Purpose, ConsentNeeded] = Field(
        description="Which consent texts take, by the purpose of their sequence."
    )


class WorkspaceChanges(Schema):
    """What to change of the workspace's settings; what is left out stays."""

    time_zone: ZoneName | None = None
    hour_cycle: Literal[12, 24] = 12
    require_consent: dict[Purpose, ConsentNeeded] = Field(
        default_factory=dict,
        description="Which consent texts take, by the purpose of their sequence; those left out"
        " stay.",
        examples=[{"marketing": "written"}],
    )
