"""``ETag`` and ``If-Match``: a change applies only to what its author has read (RFC 9110, 13.1.1).

A route that reads or changes answers ``return tagged(response, shown)``. One that changes also
takes ``if_match: IfMatchDep`` and passes ``if_match.on(Schema)`` to its use case, which calls that
with what it has locked, before it writes anything.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Response

from api.schemas.base import Schema
from domain.platform.errors import InvalidFieldError, SegueError

_Shown = TypeVar("_Shown", bound=Schema)

_HEADER = "If-Match"
_TAG = r'(?:W/)?"[^"]*"'
_TAGS = rf"\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*"

TAGGED: dict[str, Any] = {
    "headers": {
        "ETag": {
            "description": "Tells this state from every other; for `If-Match`.",
            "schema": {"type": "string"},
        }
    }
}
"""Documents the header: ``responses={200: TAGGED}`` of a route."""


class PreconditionFailedError(SegueError):
    """Someone changed it since the client read it; nothing was done."""

    code = "precondition_failed"

    def __init__(self) -> None:
        super().__init__(
            "it is not as you read it; read it again, and send your change with the new ETag"
        )


@dataclass(frozen=True)
class IfMatch:
    """The ETags of which a request requires one: empty for ``*``, None if it requires nothing."""

    tags: frozenset[str] | None

    def on(self, schema: type[Schema]) -> Callable[[object | None], None]:
        """Make the check of what is about to be changed, which the API shows by ``schema``.

        It is called with None if there is nothing yet, and raises a ``PreconditionFailedError``.
        Weak ETags never match, as the RFC says.
        """

        def check(current: object | None) -> None:
            if self.tags is None:
                return
            if current is None:
                raise PreconditionFailedError
            if self.tags and etag_of(schema.model_validate(current)) not in self.tags:
                raise PreconditionFailedError

        return check


def etag_of(shown: Schema) -> str:
    """Compute the strong ETag of an answer: a hash of its JSON."""
    digest = hashlib.blake2b(shown.model_dump_json().encode(), digest_size=12)
    return f'"{digest.hexdigest()}"'


def tagged(response: Response, shown: _Shown) -> _Shown:
    """Add its ``ETag`` to an answer."""
    response.headers["ETag"] = etag_of(shown)
    return shown


async def _if_match(
    given: Annotated[
        str | None,
        Header(
            alias=_HEADER,
            description=(
                "The `ETag` of what you have read. If it has changed since: 412"
                " `precondition_failed`, and nothing is done."
            ),
            json_schema_extra={"pattern": f"^(?:{_TAGS})$"},
        ),
    ] = None,
) -> IfMatch:
    if given is None:
        return IfMatch(None)
    if not re.fullmatch(_TAGS, given.strip()):
        raise InvalidFieldError(
            _HEADER, 'is not an ETag; send it as it came, in quotes: "1f3a"', code="invalid_etag"
        )
    return IfMatch(frozenset(re.findall(_TAG, given)))


IfMatchDep = Annotated[IfMatch, Depends(_if_match)]
"""What a request requires of the thing it changes."""
