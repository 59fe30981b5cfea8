"""Phone numbers: normalizing them, and what a number says about its owner."""

import re
import unicodedata
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, ValidationResult
from phonenumbers import timezone as number_zones
from phonenumbers.tzdata import TIMEZONE_DATA

from domain.platform.errors import InvalidFieldError

E164_DIGITS = 15
"""Most digits of an international number, country code included (ITU-T E.164, 2010)."""

NANP_TOLL_FREE = frozenset({"800", "833", "844", "855", "866", "877", "888"})
"""Toll-free prefixes in use under +1 (FCC, "What Is a Toll-Free Number and How Does it Work?").

phonenumbers recognizes a toll-free number only if the rest of it is assignable; the carriers'
opt-out network goes by the prefix alone.
"""

_TELLING = 7
"""Digits of a number within its country that tell it from other numbers in a text."""

_NANP = 1
_AREA_LENGTH = len("+1212")
_EXAMPLE = "write it with its country code, for example +14155550199"
_LETTERS = "leave out letters, extensions and notes, and " + _EXAMPLE
_DIALLABLE = re.compile(r"[^\d+]*(?:\+\D*)?\d[^+]*")
_PLAIN_NANP = re.compile(r"\+1[2-9][0-9]{9}")
_NANP_ABROAD = re.compile(r"1([2-9][0-9]{9})")
_NANP_AT_HOME = re.compile(r"1?([2-9][0-9]{9})")
_NANP_HOMES = frozenset({"US", "CA"})
_FORMATTING = re.compile(r"[\d\s()\[\]./+\-\u2010-\u2015\u2212]*")

_IMPOSSIBLE = {
    ValidationResult.INVALID_COUNTRY_CODE: f"has a country code that does not exist; {_EXAMPLE}",
    ValidationResult.TOO_SHORT: f"is too short for its country; {_EXAMPLE} (no short codes)",
    ValidationResult.TOO_LONG: f"is too long for its country; {_EXAMPLE}",
}


@lru_cache(maxsize=4096)
def readable(phone: str) -> str:
    """Format a stored number for people: ``+1 212-555-0123``; unchanged if it is none."""
    if _PLAIN_NANP.fullmatch(phone):  # fast path for lists, with the same result
        return f"+1 {phone[2:5]}-{phone[5:8]}-{phone[8:]}"
    try:
        parsed = phonenumbers.parse(phone)
    except NumberParseException:
        return phone
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def normalize(raw: str, *, default_region: str = "US", field: str = "phone") -> str:
    """Normalize a phone number to its stored form.

    Accepts whatever is *possible* for its country (length and country code), whether or not the
    range is known to be in use: numbering plans grow faster than any list of them.

    Args:
        raw: As typed or imported: international (``+44 ...``, ``0044 ...``) or in the national
            format of ``default_region``. Blanks, brackets, dots, slashes and dashes are ignored.
        default_region: ISO 3166-1 alpha-2 code of the country numbers without one belong to.
        field: Path of the field in the request.

    Returns:
        The number in E.164: ``+`` and up to 15 digits.

    Raises:
        InvalidFieldError: With code ``invalid_phone``, for anything else: extensions, letters,
            short codes, numbers without their area code, impossible lengths.
    """
    if _PLAIN_NANP.fullmatch(raw):  # fast path for imports, with the same result
        return raw
    text = _diallable(raw, field)
    if (known := _nanp(text, default_region)) is not None:
        return known
    try:
        number = phonenumbers.parse(text, default_region)
    except NumberParseException as error:
        raise _invalid(field, _parse_reason(error)) from None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if not phonenumbers.is_possible_number(number):
        raise _invalid(field, _IMPOSSIBLE.get(reason, f"has a wrong length; {_EXAMPLE}"))
    if reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY and "+" not in text:
        raise _invalid(field, f"lacks its area code; {_EXAMPLE}")
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if len(e164) > E164_DIGITS + 1:
        raise _invalid(field, _IMPOSSIBLE[ValidationResult.TOO_LONG])
    return e164


def check_region(region: str, *, field: str = "region") -> str:
    """Normalize the ISO 3166-1 alpha-2 code of a country that numbers may belong to.

    Raises:
        InvalidFieldError: ``unknown_region``.
    """
    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidFieldError(
            field, "is not a country; use a two-letter code such as US", code="unknown_region"
        )
    return region.upper()


def time_zones(phone: str) -> tuple[str, ...]:
    """List the IANA time zones an E.164 number allows, in alphabetical order; none if unknown.

    A number of a geographical range gets that range's zones, others (mobile outside North America,
    toll-free) all of their country or numbering plan. A number of no known range gets its prefix's
    zones, except that a bare +1 gets none: it reaches from Guam to Bermuda.
    """
    prefix = zones_prefix(phone)
    return _time_zones(_number_of(prefix) if len(prefix) == _AREA_LENGTH else phone)


