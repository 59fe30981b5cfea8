"""Log lines: their format, and no phone number in any of them."""

import json
import logging
import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability import logs
from observability.logs import JsonLines, TextLines, mask

ROOT = Path(__file__).resolve().parents[2]
NUMBER = "+12125557300"
SPELLINGS = [
    "+12125557300",
    "%2B12125557300",
    "%2b12125557300",
    "12125557300",
    "2125557300",
    "+1 (212) 555-7300",
    "+1 212 555 7300",
    "+1-212-555-7300",
    "+1.212.555.7300",
    "(212) 555-7300",
    "212-555-7300",
    "212.555.7300",
    "+4915112345600",
]
AROUND = [
    "{}",
    "Key (phone)=({}) already exists.",
    "/api/contacts/{}?x=1",
    "To={}&From=x",
    '{{"phone": "{}"}}',
    "tel:{}",
    "call {}, now",
    "<{}>",
    "\u2013{}\n",
]
HARMLESS = [
    "2026-11-25 00:39:49,123",
    "2026-11-25T00:39:49.123456+00:00",
    "enrollment/6f1c9f0e-3b1d-4a55-9c3e-008127547411",
    "SM0123456789abcdef0123456789012345",
    "took 0.12345678901234 s",
    "127.0.0.1:54329",
    "error 21610 of 30008, attempt 3 of 5",
]


def digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def record(message: object = "said", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("api", logging.INFO, "x.py", 1, message, arguments, None)
    vars(made).update(extra)
    return made


def raised(text: str) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    with pytest.raises(LookupError) as caught:
        raise LookupError(text)
    return caught.type, caught.value, caught.tb


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("number", SPELLINGS)
def test_every_spelling_is_masked_except_two_digits(number: str, around: str) -> None:
    masked = mask(around.format(number))

    assert digits(number)[:-2] not in digits(masked)
    assert f"***{number[-2:]}" in masked


def test_text_after_a_number_is_kept() -> None:
    assert mask(f"GET /api/contacts/{NUMBER} 404") == "GET /api/contacts/***00 404"


@pytest.mark.parametrize("text", HARMLESS)
def test_times_ids_and_codes_are_not_masked(text: str) -> None:
    assert mask(text) == text


@given(
    number=st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True),
    before=st.text(max_size=20).filter(lambda text: not digits(text)),
    after=st.text(max_size=20).filter(lambda text: not digits(text)),
    formatter=st.sampled_from([JsonLines(), TextLines()]),
    way=st.sampled_from(["message", "argument", "extra", "deep", "exception", "object", "number"]),
)
def test_number_anywhere_in_a_record_is_masked(
    number: str, before: str, after: str, formatter: logging.Formatter, way: str
) -> None:
    """Rule: nothing personal in logs; E.164 numbers are masked everywhere."""
    text = f"{before}{number}{after}"
    match way:
        case "message":
            made = record(text.replace("%", "%%"))
        case "argument":
            made = record("said %s", text)
        case "extra":
            made = record(detail=text)
        case "deep":
            made = record(detail={"a": [text, {text: (text,)}]})
        case "object":
            made = record(detail=ValueError(text))
        case "number":
            made = record(detail=int(number))
        case _:
            made = record()
            made.exc_info = raised(text)
    line = formatter.format(made)

    if way != "number" or len(digits(number)) >= 10:
        assert number[1:-2] not in line


def test_json_line_is_an_object_with_time_logger_and_extras() -> None:
    subject = uuid4()
    line = JsonLines().format(
        record("sent %d", 3, attempt_id=subject, code=21610, color_message="for terminals")
    )
    said = json.loads(line)

    assert "\n" not in line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", said.pop("timestamp"))
    assert said == {
        "level": "INFO",
        "logger": "api",
        "message": "sent 3",
        "attempt_id": str(subject),
        "code": 21610,
    }


def test_json_traceback_stays_on_the_line() -> None:
    made = record()
    made.exc_info = raised(f"no {NUMBER}")
    line = JsonLines().format(made)

    assert len(line.splitlines()) == 1
    assert "LookupError: no ***00" in json.loads(line)["exc_info"]


def test_text_line_ends_with_its_extras() -> None:
    line = TextLines().format(record("sent", attempt_id="a1", color_message="for terminals"))

    assert line.endswith("INFO api sent attempt_id=a1")


def test_set_up_formats_our_lines_the_servers_and_libraries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logs.set_up("DEBUG", "json")
    token = logs.request_id.set("r1")
    try:
        logging.getLogger("services.maintenance.sweep").debug("ours %s", NUMBER)
        logging.getLogger("uvicorn.error").info("the server's")
        logging.getLogger("some.library").debug("too much %s", NUMBER)
        logging.getLogger("some.library").info("a library's")
        logging.getLogger("uvicorn.access").info("GET /api/contacts?search=Ann")
    finally:
        logs.request_id.reset(token)
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in capsys.readouterr().err.split("\n") if line
    ]

    assert [line["message"] for line in lines] == ["ours ***00", "the server's", "a library's"]
    assert {line["request_id"] for line in lines} == {"r1"}


def test_level_of_the_server_is_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    logs.set_up("WARNING", "text")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.error").warning("odd")

    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING uvicorn.error odd")


def test_log_level_covers_every_package_of_ours() -> None:
    names = {folder.parent.name for folder in ROOT.glob("*/__init__.py")} | {"manage", "worker"}

    assert set(logs.OUR_LOGGERS) == names - {"bench", "domain", "simulator", "standalone", "tests"}
