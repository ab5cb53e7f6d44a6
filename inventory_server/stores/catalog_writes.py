"""What goes into the index: newer states, and tombstones.

`apply_states` and `forget_versions` are to be run in a transaction of the one
connection that writes.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from inventory_server.domain.catalog import StoredProduct
from inventory_server.stores.catalog_positions import find_gaps, find_moves
from inventory_server.stores.catalog_reads import (
    CATEGORIES,
    UNITS,
    Places,
    find_versions,
    read_places,
)
from inventory_server.stores.catalog_rows import (
    columns_of,
    labels_text,
    product_of,
    words_text,
)
from inventory_server.stores.catalog_sql import marks, parts_of, write_rows

STATES_A_TRANSACTION: Final = 1000
MOVES_A_STEP: Final = 500
_PAGES_A_MERGE: Final = 500


def apply_states(db: sqlite3.Connection, states: Sequence[StoredProduct]) -> None:
    """Takes in the states that are newer than what is known of their SKUs."""
    newest: dict[str, StoredProduct] = {}
    for state in states:
        if state.sku not in newest or newest[state.sku].version < state.version:
            newest[state.sku] = state
    versions = find_versions(db, list(newest))
    fresh = [state for state in newest.values() if state.version > versions.get(state.sku, -1)]
    deleted = [state for state in fresh if state.product is None]
    living = [state for state in fresh if state.product is not None]
    positions = _positions(db, [state.sku for state in living])
    _replace(
        db,
        _places(db, [state.sku for state in fresh]),
        {positions[state.sku]: state for state in living},
    )
    _delete(db, "gone", "sku", [state.sku for state in living])
    tombstones = [(state.sku, state.version) for state in deleted]
    write_rows(db, "INSERT OR REPLACE INTO gone", tombstones)


def forget_versions(db: sqlite3.Connection, versions: Mapping[str, int]) -> None:
    """Drops the SKUs that are still known in these versions, living or deleted."""
    known = find_versions(db, list(versions))
    same = [sku for sku, version in known.items() if versions[sku] == version]
    _replace(db, _places(db, same), {})
    _delete(db, "gone", "sku", same)


def merge_texts(db: sqlite3.Connection, *, is_begun: bool) -> bool:
    """Goes a step on with merging all parts of the full-text indexes; whether it had to."""
    pages = _PAGES_A_MERGE if is_begun else -_PAGES_A_MERGE
    is_needed = False
    for table in ("words", "labels"):
        before = db.total_changes
        db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)", (pages,))
        # The command itself is one change; more are what it wrote.
        is_needed |= db.total_changes - before > 1
    return is_needed


def _positions(db: sqlite3.Connection, skus: Sequence[str]) -> dict[str, int]:
    """Where each of these stands, or is to stand if it is new; others may have to move."""
    while True:
        found = {stored.sku: at for at, stored in _places(db, skus).items()}
        gaps = find_gaps(db, [sku for sku in skus if sku not in found])
        narrow = next((gap for gap in gaps if not gap.positions()), None)
        if narrow is None:
            break
        _move(db, find_moves(db, narrow))
    for gap in gaps:
        found |= zip(gap.skus, gap.positions(), strict=True)
    return found


def _move(db: sqlite3.Connection, moves: Mapping[int, int]) -> None:
    """Moves products by steps, in an order in which each one comes to a free position."""
    down = sorted(old for old, new in moves.items() if new < old)
    up = sorted((old for old, new in moves.items() if new > old), reverse=True)
    for part in parts_of([*down, *up], MOVES_A_STEP):
        before = read_places(db, f"products WHERE position IN {marks(len(part))}", part)
        _replace(db, before, {moves[old]: stored for old, stored in before.items()})


def _places(db: sqlite3.Connection, skus: Sequence[str]) -> Places:
    """The products of these SKUs, as far as there are any."""
    return read_places(db, f"products WHERE sku IN {marks(len(skus))}", skus)


def _replace(db: sqlite3.Connection, before: Places, after: Places) -> None:
    """Puts products at these positions, in place of what is there."""
    _replace_texts(db, "words", words_text, before, after)
    _replace_texts(db, "labels", labels_text, before, after)
    _delete(db, "products", "position", list(before))
    rows = [(position, *columns_of(stored)) for position, stored in sorted(after.items())]
    write_rows(db, "INSERT INTO products", rows)
    _tally(db, before.values(), after.values())


def _replace_texts(
    db: sqlite3.Connection,
    table: str,
    text_of: Callable[[StoredProduct], str],
    before: Places,
    after: Places,
) -> None:
    """What a full-text index is to forget must be told to it, word by word."""
    changes: list[tuple[str | None, int, str]] = []
    # By position: else the index begins a new part of itself at each one that comes late.
    for position in sorted(before.keys() | after.keys()):
        old, new = before.get(position), after.get(position)
        old_text, new_text = old and text_of(old), new and text_of(new)
        if old_text is not None and old_text != new_text:
            changes.append(("delete", position, old_text))
        if new_text is not None and new_text != old_text:
            changes.append((None, position, new_text))
    write_rows(db, f"INSERT INTO {table} ({table}, rowid, text)", changes)


def _tally(
    db: sqlite3.Connection, before: Iterable[StoredProduct], after: Iterable[StoredProduct]
) -> None:
    products: Counter[tuple[str, str, str]] = Counter()
    active: Counter[tuple[str, str, str]] = Counter()
    for sign, states in ((-1, before), (1, after)):
        for product in map(product_of, states):
            for group in (
                (CATEGORIES, product.category, product.subcategory),
                (UNITS, product.unit, ""),
            ):
                products[group] += sign
                active[group] += sign * product.active
    rows = [(*group, products[group], active[group]) for group in products]
    add = (
        "ON CONFLICT DO UPDATE SET products = products + excluded.products,"
        " active_products = active_products + excluded.active_products"
    )
    write_rows(db, "INSERT INTO tallies", rows, add)
    db.execute("DELETE FROM tallies WHERE products = 0")


def _delete(db: sqlite3.Connection, table: str, key: str, values: Sequence[str | int]) -> None:
    for part in parts_of(values, STATES_A_TRANSACTION):
        db.execute(f"DELETE FROM {table} WHERE {key} IN {marks(len(part))}", part)
