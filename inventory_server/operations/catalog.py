"""Reading the catalogue: single products from the table, everything else from the index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

from inventory_server.domain.catalog import (
    Found,
    Group,
    ProductFilter,
    StockedProduct,
    StoredProduct,
)
from inventory_server.domain.errors import CatalogThrottled, ProductNotFound, StoreUnavailable
from inventory_server.domain.limits import MAX_BATCH_SKUS, MAX_PAGE_SCAN
from inventory_server.domain.model import Level
from inventory_server.operations.catalog_refresh import CatalogRefresh
from inventory_server.operations.stock import StockOperations
from inventory_server.stores.barcode_store import BarcodeStore
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.product_store import ProductStore

log = logging.getLogger(__name__)
T = TypeVar("T")
SearchPlace = tuple[int, str]
"""Where a page of a search ended: tier and SKU."""


class ProductPage(NamedTuple):
    """A page of products; `last_sku` is the last SKU looked at, empty at the end."""

    products: tuple[StockedProduct, ...]
    last_sku: str


class SearchPage(NamedTuple):
    """A page of a search; `last` is None at the end."""

    products: tuple[StockedProduct, ...]
    last: SearchPlace | None


class CatalogOperations:
    """Reads products, and their levels with them. Raises InventoryError."""

    PATIENCE_S = 1.0
    """What the table may take before the index answers instead, where it can."""

    def __init__(
        self, products: ProductStore, barcodes: BarcodeStore, index: CatalogIndex,
        refresh: CatalogRefresh, stock: StockOperations,
    ) -> None:  # fmt: skip
        self._products = products
        self._barcodes = barcodes
        self._index = index
        self._refresh = refresh
        self._stock = stock

    async def get(self, sku: str, locations: Sequence[str], deadline: float) -> StockedProduct:
        """The product, and its levels at these locations."""
        found, _ = await self.batch_get([sku], locations, deadline)
        if not found:
            raise ProductNotFound(sku=sku)
        return found[0]

    async def batch_get(
        self, skus: Sequence[str], locations: Sequence[str], deadline: float
    ) -> tuple[list[StockedProduct], list[str]]:
        """The products in the order asked, with their levels; and the SKUs that have none."""

        async def read(until: float) -> dict[str, StoredProduct]:
            items = await self._products.read_many(skus, until)
            return {sku: item.stored for sku, item in items.items() if item.stored.product}

        found = await self._table_or_index(read, lambda: self._index.get(skus), deadline)
        stocked = await self._with_levels(
            [found[sku] for sku in skus if sku in found], locations, deadline
        )
        return stocked, [sku for sku in skus if sku not in found]

    async def get_by_barcode(
        self, barcode: str, locations: Sequence[str], deadline: float
    ) -> StockedProduct:
        """The product that has this barcode."""

        async def read(until: float) -> StoredProduct | None:
            claim = await self._barcodes.read(barcode, until)
            if claim is None:
                return None
            stored = (await self._products.read(claim.sku, until)).stored
            # A claim may be ahead of its product, or left over.
            has_it = stored.product is not None and stored.product.barcode == barcode
            return stored if has_it else None

        stored = await self._table_or_index(
            read, lambda: self._index.find_barcode(barcode), deadline
        )
        if stored is None:
            raise ProductNotFound(barcode=barcode)
        return (await self._with_levels([stored], locations, deadline))[0]

    async def page(
        self, wanted: ProductFilter, location: str, status: str, *, after: str, count: int,
        deadline: float,
    ) -> ProductPage:  # fmt: skip
        """The next products by SKU after this one; looks at a bounded number of them.

        With a location each comes with its level there, and `status` filters by that.
        """
        self._refresh.check_fresh()
        found: list[StockedProduct] = []
        seen = 0
        while len(found) < count and seen < MAX_PAGE_SCAN:
            asked = min(MAX_BATCH_SKUS, count - len(found) if not status else MAX_BATCH_SKUS)
            page = await self._index.products(wanted, after, asked)
            if not page:
                return ProductPage(tuple(found), "")
            seen += len(page)
            for product in await self._with_levels(page, [location] * bool(location), deadline):
                if status in ("", *[level.status for level in product.levels]):
                    found.append(product)
                    if len(found) == count:
                        return ProductPage(tuple(found), product.stored.sku)
            after = page[-1].sku
            if _size(found) > PAGE_ENOUGH_BYTES:
                break
        return ProductPage(tuple(found), after)

    async def search(
        self, query: str, location: str, *, after: SearchPlace | None, count: int, deadline: float
    ) -> SearchPage:
        """The next products that a query finds, best first, after this place."""
        self._refresh.check_fresh()
        found: list[Found] = await self._index.search(query, after, count)
        last = (found[-1].tier, found[-1].stored.sku) if found else None
        stored = [entry.stored for entry in found]
        stocked = await self._with_levels(stored, [location] * bool(location), deadline)
        return SearchPage(tuple(stocked), last)

    async def categories(self) -> list[Group]:
        """The categories, with counts."""
        self._refresh.check_fresh()
        return await self._index.categories()

    async def units(self) -> list[Group]:
        """The units, with counts."""
        self._refresh.check_fresh()
        return await self._index.units()

    async def _table_or_index(
        self,
        read_table: Callable[[float], Awaitable[T]],
        read_index: Callable[[], Awaitable[T]],
        deadline: float,
    ) -> T:
        """What the table says, or the index while the table cannot be asked."""
        if not self._refresh.is_fresh:
            return await read_table(deadline)
        now = asyncio.get_running_loop().time()
        try:
            return await read_table(min(now + self.PATIENCE_S, now + (deadline - now) / 2))
        except (StoreUnavailable, CatalogThrottled) as error:
            log.debug("the index answers for the table: %s", error)
            return await read_index()

    async def _with_levels(
        self, products: Sequence[StoredProduct], locations: Sequence[str], deadline: float
    ) -> list[StockedProduct]:
        if not locations or not products:
            return [StockedProduct(stored) for stored in products]
        levels: dict[str, tuple[Level, ...]] = {}
        skus = [stored.sku for stored in products]
        for at in range(0, len(skus), MAX_BATCH_SKUS):
            part = skus[at : at + MAX_BATCH_SKUS]
            levels |= await self._stock.batch_get(part, locations, deadline)
        return [StockedProduct(stored, levels[stored.sku]) for stored in products]


PAGE_ENOUGH_BYTES = 1 << 20


def _size(products: Sequence[StockedProduct]) -> int:
    """About how large these are: what is long in a product is its attributes."""
    return sum(len(p.stored.product.attributes) for p in products if p.stored.product)
