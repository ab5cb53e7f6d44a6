"""What the index must answer, in the plainest way: over a list of all products."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from inventory_server.domain.catalog import (
    Found,
    Group,
    Product,
    ProductFilter,
    StoredProduct,
    Worth,
)


def parts_of(text: str) -> list[str]:
    """The words of a text of ASCII and é."""
    return [part for part in re.split("[^a-z0-9]+", text.lower().replace("é", "e")) if part]


def has(words: Sequence[str], parts: Sequence[str], *, begun: bool) -> bool:
    """Whether these parts stand next to each other among the words; the last one may be begun."""
    for at in range(len(words) - len(parts) + 1):
        *firsts, last = words[at : at + len(parts)]
        if firsts == list(parts[:-1]) and (
            last == parts[-1] or (begun and last.startswith(parts[-1]))
        ):
            return True
    return False


def tier_of(product: Product, query: str) -> int | None:
    """How well the query finds the product; None if it does not."""
    name = query.strip()
    if name and (product.sku.lower() == name.lower() or product.barcode == name):
        return 0
    words = [parts for parts in map(parts_of, query.split()) if parts]
    if not words:
        return None
    texts = (product.sku, product.name, product.brand, product.category, product.subcategory)
    fields = list(map(parts_of, texts))
    for tier, (among, begun) in enumerate(
        [([fields[1]], False), ([fields[1]], True), (fields, False), (fields, True)], 1
    ):
        if all(any(has(field, parts, begun=begun) for field in among) for parts in words):
            return tier
    return None


class Model:
    """The newest state of each SKU, deletions among them."""

    def __init__(self) -> None:
        self.states: dict[str, StoredProduct] = {}

    def apply(self, states: Iterable[StoredProduct]) -> None:
        for state in states:
            if state.sku not in self.states or self.states[state.sku].version < state.version:
                self.states[state.sku] = state

    def forget(self, versions: Mapping[str, int]) -> None:
        for sku, version in versions.items():
            if sku in self.states and self.states[sku].version == version:
                del self.states[sku]

    def living(self) -> Iterator[tuple[StoredProduct, Product]]:
        for _, state in sorted(self.states.items()):
            if state.product is not None:
                yield state, state.product

    def products(self, wanted: ProductFilter, after: str, count: int) -> list[StoredProduct]:
        found = [
            state
            for state, product in self.living()
            if state.sku > after
            and wanted.category in ("", product.category)
            and wanted.subcategory in ("", product.subcategory)
            and wanted.brand in ("", product.brand)
            and wanted.active in (None, product.active)
        ]
        return found[:count]

    def search(self, query: str, after: tuple[int, str] | None, count: int) -> list[Found]:
        found = [
            Found(tier, state)
            for state, product in self.living()
            if (tier := tier_of(product, query)) is not None
        ]
        found.sort(key=lambda one: (one.tier, one.stored.sku))
        return [one for one in found if not after or (one.tier, one.stored.sku) > after][:count]

    def units(self) -> list[Group]:
        return self._groups(lambda product: product.unit)

    def categories(self) -> list[Group]:
        return [
            group._replace(parts=tuple(self._groups(
                lambda product: product.subcategory, category=group.name
            )))
            for group in self._groups(lambda product: product.category)
        ]  # fmt: skip

    def worth(self, units: dict[str, int]) -> Worth:
        priced = [
            product
            for _, product in self.living()
            if product.price_minor is not None and product.sku in units
        ]
        values: Counter[str] = Counter()
        for product in priced:
            values[product.currency] += units[product.sku] * product.price_minor
        return Worth(dict(values), len(units) - len(priced))

    def _groups(
        self, name_of: Callable[[Product], str], category: str | None = None
    ) -> list[Group]:
        counts: dict[str, list[bool]] = defaultdict(list)
        for _, product in self.living():
            if category in (None, product.category):
                counts[name_of(product)].append(product.active)
        return [Group(name, len(flags), sum(flags)) for name, flags in sorted(counts.items())]
