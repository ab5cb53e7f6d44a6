"""The catalogue's tables in DynamoDB: their keys, and how they are made.

None has a secondary index: products are read by SKU, barcodes by barcode,
changes by the minute; whatever is asked of many products is answered from
each server's own index. So no write costs more than its item.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from inventory_server.domain.errors import StoreUnavailable
from inventory_server.stores.dynamo import Dynamo

EXPIRY_ATTRIBUTE: Final = "expire_at"
"""Seconds since 1970: DynamoDB removes the item some time after it."""


class TableNames(NamedTuple):
    """The tables' names."""

    products: str
    barcodes: str
    changes: str


def table_names(prefix: str) -> TableNames:
    """The names under a prefix, which keeps catalogues of one account apart."""
    return TableNames(f"{prefix}products", f"{prefix}barcodes", f"{prefix}changes")


def _definitions(names: TableNames) -> dict[str, list[tuple[str, str]]]:
    """Each table's key: the attributes of which it consists, partition first."""
    return {
        names.products: [("sku", "S")],
        names.barcodes: [("barcode", "S")],
        names.changes: [("minute", "N"), ("place", "S")],
    }


async def missing_tables(dynamo: Dynamo, names: TableNames, deadline: float) -> list[str]:
    """The tables that are not there."""
    there: set[str] = set()
    arguments: dict[str, Any] = {}
    while True:
        answer = await dynamo.call("list_tables", deadline, is_probe=True, **arguments)
        there.update(answer["TableNames"])
        if "LastEvaluatedTableName" not in answer:
            return [name for name in names if name not in there]
        arguments["ExclusiveStartTableName"] = answer["LastEvaluatedTableName"]


async def create_tables(dynamo: Dynamo, names: TableNames, deadline: float) -> list[str]:
    """Makes the tables that are not there, waits for them, and answers their names."""
    missing = await missing_tables(dynamo, names, deadline)
    for name in missing:
        key = _definitions(names)[name]
        kinds = ("HASH", "RANGE")
        await dynamo.call(
            "create_table", deadline, is_probe=True, TableName=name, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": kind} for n, kind in key],
            KeySchema=[
                {"AttributeName": n, "KeyType": kinds[i]} for i, (n, _) in enumerate(key)
            ],
        )  # fmt: skip
    for name in missing:
        await _wait_active(dynamo, name, deadline)
        if name != names.barcodes:
            await dynamo.call(
                "update_time_to_live", deadline, is_probe=True, TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY_ATTRIBUTE},
            )  # fmt: skip
    return missing


async def _wait_active(dynamo: Dynamo, name: str, deadline: float) -> None:
    while True:
        answer = await dynamo.call("describe_table", deadline, is_probe=True, TableName=name)
        if answer["Table"]["TableStatus"] == "ACTIVE":
            return
        if asyncio.get_running_loop().time() + 1 >= deadline:
            raise StoreUnavailable(f"the table {name} is not ready yet; run this again")
        await asyncio.sleep(1)
