"""Movements: reading the journals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from inventory_server.domain.model import Movement
from inventory_server.stores.records import parse_level
from inventory_server.stores.redis_store import RedisStore

BEYOND: Final = 2**53
"""Past every seq."""


class MovementStore:
    """Reads the partitions' journals. Raises InventoryError."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return self._store.keys.partitions

    def partition(self, location: str) -> int:
        """The partition of a location."""
        return self._store.keys.partition(location)

    async def kept_from(self, partition: int, deadline: float) -> int:
        """The first seq that the partition's journal still has."""
        key = self._store.keys.meta(partition)
        return int(await self._store.command("HGET", key, "kept_from", deadline=deadline) or 1)

    async def before(self, partition: int, seq: int, count: int, deadline: float) -> list[Movement]:
        """The last movements of a partition before this seq, newest first."""
        end = f"({seq}-0"
        entries = await self._store.command(
            "XREVRANGE", self._store.keys.journal(partition), end, "-", "COUNT", count,
            deadline=deadline,
        )  # fmt: skip
        return [parse_movement(partition, entry) for entry in entries]

    async def after(self, partition: int, seq: int, count: int, deadline: float) -> list[Movement]:
        """The first movements of a partition after this seq, oldest first."""
        entries = await self._store.command(
            "XRANGE", self._store.keys.journal(partition), f"({seq}-0", "+", "COUNT", count,
            deadline=deadline,
        )  # fmt: skip
        return [parse_movement(partition, entry) for entry in entries]

    async def seq_at(self, partition: int, time_ms: int, deadline: float) -> int:
        """The first seq at or after this time; past the end where all is earlier.

        Times rise with seqs but where the store's clock was set back; so this halves.
        """
        last = await self.before(partition, BEYOND, 1, deadline)
        first = await self.after(partition, 0, 1, deadline)
        if not last or not first:
            return BEYOND
        low, high = first[0].seq, last[0].seq + 1
        while low < high:
            middle = (low + high) // 2
            found = await self.after(partition, middle - 1, 1, deadline)
            if found and found[0].time_ms < time_ms:
                low = found[0].seq + 1
            else:
                high = middle
        return low


def parse_movement(partition: int, entry: list[Any]) -> Movement:
    """A movement from a journal's entry."""
    id_, flat = entry
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return movement_of(partition, int(id_.partition("-")[0]), fields)


def movement_of(partition: int, seq: int, fields: Mapping[str, str]) -> Movement:
    """A movement from the texts that its journal has of it."""
    on_hand_delta, held_delta = map(int, fields["delta"].split(" "))
    sku, location, packed = fields["sku"], fields["location"], fields["level"]
    return Movement(
        partition=partition,
        seq=seq,
        movement_id=fields["id"],
        kind=fields["kind"],
        time_ms=int(fields["at_ms"]),
        actor=fields["actor"],
        reason=fields["reason"],
        note=fields["note"],
        reference=fields["reference"],
        location=location,
        sku=sku,
        on_hand_delta=on_hand_delta,
        held_delta=held_delta,
        level=parse_level(sku, location, packed) if packed else None,
        hold_id=fields["hold_id"],
    )
