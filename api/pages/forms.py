"""Reading forms, and showing errors beside their fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from api import problems
from domain.platform.errors import ConflictError, InvalidFieldError, InvalidRequestError, SegueError
from services.access.sessions import SignInRefusedError
from services.platform.rate_limits import TooManyRequestsError


class FormFields(BaseModel):
    """Base of all forms: texts as typed, so that they can be shown again.

    Every field has a default, because browsers leave out unticked boxes and people leave fields
    empty. The services validate the values.
    """

    model_config = ConfigDict(extra="ignore", from_attributes=True)

    @field_validator("*", mode="before")
    @classmethod
    def _write_none_as_empty(cls, value: object, info: ValidationInfo) -> object:
        """Show a field without a value as an empty text, when a form is filled from a record."""
        is_text = cls.model_fields[info.field_name or ""].annotation is str
        return "" if value is None and is_text else value


_Option = TypeVar("_Option", bound=StrEnum)


def chosen(options: type[_Option], value: str, *, field: str, reason: str | None = None) -> _Option:
    """Return the option with a value.

    Raises:
        InvalidFieldError: There is none.
    """
    try:
        return options(value)
    except ValueError:
        reason = reason or f"must be one of {', '.join(options)}"
        raise InvalidFieldError(field, reason, code="unknown_value") from None


def chosen_id(value: str, *, field: str, reason: str = "is missing; choose one") -> UUID:
    """Return the id that was chosen.

    Raises:
        InvalidFieldError: The value is no id.
    """
    try:
        return UUID(value)
    except ValueError:
        raise InvalidFieldError(field, reason) from None


@dataclass(frozen=True)
class FormErrors:
    """Errors of a form.

    Attributes:
        fields: Reasons by the field's path as the service names it; each continues the label.
        general: An error that is not about one field, as a sentence; empty if there is none.
        status: HTTP status of the page that shows the errors.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    general: str = ""
    status: int = 200

    @classmethod
    def of(cls, error: SegueError, **renamed: str) -> "FormErrors":
        """Turn a service's error into errors of a form.

        ``renamed`` has the form's names of fields by the service's, where they differ.

        Raises:
            SegueError: The error itself, if no change to the form could help.
        """
        match error:
            case InvalidFieldError():
                found = {error.field: error.reason}
            case InvalidRequestError():
                found = {one.field: one.reason for one in error.errors}
            case ConflictError() | TooManyRequestsError() | SignInRefusedError():
                problem = problems.of_domain(error)
                return cls(general=sentence(problem.detail), status=problem.status)
            case _:
                raise error
        return cls({renamed.get(name, name): reason for name, reason in found.items()}, status=422)

    def __bool__(self) -> bool:
        """Whether there is any error."""
        return bool(self.fields or self.general)


def sentence(text: str) -> str:
    """Write a text as a sentence."""
    ended = text if text.endswith((".", "!", "?")) else f"{text}."
    return f"{ended[:1].upper()}{ended[1:]}"