@lru_cache(maxsize=4096)
def _time_zones(phone: str) -> tuple[str, ...]:
    number = _parsed(phone)
    if number is None:
        return ()
    zones = number_zones.time_zones_for_number(number)
    if not any(_exists(zone) for zone in zones):  # of no known range
        zones = number_zones.time_zones_for_geographical_number(number)
        plan = PhoneNumber(country_code=_NANP, national_number=0)
        if zones == number_zones.time_zones_for_geographical_number(plan):
            return ()
    return tuple(sorted(zone for zone in zones if _exists(zone)))


def zones_prefix(phone: str) -> str:
    """Give the part of an E.164 number that decides its time zones.

    Under +1 that is its area code; its exchange if the area spans zones, or is of an island, whose
    mobile numbers allow every zone of the plan; elsewhere all of it. Compared with ``time_zones``
    of phonenumbers 9 for every exchange: the last four digits matter in two exchanges of Barbados
    only, where both answers are careful.
    """
    if not _PLAIN_NANP.fullmatch(phone):
        return phone
    area, exchange = phone[:_AREA_LENGTH], phone[:8]
    return area if _is_of_one_zone(area) else exchange


@cache
def _is_of_one_zone(area: str) -> bool:
    """Tell whether all numbers of an area, ``+1`` and three digits, have the same zones."""
    prefix = area.removeprefix("+")
    if [one for one in TIMEZONE_DATA if one.startswith(prefix)] != [prefix]:
        return False
    number = phonenumbers.parse(_number_of(area))
    return phonenumbers.region_code_for_number(number) in _NANP_HOMES


def _number_of(area: str) -> str:
    """Give some number of an area, ``+1`` and three digits."""
    return f"{area}2345678"


def is_toll_free(phone: str) -> bool:
    """Tell whether a number is toll-free; what is not E.164 is not."""
    if phone.startswith("+1") and phone[2:5] in NANP_TOLL_FREE:
        return True
    number = _parsed(phone)
    return number is not None and phonenumbers.number_type(number) == PhoneNumberType.TOLL_FREE


def masked(phone: str) -> str:
    """Hide the middle of an E.164 number, at least three digits: ``+1415***0199``."""
    shown = min(5, len(phone) - 7)
    return f"{phone[:shown]}***{phone[-4:]}" if shown > 0 else "***"


def digits(text: str) -> str:
    """Keep a text's decimal digits, of any script, as ASCII."""
    return "".join(str(unicodedata.decimal(char)) for char in text if char.isdecimal())


def digits_in_any_form(phone: str) -> str:
    """Give the digits that each way to write a number (E.164) has: mostly those of its country."""
    parsed = _parsed(phone)
    national = "" if parsed is None else str(parsed.national_number)
    return national if len(national) >= _TELLING else digits(phone)


def _plain(raw: str) -> str:
    """Fold full-width forms; drop invisible characters that copying from a phone adds."""
    if raw.isascii():
        return raw.strip()
    folded = unicodedata.normalize("NFKC", raw)
    seen = "".join(char for char in folded if unicodedata.category(char) != "Cf")
    return seen.strip()


def _diallable(raw: str, field: str) -> str:
    """Reduce a number to what one would dial, an international one with its plus sign.

    Raises:
        InvalidFieldError: It is not one plain number.
    """
    text = _plain(raw)
    if not text:
        raise _invalid(field, f"is empty; {_EXAMPLE}")
    if not _FORMATTING.fullmatch(text):
        raise _invalid(field, f"is not a valid phone number; {_LETTERS}")
    if not _DIALLABLE.fullmatch(text):
        raise _invalid(field, f"is not a single phone number; {_EXAMPLE}")
    # "00" is the ITU's recommended prefix, whatever the default region dials.
    return "+" + text[2:] if text.startswith("00") else text


def _nanp(text: str, region: str) -> str | None:
    """Read a North American number: fast path with the same result as phonenumbers."""
    if "+" in text:
        found = _NANP_ABROAD.fullmatch(digits(text))
    elif region in _NANP_HOMES:
        found = _NANP_AT_HOME.fullmatch(digits(text))
    else:
        found = None
    return f"+1{found[1]}" if found else None


def _invalid(field: str, reason: str) -> InvalidFieldError:
    return InvalidFieldError(field, reason, code="invalid_phone")


def _parse_reason(error: NumberParseException) -> str:
    match error.error_type:
        case NumberParseException.INVALID_COUNTRY_CODE:
            return _IMPOSSIBLE[ValidationResult.INVALID_COUNTRY_CODE]
        case NumberParseException.TOO_LONG:
            return _IMPOSSIBLE[ValidationResult.TOO_LONG]
        case NumberParseException.TOO_SHORT_NSN | NumberParseException.TOO_SHORT_AFTER_IDD:
            return _IMPOSSIBLE[ValidationResult.TOO_SHORT]
        case _:
            return f"is not a valid phone number; {_EXAMPLE}"


def _parsed(phone: str) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(phone, None)
    except NumberParseException:
        return None


@lru_cache(maxsize=1024)
def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
