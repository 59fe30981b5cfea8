"""What all schemas share: their base, pages of a list, moments and numbers."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import plain_serializer_function_ser_schema

from api.field_problems import OUT_OF_RANGE, TOO_MANY_FIELDS
from domain.platform.moments import written

_Item = TypeVar("_Item", bound="Schema")

_FIELDS_MOST = 100
_AN_ID = "6f1c9f0e-3b1d-4a55-9c3e-0a8f2d7b4c11"

Omissible: Any = Field(default_factory=lambda: None)
"""Default of what may be left out of a change but may not be null."""


def limits(**schema: Any) -> Any:  # noqa: ANN401 - a FieldInfo, for Annotated
    """Document limits of a field, in the words of JSON Schema, that its use case checks."""
    return Field(json_schema_extra=schema)


SHOWN_ONCE = (
    "Shown in this answer and never again: null when the answer to an `Idempotency-Key` is"
    " repeated."
)
"""Description of a secret."""


def _of_our_time(moment: datetime) -> datetime:
    if not 1900 <= moment.year <= 2200:
        raise PydanticCustomError(OUT_OF_RANGE, "must be in the years 1900 to 2200")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_of_our_time)]
"""A date and time with its zone."""


def _write_moments(part: Any) -> None:  # noqa: ANN401 - a node of a core schema, or what it holds
    """Give every type of moment within a core schema its serializer."""
    if isinstance(part, list | tuple):
        for one in part:
            _write_moments(one)
    elif isinstance(part, dict):
        if part.get("type") == "datetime":
            part["serialization"] = plain_serializer_function_ser_schema(written, when_used="json")
        else:
            for one in part.values():
                _write_moments(one)


class Schema(BaseModel):
    """Base of every body and answer; unknown fields are refused.

    ``model_validate`` also reads the use cases' dataclasses. A field's docstring describes it in
    the document, where a ``description`` does not fit the field's line. Moments are written alike
    everywhere: see ``domain.platform.moments``.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True, use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /
    ) -> CoreSchema:
        """Serialize every moment in the one form that all answers have."""
        schema = handler(source)
        _write_moments(schema)
        return schema

    @model_validator(mode="before")
    @classmethod
    def _not_too_much(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Refuse very many fields at once, instead of naming each as unknown."""
        if isinstance(given, dict) and len(given) > _FIELDS_MOST:
            raise PydanticCustomError(TOO_MANY_FIELDS, f"has more than {_FIELDS_MOST} fields")
        return given

    def as_fields(self) -> Any:  # noqa: ANN401 - the TypedDict of a use case
        """Return all fields, as a use case takes them."""
        return self.model_dump()

    def as_changes(self) -> Any:  # noqa: ANN401 - as above
        """Return the fields that were given, as a use case takes them."""
        return self.model_dump(exclude_unset=True)


class Named(Schema):
    """Something by its name."""

    id: UUID
    name: str


class ListedUser(Named):
    """A user, in short."""


class Listing(Schema, Generic[_Item]):
    """One page of a list."""

    # Pydantic would search the source of each Listing[...], which does not exist, for docstrings.
    # That takes longer than all else that it does with them.
    model_config = ConfigDict(use_attribute_docstrings=False)

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Name the pages of one list, as the document shows them: ``ContactList``."""
        return f"{params[0].__name__}List"

    items: list[_Item]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null on the last one."
    )


PhoneText = Annotated[
    str,
    Field(
        max_length=64,
        description="International, or national in the workspace's country; stored as E.164.",
        examples=["+14155550123"],
    ),
]
