"""An import's client, as small as can be: `python -m benchmarks.import_client FILE ADDRESS`.

It reads a CSV file (sku,location,quantity) as it goes and streams its rows in
chunks of 500, with at most 8 chunks not yet answered, so that its memory does
not grow with the file. It prints how many rows went in.
"""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop
from inventory.v1 import stock_service_pb2 as pb
from inventory.v1 import stock_service_pb2_grpc

from benchmarks.payloads import CHUNK_ROWS

WINDOW: Final = 8


def read_chunks(path: Path) -> Iterator[pb.ImportStockRequest]:
    """The file's chunks."""
    with path.open(newline="") as lines:
        rows, first_row = csv.reader(lines), 1
        next(rows)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield pb.ImportStockRequest(
                mode=pb.IMPORT_MODE_SET,
                first_row=first_row,
                rows=[
                    pb.ImportRow(sku=sku, location=location, quantity=int(quantity))
                    for sku, location, quantity in chunk
                ],
            )
            first_row += len(chunk)


async def import_file(path: Path, address: str) -> int:
    """Imports the file; answers how many rows went in."""
    room, accepted = asyncio.Semaphore(WINDOW), 0

    async def requests() -> AsyncIterator[pb.ImportStockRequest]:
        for chunk in read_chunks(path):
            await room.acquire()
            yield chunk

    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = stock_service_pb2_grpc.StockServiceStub(channel)
        async for answer in stub.ImportStock(
            requests(), metadata=(("idempotency-key", path.name),)
        ):
            accepted += answer.accepted_rows
            room.release()
    return accepted


if __name__ == "__main__":
    print(uvloop.run(import_file(Path(sys.argv[1]), sys.argv[2])))
