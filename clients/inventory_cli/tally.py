"""What has become of an import so far."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter
from typing import NamedTuple


class RefusedRow(NamedTuple):
    """A row that stayed out. `line` is its first line in the file; the header is line 1."""

    line: int
    field: str
    reason: str
    message: str


class Tally:
    """Counts of rows that were answered, and the refused ones.

    Keeps the first `kept_refusals` refused rows, all of them where that is
    None, so that a file of bad rows does not fill the memory.
    """

    def __init__(self, kept_refusals: int | None) -> None:
        self.rows = 0
        self.accepted = 0
        self.unchanged = 0
        """Rows that were in already, where the server tells them apart."""
        self.refused = 0
        self.refusals: list[RefusedRow] = []
        self.bytes_read = 0
        self.replayed = False
        """Whether every row had gone in before, under the same key."""
        self._kept = kept_refusals
        self._started = perf_counter()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """The time since the start, or the whole time once it has ended."""
        return (self._ended or perf_counter()) - self._started

    @property
    def rows_per_second(self) -> float:
        """Answered rows a second."""
        return self.rows / self.seconds if self.rows else 0.0

    def count(
        self, rows: int, refusals: Iterable[RefusedRow], bytes_read: int, unchanged: int = 0
    ) -> None:
        """Takes in a chunk's answer; `bytes_read` is where the chunk ends in the file."""
        refused = sorted(refusals)
        self.rows += rows
        self.unchanged += unchanged
        self.refused += len(refused)
        self.accepted += rows - unchanged - len(refused)
        self.bytes_read = bytes_read
        room = len(refused) if self._kept is None else self._kept - len(self.refusals)
        self.refusals += refused[:room]

    def end(self) -> None:
        """Stops the clock."""
        self._ended = perf_counter()
