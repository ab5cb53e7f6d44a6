"""Rows of products: what their columns are called, and chunks of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from inventory.v1 import catalog_service_pb2 as pb

from inventory_cli.chunks import AddRow, Chunk, ChunkReader
from inventory_cli.csv_rows import (
    CsvFile,
    RowError,
    no_column,
    place_of,
    row_too_long,
    row_too_short,
    shortened,
)
from inventory_cli.errors import UsageError

MAX_ROW_BYTES: Final = 128 << 10
"""Of a row's message. A product takes far less; with the bound of a chunk it keeps every
message well below the 1 MiB that the server takes."""
_NUL: Final = "\0"


class ProductColumns(NamedTuple):
    """The columns' names as they stand in the header; empty for one without a name."""

    names: tuple[str, ...]

    def read(self, row: Sequence[str]) -> dict[str, str]:
        """The row's cells by column. Raises RowError where they cannot be sent."""
        names = self.names
        if len(row) < len(names):
            raise row_too_short(row, len(names), names[len(row)] or "row")
        if any(row[len(names) :]):
            raise row_too_long(row, len(names))
        cells = dict(zip(names, row, strict=False))
        if "" in cells:
            self._check_nameless(row)
            del cells[""]
        for name, text in cells.items():
            if _NUL in text:
                raise RowError(name, "a cell has no NUL byte")
        return cells

    def _check_nameless(self, row: Sequence[str]) -> None:
        for at, (name, text) in enumerate(zip(self.names, row, strict=False), 1):
            if text and not name:
                sentence = f"column {at} has no name in the header, and here {shortened(text)}"
                raise RowError("row", sentence)


def find_product_columns(header: Sequence[str], file_name: str) -> ProductColumns:
    """The columns of this header, whose names are sent as they are.

    Raises UsageError where there is no SKU, or a name stands twice.
    """
    if place_of("sku", [name.lower() for name in header], file_name) is None:
        raise no_column("'sku'", header, file_name)
    for name in filter(None, header):
        place_of(name, header, file_name)
        if _NUL in name:
            raise UsageError(f"{file_name} has a NUL byte in the column name {shortened(name)}")
    return ProductColumns(tuple(header))


class ProductChunk(Chunk):
    """A chunk of rows of products."""

    __slots__ = ()

    def wrong_in(self, row: pb.RefusedProductRow) -> str:
        """The column that is wrong."""
        return row.column

    def unchanged_rows(self, answer: pb.ImportProductsResponse) -> int:
        """How many rows were in already."""
        return answer.unchanged_rows


class ProductChunks(ChunkReader):
    """Chunks of rows of products."""

    chunk_type: ClassVar[type[Chunk]] = ProductChunk

    def __init__(self, file: CsvFile, columns: ProductColumns, chunk_rows: int) -> None:
        super().__init__(file, chunk_rows)
        self._read = columns.read

    def _begin(self, first_row: int) -> tuple[pb.ImportProductsRequest, AddRow]:
        request = pb.ImportProductsRequest(first_row=first_row)

        def add_row(row: Sequence[str]) -> int:
            message = pb.ProductRow(cells=self._read(row))
            size = message.ByteSize()
            if size > MAX_ROW_BYTES:
                sentence = f"the row has {size:,} bytes; at most {MAX_ROW_BYTES:,} are sent"
                raise RowError("row", sentence)
            request.rows.append(message)
            return size

        return request, add_row
