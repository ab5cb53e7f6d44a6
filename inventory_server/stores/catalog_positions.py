"""Where products stand: positions in the order of their SKUs, with room for more between them.

New products at the ends stand a stride apart; those between two others share
the room there. Where that is too little, the smallest neighbourhood that has
enough room is spread out evenly. How much is enough rises with its size, so
that it lasts: however products come, each one causes some ten moves in all,
and in no order, or in that of the SKUs, hardly any.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from inventory_server.stores.catalog_sql import marks, read_rows

END: Final = 1 << 62
"""Positions are from 1 to below this."""
STRIDE: Final = 1 << 32
"""Room for some hundreds between any two, in any order; more would make the text index longer."""
_GROWTH: Final = 1.5
"""How much more room a product has in a neighbourhood of twice the size. Below 2."""

_LOWER: Final = "(SELECT position FROM products WHERE sku < column1 ORDER BY sku DESC LIMIT 1)"
_UPPER: Final = "(SELECT position FROM products WHERE sku > column1 ORDER BY sku LIMIT 1)"
_NEIGHBOURS: Final = (
    f"'[' || coalesce({_LOWER}, 0) || ',' || coalesce({_UPPER}, {END}) || ',\"' || column1 || '\"]'"
)


class Gap(NamedTuple):
    """Two neighbours, and the new SKUs between them, in order."""

    lower: int
    upper: int
    skus: list[str]

    def positions(self) -> list[int]:
        """Where the new ones stand; nowhere if there is no room for all."""
        lower, upper, count = self.lower, self.upper, len(self.skus)
        step = (upper - lower) // (count + 1)
        if step == 0:
            return []
        if upper == END:
            first = lower or END // 2
            step = min(step, STRIDE)
            return [first + step * n for n in range(1, count + 1)]
        if lower == 0:
            step = min(step, STRIDE)
            return [upper - step * n for n in range(count, 0, -1)]
        return [lower + step * n for n in range(1, count + 1)]


def find_gaps(db: sqlite3.Connection, skus: Sequence[str]) -> list[Gap]:
    """Where SKUs belong that the index does not have."""
    if not skus:
        return []
    rest = f"(VALUES {', '.join([marks(1)] * len(skus))})"
    found = sorted(read_rows(db, _NEIGHBOURS, rest, skus), key=lambda row: row[2])
    return [
        Gap(lower, upper, [sku for _, _, sku in rows])
        for (lower, upper), rows in groupby(found, key=lambda row: (row[0], row[1]))
    ]


def find_moves(db: sqlite3.Connection, gap: Gap) -> dict[int, int]:
    """Which products must move so that the gap is wide enough: from where, to where."""
    near = gap.lower or gap.upper
    count = len(gap.skus)
    for bits in range(1, END.bit_length()):
        size = 1 << bits
        first = near & -size
        where = "products WHERE position BETWEEN ? AND ?"
        ((there,),) = db.execute(f"SELECT count(*) FROM {where}", (first, first + size - 1))
        step = size // (there + 1)
        if step > max(count, _GROWTH**bits):
            break
    positions = sorted(read_rows(db, "position", where, (first, first + size - 1)))
    return {old: first + step * n for n, old in enumerate(positions, 1)}
