"""Products in DynamoDB: reading them, and writing one state after another.

Every write is one conditional put of one item. A product and the memory of the
operations that wrote it are the same item, so that a write and its record
cannot come apart, and repeating a put whose answer was lost changes nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from time import time
from typing import Any, Final

from inventory_server.domain.catalog import StoredProduct
from inventory_server.domain.errors import CatalogThrottled, StoreUnavailable
from inventory_server.stores.catalog_tables import TableNames
from inventory_server.stores.dynamo import ConditionFailedError, Dynamo, Item, LostError
from inventory_server.stores.product_records import (
    ProductItem,
    absent,
    pack_product,
    parse_product,
)

KEYS_A_READ: Final = 100
"""What BatchGetItem takes."""


def now_ms() -> int:
    """The time of this machine: the catalogue has no clock of its own."""
    return int(time() * 1000)


class ProductStore:
    """The products table. Raises StoreUnavailable and CatalogThrottled; writes raise LostError."""

    TOMBSTONE_S: Final = 7 * 86400
    """How long a deleted product's item stays: longer than any index is without news."""

    def __init__(self, dynamo: Dynamo, names: TableNames) -> None:
        self._dynamo = dynamo
        self._table = names.products

    async def read(self, sku: str, deadline: float) -> ProductItem:
        """The SKU's item as it is now, an absent one where there is none."""
        answer = await self._ask(
            "get_item", deadline, TableName=self._table, Key={"sku": {"S": sku}},
            ConsistentRead=True,
        )  # fmt: skip
        return parse_product(answer["Item"]) if "Item" in answer else absent(sku)

    async def read_many(
        self, skus: Sequence[str], deadline: float, *, is_probe: bool = False
    ) -> dict[str, ProductItem]:
        """The items as they are now, by SKU; those that are not there are left out."""
        parts = [skus[at : at + KEYS_A_READ] for at in range(0, len(skus), KEYS_A_READ)]
        pages = await asyncio.gather(*[self._read_part(part, deadline, is_probe) for part in parts])
        return {record.stored.sku: record for page in pages for record in page}

    async def write(
        self, record: ProductItem, before: int, deadline: float, *, operation: str = ""
    ) -> bool:
        """Puts a state in the place of version `before`; False where that is not there any more.

        True also where this very state, or what this operation wrote, was put before.
        Raises LostError where no answer came.
        """
        stored = record.stored
        expire_at_s = now_ms() // 1000 + self.TOMBSTONE_S if stored.product is None else None
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(sku)"}
        if before:
            condition = {
                "ConditionExpression": "version = :before",
                "ExpressionAttributeValues": {":before": {"N": str(before)}},
            }
        try:
            await self._dynamo.call(
                "put_item", deadline, TableName=self._table,
                Item=pack_product(record, expire_at_s),
                ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition,
            )  # fmt: skip
        except ConditionFailedError as error:
            there = parse_product(error.item) if error.item else absent(stored.sku)
            return there.stored == stored or operation in there.writes
        return True

    async def scan(
        self, segment: int, segments: int, timeout_s: float
    ) -> AsyncIterator[list[StoredProduct]]:
        """Every product and tombstone of one of so many segments, page by page."""
        loop, arguments = (
            asyncio.get_running_loop(),
            {"Segment": segment, "TotalSegments": segments},
        )
        start: dict[str, Any] = {}
        while True:
            answer = await self._ask(
                "scan", loop.time() + timeout_s, is_probe=True, TableName=self._table,
                ConsistentRead=True,
                **arguments, **start,
            )  # fmt: skip
            yield [parse_product(item).stored for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _read_part(
        self, skus: Sequence[str], deadline: float, is_probe: bool
    ) -> list[ProductItem]:
        found: list[Item] = []
        keys = [{"sku": {"S": sku}} for sku in skus]
        pause_s = Dynamo.FIRST_PAUSE_S
        while keys:
            answer = await self._ask(
                "batch_get_item", deadline, is_probe=is_probe,
                RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}},
            )  # fmt: skip
            found += answer["Responses"].get(self._table, [])
            keys = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if keys:
                if asyncio.get_running_loop().time() + pause_s >= deadline:
                    raise CatalogThrottled
                # It gave what it had to give for now: the rest is asked for a little later.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
                pause_s = min(2 * pause_s, Dynamo.LONGEST_PAUSE_S)
        return [parse_product(item) for item in found]

    async def _ask(self, operation: str, deadline: float, **arguments: Any) -> dict[str, Any]:
        """Asks what changes nothing."""
        try:
            return await self._dynamo.call(operation, deadline, **arguments)
        except LostError as error:
            raise StoreUnavailable(f"the catalogue's store does not answer: {error}") from error
