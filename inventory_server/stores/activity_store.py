"""Which products are inactive, in Redis: a set of SKUs in each partition.

The sets are a copy of the catalogue's flag, so that the scripts that hold and
sell can look. They are in no journal: the catalogue is what they are made from.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from inventory_server.domain.limits import SKUS_A_SCRIPT
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.redis_store import Command, RedisStore


class ActivityStore:
    """Writes and reads the sets of inactive SKUs. Raises InventoryError."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def set_active(self, skus: Mapping[str, bool], deadline: float) -> None:
        """Says of these SKUs that their products are active, or are not, in every partition.

        Once it has returned, no hold and no sale of an inactive one goes through. It may be
        repeated; where it raises, some partitions may have been written and others not.
        """
        for is_active in (False, True):
            named = [sku for sku, active in skus.items() if active is is_active]
            for at in range(0, len(named), SKUS_A_SCRIPT):
                await self._write(named[at : at + SKUS_A_SCRIPT], is_active, deadline)

    async def inactive(self, partition: int, deadline: float) -> AsyncIterator[list[str]]:
        """The partition's inactive SKUs, in pages: what is in the set throughout comes, and may
        come twice.
        """
        key, place = self._store.keys.inactive(partition), "0"
        while True:
            place, skus = await self._store.command(
                "SSCAN", key, place, "COUNT", SKUS_A_SCRIPT, deadline=deadline
            )
            yield skus
            if int(place) == 0:
                return

    async def _write(self, skus: Sequence[str], is_active: bool, deadline: float) -> None:
        """Writes all partitions that can be written, and then raises what kept the others."""
        partitions = range(self._store.keys.partitions)
        done = await asyncio.gather(
            *[self._write_one(n, skus, is_active, deadline) for n in partitions],
            return_exceptions=True,
        )
        for error in done:
            if error is not None:
                raise error

    async def _write_one(
        self, number: int, skus: Sequence[str], is_active: bool, deadline: float
    ) -> None:
        store = self._store
        keys = (store.keys.meta(number), store.keys.journal(number), store.keys.inactive(number))

        def arguments() -> Sequence[Argument]:
            known = store.partitions[number]
            is_inactive = "" if is_active else "1"
            return (number, known.epoch, known.seq, store.store_id, is_inactive, *skus)

        await store.sweep(Command("set_inactive", keys, arguments), deadline)
