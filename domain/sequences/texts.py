"""The texts of steps: what may be written, and what is sent to one contact."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlsplit

from domain.platform.errors import InvalidFieldError, Problems
from domain.sequences.pictures import OwnPictures, is_ours

MERGE_FIELDS = ("first_name", "last_name", "full_name", "phone")
"""A contact's own names that may stand in ``{{name}}`` or ``{{name|fallback}}``.

Every other name is the key of a field of contacts or of a variable of the enrollment.
"""

DATE_FORMATS = ("long", "weekday", "short", "numeric", "iso")
"""What may stand in ``{{name:format}}``; a date without one is written ``long``."""

Value = str | int | float | bool
"""What a field or variable holds; a text like ``2026-12-01`` is a date."""

MAX_CHARACTERS = 1600
"""Longest text the provider takes (Twilio, error 21617)."""

MAX_MEDIA = 10
"""Most pictures of one text (Twilio, Messages API, ``MediaUrl``; November 2026)."""

MAX_MEDIA_URL = 2_000
"""Longest web address of a picture."""

NO_PICTURES = OwnPictures()
"""None of our own."""

_PLAIN_URL = re.compile(r"[!-\[\]-~]+")  # no backslash: browsers take it for a slash, others not
_FIELD = re.compile(r"(?<!\{)\{\{([^{}|]*)(?:\|([^{}]*))?\}\}(?!\})")
_GAP = "\0"  # check_body lets none through
_MARKS_OF_PILLS = frozenset("\u2063\u2064")  # around what pages show of a merge field
_GAPS = re.compile(rf"([ \t]*(?:{_GAP}[ \t]*)+)([,;][ \t]*)?")
_LONGEST_CLUSTER = 32
_JOINER = "\N{ZERO WIDTH JOINER}"
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")  # as those of domain.contacts.fields
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_KNOWN = ", ".join(f"{{{{{name}}}}}" for name in MERGE_FIELDS)


def check_body(body: str, *, field: str, has_media: bool = False) -> None:
    """Let through a text that can be sent, merge fields included; with media, words are optional.

    Raises:
        InvalidFieldError: With code ``empty_body``, ``body_too_long``, ``unknown_merge_field``,
            ``unknown_format``, ``bad_merge_field`` or ``bad_character``.
    """
    if _GAP in body:
        raise InvalidFieldError(field, "contains a NUL character; remove it", code="bad_character")
    if not _MARKS_OF_PILLS.isdisjoint(body):
        raise InvalidFieldError(
            field, "has a broken field; remove it and insert it again", code="bad_character"
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


def check_media(urls: Sequence[str], ours: OwnPictures = NO_PICTURES, *, field: str) -> None:
    """Let through the addresses of the pictures of one text.

    Those of ``ours`` may be at plain HTTP, as this site is on one machine; others may not.

    Raises:
        InvalidRequestError: ``too_many_media``; ``unknown_picture`` and ``bad_media_url`` of each
            that is none.
    """
    problems = Problems()
    if len(urls) > MAX_MEDIA:
        problems.add(
            field,
            f"has {len(urls)} addresses; a text can have at most {MAX_MEDIA}",
            code="too_many_media",
        )
    for index, url in enumerate(urls):
        if url in ours.urls:
            continue
        if is_ours(url, ours.base_url):
            problems.add(
                f"{field}.{index}",
                "is a picture that no longer exists here; upload it again",
                code="unknown_picture",
            )
        elif not is_media_url(url):
            problems.add(
                f"{field}.{index}",
                f"is not a web address of at most {MAX_MEDIA_URL} characters; use one that starts"
                " with https:// and that anyone can open",
                code="bad_media_url",
            )
    problems.raise_any()


def own_name_meant(name: str) -> str | None:
    """Find which of ``MERGE_FIELDS`` a name is or could be a misspelling of; None for no such.

    Names that differ in a letter, in two that changed places, in case, blanks or underscores are
    taken for one, but for those with digits: ``phone2``. ``name`` is taken for ``full_name``.
    """
    letters = re.sub(r"[\W_]", "", name.lower())
    if not letters.isalpha():
        return None
    if letters == "name":
        return "full_name"
    for own in MERGE_FIELDS:
        if _is_near(letters, own.replace("_", "")):
            return own
    return None


def merge_values(
    first_name: str,
    last_name: str,
    phone: str,
    fields: Mapping[str, Value],
    variables: Mapping[str, Value],
) -> dict[str, Value]:
    """Give the values of merge fields: a variable goes before the contact's field of its key.

    Whoever is added by number has it for a last name; in texts they have no name.
    """
    if not first_name and last_name == phone:
        last_name = ""
    return {
        **fields,
        **variables,
        "first_name": first_name,
        "last_name": last_name,
        "full_name": f"{first_name} {last_name}".strip(),
        "phone": phone,
    }


class Merged(NamedTuple):
    """A merge field as a text has it; format and fallback may be empty."""

    name: str
    format: str
    fallback: str


def pieces(body: str) -> Iterator[str | Merged]:
    """Take a text apart into its words and its merge fields, in order."""
    at = 0
    for match in _FIELD.finditer(body):
        if match.start() > at:
            yield body[at : match.start()]
        yield Merged(*_parts(match))
        at = match.end()
    if at < len(body):
        yield body[at:]


def keys_in(*bodies: str) -> tuple[str, ...]:
    """List the keys of fields and variables that texts name, in order, each once."""
    found = dict.fromkeys(name for body in bodies for name, _, _ in _merge_fields(body))
    return tuple(one for one in found if _KEY.fullmatch(one) and not own_name_meant(one))


def missing(
    body: str, values: Mapping[str, Value | None], *, has_media: bool = False
) -> tuple[str, ...]:
    """List the names without which a text cannot go, in order, each once; mostly none.

    Those are keys of fields and variables with neither value nor fallback. A contact's own name may
    be left out, unless nothing at all would be left to send.
    """
    lacking = [
        name
        for name, _, fallback in _merge_fields(body)
        if not fallback and not _written(values.get(name), "")
    ]
    needed = [name for name in lacking if name not in MERGE_FIELDS]
    if not needed and lacking and not has_media and not render(body, values).strip():
        needed = lacking
    return tuple(dict.fromkeys(needed))


def said(value: Value) -> str:
    """Write a value as a text says it that asks for no format."""
    return _written(value, "")


def render(body: str, values: Mapping[str, Value | None]) -> str:
    """Fill in a text that ``check_body`` let through for one contact, cut to ``MAX_CHARACTERS``.

    Values, by name, go in literally: what looks like a merge field inside one stays as it is,
    control characters and line breaks become blanks. Dates are written as the merge field asks,
    numbers without an exponent, booleans ``yes`` and ``no``. A field with neither value nor
    fallback leaves nothing behind: ``Hi {{first_name}}, ok`` becomes ``Hi, ok``.
    """

    def fill(match: re.Match[str]) -> str:
        name, shape, fallback = _parts(match)
        return _written(values.get(name), shape) or fallback or _GAP

    filled = _FIELD.sub(fill, body.replace(_GAP, ""))
    return _cut(_GAPS.sub(_close, filled) if _GAP in filled else filled)


def outline(body: str, values: Mapping[str, Value | None], *, has_media: bool = False) -> str:
    """Fill in a text as ``render`` does, but show what it cannot go without as ``[name]``."""
    gaps = missing(body, values, has_media=has_media)
    return render(body, {**values, **{name: f"[{name}]" for name in gaps}})


def half_filled(body: str, values: Mapping[str, Value | None]) -> str:
    """Fill in a text as ``render`` does, but leave in what it cannot go without."""
    gaps = missing(body, values)
    return render(body, {**values, **{name: f"{{{{{name}}}}}" for name in gaps}})


def _merge_fields(body: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name, format and fallback of each merge field; the latter two may be empty."""
    return map(_parts, _FIELD.finditer(body))


