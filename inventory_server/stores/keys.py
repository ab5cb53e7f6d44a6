"""The name of every Redis key, and the partition that it belongs to.

Every key carries its partition's hash tag, `inv:{n}:`, so that a script's
keys of one partition share a slot of a cluster. `scripts/include/hold.lua`
builds the same names for the keys that a hold's record names.
"""

from __future__ import annotations

import re
from binascii import crc_hqx

is_hold_id = re.compile(r"[0-9]{1,5}-[a-z2-7]{20}").fullmatch


def partition_of(location: str, partitions: int) -> int:
    """The partition of a location: CRC-16/XMODEM of its name, modulo the number of partitions."""
    return crc_hqx(location.encode(), 0) % partitions


class Keyspace:
    """Key names for a store of `partitions` partitions."""

    MAX_KNOWN_LOCATIONS = 10_000

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._prefixes = [f"inv:{{{n}}}:" for n in range(partitions)]
        self._known: dict[str, int] = {}

    def partition(self, location: str) -> int:
        """The location's partition; remembered, because every call asks."""
        number = self._known.get(location)
        if number is None:
            if len(self._known) >= self.MAX_KNOWN_LOCATIONS:
                self._known.clear()
            number = self._known[location] = partition_of(location, self.partitions)
        return number

    def _of_location(self, name: str, location: str) -> str:
        return f"{self._prefixes[self.partition(location)]}{name}:{location}"

    def level(self, location: str, sku: str) -> str:
        """Hash: the counts of one SKU at one location."""
        return f"{self._prefixes[self.partition(location)]}level:{location}:{sku}"

    def level_due(self, location: str, sku: str) -> str:
        """Sorted set: the level's open holds by deadline."""
        return f"{self._prefixes[self.partition(location)]}due:{location}:{sku}"

    def skus(self, location: str) -> str:
        """Sorted set: the location's SKUs, in order."""
        return self._of_location("skus", location)

    def low(self, location: str) -> str:
        """Set: the location's SKUs whose alert state is not OK."""
        return self._of_location("low", location)

    def hold(self, hold_id: str) -> str:
        """Hash: a hold, in its home partition."""
        return f"{self._prefixes[home_of(hold_id)]}hold:{hold_id}"

    def due(self, partition: int) -> str:
        """Sorted set: the partition's holds by their next date."""
        return self._prefixes[partition] + "due"

    def refs(self, partition: int) -> str:
        """Sorted set: reference, a NUL, and the hold's id."""
        return self._prefixes[partition] + "refs"

    def journal(self, partition: int) -> str:
        """Stream: the partition's movements."""
        return self._prefixes[partition] + "journal"

    def meta(self, partition: int) -> str:
        """Hash: schema, partitions, store id, secret, epoch, seq."""
        return self._prefixes[partition] + "meta"

    def locations(self, partition: int) -> str:
        """Hash: the partition's locations, each with its default policy."""
        return self._prefixes[partition] + "locations"

    def record(self, partition: int, op: str) -> str:
        """String: the idempotency record of a verb that has no hold."""
        return f"{self._prefixes[partition]}key:{op}"


def home_of(hold_id: str) -> int:
    """The partition that a hold's record is in: the id starts with it."""
    return int(hold_id.partition("-")[0])
