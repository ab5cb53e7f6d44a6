"""What is asked of the index but for searches: products, pages by SKU, groups, prices.

Each function runs in a thread, on a connection of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from inventory_server.domain.catalog import Group, ProductFilter, StoredProduct, Worth
from inventory_server.domain.limits import MAX_PAGE_BYTES
from inventory_server.stores.catalog_rows import labels_of, stored_of
from inventory_server.stores.catalog_sql import marks, parts_of, read_rows

BODIES_A_READ: Final = 200
"""Parsing more at once would hold up the event loop for milliseconds."""
SKUS_A_READ: Final = 500
ENTRY: Final = "'[' || products.position || ',' || weight || ']'"
UP_TO: Final = (
    "coalesce((SELECT position FROM products WHERE sku <= :after ORDER BY sku DESC LIMIT 1), 0)"
)
"""The position of the last product up to the SKU `after`."""
_ALL: Final = f"products WHERE position > {UP_TO} ORDER BY position LIMIT :count"
_LABELLED: Final = (
    "labels CROSS JOIN products ON products.position = labels.rowid WHERE labels MATCH :labels"
    f" AND labels.rowid > {UP_TO} ORDER BY labels.rowid LIMIT :count"
)
_SKU: Final = "'\"' || sku || '\"'"
_SKU_AND_VERSION: Final = "'[\"' || sku || '\",' || version || ']'"
_PRICE: Final = "'[\"' || sku || '\",' || price_minor || ',\"' || currency || '\"]'"

Places = dict[int, StoredProduct]
"""Products by their positions."""
CATEGORIES: Final = "category"
UNITS: Final = "unit"


class Entry(NamedTuple):
    """A product that a page may have, before its body is read."""

    position: int
    weight: int
    tier: int = 0


def find_products(db: sqlite3.Connection, skus: Sequence[str]) -> dict[str, StoredProduct]:
    """The products of these SKUs, as far as there are any."""
    found = [
        stored_of(body)
        for part in parts_of(skus, BODIES_A_READ)
        for body in read_rows(db, "body", f"products WHERE sku IN {marks(len(part))}", part)
    ]
    return {stored.sku: stored for stored in found}


def find_barcode(db: sqlite3.Connection, barcode: str) -> StoredProduct | None:
    """The product with this barcode; the one written last, while two seem to have it."""
    rest = "products WHERE barcode = ? AND barcode <> '' ORDER BY version DESC, sku LIMIT 1"
    bodies = read_rows(db, "body", rest, (barcode,))
    return stored_of(bodies[0]) if bodies else None


def find_versions(db: sqlite3.Connection, skus: Sequence[str]) -> dict[str, int]:
    """The versions of these SKUs, as far as they are known; of deleted ones too."""
    found: dict[str, int] = {}
    for part in parts_of(skus, SKUS_A_READ):
        for table in ("products", "gone"):
            rest = f"{table} WHERE sku IN {marks(len(part))}"
            found |= dict(read_rows(db, _SKU_AND_VERSION, rest, part))
    return found


def list_versions(db: sqlite3.Connection, after: str, count: int) -> list[tuple[str, int]]:
    """The next SKUs and their versions; deleted ones too."""
    both = " UNION ALL ".join(
        f"SELECT sku, version FROM {table} WHERE sku > ?" for table in ("products", "gone")
    )
    rest = f"({both} ORDER BY sku LIMIT ?)"
    return sorted(map(tuple, read_rows(db, _SKU_AND_VERSION, rest, (after, after, count))))


def list_products(
    db: sqlite3.Connection, wanted: ProductFilter, after: str, count: int
) -> list[StoredProduct]:
    """The next products that a filter lets through."""
    labels = " AND ".join(labels_of(wanted))
    values = {"labels": labels, "after": after, "count": count}
    rows = read_rows(db, ENTRY, _LABELLED if labels else _ALL, values)
    return [stored for _, stored in read_page(db, sorted(Entry(*row) for row in rows))]


def list_inactive(db: sqlite3.Connection, after: str, count: int) -> list[str]:
    """The SKUs of the next inactive products."""
    labels = " AND ".join(labels_of(ProductFilter(active=False)))
    values = {"labels": labels, "after": after, "count": count}
    return sorted(read_rows(db, _SKU, _LABELLED, values))


def read_page(
    db: sqlite3.Connection, entries: Sequence[Entry]
) -> list[tuple[Entry, StoredProduct]]:
    """The products of these entries, as many as a message takes, and one at least."""
    taken = 0
    page: list[Entry] = []
    for entry in entries:
        taken += entry.weight
        if page and taken > MAX_PAGE_BYTES:
            break
        page.append(entry)
    found: dict[int, StoredProduct] = {}
    for part in parts_of([entry.position for entry in page], BODIES_A_READ):
        found |= read_places(db, f"products WHERE position IN {marks(len(part))}", part)
    return [(entry, found[entry.position]) for entry in page]


def read_places(db: sqlite3.Connection, rest: str, values: Sequence[Any]) -> Places:
    """Products with their positions."""
    rows = read_rows(db, "'[' || position || ',' || body || ']'", rest, values)
    return {position: stored_of(body) for position, body in rows}


def sum_worth(db: sqlite3.Connection, units: Mapping[str, int]) -> Worth:
    """What so many units of each SKU come to by their prices."""
    values, unpriced = dict[str, int](), len(units)
    for part in parts_of(list(units), SKUS_A_READ):
        rest = f"products WHERE sku IN {marks(len(part))} AND price_minor IS NOT NULL"
        prices = read_rows(db, _PRICE, rest, part)
        unpriced -= len(prices)
        # Not summed up by SQLite, whose numbers end at 2^63.
        for sku, price_minor, currency in prices:
            values[currency] = values.get(currency, 0) + units[sku] * price_minor
    return Worth(values, unpriced)


def count_products(db: sqlite3.Connection) -> tuple[int, int]:
    """How many products there are, and how many active ones."""
    sums = "coalesce(sum(products), 0), coalesce(sum(active_products), 0)"
    ((products, active),) = db.execute(f"SELECT {sums} FROM tallies WHERE kind = 'unit'").fetchall()
    return products, active


def list_groups(db: sqlite3.Connection, kind: str) -> list[Group]:
    """The categories with their subcategories, or the units, by name."""
    statement = "SELECT name, part, products, active_products FROM tallies WHERE kind = ?"
    tallies = sorted(db.execute(statement, (kind,)).fetchall())
    return [
        _group(name, [Group(*tally[1:]) for tally in parts], has_parts=kind == CATEGORIES)
        for name, parts in groupby(tallies, key=lambda tally: tally[0])
    ]


def _group(name: str, parts: list[Group], *, has_parts: bool) -> Group:
    products = sum(part.products for part in parts)
    active_products = sum(part.active_products for part in parts)
    return Group(name, products, active_products, tuple(parts) if has_parts else ())
