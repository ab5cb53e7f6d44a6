"""Rows of stock: where their values stand, what they say, and chunks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from inventory.v1 import stock_service_pb2 as pb

from inventory_cli.chunks import AddRow, ChunkReader
from inventory_cli.csv_rows import (
    CsvFile,
    RowError,
    listed,
    no_column,
    place_of,
    row_too_long,
    row_too_short,
    shortened,
)
from inventory_cli.errors import UsageError

QUANTITY_NAMES: Final = ("qty", "quantity", "on_hand")
POLICY_NAMES: Final = ("reorder_point", "rearm_point", "safety_stock", "backorder_limit")
MAX_QUANTITY: Final = 2**31 - 1
MAX_INT64: Final = 2**63 - 1
MAX_TEXT_LENGTH: Final = 250
"""Of a SKU or a location that is sent. The server takes far shorter ones only; the bound is
here so that 500 bad rows still fit into one message of 1 MiB."""


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
            raise row_too_long(row, self.width)
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
        return row_too_short(row, self.width, field)


def find_columns(header: Sequence[str], location: str | None, file_name: str) -> Columns:
    """Where the columns stand; `location` is the one given for all rows.

    Raises UsageError where a column is missing or stands twice, or where
    there is not exactly one source of locations.
    """
    header = [name.lower() for name in header]
    sku = place_of("sku", header, file_name)
    given = [name for name in QUANTITY_NAMES if name in header]
    quantity = place_of(given[0], header, file_name) if given else None
    if sku is None or quantity is None:
        named = listed([repr(name) for name in QUANTITY_NAMES], "or")
        wanted = "'sku'" if sku is None else f"{named} for the quantity"
        raise no_column(wanted, header, file_name)
    column = next((name for name in ("location", "store_id") if name in header), None)
    if (column is None) == (location is None):
        raise UsageError(_location_sentence(column, file_name))
    if location is not None and location != "online" and not location.startswith("store:"):
        raise UsageError(f"a location is 'online' or 'store:<id>', not {location!r}")
    at = None if column is None else place_of(column, header, file_name)
    prefix = "store:" if column == "store_id" else ""
    policies = [(name, place_of(name, header, file_name)) for name in POLICY_NAMES]
    found = tuple([(name, place) for name, place in policies if place is not None])
    return Columns(sku, quantity, at, prefix, location or "", len(header), found)


class StockChunks(ChunkReader):
    """Chunks of rows of stock."""

    def __init__(
        self, file: CsvFile, columns: Columns, mode: pb.ImportMode.ValueType, chunk_rows: int
    ) -> None:
        super().__init__(file, chunk_rows)
        self._mode = mode
        self._read = columns.read
        self._read_policy = columns.read_policy if columns.policies else None

    def _begin(self, first_row: int) -> tuple[pb.ImportStockRequest, AddRow]:
        request = pb.ImportStockRequest(mode=self._mode, first_row=first_row)
        add, read, read_policy = request.rows.add, self._read, self._read_policy

        def add_row(row: Sequence[str]) -> int:
            sku, location, quantity = read(row)
            policy = read_policy(row) if read_policy else ()
            # Several times faster than the fields as arguments of add().
            message = add()
            message.sku = sku
            message.location = location
            message.quantity = quantity
            for name, value in policy:
                setattr(message, name, value)
            return 0

        return request, add_row


def _location_sentence(column: str | None, file_name: str) -> str:
    if column is None:
        return f"{file_name} has no column 'location' or 'store_id': say --location"
    return (
        f"{file_name} has a column '{column}', and --location is given too: leave out one of them"
    )


def _read_quantity(text: str) -> int:
    """The quantity, where it is not as plain as nearly all are."""
    if not text:
        raise RowError("quantity", "a quantity is missing")
    return _read_number("quantity", text)


def _read_number(name: str, text: str) -> int:
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    what = f"a {name.replace('_', ' ')} is"
    if not (digits.isdecimal() and digits.isascii()):
        raise RowError(name, f"{what} a whole number, not {shortened(text)}")
    number = int(text) if len(digits) <= 100 else MAX_INT64 + 1
    if abs(number) > MAX_INT64:
        raise RowError(name, f"{what} 0 to {MAX_QUANTITY}, not {shortened(text)}")
    return number
