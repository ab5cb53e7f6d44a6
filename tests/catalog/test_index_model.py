"""Any states in any order: the index answers what a look at every product would."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from inventory_server.domain.catalog import Product, ProductFilter, StoredProduct
from inventory_server.stores import catalog_positions, catalog_reads, catalog_writes
from inventory_server.stores.catalog_index import CatalogIndex
from tests.catalog.model import Model

Answer = TypeVar("Answer")

EXAMPLES = int(os.environ.get("INVENTORY_MODEL_EXAMPLES", "30"))
"""How many stories are told."""

SKUS = st.one_of(
    st.sampled_from(["A", "a", "a1", "A-1", "B-a/1", "-", "SKU1", "SKU10", "SKU2"]),
    st.text("AaB1-", min_size=1, max_size=4),
)
WORDS = st.sampled_from(["a", "A1", "ab", "Abé", "b", "bé-a", "b'a", "1", "10", "-", "ba ab", "é1"])
NAMES = st.lists(WORDS, max_size=4).map(" ".join)
GROUPS = st.sampled_from(["", "a", "A", "ab b", "é"])
VERSIONS = st.integers(1, 9)
BARCODES = st.sampled_from(["", "", "a1", "SKU1", "1"])
QUERIES = st.one_of(SKUS, NAMES, st.text("aAbé1 -'", max_size=6))
COUNTS = st.integers(1, 5)


def product_of(sku: str) -> st.SearchStrategy[Product]:
    return st.builds(
        Product,
        sku=st.just(sku),
        name=NAMES,
        brand=GROUPS,
        category=GROUPS,
        subcategory=GROUPS,
        unit=GROUPS,
        barcode=BARCODES,
        price_minor=st.none() | st.integers(0, 10**12),
        currency=st.sampled_from(["EUR", "INR"]),
        active=st.booleans(),
        attributes=st.sampled_from(["{}", '{"a":"é\\u0000"}']),
    )


@st.composite
def states(draw: st.DrawFn) -> StoredProduct:
    sku = draw(SKUS)
    product = draw(st.none() | product_of(sku) | product_of(sku))
    return StoredProduct(sku, draw(VERSIONS), product, draw(st.integers(0, 9)), 7)


FILTERS = st.builds(ProductFilter, GROUPS, GROUPS, GROUPS, st.none() | st.booleans())


class Story(RuleBasedStateMachine):
    """Writes and reads in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.index = CatalogIndex()
        self.run(self.index.open())

    def run(self, call: Awaitable[Answer]) -> Answer:
        async def wait() -> Answer:
            return await call

        return self.runner.run(wait())

    def teardown(self) -> None:
        """When nothing is there any more, no word of it is left either."""
        try:
            self.run(self.index.forget({s.sku: s.version for s in self.model.states.values()}))
            assert left_in(self.index) == []
        finally:
            self.run(self.index.close())
            self.runner.close()

    @initialize(some=st.lists(states(), max_size=20))
    def begin(self, some: list[StoredProduct]) -> None:
        self.apply(some)

    @rule(some=st.lists(states(), min_size=1, max_size=5))
    def apply(self, some: list[StoredProduct]) -> None:
        self.model.apply(some)
        self.run(self.index.apply(some))

    @rule(versions=st.dictionaries(SKUS, VERSIONS, max_size=3), data=st.data())
    def forget(self, versions: dict[str, int], data: st.DataObject) -> None:
        for sku in data.draw(st.lists(st.sampled_from(sorted(self.model.states) or ["A"]))):
            if sku in self.model.states:
                versions[sku] = self.model.states[sku].version
        self.model.forget(versions)
        self.run(self.index.forget(versions))

    @rule()
    def compact(self) -> None:
        self.run(self.index.compact())

    @rule(wanted=FILTERS, after=st.just("") | SKUS, count=COUNTS)
    def list_products(self, wanted: ProductFilter, after: str, count: int) -> None:
        expected = self.model.products(wanted, after, count)
        assert self.run(self.index.products(wanted, after, count)) == expected

    @rule(query=QUERIES, after=st.none() | st.tuples(st.integers(0, 4), SKUS), count=COUNTS)
    def search(self, query: str, after: tuple[int, str] | None, count: int) -> None:
        expected = self.model.search(query, after, count)
        assert self.run(self.index.search(query, after, count)) == expected

    @rule(query=QUERIES, count=COUNTS)
    def walk_a_search(self, query: str, count: int) -> None:
        found: list[Any] = []
        while page := self.run(
            self.index.search(query, (found[-1][0], found[-1].stored.sku) if found else None, count)
        ):
            found += page
        assert found == self.model.search(query, None, 1000)

    @rule(skus=st.lists(SKUS, max_size=4), barcode=BARCODES)
    def get(self, skus: list[str], barcode: str) -> None:
        living = {state.sku: state for state, _ in self.model.living()}
        expected = {sku: living[sku] for sku in skus if sku in living}
        assert self.run(self.index.get(skus)) == expected
        versions = {s: self.model.states[s].version for s in skus if s in self.model.states}
        assert self.run(self.index.versions(skus)) == versions
        with_barcode = [s for s, product in self.model.living() if barcode == product.barcode != ""]
        newest = max(with_barcode, key=lambda state: state.version, default=None)
        assert self.run(self.index.find_barcode(barcode)) == newest

    @rule(
        units=st.dictionaries(SKUS, st.integers(1, 2**46)), after=st.just("") | SKUS, count=COUNTS
    )
    def read_ranges(self, units: dict[str, int], after: str, count: int) -> None:
        assert self.run(self.index.worth(units)) == self.model.worth(units)
        skus = [(s.sku, s.version) for _, s in sorted(self.model.states.items()) if s.sku > after]
        assert self.run(self.index.skus(after, count)) == skus[:count]
        inactive = self.model.products(ProductFilter(active=False), after, count)
        assert self.run(self.index.inactive(after, count)) == [state.sku for state in inactive]

    @invariant()
    def groups_are_counted(self) -> None:
        assert self.run(self.index.categories()) == self.model.categories()
        assert self.run(self.index.units()) == self.model.units()
        living = [product.active for _, product in self.model.living()]
        assert self.run(self.index.counts()) == (len(living), sum(living))


def left_in(index: CatalogIndex) -> list[Any]:
    """The words that the index still knows."""
    assert index._file is not None
    db: sqlite3.Connection = index._file.writer
    found: list[Any] = []
    for table in ("words", "labels"):
        db.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
        db.execute(f"CREATE VIRTUAL TABLE temp.left_{table} USING fts5vocab(main, {table}, row)")
        found += db.execute(f"SELECT term FROM temp.left_{table}").fetchall()
    return found


@pytest.mark.parametrize("is_crowded", [False, True], ids=["with room", "crowded"])
def test_the_index_answers_what_a_look_at_every_product_would(
    is_crowded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crowded, nearly every new product makes others move, which takes many steps."""
    for name in ("BODIES_A_READ", "SKUS_A_READ"):
        monkeypatch.setattr(catalog_reads, name, 2)
    if is_crowded:
        monkeypatch.setattr(catalog_positions, "STRIDE", 1)
        monkeypatch.setattr(catalog_writes, "MOVES_A_STEP", 2)
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
