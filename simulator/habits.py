"""Ways in which the texts that Twilio shows differ from those it was given."""

from enum import StrEnum

TRIAL_PREFIX = "Sent from your Twilio trial account - "

_GSM_INSTEAD = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
        "\u00a0": " ",
    }
)


class Habit(StrEnum):
    """How an account alters outbound texts that its API shows (Twilio, 2026-11).

    ``trial``: a trial account puts a sentence before each. ``redaction``: Message Redaction blanks
    the text and the last four digits of the recipient, so a list by number finds none.
    ``smart_encoding``: a Messaging Service replaces characters by those of the GSM alphabet.
    """

    TRIAL = "trial"
    REDACTION = "redaction"
    SMART_ENCODING = "smart_encoding"

    def body(self, body: str) -> str:
        """Return a text as it is shown."""
        match self:
            case Habit.TRIAL:
                return TRIAL_PREFIX + body
            case Habit.REDACTION:
                return ""
            case Habit.SMART_ENCODING:
                return body.translate(_GSM_INSTEAD)

    def recipient(self, number: str) -> str:
        """Return a recipient's number as it is shown and listed by."""
        return number[:-4] + "XXXX" if self is Habit.REDACTION else number
