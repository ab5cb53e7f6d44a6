"""Servers with a catalogue, and short words for what is asked of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.struct_pb2 import Struct
from inventory.v1 import catalog_service_pb2 as pb

from inventory_server.server import Server
from inventory_server.settings import Settings
from tests.eventually import eventually_async

CHAIR = {
    "name": "Oak Chair", "brand": "Stühle & Co", "category": "Furniture", "subcategory": "Chairs",
    "unit": "piece", "barcode": "4006381333931", "price_minor": 129_995, "currency": "EUR",
}  # fmt: skip


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Server]:
    """A server whose index has been filled, stopped in the end."""
    server = Server(settings)
    await server.start()
    try:
        assert server.catalog is not None
        catalog = server.catalog

        async def is_serving() -> bool:
            return catalog.is_serving

        await eventually_async(is_serving)
        await server.health.check()
        yield server
    finally:
        await server.stop()


def product(sku: str = "CHAIR-1", attributes: Any = None, **fields: Any) -> pb.Product:
    """A chair, but for what is said of it."""
    message = pb.Product(sku=sku, **CHAIR | fields)
    if attributes is not None:
        struct = Struct()
        struct.update(attributes)
        message.attributes.CopyFrom(struct)
    return message


async def upsert(catalog: Any, sku: str = "CHAIR-1", metadata: Any = (), **fields: Any) -> Any:
    """Writes a chair, which has a barcode only where one is given."""
    message = product(sku, **{"barcode": "", **fields})
    return await catalog.UpsertProduct(pb.UpsertProductRequest(product=message), metadata=metadata)


async def listed(catalog: Any, **fields: Any) -> list[pb.StockedProduct]:
    """All pages of a list."""
    found: list[pb.StockedProduct] = []
    token = ""
    while True:
        page = await catalog.ListProducts(pb.ListProductsRequest(page_token=token, **fields))
        found += page.products
        token = page.next_page_token
        if not token:
            return found


async def searched(catalog: Any, query: str, **fields: Any) -> list[str]:
    """The SKUs of all pages of a search."""
    found: list[str] = []
    token = ""
    while True:
        request = pb.SearchProductsRequest(query=query, page_token=token, **fields)
        page = await catalog.SearchProducts(request)
        found += [stocked.product.sku for stocked in page.products]
        token = page.next_page_token
        if not token:
            return found
