"""The errors of the product, independent of HTTP and Temporal."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

_Found = TypeVar("_Found")


class SegueError(Exception):
    """Base of every error the product raises on purpose.

    Subclasses take typed facts and build their own message.

    Attributes:
        code: Stable identifier in snake case, sent to clients.
    """

    code: ClassVar[str] = "error"


class InvalidFieldError(SegueError):
    """A field's value is invalid; final.

    Attributes:
        field: Path of the field in the request, dotted, list indices included
            (``steps.1.body``).
        reason: What is wrong with it, and what to write instead.
    """

    code = "invalid_field"

    def __init__(self, field: str, reason: str, *, code: str = "invalid_field") -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
        self.field_code = code


class InvalidRequestError(SegueError):
    """Fields of one request are invalid, at least one, in the request's order; final."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[InvalidFieldError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = tuple(errors)


class Problems:
    """Collects the errors of a request's fields, so that all are raised at once."""

    def __init__(self) -> None:
        self._found: list[InvalidFieldError] = []

    def add(self, field: str, reason: str, *, code: str = "invalid_field") -> None:
        """Add one error."""
        self._found.append(InvalidFieldError(field, reason, code=code))

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Add the errors that the block raises."""
        try:
            yield
        except InvalidFieldError as error:
            self._found.append(error)
        except InvalidRequestError as error:
            self._found += error.errors

    def of(self, check: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the check returns
        """Return a check's result; None, and add the error, if it raises one."""
        with self.collect():
            return check()
        return None

    def raise_any(self) -> None:
        """Raise an ``InvalidRequestError`` if there is any error."""
        if self._found:
            raise InvalidRequestError(self._found)


class NotFoundError(SegueError):
    """There is no thing of this kind (``sequence``) with this id, or it is gone; final."""

    code = "not_found"

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"no {kind} with id {key}")
        self.kind = kind
        self.key = key


def required(found: _Found | None, kind: str, key: object) -> _Found:
    """Return what was read.

    Raises:
        NotFoundError: Nothing was found.
    """
    if found is None:
        raise NotFoundError(kind, key)
    return found


class ConflictError(SegueError):
    """The present state does not allow the request.

    Attributes:
        conflict: Stable code of the conflict (``sequence_not_active``).
        reason: What stands in the way and what to do about it.
        facts: Further members for the problem document (ids and counts only).
    """

    code = "conflict"

    def __init__(self, conflict: str, reason: str, **facts: str | int) -> None:
        super().__init__(reason)
        self.conflict = conflict
        self.reason = reason
        self.facts = facts


class GoneError(SegueError):
    """What the request goes on from is not kept any more; final.

    Attributes:
        what: Stable code of what is gone (``event_not_kept``).
    """

    code = "gone"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(reason)
        self.what = what
