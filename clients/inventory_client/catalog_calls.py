"""CatalogService as methods of the client."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping

from inventory.v1 import catalog_service_pb2 as pb

from inventory_client.caller import Caller, OneByOne
from inventory_client.chunks import chunks_of
from inventory_client.paging import AsyncPager, Page
from inventory_client.words import StatusName, status_of


class CatalogCalls:
    """Reads and writes products."""

    _caller: Caller

    async def get_product(
        self, sku: str, *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.GetProductResponse:
        """Reads one product, and its levels at these locations. Raises ProductNotFound."""
        request = pb.GetProductRequest(sku=sku, locations=locations)
        return await self._caller.read(self._caller.catalog.GetProduct, request, timeout)

    async def batch_get_products(
        self, skus: Iterable[str], *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.BatchGetProductsResponse:
        """Reads up to 100 products, in the order asked; unknown ones are listed apart."""
        request = pb.BatchGetProductsRequest(skus=skus, locations=locations)
        return await self._caller.read(self._caller.catalog.BatchGetProducts, request, timeout)

    async def get_product_by_barcode(
        self, barcode: str, *, locations: Iterable[str] = (), timeout: float | None = None
    ) -> pb.GetProductByBarcodeResponse:
        """Reads the product that has this barcode. Raises ProductNotFound."""
        request = pb.GetProductByBarcodeRequest(barcode=barcode, locations=locations)
        return await self._caller.read(self._caller.catalog.GetProductByBarcode, request, timeout)

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
    ) -> AsyncPager[pb.StockedProduct]:
        """Lists products by SKU; filters hold together. `timeout` is a page's."""

        async def read(token: str) -> Page[pb.StockedProduct]:
            request = pb.ListProductsRequest(
                location=location, category=category, subcategory=subcategory, brand=brand,
                status=status_of(status), active=active, page_size=page_size, page_token=token,
            )  # fmt: skip
            answer = await self._caller.read(self._caller.catalog.ListProducts, request, timeout)
            return Page(answer.products, answer.next_page_token)

        return AsyncPager(read, page_token)

    def search_products(
        self,
        query: str,
        *,
        location: str = "",
        page_size: int = 0,
        page_token: str = "",
        timeout: float | None = None,
    ) -> AsyncPager[pb.StockedProduct]:
        """Finds products by the beginnings of words, best first. `timeout` is a page's."""

        async def read(token: str) -> Page[pb.StockedProduct]:
            request = pb.SearchProductsRequest(
                query=query, location=location, page_size=page_size, page_token=token
            )
            answer = await self._caller.read(self._caller.catalog.SearchProducts, request, timeout)
            return Page(answer.products, answer.next_page_token)

        return AsyncPager(read, page_token)

    async def list_categories(self, *, timeout: float | None = None) -> list[pb.Category]:
        """Lists categories and subcategories by name, with counts."""
        method = self._caller.catalog.ListCategories
        answer = await self._caller.read(method, pb.ListCategoriesRequest(), timeout)
        return list(answer.categories)

    async def list_units(self, *, timeout: float | None = None) -> list[pb.Unit]:
        """Lists the units that products are counted in, with counts."""
        method = self._caller.catalog.ListUnits
        answer = await self._caller.read(method, pb.ListUnitsRequest(), timeout)
        return list(answer.units)

    async def get_inventory_summary(
        self, *, location: str = "", timeout: float | None = None
    ) -> pb.GetInventorySummaryResponse:
        """Sums up products, levels, units and value."""
        request = pb.GetInventorySummaryRequest(location=location)
        method = self._caller.catalog.GetInventorySummary
        return await self._caller.read(method, request, timeout)

    async def upsert_product(
        self,
        product: pb.Product,
        *,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> pb.UpsertProductResponse:
        """Makes a product or replaces it; with its `etag`, only if it is still that one.

        Raises EtagMismatch, BarcodeTaken.
        """
        request = pb.UpsertProductRequest(product=product)
        method = self._caller.catalog.UpsertProduct
        return await self._caller.change(method, request, timeout, idempotency_key)

    async def delete_product(
        self,
        sku: str,
        *,
        etag: str = "",
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> None:
        """Deletes a product; its stock stays. Raises ProductNotFound, EtagMismatch."""
        request = pb.DeleteProductRequest(sku=sku, etag=etag)
        method = self._caller.catalog.DeleteProduct
        await self._caller.change(method, request, timeout, idempotency_key)

    async def import_products(
        self,
        rows: Iterable[Mapping[str, str]] | AsyncIterable[Mapping[str, str]],
        *,
        first_row: int = 1,
        idempotency_key: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[pb.ImportProductsResponse]:
        """Imports rows of a table, cells by column, 500 a chunk, and answers each chunk.

        `timeout` is a chunk's.
        """
        method: OneByOne[pb.ImportProductsRequest, pb.ImportProductsResponse]
        method = OneByOne(self._caller.catalog.ImportProducts)
        key = idempotency_key or self._caller.new_key()
        async for number, chunk in chunks_of(rows, first_row):
            request = pb.ImportProductsRequest(
                first_row=number, rows=[pb.ProductRow(cells=cells) for cells in chunk]
            )
            yield await self._caller.change(method, request, timeout, key)
