"""The catalogue's tables in DynamoDB, and their keys.

None has a secondary index: products are read by SKU, barcodes by barcode,
changes by the minute; whatever is asked of many products is answered from
each server's own index. So no write costs more than its item.
"""

from __future__ import annotations

from typing import NamedTuple

from inventory_server.stores.tables import TableKey


class TableNames(NamedTuple):
    """The tables' names."""

    products: str
    barcodes: str
    changes: str

    @property
    def keys(self) -> dict[str, TableKey]:
        """Each table's key."""
        return {
            self.products: TableKey([("sku", "S")], has_expiry=True),
            self.barcodes: TableKey([("barcode", "S")]),
            self.changes: TableKey([("minute", "N"), ("place", "S")], has_expiry=True),
        }


def table_names(prefix: str) -> TableNames:
    """The names under a prefix, which keeps catalogues of one account apart."""
    return TableNames(f"{prefix}products", f"{prefix}barcodes", f"{prefix}changes")
