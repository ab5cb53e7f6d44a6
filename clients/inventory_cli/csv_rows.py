"""CSV files: lines, the header, and what is wrong with a row."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator, Sequence
from io import FileIO, StringIO
from typing import Final

from inventory_cli.errors import FileError, UsageError

MAX_LINE_BYTES: Final = 1 << 20
SHOWN_NAMES: Final = 12
_BYTE_ORDER_MARK: Final = "\ufeff"
_READ_BYTES: Final = 1 << 16


class RowError(Exception):
    """A row that cannot be sent. The text says why."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class CsvFile:
    """A CSV file, read once from its beginning to its end. `-` is the standard input."""

    def __init__(self, path: str) -> None:
        self.name = "the standard input" if path == "-" else path
        self.position = 0
        """How many bytes have been read."""
        try:
            self._file, self.size = _open(path)
        except OSError as error:
            raise FileError(f"cannot read {self.name}: {error.strerror}") from error
        self._reader = csv.reader(self._lines(), strict=True)
        self._next_line = 1

    def close(self) -> None:
        """Closes the file. The standard input stays open."""
        self._file.close()

    def header(self) -> list[str]:
        """Reads the first row: the columns' names, trimmed."""
        for _, row in self.records():
            return [name.strip() for name in row]
        raise FileError(f"{self.name} is empty: it needs a header with the columns' names")

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """The next rows, each with the number of its first line. Blank lines are passed over."""
        reader, line = self._reader, self._next_line
        try:
            for row in reader:
                first_line, line = line, reader.line_num + 1
                self._next_line = line
                if row:
                    yield first_line, row
        except csv.Error as error:
            raise FileError(f"line {line} of {self.name} {_sentence_of(error)}") from error
        except OSError as error:
            raise FileError(f"cannot read on in {self.name}: {error.strerror}") from error

    def _lines(self) -> Iterator[str]:
        rest = b""
        while block := self._file.read(_READ_BYTES):
            rest += block
            self.position += len(block)
            end = rest.rfind(b"\n") + 1
            if len(rest) - end > MAX_LINE_BYTES:
                raise csv.Error("field larger than field limit")
            if end:
                yield from self._decoded(rest[:end])
                rest = rest[end:]
        yield from self._decoded(rest)

    def _decoded(self, lines: bytes) -> Iterator[str]:
        try:
            text = lines.decode()
        except UnicodeDecodeError as error:
            line = self._reader.line_num + 1 + lines.count(b"\n", 0, error.start)
            byte = lines[error.start]
            sentence = f"line {line} of {self.name} is not UTF-8: it has the byte 0x{byte:02x}"
            raise FileError(sentence) from error
        if not self._reader.line_num:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        # Unlike str.splitlines(), this parts lines at LF only.
        return StringIO(text, newline="\n")


def row_too_long(row: Sequence[str], width: int) -> RowError:
    """The error of a row with more columns than the header has."""
    # A number with a comma in it would be taken for a smaller one.
    return RowError("row", f"the row has {len(row)} columns, and the header {width}")


def row_too_short(row: Sequence[str], width: int, field: str) -> RowError:
    """The error of a row that has no `field`."""
    lines = 1 + sum(value.rstrip("\r\n").count("\n") for value in row)
    open_quote = f" and spans {lines} lines: is a quote left open?" if lines > 1 else ""
    return RowError(field, f"the row has {len(row)} of {width} columns{open_quote}")


def no_column(wanted: str, header: Sequence[str], file_name: str) -> UsageError:
    """The error of a header without a column that is wanted."""
    named = [shortened(name) for name in header[:SHOWN_NAMES]]
    if len(header) > SHOWN_NAMES:
        named.append(f"{len(header) - SHOWN_NAMES} more")
    return UsageError(
        f"{file_name} has no column {wanted}; its header names {listed(named, 'and')}"
    )


def place_of(name: str, header: Sequence[str], file_name: str) -> int | None:
    """Where the column stands, None where there is none. Raises UsageError where it is twice."""
    if header.count(name) > 1:
        raise UsageError(f"{file_name} has more than one column '{name}'")
    return header.index(name) if name in header else None


def listed(words: Sequence[str], last: str) -> str:
    """The words as a list, with `last` before the last one."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def shortened(text: str) -> str:
    """The text in quotes, cut where it is long."""
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _sentence_of(error: csv.Error) -> str:
    text = str(error)
    if text.startswith("field larger"):
        return "has a field that is too long: is a quote left open?"
    if text.startswith("new-line character"):
        return "has a lone carriage return: lines end with LF or CRLF"
    if text == "unexpected end of data":
        return "opens a quote that is never closed"
    if "expected after" in text:
        return "has text after a closing quote: is a quote left open before it?"
    return f"is not CSV: {text}"


def _open(path: str) -> tuple[FileIO, int]:
    """The file, and its size in bytes, 0 where that is not known.

    It has no buffer of its own: a buffer's lock, held by a thread that waits
    for the standard input, would keep the process from ending in order.
    """
    file = FileIO(0 if path == "-" else path, closefd=path != "-")
    status = os.fstat(file.fileno())
    return file, status.st_size if stat.S_ISREG(status.st_mode) else 0
