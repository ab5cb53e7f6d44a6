"""The keys and arguments of a verb whose keys the caller names.

The Lua side is `scripts/include/scope.lua`: partitions, locations and lines,
in this order, in KEYS and in ARGV.
"""

from __future__ import annotations

from collections.abc import Sequence

from inventory_server.domain.model import Line
from inventory_server.stores.pipeline import Argument
from inventory_server.stores.redis_store import RedisStore


class Scope:
    """The scope of lines that are summed and sorted by location and SKU.

    `partitions` are those touched, `home` first where it is given, then the
    first line's. `fixed` is the part of
    ARGV that comes before the scope. Without `amounts` a line is its level alone.
    """

    __slots__ = (
        *("_locations", "_store", "_values"),
        *("counts", "fixed", "keys", "partitions"),
    )

    def __init__(
        self,
        store: RedisStore,
        lines: Sequence[Line],
        *,
        makes_levels: bool = False,
        expected: Sequence[str] | None = None,
        amounts: bool = True,
        home: int | None = None,
    ) -> None:
        self._store = store
        self.partitions: list[int] = [] if home is None else [home]
        self._locations: list[Argument] = []
        self._values: list[Argument] = []
        self.fixed: tuple[Argument, ...] = ()
        self.keys = self._build(lines, makes_levels, expected, amounts)

    def _build(
        self,
        lines: Sequence[Line],
        makes_levels: bool,
        expected: Sequence[str] | None,
        amounts: bool,
    ) -> list[str]:
        keyspace = self._store.keys
        location_keys: list[str] = []
        line_keys: list[str] = []
        values, index, known = self._values, 0, ""
        number, level, level_due = 0, "", ""
        for i, (sku, location, amount) in enumerate(lines):
            if location != known:
                known, index = location, index + 1
                number, level, level_due, low, skus = keyspace.at(location)
                if number not in self.partitions:
                    self.partitions.append(number)
                self._locations += (self.partitions.index(number) + 1, location)
                location_keys.append(low)
                if makes_levels:
                    location_keys.append(skus)
            line_keys += (level + sku, level_due + sku)
            values += (index, sku, amount) if amounts else (index, sku)
            if expected is not None:
                values.append(expected[i])
        self.counts = f"{len(self.partitions)} {index} {len(lines)} {self._store.store_id}"
        keys: list[str] = []
        for n in self.partitions:
            keys += (keyspace.meta(n), keyspace.journal(n))
            keys += (keyspace.alerts(n), keyspace.inactive(n))
            if makes_levels:
                keys.append(keyspace.locations(n))
        return keys + location_keys + line_keys

    def arguments(self) -> list[Argument]:
        """The whole ARGV, with what is known of the partitions now."""
        known = self._store.partitions
        arguments = list(self.fixed)
        for n in self.partitions:
            arguments += (n, known[n].epoch, known[n].seq)
        arguments += self._locations
        arguments += self._values
        return arguments
