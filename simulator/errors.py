"""Twilio's error codes and their texts.

Source: https://www.twilio.com/docs/api/errors (2026-11).
"""

import csv
from pathlib import Path

MORE_INFO = "https://www.twilio.com/docs/errors"

with Path(__file__).with_name("errors.tsv").open(encoding="utf-8") as _file:
    ERRORS = {
        int(row["code"]): (int(row["status"]), row["text"])
        for row in csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE)
    }
"""HTTP status and text by code; ``{value}`` is a value of the request.

20415 is not in the dictionary: Twilio does not publish how it words its 415."""

CODE_OF_STATUS = {status: code for code, (status, _) in ERRORS.items() if status != 400}
"""The general code of an HTTP status; statuses that are missing are answered with HTML."""


def error_text(code: int, value: str = "") -> str:
    """Return the text of an error code."""
    return ERRORS.get(code, (400, f"Error {code}"))[1].format(value=value)


class TwilioError(Exception):
    """A request answered with an error document, whose HTTP status is ``status``."""

    def __init__(self, code: int, value: str = "") -> None:
        self.code = code
        self.status = ERRORS.get(code, (400, ""))[0]
        self.message = error_text(code, value)
        super().__init__(self.message)

    def document(self) -> dict[str, object]:
        """Return the error document."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"{MORE_INFO}/{self.code}",
            "status": self.status,
        }
