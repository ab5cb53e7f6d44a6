"""The catalogue section: a server's own index of 100,000 products, loaded, searched and walked.

The index alone, without a server: what one caller waits for each answer, while
nobody writes and while products are written, and what the event loop waits
for the index's threads.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import uvloop

from benchmarks.options import Options
from benchmarks.processes import busy_us, cpu_us, rss_mb
from benchmarks.products import stored_products
from benchmarks.tables import to_table
from inventory_server.domain.catalog import ProductFilter, StoredProduct
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.catalog_rows import product_of

LOADED_AT_ONCE: Final = 1000
PAGE: Final = 50
LARGE_PAGE: Final = 1000
WRITES_PER_S: Final = 100
WRITES_AT_ONCE: Final = 10
_TICK_S: Final = 0.005
QUERIES: Final = {
    "one SKU": "SKU0000012",
    "a rare word": "olkelmarul",
    "a frequent word": "unisex",
    "one letter": "s",
    "how every other SKU begins": "sku00",
    "three words": "unisex denim shorts",
    "three words begun": "uni mes den",
    "two frequent words, never together": "men women",
    "three frequent words, never together": "men men's unisex",
    "no such word": "zzzz",
}

Call = Callable[[], Awaitable[Any]]


def run(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of the load, and of each question, both alone and beside writes."""
    return uvloop.run(_measure(options, say))


def section(found: dict[str, Any]) -> str:
    """The table, and what stands below it."""
    return f"## Catalogue\n\n{to_table(*table(found))}\n\n{notes(found)}"


