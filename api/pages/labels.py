"""Labels of codes, read from labels.toml."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from domain.event_webhooks.events import DeliveryState, EventType
from domain.messaging.snoozing import SendLater, SnoozeUntil
from domain.statuses.contacts import ConsentNeeded, FieldType, LineType
from domain.statuses.enrollments import HeldReason, StepOutcome, WaitReason
from domain.statuses.jobs import JobKind, JobState
from domain.statuses.messaging import TextKind
from domain.statuses.sequences import LatePolicy, Purpose
from domain.statuses.suppression import OptOutSource, ReviewDecision, TextMeaning
from services.jobs.enroll_preview import Prediction
from services.messaging.holds import Decision


class HeldLabels(BaseModel):
    """Why an enrollment is held, and what to do about it."""

    why: str
    remedy: str


class SubjectLabels(BaseModel):
    """What the audit log calls something: without a name, many, one that is gone, one by name."""

    one: str
    many: str
    gone: str
    named: str = "{}"


class Labels(BaseModel):
    """All labels; those of an enum have every one of its values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: Mapping[str, str]
    last_texts: Mapping[str, str]
    jobs: Mapping[JobKind, str]
    job_states: Mapping[JobState, str]
    field_types: Mapping[FieldType, str]
    line_types: Mapping[LineType, str]
    consent_for: Mapping[Purpose, str]
    consent_needed: Mapping[ConsentNeeded, str]
    opt_out_sources: Mapping[OptOutSource, str]
    review_decisions: Mapping[ReviewDecision, str]
    step_outcomes: Mapping[StepOutcome, str]
    late: Mapping[LatePolicy, str]
    held: Mapping[HeldReason, HeldLabels]
    attempts: Mapping[str, str]
    waits: Mapping[str, str]
    wait_reasons: Mapping[WaitReason, str]
    releases: Mapping[Decision, str]
    received: Mapping[TextMeaning, str]
    meanings: Mapping[TextMeaning, str]
    text_kinds: Mapping[TextKind, str]
    conversations: Mapping[str, str]
    snooze: Mapping[SnoozeUntil, str]
    send_later: Mapping[SendLater, str]
    inboxes: Mapping[str, str]
    ways: Mapping[str, str]
    columns: Mapping[str, str]
    previews: Mapping[Prediction, str]
    left_out: Mapping[str, str]
    not_enrolled: Mapping[str, str]
    enroll_fields: Mapping[str, str]
    days: Mapping[str, str]
    event_types: Mapping[EventType, str]
    delivery_states: Mapping[DeliveryState, str]
    delivery_errors: Mapping[str, str]
    actions: Mapping[str, str]
    subjects: Mapping[str, SubjectLabels]
    jobs_told: Mapping[str, str]
    audit_details: Mapping[str, str]

    @model_validator(mode="after")
    def _no_code_is_missing(self) -> Self:
        for name, field in type(self).model_fields.items():
            codes, _ = get_args(field.annotation)
            if issubclass(codes, StrEnum) and set(getattr(self, name)) != set(codes):
                raise ValueError(f"{name} has not every {codes.__name__}")
        return self


LABELS = Labels.model_validate(
    tomllib.loads(Path(__file__).with_name("labels.toml").read_text(encoding="utf-8"))
)
