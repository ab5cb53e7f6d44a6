"""The keys and arguments of a verb whose keys the caller names.

The Lua side is `scripts/include/scope.lua`: partitions, locations and lines,
in this order, in KEYS and in ARGV.
"""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain.model import Line
from inventory_server.stores.connection import Argument
from inventory_server.stores.redis_store import RedisStore


class Scope:
    """The scope of lines that are summed and sorted by location and SKU.

    `partitions` are those touched, the first line's first; `numbers` has each
    line's partition.
    """

    __slots__ = ("_locations", "_store", "_values", "counts", "keys", "numbers", "partitions")

    def __init__(
        self, store: RedisStore, lines: Sequence[Line], expected: Sequence[str] | None = None
    ) -> None:
        self._store = store
        self.partitions: list[int] = []
        self._locations: list[Argument] = []
        self._values: list[Argument] = []
        self.numbers: list[int] = []
        self.keys = self._build(lines, expected)

    def _build(self, lines: Sequence[Line], expected: Sequence[str] | None) -> list[str]:
        keyspace = self._store.keys
        location_keys: list[str] = []
        line_keys: list[str] = []
        values, index, known, number = self._values, 0, "", 0
        for i, (sku, location, amount) in enumerate(lines):
            if location != known:
                known, index, number = location, index + 1, keyspace.partition(location)
                if number not in self.partitions:
                    self.partitions.append(number)
                self._locations += (self.partitions.index(number) + 1, location)
                location_keys += (keyspace.low(location), keyspace.skus(location))
            self.numbers.append(number)
            line_keys += (keyspace.level(location, sku), keyspace.level_due(location, sku))
            values += (index, sku, amount)
            if expected is not None:
                values.append(expected[i])
        self.counts = f"{len(self.partitions)} {index} {len(lines)}"
        keys: list[str] = []
        for n in self.partitions:
            keys += (keyspace.meta(n), keyspace.journal(n), keyspace.locations(n))
        return keys + location_keys + line_keys

    def arguments(self) -> list[Argument]:
        """The scope's part of ARGV, with what is known of the partitions now."""
        known = self._store.partitions
        guards: list[Argument] = []
        for n in self.partitions:
            guards += (n, known[n].epoch, known[n].seq)
        return [*guards, *self._locations, *self._values]
