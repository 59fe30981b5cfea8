"""Schemas of the audit log and the workspace's settings."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, field_validator

from api.schemas.base import Named, Schema
from api.schemas.contacts import ZoneName
from domain.sequences.timing import SendWindow
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
    rule_packs: list[str] | None
    """The rule packs that bind marketing texts, by id; null for all, those to come included."""
    require_consent: dict[Purpose, ConsentNeeded] = Field(
        description="Which consent texts take, by the purpose of their sequence."
    )
    texts_per_day: int | None = Field(
        description="Most texts to one person in 24 hours, over all sequences; null for no limit."
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
    rule_packs: Annotated[list[str], Field(max_length=100)] | None = Field(
        default=None, examples=[["us", "us-fl", "us-tx"]]
    )
    """Ids from `GET /api/rule-packs`; null for all."""
    texts_per_day: int | None = Field(
        default=None,
        description="Most texts to one person in 24 hours, over all sequences, 1 to 100; null for"
        " no limit.",
        examples=[3],
    )


class RulePackVersion(Schema):
    """What holds from one day on."""

    version: str
    effective_from: date
    effective_to: date | None = Field(description="The last day; null if no end is known.")
    retrieved: date = Field(description="When the sources were read.")
    sources: list[str]
    is_secondary: bool = Field(description="Whether the sources tell of the law in their words.")
    note: str
    hours: dict[Purpose, dict[str, list[str]]] = Field(
        description="By purpose, as a sequence's `send_window`; a purpose left out is not bound."
    )
    texts_per_day: int | None = Field(
        description="Most texts to one person in 24 hours; more of a sequence's wait."
    )
    closed_on_holidays: bool = Field(description="Whether nothing goes on public holidays.")

    @field_validator("hours", mode="before")
    @classmethod
    def _write_hours(cls, hours: Mapping[Purpose, SendWindow]) -> Any:  # noqa: ANN401 - as sent
        return {purpose: window.dump() for purpose, window in hours.items()}


class RulePack(Schema):
    """The rules of a country, or of a state or province, about when texts may go."""

    id: str = Field(examples=["us-fl"])
    name: str
    country: str = Field(description="ISO 3166-1.")
    state: str | None = Field(description="ISO 3166-2 without the country; null for all of it.")
    versions: list[RulePackVersion] = Field(description="None of them overlap.")
