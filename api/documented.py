"""What the OpenAPI document says of many routes alike: groups, problems, headers."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from api.problems import MEDIA_TYPE

TAGS: Mapping[str, str] = {
    "audit": "Who did what to whom.",
    "contacts": "The people that texts go to.",
    "conversations": "Texts to and from contacts, and who answers them.",
    "enrollments": "Contacts in sequences: enrolling them, how far they are, what ends them.",
    "events": "What Segue tells other programs, and how it was delivered.",
    "exports": "Lists as CSV files.",
    "fields": "A workspace's own facts about its contacts.",
    "groups": "Named sets of contacts.",
    "health": "Whether the service is alive, and what it needs can be reached.",
    "jobs": "Work in the background: its progress and the result of each row.",
    "media": "Pictures in texts.",
    "messages": "Single texts.",
    "reports": "What came of the people enrolled in a range of days.",
    "reviews": "Texts that may ask not to be texted.",
    "saved-replies": "Texts to insert into what is written to contacts.",
    "senders": "The numbers and Messaging Services that texts go out from.",
    "sequences": "What is texted, when, and what a reply does.",
    "session": "The session of a browser.",
    "settings": "What applies to the whole workspace.",
    "suppressions": "Numbers that are not texted, with their evidence.",
    "users": "Who may use Segue, their tokens and sessions.",
    "webhooks": "What Twilio calls, and what event endpoints are sent.",
}
"""The groups of routes."""

_MEANINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "400": ("The body is not JSON, or not in UTF-8.", ()),
    "401": (
        "`unauthorized`: there is no token or session, or it is not valid.",
        ("WWW-Authenticate",),
    ),
    "403": (
        "`forbidden` names the `needed_role`, `missing_scope` the `needed_scope`.",
        (),
    ),
    "404": ("`not_found`: nothing of this `kind` has this id.", ()),
    "409": ("The present state does not allow it; `code` says what stands in the way.", ()),
    "410": ("What you ask for is too old and no longer kept.", ()),
    "412": ("`precondition_failed`: it has changed since it was read.", ()),
    "413": ("`body_too_large`.", ()),
    "415": ("`unsupported_media_type`.", ()),
    "422": ("`errors` names each wrong field; a single one gives the problem its code.", ()),
    "429": (
        "`too_many_requests`: try again after `Retry-After`.",
        ("Retry-After", "RateLimit", "RateLimit-Policy"),
    ),
    "503": (
        "A part is unavailable or overloaded: try again after `Retry-After`.",
        ("Retry-After",),
    ),
    "4XX": ("A request that cannot be read.", ()),
    "default": ("Any other error.", ()),
}


def reference(section: str, name: str) -> dict[str, str]:
    """Refer to a shared part of the document."""
    return {"$ref": f"#/components/{section}/{_NAMES.get(name, name)}"}


_NAMES = {
    "400": "Malformed",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "NotFound",
    "409": "Conflict",
    "410": "Gone",
    "412": "PreconditionFailed",
    "413": "TooLarge",
    "415": "UnsupportedMediaType",
    "422": "Invalid",
    "429": "TooManyRequests",
    "503": "Unavailable",
    "4XX": "Refused",
    "default": "Problem",
}

PROBLEM_CONTENT: Mapping[str, Any] = {MEDIA_TYPE: {"schema": reference("schemas", "Problem")}}
"""The body of every error."""

PROBLEMS: Mapping[str, Any] = {
    _NAMES[status]: {
        "description": meaning,
        "content": PROBLEM_CONTENT,
        **({"headers": {name: reference("headers", name) for name in headers}} if headers else {}),
    }
    for status, (meaning, headers) in _MEANINGS.items()
}
"""The answers of all routes that are errors."""


def _header(description: str, **schema: object) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **schema}}


HEADERS: Mapping[str, Any] = {
    "Idempotent-Replayed": _header(
        "Set if this is the answer to an earlier request with the same `Idempotency-Key`.",
        enum=["true"],
    ),
    "Location": _header("The address of what was created or begun.", format="uri-reference"),
    "Preference-Applied": _header("The preference that was followed.", enum=["respond-async"]),
    "RateLimit": _header(
        "What is left of the quota for such a request, and in how many seconds it starts afresh"
        " (draft-ietf-httpapi-ratelimit-headers-10).",
        examples=['"default";r=0;t=1200'],
    ),
    "RateLimit-Policy": _header(
        "The quota and its window in seconds.", examples=['"default";q=50000;w=3600']
    ),
    "Retry-After": {
        "description": "How many seconds to wait before asking again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": _header("How to show who you are."),
}
"""The headers of answers; api/etags.py documents its own."""

_NAMED = re.compile(r"\b(4\d\d)(?= `| for | if | unless )")
"""How a route's description names a status: ``409 `phone_taken` ...``, ``404 for ...``."""


def problem_statuses(operation: Mapping[str, Any]) -> set[str]:
    """List the statuses of an operation's errors: those that it names, and those of its parts."""
    found = set(_NAMED.findall(operation["description"]))
    if operation["security"]:
        found |= {"401", "403", "503"}
    for parameter in operation.get("parameters", ()):
        found |= {"422"}
        if parameter["in"] == "path":
            found |= {"404"}
        found |= {"Idempotency-Key": {"409"}, "If-Match": {"412"}}.get(parameter["name"], set())
    if "requestBody" in operation:
        found |= {"400", "413", "415", "422", "503"}
    return found & set(_MEANINGS) or {"4XX"}


def header_names(operation: Mapping[str, Any], status: str) -> Iterator[str]:
    """Name the headers of an operation's answer that is no error."""
    parameters = {parameter["name"].title() for parameter in operation.get("parameters", ())}
    if not status.startswith("2"):
        return
    if "Idempotency-Key" in parameters:
        yield "Idempotent-Replayed"
    if status in {"201", "202"}:
        yield "Location"
    if status == "202" and "Prefer" in parameters:
        yield "Preference-Applied"
