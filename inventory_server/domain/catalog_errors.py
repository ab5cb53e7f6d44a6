"""Errors of the catalogue."""

from __future__ import annotations

from inventory_server.domain.base_error import InventoryError


class ProductNotFound(InventoryError):
    """The catalogue has no such product. One of `sku` and `barcode` is given."""

    reason = "PRODUCT_NOT_FOUND"

    def __init__(self, *, sku: str = "", barcode: str = "") -> None:
        name, value = ("sku", sku) if sku else ("barcode", barcode)
        super().__init__(f"no product has the {name} {value!r}", {name: value})
        self.name = value


class EtagMismatch(InventoryError):
    """The product was written since it was read. `etag` is the one that it has now."""

    reason = "ETAG_MISMATCH"

    def __init__(self, sku: str, etag: str) -> None:
        super().__init__(
            f"the product {sku!r} was written since it was read", {"sku": sku, "etag": etag}
        )


class BarcodeTaken(InventoryError):
    """Another product has the barcode."""

    reason = "BARCODE_TAKEN"

    def __init__(self, barcode: str, sku: str) -> None:
        super().__init__(
            f"the barcode {barcode!r} is that of product {sku!r}",
            {"barcode": barcode, "sku": sku},
        )


class CatalogThrottled(InventoryError):
    """The catalogue's store takes no more for the moment; nothing was done."""

    reason = "CATALOG_THROTTLED"

    def __init__(self) -> None:
        super().__init__("the catalogue's store takes no more for the moment")


class ValueTooLarge(InventoryError):
    """The value of all stock in a currency is more than can be told."""

    reason = "VALUE_TOO_LARGE"

    def __init__(self, currency: str) -> None:
        super().__init__(f"the value in {currency} is too large to be told", {"currency": currency})
