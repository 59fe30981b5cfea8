"""How the bytes of a CSV file are read as text: found out from the file itself.

UTF-8, UTF-16 and Windows-1252, what spreadsheets write. Other code pages are refused: a short list
of names does not tell one of them from another, and a wrong guess would change people's names.
"""

import codecs
import string

from charset_normalizer import from_bytes

from domain.platform.errors import InvalidFieldError

UTF_8 = "utf-8"
WESTERN = "cp1252"
"""Windows-1252, what Excel writes as plain "CSV" in the Americas and Western Europe."""

_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How files of Excel begin: .xlsx is a ZIP archive, .xls an OLE document."""

_PLAIN = frozenset(string.printable)

_SAVE_AS = "open it in your spreadsheet and save it as “CSV UTF-8”"


def begins(start: bytes) -> tuple[str | None, bytes]:
    """Tell the encoding by how a file begins, and give the bytes without their mark.

    None as long as there are only ASCII characters, or bytes that ``of_letters`` must judge.

    Raises:
        InvalidFieldError: ``not_csv``: a workbook.
    """
    if start.startswith(_WORKBOOKS):
        raise InvalidFieldError("body", f"is an Excel workbook; {_SAVE_AS}", code="not_csv")
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, start.removeprefix(mark)
    # Without a mark, UTF-16 shows by zeros beside the delimiters and letters of the first line.
    line = start.partition(b"\n")[0]
    pairs = list(zip(line[0::2], line[1::2], strict=False))
    little = sum(high == 0 and chr(low) in _PLAIN for low, high in pairs)
    big = sum(high == 0 and chr(low) in _PLAIN for high, low in pairs)
    if max(little, big) * 8 <= len(pairs):
        return None, start
    return ("utf-16-le" if little > big else "utf-16-be"), start


def of_letters(data: bytes, *, final: bool) -> str | None:
    """Tell the encoding of a file without a mark by a part of it; None if it is ASCII so far.

    Raises:
        InvalidFieldError: ``invalid_encoding``.
    """
    try:
        text = codecs.getincrementaldecoder(UTF_8)().decode(data, final)
    except UnicodeDecodeError:
        if from_bytes(data, cp_isolation=[WESTERN]).best() is None:
            raise unreadable() from None
        return WESTERN
    return None if text.isascii() else UTF_8


def unreadable(line: int | None = None) -> InvalidFieldError:
    """Build the error of a file, or of one of its lines, that cannot be read as text."""
    where = "" if line is None else f" at line {line}"
    return InvalidFieldError(
        "body",
        f"has characters{where} that are neither UTF-8, UTF-16 nor Windows-1252; {_SAVE_AS}",
        code="invalid_encoding",
    )
