"""The sample data: 902 products' stock, online and in five stores."""

from __future__ import annotations

import asyncio
import csv
import logging
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from rich.progress import Progress

from inventory_server.domain.limits import MAX_IMPORT_PRODUCTS, MAX_STOCK_LINES
from inventory_server.domain.model import ImportRow, Origin, Policy
from inventory_server.operations.imports import ImportOperations
from inventory_server.operations.product_imports import ProductImports
from inventory_server.stores.stock_store import StockStore

log = logging.getLogger(__name__)

ONLINE_UNITS: Final = 500
ONLINE_REORDER_POINT: Final = 50
STORE_REORDER_POINT: Final = 10
_TIMEOUT_S: Final = 60.0


async def load_sample_data(imports: ImportOperations, stock: StockStore) -> int:
    """Imports the sample data into a store that has no levels; answers how many rows went in."""
    loop = asyncio.get_running_loop()
    if await stock.locations(loop.time() + _TIMEOUT_S):
        return 0
    rows = list(_sample_rows())
    accepted = 0
    with Progress(transient=False) as progress:
        task = progress.add_task("Importing sample data", total=len(rows))
        for at in range(0, len(rows), MAX_STOCK_LINES):
            origin = Origin("", "sample-data", "sample-data", False, loop.time() + _TIMEOUT_S)
            chunk = rows[at : at + MAX_STOCK_LINES]
            result = await imports.take_chunk(chunk, mode="SET", reference="", origin=origin)
            accepted += result.accepted_rows
            progress.advance(task, len(chunk))
    log.info("imported the sample data: %d levels", accepted)
    return accepted


async def load_sample_products(imports: ProductImports) -> None:
    """Imports the sample products."""
    loop, chunk = asyncio.get_running_loop(), list[tuple[int, dict[str, str]]]()
    accepted = 0
    for number, cells in enumerate(_read("products.csv"), start=1):
        chunk.append((number, cells))
        if len(chunk) == MAX_IMPORT_PRODUCTS:
            accepted += await _take_products(imports, chunk, loop.time())
            chunk = []
    if chunk:
        accepted += await _take_products(imports, chunk, loop.time())
    log.info("imported the sample catalogue: %d products", accepted)


async def _take_products(
    imports: ProductImports, chunk: list[tuple[int, dict[str, str]]], now: float
) -> int:
    origin = Origin("", "sample-data", "sample-data", False, now + _TIMEOUT_S)
    return (await imports.take_chunk(chunk, origin)).accepted_rows


def _sample_rows() -> Iterator[ImportRow]:
    number = 0
    online = Policy(reorder_point=ONLINE_REORDER_POINT)
    store = Policy(reorder_point=STORE_REORDER_POINT)
    for product in _read("products.csv"):
        number += 1
        yield ImportRow(number, product["sku"], "online", ONLINE_UNITS, online)
    for row in _read("store_inventory.csv"):
        number += 1
        yield ImportRow(number, row["sku"], f"store:{row['store_id']}", int(row["qty"]), store)


def _read(name: str) -> Iterator[dict[str, str]]:
    """Rows of a sample file: in the package, or in the checkout that it runs from."""
    packaged = files("inventory_server") / "_sample_data" / name
    checkout = Path(__file__).resolve().parent.parent / "data" / name
    source = packaged if packaged.is_file() else checkout
    yield from csv.DictReader(source.read_text("utf-8").splitlines(keepends=True))
