"""What kind of line a contact's number is, and what a field of contacts holds."""

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
