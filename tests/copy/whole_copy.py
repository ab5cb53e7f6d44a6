"""The whole copy, counted: each movement is there once, and nothing else is."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import redis

from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.copy_records import parse_span
from inventory_server.stores.copy_tables import CopyTableNames, level_key
from inventory_server.stores.dynamo import Dynamo
from tests.copy.entries import soon
from tests.copy.serving import PARTITIONS, is_all_copied, marks


class Counted(NamedTuple):
    """How many items the tables have."""

    movements: int
    history: int
    levels: int
    holds: int


async def counted(dynamo: Dynamo, names: CopyTableNames) -> Counted:
    """As DynamoDB's double counts them, exactly."""
    found = [
        (await dynamo.call("describe_table", soon(), TableName=table))["Table"]["ItemCount"]
        for table in names[:4]
    ]
    return Counted(*found)


async def assert_marks_are_at_the_end(db: redis.Redis, leases: CopyLeases) -> None:
    """The copy, its drainers and Redis agree how far it has come, and that nothing is left out."""
    assert await is_all_copied(db, leases, soon())
    there = {p.number: p.watermark for p in await leases.partitions(range(PARTITIONS), soon())}
    for n, seq in marks(db).items():
        assert int(db.hget(f"inv:{{{n}}}:meta", "copied")) == seq
        assert there[n].not_copied == 0
        assert there[n].movement_id == db.xrevrange(f"inv:{{{n}}}:journal", count=1)[0][1]["id"]


async def assert_all_histories_are_whole(
    db: redis.Redis, dynamo: Dynamo, names: CopyTableNames, store_id: str
) -> int:
    """Of every level there ever was, the history names each movement. Answers how many levels."""
    wanted: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for n in range(PARTITIONS):
        for id_, entry in db.xrange(f"inv:{{{n}}}:journal"):
            if entry["location"]:
                place = (1, n, int(id_.partition("-")[0]))
                wanted[entry["location"], entry["sku"]].add(place)
    for (location, sku), places in wanted.items():
        found = await _named_in_history(dynamo, names, level_key(store_id, location, sku))
        assert found == places, f"{location} {sku}: {len(found)} of {len(places)}"
    return len(wanted)


async def _named_in_history(dynamo: Dynamo, names: CopyTableNames, key: str) -> set[Any]:
    found: set[Any] = set()
    start: dict[str, Any] = {}
    while True:
        answer = await dynamo.call(
            "query", soon(), TableName=names.history, KeyConditionExpression="#level = :level",
            ExpressionAttributeNames={"#level": "level"},
            ExpressionAttributeValues={":level": {"S": key}}, **start,
        )  # fmt: skip
        for item in answer["Items"]:
            epoch, partition, seqs = parse_span(item)
            found |= {(epoch, partition, seq) for seq in seqs}
        if "LastEvaluatedKey" not in answer:
            return found
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
