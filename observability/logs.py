"""Log lines of every program: JSON or text, without phone numbers, with the request's id."""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal

from opentelemetry import trace
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["json", "text"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the HTTP request being answered, in every log line it causes."""

OUR_LOGGERS = (
    "activities",
    "api",
    "manage",
    "observability",
    "services",
    "sms",
    "storage",
    "worker",
    "workflows",
)
"""The loggers LOG_LEVEL sets. Libraries log INFO at most: below it they show what they handle."""

_NUMBER = re.compile(
    r"""
      (?:\+|%2[Bb]) \d{10,15}                                       # +12125557300
    | (?:\+|%2[Bb]) [ (]? \d (?: [ ()./-]{0,2} \d ){6,14}            # +1 (212) 555-7300
    | (?<![\w+-]) \(? \d{3} \)? [ .-]{1,2} \d{3} [ .-] \d{4} (?![\w-])  # (212) 555-7300
    | (?<![\w.]) (?<![0-9A-Fa-f]-) \d{10,15} (?![\w-])               # 12125557300; no UUID's end
    """,
    re.VERBOSE,
)
_SKIPPED = [*RESERVED_ATTRS, "color_message"]
"""Attributes that are no extras: the record's own, and the server's message for terminals."""
_LAST_DIGITS = 2
_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
_PLAIN = (bool, int, float, type(None))


def set_up(level: str, style: LogFormat) -> None:
    """Write all logs of this process to standard error in one format.

    The server's access lines, which hold query strings, are left out: the API writes its own.
    ``level`` is for our own loggers; others log INFO at most.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if style == "json" else TextLines())
    handler.addFilter(_add_context)
    logging.basicConfig(
        level=max(logging.getLevelNamesMapping()[level], logging.INFO),
        handlers=[handler],
        force=True,
    )
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True


def mask(text: str) -> str:
    """Replace what looks like a phone number by its last two digits.

    They tell lines about different people apart, and are too few to call anybody.
    """
    return _NUMBER.sub(_masked, text)


class JsonLines(JsonFormatter):
    """One JSON object a line: ``timestamp`` (UTC), ``level``, ``logger``, ``message``, extras."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            reserved_attrs=_SKIPPED,
            timestamp=True,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Mask every value, at every depth."""
        moment = log_data.pop("timestamp")
        return {"timestamp": moment.isoformat(), **{k: _plain(v) for k, v in log_data.items()}}


class TextLines(logging.Formatter):
    """One readable line, extras as ``key=value`` at its end."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Write the line, before a traceback."""
        extras = [
            f"{name}={value}"
            for name, value in vars(record).items()
            if name not in _SKIPPED and name != "asctime"
        ]
        return " ".join([super().formatMessage(record), *extras])

    def format(self, record: logging.LogRecord) -> str:
        """Write the line and its traceback, masked."""
        return mask(super().format(record))


def _masked(number: re.Match[str]) -> str:
    digits = [character for character in number[0] if character.isdigit()]
    return "***" + "".join(digits[-_LAST_DIGITS:])


def _plain(value: object) -> object:
    """Convert a value for JSON, masked."""
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {mask(str(name)): _plain(inner) for name, inner in value.items()}
        case Sequence() | set() | frozenset() if not isinstance(value, bytes):
            return [_plain(inner) for inner in value]
        case _:
            text = str(value)
            masked = mask(text)
            return value if isinstance(value, _PLAIN) and masked == text else masked


def _add_context(record: logging.LogRecord) -> bool:
    """Add the request's and the trace's id to a line, if there are any."""
    if (current := request_id.get()) is not None:
        record.request_id = current
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        record.trace_id = trace.format_trace_id(context.trace_id)
    return True
