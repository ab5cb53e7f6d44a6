"""Barcodes in DynamoDB: each is an item of its own, which says whose it is.

A barcode is claimed before its product is written, by a conditional put, so
two products cannot have the same. A claim whose product was never written is
a leftover: after CLAIM_MS another product may take it over. Whoever writes a
product does so well within that time, or claims again.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from inventory_server.domain.errors import StoreUnavailable
from inventory_server.stores.catalog_tables import TableNames
from inventory_server.stores.dynamo import ConditionFailedError, Dynamo, Item, LostError

CLAIM_MS: Final = 60_000


class Claim(NamedTuple):
    """Whose a barcode is; `version` is that of the product that it was claimed for."""

    sku: str
    version: int
    time_ms: int


class BarcodeStore:
    """The barcodes table. Raises StoreUnavailable, CatalogThrottled, LostError."""

    def __init__(self, dynamo: Dynamo, names: TableNames) -> None:
        self._dynamo = dynamo
        self._table = names.barcodes

    async def read(self, barcode: str, deadline: float) -> Claim | None:
        """Whose it is; None where it is nobody's."""
        try:
            answer = await self._dynamo.call(
                "get_item", deadline, TableName=self._table, Key={"barcode": {"S": barcode}},
                ConsistentRead=True,
            )  # fmt: skip
        except LostError as error:
            raise StoreUnavailable(f"the catalogue's store does not answer: {error}") from error
        return _parse(answer["Item"]) if "Item" in answer else None

    async def claim(
        self, barcode: str, claim: Claim, deadline: float, *, instead: Claim | None = None
    ) -> Claim | None:
        """Takes it where it is free, the SKU's already, or still `instead`.

        A claim of the same SKU only moves to a later version. Answers the claim that
        stands in the way, None where it is the SKU's.
        """
        condition = "attribute_not_exists(barcode) OR (sku = :sku AND version < :version)"
        values: Item = {":sku": {"S": claim.sku}, ":version": {"N": str(claim.version)}}
        if instead is not None:
            condition += " OR (sku = :other AND version = :theirs AND time_ms = :then)"
            values |= {
                ":other": {"S": instead.sku},
                ":theirs": {"N": str(instead.version)},
                ":then": {"N": str(instead.time_ms)},
            }
        item: Item = {
            "barcode": {"S": barcode},
            "sku": {"S": claim.sku},
            "version": {"N": str(claim.version)},
            "time_ms": {"N": str(claim.time_ms)},
        }
        there = await self._put(item, condition, values, deadline)
        return None if there is None or there.sku == claim.sku else there

    async def release(self, barcode: str, sku: str, before: int, deadline: float) -> None:
        """Gives back what the SKU claimed for a version below `before`; else it does nothing."""
        try:
            await self._dynamo.call(
                "delete_item", deadline, TableName=self._table, Key={"barcode": {"S": barcode}},
                ConditionExpression="sku = :sku AND version < :before",
                ExpressionAttributeValues={":sku": {"S": sku}, ":before": {"N": str(before)}},
            )  # fmt: skip
        except ConditionFailedError:
            return

    async def _put(
        self, item: Item, condition: str, values: dict[str, Any], deadline: float
    ) -> Claim | None:
        try:
            await self._dynamo.call(
                "put_item", deadline, TableName=self._table, Item=item,
                ConditionExpression=condition, ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )  # fmt: skip
        except ConditionFailedError as error:
            return _parse(error.item)
        return None


def _parse(item: Item) -> Claim:
    return Claim(item["sku"]["S"], int(item["version"]["N"]), int(item["time_ms"]["N"]))
