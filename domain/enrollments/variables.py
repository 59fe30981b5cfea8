"""Variables of an enrollment: what its texts say besides the contact's fields."""

from collections.abc import Collection, Mapping

from domain.contacts.fields import KEY_LENGTH, Value, check_key, checked
from domain.platform.errors import InvalidFieldError, Problems
from domain.statuses.contacts import FieldType

MAX_VARIABLES = 50
"""Most variables of an enrollment."""


def checked_variables(
    given: Mapping[str, object], *, field: str, used: Collection[str]
) -> dict[str, Value | None]:
    """Return variables as they are stored, by key; None for one that is null or blank.

    ``used`` are the keys that texts of the sequence name. A key that none names is refused: it is
    most likely a typo, and the text would say its fallback instead.

    Raises:
        InvalidRequestError: All that are wrong, each as ``field.key``: ``invalid_key``,
            ``reserved_key``, ``unused_variable``, ``invalid_value``, or as ``names.clean``.
        InvalidFieldError: ``too_many_variables``.
    """
    if len(given) > MAX_VARIABLES:
        raise InvalidFieldError(
            field,
            f"has {len(given)} variables; give at most {MAX_VARIABLES}",
            code="too_many_variables",
        )
    problems = Problems()
    values: dict[str, Value | None] = {}
    for key, value in given.items():
        path = f"{field}.{key[:KEY_LENGTH]}"
        with problems.collect():
            check_key(key, field=path, taken={})
            values[key] = _checked(value, path)
            if values[key] is not None and key not in used:
                raise _unused(path, key, used)
    problems.raise_any()
    return values


def _checked(value: object, path: str) -> Value | None:
    match value:
        case None:
            return None
        case bool():
            return value
        case int() | float():
            return checked(FieldType.NUMBER, value, field=path)
        case str():
            return checked(FieldType.TEXT, value, field=path)
        case _:
            raise InvalidFieldError(
                path, "is not a value; write a text, a number, true or false", code="invalid_value"
            )


def _unused(path: str, key: str, used: Collection[str]) -> InvalidFieldError:
    names = ", ".join(sorted(used))
    remedy = f"they name {names}" if used else "they name none; leave it out"
    return InvalidFieldError(
        path, f"is in no text of the sequence as {{{{{key}}}}}; {remedy}", code="unused_variable"
    )
