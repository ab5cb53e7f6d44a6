"""Rows in chunks, as imports send them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Final, TypeVar

CHUNK_ROWS: Final = 500

Row = TypeVar("Row")


async def chunks_of(
    rows: Iterable[Row] | AsyncIterable[Row], first_row: int
) -> AsyncIterator[tuple[int, list[Row]]]:
    """The rows in lists of at most CHUNK_ROWS, each with the number of its first row."""
    number, chunk = first_row, list[Row]()
    async for row in _each(rows):
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield number, chunk
            number, chunk = number + len(chunk), []
    if chunk:
        yield number, chunk


async def _each(rows: Iterable[Row] | AsyncIterable[Row]) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row
