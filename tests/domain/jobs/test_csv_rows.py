"""Parsing CSV into records: in chunks of any size, with little memory."""

import csv
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.jobs import csv_rows
from domain.jobs.csv_rows import CsvReader, Record, guarded, unguarded
from domain.platform.errors import InvalidFieldError


def read(data: bytes, size: int = 7) -> list[Record]:
    reader, found = CsvReader(), []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    return found + reader.finish()


@pytest.mark.parametrize(
    "text",
    [
        "name,phone\nAnn,1\nBo,2\n",
        "\ufeffname,phone\r\nAnn,1\r\n\r\nBo,2",
        "name;phone\nAnn;1\n;\n Bo ;2\n",
        "name\tphone\nAnn\t1\nBo\t2\n",
        '"name","phone"\n"Ann",1\nBo,2\n',
        "name,phone\rAnn,1\rBo,2\r",
    ],
)
def test_reader_accepts_common_csv_dialects(text: str) -> None:
    cells = [[cell.strip() for cell in record.cells] for record in read(text.encode())]
    assert cells == [["name", "phone"], ["Ann", "1"], ["Bo", "2"]]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("before", "name"),
    [
        ("\n", "phone"),
        (" \r\n\r\n", "phone"),
        ("sep=;\r\n", "phone, mobile, work"),
        ('\ufeff"SEP=;"\n\n', "phone, mobile, work"),
    ],
)
def test_separator_is_told_by_sep_or_the_first_line_that_is_not_blank(
    before: str, name: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "PIECE", 4)
    first = 1 + before.count("\n")
    assert read(f"{before}name;{name}\nAnn;1\n".encode(), size) == [
        Record(first, ["name", name]),
        Record(first + 1, ["Ann", "1"]),
    ]


def test_records_have_their_line_number() -> None:
    data = b'name,phone\n"Ann\nLee",1\n\n\nBo,2\n'
    assert read(data) == [
        Record(1, ["name", "phone"]),
        Record(2, ["Ann\nLee", "1"]),
        Record(6, ["Bo", "2"]),
    ]


FORMULA = {*"=+-@\t\r\n"}


@given(st.text(st.sampled_from("'\"=+-@;,\t\r\nab \uff1d")))
@example("Ann;=HYPERLINK(1)")
@example('a;"=1+1')
def test_import_removes_the_apostrophes_of_an_export(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in FORMULA


@pytest.mark.parametrize("delimiter", [",", ";"])
@given(st.lists(st.text(st.sampled_from("'\"=+-@;,\t\nab ")), min_size=1, max_size=4))
@example(["Lee", "Ann;=HYPERLINK(1)"])
@example(["Lee", 'Ann,;"=1+1'])
@example(["Lee", "Ann,\n=1+1"])
def test_exported_cell_is_never_a_formula(delimiter: str, row: list[str]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([guarded(cell) for cell in row])
    written.seek(0)
    for cells in csv.reader(written, delimiter=delimiter):
        assert [cell for cell in cells if cell.lstrip("\r\n")[:1] in FORMULA] == []


@pytest.mark.parametrize("name", ["", "'", "''", "O'Neil", "'t Hooft", "d'Arc"])
def test_apostrophes_in_names_are_kept(name: str) -> None:
    assert guarded(name) == unguarded(name) == name


@given(
    rows=st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")), min_size=2),
        min_size=1,
    ),
    piece=st.integers(1, 40),
)
def test_chunk_boundaries_do_not_change_records(rows: list[list[str]], piece: int) -> None:
    rows = [["first", "last,"], *rows]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    wanted = [row for row in rows if any(cell.strip() for cell in row)]
    before = csv_rows.PIECE
    csv_rows.PIECE = piece
    try:
        found = read(written.getvalue().encode(), size=3)
    finally:
        csv_rows.PIECE = before
    assert [record.cells for record in found] == wanted


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")


@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff"), max_size=8),
            min_size=2,
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    ),
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(csv_rows.DELIMITERS),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_reads_back_the_same(
    rows: list[list[str]], encoding: str, delimiter: str, line_end: str
) -> None:
    rows = [["First name", "Phone", "Notes"], *rows]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    wanted = [row for row in rows if any(cell.strip() for cell in row)]
    assert [record.cells for record in read(written.getvalue().encode(encoding))] == wanted


