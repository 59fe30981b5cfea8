"""Reading a CSV file's records while it arrives, in bounded memory."""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Self

from domain.platform.errors import InvalidFieldError

_FORMULA = r"(?=['\"]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
"""What makes a spreadsheet evaluate a cell as a formula, full-width characters included; possibly
after apostrophes, which names may have, and quotation marks, which spreadsheets remove."""

_CELL = r"(^|[;\r\n])"
"""Where a cell may begin. If the list separator is a semicolon, as in much of Europe, a cell begins
after a semicolon inside a value, whose quotation marks are not at the beginning of a cell."""

_TO_GUARD = re.compile(f"{_CELL}{_FORMULA}")
_GUARDED = re.compile(f"{_CELL}'{_FORMULA}")

PIECE = 65_536
"""Bytes collected before they are parsed; an incomplete record is parsed again each time."""

RECORD_MOST = 131_072
"""Most characters of one record, twice the size of a piece."""


class Record(NamedTuple):
    """One record of a file: the line it begins on, from 1, and its values, not all blank."""

    line: int
    cells: list[str]


def guarded(value: str) -> str:
    """Put an apostrophe before what a spreadsheet would evaluate as a formula."""
    return _TO_GUARD.sub(r"\1'", value)


def unguarded(value: str) -> str:
    """Remove the apostrophes that ``guarded`` added, and no others."""
    return _GUARDED.sub(r"\1", value)


class CsvReader:
    """Reads CSV as in RFC 4180 and as common programs write it.

    UTF-8 with or without a byte order mark; commas, or semicolons if the first line has more of
    them; any line ends, also in quoted values. Blank records are skipped.
    """

    def __init__(self) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._gathered = bytearray()
        self._tail = ""
        self._lines = _Lines()
        self._line = 1
        self._records: Iterator[list[str]] | None = None

    def feed(self, data: bytes) -> list[Record]:
        """Add bytes, and give the records that are complete.

        Raises:
            InvalidFieldError: ``invalid_encoding`` or ``invalid_csv``; final.
        """
        self._gathered += data
        return self._read(final=False) if len(self._gathered) >= PIECE else []

    def finish(self) -> list[Record]:
        """End the file, and give the remaining records.

        Raises:
            InvalidFieldError: As ``feed``.
        """
        return self._read(final=True)

    def _read(self, *, final: bool) -> list[Record]:
        try:
            text = self._decoder.decode(bytes(self._gathered), final)
        except UnicodeDecodeError:
            raise InvalidFieldError(
                "body", "is not UTF-8; save the file as CSV in UTF-8", code="invalid_encoding"
            ) from None
        self._gathered.clear()
        *lines, self._tail = (self._tail + text).split("\n")
        self._lines.waiting.extend(f"{line}\n" for line in lines)
        if final:
            self._lines.waiting.append(self._tail)
            self._lines.ended = True
        elif len(self._tail) > RECORD_MOST:
            raise self._broken()
        if self._records is None:
            if not self._lines.waiting:
                return []
            first = self._lines.waiting[0]
            delimiter = ";" if first.count(";") > first.count(",") else ","
            self._records = csv.reader(self._lines, delimiter=delimiter)
        return self._complete(self._records)

    def _complete(self, records: Iterator[list[str]]) -> list[Record]:
        found = []
        while True:
            try:
                cells = next(records)
            except (StopIteration, _MoreNeededError):
                break
            except csv.Error:  # a value longer than its limit, which is ours
                raise self._broken() from None
            if self._lines.unclosed:
                raise self._broken("a quotation mark that is not closed")
            if any(cell.strip() for cell in cells):
                found.append(Record(self._line, cells))
            self._line += len(self._lines.taken)
            self._lines.taken.clear()
        if sum(map(len, self._lines.waiting)) > RECORD_MOST:
            raise self._broken()
        return found

    def _broken(self, what: str = f"a record of more than {RECORD_MOST} characters") -> Exception:
        return InvalidFieldError(
            "body",
            f"has {what} at line {self._line}; look for a quotation mark that should be closed, or"
            " written twice",
            code="invalid_csv",
        )


class _Lines:
    """Feeds lines to the reader, and keeps those of an incomplete record."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.taken: list[str] = []
        self.ended = False
        self.unclosed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self.waiting:
            line = self.waiting.popleft()
            self.taken.append(line)
            return line
        if self.ended:
            self.unclosed = bool(self.taken)
            raise StopIteration
        self.waiting.extend(self.taken)
        self.taken.clear()
        raise _MoreNeededError


class _MoreNeededError(Exception):
    """The record continues in bytes that have not arrived yet."""
