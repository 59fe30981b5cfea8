"""Kinds of lines, fields and consents, and of answers to a file that calls a contact otherwise."""

from enum import StrEnum


class LineType(StrEnum):
    """What kind of line a number is; the values are Twilio Lookup v2's."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    TOLL_FREE = "tollFree"
    FIXED_VOIP = "fixedVoip"
    NON_FIXED_VOIP = "nonFixedVoip"
    PERSONAL = "personal"
    PREMIUM = "premium"
    VOICEMAIL = "voicemail"
    SHARED_COST = "sharedCost"
    UAN = "uan"
    PAGER = "pager"
    UNKNOWN = "unknown"


class FieldType(StrEnum):
    """What a field of contacts holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    URL = "url"


class OtherName(StrEnum):
    """What is done with a row of a file whose number is that of a contact with another name.

    ``skip``: nothing, as it may be another person. ``keep``: it is about the contact, who keeps the
    name. ``take``: it is about the contact, who gets the file's name.
    """

    SKIP = "skip"
    KEEP = "keep"
    TAKE = "take"


class ConsentNeeded(StrEnum):
    """Which consent a text of a sequence takes: none, any on record, or a written one."""

    NONE = "none"
    ANY = "any"
    WRITTEN = "written"
