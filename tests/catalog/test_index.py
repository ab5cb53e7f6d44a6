"""The index as its server uses it: pages while others write, hostile words, its file."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from inventory.v1 import catalog_service_pb2 as pb

from inventory_server.domain.catalog import Product, ProductFilter, StoredProduct
from inventory_server.domain.limits import (
    MAX_ATTRIBUTES_BYTES,
    MAX_PAGE_BYTES,
    MAX_PRICE_MINOR,
    MAX_URL_LENGTH,
)
from inventory_server.domain.words import words_of
from inventory_server.stores import (
    catalog_positions,
    catalog_reads,
    catalog_schema,
    catalog_search,
    catalog_writes,
)
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.catalog_rows import weight_of
from inventory_server.stores.opening import StoreRefusedError

EVERYTHING = ProductFilter()


def stored(sku: str, name: str = "", version: int = 1, **fields: Any) -> StoredProduct:
    return StoredProduct(sku, version, Product(sku, name, **fields), 1, version)


def deleted(sku: str, version: int) -> StoredProduct:
    return StoredProduct(sku, version, None)


async def found(index: CatalogIndex, query: str) -> list[tuple[int, str]]:
    return [(one.tier, one.stored.sku) for one in await index.search(query, None, 1000)]


async def listed(index: CatalogIndex) -> list[str]:
    return [state.sku for state in await index.products(EVERYTHING, "", 1000)]


# Searches


async def test_the_best_stands_first(index: CatalogIndex) -> None:
    await index.apply(
        [
            stored("SHOE", "Loafer"),
            stored("B9", "Boot", barcode="shoe"),
            stored("A1", "Trail Shoe"),
            stored("A0", "Trail Shoehorn"),
            stored("A3", "Loafer", category="Shoe", active=False),
            stored("A2", "Loafer", subcategory="Shoes"),
            stored("A4", "Overshoe"),
        ]
    )
    tiers = [(0, "B9"), (0, "SHOE"), (1, "A1"), (2, "A0"), (3, "A3"), (4, "A2")]
    assert await found(index, "shoe") == tiers
    assert await found(index, " ShOE\n") == [(0, "SHOE"), *tiers[2:]]
    assert await found(index, "loa shoe") == [(4, "A2"), (4, "A3"), (4, "SHOE")]


async def test_words_count_in_any_order_case_and_spelling(index: CatalogIndex) -> None:
    await index.apply([stored("ABC-12/3", "Crème T-Shirt", brand="Éclat")])
    for query in ("t-shirt creme", "CRÈM t-sh ecl", "abc-12", "12/3", "abc/12 É", "shirt (t)"):
        assert [sku for _, sku in await found(index, query)] == ["ABC-12/3"], query
    for query in ("shirt-t", "reme", "c-12", "abc-3", "t-shirts", "shirt-eclat", "creme-t-eclat"):
        assert await found(index, query) == [], query


@pytest.mark.parametrize(
    "query",
    [
        *("", " ", "-", "\"'()*:^{}", "***", "👟", "❤️", "\0", "\ufe0f", "\u0301", "%", "_"),
        *('name:"a"', "NOT", "NOT a", "a AND", "OR", "NEAR(a b, 2)", "^a", "-a", "a*", 'a" OR "b'),
        *(
            "=a",
            "|",
            "a | b",
            "';--",
            "\\",
            "a\0b",
            "שָׁלוֹם",
            "مرحبا",
            "運動鞋",
            "\u202ea",
            "\U0001d56c",
        ),
        *("a " * 100, "a-" * 100, "é" * 200, "x" * 200, "\U0010ffff", "a\u200db"),
    ],
)
async def test_no_query_means_more_than_its_words(index: CatalogIndex, query: str) -> None:
    await index.apply([stored("Q1", "z"), stored("Q2", query, category="\0")])
    expected = ["Q2"] if words_of(query) else []
    assert [sku for _, sku in await found(index, query)] == expected


async def test_a_sku_of_signs_alone_is_found_by_itself(index: CatalogIndex) -> None:
    await index.apply([stored("--", "a"), stored("-", "b")])
    assert await found(index, "--") == [(0, "--")]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), min_size=1, max_size=8))
def test_a_product_is_found_by_each_word_of_its_own_whatever_it_is(texts: list[str]) -> None:
    async def story() -> None:
        index = CatalogIndex()
        await index.open()
        try:
            await index.apply([stored(f"S{n}", text) for n, text in enumerate(texts)])
            for n, text in enumerate(texts):
                assert (await index.get([f"S{n}"]))[f"S{n}"].product == Product(f"S{n}", text)
                for query in (text, *words_of(text), *text.split()):
                    skus = [sku for _, sku in await found(index, query)]
                    assert f"S{n}" in skus or not words_of(query)
        finally:
            await index.close()

    asyncio.run(story())


# Pages


async def churn(index: CatalogIndex, is_over: asyncio.Event) -> int:
    """Writes products between those that stay, until it is over; answers how often."""
    chance = Random(7)
    for version in count(2):
        skus = {f"P{chance.randrange(100):02}{chance.choice('abcd')}" for _ in range(8)}
        await index.apply(
            [
                deleted(sku, version) if chance.random() < 0.3
                else stored(sku, chance.choice(("Shoe", "Shoes", "Loafer")), version)
                for sku in sorted(skus)
            ]
        )  # fmt: skip
        if is_over.is_set():
            return version
    raise AssertionError("never over")


async def test_a_walk_sees_what_stays_exactly_once_while_others_are_written(
    index: CatalogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So close together, all that stay are moved again and again.
    monkeypatch.setattr(catalog_positions, "STRIDE", 1)
    names = ("Trail Shoe", "Trail Shoehorn", "Trail")
    stay = [stored(f"P{n:02}", names[n % 3], category="Shoe") for n in range(100)]
    await index.apply(stay)
    found_at_first = await index.search("shoe", None, 1000)
    is_over = asyncio.Event()
    churning = asyncio.create_task(churn(index, is_over))
    for _ in range(6):
        walked: list[StoredProduct] = []
        while page := await index.products(EVERYTHING, walked[-1].sku if walked else "", 7):
            walked += page
        assert [state for state in walked if state in stay] == stay
        hits: list[Any] = []
        while more := await index.search(
            "shoe", (hits[-1].tier, hits[-1].stored.sku) if hits else None, 7
        ):
            hits += more
        assert [hit for hit in hits if hit.stored in stay] == found_at_first
    is_over.set()
    assert await churning > 10


async def test_a_page_has_what_a_message_takes_and_one_product_at_least(
    index: CatalogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = "x" * MAX_URL_LENGTH
    many = [stored(f"P{n:04}", "heavy", image_url=heavy) for n in range(1000)]
    await index.apply(many)
    walked: list[StoredProduct] = []
    while page := await index.products(EVERYTHING, walked[-1].sku if walked else "", 1000):
        assert MAX_PAGE_BYTES * 0.9 < sum(map(weight, page)) <= MAX_PAGE_BYTES or len(page) < 500
        walked += page
    assert walked == many
    monkeypatch.setattr(catalog_reads, "MAX_PAGE_BYTES", 1)
    assert [one.stored for one in await index.search("heavy", (1, "P0500"), 50)] == [many[501]]


def weight(state: StoredProduct) -> int:
    assert state.product is not None
    return weight_of(state.product)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=60,
)  # fmt: skip
TEXTS = st.text(max_size=128)


@example({"": [1] * (MAX_ATTRIBUTES_BYTES // 2 - 5)}, "", "", True)
@example({"": [{"": True}] * 1000}, "", "", True)
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5), TEXTS, TEXTS, st.booleans())
def test_a_message_is_no_larger_than_the_products_weight(
    attributes: dict[str, Any], text: str, sku: str, active: bool
) -> None:
    packed = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    prices = (MAX_PRICE_MINOR, MAX_PRICE_MINOR, "EUR")
    product = Product(sku, text, text, text, text, text, text, *prices, active, packed, text)
    fields = product._asdict() | {"attributes": ParseDict(attributes, Struct())}
    time = Timestamp(seconds=2**33, nanos=999_000_000)
    message = pb.Product(**fields, etag=f"{2**63:x}", create_time=time, update_time=time)
    assert message.ByteSize() <= weight_of(product)


def test_the_longest_attributes_fit_into_a_page() -> None:
    packed = '{"":[' + ",".join("1" * (MAX_ATTRIBUTES_BYTES // 2)) + "]}"
    assert weight_of(Product("A", attributes=packed, name="")) < MAX_PAGE_BYTES


# Writes


async def test_the_newest_version_stays_in_whatever_order_they_come(index: CatalogIndex) -> None:
    await index.apply([deleted("A", 5), stored("A", "old", 4), stored("B", "new", 3)])
    await index.apply([stored("A", "old", 3), stored("B", "old", 2), stored("B", "other", 3)])
    assert await index.versions(["A", "B", "C"]) == {"A": 5, "B": 3}
    assert await index.get(["A", "B"]) == {"B": stored("B", "new", 3)}
    await index.apply([stored("A", "again", 6)])
    await index.forget({"A": 5, "B": 3})
    assert await index.skus("", 10) == [("A", 6)]


async def test_a_batch_goes_in_whole_or_not_at_all(index: CatalogIndex) -> None:
    await index.apply([stored("A", "shoe")])
    broken = stored("C", price_minor=2**64)
    with pytest.raises(OverflowError):
        await index.apply([deleted("A", 2), stored("B", "shoe"), broken])
    assert await found(index, "shoe") == [(1, "A")]
    assert await index.counts() == (1, 1)
    await index.apply([stored("B", "shoe")])
    assert await listed(index) == ["A", "B"]


async def test_who_reads_does_not_wait_for_who_writes(index: CatalogIndex) -> None:
    await index.apply([stored("A", "old")])
    is_written, may_end = threading.Event(), threading.Event()

    def write(db: sqlite3.Connection) -> None:
        catalog_writes.apply_states(db, [stored("A", "new", 2)])
        is_written.set()
        assert may_end.wait(60)

    writing = asyncio.create_task(index._write(write))
    try:
        assert await asyncio.to_thread(is_written.wait, 60)
        assert await index.get(["A"]) == {"A": stored("A", "old")}
        assert await found(index, "old") == [(1, "A")]
    finally:
        may_end.set()
    await writing
    assert await found(index, "new") == [(1, "A")]


async def test_an_answer_is_of_one_moment(index: CatalogIndex) -> None:
    await index.apply([stored("A", "shoe"), stored("B", "shoe")])
    has_read, may_go_on = threading.Event(), threading.Event()

    def read(db: sqlite3.Connection) -> list[Any]:
        before = catalog_search.search_products(db, "shoe", None, 10)
        has_read.set()
        assert may_go_on.wait(60)
        return [before, catalog_search.search_products(db, "shoe", None, 10)]

    reading = asyncio.create_task(index._read(read))
    try:
        assert await asyncio.to_thread(has_read.wait, 60)
        await index.apply([deleted("A", 2)])
    finally:
        may_go_on.set()
    before, after = await reading
    assert [hit.stored.sku for hit in before] == ["A", "B"]
    assert after == before


def orders() -> Iterator[tuple[str, list[int], float]]:
    """Orders of SKUs, and how many moves a product may cause on average."""
    yield "ascending", list(range(600)), 0
    yield "descending", list(range(600))[::-1], 0
    yield "mixed", Random(1).sample(range(600), 600), 1
    yield "inwards", [n // 2 if n % 2 else 599 - n // 2 for n in range(600)], 10


@pytest.mark.parametrize(
    ("order", "moves"), [pytest.param(order, moves, id=name) for name, order, moves in orders()]
)
async def test_products_stand_by_sku_and_few_have_to_move(
    index: CatalogIndex, monkeypatch: pytest.MonkeyPatch, order: list[int], moves: float
) -> None:
    moved = 0

    def find_moves(*args: Any) -> dict[int, int]:
        nonlocal moved
        found = catalog_positions.find_moves(*args)
        moved += len(found)
        return found

    monkeypatch.setattr(catalog_writes, "find_moves", find_moves)
    monkeypatch.setattr(catalog_writes, "MOVES_A_STEP", 7)
    for n in order:
        await index.apply([stored(f"P{n:03}")])
    assert await listed(index) == [f"P{n:03}" for n in range(600)]
    assert moved <= moves * len(order)


async def test_a_compact_index_has_one_part_and_finds_the_same(index: CatalogIndex) -> None:
    for n in range(7):
        await index.apply([stored(f"P{n}", "shoe"), deleted(f"P{n - 1}", 2)])
    before = await found(index, "shoe")
    assert await parts_of_words(index) > 1
    await index.compact()
    assert await parts_of_words(index) == 1
    assert await found(index, "shoe") == before == [(1, "P6")]


async def parts_of_words(index: CatalogIndex) -> int:
    def read(db: sqlite3.Connection) -> int:
        statement = "SELECT count(DISTINCT segid) FROM words_idx"
        return int(db.execute(statement).fetchone()[0])

    return await index._read(read)


# The file


async def test_no_file_is_left_however_the_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    index = CatalogIndex()
    await index.open()
    await index.apply([stored("A")])
    assert open_files(tmp_path)
    assert list(tmp_path.iterdir()) == []
    await index.close()
    await index.close()
    assert not open_files(tmp_path)
    with pytest.raises(RuntimeError):
        await index.counts()


def open_files(folder: Path) -> list[str]:
    """The files of this folder that this process has open."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs Linux's /proc")
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith(str(folder))]


