"""Searches: tier by tier, each in the order of the SKUs.

Which tier a product is in follows from it and the query alone, so a page can
go on from a tier and a SKU while products are written. Each tier is walked by
position in the full-text index and leaves out those above it, so a page costs
what it answers and not what the query would find in all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from inventory_server.domain.catalog import Found
from inventory_server.domain.words import query_words
from inventory_server.stores.catalog_reads import ENTRY, UP_TO, Entry, read_page
from inventory_server.stores.catalog_rows import OF_NAME
from inventory_server.stores.catalog_sql import read_rows

_NAMED: Final = (
    "(SELECT position FROM products WHERE sku = :query COLLATE NOCASE"
    " UNION SELECT position FROM products WHERE barcode = :query AND barcode <> '')"
)
"""The products whose SKU or barcode is the whole query: tier 0."""
_OF_TIER_0: Final = (
    f"products WHERE position IN {_NAMED} AND position > {UP_TO} ORDER BY position LIMIT :count"
)
_OF_A_MATCH: Final = (
    "words CROSS JOIN products ON products.position = words.rowid WHERE words MATCH :match"
    f" AND words.rowid > max(:start, {UP_TO}) AND words.rowid NOT IN {_NAMED}"
    " ORDER BY words.rowid LIMIT :count"
)
_FIRST: Final = "words WHERE words MATCH :match ORDER BY rowid LIMIT 1"

Words = Sequence[tuple[str, ...]]
"""A query's words, each in its parts."""
Walk = tuple[int, str, dict[str, str | int]]
"""A tier, what to read for it, and the values for that."""


def search_products(
    db: sqlite3.Connection, query: str, after: tuple[int, str] | None, count: int
) -> list[Found]:
    """The next products that a query finds, best first."""
    first_tier, after_sku = after or (0, "")
    entries: list[Entry] = []
    for tier, rest, values in _walks(db, query, first_tier):
        values["after"] = after_sku if tier == first_tier else ""
        values["count"] = count - len(entries)
        rows = read_rows(db, ENTRY, rest, values)
        entries += sorted(Entry(position, weight, tier) for position, weight in rows)
        if len(entries) == count:
            break
    return [Found(entry.tier, stored) for entry, stored in read_page(db, entries)]


def _walks(db: sqlite3.Connection, query: str, first_tier: int) -> Iterator[Walk]:
    """How to walk each tier from this one on, as long as there may be anything in them."""
    named = query.strip()
    words = query_words(query)
    if first_tier == 0:
        yield 0, _OF_TIER_0, {"query": named}
    if not words:
        return
    in_name, begin_in_name = _all_of(words, OF_NAME, ""), _all_of(words, OF_NAME, " *")
    anywhere, begin_anywhere = _all_of(words, "", ""), _all_of(words, "", " *")
    if first_tier <= 1:
        yield 1, _OF_A_MATCH, {"query": named, "match": in_name, "start": 0}
    # Words that many products have, and few together, take long to look for: so first once for
    # whatever is left, and not in each tier for nothing.
    found = read_rows(db, "rowid", _FIRST, {"match": f"{begin_anywhere} NOT {in_name}"})
    matches = (
        f"{begin_in_name} NOT {in_name}",
        f"{anywhere} NOT {begin_in_name}",
        f"{begin_anywhere} NOT {anywhere} NOT {begin_in_name}",
    )
    for tier, match in enumerate(matches if found else (), 2):
        if tier >= first_tier:
            yield tier, _OF_A_MATCH, {"query": named, "match": match, "start": found[0] - 1}


def _all_of(words: Words, mark: str, ending: str) -> str:
    """All the words, each with its parts next to each other.

    Between quotes nothing has a meaning but quotes, and a word has none.
    """
    phrases = [" ".join([mark + part for part in parts]) for parts in words]
    return "(" + " AND ".join([f'"{phrase}"{ending}' for phrase in phrases]) + ")"
