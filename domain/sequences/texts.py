"""The texts of steps: what may be written, and what is sent to one contact."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from domain.platform.errors import InvalidFieldError, Problems

MERGE_FIELDS = ("first_name", "last_name", "full_name", "phone")
"""Names that may stand in ``{{name}}`` or ``{{name|fallback}}``."""

MAX_CHARACTERS = 1600
"""Longest text the provider takes (Twilio, error 21617)."""

MAX_MEDIA = 10
"""Most pictures of one text (Twilio, Messages API, ``MediaUrl``; November 2026)."""

MAX_MEDIA_URL = 2_000
"""Longest web address of a picture."""

_PLAIN_URL = re.compile(r"[!-\[\]-~]+")  # no backslash: browsers take it for a slash, others not
_FIELD = re.compile(r"(?<!\{)\{\{([^{}|]*)(?:\|([^{}]*))?\}\}(?!\})")
_GAP = "\0"  # check_body lets none through
_GAPS = re.compile(rf"([ \t]*(?:{_GAP}[ \t]*)+)([,;][ \t]*)?")
_LONGEST_CLUSTER = 32
_JOINER = "\N{ZERO WIDTH JOINER}"
_KNOWN = ", ".join(f"{{{{{name}}}}}" for name in MERGE_FIELDS)


def check_body(body: str, *, field: str, has_media: bool = False) -> None:
    """Let through a text that can be sent, merge fields included; with media, words are optional.

    Raises:
        InvalidFieldError: With code ``empty_body``, ``body_too_long``, ``unknown_merge_field``,
            ``bad_merge_field`` or ``bad_character``.
    """
    if _GAP in body:
        raise InvalidFieldError(
            field, "contains a NUL character; take it out", code="bad_character"
        )
    if any("\ud800" <= character <= "\udfff" for character in body):
        raise InvalidFieldError(
            field, "contains half a character; send whole ones in UTF-8", code="bad_character"
        )
    if not body.strip() and not has_media:
        raise InvalidFieldError(field, "is empty; write a text or add media", code="empty_body")
    if len(body) > MAX_CHARACTERS:
        raise InvalidFieldError(
            field,
            f"has {len(body)} characters; shorten it to at most {MAX_CHARACTERS}",
            code="body_too_long",
        )
    _check_fields(body, field)


def is_media_url(url: str) -> bool:
    """Whether a picture can be fetched from there, and a link to it followed without harm."""
    if len(url) > MAX_MEDIA_URL or not _PLAIN_URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def check_media(urls: Sequence[str], *, field: str) -> None:
    """Let through the addresses of the pictures of one text.

    Raises:
        InvalidRequestError: ``too_many_media``; ``bad_media_url`` of each that is none.
    """
    problems = Problems()
    if len(urls) > MAX_MEDIA:
        problems.add(
            field,
            f"has {len(urls)} addresses; at most {MAX_MEDIA} fit one text",
            code="too_many_media",
        )
    for index, url in enumerate(urls):
        if not is_media_url(url):
            problems.add(
                f"{field}.{index}",
                f"is no web address of at most {MAX_MEDIA_URL} characters; write one that starts"
                " with https:// and that anyone can open",
                code="bad_media_url",
            )
    problems.raise_any()


def merge_values(first_name: str, last_name: str, phone: str) -> dict[str, str]:
    """Give a contact's values for ``MERGE_FIELDS``."""
    return {
        "first_name": first_name,
        "last_name": last_name,
        "full_name": f"{first_name} {last_name}".strip(),
        "phone": phone,
    }


def render(body: str, values: Mapping[str, str | None]) -> str:
    """Fill in a text that ``check_body`` let through for one contact, cut to ``MAX_CHARACTERS``.

    Values, by the names of ``MERGE_FIELDS``, go in literally: what looks like a merge field inside
    one stays as it is, control characters and line breaks become blanks. A field with neither value
    nor fallback leaves nothing behind: ``Hi {{first_name}}, ok`` becomes ``Hi, ok``.
    """

    def fill(match: re.Match[str]) -> str:
        value = _literal(values.get(match[1].strip()) or "")
        return value or (match[2] or "").strip() or _GAP

    filled = _FIELD.sub(fill, body.replace(_GAP, ""))
    return _cut(_GAPS.sub(_close, filled) if _GAP in filled else filled)


def _check_fields(body: str, field: str) -> None:
    for match in _FIELD.finditer(body):
        name = match[1].strip()
        if not name:
            raise InvalidFieldError(
                field,
                f"has a merge field without a name; use one of {_KNOWN}",
                code="bad_merge_field",
            )
        if name not in MERGE_FIELDS:
            raise InvalidFieldError(
                field,
                f"has the unknown merge field {{{{{name}}}}}; use one of {_KNOWN}",
                code="unknown_merge_field",
            )
    rest = _FIELD.sub(" ", body)
    if "{{" in rest or "}}" in rest:
        raise InvalidFieldError(
            field,
            "has braces that open or close no merge field; write {{first_name}} or "
            "{{first_name|there}}, without braces inside",
            code="bad_merge_field",
        )


def _literal(value: str) -> str:
    """Make a value fit for one line of text."""
    return "".join(
        " " if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} else char for char in value
    ).strip()


def _close(match: re.Match[str]) -> str:
    """Decide what stays where one or more fields in a row had nothing to say."""
    text, run, comma = match.string, match[1], match[2] or ""
    before = text[match.start() - 1] if match.start() else "\n"
    after = comma or (text[match.end()] if match.end() < len(text) else "\n")
    if before == "\n":
        return ""  # a line does not begin with the comma after a name
    hugs = after[0] in ",.;!?\r\n" or (after in ":)]" and run.endswith(_GAP)) or before in "(["
    has_blank = " " in run or "\t" in run
    return (" " if has_blank and not hugs else "") + comma


def _cut(text: str) -> str:
    """Cut to the longest text there is, not inside what people see as one character."""
    if len(text) <= MAX_CHARACTERS:
        return text
    for end in range(MAX_CHARACTERS, MAX_CHARACTERS - _LONGEST_CLUSTER, -1):
        if not _continues(text[end]) and text[end - 1] != _JOINER:
            return text[:end]
    return text[:MAX_CHARACTERS]


def _continues(char: str) -> bool:
    """Whether a character belongs to the one before it: accents, variants, skin tones, joiners."""
    return (
        unicodedata.category(char)[0] == "M"
        or char == _JOINER
        or "\U0001f3fb" <= char <= "\U0001f3ff"
    )
