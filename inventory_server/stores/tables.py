"""Tables in DynamoDB: which are missing, and making them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from inventory_server.domain.errors import StoreUnavailable
from inventory_server.stores.dynamo import Dynamo

EXPIRY_ATTRIBUTE: Final = "expire_at"
"""Seconds since 1970: DynamoDB removes the item some time after it."""


class TableKey(NamedTuple):
    """A table's key: the attributes of which it consists and their types, partition first."""

    parts: Sequence[tuple[str, str]]
    has_expiry: bool = False
    """Whether items may vanish after their `expire_at`."""
    found_by: tuple[str, str] | None = None
    """A name, and the attribute that the items are found by under it too, in the table's order."""


Tables = Mapping[str, TableKey]
"""Tables by name."""


async def missing_tables(dynamo: Dynamo, tables: Tables, deadline: float) -> list[str]:
    """The tables that are not there."""
    there: set[str] = set()
    arguments: dict[str, Any] = {}
    while True:
        answer = await dynamo.call("list_tables", deadline, is_probe=True, **arguments)
        there.update(answer["TableNames"])
        if "LastEvaluatedTableName" not in answer:
            return [name for name in tables if name not in there]
        arguments["ExclusiveStartTableName"] = answer["LastEvaluatedTableName"]


async def create_tables(dynamo: Dynamo, tables: Tables, deadline: float) -> list[str]:
    """Makes the tables that are not there, waits for them, and answers their names."""
    missing = await missing_tables(dynamo, tables, deadline)
    for name in missing:
        await dynamo.call(
            "create_table", deadline, is_probe=True, TableName=name, BillingMode="PAY_PER_REQUEST",
            **_definition(tables[name]),
        )  # fmt: skip
    for name in missing:
        await _wait_active(dynamo, name, deadline)
        if tables[name].has_expiry:
            await dynamo.call(
                "update_time_to_live", deadline, is_probe=True, TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY_ATTRIBUTE},
            )  # fmt: skip
    return missing


def _definition(table: TableKey) -> dict[str, Any]:
    attributes = dict(table.parts)
    definition: dict[str, Any] = {"KeySchema": _schema(*attributes)}
    if table.found_by is not None:
        index, attribute = table.found_by
        definition["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index,
                "KeySchema": _schema(attribute, table.parts[-1][0]),
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
        attributes[attribute] = "S"
    definition["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()
    ]
    return definition


def _schema(*names: str) -> list[dict[str, str]]:
    kinds = zip(names, ("HASH", "RANGE"), strict=False)
    return [{"AttributeName": name, "KeyType": kind} for name, kind in kinds]


async def _wait_active(dynamo: Dynamo, name: str, deadline: float) -> None:
    while True:
        answer = await dynamo.call("describe_table", deadline, is_probe=True, TableName=name)
        if answer["Table"]["TableStatus"] == "ACTIVE":
            return
        if asyncio.get_running_loop().time() + 1 >= deadline:
            raise StoreUnavailable(f"the table {name} is not ready yet; run this again")
        await asyncio.sleep(1)
