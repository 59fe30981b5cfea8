"""What is wrong with a form, to be said beside its fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from api import problems
from domain.platform.errors import ConflictError, InvalidFieldError, InvalidRequestError, SegueError
from services.access.sessions import SignInRefusedError
from services.platform.rate_limits import TooManyRequestsError


class FormFields(BaseModel):
    """Base of what comes from a form: texts as typed, so that they can be shown again.

    Every field has a default: browsers leave out unticked boxes and people leave fields empty. The
    services say what is wrong with a value.
    """

    model_config = ConfigDict(extra="ignore")


_Chosen = TypeVar("_Chosen", bound=StrEnum)


def chosen(words: type[_Chosen], value: str, *, field: str) -> _Chosen:
    """Read which of a closed set was chosen.

    Raises:
        InvalidFieldError: None of them.
    """
    try:
        return words(value)
    except ValueError:
        allowed = ", ".join(words)
        raise InvalidFieldError(field, f"must be one of {allowed}", code="unknown_value") from None


@dataclass(frozen=True)
class FormErrors:
    """What is wrong.

    Attributes:
        fields: By the field's path as the service names it; each reads on from the field's label.
        general: What is not about one field, as a sentence; empty if nothing is.
        status: HTTP status of the page that shows it.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    general: str = ""
    status: int = 200

    @classmethod
    def of(cls, error: SegueError, **renamed: str) -> "FormErrors":
        """Read what a service refused; anything a form cannot help is raised again.

        Args:
            error: The refusal.
            renamed: The form's name of a field by the service's, where they differ.

        Raises:
            SegueError: The error itself, if it is about who one is or what is not there.
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
        """Whether anything is wrong."""
        return bool(self.fields or self.general)


NO_ERRORS = FormErrors()


def sentence(text: str) -> str:
    """Write a refusal's words as a sentence."""
    ended = text if text.endswith((".", "!", "?")) else f"{text}."
    return f"{ended[:1].upper()}{ended[1:]}"
