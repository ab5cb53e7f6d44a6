"""Whether products are active: telling stock what the catalogue says.

The catalogue decides; each partition's set of inactive SKUs is a copy for the
scripts. Two writers may race, so whoever writes the copy reads the catalogue
again afterwards, until what it wrote is what is there: the last one to write
the copy has then seen the last state of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inventory_server.domain.limits import MAX_IMPORT_PRODUCTS, MAX_PAGE_SIZE
from inventory_server.stores.activity_store import ActivityStore
from inventory_server.stores.catalog_index import CatalogIndex
from inventory_server.stores.product_store import ProductStore


class ProductActivity:
    """Keeps the sets of inactive SKUs as the catalogue says. Raises InventoryError."""

    def __init__(self, products: ProductStore, store: ActivityStore, *, partitions: int) -> None:
        self._products = products
        self._partitions = partitions
        self._store = store

    async def settle(self, skus: Sequence[str], deadline: float) -> None:
        """Writes what the catalogue says of these SKUs, and sees that it still says so."""
        for at in range(0, len(skus), MAX_IMPORT_PRODUCTS):
            part = skus[at : at + MAX_IMPORT_PRODUCTS]
            said = await self._read(part, deadline)
            while said:
                await self._store.set_active(said, deadline)
                again = await self._read(list(said), deadline)
                said = {sku: active for sku, active in again.items() if active is not said[sku]}

    async def differing(self, index: CatalogIndex, deadline: Callable[[], float]) -> set[str]:
        """The SKUs of which some partition says something else than the index."""
        inactive: set[str] = set()
        after = ""
        while page := await index.inactive(after, MAX_PAGE_SIZE):
            inactive.update(page)
            after = page[-1]
        found: set[str] = set()
        for partition in range(self._partitions):
            there: set[str] = set()
            async for page in self._store.inactive(partition, deadline()):
                there.update(page)
            found |= inactive ^ there
        return found

    async def _read(self, skus: Sequence[str], deadline: float) -> dict[str, bool]:
        """Which may be sold: those without a product may."""
        found = await self._products.read_many(skus, deadline, is_probe=True)
        products = {sku: item.stored.product for sku, item in found.items()}
        return {sku: (product := products.get(sku)) is None or product.active for sku in skus}
