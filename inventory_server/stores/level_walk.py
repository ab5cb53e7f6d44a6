"""Walking over all levels, in small plain reads that keep Redis for well under a millisecond."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from inventory_server.stores.records import LevelSums, sum_levels
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import StockStore

LEVELS_A_READ: Final = 500


class LevelWalk:
    """Sums up a location's levels as they are. Raises InventoryError.

    It does not ask whether holds on them are due: have what is due expired before.
    """

    def __init__(self, store: RedisStore, stock: StockStore) -> None:
        self._store = store
        self._stock = stock

    async def pages(self, location: str, deadline: float) -> AsyncIterator[LevelSums]:
        """The location's levels by SKU, page by page."""
        keyspace, after = self._store.keys, ""
        while True:
            skus = await self._stock.skus(location, after, "", LEVELS_A_READ, deadline)
            if not skus:
                return
            keys = [keyspace.level(location, sku) for sku in skus]
            found = await self._store.command("MGET", *keys, deadline=deadline)
            yield sum_levels(zip(skus, found, strict=True))
            after = skus[-1]
