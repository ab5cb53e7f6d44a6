"""The table of orders, for `order_flow`: saved once, marked at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

Line: TypeAlias = tuple[str, str, int]
"""(sku, location, quantity)"""


class OrderExistsError(Exception):
    """Another order has this id."""


class Orders:
    """The table of orders."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def save(self, order_id: str, hold_id: str, lines: Sequence[Line]) -> None:
        """Saves a PENDING order, once: saving the same again, after a lost answer, is no error."""
        item = {"order_id": order_id, "hold_id": hold_id, "lines": lines, "status": "PENDING"}
        try:
            self._table.put_item(Item=item, ConditionExpression="attribute_not_exists(order_id)")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            found = self._table.get_item(Key={"order_id": order_id}, ConsistentRead=True)["Item"]
            if found["hold_id"] != hold_id:
                raise OrderExistsError(order_id) from error

    def mark(self, order_id: str, status: str) -> None:
        """Says how it ended. Whoever says it says the same, so the last one may win."""
        self._table.update_item(
            Key={"order_id": order_id}, UpdateExpression="SET #status = :status",
            ConditionExpression="attribute_exists(order_id)",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": status},
        )  # fmt: skip

    def pending(self) -> Iterator[dict[str, Any]]:
        """The orders that are not at their end. (Where there are many, by a sparse index.)"""
        query: dict[str, Any] = {
            "FilterExpression": "#status = :pending", "ConsistentRead": True,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":pending": "PENDING"},
        }  # fmt: skip
        while True:
            page = self._table.scan(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