def _parts(match: re.Match[str]) -> tuple[str, str, str]:
    name, _, shape = match[1].partition(":")
    return name.strip(), shape.strip(), (match[2] or "").strip()


def _written(value: Value | None, shape: str) -> str:
    """Write a value as a text says it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return format(Decimal(repr(value)), "f")
        case str():
            return _dated(_literal(value), shape)


def _dated(text: str, shape: str) -> str:
    """Write a date in words, anything else as it is."""
    if not _DATE.fullmatch(text):
        return text
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    match shape:
        case "weekday":
            return f"{day:%A, %B} {day.day}"
        case "short":
            return f"{day:%b} {day.day}"
        case "numeric":
            return f"{day.month}/{day.day}/{day.year}"
        case "iso":
            return text
        case _:
            return f"{day:%B} {day.day}, {day.year}"


def _check_fields(body: str, field: str) -> None:
    for name, _, _ in _merge_fields(body):
        if not name:
            raise InvalidFieldError(
                field,
                f"has a merge field without a name; use one of {_KNOWN}, or the key of a field or"
                " variable",
                code="bad_merge_field",
            )
        meant = None if name in MERGE_FIELDS else own_name_meant(name)
        if meant is not None:
            raise InvalidFieldError(
                field,
                f"has the unknown merge field {{{{{name}}}}}; write {{{{{meant}}}}}",
                code="unknown_merge_field",
            )
        if not _KEY.fullmatch(name):
            raise InvalidFieldError(
                field,
                f"has the unknown merge field {{{{{name}}}}}; use one of {_KNOWN}, or the key of a"
                " field or variable: lowercase letters, digits and _, a letter first",
                code="unknown_merge_field",
            )
    rest = _FIELD.sub(" ", body)
    if "{{" in rest or "}}" in rest:
        raise InvalidFieldError(
            field,
            "has stray braces; write {{first_name}} or {{first_name|there}}, with no braces inside",
            code="bad_merge_field",
        )
    for match in _FIELD.finditer(body):
        if ":" in match[1] and _parts(match)[1] not in DATE_FORMATS:
            raise InvalidFieldError(
                field,
                f"asks for an unknown format in {match[0]}; use one of {', '.join(DATE_FORMATS)}",
                code="unknown_format",
            )


def _is_near(one: str, other: str) -> bool:
    """Whether two words differ by at most one letter, or by two neighbors that changed places."""
    if len(one) == len(other):
        apart = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        return len(apart) < 2 or (
            apart == [apart[0], apart[0] + 1]
            and one[apart[0]] == other[apart[1]]
            and one[apart[1]] == other[apart[0]]
        )
    longer, shorter = sorted((one, other), key=len, reverse=True)
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))


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
