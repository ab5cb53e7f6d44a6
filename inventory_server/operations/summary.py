"""Summing up all stock: each level once, in small steps that keep nobody waiting."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from inventory_server.domain.catalog import Worth
from inventory_server.domain.errors import ValueTooLarge
from inventory_server.domain.limits import MAX_VALUE_MINOR
from inventory_server.operations.catalog_refresh import CatalogRefresh
from inventory_server.operations.expiry import Expiry
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.level_walk import LevelWalk
from inventory_server.stores.product_store import now_ms
from inventory_server.stores.records import LevelSums
from inventory_server.stores.stock_store import StockStore


class Summary(NamedTuple):
    """Sums over products and levels. `values` are (currency, minor units), by currency."""

    products: int
    active_products: int
    levels: int
    low_levels: int
    out_levels: int
    on_hand: int
    held: int
    values: tuple[tuple[str, int], ...]
    unpriced_levels: int
    start_time_ms: int
    end_time_ms: int


class SummaryOperations:
    """Sums up products and levels. Raises InventoryError."""

    def __init__(
        self, levels: LevelWalk, stock: StockStore, expiry: Expiry, index: CatalogIndex,
        refresh: CatalogRefresh,
    ) -> None:  # fmt: skip
        self._levels = levels
        self._stock = stock
        self._expiry = expiry
        self._index = index
        self._refresh = refresh

    async def summarize(self, location: str, deadline: float) -> Summary:
        """The sums over one location, or over all if it is empty."""
        self._refresh.check_fresh()
        products, active = await self._index.counts()
        start_ms, sums = now_ms(), _Sums()
        await self._expiry.expire_due(deadline)
        for place in [location] if location else await self._stock.locations(deadline):
            async for page in self._levels.pages(place, deadline):
                in_stock = {sku: units for sku, units in page.on_hand.items() if units > 0}
                sums.add(page, await self._index.worth(in_stock))
        return sums.result(products, active, start_ms)


class _Sums:
    """What has been counted so far."""

    def __init__(self) -> None:
        self.levels = self.low = self.out = self.on_hand = self.held = self.unpriced = 0
        self.values: Counter[str] = Counter()

    def add(self, levels: LevelSums, worth: Worth) -> None:
        self.levels += levels.levels
        self.low += levels.low
        self.out += levels.out
        self.on_hand += sum(levels.on_hand.values())
        self.held += levels.held
        self.unpriced += worth.unpriced
        self.values.update(worth.values)

    def result(self, products: int, active: int, start_ms: int) -> Summary:
        for currency, value in self.values.items():
            if value > MAX_VALUE_MINOR:
                raise ValueTooLarge(currency)
        return Summary(
            products, active, self.levels, self.low, self.out,
            self.on_hand, self.held, tuple(sorted(self.values.items())), self.unpriced,
            start_ms, now_ms(),
        )  # fmt: skip
