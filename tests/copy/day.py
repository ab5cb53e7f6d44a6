"""A day of a store, with something of everything, and waiting for its copy."""

from __future__ import annotations

import random
from typing import Any

import redis
from google.protobuf.duration_pb2 import Duration
from inventory.v1 import hold_service_pb2 as hold_pb
from inventory.v1 import stock_service_pb2 as stock_pb

from inventory_server.stores.copy_leases import CopyLeases
from inventory_server.stores.keys import partition_of
from tests.calls import key, line, place, set_stock
from tests.copy.entries import soon
from tests.copy.serving import PARTITIONS, is_all_copied
from tests.eventually import eventually_async

ONLINE, DELHI = partition_of("online", PARTITIONS), partition_of("store:DELHI", PARTITIONS)
PLACES = ("online", "store:DELHI")


async def a_day(stock: Any, holds: Any, orders: int = 12, seed: int = 7) -> None:
    """Something of everything: levels made and deleted, policies, transfers, holds to all ends."""
    chance = random.Random(seed)
    for sku in ("SKU1", "SKU2", "GONE"):
        for location in PLACES:
            await set_stock(stock, 0 if sku == "GONE" else 500, sku=sku, location=location)
    policies = [
        stock_pb.SetStockPolicyLine(location="store:DELHI", safety_stock=2),
        stock_pb.SetStockPolicyLine(sku="SKU1", location="online", reorder_point=490),
    ]
    await stock.SetStockPolicy(stock_pb.SetStockPolicyRequest(lines=policies))
    gone = [stock_pb.DeleteStockLevelsLine(sku="GONE", location=at) for at in PLACES]
    await stock.DeleteStockLevels(stock_pb.DeleteStockLevelsRequest(lines=gone))
    for n in range(orders):
        lines = [
            line(chance.choice(("SKU1", "SKU2")), chance.randint(1, 3), location)
            for location in chance.sample(PLACES, chance.randint(1, 2))
        ]
        made = await place(holds, *lines, reference=f"order-{n}", metadata=key(f"{seed}-{n}"))
        await end(holds, made.hold.hold_id, lines[0], n % 5)
    moved = [stock_pb.TransferStockLine(sku="SKU1", quantity=3)]
    await stock.TransferStock(
        stock_pb.TransferStockRequest(
            lines=moved, from_location="online", to_location="store:DELHI"
        )
    )


async def end(holds: Any, hold_id: str, first: Any, how: int) -> None:
    """Lets it be, confirms, releases, extends, or confirms a part of it."""
    if how == 1:
        await holds.ConfirmHold(hold_pb.ConfirmHoldRequest(hold_id=hold_id))
    elif how == 2:
        await holds.ReleaseHold(hold_pb.ReleaseHoldRequest(hold_id=hold_id))
    elif how == 3:
        longer = Duration(seconds=900)
        await holds.ExtendHold(hold_pb.ExtendHoldRequest(hold_id=hold_id, ttl=longer))
    elif how == 4:
        part = line(first.sku, 1, first.location)
        await holds.ConfirmHold(
            hold_pb.ConfirmHoldRequest(hold_id=hold_id, lines=[part], keep_rest=True)
        )


async def until_copied(db: redis.Redis, leases: CopyLeases) -> None:
    await eventually_async(lambda: is_all_copied(db, leases, soon()), timeout_s=60)
