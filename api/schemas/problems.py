"""What goes over the wire about errors."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import Omissible
from domain.statuses.access import Role, TokenScope
from domain.statuses.sequences import SequenceState


class _Open(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class FieldProblem(_Open):
    """What is wrong with one field of a request."""

    model_config = ConfigDict(from_attributes=True)

    field: str = Field(examples=["steps.1.body"])
    """Its path as it was sent, dotted, list indices from 0 included."""
    code: str = Field(description="Stable; docs/problems.md lists all.", examples=["missing"])
    message: str = Field(
        description="Continues from the field's name; says what to write instead.",
        examples=["is missing; give it"],
    )


class RowError(FieldProblem):
    """What is wrong with one field of a row."""

    reason: str = Field(
        description="The same as `message`, which took its place.",
        json_schema_extra={"deprecated": True},
    )


class Problem(_Open):
    """An error (RFC 9457); what does not apply is left out."""

    type: str = Field(examples=["urn:segue:problem:phone_taken"])
    title: str = Field(examples=["Phone taken"])
    status: int = Field(examples=[409])
    detail: str = Field(description="For people: what is wrong, and the way out.")
    code: str = Field(
        description="Stable; decide by this. docs/problems.md lists all.", examples=["phone_taken"]
    )
    errors: list[FieldProblem] = Field(
        default_factory=list, description="For 422: each wrong field."
    )
    away: list[str] = Omissible
    """`not_ready`: what cannot be reached."""
    contact_id: UUID = Omissible
    """`phone_taken`, `external_id_taken`: the contact who has the number or the id."""
    count: int = Omissible
    """`active_enrollments`: how many there are."""
    field_id: UUID = Omissible
    """`field_taken`: the field that has the key."""
    group_id: UUID = Omissible
    """`group_taken`: the group that has the name."""
    kind: str = Omissible
    """`not_found`: the kind of thing that is missing."""
    needed_role: Role = Omissible
    """`forbidden`: the least role that may do it."""
    needed_scope: TokenScope = Omissible
    """`missing_scope`: the scope that the token lacks."""
    sender_id: UUID = Omissible
    """`sender_taken`: the sender that has the number or service."""
    sequences: int = Omissible
    """`field_in_use`: how many sequences have texts that say the field."""
    state: SequenceState = Omissible
    """`sequence_not_active`, `invalid_transition`: the state the sequence is in."""
    version: int = Omissible
    """`version_outdated`: the version of the steps that someone saved meanwhile."""