def table(found: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The questions: a head, and a line for each."""
    times = ("p50_ms", "p99_ms", "max_ms")
    head = (
        f"of {found['products']:,} products", "ms: p50", "p99", "max",
        f"and {WRITES_PER_S} writes/s: p50", "p99", "max",
    )  # fmt: skip
    lines = [
        (name, *[f"{row[at][time]:.2f}" for at in ("alone", "written") for time in times])
        for name, row in found["questions"].items()
    ]
    return head, lines


def notes(found: dict[str, Any]) -> str:
    """The rest, in words."""
    p50, p99, most = found["load_loop"].values()
    return (
        f"Loaded in {found['load_s']:.1f} s and made compact in {found['compact_s']:.1f} s, by"
        f" {found['load_cpu_s']:.1f} s of CPU (others {found['load_others']:.2f}); meanwhile the"
        f" event loop was late by {p50:.1f} ms at p50, {p99:.1f} at p99, {most:.1f} at most."
        f" {found['rss_mb']:.0f} MB of memory, {found['file_mb']:.0f} MB of files."
        f" All of it is priced in {found['worth_s']:.2f} s."
    )


async def _measure(options: Options, say: Callable[[str], None]) -> dict[str, Any]:
    say(f"catalog, making {options.catalog_products} products")
    products = list(stored_products(options.catalog_products))
    # They are the benchmark's own: the collector is not to look through them while it measures.
    gc.freeze()
    say("catalog, loading them")
    index = CatalogIndex()
    await index.open()
    try:
        found = await _load(index, products)
        calls = await _questions(index, sorted(products))
        questions: dict[str, dict[str, dict[str, float]]] = {name: {} for name in calls}
        say("catalog, asking")
        for name, call in calls.items():
            questions[name]["alone"] = await _time(call, options.catalog_calls)
        found["worth_s"] = await _walk_worth(index, sorted(one.sku for one in products))
        say("catalog, asking while products are written")
        writing = asyncio.create_task(_write(index, products))
        for name, call in calls.items():
            questions[name]["written"] = await _time(call, options.catalog_calls)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        return found | {"questions": questions}
    finally:
        await index.close()


async def _load(index: CatalogIndex, products: list[StoredProduct]) -> dict[str, Any]:
    waits_s: list[float] = []
    watching = asyncio.create_task(_watch_loop(waits_s))
    loop = asyncio.get_running_loop()
    before_mb, before_us, before_all_us = rss_mb(os.getpid()), cpu_us(os.getpid()), busy_us()
    start = loop.time()
    for at in range(0, len(products), LOADED_AT_ONCE):
        await index.apply(products[at : at + LOADED_AT_ONCE])
    load_s = loop.time() - start
    await index.compact()
    compact_s = loop.time() - start - load_s
    watching.cancel()
    used_us = cpu_us(os.getpid()) - before_us
    active = sum(product_of(state).active for state in products)
    if await index.counts() != (len(products), active):
        raise RuntimeError(f"the index has {await index.counts()} products, not all that there are")
    others_us = busy_us() - before_all_us - used_us
    return {
        "products": len(products),
        "load_s": round(load_s, 2),
        "compact_s": round(compact_s, 2),
        "load_cpu_s": round(used_us / 1e6, 2),
        "load_others": round(others_us / 1e6 / (load_s + compact_s), 2),
        "load_loop": _summary(waits_s),
        "rss_mb": round(rss_mb(os.getpid()) - before_mb, 1),
        "file_mb": round(_open_files_mb(), 1),
    }


async def _questions(index: CatalogIndex, products: list[StoredProduct]) -> dict[str, Call]:
    """What is asked, by name."""
    frequent = Counter((one.category, one.brand) for one in map(product_of, products))
    (category, brand), _ = frequent.most_common(1)[0]
    last_page = await _last_page(index, QUERIES["a frequent word"])
    chance = Random(5)
    skus = [one.sku for one in products]
    middle = skus[len(skus) // 2]

    def search(query: str, after: tuple[int, str] | None = None) -> Call:
        return lambda: index.search(query, after, PAGE)

    def products_of(count: int = PAGE, **wanted: Any) -> Call:
        return lambda: index.products(ProductFilter(**wanted), middle, count)

    return {
        **{f"search: {name}": search(query) for name, query in QUERIES.items()},
        "search: a frequent word, from the middle on": search("unisex", (1, middle)),
        "search: a frequent word, last page": search("unisex", last_page),
        "list": products_of(),
        f"list, {LARGE_PAGE}": products_of(LARGE_PAGE),
        "list, category": products_of(category=category),
        "list, brand": products_of(brand=brand),
        "list, category, brand and active": products_of(
            category=category, brand=brand, active=True
        ),
        "list, inactive": products_of(active=False),
        "list, nothing": products_of(category=category, brand="none"),
        "categories": index.categories,
        "counts": index.counts,
        "get 100": lambda: index.get(chance.sample(skus, 100)),
        "worth of 1,000": lambda: index.worth(dict.fromkeys(skus[len(skus) // 2 :][:1000], 1)),
    }


async def _last_page(index: CatalogIndex, query: str) -> tuple[int, str]:
    """After what the last products stand that a query finds; fewer than a page."""
    after = (0, "")
    while found := await index.search(query, after, LARGE_PAGE):
        last = found[-min(PAGE // 2, len(found))]
        after, passed = (found[-1].tier, found[-1].stored.sku), (last.tier, last.stored.sku)
    return passed


async def _time(call: Call, count: int) -> dict[str, float]:
    """What one caller waits, call after call."""
    waits_s = []
    for _ in range(count):
        start = time.perf_counter()
        await call()
        waits_s.append(time.perf_counter() - start)
    return _summary(waits_s)


async def _walk_worth(index: CatalogIndex, skus: list[str]) -> float:
    """How long it takes to price all products, thousand by thousand."""
    start = time.perf_counter()
    for at in range(0, len(skus), LARGE_PAGE):
        await index.worth(dict.fromkeys(skus[at : at + LARGE_PAGE], 1))
    return time.perf_counter() - start


async def _write(index: CatalogIndex, products: list[StoredProduct]) -> None:
    """New prices and new names in turn, in time."""
    loop = asyncio.get_running_loop()
    chance, begin = Random(3), loop.time()
    for number in count():
        await asyncio.sleep(begin + number * WRITES_AT_ONCE / WRITES_PER_S - loop.time())
        states = chance.sample(products, WRITES_AT_ONCE)
        await index.apply([_changed(state, number) for state in states])


def _changed(state: StoredProduct, number: int) -> StoredProduct:
    product = product_of(state)
    if number % 2:
        product = product._replace(price_minor=number, currency="EUR")
    else:
        product = product._replace(name=f"{product.name} Edition {number}")
    return state._replace(version=state.version + number, product=product)


async def _watch_loop(waits_s: list[float]) -> None:
    """By how much the event loop is late."""
    loop = asyncio.get_running_loop()
    while True:
        start = loop.time()
        await asyncio.sleep(_TICK_S)
        waits_s.append(loop.time() - start - _TICK_S)


def _summary(waits_s: list[float]) -> dict[str, float]:
    ordered = sorted(waits_s)
    places = {"p50_ms": len(ordered) // 2, "p99_ms": len(ordered) * 99 // 100, "max_ms": -1}
    return {name: round(ordered[place] * 1000, 3) for name, place in places.items()}


def _open_files_mb() -> float:
    """Of the files without a name that this process has open, each counted once."""
    sizes = {}
    for link in Path("/proc/self/fd").iterdir():
        if link.is_symlink() and "inventory-catalog-" in os.readlink(link):
            sizes[os.readlink(link)] = link.stat().st_size
    return sum(sizes.values()) / 1e6
