"""What a resync copies: levels, default policies and holds, as Redis has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from inventory_server.domain.copy import HoldState, LevelState, Place
from inventory_server.stores.audit_store import AuditStore
from inventory_server.stores.records import parse_level, parse_stored_hold
from inventory_server.stores.redis_store import RedisStore
from inventory_server.stores.stock_store import StockStore

_STATES_A_READ: Final = 500


class ResyncSource:
    """Reads a partition's states page by page, in plain reads. Raises InventoryError.

    `at` is a place that the partition had come to before the walk began. It is the rank of a
    state without a version: what was done up to there is in it, and what is done later is a
    movement of a greater seq.
    """

    TIMEOUT_S: Final = 10.0

    def __init__(self, store: RedisStore, stock: StockStore, audit: AuditStore) -> None:
        self._store = store
        self._stock = stock
        self._audit = audit

    async def levels(self, partition: int, at: Place) -> AsyncIterator[list[LevelState]]:
        """All levels, and every location's default policy."""
        key = self._store.keys.locations(partition)
        flat = await self._store.command("HGETALL", key, deadline=self._soon())
        defaults = dict(zip(flat[::2], flat[1::2], strict=True))
        yield [
            LevelState(partition, location, "", f"0 0 0{policy} OK", *at)
            for location, policy in defaults.items()
        ]
        for location in sorted(defaults):
            after = ""
            while skus := await self._stock.skus(location, after, "", _STATES_A_READ, self._soon()):
                found = await self._get([self._store.keys.level(location, sku) for sku in skus])
                yield [
                    LevelState(partition, location, sku, packed, at.epoch, version)
                    for sku, packed in zip(skus, found, strict=True)
                    if packed and (version := parse_level(sku, location, packed).version)
                ]
                after = skus[-1]

    async def holds(self, partition: int, at: Place) -> AsyncIterator[list[HoldState]]:
        """All holds at home in the partition; some may come twice."""
        # First the open ones: what ends meanwhile is in the list that is read afterwards.
        async for ids in self._audit.members(self._store.keys.due(partition), "zset"):
            yield await self._holds(ids, at)
        async for ids in self._audit.ended(partition):
            yield await self._holds(ids, at)

    async def deleted(self, copied: Iterable[LevelState], at: Place) -> list[LevelState]:
        """Those levels of the copy that are not there any more, as deleted ones."""
        levels = [level for level in copied if level.sku and level.packed]
        keys = [self._store.keys.level(level.location, level.sku) for level in levels]
        found = await self._get(keys)
        return [
            level._replace(packed="", epoch=at.epoch, rank=at.seq)
            for level, packed in zip(levels, found, strict=True)
            if packed is None
        ]

    async def removed(self, copied: Iterable[HoldState], at: Place) -> list[HoldState]:
        """Those open holds of the copy that are not there any more, as removed ones."""
        holds = [hold for hold in copied if hold.is_open]
        found = await self._get([self._store.keys.hold(hold.hold_id) for hold in holds])
        return [
            hold.as_removed(*at) for hold, value in zip(holds, found, strict=True) if value is None
        ]

    async def _holds(self, ids: Sequence[str], at: Place) -> list[HoldState]:
        found = await self._get([self._store.keys.hold(hold_id) for hold_id in ids])
        return [
            HoldState(hold_id, *parse_stored_hold(value), *at)
            for hold_id, value in zip(ids, found, strict=True)
            if value
        ]

    async def _get(self, keys: Sequence[str]) -> list[str | None]:
        found: list[str | None] = []
        for first in range(0, len(keys), _STATES_A_READ):
            part = keys[first : first + _STATES_A_READ]
            found += await self._store.command("MGET", *part, deadline=self._soon())
        return found

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + self.TIMEOUT_S
