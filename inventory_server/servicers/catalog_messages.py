"""CatalogService: requests to domain values, and back. Bad requests stop here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer as Messages
from google.protobuf.struct_pb2 import Struct, Value
from inventory.v1 import catalog_service_pb2 as pb

from inventory_server.domain import limits
from inventory_server.domain.attributes import pack_attributes, parse_attributes
from inventory_server.domain.catalog import (
    Group,
    Product,
    ProductFilter,
    StockedProduct,
    StoredProduct,
)
from inventory_server.domain.errors import InvalidRequest
from inventory_server.domain.product_rules import BARCODE_FORM, is_barcode
from inventory_server.domain.words import words_of
from inventory_server.operations.product_imports import ImportedChunk, Row
from inventory_server.operations.summary import Summary
from inventory_server.servicers import requests, stock_requests
from inventory_server.servicers.responses import put_levels, put_time


def read_skus(skus: Sequence[str]) -> list[str]:
    """The SKUs of BatchGetProducts."""
    violations: requests.Violations = []
    requests.check_count("skus", len(skus), limits.MAX_BATCH_PRODUCTS, violations)
    requests.raise_any(violations)
    if len(set(skus)) < len(skus):
        raise InvalidRequest(("skus", "each SKU may be named once"))
    return [requests.read_sku(f"skus[{i}]", sku) for i, sku in enumerate(skus)]


def read_barcode(barcode: str) -> str:
    """A barcode."""
    if not is_barcode(barcode):
        raise InvalidRequest(("barcode", f"a barcode is {BARCODE_FORM}"))
    return barcode


def read_filter(message: pb.ListProductsRequest) -> tuple[ProductFilter, str, str]:
    """The products that are listed, and their level's location and status."""
    longest = limits.MAX_GROUP_LENGTH
    wanted = ProductFilter(
        requests.read_text("category", message.category, longest),
        requests.read_text("subcategory", message.subcategory, longest),
        requests.read_text("brand", message.brand, longest),
        message.active if message.HasField("active") else None,
    )
    status = stock_requests.read_status(message.status)
    if status and not message.location:
        raise InvalidRequest(("location", "required with status"))
    return wanted, read_location(message.location), status


def read_location(location: str) -> str:
    """A location, or none."""
    return requests.read_location("location", location) if location else ""


def read_query(query: str) -> str:
    """The words to search for."""
    query = requests.read_text("query", query, limits.MAX_QUERY_LENGTH)
    words = len(query.split())
    if not 1 <= words <= limits.MAX_QUERY_WORDS:
        raise InvalidRequest(("query", f"1 to {limits.MAX_QUERY_WORDS} words; it has {words}"))
    parts = len(words_of(query))
    if parts > limits.MAX_QUERY_PARTS:
        sentence = f"at most {limits.MAX_QUERY_PARTS} runs of letters and digits; it has {parts}"
        raise InvalidRequest(("query", sentence))
    return query


def read_etag(field: str, etag: str) -> str:
    """An etag; what it means is the catalogue's to say."""
    return requests.read_text(field, etag, limits.MAX_ETAG_LENGTH)


def read_product(message: pb.Product) -> Product:
    """A product to write; its rules are checked where it is written."""
    return Product(
        sku=requests.read_sku("product.sku", message.sku),
        name=message.name,
        brand=message.brand,
        category=message.category,
        subcategory=message.subcategory,
        unit=message.unit,
        barcode=message.barcode,
        price_minor=message.price_minor if message.HasField("price_minor") else None,
        list_price_minor=(
            message.list_price_minor if message.HasField("list_price_minor") else None
        ),
        currency=message.currency,
        active=message.active if message.HasField("active") else True,
        attributes=_read_attributes(message.attributes),
        image_url=message.image_url,
    )


def read_rows(message: pb.ImportProductsRequest) -> list[Row]:
    """The rows of a chunk, with their numbers."""
    violations: requests.Violations = []
    requests.check_count("rows", len(message.rows), limits.MAX_IMPORT_PRODUCTS, violations)
    if not 1 <= message.first_row <= limits.MAX_TOTAL:
        violations.append(("first_row", f"1 to {limits.MAX_TOTAL}; it is {message.first_row}"))
    requests.raise_any(violations)
    return [(message.first_row + i, dict(row.cells)) for i, row in enumerate(message.rows)]


def put_product(message: pb.Product, stored: StoredProduct) -> None:
    """A product as it is sent, in a message that is already there."""
    product = stored.product
    if product is None:
        return
    message.sku, message.name, message.brand = product.sku, product.name, product.brand
    message.category, message.subcategory = product.category, product.subcategory
    message.unit, message.barcode = product.unit, product.barcode
    if product.price_minor is not None:
        message.price_minor = product.price_minor
    if product.list_price_minor is not None:
        message.list_price_minor = product.list_price_minor
    message.currency, message.active = product.currency, product.active
    message.image_url, message.etag = product.image_url, stored.etag
    if product.attributes != "{}":
        message.attributes.update(parse_attributes(product.attributes))
    put_time(message.create_time, stored.create_time_ms)
    put_time(message.update_time, stored.update_time_ms)


def put_stocked(messages: Messages[pb.StockedProduct], products: Iterable[StockedProduct]) -> None:
    """Products with their levels as they are sent."""
    for stocked in products:
        message = messages.add()
        put_product(message.product, stocked.stored)
        put_levels(message.levels, stocked.levels)


def category_message(group: Group) -> pb.Category:
    """A category as it is sent."""
    parts = [
        pb.Subcategory(name=part.name, products=part.products, active_products=part.active_products)
        for part in group.parts
    ]
    return pb.Category(
        name=group.name,
        products=group.products,
        active_products=group.active_products,
        subcategories=parts,
    )


def unit_message(group: Group) -> pb.Unit:
    """A unit as it is sent."""
    return pb.Unit(name=group.name, products=group.products, active_products=group.active_products)


def summary_message(summary: Summary) -> pb.GetInventorySummaryResponse:
    """The sums as they are sent."""
    message = pb.GetInventorySummaryResponse(
        products=summary.products,
        active_products=summary.active_products,
        levels=summary.levels,
        low_levels=summary.low_levels,
        out_levels=summary.out_levels,
        on_hand=summary.on_hand,
        held=summary.held,
        values=[
            pb.StockValue(currency=currency, value_minor=value)
            for currency, value in summary.values
        ],
        unpriced_levels=summary.unpriced_levels,
    )
    put_time(message.start_time, summary.start_time_ms)
    put_time(message.end_time, summary.end_time_ms)
    return message


def import_message(chunk: ImportedChunk) -> pb.ImportProductsResponse:
    """What became of a chunk as it is sent."""
    return pb.ImportProductsResponse(
        first_row=chunk.first_row,
        accepted_rows=chunk.accepted_rows,
        unchanged_rows=chunk.unchanged_rows,
        refused_rows=[pb.RefusedProductRow(**row._asdict()) for row in chunk.refused_rows],
        next_row=chunk.next_row,
    )


def _read_attributes(struct: Struct) -> str:
    try:
        return pack_attributes({name: _plain(value) for name, value in struct.fields.items()})
    except ValueError as error:
        raise InvalidRequest(("product.attributes", str(error))) from error


def _plain(value: Value) -> Any:
    """A value of a Struct as Python has it. protobuf bounds how deep they nest."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {name: _plain(item) for name, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)
