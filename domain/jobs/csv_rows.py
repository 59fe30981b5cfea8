"""Reading a CSV file's records while it arrives, in bounded memory."""

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Self

from domain.jobs import csv_encodings
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

DELIMITERS = (",", ";", "\t")
"""What may separate values; the first of those that are there equally often."""

_SEPARATOR = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
"""The line by which Excel is told what separates values."""

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

    UTF-8, UTF-16 or Windows-1252, see ``csv_encodings``; commas, semicolons or tabs, whichever the
    first line that is not blank has most of, or which Excel's ``sep=;`` before it tells; any line
    ends, also in quoted values. Blank records are skipped.

    Attributes:
        encoding: As found out so far; None while there are only ASCII characters.
        delimiter: None until the first line is here.
    """

    def __init__(self) -> None:
        self.encoding: str | None = None
        self.delimiter: str | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._line_ends = io.IncrementalNewlineDecoder(None, translate=True)
        self._gathered = bytearray()
        self._has_begun = False
        self._decoded_lines = 0
        self._tail = ""
        self._lines = _Lines()
        self._line = 1
        self._declared: str | None = None
        self._records: Iterator[list[str]] | None = None

    def feed(self, data: bytes) -> list[Record]:
        """Add bytes, and give the records that are complete.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``not_csv`` or ``invalid_csv``; final.
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
        *lines, self._tail = (self._tail + self._decoded(final=final)).split("\n")
        self._lines.waiting.extend(f"{line}\n" for line in lines)
        if final:
            self._lines.waiting.append(self._tail)
            self._lines.ended = True
        elif len(self._tail) > RECORD_MOST:
            raise self._broken()
        if self._records is None:
            declared = self._skip_to_names()
            if not self._lines.waiting:
                return []
            self.delimiter = declared or _delimiter_of(self._lines.waiting[0])
            self._records = csv.reader(self._lines, delimiter=self.delimiter)
        return self._complete(self._records)

    def _skip_to_names(self) -> str | None:
        """Skip what comes before the names of the columns; return what separates them, if told."""
        while self._lines.waiting:
            line = self._lines.waiting[0]
            told = _SEPARATOR.fullmatch(line.strip(" \n"))
            if told:
                self._declared = told[1]
            elif line.strip():
                break
            self._lines.waiting.popleft()
            self._line += 1
        return self._declared

    def _decoded(self, *, final: bool) -> str:
        """Decode what is gathered, each line end as a line feed.

        ASCII is the same in UTF-8 and Windows-1252: which it is, the first other character tells.
        """
        data = bytes(self._gathered)
        self._gathered.clear()
        if not self._has_begun:
            self._has_begun = True
            self.encoding, data = csv_encodings.begins(data)
        if self._decoder is None:
            known = self.encoding or csv_encodings.of_letters(data, final=final)
            if known is None:  # perhaps with the first byte of a character at its end
                ascii_only = data.decode("ascii", "ignore")
                self._gathered += data[len(ascii_only) :]
                return self._translated(ascii_only, final=final)
            self.encoding = known
            self._decoder = codecs.getincrementaldecoder(known)()
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            readable = error.object[: error.start].decode(error.encoding, "replace")
            line = self._decoded_lines + len(re.findall(r"\r\n?|\n", readable)) + 1
            raise csv_encodings.unreadable(line) from None
        return self._translated(text, final=final)

    def _translated(self, text: str, *, final: bool) -> str:
        translated: str = self._line_ends.decode(text, final)
        self._decoded_lines += translated.count("\n")
        return translated

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


def _delimiter_of(first_line: str) -> str:
    """Tell what separates the names in the first line: what is there most outside of quotes."""
    bare = re.sub(r'"[^"]*"?', "", first_line)
    return max(DELIMITERS, key=bare.count)


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
