"""CatalogService: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator

from inventory.v1 import catalog_service_pb2 as pb

from inventory_server.domain.errors import InvalidRequest
from inventory_server.operations.catalog import CatalogOperations
from inventory_server.operations.product_imports import ProductImports
from inventory_server.operations.product_writes import ProductWrites
from inventory_server.operations.summary import SummaryOperations
from inventory_server.servicers import catalog_messages as messages
from inventory_server.servicers import requests, responses, stock_requests
from inventory_server.servicers.paging import make_page_token, read_page_size, read_page_token
from inventory_server.servicers.rpc_call import RpcCall

_SEARCH_PLACE = r"\d [^ ]+"
"""What stands in the page tokens of SearchProducts: tier and SKU."""

IMPORT_TIMEOUT_S = 60.0
"""A chunk's time: 500 products, each with two writes."""


class CatalogServicer:
    """The RPCs of CatalogService, by their names in the proto."""

    def __init__(
        self, catalog: CatalogOperations, writes: ProductWrites, imports: ProductImports,
        summary: SummaryOperations,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._writes = writes
        self._imports = imports
        self._summary = summary

    async def GetProduct(
        self, request: pb.GetProductRequest, call: RpcCall
    ) -> pb.GetProductResponse:
        """Reads one product."""
        stocked = await self._catalog.get(
            requests.read_sku("sku", request.sku),
            stock_requests.read_locations(request.locations),
            call.deadline,
        )
        response = pb.GetProductResponse()
        messages.put_product(response.product, stocked.stored)
        responses.put_levels(response.levels, stocked.levels)
        return response

    async def BatchGetProducts(
        self, request: pb.BatchGetProductsRequest, call: RpcCall
    ) -> pb.BatchGetProductsResponse:
        """Reads many products."""
        found, unknown = await self._catalog.batch_get(
            messages.read_skus(request.skus),
            stock_requests.read_locations(request.locations),
            call.deadline,
        )
        response = pb.BatchGetProductsResponse(unknown_skus=unknown)
        messages.put_stocked(response.products, found)
        return response

    async def GetProductByBarcode(
        self, request: pb.GetProductByBarcodeRequest, call: RpcCall
    ) -> pb.GetProductByBarcodeResponse:
        """Reads the product of a barcode."""
        stocked = await self._catalog.get_by_barcode(
            messages.read_barcode(request.barcode),
            stock_requests.read_locations(request.locations),
            call.deadline,
        )
        response = pb.GetProductByBarcodeResponse()
        messages.put_product(response.product, stocked.stored)
        responses.put_levels(response.levels, stocked.levels)
        return response

    async def ListProducts(
        self, request: pb.ListProductsRequest, call: RpcCall
    ) -> pb.ListProductsResponse:
        """Lists products by SKU, in pages."""
        wanted, location, status = messages.read_filter(request)
        query = ("ListProducts", *map(repr, wanted), location, status)
        page = await self._catalog.page(
            wanted, location, status, after=read_page_token(request.page_token, *query),
            count=read_page_size(request.page_size), deadline=call.deadline,
        )  # fmt: skip
        response = pb.ListProductsResponse(next_page_token=make_page_token(page.last_sku, *query))
        messages.put_stocked(response.products, page.products)
        return response

    async def SearchProducts(
        self, request: pb.SearchProductsRequest, call: RpcCall
    ) -> pb.SearchProductsResponse:
        """Finds products by words, best first."""
        words, location = (
            messages.read_query(request.query),
            messages.read_location(request.location),
        )
        query = ("SearchProducts", words, location)
        tier, _, sku = read_page_token(request.page_token, *query, form=_SEARCH_PLACE).partition(
            " "
        )
        page = await self._catalog.search(
            words, location, after=(int(tier), sku) if tier else None,
            count=read_page_size(request.page_size), deadline=call.deadline,
        )  # fmt: skip
        last = f"{page.last[0]} {page.last[1]}" if page.last else ""
        response = pb.SearchProductsResponse(next_page_token=make_page_token(last, *query))
        messages.put_stocked(response.products, page.products)
        return response

    async def ListCategories(
        self, request: pb.ListCategoriesRequest, call: RpcCall
    ) -> pb.ListCategoriesResponse:
        """Lists the categories."""
        groups = await self._catalog.categories()
        return pb.ListCategoriesResponse(categories=map(messages.category_message, groups))

    async def ListUnits(self, request: pb.ListUnitsRequest, call: RpcCall) -> pb.ListUnitsResponse:
        """Lists the units."""
        groups = await self._catalog.units()
        return pb.ListUnitsResponse(units=map(messages.unit_message, groups))

    async def GetInventorySummary(
        self, request: pb.GetInventorySummaryRequest, call: RpcCall
    ) -> pb.GetInventorySummaryResponse:
        """Sums up products and stock."""
        location = messages.read_location(request.location)
        return messages.summary_message(await self._summary.summarize(location, call.deadline))

    async def UpsertProduct(
        self, request: pb.UpsertProductRequest, call: RpcCall
    ) -> pb.UpsertProductResponse:
        """Makes a product, or replaces it."""
        change = await self._writes.upsert(
            messages.read_product(request.product),
            messages.read_etag("product.etag", request.product.etag),
            call,
        )
        call.replayed = change.replayed
        response = pb.UpsertProductResponse(created=change.created)
        messages.put_product(response.product, change.stored)
        return response

    async def DeleteProduct(
        self, request: pb.DeleteProductRequest, call: RpcCall
    ) -> pb.DeleteProductResponse:
        """Deletes a product."""
        sku, etag = requests.read_sku("sku", request.sku), messages.read_etag("etag", request.etag)
        call.replayed = await self._writes.delete(sku, etag, call)
        return pb.DeleteProductResponse()

    async def ImportProducts(
        self, chunks: AsyncIterator[pb.ImportProductsRequest], call: RpcCall
    ) -> AsyncIterator[pb.ImportProductsResponse]:
        """Takes in chunks of rows, each answered in turn."""
        next_row = 1
        async for request in chunks:
            rows = messages.read_rows(request)
            if rows[0][0] < next_row:
                raise InvalidRequest(("first_row", f"at least {next_row} here"))
            chunk = await self._imports.take_chunk(rows, call.chunk_origin(IMPORT_TIMEOUT_S))
            next_row = chunk.next_row
            yield messages.import_message(chunk)
