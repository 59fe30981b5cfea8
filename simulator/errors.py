"""Twilio's error codes and their texts.

Source: https://www.twilio.com/docs/api/errors (2026-11).
"""

MORE_INFO = "https://www.twilio.com/docs/errors"

ERRORS: dict[int, tuple[int, str]] = {
    20001: (400, "Invalid parameter: {value}"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20007: (400, "Page size too large"),
    20404: (404, "The requested resource {value} was not found"),
    20415: (415, "Unsupported media type: send application/x-www-form-urlencoded"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service unavailable"),
    21211: (400, "Invalid 'To' Phone Number: {value}"),
    21212: (400, "Invalid 'From' Number (caller ID): {value}"),
    21266: (400, "'To' and 'From' number cannot be the same: {value}"),
    21408: (
        400,
        (
            "Permission to send an SMS has not been enabled for the region indicated by the"
            " 'To' number: {value}"
        ),
    ),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' or 'MessagingServiceSid' parameter is required to send a message"),
    21604: (400, "A 'To' phone number is required."),
    21606: (
        400,
        (
            "The 'From' phone number provided ({value}) is not a valid message-capable Twilio"
            " phone number for this destination/account."
        ),
    ),
    21609: (400, "The 'StatusCallback' URL {value} is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (
        400,
        "This 'From' number {value} has exceeded the maximum number of queued messages",
    ),
    21612: (400, "The 'To' phone number {value} is not currently reachable via SMS"),
    21614: (400, "'To' number is not a valid mobile number: {value}"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21620: (400, "Invalid media URL(s)"),
    21623: (400, "Number of media files exceeds allowed limit"),
    21624: (400, "Invalid validity period value"),
    21635: (400, "'To' number cannot be a landline: {value}"),
    21705: (400, "The Messaging Service Sid {value} is invalid"),
    30001: (400, "Queue overflow"),
    30002: (400, "Account suspended"),
    30003: (400, "Unreachable destination handset"),
    30004: (400, "Message blocked"),
    30005: (400, "Unknown destination handset"),
    30006: (400, "Landline or unreachable carrier"),
    30007: (400, "Message filtered"),
    30008: (400, "Unknown error"),
    30017: (400, "Carrier network congestion"),
    30034: (400, "US A2P 10DLC - Message from an Unregistered Number"),
    30036: (400, "Validity Period Expired"),
}
"""HTTP status and text by code; ``{value}`` is a value of the request.

20415 is not in the dictionary: Twilio does not publish how it words its 415.
"""

CODE_OF_STATUS = {
    401: 20003,
    404: 20404,
    405: 20004,
    415: 20415,
    429: 20429,
    500: 20500,
    503: 20503,
}
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