async def test_the_log_stays_short_while_somebody_always_reads(
    index: CatalogIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_schema, "MAX_LOG_BYTES", 1 << 20)
    is_over = asyncio.Event()
    reading = asyncio.create_task(always_read(index, is_over))
    assert index._file is not None
    sizes = []
    for version in range(1, 25):
        await index.apply([stored(f"P{n:03}", "x" * 200, version) for n in range(500)])
        sizes.append(os.fstat(index._file._log).st_size)
    is_over.set()
    await reading
    assert max(sizes) < 4 << 20


async def always_read(index: CatalogIndex, is_over: asyncio.Event) -> None:
    """Reads that overlap: each ends when the next has begun."""

    def read(db: sqlite3.Connection, begun: threading.Event, may_end: threading.Event) -> None:
        catalog_reads.count_products(db)
        begun.set()
        assert may_end.wait(60)

    begun, may_end = threading.Event(), threading.Event()
    last = asyncio.create_task(index._read(read, begun, may_end))
    while not is_over.is_set():
        next_begun, next_may_end = threading.Event(), threading.Event()
        after = asyncio.create_task(index._read(read, next_begun, next_may_end))
        assert await asyncio.to_thread(next_begun.wait, 60)
        may_end.set()
        await last
        last, may_end = after, next_may_end
    may_end.set()
    await last


async def test_a_sqlite_that_lacks_full_text_search_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = catalog_schema._TABLES.replace("USING fts5", "USING no_fts5")
    monkeypatch.setattr(catalog_schema, "_TABLES", tables)
    index = CatalogIndex()
    with pytest.raises(StoreRefusedError, match="FTS5"):
        await index.open()
    await index.close()