WESTERN = ("Ann", "Bo Ray", "José", "Zoë", "Müller", "O\u2019Neil", "Søren", "Peña; Núñez", "")


@given(
    rows=st.lists(
        st.lists(st.sampled_from(WESTERN), min_size=2, max_size=4), min_size=1, max_size=5
    ),
    delimiter=st.sampled_from(csv_rows.DELIMITERS),
    before=st.sampled_from([0, csv_rows.PIECE]),
)
def test_windows_1252_is_recognized_wherever_its_first_letter_stands(
    rows: list[list[str]], delimiter: str, before: int
) -> None:
    plain = ["Ann", "Lee", "+12125550101"]
    rows = [["First name", "Phone", "Notes"], *[plain] * (before // 20), *rows]
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    wanted = [row for row in rows if any(cell.strip() for cell in row)]
    found = read(written.getvalue().encode("cp1252"), size=50_000)
    assert [record.cells for record in found] == wanted


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (
            b"name,phone\n\xc8\xe2\xe0\xed,1\n\xce\xeb\xfc\xe3\xe0,2\n",
            "invalid_encoding",
            "CSV UTF-8",
        ),
        ("name,phone\nJosé,1\n".encode() + b"\nBo\xff,2\n", "invalid_encoding", "at line 4"),
        (b"name,phone\nAnn\x81,1\n", "invalid_encoding", "CSV UTF-8"),
        ("name,phone\n".encode("utf-16") + b"\x00", "invalid_encoding", "at line 2"),
        (b"PK\x03\x04\x14\x00\x06\x00", "not_csv", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "not_csv", "CSV UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_remedy(data: bytes, code: str, words: str) -> None:
    before = csv_rows.PIECE
    csv_rows.PIECE = 18  # the second line alone decides
    try:
        with pytest.raises(InvalidFieldError) as raised:
            read(data)
    finally:
        csv_rows.PIECE = before
    assert raised.value.field_code == code
    assert words in raised.value.reason


@pytest.mark.parametrize("line", [b"x" * 1000, b"x" * 1000 + b"\n", b"\n"])
def test_unclosed_quotation_mark_is_refused(line: bytes) -> None:
    reader = CsvReader()
    reader.feed(b'name,phone\nAnn,1\n"Bo,2\n')

    def feed() -> None:
        for _ in range(400_000):
            reader.feed(line)

    with pytest.raises(InvalidFieldError) as raised:
        feed()
    assert raised.value.field_code == "invalid_csv"
    assert "line 3" in raised.value.reason


def test_memory_does_not_grow_with_the_file() -> None:
    def chunks(rows: int) -> Iterator[bytes]:
        yield b"first_name,last_name,phone\n"
        for number in range(rows):
            yield f'Ann{number},"Lee, the {number}th",+1212{5_000_000 + number}\n'.encode()

    def peak(rows: int) -> int:
        reader = CsvReader()
        tracemalloc.start()
        count = sum(len(reader.feed(piece)) for piece in chunks(rows)) + len(reader.finish())
        assert count == rows + 1
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(2_000), peak(20_000)
    assert large < 1.2 * small + 100_000


def test_unclosed_quotation_mark_loses_no_rows_silently() -> None:
    reader = CsvReader()
    reader.feed(b'name,phone\n"Ann,1\n' + b"Bo,2\n" * 20)
    with pytest.raises(InvalidFieldError) as raised:
        reader.finish()
    assert raised.value.field_code == "invalid_csv"
    assert "line 2" in raised.value.reason
