"""The words of the catalogue, as immutable values. Prices are in minor units of a currency."""

from __future__ import annotations

from typing import NamedTuple

from inventory_server.domain.model import Level


class Product(NamedTuple):
    """A product as it is kept. `attributes` is a JSON object as text, keys sorted, no spaces."""

    sku: str
    name: str
    brand: str = ""
    category: str = ""
    subcategory: str = ""
    unit: str = ""
    barcode: str = ""
    price_minor: int | None = None
    list_price_minor: int | None = None
    currency: str = ""
    active: bool = True
    attributes: str = "{}"
    image_url: str = ""


class StoredProduct(NamedTuple):
    """A state of a SKU in the catalogue.

    `version` rises with every write of the SKU, deletions included; `product` is
    None where it was deleted.
    """

    sku: str
    version: int
    product: Product | None
    create_time_ms: int = 0
    update_time_ms: int = 0

    @property
    def etag(self) -> str:
        """The version, as callers see it."""
        return f"{self.version:x}"


class StockedProduct(NamedTuple):
    """A product with the levels that were asked for."""

    stored: StoredProduct
    levels: tuple[Level, ...] = ()


class ProductFilter(NamedTuple):
    """Which products are wanted; what is empty or None lets all through."""

    category: str = ""
    subcategory: str = ""
    brand: str = ""
    active: bool | None = None


class Found(NamedTuple):
    """A product that a search found. `tier` 0 is the best; equals are sorted by SKU."""

    tier: int
    stored: StoredProduct


class Group(NamedTuple):
    """How many products share a name: of a category, a unit, …"""

    name: str
    products: int
    active_products: int
    parts: tuple[Group, ...] = ()


class Worth(NamedTuple):
    """What units come to: minor units by currency; and how many SKUs have no price."""

    values: dict[str, int]
    unpriced: int
