"""What the durable copy is made from: the journals in Redis, and how far they are copied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from inventory_server.domain.copy import JournalEntry
from inventory_server.domain.errors import StoreRewound
from inventory_server.domain.stream import Place
from inventory_server.stores.redis_store import Command, RedisStore
from inventory_server.stores.stream_store import parse_places


class CopySource:
    """Reads the journals whole, and says how far they are copied. Raises InventoryError."""

    TIMEOUT_S: Final = 5.0

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._all = range(store.keys.partitions)

    @property
    def store_id(self) -> str:
        """The store's."""
        return self._store.store_id

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return len(self._all)

    async def places(self, partitions: Sequence[int] | None = None) -> list[Place]:
        """How far these partitions have come, by default all of them."""
        keys = [self._store.keys.meta(n) for n in self._all if not partitions or n in partitions]
        return parse_places(
            await self._store.read(Command("read_places", keys, tuple), self._soon())
        )

    async def now_ms(self) -> int:
        """The store's time."""
        if self._store.now_ms:
            return int(self._store.now_ms)
        seconds, micros = await self._store.command("TIME", deadline=self._soon())
        return int(seconds) * 1000 + int(micros) // 1000

    async def read(self, partition: int, seq: int, count: int) -> tuple[Place, list[JournalEntry]]:
        """A partition's movements from a seq on, and then its place, which has them all."""
        found = await self._store.command(
            "XRANGE", self._store.keys.journal(partition), f"{seq}-0", "+", "COUNT", count,
            deadline=self._soon(),
        )  # fmt: skip
        (place,) = await self.places([partition])
        epoch = int(place.epoch or 0)
        return place, [_parse_entry(epoch, partition, entry) for entry in found]

    async def mark(self, partition: int, epoch: int, seq: int) -> None:
        """Says that this movement, and all before it, are in the copy. Raises StoreRewound."""
        arguments = (partition, epoch, seq, self.store_id)
        command = Command("mark_copied", [self._store.keys.meta(partition)], lambda: arguments)
        # The epoch is the copy's: that the store has another says nothing of what this server
        # knows, so this is no `sweep`. It may run twice, like a read.
        reply = await self._store.read(command, self._soon())
        if reply[0] == "rewound":
            raise StoreRewound(partition)

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + self.TIMEOUT_S


def _parse_entry(epoch: int, partition: int, entry: list[Any]) -> JournalEntry:
    id_, flat = entry
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return JournalEntry(epoch, partition, int(id_.partition("-")[0]), fields)
