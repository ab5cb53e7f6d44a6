"""Walking over all levels, in small reads that keep Redis for well under a millisecond."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from inventory_server.stores.redis_store import Command, RedisStore
from inventory_server.stores.stock_store import StockStore

LEVELS_A_READ: Final = 250


class LevelSums(NamedTuple):
    """What some levels come to: how many there are, low, out, and the units of all."""

    levels: int
    low: int
    out: int
    held: int
    on_hand: dict[str, int]
    """Of each SKU."""


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
            reply = await self._store.read(Command("sum_levels", keys, tuple), deadline)
            low, out = reply[1:3]
            # What is not a number belongs to a level that was deleted meanwhile.
            on_hand = {
                sku: units
                for sku, units in zip(skus, reply[3 : 3 + len(skus)], strict=True)
                if units != ""
            }
            held = sum(units for units in reply[3 + len(skus) :] if units != "")
            yield LevelSums(len(on_hand), low, out, held, on_hand)
            after = skus[-1]
