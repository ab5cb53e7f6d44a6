"""Importing products: rows of a table, each by itself, good ones in and bad ones reported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from inventory_server.domain.catalog import Product, StoredProduct
from inventory_server.domain.errors import BarcodeTaken, StoreUnavailable
from inventory_server.domain.model import Origin
from inventory_server.domain.product_rules import RowError, merge_row, sku_of_row
from inventory_server.operations.product_activity import ProductActivity
from inventory_server.operations.product_writes import ProductWrites, next_state
from inventory_server.stores.change_feed import ChangeFeed
from inventory_server.stores.dynamo import LostError
from inventory_server.stores.product_records import ProductItem, absent
from inventory_server.stores.product_store import ProductStore

WRITES_AT_ONCE: Final = 12
"""Fewer than there are threads, so that reads still get through."""

Row = tuple[int, Mapping[str, str]]
"""A row's number and its cells, by column."""


class RefusedProductRow(NamedTuple):
    """A row that stayed out; `reason` is one of the API."""

    row_number: int
    column: str
    reason: str
    message: str


class ImportedChunk(NamedTuple):
    """What became of a chunk."""

    first_row: int
    accepted_rows: int
    unchanged_rows: int
    refused_rows: tuple[RefusedProductRow, ...]
    next_row: int


class _Chunk:
    """The rows of a chunk, by product."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.refused: list[RefusedProductRow] = []
        self.accepted = self.unchanged = 0
        self.rows_of: dict[str, list[Row]] = {}
        for number, cells in rows:
            try:
                self.rows_of.setdefault(sku_of_row(cells), []).append((number, cells))
            except RowError as error:
                self.refuse(number, error)
        self._barcodes: dict[str, str] = {}

    def refuse(self, number: int, error: RowError) -> None:
        self.refused.append(
            RefusedProductRow(number, error.column, "INVALID_REQUEST", str(error)[:300])
        )

    def merge(self, sku: str, before: Product | None) -> tuple[Product | None, int]:
        """The product that its good rows make, and how many they are; refuses the bad ones."""
        product, good = before, 0
        for number, cells in self.rows_of[sku]:
            try:
                merged = merge_row(cells, product or Product(sku, ""))
                owner = self._barcodes.setdefault(merged.barcode, sku) if merged.barcode else sku
                if owner != sku:
                    raise RowError("barcode", f"the row of {owner} has the same")
            except RowError as error:
                self.refuse(number, error)
            else:
                product, good = merged, good + 1
        return product, good


class ProductImports:
    """Takes in chunks of rows. Raises InventoryError where the chunk cannot be judged at all."""

    def __init__(
        self, products: ProductStore, writes: ProductWrites, feed: ChangeFeed,
        activity: ProductActivity,
    ) -> None:  # fmt: skip
        self._products = products
        self._writes = writes
        self._feed = feed
        self._activity = activity

    async def take_chunk(self, rows: Sequence[Row], origin: Origin) -> ImportedChunk:
        """Takes in the good rows, each product by itself; later rows of a SKU go over earlier."""
        chunk = _Chunk(rows)
        skus = list(chunk.rows_of)
        found = await self._products.read_many(skus, origin.deadline)
        changes: list[tuple[ProductItem, StoredProduct, int]] = []
        for sku in skus:
            before = found.get(sku) or absent(sku)
            product, good = chunk.merge(sku, before.stored.product)
            if product is None or product == before.stored.product:
                chunk.unchanged += good
            else:
                changes.append((before, next_state(before.stored, product), good))
        await self._write(chunk, changes, origin)
        refused = tuple(sorted(chunk.refused))
        return ImportedChunk(rows[0][0], chunk.accepted, chunk.unchanged, refused, rows[-1][0] + 1)

    async def _write(
        self, chunk: _Chunk, changes: list[tuple[ProductItem, StoredProduct, int]], origin: Origin
    ) -> None:
        if not changes:
            return
        try:
            versions = {stored.sku: stored.version for _, stored, _ in changes}
            await self._feed.announce(versions, origin.deadline)
        except LostError as error:
            raise StoreUnavailable(f"the catalogue's store does not answer: {error}") from error
        gate = asyncio.Semaphore(WRITES_AT_ONCE)

        async def put(before: ProductItem, stored: StoredProduct, good: int) -> None:
            async with gate:
                await self._put(chunk, before, stored, good, origin)

        # All are waited for, so that nothing goes on behind the caller's back.
        results = await asyncio.gather(
            *[put(*change) for change in changes], return_exceptions=True
        )
        told = [
            stored.sku
            for before, stored, _ in changes
            if _is_active(before.stored) is not _is_active(stored)
        ]
        await self._activity.settle(told, origin.deadline)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _put(
        self, chunk: _Chunk, before: ProductItem, stored: StoredProduct, good: int, origin: Origin
    ) -> None:
        """Writes one product; where somebody else wrote it meanwhile, its rows are merged anew."""
        is_announced, product = True, stored.product
        try:
            while not await self._writes.replace(before, stored, origin, is_announced=is_announced):
                before = await self._products.read(stored.sku, origin.deadline)
                product = before.stored.product
                for _, cells in chunk.rows_of[stored.sku]:
                    product = _merged_again(cells, product, stored.sku)
                is_announced = False
                stored = next_state(before.stored, product)
        except BarcodeTaken as error:
            for number, _ in chunk.rows_of[stored.sku]:
                chunk.refused.append(
                    RefusedProductRow(number, "barcode", error.reason, error.message)
                )
        else:
            chunk.accepted += good


def _merged_again(cells: Mapping[str, str], product: Product | None, sku: str) -> Product | None:
    try:
        return merge_row(cells, product or Product(sku, ""))
    except RowError:
        # It was refused when it was looked at first, and is reported.
        return product


def _is_active(stored: StoredProduct) -> bool:
    return stored.product is None or stored.product.active
