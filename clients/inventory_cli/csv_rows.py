"""CSV files: lines, the header, and what a row says."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Iterator, Sequence
from io import FileIO, StringIO
from typing import Final, NamedTuple

from inventory_cli.errors import FileError, UsageError

QUANTITY_NAMES: Final = ("qty", "quantity", "on_hand")
POLICY_NAMES: Final = ("reorder_point", "rearm_point", "safety_stock", "backorder_limit")
MAX_QUANTITY: Final = 2**31 - 1
MAX_INT64: Final = 2**63 - 1
MAX_LINE_BYTES: Final = 1 << 20
MAX_TEXT_LENGTH: Final = 250
"""Of a SKU or a location that is sent. The server takes far shorter ones only; the bound is
here so that 500 bad rows still fit into one message of 1 MiB."""
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
        """Reads the first row: the columns' names, trimmed, in lower case."""
        for _, row in self.records():
            return [name.strip().lower() for name in row]
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


class Columns(NamedTuple):
    """Where a row's values stand. `location` is None where all rows have `fixed_location`."""

    sku: int
    quantity: int
    location: int | None
    prefix: str
    fixed_location: str
    width: int
    policies: tuple[tuple[str, int], ...] = ()
    """The columns of policies, each with where it stands."""

    def read(self, row: Sequence[str]) -> tuple[str, str, int]:
        """The row's SKU, location and quantity. Raises RowError where they cannot be sent."""
        try:
            sku, text = row[self.sku].strip(), row[self.quantity].strip()
            at = self.location
            place = self.fixed_location if at is None else self.prefix + row[at].strip()
        except IndexError:
            raise self._too_short(row) from None
        if len(row) > self.width and any(row[self.width :]):
            # A number with a comma in it would be taken for a smaller one.
            raise RowError("row", f"the row has {len(row)} columns, and the header {self.width}")
        if text.isdecimal() and text.isascii() and len(text) < 19:
            quantity = int(text)
        else:
            quantity = _read_quantity(text)
        if len(sku) > MAX_TEXT_LENGTH:
            raise RowError("sku", f"a SKU is not {len(sku)} characters long")
        if len(place) > MAX_TEXT_LENGTH:
            raise RowError("location", f"a location is not {len(place)} characters long")
        return sku, place, quantity

    def read_policy(self, row: Sequence[str]) -> list[tuple[str, int]]:
        """What the row says of its level's policy; an empty value leaves it as it is.

        Raises RowError where it cannot be sent.
        """
        given = [(name, row[at].strip()) for name, at in self.policies if at < len(row)]
        return [(name, _read_number(name, text)) for name, text in given if text]

    def _too_short(self, row: Sequence[str]) -> RowError:
        places = (("sku", self.sku), ("quantity", self.quantity), ("location", self.location or 0))
        field = next(name for name, at in places if at >= len(row))
        lines = 1 + sum(value.rstrip("\r\n").count("\n") for value in row)
        open_quote = f" and spans {lines} lines: is a quote left open?" if lines > 1 else ""
        sentence = f"the row has {len(row)} of {self.width} columns{open_quote}"
        return RowError(field, sentence)


def find_columns(header: Sequence[str], location: str | None, file_name: str) -> Columns:
    """Where the columns stand; `location` is the one given for all rows.

    Raises UsageError where a column is missing or stands twice, or where
    there is not exactly one source of locations.
    """
    sku = _find("sku", header, file_name)
    names = [name for name in QUANTITY_NAMES if name in header]
    if sku is None or not names:
        wanted = "'sku'" if sku is None else f"{_listed(QUANTITY_NAMES)} for the quantity"
        raise UsageError(
            f"{file_name} has no column {wanted}; its header names {_listed(header, 'and')}"
        )
    quantity = header.index(_once(names[0], header, file_name))
    column = next((name for name in ("location", "store_id") if name in header), None)
    if (column is None) == (location is None):
        raise UsageError(_location_sentence(column, file_name))
    if location is not None and location != "online" and not location.startswith("store:"):
        raise UsageError(f"a location is 'online' or 'store:<id>', not {location!r}")
    at = None if column is None else _find(column, header, file_name)
    prefix = "store:" if column == "store_id" else ""
    policies = [(name, _find(name, header, file_name)) for name in POLICY_NAMES]
    found = tuple([(name, place) for name, place in policies if place is not None])
    return Columns(sku, quantity, at, prefix, location or "", len(header), found)


def _find(name: str, header: Sequence[str], file_name: str) -> int | None:
    return header.index(_once(name, header, file_name)) if name in header else None


def _once(name: str, header: Sequence[str], file_name: str) -> str:
    if header.count(name) > 1:
        raise UsageError(f"{file_name} has more than one column '{name}'")
    return name


def _location_sentence(column: str | None, file_name: str) -> str:
    if column is None:
        return f"{file_name} has no column 'location' or 'store_id': say --location"
    return (
        f"{file_name} has a column '{column}', and --location is given too: leave out one of them"
    )


def _listed(names: Sequence[str], word: str = "or") -> str:
    quoted = [repr(name) for name in names]
    return f" {word} ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def _read_quantity(text: str) -> int:
    """The quantity, where it is not as plain as nearly all are."""
    if not text:
        raise RowError("quantity", "a quantity is missing")
    return _read_number("quantity", text)


def _read_number(name: str, text: str) -> int:
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    what = f"a {name.replace('_', ' ')} is"
    if not (digits.isdecimal() and digits.isascii()):
        raise RowError(name, f"{what} a whole number, not {_shortened(text)}")
    number = int(text) if len(digits) <= 100 else MAX_INT64 + 1
    if abs(number) > MAX_INT64:
        raise RowError(name, f"{what} 0 to {MAX_QUANTITY}, not {_shortened(text)}")
    return number


def _shortened(text: str) -> str:
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
