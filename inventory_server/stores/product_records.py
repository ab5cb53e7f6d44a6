"""Products as DynamoDB items, to and from values. docs/design/catalogue.md describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from inventory_server.domain.catalog import Product, StoredProduct
from inventory_server.stores.dynamo import Item

_TEXTS: Final = (
    *("name", "brand", "category", "subcategory", "unit", "barcode", "currency"),
    *("attributes", "image_url"),
)
_NUMBERS: Final = ("price_minor", "list_price_minor")


class Write(NamedTuple):
    """What an item remembers of a write: its request, and the version that it made."""

    fingerprint: str
    version: int
    create_time_ms: int
    update_time_ms: int
    created: bool


class ProductItem(NamedTuple):
    """An item of the products table. `writes` are the last ones, by operation."""

    stored: StoredProduct
    writes: dict[str, Write]


def absent(sku: str) -> ProductItem:
    """The item of a SKU that has none."""
    return ProductItem(StoredProduct(sku, 0, None), {})


def pack_product(record: ProductItem, expire_at_s: int | None) -> Item:
    """The item; `expire_at_s` is when a deleted one may vanish."""
    stored, product = record.stored, record.stored.product
    item: Item = {
        "sku": {"S": stored.sku},
        "version": {"N": str(stored.version)},
        "create_time_ms": {"N": str(stored.create_time_ms)},
        "update_time_ms": {"N": str(stored.update_time_ms)},
        "writes": {"M": {op: _pack_write(write) for op, write in record.writes.items()}},
    }
    if expire_at_s is not None:
        item["expire_at"] = {"N": str(expire_at_s)}
    if product is None:
        return item
    item["active"] = {"BOOL": product.active}
    # What is empty is left out: an item is paid for by its bytes.
    item |= {name: {"S": text} for name in _TEXTS if (text := getattr(product, name))}
    for name in _NUMBERS:
        if getattr(product, name) is not None:
            item[name] = {"N": str(getattr(product, name))}
    return item


def parse_product(item: Item) -> ProductItem:
    """A value from an item; one without a name was deleted."""
    sku, version = item["sku"]["S"], int(item["version"]["N"])
    product = None
    if "name" in item:
        texts = {name: item[name]["S"] for name in _TEXTS if name in item}
        prices = [int(item[name]["N"]) if name in item else None for name in _NUMBERS]
        product = Product(sku, active=item["active"]["BOOL"], **texts)._replace(
            price_minor=prices[0], list_price_minor=prices[1]
        )
    stored = StoredProduct(
        sku, version, product, int(item["create_time_ms"]["N"]), int(item["update_time_ms"]["N"])
    )
    writes: Mapping[str, Item] = item.get("writes", {}).get("M", {})
    return ProductItem(stored, {op: _parse_write(write) for op, write in writes.items()})


def _pack_write(write: Write) -> dict[str, str]:
    fields = (int(value) for value in write[1:])
    return {"S": " ".join([write.fingerprint, *map(str, fields)])}


def _parse_write(packed: Mapping[str, object]) -> Write:
    print_, *numbers = str(packed["S"]).split(" ")
    version, create_time_ms, update_time_ms, created = map(int, numbers)
    return Write(print_, version, create_time_ms, update_time_ms, bool(created))
