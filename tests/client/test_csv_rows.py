"""The file's lines: every row is known by the line that it begins on."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory_cli.csv_rows import CsvFile, RowError
from inventory_cli.errors import FileError, UsageError
from inventory_cli.stock_rows import find_columns

VALUES = st.text(st.sampled_from('ab,"\n\r é\u2028'), max_size=6)
ROWS = st.lists(st.lists(VALUES, min_size=2, max_size=3), min_size=1, max_size=20)
BLANK_LINES = st.lists(st.integers(0, 2), min_size=20, max_size=20)


@pytest.fixture
def records(tmp_path: Path) -> Callable[[bytes], list[tuple[int, list[str]]]]:
    """Reads a file of this content."""

    def read(content: bytes) -> list[tuple[int, list[str]]]:
        path = tmp_path / "rows.csv"
        path.write_bytes(content)
        file = CsvFile(str(path))
        try:
            return list(file.records())
        finally:
            file.close()

    return read


@settings(deadline=None)  # what a busy machine takes says nothing
@given(rows=ROWS, blanks=BLANK_LINES, ending=st.sampled_from(["\n", "\r\n"]), marked=st.booleans())
def test_rows_are_numbered_by_their_first_line(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    blanks: list[int],
    ending: str,
    marked: bool,
) -> None:
    text, expected = "", []
    for row, blank in zip(rows, blanks, strict=False):
        text += ending * blank
        expected.append((text.count("\n") + 1, row))
        written = io.StringIO(newline="")
        csv.writer(written, lineterminator=ending, quoting=csv.QUOTE_ALL).writerow(row)
        text += written.getvalue()
    path = tmp_path_factory.getbasetemp() / "numbered.csv"
    path.write_bytes(text.encode("utf-8-sig" if marked else "utf-8"))
    file = CsvFile(str(path))
    found = list(file.records())
    file.close()
    assert found == expected


def test_rows_go_on_where_a_read_ends(records) -> None:
    rows = [(2 * i + 1, ["é" * (i % 50), "b\n"]) for i in range(3000)]
    content = "".join(f'{first},"{second}"\n' for _, (first, second) in rows).encode()
    assert len(content) > 2 * 65536
    assert records(content) == rows


def test_the_last_line_needs_no_end(records) -> None:
    assert records(b"a,b\nc,d") == [(1, ["a", "b"]), (2, ["c", "d"])]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a\n\n" + b"b" * 70_000 + b"\xe9\n", "line 3 of .* is not UTF-8: it has the byte 0xe9"),
        (b'a\n"b\n' + b"c\n" * 70_000, "line 2 of .* is too long: is a quote left open"),
        (b"a\n" + b"b" * (2 << 20), "line 2 of .* is too long"),
        (b"a\rb\r", "line 1 of .* a lone carriage return"),
        (b'a\nb\n"c\nd\n', "line 3 of .* opens a quote that is never closed"),
        (b'a\n"b\nc,"d"\ne\n', "line 2 of .* has text after a closing quote"),
    ],
)
def test_a_file_that_cannot_be_read_on_is_told_by_the_line(records, content, sentence) -> None:
    with pytest.raises(FileError, match=sentence):
        records(content)


def test_a_row_that_swallowed_others_says_so() -> None:
    columns = find_columns(["sku", "location", "qty"], None, "rows.csv")
    with pytest.raises(RowError, match="1 of 3 columns and spans 3 lines: is a quote left open"):
        columns.read(["A,online,5\nB,online,6\nC,online,7\n"])


def test_a_row_with_more_columns_than_the_header_is_no_row() -> None:
    columns = find_columns(["sku", "qty"], "online", "rows.csv")
    with pytest.raises(RowError, match="the row has 3 columns, and the header 2"):
        columns.read(["A", "1", "000"])
    assert columns.read(["A", "1", "", ""]) == ("A", "online", 1)


@pytest.mark.parametrize(("text", "quantity"), [("7", 7), (" +7 ", 7), ("-7", -7), ("007", 7)])
def test_a_quantity_is_a_whole_number(text: str, quantity: int) -> None:
    columns = find_columns(["sku", "qty"], "online", "rows.csv")
    assert columns.read([" A ", text]) == ("A", "online", quantity)


@pytest.mark.parametrize("text", ["7.0", "1e3", "1_0", "٣", "--7", "+", "0x7", "7 7", "1,000"])
def test_anything_else_is_not(text: str) -> None:
    columns = find_columns(["sku", "qty"], "online", "rows.csv")
    with pytest.raises(RowError, match="a quantity is a whole number, not "):
        columns.read(["A", text])


def test_columns_of_policies_are_read_where_they_say_something() -> None:
    columns = find_columns(["sku", "qty", "rearm_point", "reorder_point"], "online", "f")
    assert columns.read_policy(["A", "1", "7", " 5 "]) == [("reorder_point", 5), ("rearm_point", 7)]
    assert columns.read_policy(["A", "1", "", "0"]) == [("reorder_point", 0)]
    assert columns.read_policy(["A", "1"]) == []
    for text in ("x", "1.5", "9" * 30):
        with pytest.raises(RowError) as error:
            columns.read_policy(["A", "1", text, ""])
        assert error.value.field == "rearm_point"
    with pytest.raises(UsageError, match="more than one"):
        find_columns(["sku", "qty", "safety_stock", "safety_stock"], "online", "f")
