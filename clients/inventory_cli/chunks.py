"""Chunks of an import: a file's rows as messages, and the lines that they came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar, Final

from inventory_cli.csv_rows import CsvFile, RowError
from inventory_cli.tally import RefusedRow

MAX_CHUNK_ROWS: Final = 500
CHUNK_BYTES: Final = 384 << 10
"""A chunk is sent once it has so many bytes, though it has few rows."""
INVALID: Final = "INVALID_REQUEST"


@dataclass(slots=True)
class Chunk:
    """Some records of the file, one after the other.

    `request` has those that can be sent, and `lines` their lines; `refused`
    are the others. `end_byte` is where the file was read to.
    """

    request: Any
    records: int = 0
    lines: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    end_byte: int = 0

    def refusals(self, answer: Any) -> list[RefusedRow]:
        """The rows that stayed out, the server's refusals among them."""
        first = answer.first_row
        return self.refused + [
            RefusedRow(
                self.lines[row.row_number - first], self.wrong_in(row), row.reason, row.message
            )
            for row in answer.refused_rows
        ]

    def wrong_in(self, row: Any) -> str:
        """What the server calls wrong in a row that it refused."""
        return str(row.field)

    def unchanged_rows(self, answer: Any) -> int:
        """How many rows were in already, where the server tells them apart."""
        return 0


AddRow = Callable[[Sequence[str]], int]
"""Puts a row into a message; answers its bytes, where they may be many.

Raises RowError, and has put nothing, where the row cannot be sent.
"""


class ChunkReader(ABC):
    """Cuts a file into chunks of `chunk_rows` records.

    A chunk ends after so many records, whether they can be sent or not: the
    same file makes the same chunks in every run, which is what resuming under
    an idempotency key is built on.
    """

    chunk_type: ClassVar[type[Chunk]] = Chunk

    def __init__(self, file: CsvFile, chunk_rows: int) -> None:
        self._file = file
        self._chunk_rows = chunk_rows
        self._next_record = 1

    @abstractmethod
    def _begin(self, first_row: int) -> tuple[Any, AddRow]:
        """The message of a chunk, still without rows, and what puts one into it."""

    def next_chunk(self) -> Chunk | None:
        """The next chunk, None at the end of the file. Raises FileError."""
        request, add_row = self._begin(self._next_record)
        chunk = self.chunk_type(request)
        size = 0
        for line, row in islice(self._file.records(), self._chunk_rows):
            chunk.records += 1
            try:
                size += add_row(row)
            except RowError as error:
                chunk.refused.append(RefusedRow(line, error.field, INVALID, str(error)))
                continue
            chunk.lines.append(line)
            if size >= CHUNK_BYTES:
                break
        if not chunk.records:
            return None
        self._next_record += chunk.records
        chunk.end_byte = self._file.position
        return chunk
