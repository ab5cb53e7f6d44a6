"""Chunks of an import: a file's rows as messages, and the lines that they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from inventory.v1 import stock_service_pb2 as pb

from inventory_cli.csv_rows import Columns, CsvFile, RowError
from inventory_cli.tally import RefusedRow

MAX_CHUNK_ROWS: Final = 500
INVALID: Final = "INVALID_REQUEST"


@dataclass(slots=True)
class Chunk:
    """Some records of the file, one after the other.

    `request` has those that can be sent, and `lines` their lines; `refused`
    are the others. `end_byte` is where the file was read to.
    """

    request: pb.ImportStockRequest
    records: int = 0
    lines: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    end_byte: int = 0

    def refusals(self, answer: pb.ImportStockResponse) -> list[RefusedRow]:
        """The rows that stayed out, the server's refusals among them."""
        first = answer.first_row
        return self.refused + [
            RefusedRow(self.lines[row.row_number - first], row.field, row.reason, row.message)
            for row in answer.refused_rows
        ]


class ChunkReader:
    """Cuts a file into chunks of `chunk_rows` records.

    A chunk ends after so many records, whether they can be sent or not: the
    same file makes the same chunks in every run, which is what resuming under
    an idempotency key is built on.
    """

    def __init__(
        self, file: CsvFile, columns: Columns, mode: pb.ImportMode.ValueType, chunk_rows: int
    ) -> None:
        self._file = file
        self._columns = columns
        self._mode = mode
        self._chunk_rows = chunk_rows
        self._next_record = 1

    def next_chunk(self) -> Chunk | None:
        """The next chunk, None at the end of the file. Raises FileError."""
        request = pb.ImportStockRequest(mode=self._mode, first_row=self._next_record)
        chunk = Chunk(request)
        add, read = request.rows.add, self._columns.read
        read_policy = self._columns.read_policy if self._columns.policies else None
        for line, row in islice(self._file.records(), self._chunk_rows):
            chunk.records += 1
            try:
                sku, location, quantity = read(row)
                policy = read_policy(row) if read_policy else ()
            except RowError as error:
                chunk.refused.append(RefusedRow(line, error.field, INVALID, str(error)))
                continue
            # Several times faster than the fields as arguments of add().
            message = add()
            message.sku = sku
            message.location = location
            message.quantity = quantity
            for name, value in policy:
                setattr(message, name, value)
            chunk.lines.append(line)
        if not chunk.records:
            return None
        self._next_record += chunk.records
        chunk.end_byte = self._file.position
        return chunk
