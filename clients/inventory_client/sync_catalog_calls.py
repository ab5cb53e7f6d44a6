"""CatalogCalls for code without an event loop.

Made by tools/generate_sync.py from catalog_calls.py: change that one.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping

from inventory.v1 import catalog_service_pb2 as pb

from inventory_client.blocking import Pager, SyncCalls, iterate
from inventory_client.words import StatusName


class SyncCatalogCalls(SyncCalls):
    """Reads and writes products."""

    def get_product(
        self, sku: str, *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.GetProductResponse:
        """Reads one product, and its levels at these locations. Raises ProductNotFound."""
        return self._thread.run(self._client.get_product(sku, locations=locations, timeout=timeout))

    def batch_get_products(
        self, skus: Iterable[str], *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.BatchGetProductsResponse:
        """Reads up to 100 products, in the order asked; unknown ones are listed apart."""
        return self._thread.run(
            self._client.batch_get_products(skus, locations=locations, timeout=timeout)
        )

    def get_product_by_barcode(
        self, barcode: str, *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.GetProductByBarcodeResponse:
        """Reads the product that has this barcode. Raises ProductNotFound."""
        return self._thread.run(
            self._client.get_product_by_barcode(barcode, locations=locations, timeout=timeout)
        )

    def list_products(
        self,
        *,
        location: str = "",
        category: str = "",
        subcategory: str = "",
        brand: str = "",
        status: StatusName | None = None,
        active: bool | None = None,
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> Pager[pb.StockedProduct]:
        """Lists products by SKU; filters hold together. `timeout` is a page's."""
        return Pager(
            self._thread,
            self._client.list_products(
                location=location,
                category=category,
                subcategory=subcategory,
                brand=brand,
                status=status,
                active=active,
                page_size=page_size,
                page_token=page_token,
                timeout=timeout,
            ),
        )

    def search_products(
        self,
        query: str,
        *,
        location: str = "",
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> Pager[pb.StockedProduct]:
        """Finds products by the beginnings of words, best first. `timeout` is a page's."""
        return Pager(
            self._thread,
            self._client.search_products(
                query,
                location=location,
                page_size=page_size,
                page_token=page_token,
                timeout=timeout,
            ),
        )

    def list_categories(self, *, timeout: float | None = None) -> list[pb.Category]:
        """Lists categories and subcategories by name, with counts."""
        return self._thread.run(self._client.list_categories(timeout=timeout))

    def list_units(self, *, timeout: float | None = None) -> list[pb.Unit]:
        """Lists the units that products are counted in, with counts."""
        return self._thread.run(self._client.list_units(timeout=timeout))

    def get_inventory_summary(
        self, *, location: str = "", timeout: float | None = None
    ) -> pb.GetInventorySummaryResponse:
        """Sums up products, levels, units and value."""
        return self._thread.run(
            self._client.get_inventory_summary(location=location, timeout=timeout)
        )

    def upsert_product(
        self, product: pb.Product, *, idempotency_key: str = "", timeout: float | None = None
    ) -> pb.UpsertProductResponse:
        """Makes a product or replaces it; with its `etag`, only if it is still that one.

        Raises EtagMismatch, BarcodeTaken.
        """
        return self._thread.run(
            self._client.upsert_product(product, idempotency_key=idempotency_key, timeout=timeout)
        )

    def delete_product(
        self, sku: str, *, etag: str = "", idempotency_key: str = "", timeout: float | None = None
    ) -> None:
        """Deletes a product; its stock stays. Raises ProductNotFound, EtagMismatch."""
        return self._thread.run(
            self._client.delete_product(
                sku, etag=etag, idempotency_key=idempotency_key, timeout=timeout
            )
        )

    def import_products(
        self,
        rows: Iterable[Mapping[str, str]] | AsyncIterable[Mapping[str, str]],
        *,
        first_row: int = 1,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> Iterator[pb.ImportProductsResponse]:
        """Imports rows of a table, cells by column, 500 a chunk, and answers each chunk.

        `timeout` is a chunk's.
        """
        return iterate(
            self._thread,
            self._client.import_products(
                rows, first_row=first_row, idempotency_key=idempotency_key, timeout=timeout
            ),
        )
