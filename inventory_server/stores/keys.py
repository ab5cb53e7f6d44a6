"""The name of every Redis key, and the partition that it belongs to.

Every key carries its partition's hash tag, `inv:{n}:`, so that a script's
keys of one partition share a slot of a cluster. `scripts/include/`
builds the same names for the keys that a hold's record names (hold_lines.lua)
and for those of a partition (journal.lua).
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from typing import NamedTuple

is_hold_id = re.compile(r"(?:0|[1-9][0-9]{0,4})-[a-z2-7]{20}").fullmatch
match_key = re.compile(
    r"inv:\{(?P<n>\d+)\}:(?:"
    r"(?P<of_level>level|due):(?P<location>(?:online|store:[^:]+)):(?P<sku>[^:]+)"
    r"|(?P<of_location>skus|low):(?P<place>.+)"
    r"|hold:(?P<hold>.+)"
    r"|(?P<of_partition>due|ended|refs|journal|alerts|meta|locations|inactive)"
    r"|key:(?P<record>.+))"
).fullmatch
"""A key taken apart: partition `n`, and what it is of; None for what is no key of ours."""


def partition_of(location: str, partitions: int) -> int:
    """The partition of a location: CRC-16/XMODEM of its name, modulo the number of partitions."""
    return crc_hqx(location.encode(), 0) % partitions


class LocationKeys(NamedTuple):
    """A location's partition and keys; `level` and `level_due` want a SKU behind them."""

    number: int
    level: str
    level_due: str
    low: str
    skus: str


class Keyspace:
    """Key names for a store of `partitions` partitions."""

    MAX_KNOWN_LOCATIONS = 10_000

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._prefixes = [f"inv:{{{n}}}:" for n in range(partitions)]
        self._of_partition = {
            name: [prefix + name for prefix in self._prefixes]
            for name in (
                *("due", "ended", "refs", "journal", "alerts"),
                *("meta", "locations", "inactive"),
            )
        }
        self._known: dict[str, LocationKeys] = {}

    def at(self, location: str) -> LocationKeys:
        """The location's keys; remembered, because every call asks."""
        known = self._known.get(location)
        if known is None:
            if len(self._known) >= self.MAX_KNOWN_LOCATIONS:
                self._known.clear()
            number = partition_of(location, self.partitions)
            prefix = self._prefixes[number]
            known = self._known[location] = LocationKeys(
                number,
                f"{prefix}level:{location}:",
                f"{prefix}due:{location}:",
                f"{prefix}low:{location}",
                f"{prefix}skus:{location}",
            )
        return known

    def partition(self, location: str) -> int:
        """The location's partition."""
        return self.at(location).number

    def level(self, location: str, sku: str) -> str:
        """String: the counts of one SKU at one location."""
        return self.at(location).level + sku

    def level_due(self, location: str, sku: str) -> str:
        """Sorted set: the level's open holds by deadline."""
        return self.at(location).level_due + sku

    def skus(self, location: str) -> str:
        """Sorted set: the location's SKUs, in order."""
        return self.at(location).skus

    def low(self, location: str) -> str:
        """Sorted set: the location's SKUs whose alert state is not OK, in order."""
        return self.at(location).low

    def hold(self, hold_id: str) -> str:
        """String: a hold, in its home partition."""
        return f"inv:{{{hold_id.partition('-')[0]}}}:hold:{hold_id}"

    def due(self, partition: int) -> str:
        """Sorted set: the partition's open holds by deadline."""
        return self._of_partition["due"][partition]

    def ended(self, partition: int) -> str:
        """List: the partition's ended holds, in the order in which they ended."""
        return self._of_partition["ended"][partition]

    def refs(self, partition: int) -> str:
        """Sorted set: reference, a NUL, and the hold's id."""
        return self._of_partition["refs"][partition]

    def journal(self, partition: int) -> str:
        """Stream: the partition's movements."""
        return self._of_partition["journal"][partition]

    def alerts(self, partition: int) -> str:
        """Stream: the partition's alerts."""
        return self._of_partition["alerts"][partition]

    def meta(self, partition: int) -> str:
        """Hash: schema, partitions, store id, secret, epoch, seq."""
        return self._of_partition["meta"][partition]

    def locations(self, partition: int) -> str:
        """Hash: the partition's locations, each with its default policy."""
        return self._of_partition["locations"][partition]

    def inactive(self, partition: int) -> str:
        """Set: the SKUs whose product is inactive; every partition has all of them."""
        return self._of_partition["inactive"][partition]

    def record(self, partition: int, op: str) -> str:
        """String: the idempotency record of a verb that has no hold."""
        return f"{self._prefixes[partition]}key:{op}"


def home_of(hold_id: str) -> int:
    """The partition that a hold's record is in: the id starts with it."""
    return int(hold_id.partition("-")[0])
